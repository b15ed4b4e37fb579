package sqlite

import "sync"

// ahead is what was read of the lanes' pages beyond what a lane had room for. A
// lane that drains asks for a few deliveries at a time; most are on the page that
// was read for the ones before, and their events are in memory, as other lanes have
// just had them: nothing needs to be read for them.
type ahead struct {
	mu    sync.Mutex
	rests map[int64]laneReader // by subscription
}

// maxAhead is for how many subscriptions it is kept: some hundreds of bytes each.
const maxAhead = 4096

// keep notes what is still to be read of a page.
func (a *ahead) keep(subscription int64, rest laneReader) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(rest.packed) == 0 {
		delete(a.rests, subscription)
		return
	}
	if a.rests == nil || len(a.rests) >= maxAhead {
		a.rests = map[int64]laneReader{}
	}
	a.rests[subscription] = rest
}

// take gives the next deliveries of a subscription after one, as far as they are
// known: n at most. Nothing has become of those above untouched; of others it is
// not known, and they are not given.
func (a *ahead) take(subscription, after int64, n int, untouched int64) (refs []ref) {
	a.mu.Lock()
	defer a.mu.Unlock()
	rest, known := a.rests[subscription]
	if !known || rest.id != after || after < untouched {
		return nil
	}
	for len(refs) < n && len(rest.packed) > 0 {
		next, err := rest.next()
		if err != nil {
			delete(a.rests, subscription)
			return nil // whoever reads the page says so
		}
		refs = append(refs, next)
	}
	if a.rests[subscription] = rest; len(rest.packed) == 0 {
		delete(a.rests, subscription)
	}
	return refs
}
