package engine

import (
	"context"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// concurrentLoads bounds the reads of the store under way, and pageSize what
// each of them reads, as events can be large.
const (
	concurrentLoads = 4
	pageSize        = 256
)

// haveLoaded has more of a lane's deliveries read from the store.
func (d *dispatcher) haveLoaded(l *lane) {
	d.toLoad.push(l)
	switch {
	case d.loaderIdle:
		d.loaderIdle = false
		d.unread.Signal()
	case d.loaders < concurrentLoads:
		d.loaders++
		d.workers.Add(1)
		go d.loader()
	}
}

// loader loads one lane after another. One waits for the next, for a stack that
// is deep enough for the store is as dear as what is read.
func (d *dispatcher) loader() {
	defer d.workers.Done()
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		for d.toLoad.len() == 0 {
			if d.stopped || d.loaders > 1 {
				d.loaders--
				return
			}
			d.loaderIdle = true
			d.unread.Wait()
		}
		l := d.toLoad.pop()
		d.mu.Unlock()
		d.load(l)
		d.mu.Lock()
	}
}

// load reads more of a lane's deliveries from the store.
func (d *dispatcher) load(l *lane) {
	d.loads <- struct{}{}
	defer func() { <-d.loads }()

	d.mu.Lock()
	clear(l.outdated) // what was recorded until now, the reading shows
	id, readTo, last, wantsFresh := l.sub.ID, l.readTo, l.last, l.wantsFresh()
	due := l.isDue(time.Now())
	held, room := len(l.again), min(pageSize, max(1, d.capacity(l)-l.window.len()))
	if due {
		l.nextDue = time.Time{} // what is found out below is added to what comes in meanwhile
	}
	d.mu.Unlock()

	ctx := context.Background()
	var again, fresh []*fattorino.Delivery
	var err error
	limit := held + max(room, min(held, pageSize)) // what is held is due as well, and comes first
	if due {
		again, err = d.store.Due(ctx, id, limit)
	}
	if err == nil && wantsFresh {
		fresh, err = d.store.Fresh(ctx, id, readTo, room)
	} else {
		last = readTo
	}
	d.loaded(l, page{again: again, full: len(again) == limit, after: readTo, fresh: fresh, whole: len(fresh) < room, last: last}, err)
}

// A page is what was read of a lane's deliveries.
type page struct {
	again []*fattorino.Delivery // due, soonest first
	full  bool                  // there may be more due
	after int64                 // the fresh ones have greater ids
	fresh []*fattorino.Delivery // never tried, oldest first
	whole bool                  // there were no more fresh ones
	last  int64                 // fresh ones up to here were committed before the reading
}

// loaded takes in what was read.
func (d *dispatcher) loaded(l *lane, p page, err error) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	l.loading = false
	if l.tenure.over {
		return
	}
	if err != nil {
		d.reading.failed(err, "subscription", l.sub.ID)
		l.dueAt(now.Add(retryCommit))
		clear(l.outdated)
		d.schedule(l, now)
		return
	}
	d.reading.succeeded()
	d.takeDue(l, p, now)
	d.takeFresh(l, p)
	clear(l.outdated)
	d.refresh(l)
	d.wakeOne()
}

// takeDue takes what is due into the window, as far as there is room, and
// notes when the rest is.
func (d *dispatcher) takeDue(l *lane, p page, now time.Time) {
	for _, delivery := range p.again {
		known := l.holds(delivery.ID) || l.outdated[delivery.ID]
		later := delivery.DueAt.After(now) && !l.sub.Ended()
		switch {
		case known:
		case later || (l.order == nil && !d.roomFor(l)): // an ordered lane may wait for just this one
			l.dueAt(delivery.DueAt)
		default:
			d.push(l, delivery, l.again)
		}
	}
	if p.full {
		l.dueAt(p.again[len(p.again)-1].DueAt)
	}
}

// takeFresh takes a page of fresh deliveries into the window, as far as there
// is room.
func (d *dispatcher) takeFresh(l *lane, p page) {
	if p.after != l.readTo {
		return // the window was set aside meanwhile: what was in it comes first
	}
	for _, delivery := range p.fresh {
		if !d.roomFor(l) {
			return
		}
		l.readTo = delivery.ID
		if known := delivery.ID <= l.reread && (l.fresh.has(delivery.ID) || l.outdated[delivery.ID]); !known {
			d.push(l, delivery, l.fresh)
		}
	}
	if p.whole {
		l.readTo = max(l.readTo, p.last)
	}
}

// setAside empties the window of a lane that is not served, as its subscription
// is disabled, or deleted and may be restored. That can be for long; what was in
// it is read again from the store when the lane is served.
func (d *dispatcher) setAside(l *lane) {
	l.reread = max(l.reread, l.readTo)
	for l.window.len() > 0 {
		delivery := l.window.pop()
		switch {
		case l.fresh.has(delivery.ID):
			l.readTo = min(l.readTo, delivery.ID-1)
		case delivery.DueAt.IsZero(): // it was its turn; in the store it waits for that still
			l.order.turn[l.order.key(delivery)] = 0
		default:
			l.dueAt(delivery.DueAt)
		}
		d.letGo(l, delivery)
	}
}

// hintEvery is how often the store is told how far a lane has settled.
const hintEvery = time.Second

// settledHints gives where the lanes stand that have moved since they were
// last asked, at most once in hintEvery for each; all of them for the zero
// time.
func (d *dispatcher) settledHints(now time.Time) []fattorino.Settled {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !now.IsZero() && now.Sub(d.hintedAt) < hintEvery {
		return nil
	}
	d.hintedAt = now
	var hints []fattorino.Settled
	for id, l := range d.lanes {
		if settled := l.settled(); settled > l.saved {
			l.saved = settled
			hints = append(hints, fattorino.Settled{Subscription: id, Delivery: settled})
		}
	}
	return hints
}
