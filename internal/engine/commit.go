package engine

import (
	"context"
	"slices"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

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
	c.hear(q.heard)
	for _, j := range q.jobs {
		j.done <- j.f()
	}
	return ok
}

// commit writes events and outcomes in one transaction, and reports whether
// the store can write. When it cannot at the moment, publishers are told, for
// they can try again; outcomes are facts, and wait until they can be written.
func (c *committer) commit(publishes []*publish, outcomes []*outcome) bool {
	if c.refused {
		var behind []*outcome
		behind, outcomes = c.dispatcher.behindRefused(outcomes)
		c.giveUp(behind)
	}
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

// tryCommit writes a batch and puts what it changes in force. Where other
// processes have changed what it was worked out from, it is worked out anew.
func (c *committer) tryCommit(publishes []*publish, all []*outcome) error {
	for {
		b := &fattorino.Batch{Now: time.Now(), Versions: c.versions}
		outcomes, late, epoch := c.dispatcher.partLate(all)
		b.Epoch = epoch
		c.match(publishes, b)
		changed := c.settle(outcomes, b)
		c.addLate(late, b)
		b.Settled = c.dispatcher.settledHints(b.Now)
		err := c.store.Commit(context.Background(), b)
		if err != nil && c.outOfDate(b, err) {
			continue
		}
		c.metrics.commit(b.Now, len(publishes)+len(all), err)
		if err != nil {
			return err
		}
		c.committed(b, publishes, outcomes, changed)
		c.unwritten.Add(-int64(len(late)))
		c.dispatcher.forget(late)
		return nil
	}
}

// match puts events into a batch, with the subscriptions that hear them.
func (c *committer) match(publishes []*publish, b *fattorino.Batch) {
	b.Publishes = make([]*fattorino.Publish, len(publishes))
	for i, p := range publishes {
		p.Targets = make([][]int64, len(p.Events))
		for j, e := range p.Events {
			p.Targets[j] = c.index.match(e, b.Now)
		}
		b.Publishes[i] = &p.Publish
	}
}

// addLate puts into a batch what was attempted in parts that are lost since.
func (c *committer) addLate(late []*outcome, b *fattorino.Batch) {
	for _, o := range late {
		if o.attempt != nil {
			b.Late = append(b.Late, fattorino.LateAttempt{Attempt: o.attempt, Epoch: o.lane.tenure.epoch})
		}
	}
}

// committed puts in force what a batch has changed.
func (c *committer) committed(b *fattorino.Batch, publishes []*publish, outcomes []*outcome, changed []*fattorino.Subscription) {
	if c.lastError() != nil {
		c.reread()
	}
	for _, s := range changed {
		c.apply(s)
	}
	c.follow(b.Spans)
	// Lanes hear of what is new before they hear of what is done: one whose
	// subscription has just ended must have something left to discard.
	c.hand(publishes)
	c.unwritten.Add(-int64(len(outcomes)))
	c.dispatcher.recorded(outcomes, b.Outcomes)
	c.metrics.outcomes(b.Outcomes)
	c.tallies.count(outcomes, b.Outcomes, b.Now)
}

// reject gives up on what the store refuses by itself, which no fault of the
// disk explains. A delivery stays pending in the store and, for this run, in
// its lane's hands: it is not sent again, and not counted as settled, so that
// the next start takes it up.
func (c *committer) reject(err error, publishes []*publish, outcomes []*outcome) {
	for _, p := range publishes {
		p.done <- err
	}
	for _, o := range outcomes {
		c.log.Error("the outcome of a delivery was refused by the store: it stays pending until the next start", "delivery", o.delivery.ID, "error", err)
	}
	c.refused = true
	c.giveUp(outcomes)
}

// giveUp leaves deliveries as they are in the store until the next start.
func (c *committer) giveUp(outcomes []*outcome) {
	c.unwritten.Add(-int64(len(outcomes)))
	for _, o := range outcomes {
		c.dispatcher.refused(o)
	}
	c.dispatcher.kick() // attempts may have waited for fewer to be unwritten
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
		if s.Restorable() || (s.Sink != o.sink && !s.State.Gone()) {
			fattorino.SettleAside(c.contract(s), &d, o.answer, o.at)
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
	if c.shared != nil {
		c.lookAround()
		return
	}
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
			c.reading.succeeded()
			c.dispatcher.catchUp(backlogs)
			return
		}
		c.reading.failed(err)
		select {
		case <-time.After(retryCommit):
		case <-c.work.Done():
			return // the next start reads it
		}
	}
}

// hand gives new deliveries to their lanes and receipts to their publishers.
func (c *committer) hand(publishes []*publish) {
	for _, p := range publishes {
		if p.Err != nil {
			p.done <- p.Err
			continue
		}
		accepted := 0
		for i, e := range p.Events {
			if p.Repeated[i] {
				continue
			}
			accepted++
			if !c.behind(e) {
				c.dispatcher.add(e, p.First[i], p.Targets[i])
			}
			c.watchers.notify(e.Company)
		}
		c.metrics.accepted(accepted)
		p.done <- nil
	}
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
		c.wakeUp(seen.deliveries)
		c.dispatcher.kick()
	}
	u.done <- err
}

// wakeUp has lanes take note of deliveries that a use case made or set due, here
// or elsewhere.
func (c *committer) wakeUp(deliveries []*fattorino.Delivery) {
	if c.shared == nil {
		for _, d := range deliveries {
			c.dispatcher.wakeUp(d)
		}
		return
	}
	c.shared.Nudge() // whatever was changed, others may want to know
	moved := map[int]fattorino.Standing{}
	for _, d := range deliveries {
		if !d.DueAt.IsZero() {
			c.dispatcher.wakeUp(d)
			continue
		}
		// Others may have written before it: the lane meets it with theirs.
		part := c.partOf(d.Event.Company)
		moved[part] = fattorino.Standing{Part: part, Last: max(d.ID, moved[part].Last)}
	}
	c.hear(moved)
}

// apply puts a committed subscription in force, unless a later change of it is.
func (c *committer) apply(s *fattorino.Subscription) {
	if before := c.index.get(s.ID); before != nil && before.Version > s.Version {
		return
	}
	c.putInForce(s)
	if c.shared == nil {
		return
	}
	if part := c.partOf(s.Company); c.versions[part]+1 == s.Version {
		c.versions[part] = s.Version // nobody else has changed one since
	}
}

// putInForce has events, lanes and challenges go by the subscription as it is.
func (c *committer) putInForce(s *fattorino.Subscription) {
	if !c.know(s) {
		return
	}
	c.dispatcher.changed(s)
	switch {
	case !s.Handshake.Pending:
		c.handshakes.heard(s)
	case c.dispatcher.servesPart(c.partOf(s.Company)):
		c.handshakes.start(s)
	default:
		c.handshakes.expect(s)
	}
}

// know has events go by the subscription; false where it cannot be served here.
func (c *committer) know(s *fattorino.Subscription) bool {
	if c.contract(s) == nil {
		c.log.Error("a subscription is under a contract that this program does not have: it hears nothing here", "subscription", s.ID, "contract", s.Contract)
		return false
	}
	if err := c.index.put(s); err != nil {
		c.log.Error("the filters of a subscription cannot be understood: it hears nothing", "subscription", s.ID, "error", err)
	}
	if !s.EndsBy().IsZero() {
		select {
		case c.endsChanged <- struct{}{}:
		default:
		}
	}
	return true
}

// saveSettled writes where the lanes stand, so that the next start has less to
// look through.
func (c *committer) saveSettled() {
	_, _, epoch := c.dispatcher.partLate(nil)
	b := &fattorino.Batch{Now: time.Now(), Epoch: epoch, Settled: c.dispatcher.settledHints(time.Time{})}
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
