package sqlite

import (
	"sync"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// untried knows from which delivery on nothing has become of those of a
// subscription: they need not be looked for among the rows and the successes.
type untried struct {
	mu    sync.Mutex
	since int64           // up to this id nothing is known
	after map[int64]int64 // subscription → the greatest id above that of which anything was written
	last  int64           // the greatest of these
}

// maxUntried is of how many subscriptions it is known.
const maxUntried = 4096

// forget begins anew: of ids up to this one nothing is known.
func (u *untried) forget(id int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.since, u.last, u.after = id, id, map[int64]int64{}
}

// tried takes note of what is about to be written.
func (u *untried) tried(outcomes []fattorino.Outcome) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, o := range outcomes {
		u.note(o.Delivery)
	}
}

// set takes note of a delivery that is about to be written.
func (u *untried) set(d *fattorino.Delivery) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.note(d)
}

func (u *untried) note(d *fattorino.Delivery) {
	u.last = max(u.last, d.ID)
	if d.ID <= u.since || d.ID <= u.after[d.Subscription] {
		return
	}
	if u.after[d.Subscription] = d.ID; len(u.after) > maxUntried {
		u.since = u.last
		clear(u.after)
	}
}

// from gives the id above which nothing has become of the subscription's.
func (u *untried) from(subscription int64) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return max(u.since, u.after[subscription])
}
