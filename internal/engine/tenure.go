package engine

import (
	"container/heap"
	"context"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A tenure is the time in which this process serves a part, from when it takes
// it up to when it hands it over or loses it. What was begun in an earlier tenure
// of the same part is told apart by it. The dispatcher's mutex guards it.
type tenure struct {
	epoch  int64         // of the lease
	busy   int           // attempts under way, and outcomes that are not written
	ending bool          // nothing is begun any more
	quiet  chan struct{} // closed when it is ending and nothing is busy; not nil where someone waits for that
	over   bool
}

// rest takes note that so many things are not busy any more.
func (t *tenure) rest(n int) {
	t.busy -= n
	if t.busy == 0 && t.quiet != nil {
		close(t.quiet)
		t.quiet = nil
	}
}

// serves tells whether this process serves the part of a company.
func (d *dispatcher) serves(company int64) bool { return d.tenures[d.partOf(company)] != nil }

// servesPart is serves, for those who do not hold the mutex.
func (d *dispatcher) servesPart(part int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tenures[part] != nil
}

// begin begins a tenure, unless ctx, which ends when the lease is lost, has
// ended: whoever ends it disowns the part after that.
func (d *dispatcher) begin(ctx context.Context, lease fattorino.Lease) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	if d.tenures[lease.Part] == nil {
		d.tenures[lease.Part] = &tenure{epoch: lease.Epoch}
	}
	return true
}

// finishUp has nothing begun in a part any more. It gives a channel that is
// closed when nothing is under way there; nil where the part is not served.
func (d *dispatcher) finishUp(part int) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tenures[part]
	if t == nil {
		return nil
	}
	t.ending = true
	quiet := make(chan struct{})
	t.quiet = quiet
	t.rest(0)
	return quiet
}

// disown ends the tenure of a part, if it is of the epoch, or for 0 any: its
// lanes are forgotten. What is under way ends by itself, and nobody waits for it.
func (d *dispatcher) disown(part int, epoch int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tenures[part]
	if t == nil || (epoch != 0 && t.epoch != epoch) {
		return
	}
	d.tenures[part] = nil
	t.ending, t.over = true, true
	for id, l := range d.lanes {
		if l.tenure == t {
			delete(d.lanes, id)
			d.abandon(l)
		}
	}
}

// abandon empties a lane. Where it stands in a queue it is passed over.
func (d *dispatcher) abandon(l *lane) {
	for l.window.len() > 0 {
		d.letGo(l, l.window.pop())
	}
	d.countBehind(l)
	if l.heapSlot != 0 {
		heap.Remove(&d.due, l.heapSlot-1)
	}
	d.leaveHost(l)
}

// stillServes tells whether an attempt of the lane may begin: it may not where
// the part was lost while it waited.
func (d *dispatcher) stillServes(l *lane) bool {
	if d.shared == nil {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return !l.tenure.over
}

// partLate parts the outcomes of tenures that are over from the others, and gives
// the epoch of these.
func (d *dispatcher) partLate(outcomes []*outcome) (current, late []*outcome, epoch int64) {
	if d.shared == nil {
		return outcomes, nil, 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.tenures {
		if t != nil {
			epoch = max(epoch, t.epoch)
		}
	}
	for _, o := range outcomes {
		if o.lane.tenure.over || o.lane.tenure.epoch != epoch {
			late = append(late, o)
			continue
		}
		current = append(current, o)
	}
	return current, late, epoch
}

// forget drops what was kept in memory of late outcomes that are written.
func (d *dispatcher) forget(late []*outcome) {
	if len(late) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range late {
		d.letGo(o.lane, o.delivery)
	}
	d.wakeOne()
}

// arrived hands deliveries that others have written to their lanes, in the order
// of their ids; or has these know the last that the store holds for them. What
// was written in a part before since was known.
func (d *dispatcher) arrived(deliveries []*fattorino.Delivery, last map[int64]int64, since map[int]int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, delivery := range deliveries {
		if l := d.laneSince(delivery.Subscription, since); l != nil {
			d.take(l, delivery)
		}
	}
	for subscription, id := range last {
		if l := d.laneSince(subscription, since); l != nil {
			l.last = max(l.last, id)
			d.refresh(l)
		}
	}
	d.wakeOne()
}

// laneSince gives the lane of a subscription. One that is made now has nothing
// from before, else it would be there. It gives nil where the store has no such
// subscription, or its part is another's by now.
func (d *dispatcher) laneSince(subscription int64, since map[int]int64) *lane {
	s := d.index.get(subscription)
	if s == nil || !d.serves(s.Company) {
		return nil
	}
	if l := d.lanes[subscription]; l != nil {
		return l
	}
	l, from := d.lane(subscription), since[d.partOf(s.Company)]
	l.readTo, l.saved, l.last = from, from, from
	return l
}
