package simulation_test

import (
	"context"
	"fmt"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// undoFor is how long a deletion can be taken back (docs/states.md).
const undoFor = 10 * time.Minute

// removeFor deletes a subscription, and takes that back after a while where the
// chance says so.
func (w *world) removeFor(s *fattorino.Subscription, of ...any) {
	w.call(func(l *life) { l.remove(s) })
	if w.chance.oneIn(3, "stays deleted", of...) {
		return
	}
	pass(pick(w.chance, []time.Duration{
		0, w.chance.between(0, 20*time.Second, "deleted for", of...), w.chance.between(0, 12*time.Minute, "deleted for", of...),
	}, "how long", of...))
	w.call(func(l *life) {
		if _, _, err := l.service.RestoreSubscription(context.Background(), l.kit.admin, s.Company, s.ID); err != nil {
			l.history.add(l, note(fmt.Sprintf("subscription %d was not restored: %v", s.ID, err)))
			return
		}
		l.history.add(l, &restored{s.ID})
	})
}

// restores tells whether a change takes a deletion back, in time.
func restores(old, s *fattorino.Subscription) bool {
	return old.State == fattorino.Deleted && !old.Options.Ordering.Keeps() && !s.State.Gone() && s.State == old.Before && s.Sink == old.Sink && s.UpdatedAt.Sub(old.UpdatedAt) < undoFor
}

// restored holds that what a deletion had discarded is on its way again once
// its owner was told so.
func (c *checker) restored(r *restored) {
	c.kit.met.add("restored")
	s := c.subscriptions[r.subscription]
	for _, d := range s.deliveries {
		if d.State != fattorino.Discarded || d.Reason != fattorino.SinkGone || d.kept.pruned || s.State.Gone() {
			continue
		}
		c.violate(d.about(), "delivery %d was discarded with subscription %d, and is not on its way again with it", d.ID, s.ID)
	}
}

// broughtBack tells whether a deletion was taken back since the last attempt,
// which has what was to be discarded go out at once.
func (d *delivery) broughtBack() bool {
	n := len(d.attempts)
	return n > 0 && d.attempts[n-1].written.Before(d.sub.restoredAt)
}
