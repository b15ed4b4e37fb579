package egress

import (
	"errors"
	"sync"
	"time"
)

// errWantsHTTP2 is why an exchange is left to net/http.
var errWantsHTTP2 = errors.New("the sink may want HTTP/2")

// Limits of detours.
const (
	detourTime = 10 * time.Minute
	maxDetours = 1000
)

// detours holds the origins that refused a TLS handshake which offered
// HTTP/1.1 alone. It is safe for concurrent use.
type detours struct {
	mu    sync.Mutex
	until map[origin]time.Time
}

// has tells whether an origin was added not too long ago.
func (d *detours) has(o origin) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	until, ok := d.until[o]
	return ok && time.Now().Before(until)
}

// add adds an origin for a while, in the place of another where there are too
// many.
func (d *detours) add(o origin) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.until == nil {
		d.until = map[origin]time.Time{}
	}
	makeRoom(d.until, maxDetours)
	d.until[o] = time.Now().Add(detourTime)
}

// makeRoom takes some out of m, whichever, so that one more is no more than most.
func makeRoom[K comparable, V any](m map[K]V, most int) {
	for k := range m {
		if len(m) < most {
			return
		}
		delete(m, k)
	}
}
