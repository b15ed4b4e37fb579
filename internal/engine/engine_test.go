package engine_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestAnEventReachesTheSubscriptionsThatHearIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &sink{}
		f := start(t, t.TempDir(), receiver)
		defer f.stop(t)

		// Given two subscriptions to company 7, one of which hears payments,
		// and one to company 8.
		f.subscribe(t, 7, "https://a.example/paid", "invoice.paid")
		f.subscribe(t, 7, "https://b.example/created", "invoice.created")
		f.subscribe(t, 8, "https://c.example/other", "invoice.paid")

		// When an invoice of company 7 is paid,
		seq := f.publish(t, event(7, "e1", "invoice.paid", map[string]any{"id": 42}))
		synctest.Wait()

		// then the first alone is told, and the log says so.
		if seq != 1 {
			t.Errorf("seq = %d, want 1", seq)
		}
		got := receiver.received()
		if len(got) != 1 || got[0].url != "https://a.example/paid" || got[0].event != "e1" {
			t.Fatalf("received %v, want e1 at a.example alone", got)
		}
		log := f.log(t, 7)
		if len(log) != 1 || log[0].State != fattorino.Delivered || log[0].Attempts != 1 || log[0].Status != 200 {
			t.Fatalf("log = %+v, want one delivered at the first attempt", log)
		}
		if entity := log[0].Event.Entity.String(); entity != "invoice/42" {
			t.Errorf("entity = %q, want invoice/42", entity)
		}
	})
}

func TestAFailingSinkIsRetriedOnScheduleAndThenGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &sink{answer: func(_ int, _, event string) *fattorino.Answer {
			if event == "down" {
				return &fattorino.Answer{Status: 503}
			}
			return &fattorino.Answer{Status: 200}
		}}
		f := start(t, t.TempDir(), receiver)
		defer f.stop(t)
		sub := f.subscribe(t, 7, "https://a.example", "invoice.paid")

		begun := time.Now()
		f.publish(t, event(7, "down", "invoice.paid", nil))
		time.Sleep(time.Hour)
		synctest.Wait()

		// Four attempts: at once, and after 5, 25 and 125 seconds, each ±10 %.
		got := receiver.received()
		if len(got) != 4 {
			t.Fatalf("%d attempts, want 4", len(got))
		}
		at := begun
		for i, wait := range []time.Duration{0, 5 * time.Second, 25 * time.Second, 125 * time.Second} {
			low, high := at.Add(wait*9/10), at.Add(wait*11/10)
			if got[i].at.Before(low) || got[i].at.After(high) {
				t.Errorf("attempt %d at +%v, want between +%v and +%v", i+1, got[i].at.Sub(begun), low.Sub(begun), high.Sub(begun))
			}
			at = got[i].at
		}
		log := f.log(t, 7)
		if log[0].State != fattorino.Discarded || log[0].Reason != fattorino.Exhausted || log[0].Attempts != 4 {
			t.Errorf("delivery = %+v, want discarded, exhausted, 4 attempts", log[0])
		}

		// The subscription expires ten days after the first error,
		s, err := f.store.Subscription(context.Background(), sub.ID)
		if err != nil {
			t.Fatal(err)
		}
		if want := log[0].FirstErrorAt.Add(10 * 24 * time.Hour); !s.ExpiresAt.Equal(want) {
			t.Errorf("expires at %v, want %v", s.ExpiresAt, want)
		}
		// and a success takes that back.
		f.publish(t, event(7, "up", "invoice.paid", nil))
		synctest.Wait()
		if s, _ = f.store.Subscription(context.Background(), sub.ID); !s.ExpiresAt.IsZero() {
			t.Errorf("expires at %v after a success, want never", s.ExpiresAt)
		}
	})
}

func TestASubscriptionThatFailsPastItsExpiryEndsAtTheNextError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &sink{answer: func(int, string, string) *fattorino.Answer { return &fattorino.Answer{Status: 404} }}
		f := start(t, t.TempDir(), receiver)
		defer f.stop(t)
		sub := f.subscribe(t, 7, "https://a.example", "invoice.paid")

		f.publish(t, event(7, "e1", "invoice.paid", nil))
		time.Sleep(9 * 24 * time.Hour)
		f.publish(t, event(7, "e2", "invoice.paid", nil))
		synctest.Wait()
		if s, _ := f.store.Subscription(context.Background(), sub.ID); s.State != fattorino.Active {
			t.Fatalf("state after 9 days = %s, want active", s.State)
		}
		time.Sleep(2 * 24 * time.Hour)
		synctest.Wait()
		if s, _ := f.store.Subscription(context.Background(), sub.ID); s.State != fattorino.Active {
			t.Fatalf("state after 11 days without an error = %s, want active: nothing but an error ends it", s.State)
		}
		f.publish(t, event(7, "e3", "invoice.paid", nil))
		synctest.Wait()
		if s, _ := f.store.Subscription(context.Background(), sub.ID); s.State != fattorino.Expired {
			t.Fatalf("state = %s, want expired", s.State)
		}
	})
}

func TestASinkThatIsGoneEndsItsSubscriptionAndWhatIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &sink{answer: func(n int, _, event string) *fattorino.Answer {
			if event == "last" {
				return &fattorino.Answer{Status: 410}
			}
			return &fattorino.Answer{Status: 500}
		}}
		f := start(t, t.TempDir(), receiver)
		defer f.stop(t)
		sub := f.subscribe(t, 7, "https://a.example", "invoice.paid")
		for i := range 20 {
			f.publish(t, event(7, fmt.Sprint("e", i), "invoice.paid", nil))
		}
		synctest.Wait()
		f.publish(t, event(7, "last", "invoice.paid", nil))
		synctest.Wait()

		if s, _ := f.store.Subscription(context.Background(), sub.ID); s.State != fattorino.GoneByAnswer {
			t.Fatalf("state = %s, want gone_410", s.State)
		}
		for _, d := range f.log(t, 7) {
			if d.State != fattorino.Discarded || d.Reason != fattorino.SinkGone {
				t.Errorf("delivery of %s = %s (%s), want discarded (gone)", d.Event.ID, d.State, d.Reason)
			}
		}
		before := len(receiver.received())
		f.publish(t, event(7, "after", "invoice.paid", nil))
		time.Sleep(time.Hour)
		synctest.Wait()
		if after := len(receiver.received()); after != before {
			t.Errorf("%d attempts after the subscription was gone", after-before)
		}
	})
}

func TestABacklogLargerThanMemoryIsDeliveredWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given a sink that is down while many more events come in than a lane
		// holds in memory,
		var up atomic.Bool
		receiver := &sink{answer: func(int, string, string) *fattorino.Answer {
			if up.Load() {
				return &fattorino.Answer{Status: 200}
			}
			return &fattorino.Answer{Failure: fattorino.FailedConnect}
		}}
		f := start(t, t.TempDir(), receiver, limits(engine.Limits{Lane: 2, Window: 8}))
		defer f.stop(t)
		f.subscribe(t, 7, "https://a.example", "invoice.paid")
		var batch []*fattorino.Event
		for i := range 200 {
			batch = append(batch, event(7, fmt.Sprint("e", i), "invoice.paid", nil))
		}
		if _, err := f.service.Publish(context.Background(), f.admin, batch); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		// when it comes back,
		up.Store(true)
		time.Sleep(10 * time.Minute)
		synctest.Wait()

		// then every one of them is delivered.
		log := f.log(t, 7)
		if len(log) != len(batch) {
			t.Fatalf("%d deliveries, want %d", len(log), len(batch))
		}
		for _, d := range log {
			if d.State != fattorino.Delivered {
				t.Errorf("%s is %s (%s) after %d attempts, due %v", d.Event.ID, d.State, d.Reason, d.Attempts, d.DueAt)
			}
		}
	})
}

func TestWhatIsPendingIsDeliveredAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		receiver := &sink{answer: func(int, string, string) *fattorino.Answer { return &fattorino.Answer{Status: 500} }}
		f := start(t, dir, receiver)
		f.subscribe(t, 7, "https://a.example", "invoice.paid")
		for i := range 30 {
			f.publish(t, event(7, fmt.Sprint("e", i), "invoice.paid", nil))
		}
		f.stop(t)

		f = start(t, dir, &sink{})
		defer f.stop(t)
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, d := range f.log(t, 7) {
			if d.State != fattorino.Delivered {
				t.Errorf("%s is %s after the restart", d.Event.ID, d.State)
			}
		}
	})
}
