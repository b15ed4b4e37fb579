package ui

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How often someone may try to sign in: so many times at once, and then once
// in every so long. It is counted for each network address and for each name.
const (
	signInBurst = 10
	signInEvery = 10 * time.Second
	maxThrottle = 10_000 // addresses and names that are counted; then it begins anew
	maxHashing  = 2      // passwords hashed at the same time: each takes 19 MiB
)

// A throttle slows down who guesses.
type throttle struct {
	mu      sync.Mutex
	buckets map[string]*rate.Limiter
	hashing chan struct{}
}

func newThrottle() *throttle {
	return &throttle{buckets: map[string]*rate.Limiter{}, hashing: make(chan struct{}, maxHashing)}
}

// allow tells whether another try may be made with all of the keys.
func (t *throttle) allow(now time.Time, keys ...string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.buckets) > maxThrottle {
		clear(t.buckets)
	}
	allowed := true
	for _, key := range keys {
		bucket := t.buckets[key]
		if bucket == nil {
			bucket = rate.NewLimiter(rate.Every(signInEvery), signInBurst)
			t.buckets[key] = bucket
		}
		allowed = bucket.AllowN(now, 1) && allowed
	}
	return allowed
}

// hash runs f, which hashes a password, when it is its turn.
func (t *throttle) hash(f func()) {
	t.hashing <- struct{}{}
	defer func() { <-t.hashing }()
	f()
}

// network names the network that a request comes from: its address, or for
// IPv6 the first half of it, which one customer has for himself.
func network(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if address = address.Unmap(); address.Is4() {
		return address.String()
	}
	prefix, err := address.Prefix(64)
	if err != nil {
		return host
	}
	return prefix.String()
}
