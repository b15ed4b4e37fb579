package engine

import (
	"cmp"
	"context"
	"hash/fnv"
	"slices"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// An order keeps the deliveries of an ordered subscription in turn, entity by
// entity. Of each entity one delivery is on its way at most. While that has
// failed and is due again, the entity is held: later deliveries about it are
// set waiting in the store, where they take no memory however many they are,
// and come out one by one, oldest first, as the turn comes to them. A strict
// subscription is one whose events are all about the same thing. In one that
// wants the latest alone, what waits is superseded by what comes after it, so
// that one delivery of an entity waits at most.
type order struct {
	strict bool
	latest bool

	busy map[int64]bool  // entities with a delivery in flight, or whose outcome is not written yet
	turn map[int64]int64 // held entities → the delivery whose turn it is; 0 = to be looked up

	newest  map[int64]*fattorino.Delivery // of latest: held entities → the delivery that waits
	parking map[int64]int                 // held entities → deliveries of which it is not written yet that they wait, or do not any more
	looking map[int64]bool                // look-ups under way → something began to wait meanwhile
	refused map[int64]int64               // entities → the first delivery that the store does not let wait
	ready   bool                          // what the store holds back is known
}

// maxHeld bounds the held entities of a lane. Above it nothing fresh is taken
// up: what has failed is tried again first.
const maxHeld = 10_000

// newOrder gives the order of a subscription; nil where it has none.
func newOrder(o fattorino.Ordering) *order {
	if !o.Keeps() {
		return nil
	}
	return &order{
		strict: o == fattorino.Strict, latest: o == fattorino.Latest, newest: map[int64]*fattorino.Delivery{},
		busy: map[int64]bool{}, turn: map[int64]int64{}, parking: map[int64]int{}, looking: map[int64]bool{}, refused: map[int64]int64{},
	}
}

// full tells whether as many entities are held as may be.
func (o *order) full() bool { return o != nil && len(o.turn) >= maxHeld }

// key gives what a delivery is ordered by; 0 = nothing, it waits for no other.
// Two entities with the same hash wait for each other, which is harmless.
func (o *order) key(d *fattorino.Delivery) int64 {
	if o.strict {
		return 1
	}
	entity := d.Event.Entity.String()
	if entity == "" || (o.latest && d.Event.Private()) { // a test is no state of anything
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(entity)) // a hash never fails
	return int64(h.Sum64() | 1)    // never 0
}

// idle tells whether nothing is held.
func (o *order) idle() bool {
	return o == nil || (o.ready && len(o.turn) == 0 && len(o.looking) == 0)
}

// has tells whether next would find anything to send or to set waiting.
func (o *order) has(window *fifo[*fattorino.Delivery]) bool {
	for i := range window.len() {
		if d := window.at(i); !o.mustStay(d) {
			return true
		}
	}
	return false
}

// mustStay tells whether a delivery stays in the window for now: its turn comes
// while it is in memory.
func (o *order) mustStay(d *fattorino.Delivery) bool {
	key := o.key(d)
	turn, held := o.turn[key]
	return key != 0 && (o.busy[key] || (o.strict && held && turn != d.ID))
}

// picked is what next has taken out of the window.
type picked struct {
	send       *fattorino.Delivery // nil = none may be sent
	wait       []*fattorino.Delivery
	superseded []*fattorino.Delivery
}

// next takes the first delivery of the window that may be sent, and what is
// before it and has to wait in the store or will not be sent at all.
func (o *order) next(window *fifo[*fattorino.Delivery]) (p picked) {
	for i := 0; i < window.len(); {
		d := window.at(i)
		key := o.key(d)
		turn, held := o.turn[key]
		switch {
		case o.mustStay(d):
			i++
		case o.behindRefused(d):
			window.remove(i)
		case held && turn != d.ID:
			window.remove(i)
			o.parking[key]++
			p.wait = append(p.wait, d)
			p.superseded = append(p.superseded, o.supersede(key, d)...)
		case o.outdated(window, i, key):
			window.remove(i)
			o.busy[key] = true // until it is written that it is skipped
			p.superseded = append(p.superseded, d)
		default:
			window.remove(i)
			if key != 0 {
				o.busy[key] = true
			}
			p.send = d
			return p
		}
	}
	return p
}

// refuse takes note that the store does not let a delivery wait.
func (o *order) refuse(d *fattorino.Delivery) {
	key := o.key(d)
	if first, known := o.refused[key]; !known || d.ID < first {
		o.refused[key] = d.ID
	}
}

// behindRefused tells whether a delivery comes after one of its entity that the
// store does not let wait. Neither is sent, nor set waiting, before the next
// start, which finds both as they were: one that waited in the store would come
// before the other then.
func (o *order) behindRefused(d *fattorino.Delivery) bool {
	if o == nil || len(o.refused) == 0 {
		return false
	}
	first, known := o.refused[o.key(d)]
	return known && d.ID > first
}

// supersede takes note that a delivery waits for its entity, and gives the one
// that waited before and need not any more.
func (o *order) supersede(key int64, d *fattorino.Delivery) (before []*fattorino.Delivery) {
	if !o.latest {
		return nil
	}
	waited := o.newest[key]
	if waited != nil && waited.ID > d.ID {
		return nil // d was sent again, and comes before the newest
	}
	if waited != nil {
		before = append(before, waited)
		o.parking[key]++
	}
	o.newest[key] = d
	return before
}

// passedOver tells whether something newer about the entity waits.
func (o *order) passedOver(key int64, d *fattorino.Delivery) bool {
	newest := o.newest[key]
	return newest != nil && newest.ID > d.ID
}

// outdated tells whether there is something newer about the entity of the
// delivery at i than that one: it waits in the store, or later in the window.
func (o *order) outdated(window *fifo[*fattorino.Delivery], i int, key int64) bool {
	if !o.latest || key == 0 {
		return false
	}
	d := window.at(i)
	if o.passedOver(key, d) {
		return true
	}
	for j := i + 1; j < window.len(); j++ {
		if other := window.at(j); other.ID > d.ID && !other.Event.Private() && d.Event.Entity.Equal(other.Event.Entity) {
			return true
		}
	}
	return false
}

// recorded takes note of a delivery whose outcome is written, and gives the
// entity whose next delivery is to be looked up; 0 = none.
func (o *order) recorded(d *fattorino.Delivery) (lookUp int64) {
	key := o.key(d)
	if key == 0 {
		return 0
	}
	switch {
	case d.State == fattorino.Waiting, d.Reason == fattorino.Superseded && o.waited(key, d):
		if o.parking[key]--; o.parking[key] == 0 {
			delete(o.parking, key)
		}
	default:
		delete(o.busy, key)
		if d.State == fattorino.Pending {
			o.turn[key] = d.ID
			return 0
		}
		if turn, held := o.turn[key]; !held || (turn != d.ID && turn != 0) {
			return 0
		}
		o.turn[key] = 0
	}
	if turn, held := o.turn[key]; !held || turn != 0 {
		return 0
	}
	if _, under := o.looking[key]; under {
		o.looking[key] = true
		return 0
	}
	return key
}

// waited tells whether a superseded delivery had been set waiting before.
func (o *order) waited(key int64, d *fattorino.Delivery) bool {
	turn, held := o.turn[key]
	return held && turn != d.ID
}

// lookUpTurns finds whose turn it is, of all entities of which that is not known.
// The dispatcher's mutex is held.
func (d *dispatcher) lookUpTurns(l *lane) {
	if l.order == nil || !l.order.ready {
		return
	}
	for key, turn := range l.order.turn {
		if _, under := l.order.looking[key]; turn == 0 && !under {
			d.lookUp(l, key)
		}
	}
}

// lookUp finds whose turn it is among the deliveries that wait for an entity; of
// a lane that is not served, that is found when it is. The dispatcher's mutex is
// held.
func (d *dispatcher) lookUp(l *lane, key int64) {
	if d.stopped || l.tenure.over || !l.served() {
		delete(l.order.looking, key)
		return
	}
	l.order.looking[key] = false
	id, limit := l.sub.ID, 1
	if l.order.latest {
		limit += d.limits.Window // of what was set waiting at once, a crash may have kept all
	}
	d.workers.Go(func() {
		d.loads <- struct{}{}
		found, err := d.store.Waiting(context.Background(), id, key, limit)
		<-d.loads
		d.lookedUp(l, key, found, err)
	})
}

// lookedUp gives the turn to what was found, or the entity free where nothing
// waits for it.
func (d *dispatcher) lookedUp(l *lane, key int64, found []*fattorino.Delivery, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.tenure.over {
		return
	}
	if err != nil {
		d.reading.failed(err, "subscription", l.sub.ID)
		time.AfterFunc(retryCommit, func() { // until then the look-up counts as under way
			d.mu.Lock()
			defer d.mu.Unlock()
			d.lookUp(l, key)
		})
		return
	}
	d.reading.succeeded()
	o := l.order
	meanwhile := o.looking[key]
	delete(o.looking, key)
	switch {
	case len(found) > 1:
		// It is written that the others are skipped before the newest is sent, or
		// a crash could bring them back after it.
		older := found[:len(found)-1]
		o.parking[key] += len(older)
		d.supersede(l, older, time.Now())
	case len(found) == 1 && o.passedOver(key, found[0]) && (meanwhile || o.parking[key] > 0):
		// Since it was read something newer has begun to wait, which skips it.
		if meanwhile {
			d.lookUp(l, key)
		}
	case len(found) == 1:
		next := *found[0]
		if newest := o.newest[key]; newest != nil && newest.ID <= next.ID {
			delete(o.newest, key)
		}
		next.State, next.WaitsFor = fattorino.Pending, 0
		o.turn[key] = next.ID
		if !l.again.has(next.ID) {
			d.push(l, &next, l.again)
		}
	case meanwhile:
		d.lookUp(l, key)
	case o.parking[key] == 0:
		delete(o.turn, key)
		delete(o.newest, key)
	}
	d.refresh(l)
	d.wakeOne()
}

// learn finds out what the store holds back of an ordered lane when the program
// starts: the entities with a delivery that is due again, and those that
// deliveries wait for.
func (d *dispatcher) learn(l *lane) {
	defer d.workers.Done()
	d.mu.Lock()
	id := l.sub.ID
	d.mu.Unlock()
	d.loads <- struct{}{}
	ctx := context.Background()
	due, err := d.store.Due(ctx, id, maxHeld)
	var waited []int64
	if err == nil {
		waited, err = d.store.WaitedFor(ctx, id, maxHeld)
	}
	<-d.loads

	d.mu.Lock()
	defer d.mu.Unlock()
	if l.tenure.over {
		return
	}
	if err != nil {
		d.reading.failed(err, "subscription", l.sub.ID)
		time.AfterFunc(retryCommit, func() { d.startLearning(l) })
		return
	}
	d.reading.succeeded()
	o := l.order
	wait := o.takeTurns(due)
	for _, delivery := range wait { // a reading before they are written shows them due
		d.hold(delivery, l.again)
	}
	d.setWaiting(l, wait, time.Now())
	o.ready = true
	for _, key := range waited {
		if _, held := o.turn[key]; !held {
			o.turn[key] = 0
		}
	}
	d.lookUpTurns(l)
	d.refresh(l)
	d.wakeOne()
}

// takeTurns gives each entity to the oldest of its deliveries that are due. It
// gives the others, of which there are some after a resend: they have to wait.
func (o *order) takeTurns(due []*fattorino.Delivery) (wait []*fattorino.Delivery) {
	byID := func(a, b *fattorino.Delivery) int { return cmp.Compare(a.ID, b.ID) }
	for _, delivery := range slices.SortedFunc(slices.Values(due), byID) {
		key := o.key(delivery)
		switch _, held := o.turn[key]; {
		case key == 0:
		case held:
			o.parking[key]++
			wait = append(wait, delivery)
		default:
			o.turn[key] = delivery.ID
		}
	}
	return wait
}

func (d *dispatcher) startLearning(l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.beginLearning(l)
}

// beginLearning has the lane learn; the dispatcher's mutex is held.
func (d *dispatcher) beginLearning(l *lane) {
	if d.stopped || l.tenure.over {
		return
	}
	d.workers.Add(1)
	go d.learn(l)
}
