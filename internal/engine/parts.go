package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Where several processes share a store, each serves some of its parts. It still
// knows the subscriptions of all, for it takes in events of any company; lanes it
// has for its own parts alone.

// known is how a part stood when the engine last looked. The committer's
// goroutine alone uses it.
type known struct {
	seen   int64 // the lanes know of all deliveries up to this id
	last   int64 // greatest id heard of
	resent int64
}

// parts gives how many parts the store has; one where it is this process's
// alone.
func (e *Engine) parts() int {
	if e.shared == nil {
		return 1
	}
	return e.shared.Parts()
}

// partOf gives the part of a company.
func (e *Engine) partOf(company int64) int {
	if e.shared == nil {
		return 0
	}
	return e.shared.PartOf(company)
}

// Own takes up a part: what is pending there, and the challenges that are. It
// gives up with ctx, which must end before [Engine.Disown] is called.
func (e *Engine) Own(ctx context.Context, lease fattorino.Lease) error {
	standings, err := e.shared.Standings(ctx) // before the rest, which is then as new as this at least
	if err != nil {
		return err
	}
	var gone []*fattorino.Subscription
	err = e.store.LiveSubscriptions(ctx, func(s *fattorino.Subscription) {
		if s.State.Gone() {
			gone = append(gone, s)
		}
	}, lease.Part)
	if err != nil {
		return err
	}
	backlogs, err := e.store.Backlogs(ctx, lease.Part)
	if err != nil {
		return err
	}
	return e.committer.between(func() error {
		if err := e.committer.reload(ctx, lease.Part); err != nil {
			return err
		}
		now, err := e.shared.Standings(ctx)
		if err != nil {
			return err
		}
		if !e.dispatcher.begin(ctx, lease) {
			return ctx.Err()
		}
		for _, s := range gone { // they have something left to do
			if e.index.get(s.ID) == nil { // else it was changed since, and that was reloaded
				e.committer.know(s)
			}
		}
		at := standings[lease.Part]
		e.committer.known[lease.Part] = known{seen: at.Last, last: at.Last, resent: at.Resent}
		e.dispatcher.restore(backlogs)
		e.challengeSinks()
		// What was written since it was read was heard of when the part was not ours.
		e.committer.hear(map[int]fattorino.Standing{lease.Part: now[lease.Part]})
		e.dispatcher.kick()
		return nil
	})
}

// Disown lets a part go that another process may serve by now. Attempts under
// way end, and are written into the log; what becomes of their deliveries is the
// other's affair.
func (e *Engine) Disown(part int) { e.dispatcher.disown(part, 0) }

// HandOver begins no attempt in the part any more, and lets it go when those
// under way have ended and are written. It fails with ctx alone.
func (e *Engine) HandOver(ctx context.Context, part int) error {
	if quiet := e.dispatcher.finishUp(part); quiet != nil {
		select {
		case <-quiet:
		case <-ctx.Done():
			return ctx.Err()
		}
		// How far the lanes are spares whoever comes next some reading.
		_ = e.committer.between(func() error { e.committer.saveSettled(); return nil })
	}
	e.dispatcher.disown(part, 0)
	return nil
}

// Heard takes note that parts stand otherwise than before, whoever made them so.
func (e *Engine) Heard(moved []fattorino.Standing) {
	_ = e.committer.add(func(q *queue) { // where it is stopping, nobody needs to know
		if q.heard == nil {
			q.heard = map[int]fattorino.Standing{}
		}
		for _, at := range moved {
			q.heard[at.Part] = at
		}
	})
}

// hear puts in force what others have written in some parts. What cannot be read
// is heard of again.
func (c *committer) hear(moved map[int]fattorino.Standing) {
	if len(moved) == 0 {
		return
	}
	if err := c.tryHear(moved); err != nil {
		c.hearAgain(moved, err)
		return
	}
	c.reading.succeeded()
}

func (c *committer) hearAgain(moved map[int]fattorino.Standing, err error) {
	c.reading.failed(err)
	time.AfterFunc(retryCommit, func() { c.Heard(slices.Collect(maps.Values(moved))) })
}

func (c *committer) tryHear(moved map[int]fattorino.Standing) error {
	var resent []int
	var news []fattorino.Span
	for part, at := range moved {
		if at.Version > c.versions[part] {
			if err := c.reload(c.work, part); err != nil {
				return err
			}
		}
		k := &c.known[part]
		if at.Last > k.last {
			k.last = at.Last
			c.watchers.notifyPart(part, c.partOf)
		}
		if !c.dispatcher.servesPart(part) {
			continue
		}
		if at.Resent > k.resent {
			resent = append(resent, part)
		}
		if at.Last > k.seen {
			news = append(news, fattorino.Span{Part: part, From: k.seen, To: at.Last})
		}
	}
	if len(resent) > 0 {
		backlogs, err := c.store.Backlogs(c.work, resent...)
		if err != nil {
			return err
		}
		c.dispatcher.catchUp(backlogs)
	}
	for _, part := range resent {
		c.known[part].resent = moved[part].Resent
	}
	return c.meet(news)
}

// reload puts the subscriptions of a part in force that others have changed.
func (c *committer) reload(ctx context.Context, part int) error {
	changed, version, err := c.shared.Changed(ctx, part, c.versions[part])
	if err != nil {
		return err
	}
	for _, s := range changed {
		c.apply(s)
	}
	c.versions[part] = max(c.versions[part], version)
	return nil
}

// meet gives the lanes what others have written for them. Where that is much,
// they are told of it, and read it by themselves.
func (c *committer) meet(news []fattorino.Span) error {
	if len(news) == 0 {
		return nil
	}
	deliveries, last, err := c.shared.Arrived(c.work, news)
	if err != nil {
		return err
	}
	for _, delivery := range deliveries {
		if err := c.ensureKnown(delivery.Subscription); err != nil {
			return err
		}
	}
	for subscription := range last {
		if err := c.ensureKnown(subscription); err != nil {
			return err
		}
	}
	since := map[int]int64{}
	for _, s := range news {
		since[s.Part] = s.From
	}
	c.dispatcher.arrived(deliveries, last, since)
	for _, s := range news {
		c.known[s.Part].seen = max(c.known[s.Part].seen, s.To)
	}
	return nil
}

// ensureKnown reads a subscription that is not known here: it is newer than what
// is, or gone since.
func (c *committer) ensureKnown(subscription int64) error {
	if c.index.get(subscription) != nil {
		return nil
	}
	s, err := c.store.Subscription(c.work, subscription)
	switch {
	case fattorino.KindOf(err) == fattorino.NotFound:
		return nil
	case err != nil:
		return fmt.Errorf("subscription %d: %w", subscription, err)
	}
	c.know(s)
	return nil
}

// follow keeps what is known of the parts in step with a commit. Where another
// process has written in between, lanes learn of that before they are given
// anything newer: a lane that went past a delivery would never look back.
func (c *committer) follow(spans []fattorino.Span) {
	var gaps []fattorino.Span
	behind := map[int]fattorino.Standing{}
	abroad := false
	for _, s := range spans {
		k := &c.known[s.Part]
		k.last = max(k.last, s.To)
		switch {
		case !c.dispatcher.servesPart(s.Part):
			abroad = true
		case k.seen < s.From:
			gaps = append(gaps, fattorino.Span{Part: s.Part, From: k.seen, To: s.From})
			behind[s.Part] = fattorino.Standing{Part: s.Part, Last: s.To}
		default:
			k.seen = s.To
		}
	}
	if err := c.meet(gaps); err != nil {
		c.hearAgain(behind, err)
	} else {
		for part, at := range behind {
			c.known[part].seen = at.Last
		}
	}
	if abroad {
		c.shared.Nudge()
	}
}

// behind tells whether the lanes of an event's part have to learn of something
// older first. They are not given the event then, but find it in the store.
func (c *committer) behind(e *fattorino.Event) bool {
	return c.shared != nil && c.known[c.partOf(e.Company)].seen < e.Key
}

// lookAround finds out what the store holds that the engine does not know of: see
// reread.
func (c *committer) lookAround() {
	standings, err := c.shared.Standings(c.work)
	if err != nil {
		c.reading.failed(err)
		time.AfterFunc(retryCommit, func() { _ = c.between(func() error { c.lookAround(); return nil }) })
		return
	}
	moved := map[int]fattorino.Standing{}
	for _, at := range standings {
		moved[at.Part] = at
	}
	c.hear(moved)
}

// outOfDate puts right what made the store refuse a batch, and tells whether it
// was that: then the batch is to be worked out anew.
func (c *committer) outOfDate(b *fattorino.Batch, err error) bool {
	if stale, ok := errors.AsType[*fattorino.StaleError](err); ok {
		for _, part := range stale.Parts {
			if err := c.reload(c.work, part); err != nil {
				return false
			}
		}
		return true
	}
	if errors.Is(err, fattorino.ErrLeaseLost) {
		for part := range c.parts() {
			c.dispatcher.disown(part, b.Epoch)
		}
		return true
	}
	return false
}
