package simulation_test

import (
	"cmp"
	"slices"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A kept event is one that the store has, private ones included, with its
// deliveries.
type kept struct {
	*fattorino.Event
	deliveries []*delivery
	pruned     bool
}

// settled tells whether nothing is to be done any more for an event.
func (k *kept) settled() bool {
	return !slices.ContainsFunc(k.deliveries, func(d *delivery) bool {
		return d.State == fattorino.Pending || d.State == fattorino.Waiting
	})
}

// prune holds one step of the retention to what it is to delete: of the events
// that it looks at those past their time, with nothing left to do for them.
func (c *checker) prune(p *pruned) {
	if c.life.retention == 0 || p.before.After(c.entry.at.Add(-c.life.retention)) {
		c.violate(nil, "events before %v were to be deleted, which are kept %v", p.before, c.life.retention)
	}
	last, seen, deleted := int64(0), 0, 0
	for _, k := range c.kept { // in the order of their keys
		if k.Key <= p.after || k.pruned || !k.Accepted.Before(p.before) {
			continue
		}
		if seen++; seen > p.limit {
			break
		}
		if last = k.Key; !k.settled() {
			c.kit.met.add("events past their retention with something pending")
			continue
		}
		c.kit.met.add("events pruned")
		k.pruned = true
		deleted++
	}
	if p.deleted != deleted || p.last != last {
		c.violate(nil, "%d events were deleted up to %d; of those past their retention %d have nothing pending, up to %d", p.deleted, p.last, deleted, last)
	}
	c.prunedBefore = p.before
}

// keep notes an event and its deliveries as stored.
func (c *checker) keep(e *fattorino.Event) *kept {
	k := &kept{Event: e}
	c.kept = append(c.kept, k)
	if n := len(c.kept); n > 1 && c.kept[n-2].Key >= e.Key {
		c.violate(nil, "event %s has the key %d after %d", short(e.ID), e.Key, c.kept[n-2].Key)
		slices.SortFunc(c.kept, func(a, b *kept) int { return cmp.Compare(a.Key, b.Key) })
	}
	return k
}

// lateness is how much later than its retention an event may be deleted: within
// the hour, by a clock that may have been set.
const lateness = 6 * time.Hour

// overdue holds that what is past its retention, and done with, is deleted.
func (c *checker) overdue() {
	for _, k := range c.kept {
		if age := c.entry.at.Sub(k.Accepted); c.life.retention > 0 && age > c.life.retention+lateness && k.settled() && !k.pruned {
			c.violate([]string{" " + short(k.ID) + " "}, "event %s of %v ago is still kept", short(k.ID), age)
		}
	}
}
