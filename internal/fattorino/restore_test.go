package fattorino_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// remove deletes a subscription of company 7.
func (f *fixture) remove(tb testing.TB, sub *fattorino.Subscription) {
	tb.Helper()
	if err := f.DeleteSubscription(context.Background(), f.admin, 7, sub.Contract, sub.ID); err != nil {
		tb.Fatal(err)
	}
}

func TestADeletionIsTakenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		f := setup(t)
		n := wish(here, paid, created)
		n.Secrets = []fattorino.Secret{{Sealed: []byte("sealed")}}
		n.Options = fattorino.Options{Name: "ledger", Metadata: map[string]string{"k": "v"}}
		sub := f.subscribe(t, f.app, n)
		synctest.Wait()
		f.sinks.nowAnswer(http.StatusServiceUnavailable)
		f.publish(t, happened("first", paid), happened("second", paid))
		synctest.Wait()
		before := f.kept(t, sub.ID)
		pending := f.deliveries(t)
		f.remove(t, sub)
		f.publish(t, happened("between", paid))
		gone, err := f.GoneSubscription(ctx, f.app, 7, sub.ID)
		if err != nil || !gone.RestorableUntil().Equal(gone.UpdatedAt.Add(fattorino.UndoFor)) {
			t.Errorf("of the one that is gone is told %+v, %v", gone, err)
		}

		f.sinks.nowAnswer(http.StatusOK)
		time.Sleep(fattorino.UndoFor - time.Second)
		if diff := cmp.Diff(pending, f.deliveries(t), cmp.Comparer(sameID)); diff != "" {
			t.Errorf("the deletion leaves its deliveries otherwise (-before +now):\n%s", diff)
		}
		restored, err := f.RestoreSubscription(ctx, f.app, 7, sub.ID)
		if err != nil {
			t.Fatal(err)
		}
		f.publish(t, happened("after", paid))
		synctest.Wait()

		now := f.kept(t, sub.ID)
		if diff := cmp.Diff(restored, now); diff != "" {
			t.Errorf("it is told otherwise than it is kept (-told +kept):\n%s", diff)
		}
		now.UpdatedAt = before.UpdatedAt
		if diff := cmp.Diff(before, now); diff != "" {
			t.Errorf("it is not as it was (-before +now):\n%s", diff)
		}
		states := map[string]string{}
		for _, d := range f.deliveries(t) {
			states[d.Event.ID] = d.State.String()
		}
		if want := map[string]string{"first": "delivered", "second": "delivered", "after": "delivered"}; !cmp.Equal(states, want) {
			t.Errorf("deliveries: %v, want %v", states, want)
		}
		if n := f.sinks.challenges(here); n != 1 {
			t.Errorf("its sink was challenged %d times, want once: it had proved itself", n)
		}
		deeds, _, err := f.Deeds(ctx, f.admin, fattorino.DeedQuery{Text: "subscription.restore", Limit: 10})
		if err != nil || len(deeds) != 1 || deeds[0].Object != fmt.Sprintf("subscription/%d", sub.ID) {
			t.Errorf("the audit says %v, %v", deeds, err)
		}
	})
}

func sameID(a, b *fattorino.Event) bool { return a.ID == b.ID }

func TestARestoredSubscriptionIsInTheStateThatItWasIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		f := setup(t)
		// A disabled one has what it had piled up, and is sent it once enabled.
		sub := f.subscribe(t, f.app, wish(here, paid))
		no, yes := false, true
		if _, _, err := f.ModifySubscription(ctx, f.app, 7, "house", sub.ID, fattorino.SubscriptionChange{Enabled: &no}); err != nil {
			t.Fatal(err)
		}
		f.publish(t, happened("piled up", paid))
		f.remove(t, sub)
		synctest.Wait()
		if got, err := f.RestoreSubscription(ctx, f.app, 7, sub.ID); err != nil || got.State != fattorino.Disabled {
			t.Fatalf("restored: %v, %v; want it disabled", got, err)
		}
		synctest.Wait()
		received := func() bool { return strings.Contains(fmt.Sprint(f.sinks.received(here)), "piled up") }
		if received() {
			t.Error("a disabled one is sent something")
		}
		if _, _, err := f.ModifySubscription(ctx, f.app, 7, "house", sub.ID, fattorino.SubscriptionChange{Enabled: &yes}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !received() {
			t.Error("enabled, it is not sent what had piled up")
		}

		// One whose sink had not proved itself has not: it is asked when its owner
		// wants it, within the limits of the contract.
		f.sinks.nowProve(wrongly)
		asked := f.subscribe(t, f.rival, wish(there, paid))
		f.remove(t, asked)
		if got, err := f.RestoreSubscription(ctx, f.rival, 7, asked.ID); err != nil || got.State != fattorino.Unverified || got.Handshake.Failed != 1 {
			t.Fatalf("restored: %+v, %v; want it unverified with one failed challenge", got, err)
		}
		synctest.Wait()
		if n := f.sinks.challenges(there); n != 1 {
			t.Errorf("it was challenged %d times, want once", n)
		}
		f.sinks.nowProve(nil)
		if got, err := f.VerifySubscription(ctx, f.rival, 7, "house", asked.ID, fattorino.ByHeader); err != nil || got.State != fattorino.Active {
			t.Errorf("verified: %+v, %v", got, err)
		}
	})
}

// What time alone ends: a deletion that could be taken back until now, and one
// with an end date.
func TestWhatIsOverdueEnds(t *testing.T) {
	t.Parallel()
	const long = 10 * time.Minute // in which a deletion can be taken back
	deleted := fattorino.Subscription{State: fattorino.Deleted, Before: fattorino.Disabled, UpdatedAt: noon}
	for name, tt := range map[string]struct {
		sub       fattorino.Subscription
		at        time.Time
		endsBy    time.Time
		wantState fattorino.State
		ended     bool
		updated   time.Time
	}{
		"a deletion can be taken back":          {deleted, noon.Add(long - 1), noon.Add(long), fattorino.Deleted, false, noon},
		"for ten minutes":                       {deleted, noon.Add(long), noon.Add(long), fattorino.Deleted, true, noon},
		"and not when it is final":              {fattorino.Subscription{State: fattorino.Deleted, UpdatedAt: noon}, noon, time.Time{}, fattorino.Deleted, true, noon},
		"one without a date goes on":            {fattorino.Subscription{State: fattorino.Active, UpdatedAt: noon}, noon.Add(day), time.Time{}, fattorino.Active, false, noon},
		"one with a date goes on until then":    {endsAt(fattorino.Active), after(day - 1), after(day), fattorino.Active, false, noon},
		"and ends by it":                        {endsAt(fattorino.Disabled), after(day), after(day), fattorino.Expired, true, after(day)},
		"one that has ended before stays so":    {endsAt(fattorino.GoneByAnswer), after(day), time.Time{}, fattorino.GoneByAnswer, true, noon},
		"one with a date, deleted, is that yet": {withDate(deleted), noon.Add(time.Minute), noon.Add(long), fattorino.Deleted, false, noon},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tt.sub
			if got := s.EndsBy(); !got.Equal(tt.endsBy) {
				t.Errorf("it ends by %v, want %v", got, tt.endsBy)
			}
			s.EndOverdue(tt.at)
			if s.State != tt.wantState || s.Ended() != tt.ended || !s.UpdatedAt.Equal(tt.updated) {
				t.Errorf("it is %+v; want it %s, ended: %t, of %v", s, tt.wantState, tt.ended, tt.updated)
			}
			if s.State == fattorino.Expired && s.Handshake.Pending {
				t.Error("its sink is to be challenged still")
			}
		})
	}
}

// endsAt is a subscription with an end date, a day after noon.
func endsAt(state fattorino.State) fattorino.Subscription {
	return withDate(fattorino.Subscription{State: state, UpdatedAt: noon, Handshake: fattorino.HandshakeState{Pending: true}})
}

func withDate(s fattorino.Subscription) fattorino.Subscription {
	s.Options.EndsAt = after(day)
	return s
}

func TestWhatCannotBeRestored(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	restore := func(f *fixture, caller *fattorino.Token, company, id int64) error {
		_, err := f.RestoreSubscription(ctx, caller, company, id)
		return err
	}
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		sub := f.subscribe(t, f.app, wish(here, paid))
		fails(t, restore(f, f.app, 7, sub.ID), fattorino.NotFound) // it is not gone
		f.remove(t, sub)
		narrow := &fattorino.Token{Kind: fattorino.APIToken, App: 1, Scopes: []string{"products:r"}}
		elsewhere := &fattorino.Token{Kind: fattorino.APIToken, App: 1, Companies: []int64{8}, Scopes: []string{"*"}}
		fails(t, restore(f, f.rival, 7, sub.ID), fattorino.NotFound)
		fails(t, restore(f, f.app, 8, sub.ID), fattorino.NotFound)
		fails(t, restore(f, f.app, 7, sub.ID+1000), fattorino.NotFound)
		fails(t, restore(f, elsewhere, 7, sub.ID), fattorino.Denied)
		fails(t, restore(f, narrow, 7, sub.ID), fattorino.Denied)

		// Its types are another's meanwhile.
		other := f.subscribe(t, f.app, wish(there, paid, created))
		if e := told(t, restore(f, f.app, 7, sub.ID), fattorino.Conflict); !strings.Contains(e.Msg, paid) || strings.Contains(e.Msg, created) {
			t.Errorf("the types that are taken: %s", e.Msg)
		}
		f.remove(t, other)
		if err := restore(f, f.app, 7, sub.ID); err != nil {
			t.Errorf("with its types free again: %v", err)
		}

		// The app has come to have as many as it may.
		f.remove(t, sub)
		f.Limits.Subscriptions = 1
		second := f.subscribe(t, f.app, wish(there, created))
		if e := told(t, restore(f, f.app, 7, sub.ID), fattorino.Conflict); e.Code != "too_many_subscriptions" {
			t.Errorf("at the limit: %v", e)
		}
		f.remove(t, second)

		// It is too late.
		time.Sleep(fattorino.UndoFor)
		fails(t, restore(f, f.app, 7, sub.ID), fattorino.Gone)

		// It was not deleted: its sink has said that it is gone.
		third := f.subscribe(t, f.app, wish(here, paid))
		f.sinks.nowAnswer(http.StatusGone)
		f.publish(t, happened("last", paid))
		synctest.Wait()
		if state := f.kept(t, third.ID).State; state != fattorino.GoneByAnswer {
			t.Fatalf("it is %s", state)
		}
		fails(t, restore(f, f.app, 7, third.ID), fattorino.Gone)
	})
}
