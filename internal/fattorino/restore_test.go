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

func TestADeletionIsTakenBackWithAllThatItTook(t *testing.T) {
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
		f.remove(t, sub)
		synctest.Wait()
		for _, d := range f.deliveries(t) {
			if d.State != fattorino.Discarded || d.Reason != fattorino.SinkGone {
				t.Fatalf("the deletion leaves a delivery %s", d.State)
			}
		}
		f.publish(t, happened("between", paid))
		gone, err := f.GoneSubscription(ctx, f.app, 7, sub.ID)
		if err != nil || !gone.RestorableUntil().Equal(gone.UpdatedAt.Add(fattorino.UndoFor)) {
			t.Errorf("of the one that is gone is told %+v, %v", gone, err)
		}

		f.sinks.nowAnswer(http.StatusOK)
		time.Sleep(fattorino.UndoFor - time.Second)
		restored, revived, err := f.RestoreSubscription(ctx, f.app, 7, sub.ID)
		if err != nil || revived != 2 {
			t.Fatalf("restored: %d, %v; want 2 on their way again", revived, err)
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
		if got, revived, err := f.RestoreSubscription(ctx, f.app, 7, sub.ID); err != nil || got.State != fattorino.Disabled || revived != 1 {
			t.Fatalf("restored: %v with %d, %v; want it disabled with one", got, revived, err)
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
		if got, _, err := f.RestoreSubscription(ctx, f.rival, 7, asked.ID); err != nil || got.State != fattorino.Unverified || got.Handshake.Failed != 1 {
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

// A deletion discards in no order, so that what is left would not be in one.
func TestASubscriptionThatKeepsAnOrderCannotBeRestored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		n := wish(here, paid)
		n.Options.Ordering = fattorino.ByEntity
		sub := f.subscribe(t, f.app, n)
		synctest.Wait()
		f.remove(t, sub)
		_, _, err := f.RestoreSubscription(context.Background(), f.app, 7, sub.ID)
		if fattorino.KindOf(err) != fattorino.Gone {
			t.Errorf("restored: %v, want an error that says it cannot be", err)
		}
	})
}

func TestWhatCannotBeRestored(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	restore := func(f *fixture, caller *fattorino.Token, company, id int64) error {
		_, _, err := f.RestoreSubscription(ctx, caller, company, id)
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
