package simulation_test

import (
	"context"
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
		back, err := l.service.RestoreSubscription(context.Background(), l.kit.admin, s.Company, s.ID)
		l.ack(l, s.ID, "restored", err, func(s *fattorino.Subscription) bool { return !s.State.Gone() && s.UpdatedAt.Equal(back.UpdatedAt) })
	})
}

// restores tells whether a change takes a deletion back, in time.
func restores(old, s *fattorino.Subscription) bool {
	return old.State == fattorino.Deleted && old.Before != "" && s.State == old.Before && s.Sink == old.Sink && s.UpdatedAt.Sub(old.UpdatedAt) < undoFor
}

// maybeBack tells whether a subscription is deleted, and that may be taken back
// still.
func maybeBack(s *fattorino.Subscription) bool { return s.State == fattorino.Deleted && s.Before != "" }

// ended holds that a deletion is final once the time to take it back is over,
// and not before.
func (c *checker) ended(old *subscription, s *fattorino.Subscription) {
	if !maybeBack(old.Subscription) || s.State != fattorino.Deleted || s.Before != "" {
		return
	}
	c.kit.met.add("deleted for good")
	if left := old.UpdatedAt.Add(undoFor).Sub(c.entry.at); left > grain {
		c.violate(old.about(), "subscription %d cannot be restored any more, %v before the time for it is over", s.ID, left)
	}
}
