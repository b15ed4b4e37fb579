package sqlite

import (
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Whatever was written, nothing is ever taken for untried that may not be.
func TestWhatWasWrittenIsNotTakenForUntried(t *testing.T) {
	t.Parallel()
	// Given a store that was opened with a hundred deliveries in it,
	var u untried
	u.forget(100)
	if got := u.from(1); got != 100 {
		t.Errorf("what was there at the start is known above %d, want 100", got)
	}
	// when something is written of more subscriptions than are told apart,
	for id := int64(1); id <= 3*maxUntried; id++ {
		u.tried([]fattorino.Outcome{{Delivery: &fattorino.Delivery{ID: 100 + id, Subscription: id}}})
		u.set(&fattorino.Delivery{ID: 50, Subscription: id}) // an old one, sent again
		if u.from(id) < 100+id {
			t.Fatalf("delivery %d was written, and what is above %d is taken for untried", 100+id, u.from(id))
		}
	}
	// then little is remembered, and of the first subscriptions it is not known any
	// more.
	if len(u.after) > maxUntried {
		t.Errorf("%d subscriptions are remembered, want %d at most", len(u.after), maxUntried)
	}
	if got := u.from(1); got < 101 {
		t.Errorf("of the first it is known above %d", got)
	}
	// Of one that was heard of lately, what comes after is untried.
	last := int64(3 * maxUntried)
	if got := u.from(last); got != 100+last {
		t.Errorf("of the last it is known above %d, want %d", got, 100+last)
	}
}
