package engine

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A committer writes everything, one transaction at a time: what came in while
// it wrote is the next batch (group commit). It never waits for more to come.
type committer struct {
	*Engine

	mu       sync.Mutex
	waiting  queue
	closed   bool
	failing  error // why the last commit failed; nil = all is well
	wake     chan struct{}
	retrying *time.Timer // wakes the committer to try again to write outcomes

	unwritten atomic.Int64 // outcomes that wait to be written, or are being

	scratch fattorino.Subscription // where an answer is settled; the committer's goroutine alone uses it
	tallies *tallies
}

// queue is what waits to be written.
type queue struct {
	publishes []*publish
	outcomes  []*outcome
	updates   []*update
}

// publish is a request's events and where their publisher waits.
type publish struct {
	fattorino.Publish
	done chan error
}

// outcome is what became of a delivery: an attempt, or a discard without one.
type outcome struct {
	lane     *lane
	delivery *fattorino.Delivery
	attempt  *fattorino.Attempt
	answer   *fattorino.Answer // whole, where the attempt keeps what the log needs
	sink     string            // that the attempt was made to
	reason   fattorino.Reason  // where there was no attempt; empty = put off
	waitsFor int64             // the delivery waits for another about the entity with this hash
	at       time.Time
	shift    float64 // the jitter drawn
}

// update is a change by a use case and where it waits.
type update struct {
	f    func(fattorino.Tx) error
	done chan error
}

// putOff is how long a delivery waits whose notification could not be built for
// a reason of our own.
const putOff = time.Minute

// retryCommit is how long outcomes wait when they could not be written.
const retryCommit = time.Second

func newCommitter(e *Engine) *committer {
	c := &committer{Engine: e, wake: make(chan struct{}, 1)}
	c.retrying = time.AfterFunc(time.Hour, c.signal)
	c.retrying.Stop()
	c.tallies = newTallies(c.signal)
	return c
}

func (c *committer) signal() {
	select {
	case c.wake <- struct{}{}:
	default: // it is awake already
	}
}

func (c *committer) addPublish(p *publish) error {
	return c.add(func(q *queue) { q.publishes = append(q.publishes, p) })
}

func (c *committer) addUpdate(u *update) error {
	return c.add(func(q *queue) { q.updates = append(q.updates, u) })
}

// addOutcomes takes what an attempt made of its deliveries. It is taken even
// while stopping: an answer that was received is not thrown away. Deliveries of
// one batch are due again together.
func (c *committer) addOutcomes(outcomes []*outcome) {
	if len(outcomes) == 0 {
		return
	}
	now, shift := time.Now(), 2*rand.Float64()-1
	for _, o := range outcomes {
		o.at, o.shift = now, shift
	}
	c.unwritten.Add(int64(len(outcomes)))
	c.mu.Lock()
	c.waiting.outcomes = append(c.waiting.outcomes, outcomes...)
	c.mu.Unlock()
	c.signal()
}

// maxUnwritten bounds the outcomes that wait to be written. Above it no attempt
// begins: sinks must not answer faster than the store can take down.
const maxUnwritten = 1024

func (c *committer) full() bool { return c.unwritten.Load() >= maxUnwritten }

func (c *committer) add(put func(*queue)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errStopping()
	}
	put(&c.waiting)
	c.signal()
	return nil
}

func (c *committer) take() queue {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.waiting
	c.waiting = queue{}
	if len(q.outcomes) > maxOutcomes {
		c.waiting.outcomes = q.outcomes[maxOutcomes:]
		q.outcomes = q.outcomes[:maxOutcomes:maxOutcomes]
	}
	return q
}

// maxOutcomes bounds the outcomes in one commit: publishers wait for it.
const maxOutcomes = 512

// run writes until it is stopped and nothing waits any more.
func (c *committer) run() {
	for range c.wake {
		runtime.Gosched() // lets those who are about to publish join in
		for q := c.take(); !q.empty() || c.lastError() != nil; q = c.take() {
			if !c.write(q) {
				break
			}
			c.saveTallies(time.Now())
			runtime.Gosched()
		}
		c.saveTallies(time.Now())
		if c.finished() {
			c.saveSettled()
			c.tallies.last()
			c.saveTallies(time.Now())
			c.refuseRest()
			return
		}
	}
}

func (q queue) empty() bool {
	return len(q.publishes) == 0 && len(q.outcomes) == 0 && len(q.updates) == 0
}

// finished tells whether the committer may end: it has been stopped, and all
// is written or cannot be.
func (c *committer) finished() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed && (c.waiting.empty() || c.failing != nil)
}

// stop makes run end. What could not be written is lost to memory only: its
// deliveries are still pending in the store.
func (c *committer) stop() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.retrying.Stop()
	c.signal()
}

// refuseRest answers those whom a store that fails has kept waiting to the end.
func (c *committer) refuseRest() {
	q := c.take()
	for _, p := range q.publishes {
		p.done <- errStopping()
	}
	for _, u := range q.updates {
		u.done <- errStopping()
	}
}

func errStopping() error {
	return &fattorino.Error{
		Kind: fattorino.Unavailable, Msg: "Fattorino is stopping",
		Fix: "try again when it is up", RetryAfter: 2 * time.Second,
	}
}

func (c *committer) lastError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failing
}

// write writes a queue: events and outcomes in one transaction, then each
// update in its own. It reports whether the store took them. While the store
// fails an empty queue is written as well, to find out when it is well again.
func (c *committer) write(q queue) bool {
	ok := true
	if len(q.publishes) > 0 || len(q.outcomes) > 0 || c.lastError() != nil {
		ok = c.commit(q.publishes, q.outcomes)
	}
	for _, u := range q.updates {
		c.update(u)
	}
	return ok
}

// commit writes events and outcomes in one transaction, and reports whether
// the store can write. When it cannot at the moment, publishers are told, for
// they can try again; outcomes are facts, and wait until they can be written.
func (c *committer) commit(publishes []*publish, outcomes []*outcome) bool {
	err := c.tryCommit(publishes, outcomes)
	switch {
	case err == nil:
		c.recovered()
		return true
	case fattorino.KindOf(err) == fattorino.Unavailable || len(publishes)+len(outcomes) == 0:
		c.failed(err, publishes, outcomes)
		return false
	case len(publishes)+len(outcomes) == 1:
		c.reject(err, publishes, outcomes)
		return true
	}
	// The store refuses something in the batch, which must not take the rest
	// with it: each by itself.
	c.log.Error("a batch was refused by the store: writing its parts one by one", "error", err)
	ok := true
	for i := range publishes {
		ok = c.commit(publishes[i:i+1], nil) && ok
	}
	for i := range outcomes {
		ok = c.commit(nil, outcomes[i:i+1]) && ok
	}
	return ok
}

// tryCommit writes a batch and puts what it changes in force.
func (c *committer) tryCommit(publishes []*publish, outcomes []*outcome) error {
	started := time.Now()
	b := &fattorino.Batch{Now: started, Publishes: make([]*fattorino.Publish, len(publishes))}
	for i, p := range publishes {
		p.Targets = make([][]int64, len(p.Events))
		for j, e := range p.Events {
			p.Targets[j] = c.index.match(e, started)
		}
		b.Publishes[i] = &p.Publish
	}
	changed := c.settle(outcomes, b)
	b.Settled = c.dispatcher.settledHints(started)
	err := c.store.Commit(context.Background(), b)
	c.metrics.commit(started, len(publishes)+len(outcomes), err)
	if err != nil {
		return err
	}
	if c.lastError() != nil {
		c.reread()
	}
	for _, s := range changed {
		c.apply(s)
	}
	// Lanes hear of what is new before they hear of what is done: one whose
	// subscription has just ended must have something left to discard.
	c.hand(publishes)
	c.unwritten.Add(-int64(len(outcomes)))
	c.dispatcher.recorded(outcomes, b.Outcomes)
	c.metrics.outcomes(b.Outcomes)
	c.tallies.count(outcomes, b.Outcomes, started)
	return nil
}

// reject gives up on what the store refuses by itself, which no fault of the
// disk explains. A delivery stays pending in the store and, for this run, in
// its lane's hands: it is not sent again, and not counted as settled, so that
// the next start takes it up.
func (c *committer) reject(err error, publishes []*publish, outcomes []*outcome) {
	for _, p := range publishes {
		p.done <- err
	}
	c.unwritten.Add(-int64(len(outcomes)))
	for _, o := range outcomes {
		c.log.Error("the outcome of a delivery was refused by the store: it stays pending until the next start", "delivery", o.delivery.ID, "error", err)
		c.dispatcher.refused(o)
	}
}

// settle works the outcomes into copies of their deliveries and subscriptions,
// so that a failed commit leaves nothing changed. It gives the subscriptions
// that changed.
func (c *committer) settle(outcomes []*outcome, b *fattorino.Batch) []*fattorino.Subscription {
	touched := map[int64]*fattorino.Subscription{}
	for _, o := range outcomes {
		d := *o.delivery
		b.Outcomes = append(b.Outcomes, fattorino.Outcome{Delivery: &d, Attempt: o.attempt})
		switch {
		case o.attempt != nil:
		case o.waitsFor != 0:
			d.State, d.WaitsFor, d.DueAt = fattorino.Waiting, o.waitsFor, time.Time{}
			continue
		case o.reason == "":
			d.DueAt = o.at.Add(putOff)
			continue
		default:
			fattorino.Discard(&d, o.reason, o.at)
			continue
		}
		s := touched[d.Subscription]
		if s == nil {
			s = c.index.get(d.Subscription)
		}
		if s.Sink != o.sink && !s.State.Gone() {
			fattorino.SettleElsewhere(c.contract(s), &d, o.answer, o.at)
			continue
		}
		c.scratch = *s // rarely changed, and then copied for good
		if fattorino.Settle(c.contract(s), &c.scratch, &d, o.answer, o.at, o.shift) {
			touched[d.Subscription] = c.scratch.Clone()
		}
		if d.State == fattorino.Delivered {
			d.SettledAt = b.Now // like all others in the batch, so that the store can write them as one
		}
	}
	for _, s := range touched {
		b.Subscriptions = append(b.Subscriptions, s)
	}
	return b.Subscriptions
}

// failed keeps what must not be lost and has it tried again.
func (c *committer) failed(err error, publishes []*publish, outcomes []*outcome) {
	c.mu.Lock()
	first := c.failing == nil
	c.failing = err
	c.waiting.outcomes = slices.Concat(outcomes, c.waiting.outcomes)
	c.mu.Unlock()
	if first {
		c.log.Error("the store cannot write: accepting nothing, sending nothing, until it can", "error", err)
	}
	c.dispatcher.pause(true)
	c.retrying.Reset(retryCommit)
	for _, p := range publishes {
		p.done <- err
	}
}

func (c *committer) recovered() {
	c.mu.Lock()
	was := c.failing
	c.failing = nil
	c.mu.Unlock()
	if was != nil {
		c.log.Info("the store writes again")
		c.dispatcher.pause(false)
	}
}

// reread finds out what the store holds that the engine does not know of, once
// it works again: a transaction that was told as failed, as the connection to a
// database broke, may have been written all the same. It is done before lanes
// hear of anything newer.
func (c *committer) reread() {
	for {
		err := c.store.LiveSubscriptions(c.work, func(s *fattorino.Subscription) {
			if known := c.index.get(s.ID); known == nil || !known.UpdatedAt.Equal(s.UpdatedAt) {
				c.apply(s)
			}
		})
		var backlogs []fattorino.Backlog
		if err == nil {
			backlogs, err = c.store.Backlogs(c.work)
		}
		if err == nil {
			c.dispatcher.catchUp(backlogs)
			return
		}
		c.log.Error("what the store holds could not be read: trying again", "error", err)
		select {
		case <-time.After(retryCommit):
		case <-c.work.Done():
			return // the next start reads it
		}
	}
}

// hand gives new deliveries to their lanes and receipts to their publishers.
func (c *committer) hand(publishes []*publish) {
	accepted := 0
	for _, p := range publishes {
		if p.Err != nil {
			p.done <- p.Err
			continue
		}
		for i, e := range p.Events {
			if p.Repeated[i] {
				continue
			}
			accepted++
			c.dispatcher.add(e, p.First[i], p.Targets[i])
			c.watchers.notify(e.Company)
		}
		p.done <- nil
	}
	c.metrics.accepted(accepted)
	c.dispatcher.kick()
}

// update runs the change of a use case and puts what it changed in force.
func (c *committer) update(u *update) {
	seen := &changes{}
	err := c.store.Update(context.Background(), func(tx fattorino.Tx) error {
		*seen = changes{Tx: tx} // a store may run this again
		return u.f(seen)
	})
	if err == nil {
		for _, s := range seen.subscriptions {
			c.apply(s.Clone())
		}
		for _, d := range seen.deliveries {
			c.dispatcher.wakeUp(d)
		}
		c.dispatcher.kick()
	}
	u.done <- err
}

// apply puts a committed subscription in force.
func (c *committer) apply(s *fattorino.Subscription) {
	if err := c.index.put(s); err != nil {
		c.log.Error("the filters of a subscription cannot be understood: it hears nothing", "subscription", s.ID, "error", err)
	}
	c.dispatcher.changed(s)
	if !s.Options.EndsAt.IsZero() {
		select {
		case c.endsChanged <- struct{}{}:
		default:
		}
	}
	if s.Handshake.Pending {
		c.handshakes.start(s)
	}
}

// saveSettled writes where the lanes stand, so that the next start has less to
// look through.
func (c *committer) saveSettled() {
	b := &fattorino.Batch{Now: time.Now(), Settled: c.dispatcher.settledHints(time.Time{})}
	if len(b.Settled) == 0 {
		return
	}
	if err := c.store.Commit(context.Background(), b); err != nil {
		c.log.Warn("where the lanes stand could not be saved: the next start takes longer", "error", err)
	}
}

// changes notes what a use case changes.
type changes struct {
	fattorino.Tx
	subscriptions []*fattorino.Subscription
	deliveries    []*fattorino.Delivery
}

func (c *changes) PutSubscription(s *fattorino.Subscription) error {
	err := c.Tx.PutSubscription(s)
	c.subscriptions = append(c.subscriptions, s)
	return err
}

func (c *changes) PutDelivery(d *fattorino.Delivery) error {
	c.deliveries = append(c.deliveries, d)
	return c.Tx.PutDelivery(d)
}

func (c *changes) PutPrivate(e *fattorino.Event, subscription int64) (*fattorino.Delivery, error) {
	d, err := c.Tx.PutPrivate(e, subscription)
	if err == nil {
		c.deliveries = append(c.deliveries, d)
	}
	return d, err
}
