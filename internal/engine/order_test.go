package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// ordered makes a subscription with an ordering.
func (f *fixture) ordered(t *testing.T, o fattorino.Ordering) *fattorino.Subscription {
	t.Helper()
	sub, _, err := f.service.Subscribe(context.Background(), f.app, fattorino.NewSubscription{
		Company: 1, Contract: "plain", Sink: "https://a.example", Types: []string{"invoice.paid"}, Options: fattorino.Options{Ordering: o},
	})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // the welcome
	return sub
}

// about makes event n about an invoice.
func about(invoice, n int) *fattorino.Event {
	return event(1, fmt.Sprintf("%d#%d", invoice, n), "invoice.paid", map[string]any{"id": invoice})
}

// invoiceOf gives the invoice that an event made by about is about.
func invoiceOf(event string) string {
	invoice, _, _ := strings.Cut(event, "#")
	return invoice
}

func TestAFailingEntityDelaysNoOtherHoweverManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given a sink that fails for invoice 42, of which far more events wait
		// than the lane holds in memory,
		var well atomic.Bool
		receiver := &sink{answer: func(_ int, _, event string) *fattorino.Answer {
			if invoiceOf(event) == "42" && !well.Load() {
				return &fattorino.Answer{Status: 500}
			}
			return &fattorino.Answer{Status: 200}
		}}
		f := start(t, t.TempDir(), receiver, limits(engine.Limits{Window: 8}))
		defer f.stop(t)
		f.ordered(t, fattorino.ByEntity)
		for n := range 50 {
			f.publish(t, about(42, n))
		}
		// when something happens to invoice 43,
		begun := time.Now()
		f.publish(t, about(43, 0))
		synctest.Wait()
		// then it is told at once, and of 42 the first alone was tried.
		if !arrived(receiver.received(), "https://a.example", "43#0", begun) {
			t.Error("invoice 43 waits for invoice 42")
		}
		states := map[fattorino.DeliveryState]int{}
		for _, d := range f.log(t, 1) {
			states[d.State]++
		}
		if states[fattorino.Pending] != 1 || states[fattorino.Waiting] != 49 || states[fattorino.Delivered] != 1 {
			t.Errorf("states = %v, want 1 pending, 49 waiting, 1 delivered", states)
		}
		// When the sink is well again, all of 42 arrives in order.
		well.Store(true)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		var got []string
		for _, d := range f.log(t, 1) {
			if d.State != fattorino.Delivered {
				t.Errorf("%s is %s", d.Event.ID, d.State)
			}
		}
		for _, g := range receiver.received() {
			if invoiceOf(g.event) == "42" {
				got = append(got, g.event)
			}
		}
		if want := 51; len(got) != want { // the first came twice
			t.Errorf("%d attempts for invoice 42, want %d", len(got), want)
		}
		checkOrder(t, receiver.received(), invoiceOf)
	})
}

// What comes after a delivery that the store does not let wait is not let wait
// either: at the next start it would be the one that waits, and come first.
func TestOrderIsKeptWhereTheStoreRefusesToLetOneWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given a sink that fails once, a store that does not take what becomes of one
		// delivery, and events about an invoice before and after it,
		var failed atomic.Bool
		receiver := &sink{answer: func(_ int, _, event string) *fattorino.Answer {
			if event == "42#0" && !failed.Swap(true) {
				return &fattorino.Answer{Status: 500}
			}
			return &fattorino.Answer{Status: 200}
		}}
		f := start(t, t.TempDir(), receiver, func(c *setup) {
			c.wrap = func(s fattorino.Store) fattorino.Store { return &picky{s, "42#1"} }
		})
		f.ordered(t, fattorino.ByEntity)
		begun := time.Now()
		for n := range 3 {
			f.publish(t, about(42, n))
		}
		f.publish(t, about(43, 0))
		synctest.Wait()
		f.publish(t, about(42, 3))
		time.Sleep(time.Minute)
		synctest.Wait()
		// then another invoice is told of all the same, and of this one what was
		// before it.
		if !arrived(receiver.received(), "https://a.example", "43#0", begun) {
			t.Error("invoice 43 waits for invoice 42")
		}
		if got := receiver.received(); len(got) != 3 {
			t.Errorf("%v arrived", got)
		}
		f.stop(t)

		// when the program starts again, with all well, everything arrives in order.
		well := &sink{}
		f = start(t, f.dir, well)
		defer f.stop(t)
		time.Sleep(time.Hour)
		synctest.Wait()
		for _, d := range f.log(t, 1) {
			if d.State != fattorino.Delivered {
				t.Errorf("%s is %s after the restart", d.Event.ID, d.State)
			}
		}
		checkOrder(t, well.received(), invoiceOf)
	})
}

// picky is the real store, but for the outcomes of one event's delivery, which
// it refuses.
type picky struct {
	fattorino.Store
	event string
}

func (s *picky) Commit(ctx context.Context, b *fattorino.Batch) error {
	for _, o := range b.Outcomes {
		if o.Delivery.Event.ID == s.event {
			return errors.New("no")
		}
	}
	return s.Store.Commit(ctx, b)
}

// checkOrder checks that the attempts for each entity never go back: no event
// is attempted before the one before it is done with, and none after a later.
func checkOrder(t *testing.T, attempts []got, entity func(event string) string) {
	t.Helper()
	last := map[string]int{}
	for _, a := range attempts {
		_, number, _ := strings.Cut(a.event, "#")
		var n int
		if _, err := fmt.Sscan(number, &n); err != nil {
			t.Fatal(err)
		}
		key := entity(a.event)
		if n < last[key] {
			t.Errorf("%s was attempted after #%d", a.event, last[key])
		}
		last[key] = max(last[key], n)
	}
}

// Whatever fails, whenever the program restarts, whether the subscription was
// disabled or deleted in between: order is kept, and everything arrives or is
// given up.
func TestOrderIsKeptThroughFailuresAndRestarts(t *testing.T) {
	for _, ordering := range []fattorino.Ordering{fattorino.ByEntity, fattorino.Latest, fattorino.Strict} {
		for seed := range uint64(6) {
			t.Run(fmt.Sprintf("%s, seed %d", ordering, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { playOrder(t, ordering, seed) })
			})
		}
	}
}

func playOrder(t *testing.T, ordering fattorino.Ordering, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	draws := make([]int, 4096)
	for i := range draws {
		draws[i] = random.IntN(100)
	}
	receiver := &sink{}
	receiver.answer = func(n int, _, event string) *fattorino.Answer {
		draw := draws[n%len(draws)]
		time.Sleep(time.Duration(draw) * time.Millisecond)
		switch {
		case strings.HasPrefix(event, "welcome-") || draw < 70:
			return &fattorino.Answer{Status: 200}
		case draw < 95:
			return &fattorino.Answer{Status: 503}
		}
		return &fattorino.Answer{Status: 400}
	}
	dir, small := t.TempDir(), limits(engine.Limits{Lane: 4, Window: 4})
	f := start(t, dir, receiver, small)
	sub := f.ordered(t, ordering)
	published := 0
	for round := range 4 {
		for range 15 {
			if random.IntN(5) == 0 {
				f.pauseFor(t, sub, random.IntN(2) == 0, func() { time.Sleep(time.Duration(random.IntN(8000)) * time.Millisecond) })
			}
			f.publish(t, about(random.IntN(4), published))
			published++
			time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
		}
		time.Sleep(time.Duration(random.IntN(20)) * time.Second)
		if round < 3 {
			f.stop(t)
			f = start(t, dir, receiver, small)
		}
	}
	defer func() { f.stop(t) }()
	time.Sleep(24 * time.Hour)
	synctest.Wait()

	entity := invoiceOf
	if ordering == fattorino.Strict {
		entity = func(string) string { return "all" }
	}
	checkOrder(t, receiver.received(), entity)
	log := f.log(t, 1)
	if len(log) != published {
		t.Errorf("%d deliveries for %d events", len(log), published)
	}
	last := map[string]string{}
	for _, d := range log {
		last[invoiceOf(d.Event.ID)] = d.Event.ID
	}
	for _, d := range log {
		if d.State != fattorino.Delivered && d.State != fattorino.Discarded {
			t.Errorf("%s is %s after a day, %d attempts, due %v", d.Event.ID, d.State, d.Attempts, d.DueAt)
		}
		if d.Reason == fattorino.Superseded && (ordering != fattorino.Latest || last[invoiceOf(d.Event.ID)] == d.Event.ID) {
			t.Errorf("%s is superseded, and there is nothing newer that may take its place", d.Event.ID)
		}
	}
}

// pauseFor has nothing sent meanwhile, by a deletion that is taken back or by
// disabling the subscription.
func (f *fixture) pauseFor(t *testing.T, sub *fattorino.Subscription, deleted bool, meanwhile func()) {
	t.Helper()
	if deleted {
		f.remove(t, sub)
		meanwhile()
		f.restore(t, sub)
		return
	}
	for _, enabled := range []bool{false, true} {
		_, _, err := f.service.ModifySubscription(context.Background(), f.app, sub.Company, sub.Contract, sub.ID, fattorino.SubscriptionChange{Enabled: &enabled})
		if err != nil {
			t.Fatal(err)
		}
		if !enabled {
			meanwhile()
		}
	}
}

func TestOfWhatWaitsTheLatestAloneIsSent(t *testing.T) {
	for name, restart := range map[string]bool{"in one go": false, "through a restart": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// Given a subscription to the latest state, whose sink refuses invoice 1
				// for a while,
				begun := time.Now()
				receiver := &sink{answer: func(_ int, _, event string) *fattorino.Answer {
					if invoiceOf(event) == "1" && time.Since(begun) < 20*time.Second {
						return &fattorino.Answer{Status: 503}
					}
					return &fattorino.Answer{Status: 200}
				}}
				dir := t.TempDir()
				f := start(t, dir, receiver)
				f.ordered(t, fattorino.Latest)
				// when its state changes five times meanwhile, and that of another once,
				for n := range 3 {
					f.publish(t, about(1, n))
					synctest.Wait()
				}
				if restart {
					f.stop(t)
					f = start(t, dir, receiver)
				}
				f.publish(t, about(2, 3))
				f.publish(t, about(1, 4))
				f.publish(t, about(1, 5))
				time.Sleep(time.Hour)
				synctest.Wait()
				defer f.stop(t)

				// then the last state is sent, the other at once, and the log says which
				// were skipped.
				var states []string
				for _, d := range f.log(t, 1) {
					states = append(states, strings.TrimSpace(fmt.Sprintf("%s %s %s", d.Event.ID, d.State, d.Reason)))
				}
				want := []string{
					"1#0 discarded superseded", "1#1 discarded superseded", "1#2 discarded superseded",
					"2#3 delivered", "1#4 discarded superseded", "1#5 delivered",
				}
				if !slices.Equal(states, want) {
					t.Errorf("the log says %q, want %q", states, want)
				}
			})
		})
	}
}

// What was skipped stays so, also where it is being looked up whose turn it is
// while that is written.
func TestWhatIsSkippedWhileItIsLookedUpStaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given a sink that takes one at a time, and has refused invoice 1 once, of
		// which a later state waits,
		refused := false
		receiver := &sink{answer: func(_ int, _, event string) *fattorino.Answer {
			switch {
			case event == "1#0" && !refused:
				refused = true
				return &fattorino.Answer{Status: 503}
			case event == "2#3":
				time.Sleep(9 * time.Second)
			}
			return &fattorino.Answer{Status: 200}
		}}
		store := &leisurely{looking: make(chan struct{}, 100)}
		f := start(t, t.TempDir(), receiver, limits(engine.Limits{Lane: 1}), func(c *setup) {
			c.wrap = func(s fattorino.Store) fattorino.Store { store.Store = s; return store }
		})
		defer f.stop(t)
		f.ordered(t, fattorino.Latest)
		f.publish(t, about(1, 0))
		f.publish(t, about(1, 1))
		synctest.Wait()
		store.slow.Store(true)

		// when a still later one comes while that is looked up, and another invoice
		// takes its time,
		<-store.looking
		_, err := f.service.Publish(context.Background(), f.admin, []*fattorino.Event{about(1, 2), about(2, 3)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()

		// then the one between them is skipped.
		var states []string
		for _, d := range f.log(t, 1) {
			states = append(states, strings.TrimSpace(fmt.Sprintf("%s %s %s", d.Event.ID, d.State, d.Reason)))
		}
		if want := []string{"1#0 discarded superseded", "1#1 discarded superseded", "1#2 delivered", "2#3 delivered"}; !slices.Equal(states, want) {
			t.Errorf("the log says %q, want %q", states, want)
		}
	})
}

// What is sent again while it is still looked up who comes after it waits for
// that alone, and goes out then.
func TestAResendDuringTheLookUpAfterItGoesOut(t *testing.T) {
	for _, ordering := range []fattorino.Ordering{fattorino.ByEntity, fattorino.Latest, fattorino.Strict} {
		t.Run(string(ordering), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// Given an event that was taken at the second try, with nothing that waits
				// for it,
				var refused atomic.Bool
				receiver := &sink{answer: func(_ int, _, event string) *fattorino.Answer {
					if event == "1#0" && !refused.Swap(true) {
						return &fattorino.Answer{Status: 503}
					}
					return &fattorino.Answer{Status: 200}
				}}
				store := &leisurely{looking: make(chan struct{}, 100)}
				f := start(t, t.TempDir(), receiver, func(c *setup) {
					c.wrap = func(s fattorino.Store) fattorino.Store { store.Store = s; return store }
				})
				defer f.stop(t)
				f.ordered(t, ordering)
				f.publish(t, about(1, 0))
				synctest.Wait()
				store.slow.Store(true)
				<-store.looking
				synctest.Wait()

				// when it is sent again before that is known,
				delivered := f.log(t, 1)[0]
				if delivered.State != fattorino.Delivered {
					t.Fatalf("the event is %s", delivered.State)
				}
				if _, err := f.service.Resend(context.Background(), f.app, 1, delivered.ID); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				synctest.Wait()

				// then it arrives once more.
				told := 0
				for _, g := range receiver.received() {
					if g.event == "1#0" {
						told++
					}
				}
				if told != 3 {
					t.Errorf("%d attempts, want 3", told)
				}
				if again := f.log(t, 1)[0]; again.State != fattorino.Delivered {
					t.Errorf("the event is %s", again.State)
				}
			})
		})
	}
}

// leisurely is the real store, which takes its time when told so.
type leisurely struct {
	fattorino.Store
	slow    atomic.Bool
	looking chan struct{} // receives for each look-up begun meanwhile
}

func (s *leisurely) Commit(ctx context.Context, b *fattorino.Batch) error {
	if s.slow.Load() {
		time.Sleep(2 * time.Second)
	}
	return s.Store.Commit(ctx, b)
}

func (s *leisurely) Waiting(ctx context.Context, subscription, waitsFor int64, limit int) ([]*fattorino.Delivery, error) {
	found, err := s.Store.Waiting(ctx, subscription, waitsFor, limit)
	if s.slow.Load() {
		s.looking <- struct{}{}
		time.Sleep(3 * time.Second)
	}
	return found, err
}

func TestAGoneSubscriptionLeavesNothingWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &sink{answer: func(int, string, string) *fattorino.Answer { return &fattorino.Answer{Status: 500} }}
		dir := t.TempDir()
		f := start(t, dir, receiver, limits(engine.Limits{Window: 8}))
		sub := f.ordered(t, fattorino.ByEntity)
		for n := range 30 {
			f.publish(t, about(n%2, n))
		}
		synctest.Wait()
		f.remove(t, sub)
		time.Sleep(fattorino.UndoFor - time.Second)
		f.stop(t) // what is left is discarded after the restart
		f = start(t, dir, receiver)
		defer func() { f.stop(t) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		states := []string{}
		for _, d := range f.log(t, 1) {
			states = append(states, d.State.String())
		}
		slices.Sort(states)
		if states = slices.Compact(states); len(states) != 1 || states[0] != "discarded" {
			t.Errorf("states = %v, want all discarded", states)
		}
	})
}
