package engine

import (
	"runtime"
	"time"

	"golang.org/x/time/rate"
)

// A crowd is how many attempts each host may have in flight. Where goroutines
// wait for a processor, more in flight than keep the processors busy are no
// faster, but slower: their stacks, buffers and connections drive each other out
// of the caches, here and at the sink. There are fewer then, and fewer calls of
// sinks that do not answer; where the processors wait for sinks, as many as
// [Limits] allow.
type crowd struct {
	wait    func() time.Duration // as Config.ProcessorWait
	askedAt time.Time
	perHost int
	busy    int // hosts with an attempt in flight
}

const (
	askEvery     = 50 * time.Millisecond
	askedLongAgo = time.Second            // by then nobody knows how it is
	longWait     = 200 * time.Microsecond // with half of the processors idle it is a third of that
	perProcessor = 24                     // attempts in flight that keep a processor busy, where sinks are quick
	leastPerHost = 8                      // for some may be slow
	perHostMore  = 4

	silentWhenCrowded = 1.0 / 4 // of Limits.Silent
)

// ease adapts the crowd to how long goroutines have waited.
func (d *dispatcher) ease(now time.Time) {
	c := &d.crowd
	since := now.Sub(c.askedAt)
	if c.wait == nil || since < askEvery {
		return
	}
	c.askedAt = now
	silent := rate.Limit(d.limits.Silent)
	switch waited := c.wait(); {
	case since > askedLongAgo:
		c.perHost = d.limits.Host
	case waited < longWait:
		c.perHost = min(c.perHost+perHostMore, d.limits.Host)
	default:
		enough := runtime.GOMAXPROCS(0) * perProcessor / max(c.busy, 1)
		c.perHost = min(max(c.perHost*7/8, enough, leastPerHost), d.limits.Host)
		silent *= silentWhenCrowded
	}
	d.silent.SetLimitAt(now, silent)
}

// enter and leave count an attempt to a host.
func (d *dispatcher) enter(h *host) {
	if h.inFlight++; h.inFlight == 1 {
		d.crowd.busy++
	}
}

func (d *dispatcher) leave(h *host) {
	if h.inFlight--; h.inFlight == 0 {
		d.crowd.busy--
	}
}
