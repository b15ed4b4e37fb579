package fattorino_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// from asks for events of company 7 after a Seq.
func from(after int64, limit int, types ...string) fattorino.EventQuery {
	return fattorino.EventQuery{Company: 7, After: after, Limit: limit, Types: types}
}

// pull reads without waiting; it must not fail.
func (f *fixture) pull(tb testing.TB, q fattorino.EventQuery) (events []string, next int64) {
	tb.Helper()
	list, next, err := f.Pull(context.Background(), f.app, q, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return ids(list), next
}

// four publishes e1 to e4 with Seq 1 to 4: created, paid, created, paid.
func (f *fixture) four(tb testing.TB) {
	tb.Helper()
	f.publish(tb, happened("e1", created), happened("e2", paid), happened("e3", created), happened("e4", paid))
}

// forget prunes the events accepted until now.
func (f *fixture) forget(tb testing.TB, limit int) {
	tb.Helper()
	err := f.engine.Update(context.Background(), func(tx fattorino.Tx) error {
		_, _, err := tx.Prune(time.Now().Add(time.Hour), 0, limit)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func TestWhereAReaderGoesOn(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.four(t)
	for _, tt := range []struct {
		name  string
		query fattorino.EventQuery
		want  []string
		next  int64
	}{
		{"after all, where all was read", from(0, 10), []string{"e1", "e2", "e3", "e4"}, 4},
		{"after the last of a full page", from(0, 3), []string{"e1", "e2", "e3"}, 3},
		{"after a page that is full to the last event", from(2, 2), []string{"e3", "e4"}, 4},
		{"where it was, when there is nothing more", from(4, 10), []string{}, 4},
		{"where it was, ahead of what there is", from(9, 10), []string{}, 9},

		// A filter does not make the reader look at the same events again.
		{"after events of other types as well", from(0, 10, created), []string{"e1", "e3"}, 4},
		{"after events of other types alone", from(0, 10, deleted), []string{}, 4},
		{"after the last of a full page of one type", from(0, 1, paid), []string{"e2"}, 2},
		{"after a full page that was the last of its type", from(0, 2, created), []string{"e1", "e3"}, 3},
		{"after that, past the rest", from(3, 2, created), []string{}, 4},
		{"with several types", from(1, 10, created, paid), []string{"e2", "e3", "e4"}, 4},
	} {
		events, next := f.pull(t, tt.query)
		if diff := cmp.Diff(tt.want, events); diff != "" {
			t.Errorf("%s: events (-want +got):\n%s", tt.name, diff)
		}
		if next != tt.next {
			t.Errorf("%s: next %d, want %d", tt.name, next, tt.next)
		}
	}
}

func TestAReaderThatKeepsItsPlaceMissesNothingAndReadsNothingTwice(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var want, got []string
	place, published := int64(0), 0
	// Given a reader of payments in pages of two, while events of all kinds come in,
	for round := range 12 {
		for i := range round % 5 {
			typ := []string{created, paid, deleted}[(round+i)%3]
			id := fmt.Sprintf("e%d", published)
			published++
			f.publish(t, happened(id, typ))
			if typ == paid {
				want = append(want, id)
			}
		}
		page, next := f.pull(t, from(place, 2, paid))
		if next < place {
			t.Fatalf("sent back from %d to %d", place, next)
		}
		got, place = append(got, page...), next
	}
	for page, next := f.pull(t, from(place, 2, paid)); len(page) > 0; page, next = f.pull(t, from(next, 2, paid)) {
		got = append(got, page...)
	}
	// then it has read each payment once, in order.
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("payments (-want +got):\n%s", diff)
	}
}

func TestTypesCanBeAskedForByTheirCommonName(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.publish(t, happened("e1", "com.vendor.docs.create"), happened("e2", created), happened("e3", paid))
	if events, _ := f.pull(t, from(0, 10, created)); !cmp.Equal(events, []string{"e1", "e2"}) {
		t.Errorf("by the common name: %v, want e1 and e2", events)
	}
	// A contract's own name gives what a subscription with it would hear.
	if events, _ := f.pull(t, from(0, 10, "com.vendor.docs.create")); !cmp.Equal(events, []string{"e1", "e2"}) {
		t.Errorf("by the vendor's name: %v, want e1 and e2", events)
	}
	_, _, err := f.Pull(context.Background(), f.admin, from(0, 10, "invoice.*"), 0)
	fails(t, err, fattorino.Invalid)
}

func TestALongPollWakesWithTheEventItWaitsFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		begun := time.Now()
		go func() {
			time.Sleep(7 * time.Second)
			f.publish(t, happened("e1", paid)) // the first the company is ever heard of
		}()
		events, next, err := f.Pull(context.Background(), f.app, from(0, 10), 30*time.Second)
		if err != nil || !cmp.Equal(ids(events), []string{"e1"}) || next != 1 {
			t.Errorf("%v, next %d, %v; want e1 and 1", ids(events), next, err)
		}
		if waited := time.Since(begun); waited != 7*time.Second {
			t.Errorf("answered after %v, want at the commit, after 7s", waited)
		}
	})
}

func TestALongPollForATypeSleepsOnWhenOthersHappen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		begun := time.Now()
		go func() {
			for i := range 5 {
				time.Sleep(time.Second)
				f.publish(t, happened(fmt.Sprintf("e%d", i+1), created))
			}
			f.publish(t, happened("e6", paid))
		}()
		events, next, err := f.Pull(context.Background(), f.app, from(0, 10, paid), 30*time.Second)
		if err != nil || !cmp.Equal(ids(events), []string{"e6"}) || next != 6 {
			t.Errorf("%v, next %d, %v; want e6 and 6", ids(events), next, err)
		}
		if waited := time.Since(begun); waited != 5*time.Second {
			t.Errorf("answered after %v, want with the payment, after 5s", waited)
		}
	})
}

func TestALongPollEndsWithItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		begun := time.Now()
		go func() {
			time.Sleep(time.Second)
			f.publish(t, happened("e1", created))
		}()
		events, next, err := f.Pull(context.Background(), f.app, from(0, 10, paid), 20*time.Second)
		if waited := time.Since(begun); err != nil || len(events) != 0 || waited != 20*time.Second {
			t.Errorf("%v, %v after %v; want nothing after 20s", ids(events), err, waited)
		}
		if next != 1 {
			t.Errorf("next %d, want 1: what is of no interest was looked at", next)
		}
	})
}

func TestALongPollEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		ctx, leave := context.WithTimeout(context.Background(), 3*time.Second)
		defer leave()
		begun := time.Now()
		events, next, err := f.Pull(ctx, f.app, from(5, 10), time.Hour)
		if waited := time.Since(begun); err != nil || len(events) != 0 || next != 5 || waited != 3*time.Second {
			t.Errorf("%v, next %d, %v after %v; want nothing, 5, after 3s", ids(events), next, err, waited)
		}
	})
}

func TestAnotherCompanysEventWakesNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		begun := time.Now()
		go func() {
			time.Sleep(time.Second)
			elsewhere := happened("e1", paid)
			elsewhere.Subject = "company:8"
			f.publish(t, elsewhere)
		}()
		events, next, err := f.Pull(context.Background(), f.app, from(0, 10), 10*time.Second)
		if waited := time.Since(begun); err != nil || len(events) != 0 || next != 0 || waited != 10*time.Second {
			t.Errorf("%v, next %d, %v after %v; want nothing after 10s", ids(events), next, err, waited)
		}
	})
}

func TestAReaderWhosePlaceIsNoLongerKeptIsToldSo(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.four(t)
	f.forget(t, 2) // e1 and e2

	_, _, err := f.Pull(context.Background(), f.app, from(1, 10), time.Hour)
	gone := told(t, err, fattorino.Gone)
	if gone.Code != "pruned" || gone.Msg != "events 2 to 2 are past their retention and no longer kept" {
		t.Errorf("told %q, %q", gone.Code, gone.Msg)
	}
	// It can go on from the place that it is told,
	if gone.Fix != "go on with after=2, and read the resources themselves to catch up" {
		t.Errorf("advised %q", gone.Fix)
	}
	if events, next := f.pull(t, from(2, 10)); !cmp.Equal(events, []string{"e3", "e4"}) || next != 4 {
		t.Errorf("from there: %v, next %d; want e3, e4 and 4", events, next)
	}
	// and one that begins gets what there is.
	if events, next := f.pull(t, from(0, 10)); !cmp.Equal(events, []string{"e3", "e4"}) || next != 4 {
		t.Errorf("from the beginning: %v, next %d; want e3, e4 and 4", events, next)
	}
}

func TestAReaderIsToldAlsoWhenNothingIsKeptAtAll(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.four(t)
	f.forget(t, 10)

	_, _, err := f.Pull(context.Background(), f.app, from(1, 10), time.Hour)
	if gone := told(t, err, fattorino.Gone); gone.Msg != "events 2 to 4 are past their retention and no longer kept" {
		t.Errorf("told %q", gone.Msg)
	}
	// One that had read all has missed nothing.
	if events, next := f.pull(t, from(4, 10)); len(events) != 0 || next != 4 {
		t.Errorf("%v, next %d; want nothing and 4", events, next)
	}
	if events, next := f.pull(t, from(0, 10)); len(events) != 0 || next != 4 {
		t.Errorf("from the beginning: %v, next %d; want nothing and 4", events, next)
	}
	// The history goes on where it was.
	if seq := f.publish(t, happened("e5", paid)); seq != 5 {
		t.Errorf("seq %d after pruning, want 5", seq)
	}
}

func TestAWelcomeIsNoPartOfTheHistory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.subscribe(t, f.app, wish("https://a.example", paid))
		f.publish(t, happened("e1", paid))
		synctest.Wait()
		if got := f.sinks.received("https://a.example"); len(got) != 2 {
			t.Fatalf("received %v, want a welcome and e1", got)
		}
		if events, next := f.pull(t, from(0, 10)); !cmp.Equal(events, []string{"e1"}) || next != 1 {
			t.Errorf("history %v, next %d; want e1 and 1", events, next)
		}
	})
}

func TestWhoMayRead(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.publish(t, happened("e1", paid))
	for _, tt := range []struct {
		name   string
		caller fattorino.Token
		want   bool
	}{
		{"an integrator", fattorino.Token{Kind: fattorino.APIToken, App: 1, Scopes: []string{"*"}}, true},
		{"an integrator with this company", fattorino.Token{Kind: fattorino.APIToken, App: 1, Companies: []int64{7}, Scopes: []string{"*"}}, true},
		{"an integrator with another company", fattorino.Token{Kind: fattorino.APIToken, App: 1, Companies: []int64{8}}, false},
		{"the operator", fattorino.Token{Kind: fattorino.AdminToken}, true},
		{"a platform", fattorino.Token{Kind: fattorino.PublishToken}, false},
	} {
		events, _, err := f.Pull(context.Background(), &tt.caller, from(0, 10), 0)
		switch {
		case tt.want && (err != nil || len(events) != 1):
			t.Errorf("%s may not: %v, %v", tt.name, ids(events), err)
		case !tt.want:
			fails(t, err, fattorino.Denied)
		}
	}
}

func TestAReaderIsToldOfWhatItsScopesAllow(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for i := range 5 {
		f.publish(t, happened(fmt.Sprint("e", i), paid))
	}
	reader := &fattorino.Token{Kind: fattorino.APIToken, App: 1, Scopes: []string{"nothing:r"}}
	events, next, err := f.Pull(context.Background(), reader, from(0, 2), 0)
	if err != nil || len(events) != 0 || next != 5 {
		t.Errorf("without the scope: %v, next %d, %v; want nothing, and to go on behind it", ids(events), next, err)
	}
	reader.Scopes = f.Catalogs().Scopes(paid)
	if len(reader.Scopes) == 0 {
		t.Fatal("the type needs no scope: the test shows nothing")
	}
	if events, _, err = f.Pull(context.Background(), reader, from(0, 2), 0); err != nil || len(events) != 2 {
		t.Errorf("with the scope: %v, %v; want a page of two", ids(events), err)
	}
}
