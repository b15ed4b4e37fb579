package engine

import (
	"context"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// tallyEvery is how often what was counted is written, where there is any. As
// much is lost in a crash.
const tallyEvery = 10 * time.Second

// maxTallies is how many subscriptions' minutes are written in one commit:
// publishers wait for it.
const maxTallies = 256

// tallies count what becomes of deliveries, from one writing to the next. The
// committer's goroutine alone uses them.
type tallies struct {
	counted          // since then
	waiting  counted // to be written, some at a time
	begunAt  time.Time
	failedAt time.Time
	wake     *time.Timer // has the committer write them
	set      bool        // the timer is running
}

// counted is what was counted and is not written.
type counted struct {
	counts map[tallyKey]*fattorino.Counts
	pulses map[int64]*fattorino.Pulse // by subscription
}

// tallyKey is what is counted apart: a subscription's minute.
type tallyKey struct{ company, subscription, minute int64 }

func newTallies(signal func()) *tallies {
	t := &tallies{counted: nothingCounted(), wake: time.AfterFunc(time.Hour, signal)}
	t.wake.Stop()
	return t
}

func nothingCounted() counted {
	return counted{map[tallyKey]*fattorino.Counts{}, map[int64]*fattorino.Pulse{}}
}

// count counts outcomes that were written.
func (t *tallies) count(outcomes []*outcome, written []fattorino.Outcome, now time.Time) {
	minute := now.Unix() / 60
	for i, o := range outcomes {
		d := written[i].Delivery
		if o.attempt == nil && d.State != fattorino.Discarded {
			continue // put off, or it waits
		}
		key := tallyKey{o.lane.company.id, d.Subscription, minute}
		c := t.counts[key]
		if c == nil {
			c = &fattorino.Counts{}
			t.counts[key] = c
		}
		switch d.State {
		case fattorino.Discarded:
			c.Discarded++
		case fattorino.Delivered:
			c.Delivered++
		case fattorino.Pending, fattorino.Waiting:
		}
		if o.attempt != nil {
			t.attempted(c, o, d.State == fattorino.Delivered)
		}
	}
	if !t.set && len(t.counts) > 0 {
		t.wakeLater()
	}
}

func (t *tallies) wakeLater() {
	t.set = true
	t.wake.Reset(tallyEvery)
}

// attempted counts an attempt, and feels the pulse of its subscription.
func (t *tallies) attempted(c *fattorino.Counts, o *outcome, success bool) {
	if !success {
		c.Failed++
	}
	if o.answer.Failure == "" && o.attempt.BatchOf == 0 { // a batch is answered once
		c.Latency.Add(o.answer.Timing.Total)
	}
	p := t.pulses[o.delivery.Subscription]
	if p == nil {
		p = &fattorino.Pulse{Subscription: o.delivery.Subscription}
		t.pulses[o.delivery.Subscription] = p
	}
	if success {
		p.SucceededAt, p.InARow, p.Broken = o.at, 0, true
		return
	}
	p.FailedAt = o.at
	p.InARow++
}

// due tells whether it is time to write.
func (t *tallies) due(now time.Time) bool {
	if len(t.waiting.counts) > 0 {
		return now.Sub(t.failedAt) >= tallyEvery
	}
	return len(t.counts) > 0 && now.Sub(t.begunAt) >= tallyEvery
}

// next gives what is to be written now.
func (t *tallies) next(now time.Time) *fattorino.Batch {
	if len(t.waiting.counts) == 0 {
		t.waiting, t.counted = t.counted, nothingCounted()
		t.begunAt, t.set = now, false
	}
	return t.waiting.batch(now)
}

// last makes it time to write all, and has nobody woken any more.
func (t *tallies) last() {
	t.wake.Stop()
	t.begunAt, t.failedAt = time.Time{}, time.Time{}
}

// batch puts some of what was counted into a batch, with the sums of each
// company.
func (c *counted) batch(now time.Time) *fattorino.Batch {
	b := &fattorino.Batch{Now: now}
	sums, felt := map[tallyKey]fattorino.Counts{}, map[int64]bool{}
	for key, counts := range c.counts {
		if len(b.Tallies) == maxTallies {
			break
		}
		b.Tallies = append(b.Tallies, key.tally(*counts))
		if p := c.pulses[key.subscription]; p != nil && !felt[key.subscription] { // it may have counts of two minutes
			felt[key.subscription] = true
			b.Pulses = append(b.Pulses, *p)
		}
		key.subscription = 0
		sums[key] = sums[key].Plus(*counts)
	}
	for key, counts := range sums {
		b.Tallies = append(b.Tallies, key.tally(counts))
	}
	return b
}

// written forgets what a batch has written.
func (c *counted) written(b *fattorino.Batch) {
	for _, t := range b.Tallies {
		delete(c.counts, tallyKey{t.Company, t.Subscription, t.At.Unix() / 60})
	}
	for _, p := range b.Pulses {
		delete(c.pulses, p.Subscription)
	}
}

func (k tallyKey) tally(c fattorino.Counts) fattorino.Tally {
	return fattorino.Tally{Company: k.company, Subscription: k.subscription, At: time.Unix(k.minute*60, 0), Counts: c}
}

// saveTallies writes some of what was counted, where it is time to, in a
// transaction of its own: that it cannot be written must hold up nothing else. It
// is kept then, for the next time. It tells whether there is more to write now.
func (c *committer) saveTallies() bool {
	now := time.Now()
	if c.lastError() != nil || !c.tallies.due(now) {
		return false
	}
	b := c.tallies.next(now)
	if err := c.store.Commit(context.Background(), b); err != nil {
		c.log.Warn("statistics could not be written: they wait for the next time", "error", err)
		c.tallies.failedAt = now
		c.tallies.wakeLater()
		return false
	}
	c.tallies.waiting.written(b)
	return c.tallies.due(now)
}
