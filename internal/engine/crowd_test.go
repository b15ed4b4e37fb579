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

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// busyHosts counts the attempts in flight to each host. It takes a second for
// each.
type busyHosts struct {
	mu       sync.Mutex
	inFlight map[string]int
}

func (b *busyHosts) answer(_ int, sink, _ string) *fattorino.Answer {
	u, _ := url.Parse(sink)
	b.count(u.Host, 1)
	defer b.count(u.Host, -1)
	time.Sleep(time.Second)
	return &fattorino.Answer{Status: 200}
}

func (b *busyHosts) count(host string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight[host] += n
}

func TestFewerAttemptsAreInFlightWhereGoroutinesWaitForAProcessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given a backlog for many subscriptions at each of four hosts,
		const hosts, perHost = 4, 64
		var wait atomic.Int64
		busy := &busyHosts{inFlight: map[string]int{}}
		f := start(t, t.TempDir(), &sink{answer: busy.answer}, func(c *setup) {
			c.ProcessorWait = func() time.Duration { return time.Duration(wait.Load()) }
		})
		defer f.stop(t)
		f.fill(t, hosts*10, 600, func(i int) string { return fmt.Sprintf("https://h%d.example/%d", i%hosts, i) })
		want := func(when string, inFlight int) {
			t.Helper()
			time.Sleep(20 * time.Second)
			synctest.Wait()
			busy.mu.Lock()
			defer busy.mu.Unlock()
			for host, n := range busy.inFlight {
				if n != inFlight {
					t.Errorf("%s: %d attempts in flight to %s, want %d", when, n, host, inFlight)
				}
			}
		}
		want("the processors are idle", perHost)
		// when goroutines wait for a processor, then each host has its share of what
		// keeps the processors busy, and never less than a few,
		wait.Store(int64(time.Millisecond))
		want("the processors are busy", min(max(24*runtime.GOMAXPROCS(0)/hosts, 8), perHost))
		// and as many as before when they are idle again.
		wait.Store(0)
		want("the processors are idle again", perHost)
	})
}
