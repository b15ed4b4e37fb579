package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// downUntil gives a receiver that refuses connections until it is up, and then
// takes a second to answer.
func downUntil(up *atomic.Bool) *sink {
	return &sink{answer: func(int, string, string) *fattorino.Answer {
		if !up.Load() {
			return &fattorino.Answer{Failure: fattorino.FailedConnect}
		}
		time.Sleep(time.Second)
		return &fattorino.Answer{Status: 200}
	}}
}

// fill makes subscriptions at the sinks, each of a company of its own, and
// publishes events for each.
func (f *fixture) fill(t *testing.T, sinks, events int, sink func(i int) string) {
	t.Helper()
	for i := range sinks {
		f.subscribe(t, int64(1+i), sink(i), "invoice.paid")
	}
	f.flood(t, sinks, events, "e")
}

// flood publishes events for each of the companies.
func (f *fixture) flood(t *testing.T, companies, events int, prefix string) {
	t.Helper()
	for i := range companies {
		batch := make([]*fattorino.Event, events)
		for e := range batch {
			batch[e] = event(int64(1+i), fmt.Sprint(prefix, e), "invoice.paid", nil)
		}
		if _, err := f.service.Publish(context.Background(), f.admin, batch); err != nil {
			t.Fatal(err)
		}
	}
}

func hostOfItsOwn(i int) string { return fmt.Sprintf("https://h%d.example", i) }

func TestSinksThatAreDownTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given many sinks that are down, and something for each,
		var up atomic.Bool
		receiver := downUntil(&up)
		f := start(t, t.TempDir(), receiver, limits(engine.Limits{Silent: 2}))
		defer f.stop(t)
		const sinks = 30
		f.fill(t, sinks, 100, hostOfItsOwn)
		time.Sleep(2 * time.Minute)
		// when that lasts,
		before := len(receiver.received())
		time.Sleep(5 * time.Minute)
		attempts := receiver.received()[before:]

		// then all of them together are called as often as they may,
		if n, most := len(attempts), 5*60*2; n > most+sinks || n < most-sinks {
			t.Errorf("%d attempts in five minutes, want about %d", n, most)
		}
		// and each in its turn.
		calls := map[string]int{}
		for _, a := range attempts {
			calls[a.url]++
		}
		for url, n := range calls {
			if want := 5 * 60 * 2 / sinks; n < want-2 || n > want+2 {
				t.Errorf("%s was called %d times, want about %d", url, n, want)
			}
		}
	})
}

func TestWhenASinkIsBackTheOthersOfItsHostAreCalledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given many subscriptions at a host that is down, so that they take turns,
		var up atomic.Bool
		receiver := downUntil(&up)
		f := start(t, t.TempDir(), receiver, limits(engine.Limits{Silent: 1, Host: 100}))
		defer f.stop(t)
		const sinks = 20
		f.fill(t, sinks, 100, func(i int) string { return fmt.Sprintf("https://h.example/%d", i) })
		time.Sleep(2 * time.Minute)
		before := len(receiver.received())
		// when it comes back,
		up.Store(true)
		time.Sleep(4 * time.Second) // the next turn, its answer, and the others

		// then all are called before it would be their turn.
		called := map[string]bool{}
		for _, a := range receiver.received()[before:] {
			called[a.url] = true
		}
		if len(called) != sinks {
			t.Errorf("%d sinks were called, want %d", len(called), sinks)
		}
	})
}

func TestLanesThatAreBehindHaveEqualWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given memory for some hundred events, and ten sinks that are down while
		// many more come for each,
		var up atomic.Bool
		f := start(t, t.TempDir(), downUntil(&up), limits(engine.Limits{WindowBytes: 300 * 400}))
		defer f.stop(t)
		f.fill(t, 10, 500, hostOfItsOwn)
		time.Sleep(10 * time.Second)
		// when they are back,
		up.Store(true)
		time.Sleep(20 * time.Second)
		synctest.Wait()

		// then none holds more than its share, and none is left without.
		windows := f.engine.Windows()
		if least, most := slices.Min(windows), slices.Max(windows); least == 0 || most > 80 {
			t.Errorf("windows of %v deliveries, want about as many in each", windows)
		}
	})
}

func TestAPlaceAtAHostIsPassedOnByALaneThatHasNoUseForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given a host with two attempts in flight, as many as it may have,
		receiver := &sink{answer: func(_ int, url, event string) *fattorino.Answer {
			if strings.Contains(event, "slow") {
				time.Sleep(5 * time.Second)
			}
			return &fattorino.Answer{Status: 200}
		}}
		f := start(t, t.TempDir(), receiver, limits(engine.Limits{Host: 2}))
		defer f.stop(t)
		const paced, slow, other = 2, 2, 1
		for i := range paced + slow + other {
			sub := f.subscribe(t, int64(1+i), fmt.Sprintf("https://shared.example/%d", i), "invoice.paid")
			if i < paced {
				once := fattorino.Options{Rate: 1} // in a minute
				if _, _, err := f.service.ModifySubscription(context.Background(), f.app, sub.Company, "plain", sub.ID, fattorino.SubscriptionChange{Options: &once}); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(5 * time.Minute)
		publish := func(from, n int, id string) {
			for i := range n {
				f.publish(t, event(int64(1+from+i), id, "invoice.paid", nil))
			}
			synctest.Wait()
		}
		publish(0, paced, "first")
		publish(paced, slow, "slow")
		// when lanes that have to rest wait for a place, and one that has not,
		publish(0, paced, "second")
		publish(paced+slow, other, "now")
		time.Sleep(6 * time.Second)
		synctest.Wait()
		// then this one has it as soon as there is one.
		all := receiver.received()
		if last := all[len(all)-1]; last.event != "now" {
			t.Errorf("%d were sent, the last of them %q; want %q", len(all), last.event, "now")
		}
	})
}
