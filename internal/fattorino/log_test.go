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

// logged gives "event@subscription" of what a caller sees, newest first.
func (f *fixture) logged(tb testing.TB, caller *fattorino.Token, q fattorino.DeliveryQuery) []string {
	tb.Helper()
	q.Limit = 1000
	page, err := f.Deliveries(context.Background(), caller, 7, q)
	if err != nil {
		tb.Fatal(err)
	}
	list := []string{}
	for _, d := range page {
		if !d.Event.Private() {
			list = append(list, fmt.Sprintf("%s@%d", d.Event.ID, d.Subscription))
		}
	}
	return list
}

func TestAnAppSeesItsOwnDeliveriesOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.subscribe(t, f.app, wish(here, paid))            // 1
		f.subscribe(t, f.app, wish(here, created))         // 2
		f.subscribe(t, f.rival, wish(there, paid))         // 3
		gone := f.subscribe(t, f.app, wish(here, deleted)) // 4
		f.publish(t, happened("e1", paid), happened("e2", created), happened("e3", deleted))
		synctest.Wait()
		if err := f.DeleteSubscription(context.Background(), f.app, 7, "house", gone.ID); err != nil {
			t.Fatal(err)
		}

		for _, tt := range []struct {
			name   string
			caller *fattorino.Token
			named  []int64
			want   []string
		}{
			{"all its own, of what is gone too", f.app, nil, []string{"e3@4", "e2@2", "e1@1"}},
			{"those of one", f.app, []int64{2}, []string{"e2@2"}},
			{"those of several", f.app, []int64{1, 2}, []string{"e2@2", "e1@1"}},
			{"none of another app's, though it names it", f.app, []int64{1, 3}, []string{"e1@1"}},
			{"none of another app's alone", f.app, []int64{3}, []string{}},
			{"none of what never was", f.app, []int64{999}, []string{}},
			{"the other app its own", f.rival, nil, []string{"e1@3"}},
			{"the operator all", f.admin, nil, []string{"e3@4", "e2@2", "e1@3", "e1@1"}},
			{"an app without any, none", &fattorino.Token{Kind: fattorino.APIToken, App: 9}, nil, []string{}},
		} {
			got := f.logged(t, tt.caller, fattorino.DeliveryQuery{Subscriptions: tt.named})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			}
		}
		for name, caller := range map[string]*fattorino.Token{
			"a platform":                         {Kind: fattorino.PublishToken},
			"an integrator with another company": {Kind: fattorino.APIToken, App: 1, Companies: []int64{8}},
		} {
			_, err := f.Deliveries(context.Background(), caller, 7, fattorino.DeliveryQuery{Limit: 10})
			if fattorino.KindOf(err) != fattorino.Denied {
				t.Errorf("%s: %v, want Denied", name, err)
			}
		}
	})
}

func TestADeliveryIsShownWithEveryAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		sub := f.subscribe(t, f.app, wish(here, paid))
		f.sinks.nowAnswer(503)
		f.publish(t, happened("e1", paid))
		synctest.Wait()
		f.sinks.nowAnswer(200)
		time.Sleep(time.Minute)
		synctest.Wait()

		id := f.deliveries(t)[0].ID
		d, owner, attempts, err := f.Delivery(context.Background(), f.app, 7, id)
		if err != nil {
			t.Fatal(err)
		}
		if d.State != fattorino.Delivered || d.Attempts != 2 || d.Event.ID != "e1" || owner.ID != sub.ID {
			t.Errorf("%+v of subscription %d, want e1 delivered at the second attempt", d, owner.ID)
		}
		var answers []int
		for i, a := range attempts {
			if a.Number != i+1 || a.Delivery != id {
				t.Errorf("attempt %d is number %d of delivery %d", i+1, a.Number, a.Delivery)
			}
			answers = append(answers, a.Answer.Status)
		}
		if diff := cmp.Diff([]int{503, 200}, answers); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
	})
}

func TestADeliveryIsShownAsItWasAfterItsLastAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Given a delivery that is due again in some seconds,
		f := setup(t, func(c *fattorino.Config) { c.Store = unhurried{c.Store} })
		f.subscribe(t, f.app, wish(here, paid))
		f.sinks.nowAnswer(503)
		f.publish(t, happened("e1", paid))
		synctest.Wait()
		f.sinks.nowAnswer(200)
		// when it is delivered in the middle of being read,
		d, _, attempts, err := f.Delivery(context.Background(), f.app, 7, f.deliveries(t)[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		// then its state is that of after the attempt that is shown.
		if d.State != fattorino.Delivered || d.Attempts != 2 || len(attempts) != 2 {
			t.Errorf("it is %v after %d attempts, of which %d are shown; want it delivered after two", d.State, d.Attempts, len(attempts))
		}
	})
}

// unhurried is the real store, which takes its time before it reads attempts.
type unhurried struct{ fattorino.Store }

func (s unhurried) Attempts(ctx context.Context, delivery int64) ([]*fattorino.Attempt, error) {
	time.Sleep(time.Minute)
	return s.Store.Attempts(ctx, delivery)
}

func TestWhoseDeliveryItIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		sub := f.subscribe(t, f.app, wish(here, paid))
		f.publish(t, happened("e1", paid))
		synctest.Wait()
		id := f.deliveries(t)[0].ID

		operations := map[string]func(caller *fattorino.Token, company, id int64) error{
			"read": func(caller *fattorino.Token, company, id int64) error {
				_, _, _, err := f.Delivery(context.Background(), caller, company, id)
				return err
			},
			"resend": func(caller *fattorino.Token, company, id int64) error {
				_, err := f.Resend(context.Background(), caller, company, id)
				return err
			},
		}
		for operation, do := range operations {
			for _, tt := range []struct {
				name    string
				caller  *fattorino.Token
				company int64
				id      int64
				want    fattorino.Kind
			}{
				{"of another app", f.rival, 7, id, fattorino.NotFound},
				{"under another company", f.app, 8, id, fattorino.NotFound},
				{"that never was", f.app, 7, 999, fattorino.NotFound},
				{"under another company, by the operator", f.admin, 8, id, fattorino.NotFound},
				{"of a company that the token does not reach", &fattorino.Token{Kind: fattorino.APIToken, App: 1, Companies: []int64{8}}, 7, id, fattorino.Denied},
				{"by a platform", &fattorino.Token{Kind: fattorino.PublishToken}, 7, id, fattorino.Denied},
			} {
				err := do(tt.caller, tt.company, tt.id)
				if kind := fattorino.KindOf(err); err == nil || kind != tt.want {
					t.Errorf("%s one %s: %v, want kind %d", operation, tt.name, err, tt.want)
					continue
				}
				if tt.want == fattorino.NotFound && err.Error() != "there is no such delivery" {
					t.Errorf("%s one %s: told %q, which tells it from what never was", operation, tt.name, err)
				}
			}
		}
		if d := f.deliveries(t)[0]; d.Attempts != 1 || d.State != fattorino.Delivered {
			t.Errorf("after all that it is %+v, want it untouched", d)
		}

		// The log of one that is gone can still be read, by its app and the operator.
		if err := f.DeleteSubscription(context.Background(), f.app, 7, "house", sub.ID); err != nil {
			t.Fatal(err)
		}
		for name, caller := range map[string]*fattorino.Token{"its app": f.app, "the operator": f.admin} {
			if err := operations["read"](caller, 7, id); err != nil {
				t.Errorf("read by %s after its subscription is gone: %v", name, err)
			}
		}
	})
}

func TestAResendSetsADeliveryOnItsWayAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.subscribe(t, f.app, wish(here, paid))
		// Given a delivery that is exhausted after four attempts,
		f.sinks.nowAnswer(503)
		f.publish(t, happened("e1", paid))
		time.Sleep(time.Hour)
		synctest.Wait()
		id := f.deliveries(t)[0].ID

		// when it is sent again,
		begun := time.Now()
		d, err := f.Resend(context.Background(), f.app, 7, id)
		if err != nil {
			t.Fatal(err)
		}
		if d.State != fattorino.Pending || d.Reason != "" || !d.DueAt.Equal(begun) || d.Tries != 0 || d.Attempts != 4 || !d.SettledAt.IsZero() || !d.FirstErrorAt.IsZero() {
			t.Errorf("%+v, want it pending and due now, like new but for its attempts", d)
		}
		// then all the tries of its contract are before it, at once and then as
		// scheduled, and the numbers of its attempts go on.
		time.Sleep(time.Hour)
		synctest.Wait()
		d, _, attempts, err := f.Delivery(context.Background(), f.app, 7, id)
		if err != nil || d.State != fattorino.Discarded || d.Reason != fattorino.Exhausted || d.Tries != 4 || d.Attempts != 8 {
			t.Errorf("%+v, %v; want it exhausted again, after 8 attempts", d, err)
		}
		if len(attempts) != 8 || attempts[7].Number != 8 {
			t.Fatalf("%d attempts in the log, want 8", len(attempts))
		}
		if !attempts[4].StartedAt.Equal(begun) || d.FirstErrorAt.Before(begun) {
			t.Errorf("the fifth attempt was made at %v, want %v", attempts[4].StartedAt, begun)
		}

		// One that was delivered can be sent again as well.
		f.sinks.nowAnswer(200)
		for range 2 {
			if _, err := f.Resend(context.Background(), f.admin, 7, id); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if d := f.deliveries(t)[0]; d.State != fattorino.Delivered || d.Attempts != 10 {
			t.Errorf("%+v, want it delivered twice more", d)
		}
	})
}

func TestWhatCannotBeSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		sub := f.subscribe(t, f.app, wish(here, paid))
		f.publish(t, happened("e1", paid))
		synctest.Wait()
		f.sinks.nowAnswer(503)
		f.publish(t, happened("e2", paid))
		synctest.Wait()
		log := f.deliveries(t)
		settled, pending := log[0].ID, log[1].ID
		refused := func(id int64, what string) {
			t.Helper()
			_, err := f.Resend(context.Background(), f.app, 7, id)
			if fattorino.KindOf(err) != fattorino.Conflict {
				t.Errorf("%s: %v, want Conflict", what, err)
			}
		}

		refused(pending, "what is on its way")

		worn := *log[0]
		worn.Attempts = fattorino.MaxAttempts
		if err := f.engine.Update(context.Background(), func(tx fattorino.Tx) error { return tx.PutDelivery(&worn) }); err != nil {
			t.Fatal(err)
		}
		refused(settled, "what was attempted a thousand times")
		worn.Attempts--
		if err := f.engine.Update(context.Background(), func(tx fattorino.Tx) error { return tx.PutDelivery(&worn) }); err != nil {
			t.Fatal(err)
		}
		f.sinks.nowAnswer(200)
		if _, err := f.Resend(context.Background(), f.app, 7, settled); err != nil {
			t.Errorf("what may be attempted once more: %v", err)
		}
		synctest.Wait()
		f.publish(t, happened("e3", paid))
		synctest.Wait()
		settled = f.deliveries(t)[2].ID

		f.sinks.nowProve(wrongly)
		to := there
		if _, _, err := f.ModifySubscription(context.Background(), f.app, 7, "house", sub.ID, fattorino.SubscriptionChange{Sink: &to}); err != nil {
			t.Fatal(err)
		}
		refused(settled, "what belongs to an unverified subscription")

		if err := f.DeleteSubscription(context.Background(), f.app, 7, "house", sub.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		refused(settled, "what belongs to one that is gone")
		refused(pending, "what is sent where that one comes back")
		time.Sleep(fattorino.UndoFor)
		synctest.Wait()
		refused(pending, "what was discarded as it did not")
		if got := f.sinks.received(there); len(got) != 0 {
			t.Errorf("sent %v to a sink that never proved itself", got)
		}
	})
}

func TestWhatWaitsForItsNextAttemptIsListedSoonestFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		sub := f.subscribe(t, f.app, wish(here, paid))
		f.publish(t, happened("e1", paid))
		synctest.Wait()
		f.sinks.nowAnswer(500)
		for _, id := range []string{"e2", "e3", "e4"} {
			f.publish(t, happened(id, paid))
			synctest.Wait()
			time.Sleep(time.Second)
		}
		due, err := f.DueDeliveries(context.Background(), f.app, 7, sub.ID, 2)
		if err != nil || len(due) != 2 || !due[0].DueAt.Before(due[1].DueAt) || due[0].DueAt.Before(time.Now()) {
			t.Errorf("got %v, %v; want two of the three that failed, soonest first", due, err)
		}
		_, err = f.DueDeliveries(context.Background(), f.rival, 7, sub.ID, 2)
		fails(t, err, fattorino.NotFound)
		_, err = f.DueDeliveries(context.Background(), f.admin, 8, sub.ID, 2)
		fails(t, err, fattorino.NotFound)
	})
}
