package engine

import (
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// What keeps sinks that are down or slow from holding up the others: of memory,
// of attempts at a time, and of the time in between they get a share that does
// not grow with their number.

// roomFor tells whether a lane may hold one more.
func (d *dispatcher) roomFor(l *lane) bool { return l.window.len() < d.capacity(l) }

// capacity gives how many deliveries a lane may have in its window. It is the
// whole window where its sink answers and memory allows, and in any case enough
// to keep its attempts going. A sink that does not answer needs no stock: of
// what all may hold, half is kept for those that do.
func (d *dispatcher) capacity(l *lane) int {
	least := min(2*l.limit, d.limits.Window)
	switch {
	case l.answers && d.bytes < d.limits.WindowBytes:
		return max(least, min(d.share(l), d.limits.Window))
	case !l.answers && d.bytes < d.limits.WindowBytes/2:
		return max(least, min(16, d.limits.Window))
	}
	return least
}

// share gives how many deliveries a lane may have in its window of what all may
// hold: what is behind shares that evenly. Lanes that advance together need the
// same pages of the store and the same events; one that was given more would
// run ahead of them.
func (d *dispatcher) share(l *lane) int {
	if !l.behind || d.held == 0 {
		return d.limits.Window
	}
	return int(d.limits.WindowBytes * int64(d.held) / max(d.bytes, 1) / int64(d.behind))
}

// countBehind keeps the number of lanes that are behind.
func (d *dispatcher) countBehind(l *lane) {
	behind := l.answers && !l.tenure.over && l.served() && l.wantsFresh()
	switch {
	case behind && !l.behind:
		d.behind++
	case !behind && l.behind:
		d.behind--
	}
	l.behind = behind
}

// A gate lets so many attempts through at a time.
type gate struct {
	inFlight int
	parked   fifo[*lane] // lanes that could be served but for the limit
}

// park has the lane wait where the gate lets no more through.
func (g *gate) park(l *lane, limit int) bool {
	if g.inFlight < limit {
		return false
	}
	l.parked = true
	g.parked.push(l)
	return true
}

// mostStrangers gives how many attempts may be in flight to sinks that have not
// answered: however many of them hang, a quarter of the node is left to others.
func (d *dispatcher) mostStrangers() int { return max(1, d.limits.Node*3/4) }

// unpark puts a lane that waited at the gate back into the ring, now that a
// place is free.
func (d *dispatcher) unpark(g *gate, now time.Time) {
	for g.parked.len() > 0 {
		l := g.parked.pop()
		l.parked = false
		d.refreshAt(l, now)
		if l.ready {
			return
		}
	}
}

// adapt gives a sink that gives no answer one attempt at a time, as every sink
// has at first, and one more for each answer: a thousand hanging sinks hold a
// thousand workers, not eight thousand. One that fails at once, as a host that
// refuses connections, is called ever more rarely.
func (d *dispatcher) adapt(l *lane, a *fattorino.Answer, now time.Time) {
	if a.Status != 0 {
		back := l.silent > 0
		l.limit, l.answers, l.silent, l.quietTo = min(l.limit+1, l.most), true, 0, time.Time{}
		if back {
			d.rouse(l.host, now)
		}
	} else {
		l.limit, l.answers = 1, false
		l.quietTo = now.Add(d.rest(l, now))
		l.silent = min(l.silent+1, 16)
	}
	if wait := d.contract(l.sub).Wait(a, now); wait > 0 {
		l.restTo = now.Add(wait)
	}
}

// A lane whose sink gives no answer rests between its attempts: at first for
// the shortest time, then for twice as long each time, up to the long one.
// Where so many have failed more than a few times that they would make more
// attempts in a second than Limits.Silent, they take turns, if need be up to the
// longest.
const (
	fewFailures  = 3
	shortestRest = 5 * time.Millisecond
	longRest     = time.Second
	longestRest  = 30 * time.Second
)

// rest gives how long a lane is left alone whose sink has just failed to answer.
func (d *dispatcher) rest(l *lane, now time.Time) time.Duration {
	rest := min(longRest, shortestRest<<l.silent)
	if l.silent < fewFailures {
		return rest
	}
	turn := d.silent.ReserveN(now, 1)
	if wait := turn.DelayFrom(now); wait < longestRest {
		return max(wait, rest)
	}
	turn.CancelAt(now)
	return longestRest
}

// rouse ends the rest of a host's lanes, one of which has an answer again: most
// likely all would, and what is pending for them goes out together then.
func (d *dispatcher) rouse(h *host, now time.Time) {
	if now.Sub(h.rousedAt) < longRest {
		return
	}
	h.rousedAt = now
	for l := range h.lanes {
		if l.quietTo.After(now) {
			l.quietTo = time.Time{}
			d.refresh(l)
		}
	}
}
