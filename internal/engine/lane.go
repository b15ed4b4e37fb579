package engine

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A lane is the in-memory queue of one subscription. It holds a bounded window
// of what is to be sent next; the rest stays in the store and is read when the
// window drains. The dispatcher's mutex guards it.
type lane struct {
	tenure   *tenure                 // in which it is served
	sub      *fattorino.Subscription // as it is in force
	company  *company
	host     *host
	most     int           // attempts it may have in flight
	limit    int           // as many as it may have now: 1 at first and when its sink is too slow
	answers  bool          // its sink answered when it was last called
	behind   bool          // it answers, and the store has more for it than the window
	silent   int           // attempts without an answer since
	batch    int           // deliveries in one attempt at most
	linger   time.Duration // how long the first of a batch waits for others
	since    time.Time     // when the first in the window began to wait
	pace     *rate.Limiter // how fast its sink may be called; nil = as fast as it answers
	restTo   time.Time     // its sink is not to be called before: it has asked for that, or its pace has
	quietTo  time.Time     // nor before this, as it did not answer
	inFlight int
	window   fifo[*fattorino.Delivery] // to be sent now
	order    *order                    // who waits for whom; nil = nobody

	// What is in memory and not recorded yet, by id: in the window, in flight,
	// or waiting to be written. Fresh deliveries have never been tried.
	fresh held
	again held

	readTo  int64     // fresh deliveries up to this id have been taken into memory
	reread  int64     // of those up to this id that are read again, some may be in memory
	last    int64     // greatest id of its deliveries; above readTo there is more in the store
	nextDue time.Time // soonest due date in the store, of what is not in memory; zero = none
	saved   int64     // what was last told the store as settled

	ready    bool           // it is in its company's ring
	parked   bool           // it waits at a gate
	loading  bool           // it is being read from the store
	outdated map[int64]bool // what was recorded since that began: the reading may show it as it was before
	wakeAt   time.Time      // its key in the heap of lanes to wake
	heapSlot int            // its place there, from 1; 0 = not in it
}

// held is deliveries in memory, by id, and how many bytes of it their events take.
type held map[int64]int64

func (h held) has(delivery int64) bool {
	_, there := h[delivery]
	return there
}

func newLane(t *tenure) *lane {
	return &lane{tenure: t, fresh: held{}, again: held{}, outdated: map[int64]bool{}}
}

// follow makes the lane serve the subscription as it now stands, under the
// contract's rules.
func (l *lane) follow(sub *fattorino.Subscription, rules fattorino.Contract, most int) {
	before := l.sub
	l.sub = sub
	if before == nil {
		l.order = newOrder(sub.Options.Ordering)
	}
	l.batch, l.linger = 1, 0
	if batcher, ok := rules.(fattorino.Batcher); ok {
		l.batch, l.linger = batcher.Batch(sub)
	}
	if chosen := sub.Options.Concurrency; chosen > 0 {
		most = min(most, chosen)
	}
	l.most = most
	l.limit = max(1, min(l.limit, most))
	perMinute := pace(sub)
	if before != nil && pace(before) == perMinute {
		return
	}
	l.pace = nil
	if perMinute > 0 {
		l.pace = rate.NewLimiter(rate.Limit(float64(perMinute)/60), max(1, perMinute/60))
	}
}

// pace gives how many attempts in a minute the subscription allows, by its own
// choice and by the consent of its sink; 0 = any number.
func pace(s *fattorino.Subscription) int {
	chosen, granted := s.Options.Rate, s.Handshake.Rate
	if chosen == 0 || (granted > 0 && granted < chosen) {
		return granted
	}
	return chosen
}

// sendable tells whether the lane has something that may be sent now, its host
// aside. A lane whose subscription has ended is served too: what it holds is
// discarded.
func (l *lane) sendable(now time.Time) bool {
	if l.window.len() == 0 || l.inFlight >= l.limit || l.tenure.ending {
		return false
	}
	if l.order != nil && !l.sub.Ended() && (!l.order.ready || !l.order.has(&l.window)) {
		return false
	}
	return l.sub.Ended() || (l.sub.State == fattorino.Active && !now.Before(l.startsAt()))
}

// startsAt gives the time before which the lane sends nothing: its sink rests,
// or a batch waits for more.
func (l *lane) startsAt() time.Time {
	at := later(l.restTo, l.quietTo)
	if l.batch > 1 && l.window.len() < l.batch {
		return later(at, l.since.Add(l.linger))
	}
	return at
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// maxBatchBytes bounds the events of one batch, in bytes of memory.
const maxBatchBytes = 1 << 20

// pop takes what goes out in the next attempt: one delivery, or a batch; in an
// ordered lane what its order picks. The window must not be empty.
func (l *lane) pop(now time.Time) (taken []*fattorino.Delivery, p picked) {
	if l.order != nil && !l.sub.Ended() {
		if p = l.order.next(&l.window); p.send != nil {
			taken = append(taken, p.send)
		}
		return taken, p
	}
	l.since = now
	taken = append(taken, l.window.pop())
	if l.batch == 1 {
		return taken, p
	}
	for size := taken[0].Event.Size(); len(taken) < l.batch && l.window.len() > 0; {
		if size += l.window.first().Event.Size(); size > maxBatchBytes {
			break
		}
		taken = append(taken, l.window.pop())
	}
	return taken, p
}

// spend counts one attempt against the lane's pace, and gives false when it is
// too early for one.
func (l *lane) spend(now time.Time) bool {
	if l.pace == nil || l.sub.Ended() || l.pace.AllowN(now, 1) {
		return true
	}
	missing := 1 - l.pace.TokensAt(now)
	l.restTo = now.Add(time.Duration(missing / float64(l.pace.Limit()) * float64(time.Second)))
	return false
}

// wakesAt gives when something will be there to do that is not now: a delivery
// due, the end of a rest, or of the wait for a fuller batch. Zero = never.
func (l *lane) wakesAt(now time.Time) time.Time {
	at := time.Time{}
	if l.nextDue.After(now) && !l.loading {
		at = l.nextDue
	}
	if starts := l.startsAt(); starts.After(now) && l.window.len() > 0 && (at.IsZero() || starts.Before(at)) {
		at = starts
	}
	return at
}

// wantsLoad tells whether the store has something for the lane now, and the
// lane has room for it.
func (l *lane) wantsLoad(now time.Time, capacity int) bool {
	switch {
	case l.loading || l.tenure.ending || !l.served() || (l.order != nil && !l.order.ready):
		return false
	case l.order != nil && l.isDue(now):
		return true // whatever the window holds, for it may wait for just this
	case l.window.len() > capacity/2:
		return false
	}
	return l.wantsFresh() || l.isDue(now)
}

// wantsFresh tells whether there are deliveries in the store to be tried for
// the first time.
func (l *lane) wantsFresh() bool { return l.last > l.readTo && !l.order.full() }

// served tells whether deliveries of the subscription are taken up at all: to
// be sent, or, when it has ended, to be discarded. While it is disabled, or
// deleted and may be restored, they stay where they are.
func (l *lane) served() bool { return l.sub.State == fattorino.Active || l.sub.Ended() }

// isDue tells whether a delivery is due. One whose subscription has ended is
// discarded at once, whenever it was due.
func (l *lane) isDue(now time.Time) bool {
	return !l.nextDue.IsZero() && (l.sub.Ended() || !l.nextDue.After(now))
}

// dueAt notes a due date in the store.
func (l *lane) dueAt(t time.Time) {
	if l.nextDue.IsZero() || t.Before(l.nextDue) {
		l.nextDue = t
	}
}

// holds tells whether a delivery is in memory.
func (l *lane) holds(delivery int64) bool { return l.fresh.has(delivery) || l.again.has(delivery) }

// settled gives the id up to which every fresh delivery has been recorded.
func (l *lane) settled() int64 {
	lowest := l.readTo
	for id := range l.fresh {
		lowest = min(lowest, id-1)
	}
	return lowest
}

// finished tells whether a lane of a subscription that has ended has nothing left
// to discard.
func (l *lane) finished() bool {
	return l.sub.Ended() && len(l.fresh) == 0 && len(l.again) == 0 &&
		l.nextDue.IsZero() && l.readTo >= l.last && !l.loading && l.order.idle()
}

// company is the lanes of one company that can be served, in turn.
type company struct {
	id    int64
	lanes fifo[*lane]
	ready bool // it is in the dispatcher's ring
}

// host counts what is in flight to one host, whatever the subscription.
type host struct {
	gate
	name     string
	lanes    map[*lane]struct{} // that have it as their host
	rousedAt time.Time          // when they were last roused
}
