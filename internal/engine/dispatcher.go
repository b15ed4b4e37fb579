package engine

import (
	"net/url"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A dispatcher serves the lanes that have something to send: companies in
// turn, the lanes of a company in turn, within the limits per lane, host and
// node. It sleeps until the next due date; it never polls.
type dispatcher struct {
	*Engine
	limits   Limits
	hintedAt time.Time // when the store was last told how far the lanes have settled

	mu        sync.Mutex
	tenures   []*tenure // by part; nil = another process serves it
	lanes     map[int64]*lane
	companies map[int64]*company
	hosts     map[string]*host
	ring      fifo[*company] // companies with a lane to serve
	strangers gate           // for lanes whose sink has not answered, or was too slow
	silent    *rate.Limiter  // of the calls of sinks that do not answer
	crowd     crowd
	due       dueHeap
	held      int   // deliveries in memory
	bytes     int64 // of their events
	behind    int   // lanes that are
	paused    bool  // the store cannot write
	stopped   bool

	idle    int        // workers waiting for work
	working int        // workers in all
	wanted  *sync.Cond // signalled when there is something to serve
	workers sync.WaitGroup

	dueChanged chan struct{}
	loads      chan struct{} // one token for each read of the store under way

	toLoad     fifo[*lane]
	loaders    int
	loaderIdle bool       // one waits for a lane to load
	unread     *sync.Cond // signalled when there is one
}

// maxIdleWorkers is how many workers wait for the next piece of work rather
// than end: enough for steady traffic, few enough to cost nothing.
const maxIdleWorkers = 64

func newDispatcher(e *Engine, c Config, limits Limits) *dispatcher {
	d := &dispatcher{
		Engine: e, limits: limits, tenures: make([]*tenure, e.parts()),
		lanes: map[int64]*lane{}, companies: map[int64]*company{}, hosts: map[string]*host{},
		crowd:      crowd{wait: c.ProcessorWait, perHost: limits.Host},
		silent:     rate.NewLimiter(rate.Limit(limits.Silent), limits.Silent),
		dueChanged: make(chan struct{}, 1), loads: make(chan struct{}, concurrentLoads),
	}
	d.wanted, d.unread = sync.NewCond(&d.mu), sync.NewCond(&d.mu)
	if e.shared == nil {
		d.tenures[0] = &tenure{} // everything, for ever
	}
	d.measureCrowd(c.Metrics)
	return d
}

// restore takes up what was left when the part was last served.
func (d *dispatcher) restore(backlogs []fattorino.Backlog) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range backlogs {
		if s := d.index.get(b.Subscription); s != nil && d.serves(s.Company) { // else it is gone, and nothing pending
			d.restoreLane(b)
		}
	}
}

func (d *dispatcher) restoreLane(b fattorino.Backlog) {
	l := d.lane(b.Subscription)
	l.readTo, l.saved, l.last = b.Settled, b.Settled, b.Last
	l.nextDue = b.NextDue
	if l.order != nil {
		l.order.ready = false
		d.beginLearning(l)
	}
	d.refresh(l)
}

// catchUp has the lanes read what the store holds beyond what they know of.
func (d *dispatcher) catchUp(backlogs []fattorino.Backlog) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range backlogs {
		s := d.index.get(b.Subscription)
		if s == nil || !d.serves(s.Company) {
			continue
		}
		l := d.lanes[b.Subscription]
		if l == nil {
			d.restoreLane(b)
			continue
		}
		l.last = max(l.last, b.Last)
		if !b.NextDue.IsZero() {
			l.dueAt(b.NextDue)
		}
		d.refresh(l)
	}
}

// lane gives the lane of a subscription, making it at first use.
func (d *dispatcher) lane(subscription int64) *lane {
	l := d.lanes[subscription]
	if l == nil {
		sub := d.index.get(subscription)
		l = newLane(d.tenures[d.partOf(sub.Company)])
		l.follow(sub, d.contract(sub), d.limits.Lane)
		if l.order != nil {
			l.order.ready = true // nothing was left from before, else restore has made the lane
		}
		d.lanes[subscription] = l
		d.place(l)
	}
	return l
}

// place puts a lane under its company and host.
func (d *dispatcher) place(l *lane) {
	if l.company = d.companies[l.sub.Company]; l.company == nil {
		l.company = &company{id: l.sub.Company}
		d.companies[l.sub.Company] = l.company
	}
	name := hostOf(l.sub.Sink)
	if l.host = d.hosts[name]; l.host == nil {
		l.host = &host{name: name, lanes: map[*lane]struct{}{}}
		d.hosts[name] = l.host
	}
	l.host.lanes[l] = struct{}{}
}

// hostOf gives the host and port of a sink, which is free of secrets.
func hostOf(sink string) string {
	u, err := url.Parse(sink)
	if err != nil {
		return "" // refused at registration
	}
	return u.Host
}

// add hands the deliveries of a new event, with ids from first, to their
// lanes. A lane that is full leaves them in the store.
func (d *dispatcher) add(e *fattorino.Event, first int64, targets []int64) {
	if len(targets) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.serves(e.Company) {
		return
	}
	for i, subscription := range targets {
		d.take(d.lane(subscription), &fattorino.Delivery{ID: first + int64(i), Subscription: subscription, Event: e})
	}
}

// take takes a fresh delivery into its lane's window, where there is room and
// nothing older waits in the store. One that was read from the store as soon as
// it was committed is there already.
func (d *dispatcher) take(l *lane, delivery *fattorino.Delivery) {
	if delivery.ID <= l.readTo {
		return
	}
	behind := l.last > l.readTo
	l.last = max(l.last, delivery.ID)
	if !behind && l.sub.State == fattorino.Active && d.roomFor(l) && !l.order.full() {
		l.readTo = delivery.ID
		d.push(l, delivery, l.fresh)
	}
	d.refresh(l)
}

// hold takes note that a delivery is in memory, as one of a lane's fresh ones or
// of those that are due again.
func (d *dispatcher) hold(delivery *fattorino.Delivery, in held) {
	size := int64(delivery.Event.Size())
	in[delivery.ID] = size
	d.held++
	d.bytes += size
}

// letGo takes note that a delivery is not in memory any more, if it was.
func (d *dispatcher) letGo(l *lane, delivery *fattorino.Delivery) {
	for _, in := range []held{l.fresh, l.again} {
		if size, there := in[delivery.ID]; there {
			delete(in, delivery.ID)
			d.held--
			d.bytes -= size
			return
		}
	}
}

func (d *dispatcher) push(l *lane, delivery *fattorino.Delivery, in held) {
	d.hold(delivery, in)
	if l.window.len() == 0 {
		l.since = time.Now()
	}
	l.window.push(delivery)
}

// refresh puts the lane where it belongs after a change: in the ring when it
// can be served, in the heap when something is due later, with the loader when
// the store has more.
func (d *dispatcher) refresh(l *lane) { d.refreshAt(l, time.Now()) }

func (d *dispatcher) refreshAt(l *lane, now time.Time) {
	if l.tenure.over {
		return
	}
	if l.window.len() > 0 && !l.served() {
		d.setAside(l)
	}
	d.countBehind(l)
	if l.sendable(now) && !l.ready && !l.parked {
		d.enqueue(l)
	}
	if l.wantsLoad(now, d.capacity(l)) && (d.roomFor(l) || l.order != nil && l.isDue(now)) && !d.stopped {
		l.loading = true
		d.haveLoaded(l)
	}
	d.schedule(l, now)
	if l.finished() {
		d.drop(l)
	}
}

func (d *dispatcher) enqueue(l *lane) {
	l.ready = true
	l.company.lanes.push(l)
	if !l.company.ready {
		l.company.ready = true
		d.ring.push(l.company)
	}
}

// drop forgets the lane of a subscription that has ended.
func (d *dispatcher) drop(l *lane) {
	if d.lanes[l.sub.ID] != l {
		return
	}
	delete(d.lanes, l.sub.ID)
	d.leaveHost(l)
	d.index.forget(l.sub.ID)
}

func (d *dispatcher) leaveHost(l *lane) {
	if delete(l.host.lanes, l); len(l.host.lanes) == 0 {
		delete(d.hosts, l.host.name)
	}
}

// kick has workers take up what can be served.
func (d *dispatcher) kick() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wakeOne()
}

// wakeOne wakes or starts one worker where there is something to serve. A
// worker that finds more than it can take wakes the next.
func (d *dispatcher) wakeOne() {
	switch {
	case d.paused || d.stopped || d.ring.len() == 0 || d.committer.full():
	case d.idle > 0:
		d.wanted.Signal()
	case d.working < d.limits.Node:
		d.working++
		d.workers.Add(1)
		go d.serve()
	}
}

// A task is what goes out in one attempt, one delivery or a batch, with the
// subscription as it is in force.
type task struct {
	lane       *lane
	sub        *fattorino.Subscription
	deliveries []*fattorino.Delivery
	stranger   bool // it holds a place among the strangers
	batch      bool // the contract is to tell of them together, even of one alone
}

// serve is a worker: it makes one attempt after another while there is work.
func (d *dispatcher) serve() {
	defer d.workers.Done()
	for {
		t, ok := d.next()
		if !ok {
			return
		}
		outcomes := d.attempt(t)
		now := time.Now()
		d.finish(t, outcomes, now)
		d.committer.addOutcomes(outcomes, now)
	}
}

// next gives what to attempt next, in turn; false when the worker
// should end.
func (d *dispatcher) next() (task, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.stopped {
		now := time.Now() // no earlier than when a lane was found sendable and put into the ring
		if l := d.turn(now); l != nil {
			taken, p := l.pop(now)
			d.setWaiting(l, p.wait, now)
			d.supersede(l, p.superseded, now)
			if len(taken) == 0 {
				d.refreshAt(l, now)
				continue
			}
			t := task{lane: l, sub: l.sub, deliveries: taken, stranger: !l.answers, batch: l.batch > 1}
			l.inFlight++
			l.tenure.busy++
			d.enter(l.host)
			if t.stranger {
				d.strangers.inFlight++
			}
			d.refreshAt(l, now)
			if d.advance(now) {
				d.wakeOne()
			}
			return t, true
		}
		if d.idle >= maxIdleWorkers {
			break
		}
		d.idle++
		d.wanted.Wait()
		d.idle--
	}
	d.working--
	return task{}, false
}

// setWaiting has deliveries wait in the store for earlier ones of their entity.
func (d *dispatcher) setWaiting(l *lane, deliveries []*fattorino.Delivery, now time.Time) {
	outcomes := make([]*outcome, len(deliveries))
	for i, delivery := range deliveries {
		outcomes[i] = &outcome{lane: l, delivery: delivery, waitsFor: l.order.key(delivery)}
	}
	l.tenure.busy += len(outcomes)
	d.committer.addOutcomes(outcomes, now)
}

// supersede skips deliveries that something newer about their entity has made
// pointless.
func (d *dispatcher) supersede(l *lane, deliveries []*fattorino.Delivery, now time.Time) {
	outcomes := make([]*outcome, len(deliveries))
	for i, delivery := range deliveries {
		outcomes[i] = &outcome{lane: l, delivery: delivery, reason: fattorino.Superseded}
	}
	l.tenure.busy += len(outcomes)
	d.committer.addOutcomes(outcomes, now)
}

// turn gives the lane whose turn it is, taken out of the ring.
func (d *dispatcher) turn(now time.Time) *lane {
	d.ease(now)
	for d.advance(now) {
		l := d.popRing()
		if l.spend(now) {
			return l
		}
		d.schedule(l, now)
		d.passOn(l.host, now)
	}
	return nil
}

// advance takes lanes out of the ring up to the first that can be served, and
// tells whether there is one.
func (d *dispatcher) advance(now time.Time) bool {
	for !d.paused && d.ring.len() > 0 && !d.committer.full() {
		l := d.ring.first().lanes.first()
		if l.sendable(now) && !l.host.park(l, d.crowd.perHost) && (l.answers || !d.strangers.park(l, d.mostStrangers())) {
			return true
		}
		d.popRing()
		d.passOn(l.host, now)
	}
	return false
}

// passOn lets others through at the gates of a lane that has no use for its place
// any more: its attempt is over, it has to rest, or the other gate has stopped it.
func (d *dispatcher) passOn(h *host, now time.Time) {
	if h.inFlight < d.crowd.perHost {
		d.unpark(&h.gate, now)
	}
	if d.strangers.inFlight < d.mostStrangers() {
		d.unpark(&d.strangers, now)
	}
}

// popRing takes out the first lane of the company whose turn it is.
func (d *dispatcher) popRing() *lane {
	c := d.ring.pop()
	l := c.lanes.pop()
	if c.ready = c.lanes.len() > 0; c.ready {
		d.ring.push(c)
	}
	l.ready = false
	return l
}

// finish gives back what an attempt held.
func (d *dispatcher) finish(t task, outcomes []*outcome, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := t.lane
	l.inFlight--
	l.tenure.rest(1 - len(outcomes))
	d.leave(l.host)
	if len(outcomes) > 0 && outcomes[0].attempt != nil {
		d.adapt(l, &outcomes[0].attempt.Answer, now)
	}
	if t.stranger {
		d.strangers.inFlight--
	}
	d.passOn(l.host, now)
	d.refreshAt(l, now) // the worker itself looks for what can be served now
}

// recorded takes note of outcomes that have been written.
func (d *dispatcher) recorded(outcomes []*outcome, written []fattorino.Outcome) {
	if len(outcomes) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for i, o := range outcomes {
		delivery := written[i].Delivery
		d.letGo(o.lane, delivery)
		o.lane.tenure.rest(1)
		if o.lane.tenure.over {
			continue // that it waits, or is due, is another process's affair
		}
		if o.lane.loading {
			o.lane.outdated[delivery.ID] = true
		}
		if !delivery.DueAt.IsZero() {
			o.lane.dueAt(delivery.DueAt)
		}
		if o.lane.order != nil {
			if key := o.lane.order.recorded(delivery); key != 0 {
				d.lookUp(o.lane, key)
			}
		}
		d.refreshAt(o.lane, now)
	}
	d.wakeOne()
}

// refused takes note that the store does not take an outcome.
func (d *dispatcher) refused(o *outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o.lane.tenure.rest(1)
	if o.waitsFor != 0 {
		o.lane.order.refuse(o.delivery)
	}
}

// behindRefused parts outcomes that would let a delivery wait which comes after
// one that the store does not let wait from the others.
func (d *dispatcher) behindRefused(all []*outcome) (behind, others []*outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range all {
		if o.waitsFor != 0 && o.lane.order.behindRefused(o.delivery) {
			behind = append(behind, o)
		} else {
			others = append(others, o)
		}
	}
	return behind, others
}

// wakeUp takes note of a delivery that a use case made or set due.
func (d *dispatcher) wakeUp(delivery *fattorino.Delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.serves(delivery.Event.Company) {
		return
	}
	l := d.lane(delivery.Subscription)
	if delivery.DueAt.IsZero() {
		d.take(l, delivery)
		return
	}
	l.dueAt(delivery.DueAt)
	d.refresh(l)
}

// changed takes note of a subscription that changed.
func (d *dispatcher) changed(s *fattorino.Subscription) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lanes[s.ID]
	if l == nil {
		if s.State.Gone() {
			d.index.forget(s.ID)
		}
		return
	}
	moved, served := l.sub.Sink != s.Sink, l.served()
	l.follow(s, d.contract(s), d.limits.Lane)
	if moved && l.inFlight == 0 && !l.parked {
		left := l.host
		d.leaveHost(l)
		d.place(l)
		d.passOn(left, time.Now())
	}
	if !served && l.served() {
		d.lookUpTurns(l)
	}
	d.refresh(l)
}

// pause stops taking up attempts while their results could not be written.
func (d *dispatcher) pause(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.paused = on
	d.wakeOne()
}

// stop lets no attempt begin any more.
func (d *dispatcher) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	d.wanted.Broadcast()
	d.unread.Broadcast()
}
