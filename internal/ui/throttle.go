package ui

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// signIns is how often someone may try to sign in: it is counted for each
// network address and for each name.
func signIns() fattorino.Allowance { return fattorino.Allowance{Burst: 10, Every: 10 * time.Second} }

// maxHashing is how many passwords are hashed at the same time: each takes 19
// MiB.
const maxHashing = 2

// triesKind is the kind of document that holds when all tries are there again.
const triesKind = "ui_tries"

// A throttle slows down who guesses. What was tried is in the store: another node
// gives no more tries, nor does a restart.
type throttle struct {
	write   Updater
	hashing chan struct{}

	mu      sync.Mutex
	refused map[string]time.Time // by triesID: until when the store need not be asked
}

func newThrottle(write Updater) *throttle {
	return &throttle{write: write, hashing: make(chan struct{}, maxHashing), refused: map[string]time.Time{}}
}

// triesID is the document that the tries of a key are counted in. There are
// 65,536, so that nobody fills the store with names and addresses: those that
// have the same one, which is rare, share their tries. Nothing can be read from
// it either, and what is tried as a name may be a password in the wrong field.
func triesID(key string) string {
	hash := sha256.Sum256([]byte(key))
	return hex.EncodeToString(hash[:2])
}

// take takes one try of each of the keys. A wait above 0 is how long one of them
// has none left; then none is taken of any.
func (t *throttle) take(ctx context.Context, keys ...string) (wait time.Duration, err error) {
	now := time.Now()
	if wait := t.known(now, keys); wait > 0 {
		return wait, nil
	}
	err = t.write.Update(ctx, func(tx fattorino.Tx) error {
		for _, key := range keys {
			if wait, err = takeTry(tx, key, now); err != nil {
				return err
			}
			if wait > 0 {
				t.refuse(triesID(key), now.Add(wait))
				return errNoTries
			}
		}
		return nil
	})
	if wait > 0 {
		return wait, nil
	}
	return 0, err
}

// errNoTries undoes what was taken of other keys.
var errNoTries = fattorino.Errorf(fattorino.TooMany, "there are no tries left")

// takeTry takes one try of a key.
func takeTry(tx fattorino.Tx, key string, now time.Time) (wait time.Duration, err error) {
	var whole time.Time
	d, err := tx.Document(triesKind, 0, triesID(key))
	switch {
	case err == nil:
		if err := whole.UnmarshalText(d.Body); err != nil {
			return 0, err
		}
	case fattorino.KindOf(err) != fattorino.NotFound:
		return 0, err
	}
	if whole, wait = signIns().Take(whole, now); wait > 0 {
		return wait, nil
	}
	body, err := whole.UTC().MarshalText()
	if err != nil {
		return 0, err
	}
	return 0, tx.PutDocument(&fattorino.Document{Kind: triesKind, ID: triesID(key), Body: body})
}

// known gives how long one of the keys is known to have no tries left. Who goes
// on guessing then does not keep the store busy.
func (t *throttle) known(now time.Time, keys []string) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range keys {
		id := triesID(key)
		left := t.refused[id].Sub(now)
		if left <= 0 {
			delete(t.refused, id)
		}
		wait = max(wait, left)
	}
	return wait
}

func (t *throttle) refuse(id string, until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused[id] = until
}

// tellWait says in the header of an answer when to try again, in whole seconds.
func tellWait(h http.Header, wait time.Duration) {
	h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
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
