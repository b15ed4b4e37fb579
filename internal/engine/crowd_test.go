package engine_test

import (
	"fmt"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// busyHosts counts the attempts in flight to each host. It takes a quarter of a
// second for each.
type busyHosts struct {
	mu       sync.Mutex
	inFlight map[string]int
}

func (b *busyHosts) answer(_ int, sink, _ string) *fattorino.Answer {
	u, _ := url.Parse(sink)
	b.count(u.Host, 1)
	defer b.count(u.Host, -1)
	time.Sleep(time.Second / 4)
	return &fattorino.Answer{Status: 200}
}

func (b *busyHosts) count(host string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight[host] += n
}

// crowdTest is an engine with a backlog for many subscriptions at each of two
// hosts, and what it is told of the processors.
type crowdTest struct {
	*fixture
	busy     *busyHosts
	wait     atomic.Int64 // for a processor, ns
	measured *prometheus.Registry
}

const crowdHosts, crowdLimit = 2, 64

func startCrowd(t *testing.T) *crowdTest {
	c := &crowdTest{busy: &busyHosts{inFlight: map[string]int{}}, measured: prometheus.NewRegistry()}
	c.fixture = start(t, t.TempDir(), &sink{answer: c.busy.answer}, func(s *setup) {
		s.ProcessorWait = func() time.Duration { return time.Duration(c.wait.Load()) }
		s.Metrics = c.measured
	})
	t.Cleanup(func() { c.stop(t) })
	return c
}

func hostOfMany(i int) string { return fmt.Sprintf("https://h%d.example/%d", i%crowdHosts, i) }

// want checks how many attempts are in flight to each host, and that this is
// what is measured.
func (c *crowdTest) want(t *testing.T, when string, inFlight int) {
	t.Helper()
	synctest.Wait()
	c.busy.mu.Lock()
	defer c.busy.mu.Unlock()
	for host, n := range c.busy.inFlight {
		if n != inFlight {
			t.Errorf("%s: %d attempts in flight to %s, want %d", when, n, host, inFlight)
		}
	}
	if told := shownBy(t, c.measured, "fattorino_host_limit"); told != float64(inFlight) {
		t.Errorf("%s: the limit that is told is %v, want %d", when, told, inFlight)
	}
}

// shownBy gives what a gauge without labels shows.
func shownBy(t *testing.T, measured prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := measured.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("nothing is measured as %s", name)
	return 0
}

func TestFewerAttemptsAreInFlightWhereGoroutinesWaitForAProcessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given a backlog for many subscriptions at each host,
		c := startCrowd(t)
		c.fill(t, crowdHosts*10, 300, hostOfMany)
		time.Sleep(9 * time.Second / 2)
		c.want(t, "the processors are idle", crowdLimit)
		// when goroutines wait for a processor, then each host has its share of what
		// keeps the processors busy, and never less than a few,
		c.wait.Store(int64(time.Millisecond))
		time.Sleep(9 * time.Second / 2)
		c.want(t, "the processors are busy", min(max(24*runtime.GOMAXPROCS(0)/crowdHosts, 8), crowdLimit))
		// and as many as before when they are idle again.
		c.wait.Store(0)
		time.Sleep(9 * time.Second / 2)
		c.want(t, "the processors are idle again", crowdLimit)
	})
}

func TestSinksThatAreDownAreCalledLessOftenWhereGoroutinesWaitForAProcessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given many sinks that are down,
		var up atomic.Bool
		receiver := downUntil(&up)
		var wait atomic.Int64
		f := start(t, t.TempDir(), receiver, limits(engine.Limits{Silent: 40}), func(s *setup) {
			s.ProcessorWait = func() time.Duration { return time.Duration(wait.Load()) }
		})
		defer f.stop(t)
		f.fill(t, 60, 100, hostOfItsOwn)
		for _, at := range []struct {
			when   string
			wait   time.Duration
			perSec int
		}{
			{"the processors are idle", 0, 40},
			{"the processors are busy", time.Millisecond, 10},
			{"the processors are idle again", 0, 40},
		} {
			// when the processors are so for a while,
			wait.Store(int64(at.wait))
			time.Sleep(time.Minute)
			before := len(receiver.received())
			time.Sleep(2 * time.Minute)
			// then all of them together are called so often.
			if n, want := len(receiver.received())-before, 2*60*at.perSec; n < want*9/10 || n > want*11/10 {
				t.Errorf("%s: %d attempts in two minutes, want about %d", at.when, n, want)
			}
		}
	})
}

func TestAfterAPauseAHostHasItsWholeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given processors that were busy until the last event was delivered,
		c := startCrowd(t)
		c.wait.Store(int64(time.Millisecond))
		c.fill(t, crowdHosts*10, 60, hostOfMany)
		time.Sleep(time.Minute)
		// when more come after a pause, then nothing is left of that.
		c.flood(t, crowdHosts*10, 20, "later")
		c.want(t, "after a pause", crowdLimit)
	})
}
