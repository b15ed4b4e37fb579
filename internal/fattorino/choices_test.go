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

// openWish is a wish under the contract that lets its subscribers choose.
func openWish(sink string, types ...string) fattorino.NewSubscription {
	n := wish(sink, types...)
	n.Contract = "open"
	return n
}

// change changes a subscription of the app under "open"; it must not fail.
func (f *fixture) change(tb testing.TB, id int64, c fattorino.SubscriptionChange) *fattorino.Subscription {
	tb.Helper()
	sub, _, err := f.ModifySubscription(context.Background(), f.app, 7, "open", id, c)
	if err != nil {
		tb.Fatal(err)
	}
	return sub
}

func TestWhatASubscriberChoosesIsKept(t *testing.T) {
	t.Parallel()
	f := setup(t)
	n := openWish(here, paid)
	n.Options = fattorino.Options{
		Name: "books", Description: "to the accountant", Metadata: map[string]string{"team": "blue"},
		Handshake: "none", Signature: "v1", Thin: true, Headers: []byte("sealed"), Rate: 60, Concurrency: 2,
		Schedule: []time.Duration{time.Second, time.Minute}, Timeout: 5 * time.Second, EndsAt: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	n.Secrets = []fattorino.Secret{{Sealed: []byte("first")}}
	sub := f.subscribe(t, f.app, n)
	kept := f.kept(t, sub.ID)
	if diff := cmp.Diff(n.Options, kept.Options); diff != "" {
		t.Errorf("options (-chosen +kept):\n%s", diff)
	}
	if diff := cmp.Diff(n.Secrets, kept.Secrets); diff != "" {
		t.Errorf("secrets (-given +kept):\n%s", diff)
	}
	// A change that does not name them leaves them, and one that does replaces
	// them as a whole.
	f.change(t, sub.ID, fattorino.SubscriptionChange{Types: []string{"*"}})
	if diff := cmp.Diff(n.Options, f.kept(t, sub.ID).Options); diff != "" {
		t.Errorf("options after another change (-chosen +kept):\n%s", diff)
	}
	f.change(t, sub.ID, fattorino.SubscriptionChange{Options: &fattorino.Options{Name: "ledger"}})
	if diff := cmp.Diff(fattorino.Options{Name: "ledger"}, f.kept(t, sub.ID).Options); diff != "" {
		t.Errorf("options after their change (-chosen +kept):\n%s", diff)
	}
}

func TestASubscriptionHearsWhatPassesItsFilters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		n := openWish(here, "*")
		n.Filters = []byte(`[{"prefix":{"id":"a"}}, {"exact":{"type":"invoice.paid"}}]`)
		sub := f.subscribe(t, f.app, n)
		if kept := f.kept(t, sub.ID); string(kept.Filters) != string(n.Filters) {
			t.Errorf("kept %s, want the filters as they were given", kept.Filters)
		}
		heard := func(want ...string) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(want, f.sinks.received(here)[1:]); diff != "" { // after the welcome
				t.Errorf("received (-want +got):\n%s", diff)
			}
		}

		// All of them must pass.
		f.publish(t, happened("a1", paid), happened("b1", paid), happened("a2", created))
		heard("a1")
		// A change replaces them, and none lets everything through.
		replaced, none := []byte(`[{"prefix":{"id":"b"}}]`), []byte{}
		f.change(t, sub.ID, fattorino.SubscriptionChange{Filters: &replaced})
		f.publish(t, happened("a3", paid), happened("b2", created))
		heard("a1", "b2")
		f.change(t, sub.ID, fattorino.SubscriptionChange{Filters: &none})
		f.publish(t, happened("c1", "org.example.order.new"))
		heard("a1", "b2", "c1")
	})
}

func TestFiltersThatCannotBeUnderstoodAreRefused(t *testing.T) {
	t.Parallel()
	f := setup(t)
	n := openWish(here, "*")
	n.Filters = []byte(`[{"exact":{"type":5}}]`)
	_, _, err := f.Subscribe(context.Background(), f.app, n)
	if e := told(t, err, fattorino.Invalid); len(e.Faults) != 1 || e.Faults[0].Field != "filters.0.exact.type" {
		t.Errorf("faults %v, want one at filters.0.exact.type", e.Faults)
	}
	if list, err := f.Subscriptions(context.Background(), f.app, 7, "open"); err != nil || len(list) != 0 {
		t.Errorf("made %v all the same, %v", list, err)
	}

	n.Filters = []byte(`[{"exact":{"type":"invoice.paid"}}]`)
	sub := f.subscribe(t, f.app, n)
	before := f.kept(t, sub.ID)
	bad := []byte(`[{"sql":"type ="}]`)
	_, _, err = f.ModifySubscription(context.Background(), f.app, 7, "open", sub.ID, fattorino.SubscriptionChange{Filters: &bad, Types: []string{paid}})
	fails(t, err, fattorino.Invalid)
	if diff := cmp.Diff(before, f.kept(t, sub.ID)); diff != "" {
		t.Errorf("it changed all the same (-before +after):\n%s", diff)
	}
}

func TestAContractMayTakeASinkAtItsWord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		sub := f.subscribe(t, f.app, openWish(here, paid))
		synctest.Wait()
		to := there
		moved := f.change(t, sub.ID, fattorino.SubscriptionChange{Sink: &to})
		synctest.Wait()
		// It is active at once, here and there, and is welcomed at each.
		if sub.State != fattorino.Active || moved.State != fattorino.Active || len(f.sinks.challenged) != 0 {
			t.Errorf("%s, then %s, after %d challenges; want active without any", sub.State, moved.State, len(f.sinks.challenged))
		}
		for round, sink := range []string{here, there} {
			if diff := cmp.Diff([]string{fmt.Sprintf("welcome-%d-%d", sub.ID, round+1)}, f.sinks.received(sink)); diff != "" {
				t.Errorf("received (-want +got):\n%s", diff)
			}
		}
		_, err := f.VerifySubscription(context.Background(), f.app, 7, "open", sub.ID, fattorino.ByHeader)
		fails(t, err, fattorino.Conflict)
	})
}

func TestASecretIsReplacedWithoutABreak(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		n := openWish(here, paid)
		n.Secrets = []fattorino.Secret{{Sealed: []byte("1")}}
		sub := f.subscribe(t, f.app, n)
		begun := time.Now()
		replace := func(sealed string, overlap time.Duration) {
			f.change(t, sub.ID, fattorino.SubscriptionChange{Secret: &fattorino.Secret{Sealed: []byte(sealed)}, Overlap: overlap})
		}
		// in gives the secrets in force and when, in hours from the beginning,
		// each of them ends.
		check := func(when string, want ...string) {
			t.Helper()
			var got []string
			for _, s := range f.kept(t, sub.ID).Secrets {
				ends := "current"
				if !s.EndsAt.IsZero() {
					ends = fmt.Sprintf("until %v", s.EndsAt.Sub(begun))
				}
				got = append(got, fmt.Sprintf("%s %s", s.Sealed, ends))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: secrets (-want +got):\n%s", when, diff)
			}
		}

		check("at the beginning", "1 current")
		replace("2", 24*time.Hour)
		check("after a replacement", "2 current", "1 until 24h0m0s")
		time.Sleep(time.Hour)
		replace("3", 24*time.Hour)
		check("after another", "3 current", "2 until 25h0m0s", "1 until 24h0m0s")
		time.Sleep(23 * time.Hour)
		replace("4", 24*time.Hour)
		check("when the first is over", "4 current", "3 until 48h0m0s", "2 until 25h0m0s")
		// A shorter overlap holds for all that came before: who replaces a secret
		// that has leaked does not want to keep an older one.
		replace("5", 30*time.Minute)
		check("after a hurried one", "5 current", "4 until 24h30m0s", "3 until 24h30m0s", "2 until 24h30m0s")
		replace("6", 0)
		check("after one without overlap", "6 current")
	})
}

func TestADisabledSubscriptionIsSentLaterWhatItHears(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		sub := f.subscribe(t, f.app, openWish(here, paid))
		f.publish(t, happened("e1", paid))
		synctest.Wait()
		off, on := false, true

		// While it is disabled nothing is sent, be it new or sent again,
		if s := f.change(t, sub.ID, fattorino.SubscriptionChange{Enabled: &off}); s.State != fattorino.Disabled {
			t.Errorf("%s, want disabled", s.State)
		}
		f.publish(t, happened("e2", paid))
		log := f.deliveries(t)
		_, err := f.Resend(context.Background(), f.app, 7, log[0].ID)
		fails(t, err, fattorino.Conflict)
		_, err = f.SendTest(context.Background(), f.app, 7, "open", sub.ID, sample("test"))
		fails(t, err, fattorino.Conflict)
		time.Sleep(day)
		if got := f.sinks.received(here); len(got) != 2 || got[1] != "e1" {
			t.Errorf("received %v, want the welcome and e1", got)
		}
		// it is verified still,
		_, err = f.VerifySubscription(context.Background(), f.app, 7, "open", sub.ID, fattorino.ByHeader)
		fails(t, err, fattorino.Conflict)
		// and once it is enabled it gets what it missed.
		if s := f.change(t, sub.ID, fattorino.SubscriptionChange{Enabled: &on}); s.State != fattorino.Active {
			t.Errorf("%s, want active", s.State)
		}
		synctest.Wait()
		if diff := cmp.Diff([]string{"e1", "e2"}, f.sinks.received(here)[1:]); diff != "" {
			t.Errorf("received (-want +got):\n%s", diff)
		}
	})
}

func TestEnablingVerifiesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.sinks.nowProve(wrongly)
	sub := f.subscribe(t, f.app, wish(here, paid))
	for _, enabled := range []bool{true, false} {
		got, _, err := f.ModifySubscription(context.Background(), f.app, 7, "house", sub.ID, fattorino.SubscriptionChange{Enabled: &enabled})
		if err != nil || got.State != fattorino.Unverified {
			t.Errorf("enabled %t: %v, %v; want it unverified still", enabled, got, err)
		}
	}
}

func TestAChangeCanDependOnHowTheSubscriptionStands(t *testing.T) {
	t.Parallel()
	f := setup(t)
	sub := f.subscribe(t, f.app, openWish(here, paid))
	stale := fattorino.Errorf(fattorino.Stale, "it has changed since")
	change := fattorino.SubscriptionChange{
		Types: []string{"*"},
		Unless: func(s *fattorino.Subscription) error {
			if !cmp.Equal(s.Types, []string{paid}) {
				return stale
			}
			return nil
		},
	}
	if changed := f.change(t, sub.ID, change); !cmp.Equal(changed.Types, []string{"*"}) {
		t.Errorf("types %v, want them changed", changed.Types)
	}
	before := f.kept(t, sub.ID)
	change.Types = []string{"invoice.*"}
	_, _, err := f.ModifySubscription(context.Background(), f.app, 7, "open", sub.ID, change)
	if e := told(t, err, fattorino.Stale); e != stale {
		t.Errorf("told %v", e)
	}
	if diff := cmp.Diff(before, f.kept(t, sub.ID)); diff != "" {
		t.Errorf("it changed all the same (-before +after):\n%s", diff)
	}
}

// sample makes an event that is sent as a test.
func sample(id string) *fattorino.Event {
	return &fattorino.Event{ID: id, Source: "/fattorino", Type: paid, Company: 7, Accepted: time.Now()}
}

func TestATestReachesOneSubscriptionAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		sub := f.subscribe(t, f.app, openWish(here, paid))
		f.subscribe(t, f.app, openWish(there, paid))
		d, err := f.SendTest(context.Background(), f.app, 7, "open", sub.ID, sample("test"))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := f.sinks.received(here); len(got) != 2 || got[1] != "test" {
			t.Errorf("received %v, want a welcome and the test", got)
		}
		if got := f.sinks.received(there); len(got) != 1 {
			t.Errorf("another received %v, want a welcome alone", got)
		}
		if got := f.history(t); len(got) != 0 {
			t.Errorf("the history holds %v, want nothing", ids(got))
		}
		logged, _, attempts, err := f.Delivery(context.Background(), f.app, 7, d.ID)
		if err != nil || logged.State != fattorino.Delivered || len(attempts) != 1 {
			t.Errorf("logged as %+v, %v; want it delivered at the first attempt", logged, err)
		}
		// A test that fails starts no expiry.
		f.sinks.nowAnswer(404)
		if _, err := f.SendTest(context.Background(), f.app, 7, "open", sub.ID, sample("test 2")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := f.kept(t, sub.ID); !s.ExpiresAt.IsZero() || s.State != fattorino.Active {
			t.Errorf("%+v, want it active and no expiry pending", s)
		}
		// It is for who may see the subscription.
		_, err = f.SendTest(context.Background(), f.rival, 7, "open", sub.ID, sample("test 3"))
		fails(t, err, fattorino.NotFound)
		_, err = f.SendTest(context.Background(), &fattorino.Token{Kind: fattorino.PublishToken}, 7, "open", sub.ID, sample("test 4"))
		fails(t, err, fattorino.Denied)
	})
}
