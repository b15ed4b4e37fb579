package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// gauge counts what is in flight, and the most there ever was, by key.
type gauge struct {
	mu        sync.Mutex
	now, most map[string]int
}

func (g *gauge) enter(keys ...string) (leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.now == nil {
		g.now, g.most = map[string]int{}, map[string]int{}
	}
	for _, k := range keys {
		g.now[k]++
		g.most[k] = max(g.most[k], g.now[k])
	}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, k := range keys {
			g.now[k]--
		}
	}
}

// reset forgets the most there ever was.
func (g *gauge) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now, g.most = map[string]int{}, map[string]int{}
}

func limits(l engine.Limits) option {
	return func(c *setup) { c.Limits = l }
}

func TestAttemptsInFlightAreBoundedPerLaneHostAndNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gauge
		receiver := &sink{answer: func(_ int, url, _ string) *fattorino.Answer {
			leave := g.enter("node", url, url[:len("https://h1")])
			time.Sleep(time.Second)
			leave()
			return &fattorino.Answer{Status: 200}
		}}
		f := start(t, t.TempDir(), receiver, limits(engine.Limits{Lane: 3, Host: 4, Node: 6, Window: 16}))
		defer f.stop(t)
		for company, url := range map[int64]string{1: "https://h1/a", 2: "https://h1/b", 3: "https://h2/c", 4: "https://h3/d"} {
			f.subscribe(t, company, url, "invoice.paid")
		}
		time.Sleep(10 * time.Second) // the welcomes
		g.reset()
		for i := range 20 {
			for company := int64(1); company <= 4; company++ {
				f.publish(t, event(company, fmt.Sprint("e", i), "invoice.paid", nil))
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for key, want := range map[string]int{"node": 6, "https://h1": 4, "https://h1/a": 3, "https://h1/b": 3, "https://h2/c": 3} {
			if g.most[key] > want || g.most[key] == 0 {
				t.Errorf("%s: at most %d in flight at once, want 1 to %d", key, g.most[key], want)
			}
		}
		if g.most["node"] != 6 {
			t.Errorf("node: %d in flight at most, want its limit of 6 to be used", g.most["node"])
		}
		if n := len(receiver.received()); n != 80 {
			t.Errorf("%d received, want 80", n)
		}
	})
}

func TestAHangingSinkDelaysNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &sink{answer: func(_ int, url, _ string) *fattorino.Answer {
			if url == "https://hangs.example" {
				time.Sleep(10 * time.Second)
				return &fattorino.Answer{Failure: fattorino.FailedTimeout}
			}
			return &fattorino.Answer{Status: 200}
		}}
		f := start(t, t.TempDir(), receiver)
		defer f.stop(t)
		f.subscribe(t, 1, "https://hangs.example", "invoice.paid")
		f.app.App = 2 // another app
		f.subscribe(t, 1, "https://well.example", "invoice.paid")
		for i := range 100 {
			sent := time.Now()
			id := fmt.Sprint("e", i)
			f.publish(t, event(1, id, "invoice.paid", nil))
			synctest.Wait()
			if !arrived(receiver.received(), "https://well.example", id, sent) {
				t.Fatalf("%s did not reach the healthy sink at once", id)
			}
		}
	})
}

func arrived(all []got, url, id string, at time.Time) bool {
	for _, g := range all {
		if g.url == url && g.event == id && g.at.Equal(at) {
			return true
		}
	}
	return false
}

func TestASinkThatIsTooSlowGetsOneAttemptAtATimeUntilItRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gauge
		slow := true
		receiver := &sink{}
		receiver.answer = func(int, string, string) *fattorino.Answer {
			leave := g.enter("sink")
			defer leave()
			receiver.mu.Lock()
			hangs := slow
			receiver.mu.Unlock()
			if hangs {
				time.Sleep(10 * time.Second)
				return &fattorino.Answer{Failure: fattorino.FailedTimeout}
			}
			time.Sleep(time.Millisecond)
			return &fattorino.Answer{Status: 200}
		}
		f := start(t, t.TempDir(), receiver)
		defer f.stop(t)
		f.subscribe(t, 1, "https://a.example", "invoice.paid")
		for i := range 60 {
			f.publish(t, event(1, fmt.Sprint("e", i), "invoice.paid", nil))
		}
		time.Sleep(15 * time.Second) // the first ones have timed out
		g.mu.Lock()
		if g.now["sink"] != 1 {
			t.Errorf("%d in flight to a sink that hangs, want 1", g.now["sink"])
		}
		g.most = map[string]int{}
		g.mu.Unlock()
		receiver.mu.Lock()
		slow = false
		receiver.mu.Unlock()
		time.Sleep(time.Hour)
		synctest.Wait()
		if g.most["sink"] != engine.DefaultLimits().Lane {
			t.Errorf("at most %d in flight after it recovered, want %d", g.most["sink"], engine.DefaultLimits().Lane)
		}
	})
}

func TestCompaniesAreServedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &sink{answer: func(int, string, string) *fattorino.Answer {
			time.Sleep(time.Second)
			return &fattorino.Answer{Status: 200}
		}}
		f := start(t, t.TempDir(), receiver, limits(engine.Limits{Node: 1}))
		defer f.stop(t)
		// Given a company with a hundred events waiting on a node that sends one
		// at a time,
		f.subscribe(t, 1, "https://big.example", "invoice.paid")
		f.subscribe(t, 2, "https://small.example", "invoice.paid")
		time.Sleep(10 * time.Second)
		for i := range 100 {
			f.publish(t, event(1, fmt.Sprint("e", i), "invoice.paid", nil))
		}
		// when something happens at another company,
		begun := time.Now()
		f.publish(t, event(2, "small", "invoice.paid", nil))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		// then it is next in turn.
		for _, g := range receiver.received() {
			if g.event == "small" && g.at.Sub(begun) <= 2*time.Second {
				return
			}
		}
		t.Error("the small company waits behind the big one")
	})
}

func TestWhileTheStoreCannotWriteNothingIsAcceptedAndNothingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given attempts in flight when the store becomes unable to write,
		store := &failing{}
		receiver := &sink{answer: func(int, string, string) *fattorino.Answer {
			time.Sleep(time.Second)
			return &fattorino.Answer{Status: 200}
		}}
		f := start(t, t.TempDir(), receiver, func(c *setup) {
			c.wrap = func(s fattorino.Store) fattorino.Store { store.Store = s; return store }
		})
		defer f.stop(t)
		f.subscribe(t, 1, "https://a.example", "invoice.paid")
		time.Sleep(5 * time.Second)
		for i := range 20 {
			f.publish(t, event(1, fmt.Sprint("e", i), "invoice.paid", nil))
		}
		synctest.Wait()
		store.set(true)

		// then a publisher is told so, with the time to try again,
		_, err := f.service.Publish(context.Background(), f.admin, []*fattorino.Event{event(1, "refused", "invoice.paid", nil)})
		if e := fattorino.AsError(err); e.Kind != fattorino.Unavailable {
			t.Fatalf("publish: %v, want Unavailable", err)
		}
		// and nothing more is sent, for its result could not be written.
		time.Sleep(10 * time.Second)
		inFlight := len(receiver.received())
		time.Sleep(10 * time.Minute)
		if n := len(receiver.received()); n != inFlight {
			t.Errorf("%d attempts while the store could not write", n-inFlight)
		}

		// When it can again, it goes on by itself: all is delivered, once.
		store.set(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := receiver.received(); len(got) != 20 {
			t.Errorf("%d received, want 20: each once", len(got))
		}
		for _, d := range f.log(t, 1) {
			if d.State != fattorino.Delivered || d.Attempts != 1 {
				t.Errorf("%s is %s after %d attempts, want delivered after one", d.Event.ID, d.State, d.Attempts)
			}
		}
		if seq := f.publish(t, event(1, "again", "invoice.paid", nil)); seq != 21 {
			t.Errorf("seq = %d, want 21: the refused event left a gap", seq)
		}
	})
}

func TestARetryIsNotForgottenWhenAPublishHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &failing{}
		receiver := answersFirst(&fattorino.Answer{Status: 500})
		f := start(t, t.TempDir(), receiver, func(c *setup) {
			c.wrap = func(s fattorino.Store) fattorino.Store { store.Store = s; return store }
		})
		defer f.stop(t)
		f.subscribe(t, 1, "https://a.example", "invoice.paid")
		f.publish(t, event(1, "e", "invoice.paid", nil))
		synctest.Wait()
		// When the store fails for one publish only, and nothing else happens,
		store.set(true)
		if _, err := f.service.Publish(context.Background(), f.admin, []*fattorino.Event{event(1, "refused", "invoice.paid", nil)}); err == nil {
			t.Fatal("accepted by a store that cannot write")
		}
		store.set(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		// then the retry that was due meanwhile is made.
		if d := f.log(t, 1)[0]; d.State != fattorino.Delivered {
			t.Errorf("the delivery is %s after %d attempts, due %v", d.State, d.Attempts, d.DueAt)
		}
	})
}

// failing is the real store, whose writes can be made to fail.
type failing struct {
	fattorino.Store
	mu sync.Mutex
	on bool
}

func (s *failing) set(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = on
}

func (s *failing) fails() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.on {
		return &fattorino.Error{Kind: fattorino.Unavailable, Msg: "the disk is full"}
	}
	return nil
}

func (s *failing) Commit(ctx context.Context, b *fattorino.Batch) error {
	if err := s.fails(); err != nil {
		return err
	}
	return s.Store.Commit(ctx, b)
}

func (s *failing) Update(ctx context.Context, f func(fattorino.Tx) error) error {
	if err := s.fails(); err != nil {
		return err
	}
	return s.Store.Update(ctx, f)
}

// lagging is the real store, whose readings of what is due come late: they
// show what was there when they began.
type lagging struct{ fattorino.Store }

func (s *lagging) Due(ctx context.Context, subscription int64, limit int) ([]*fattorino.Delivery, error) {
	found, err := s.Store.Due(ctx, subscription, limit)
	time.Sleep(3 * time.Second)
	return found, err
}

func TestADeliveryIsNotAttemptedAgainOnAnOutdatedReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given two deliveries that failed and are due a little apart, and a
		// sink that takes two seconds to answer,
		var up atomic.Bool
		receiver := &sink{answer: func(int, string, string) *fattorino.Answer {
			if !up.Load() {
				return &fattorino.Answer{Status: 500}
			}
			time.Sleep(2 * time.Second)
			return &fattorino.Answer{Status: 200}
		}}
		f := start(t, t.TempDir(), receiver, func(c *setup) {
			c.wrap = func(s fattorino.Store) fattorino.Store { return &lagging{s} }
		})
		defer f.stop(t)
		f.subscribe(t, 1, "https://a.example", "invoice.paid")
		f.publish(t, event(1, "e1", "invoice.paid", nil))
		time.Sleep(4 * time.Second)
		f.publish(t, event(1, "e2", "invoice.paid", nil))
		// when the first is delivered while the second is being read,
		synctest.Wait()
		up.Store(true)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		// then each has been delivered, at its second attempt, and not again.
		for _, d := range f.log(t, 1) {
			if d.State != fattorino.Delivered || d.Attempts != 2 {
				t.Errorf("%s is %s after %d attempts, want delivered after 2", d.Event.ID, d.State, d.Attempts)
			}
		}
		if n := len(receiver.received()); n != 4 {
			t.Errorf("%d attempts, want 4", n)
		}
	})
}

// telling is the real store, which tells of a commit long after it is made: by
// then the rows have been read.
type telling struct{ fattorino.Store }

func (s *telling) Commit(ctx context.Context, b *fattorino.Batch) error {
	err := s.Store.Commit(ctx, b)
	time.Sleep(5 * time.Second)
	return err
}

func TestADeliveryReadBeforeItsCommitIsToldIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &sink{answer: func(int, string, string) *fattorino.Answer {
			time.Sleep(time.Second)
			return &fattorino.Answer{Status: 200}
		}}
		f := start(t, t.TempDir(), receiver, limits(engine.Limits{Lane: 1, Window: 8}), func(c *setup) {
			c.wrap = func(s fattorino.Store) fattorino.Store { return &telling{s} }
		})
		defer f.stop(t)
		f.subscribe(t, 1, "https://a.example", "invoice.paid")
		const requests, each = 4, 10
		for i := range requests {
			var batch []*fattorino.Event
			for j := range each {
				batch = append(batch, event(1, fmt.Sprintf("e%d-%d", i, j), "invoice.paid", nil))
			}
			go func() {
				if _, err := f.service.Publish(context.Background(), f.admin, batch); err != nil {
					t.Error(err)
				}
			}()
			time.Sleep(3 * time.Second)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := len(receiver.received()); n != requests*each {
			t.Errorf("%d attempts for %d deliveries", n, requests*each)
		}
	})
}

func TestWhatTheStoreRefusesForGoodDoesNotStopTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given a store that will not take the outcome of one delivery,
		f := start(t, t.TempDir(), &sink{}, func(c *setup) {
			c.wrap = func(s fattorino.Store) fattorino.Store { return &picky{s, "poison"} }
		})
		f.subscribe(t, 1, "https://a.example", "invoice.paid")
		for _, id := range []string{"a", "poison", "b", "c"} {
			f.publish(t, event(1, id, "invoice.paid", nil))
		}
		synctest.Wait()
		// then the others are recorded all the same,
		for _, d := range f.log(t, 1) {
			if want := d.Event.ID != "poison"; (d.State == fattorino.Delivered) != want {
				t.Errorf("%s is %s", d.Event.ID, d.State)
			}
		}
		// and events go on being accepted.
		f.publish(t, event(1, "d", "invoice.paid", nil))
		synctest.Wait()
		f.stop(t)
		// The next start takes up what was refused.
		f = start(t, f.dir, &sink{})
		defer f.stop(t)
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, d := range f.log(t, 1) {
			if d.State != fattorino.Delivered {
				t.Errorf("%s is %s after the restart", d.Event.ID, d.State)
			}
		}
	})
}

func TestAResendGoesOutAgainWithAllItsTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &sink{answer: func(int, string, string) *fattorino.Answer { return &fattorino.Answer{Status: 400} }}
		f := start(t, t.TempDir(), receiver)
		defer f.stop(t)
		f.subscribe(t, 1, "https://a.example", "invoice.paid")
		f.publish(t, event(1, "e", "invoice.paid", nil))
		synctest.Wait()
		refused := f.log(t, 1)[0]
		if refused.Reason != fattorino.Refused {
			t.Fatalf("delivery = %+v, want refused", refused)
		}
		receiver.mu.Lock()
		receiver.answer = func(n int, _, _ string) *fattorino.Answer {
			if n < 6 {
				return &fattorino.Answer{Status: 500}
			}
			return &fattorino.Answer{Status: 200}
		}
		receiver.mu.Unlock()
		if _, err := f.service.Resend(context.Background(), f.app, 1, refused.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		d, _, attempts, err := f.service.Delivery(context.Background(), f.app, 1, refused.ID)
		if err != nil || d.State != fattorino.Delivered || len(attempts) != d.Attempts {
			t.Fatalf("delivery = %+v with %d attempts kept, %v; want delivered", d, len(attempts), err)
		}
		for i, a := range attempts {
			if a.Number != i+1 {
				t.Errorf("attempt %d has number %d", i+1, a.Number)
			}
		}
	})
}

func TestRetentionDeletesWhatIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, t.TempDir(), &sink{}, func(c *setup) { c.Retention = 30 * 24 * time.Hour })
		defer f.stop(t)
		f.subscribe(t, 1, "https://a.example", "invoice.paid")
		f.publish(t, event(1, "old", "invoice.paid", nil))
		time.Sleep(29 * 24 * time.Hour)
		f.publish(t, event(1, "new", "invoice.paid", nil))
		synctest.Wait()
		if n := len(f.log(t, 1)); n != 2 {
			t.Fatalf("%d deliveries after 29 days, want 2", n)
		}
		time.Sleep(26 * time.Hour)
		synctest.Wait()
		if log := f.log(t, 1); len(log) != 1 || log[0].Event.ID != "new" {
			t.Errorf("log after 30 days = %v, want the new one alone", log)
		}
	})
}

func TestADisabledSubscriptionMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &sink{}
		f := start(t, t.TempDir(), receiver)
		defer f.stop(t)
		sub := f.subscribe(t, 1, "https://a.example", "invoice.paid")
		enable := func(on bool) {
			if _, _, err := f.service.ModifySubscription(context.Background(), f.app, 1, "plain", sub.ID, fattorino.SubscriptionChange{Enabled: &on}); err != nil {
				t.Fatal(err)
			}
		}
		enable(false)
		for i := range 5 {
			f.publish(t, event(1, fmt.Sprint("e", i), "invoice.paid", nil))
		}
		time.Sleep(24 * time.Hour)
		if n := len(receiver.received()); n != 0 {
			t.Fatalf("%d notifications while it was disabled", n)
		}
		enable(true)
		synctest.Wait()
		if n := len(receiver.received()); n != 5 {
			t.Errorf("%d notifications once it was enabled, want 5", n)
		}
	})
}

func TestASinkThatAsksToWaitIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := answersFirst(&fattorino.Answer{Status: 503, Header: []fattorino.Header{{Name: "Retry-After", Value: "10m"}}})
		f := start(t, t.TempDir(), receiver)
		defer f.stop(t)
		f.subscribe(t, 1, "https://a.example", "invoice.paid")
		synctest.Wait()
		begun := time.Now()
		f.publish(t, event(1, "busy", "invoice.paid", nil))
		synctest.Wait()
		f.publish(t, event(1, "next", "invoice.paid", nil))
		time.Sleep(time.Hour)
		synctest.Wait()
		got := receiver.received()
		if len(got) != 3 {
			t.Fatalf("%d attempts, want 3", len(got))
		}
		for _, g := range got[1:] {
			if wait := g.at.Sub(begun); wait < 10*time.Minute || wait > 11*time.Minute {
				t.Errorf("%s came again after %v, want 10 minutes", g.event, wait)
			}
		}
	})
}

func TestAPaceIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &sink{}
		f := start(t, t.TempDir(), receiver)
		defer f.stop(t)
		sub := f.subscribe(t, 1, "https://a.example", "invoice.paid")
		paced := fattorino.Options{Rate: 120} // two in a second
		if _, _, err := f.service.ModifySubscription(context.Background(), f.app, 1, "plain", sub.ID, fattorino.SubscriptionChange{Options: &paced}); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		for i := range 20 {
			f.publish(t, event(1, fmt.Sprint("e", i), "invoice.paid", nil))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		got := receiver.received()
		if len(got) != 20 {
			t.Fatalf("%d received, want 20", len(got))
		}
		if took := got[19].at.Sub(begun); took < 8*time.Second || took > 11*time.Second {
			t.Errorf("20 at two a second took %v", took)
		}
	})
}

func TestASubscriptionWithADateEndsAtIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, t.TempDir(), &sink{})
		defer f.stop(t)
		sub := f.subscribe(t, 1, "https://a.example", "invoice.paid")
		ends := fattorino.Options{EndsAt: time.Now().Add(24 * time.Hour)}
		if _, _, err := f.service.ModifySubscription(context.Background(), f.app, 1, "plain", sub.ID, fattorino.SubscriptionChange{Options: &ends}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24*time.Hour - time.Second)
		if s, _ := f.store.Subscription(context.Background(), sub.ID); s.State != fattorino.Active {
			t.Errorf("state a second before = %s, want active", s.State)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s, _ := f.store.Subscription(context.Background(), sub.ID); s.State != fattorino.Expired {
			t.Errorf("state = %s, want expired", s.State)
		}
	})
}

func TestABatchGoesOutFullOrWhenItsFirstHasWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := true
		receiver := &sink{}
		receiver.answer = func(_ int, _, events string) *fattorino.Answer {
			receiver.mu.Lock()
			defer receiver.mu.Unlock()
			if strings.HasPrefix(events, "e10") && fail {
				fail = false
				return &fattorino.Answer{Status: 500}
			}
			return &fattorino.Answer{Status: 200}
		}
		f := start(t, t.TempDir(), receiver)
		defer f.stop(t)
		sub := f.subscribe(t, 1, "https://a.example", "invoice.paid")
		batches := fattorino.Options{BatchSize: 5, BatchLinger: time.Second}
		if _, _, err := f.service.ModifySubscription(context.Background(), f.app, 1, "plain", sub.ID, fattorino.SubscriptionChange{Options: &batches}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		begun := time.Now()
		for i := 10; i < 23; i++ {
			f.publish(t, event(1, fmt.Sprint("e", i), "invoice.paid", nil))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		// The first five fail and come again together; the last three go out a
		// second after the first of them came.
		var got []string
		for _, g := range receiver.received() {
			when := "late"
			switch after := g.at.Sub(begun); {
			case after < 500*time.Millisecond:
				when = "at once"
			case after > time.Second && after < 1500*time.Millisecond:
				when = "after a second"
			case after > 4500*time.Millisecond && after < 5600*time.Millisecond: // 5 s ± 10 % from the first answer
				when = "after five"
			}
			got = append(got, g.event+" "+when)
		}
		want := []string{"e10 e11 e12 e13 e14 at once", "e15 e16 e17 e18 e19 at once", "e20 e21 e22 after a second", "e10 e11 e12 e13 e14 after five"}
		if strings.Join(got, "; ") != strings.Join(want, "; ") {
			t.Errorf("received %v, want %v", got, want)
		}
		for _, d := range f.log(t, 1) {
			if d.State != fattorino.Delivered {
				t.Errorf("%s is %s", d.Event.ID, d.State)
			}
		}
		// The request of a batch is kept once.
		second := f.log(t, 1)[1]
		_, _, attempts, err := f.service.Delivery(context.Background(), f.app, 1, second.ID)
		if err != nil || len(attempts) != 2 || attempts[0].BatchOf != second.ID-1 || len(attempts[0].Request.Header) != 0 {
			t.Errorf("attempts of the second of a batch = %+v, %v; want them to refer to the first", attempts, err)
		}
	})
}

func TestAWaitThatIsAskedForHoldsForAWholeBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &sink{answer: func(_ int, _, events string) *fattorino.Answer {
			if strings.HasPrefix(events, "welcome-") {
				return &fattorino.Answer{Status: 200}
			}
			return &fattorino.Answer{Status: 503, Header: []fattorino.Header{{Name: "Retry-After", Value: "1h"}}}
		}}
		f := start(t, t.TempDir(), receiver)
		defer f.stop(t)
		sub := f.subscribe(t, 1, "https://a.example", "invoice.paid")
		batches := fattorino.Options{BatchSize: 3, BatchLinger: time.Second}
		if _, _, err := f.service.ModifySubscription(context.Background(), f.app, 1, "plain", sub.ID, fattorino.SubscriptionChange{Options: &batches}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for i := range 3 {
			f.publish(t, event(1, fmt.Sprint("e", i), "invoice.paid", nil))
		}
		synctest.Wait()
		for _, d := range f.log(t, 1) {
			if d.Attempts != 1 || time.Until(d.DueAt).Round(time.Second) != time.Hour {
				t.Errorf("%s is due at %v after %d attempts, want in an hour after one", d.Event.ID, d.DueAt, d.Attempts)
			}
		}
	})
}

func TestTheAnswerOfASinkThatWasLeftSaysNothingOfTheNewOne(t *testing.T) {
	for name, status := range map[string]int{"gone": 410, "refused": 404, "failed": 500} {
		synctest.Test(t, func(t *testing.T) {
			// Given an attempt in flight to a sink that is about to be left,
			receiver := &sink{answer: func(_ int, url, event string) *fattorino.Answer {
				if url != "https://old.example" || strings.HasPrefix(event, "welcome-") {
					return &fattorino.Answer{Status: 200}
				}
				time.Sleep(5 * time.Second)
				return &fattorino.Answer{Status: status}
			}}
			f := start(t, t.TempDir(), receiver)
			defer f.stop(t)
			sub := f.subscribe(t, 1, "https://old.example", "invoice.paid")
			f.publish(t, event(1, "e", "invoice.paid", nil))
			synctest.Wait()
			// when the sink has moved before the old one answers,
			moved := "https://new.example"
			if _, _, err := f.service.ModifySubscription(context.Background(), f.app, 1, "plain", sub.ID, fattorino.SubscriptionChange{Sink: &moved}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
			// then the event is delivered to the new one, and the subscription lives.
			s, _ := f.store.Subscription(context.Background(), sub.ID)
			if s.State != fattorino.Active || !s.ExpiresAt.IsZero() {
				t.Errorf("%s: the subscription is %s, expires %v", name, s.State, s.ExpiresAt)
			}
			if d := f.log(t, 1)[0]; d.State != fattorino.Delivered || d.Attempts != 2 {
				t.Errorf("%s: the delivery is %s after %d attempts, want delivered after 2", name, d.State, d.Attempts)
			}
		})
	}
}

func TestWhatCannotBeToldIsDiscardedAndWhatCannotBeSignedYetIsPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rules := newPlain(t)
		f := start(t, t.TempDir(), &sink{}, func(c *setup) { c.Contracts = []fattorino.Contract{rules} })
		defer f.stop(t)
		f.subscribe(t, 1, "https://a.example", "invoice.paid")
		f.publish(t, event(1, "unfit", "invoice.paid", "unfit"))
		f.publish(t, event(1, "locked", "invoice.paid", "locked"))
		synctest.Wait()
		log := f.log(t, 1)
		if log[0].Reason != fattorino.Unfit || log[1].State != fattorino.Pending || log[1].DueAt.IsZero() {
			t.Fatalf("log = %+v, %+v; want one unfit, one due again", log[0], log[1])
		}
		rules.unlocked.Store(true)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if d := f.log(t, 1)[1]; d.State != fattorino.Delivered || d.Attempts != 1 {
			t.Errorf("the delivery put off is %s after %d attempts, want delivered after 1", d.State, d.Attempts)
		}
	})
}

// lying is the real store, but for one commit, of which it says that it failed
// after it was written: as when the connection to a database breaks.
type lying struct {
	fattorino.Store
	lie atomic.Bool
}

func (s *lying) Commit(ctx context.Context, b *fattorino.Batch) error {
	err := s.Store.Commit(ctx, b)
	if len(b.Publishes) > 0 && s.lie.CompareAndSwap(true, false) {
		return fattorino.Errorf(fattorino.Unavailable, "the connection broke")
	}
	return err
}

func TestWhatWasWrittenThoughItWasToldAsFailedIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given a store that writes an event and says that it could not,
		liar := &lying{}
		receiver := &sink{}
		f := start(t, t.TempDir(), receiver, func(c *setup) {
			c.wrap = func(s fattorino.Store) fattorino.Store { liar.Store = s; return liar }
		})
		defer f.stop(t)
		f.subscribe(t, 1, "https://a.example", "invoice.paid")
		synctest.Wait()
		liar.lie.Store(true)
		if _, err := f.service.Publish(context.Background(), f.admin, []*fattorino.Event{event(1, "doubtful", "invoice.paid", nil)}); err == nil {
			t.Fatal("the publisher was not told")
		}
		// when it works again,
		time.Sleep(time.Minute)
		f.publish(t, event(1, "next", "invoice.paid", nil))
		seq := f.publish(t, event(1, "doubtful", "invoice.paid", nil)) // the publisher tries again
		synctest.Wait()
		// then both are delivered, once.
		var events []string
		for _, g := range receiver.received() {
			if !strings.HasPrefix(g.event, "welcome-") {
				events = append(events, g.event)
			}
		}
		slices.Sort(events)
		if seq != 1 || !slices.Equal(events, []string{"doubtful", "next"}) {
			t.Errorf("seq %d, received %v", seq, events)
		}
	})
}

// adverse is the real store, which takes no outcome of an attempt, and thinks
// about the first for long.
type adverse struct {
	fattorino.Store
	thought atomic.Bool
}

func (s *adverse) Commit(ctx context.Context, b *fattorino.Batch) error {
	if len(b.Outcomes) == 0 {
		return s.Store.Commit(ctx, b)
	}
	if !s.thought.Swap(true) {
		time.Sleep(10 * time.Second)
	}
	return errors.New("it does not fit")
}

func TestAttemptsGoOnWhenAllThatWaitedToBeWrittenIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given more deliveries than may wait to be written, none of which the store
		// takes,
		const sinks, events = 300, 5
		up := make(chan struct{})
		receiver := &sink{answer: func(int, string, string) *fattorino.Answer {
			<-up
			return &fattorino.Answer{Status: 200}
		}}
		f := start(t, t.TempDir(), receiver, func(c *setup) {
			c.wrap = func(s fattorino.Store) fattorino.Store { return &adverse{Store: s} }
		})
		defer f.stop(t)
		f.fill(t, sinks, events, hostOfItsOwn)
		synctest.Wait()
		// when all sinks answer,
		close(up)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		// then each is told of everything, once.
		if n := len(receiver.received()); n != sinks*events {
			t.Errorf("%d attempts for %d deliveries", n, sinks*events)
		}
	})
}
