package engine

import (
	"context"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// tallyEvery is how often what was counted is written, where there is any. As
// much is lost in a crash.
const tallyEvery = 10 * time.Second

// tallies count what becomes of deliveries, from one writing to the next. The
// committer's goroutine alone uses them.
type tallies struct {
	counts  map[tallyKey]*fattorino.Counts
	pulses  map[int64]*fattorino.Pulse // by subscription
	savedAt time.Time
	wake    *time.Timer // has the committer write them
	set     bool        // the timer is running
}

// tallyKey is what is counted apart: a subscription's minute.
type tallyKey struct{ company, subscription, minute int64 }

func newTallies(signal func()) *tallies {
	t := &tallies{wake: time.AfterFunc(time.Hour, signal)}
	t.wake.Stop()
	t.forget()
	return t
}

func (t *tallies) forget() {
	t.counts, t.pulses = map[tallyKey]*fattorino.Counts{}, map[int64]*fattorino.Pulse{}
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
		t.set = true
		t.wake.Reset(tallyEvery)
	}
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

// last makes it time to write, and has nobody woken any more.
func (t *tallies) last() {
	t.wake.Stop()
	t.savedAt = time.Time{}
}

// addTo puts what was counted into a batch, with the sums of each company.
func (t *tallies) addTo(b *fattorino.Batch) {
	sums := map[tallyKey]fattorino.Counts{}
	for key, c := range t.counts {
		b.Tallies = append(b.Tallies, key.tally(*c))
		key.subscription = 0
		sums[key] = sums[key].Plus(*c)
	}
	for key, c := range sums {
		b.Tallies = append(b.Tallies, key.tally(c))
	}
	for _, p := range t.pulses {
		b.Pulses = append(b.Pulses, *p)
	}
}

func (k tallyKey) tally(c fattorino.Counts) fattorino.Tally {
	return fattorino.Tally{Company: k.company, Subscription: k.subscription, At: time.Unix(k.minute*60, 0), Counts: c}
}

// saveTallies writes what was counted, where it is time to, in a transaction of
// its own: that it cannot be written must hold up nothing else. It is kept
// then, for the next time.
func (c *committer) saveTallies(now time.Time) {
	t := c.tallies
	if len(t.counts) == 0 || now.Sub(t.savedAt) < tallyEvery || c.lastError() != nil {
		return
	}
	b := &fattorino.Batch{Now: now}
	t.addTo(b)
	t.savedAt = now
	t.set = false
	if err := c.store.Commit(context.Background(), b); err != nil {
		c.log.Warn("statistics could not be written: they wait for the next time", "error", err)
		return
	}
	t.forget()
}
