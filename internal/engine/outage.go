package engine

import (
	"log/slog"
	"sync"
	"time"
)

// An outage is when the store cannot be read. However many lanes and parts try,
// each again every second (retryCommit), the log says it once at the beginning,
// once a minute while it lasts, and once at the end.
type outage struct {
	log *slog.Logger

	mu     sync.Mutex
	since  time.Time   // zero = all is well
	told   time.Time   // when the log last had it
	last   time.Time   // the latest failure
	ending *time.Timer // set by a success: the outage is over if nothing has failed for a while
}

const (
	tellEvery = time.Minute
	wellAfter = 2 * retryCommit // whoever failed has tried again by then
)

// failed takes note that a reading has failed; what says which.
func (o *outage) failed(err error, what ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	o.last = now
	if o.since.IsZero() {
		o.since = now
	}
	if now.Sub(o.told) < tellEvery {
		return
	}
	o.told = now
	o.log.Error("the store cannot be read: trying again every second until it can", append(what, "since", o.since, "error", err)...)
}

// succeeded takes note that a reading has succeeded. That alone does not end an
// outage: another may fail all the while.
func (o *outage) succeeded() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() || o.ending != nil {
		return
	}
	o.ending = time.AfterFunc(wellAfter, o.end)
}

// end ends the outage, unless something failed since.
func (o *outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ending = nil // the next success looks again
	if now := time.Now(); now.Sub(o.last) >= wellAfter {
		o.log.Info("the store can be read again", "after", o.last.Sub(o.since).Round(time.Second))
		o.since, o.told = time.Time{}, time.Time{}
	}
}
