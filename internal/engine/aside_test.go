package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// What is in a lane's window when it is not served any more is found again,
// whatever had brought it there: each of these would be lost, or sent twice, by
// a lane that is not careful.

// unhurried is a sink that needs ten seconds for what it does not refuse, which
// are the events in first when they come for the first time.
func unhurried(first ...string) *sink {
	refuse := map[string]bool{}
	for _, event := range first {
		refuse[event] = true
	}
	receiver := &sink{}
	receiver.answer = func(_ int, _, event string) *fattorino.Answer {
		receiver.mu.Lock()
		refused := refuse[event]
		delete(refuse, event)
		receiver.mu.Unlock()
		if refused {
			return &fattorino.Answer{Status: 503}
		}
		time.Sleep(10 * time.Second)
		return &fattorino.Answer{Status: 200}
	}
	return receiver
}

// events gives the events of attempts, in order.
func events(attempts []got) (all []string) {
	for _, a := range attempts {
		all = append(all, a.event)
	}
	return all
}

// wantResumed checks that nothing begins while the subscription is deleted, and
// what is sent once that is taken back.
func (s *scene) wantResumed(t *testing.T, after time.Duration, want ...string) {
	t.Helper()
	s.remove(t, s.sub)
	before := len(s.receiver.received())
	time.Sleep(after)
	if n := len(s.receiver.received()); n != before {
		t.Errorf("%d attempts while it was deleted", n-before)
	}
	s.restore(t, s.sub)
	time.Sleep(5 * time.Minute)
	synctest.Wait()
	if diff := cmp.Diff(want, events(s.receiver.received()[before:])); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

func TestWhatIsDueAndSetAsideIsSentLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given two deliveries that have failed and are due again, of which one is
		// under way and the other in the window,
		f := play(t, fattorino.Unordered, unhurried("1#0", "2#1"), limits(engine.Limits{Lane: 1}))
		time.Sleep(time.Minute)
		f.publish(t, about(1, 0))
		f.publish(t, about(2, 1))
		time.Sleep(8 * time.Second)
		if n := len(f.receiver.received()); n != 3 {
			t.Fatalf("%d attempts, want three", n)
		}
		under := f.receiver.received()[2].event
		// when the subscription comes back, then that one is sent.
		want := map[string]string{"1#0": "2#1", "2#1": "1#0"}[under]
		f.wantResumed(t, time.Minute, want)
	})
}

func TestWhatHasItsTurnAndIsSetAsideIsSentLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given a delivery that has waited for another about the same invoice, and
		// has its turn, but not before one of another invoice has ended,
		f := play(t, fattorino.ByEntity, unhurried("1#0"), limits(engine.Limits{Lane: 1}))
		time.Sleep(time.Minute)
		f.publish(t, about(1, 0))
		f.publish(t, about(1, 1))
		time.Sleep(8 * time.Second)
		f.publish(t, about(2, 2))
		time.Sleep(10 * time.Second)
		if diff := cmp.Diff([]string{"1#0", "1#0", "2#2"}, events(f.receiver.received())); diff != "" {
			t.Fatalf("attempts (-want +got):\n%s", diff)
		}
		// when the subscription comes back, then it is sent.
		f.wantResumed(t, time.Minute, "1#1")
	})
}

func TestWhatIsSetAsideDuringAReadingIsSentLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given a lane that is being read from a store that takes its time, with
		// something in its window,
		store := &reluctant{}
		f := play(t, fattorino.Unordered, unhurried(), limits(engine.Limits{Lane: 1, Window: 4}), func(c *setup) {
			c.wrap = func(s fattorino.Store) fattorino.Store { store.Store = s; return store }
		})
		time.Sleep(time.Minute)
		var want []string
		for n := range 10 {
			f.publish(t, about(n, n))
			want = append(want, about(n, n).ID)
		}
		store.slow.Store(true)
		for !store.reading.Load() {
			time.Sleep(time.Second)
		}
		sent := len(f.receiver.received())
		if sent > 4 {
			t.Fatalf("%d were sent before more was read", sent)
		}
		// when the subscription comes back, then all is sent, each once.
		f.wantResumed(t, time.Minute, want[sent:]...)
	})
}

// reluctant is the real store, which needs five seconds to read what was never
// tried once it is slow.
type reluctant struct {
	fattorino.Store
	slow, reading atomic.Bool
}

func (s *reluctant) Fresh(ctx context.Context, subscription, after int64, limit int) ([]*fattorino.Delivery, error) {
	found, err := s.Store.Fresh(ctx, subscription, after, limit)
	if s.slow.Load() {
		s.reading.Store(true)
		time.Sleep(5 * time.Second)
	}
	return found, err
}

func TestWhatIsUnderWayIsNotReadAgainWithWhatWasSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given two attempts under way, and in the window an older delivery than the
		// second of them: it waits for the first,
		f := play(t, fattorino.ByEntity, unhurried())
		for n := range 4 { // it answers, and may be called by more at a time
			f.publish(t, about(n, n))
		}
		time.Sleep(time.Minute)
		f.publish(t, about(1, 4))
		f.publish(t, about(1, 5))
		f.publish(t, about(2, 6))
		time.Sleep(time.Second)
		if n := len(f.receiver.received()); n != 6 {
			t.Fatalf("%d attempts, want six", n)
		}
		// when the subscription comes back while they are under way, then that one
		// is sent after them, and nothing else.
		f.wantResumed(t, time.Second, "1#5")
	})
}
