package sign

import (
	"slices"
	"sync/atomic"
)

// A Ring holds the key that signs and the previous keys that are still
// published, because tokens they signed may still be on their way. Many
// goroutines may use it and rotate it.
type Ring struct {
	keys atomic.Pointer[[]*ES256Key] // the current key first; a list never changes, it is replaced
}

// NewRing makes a ring; previous keys come newest first.
func NewRing(current *ES256Key, previous ...*ES256Key) *Ring {
	r := &Ring{}
	r.Replace(current, previous...)
	return r
}

// Current is the key that signs.
func (r *Ring) Current() *ES256Key { return (*r.keys.Load())[0] }

// Replace puts other keys in the place of all; previous keys come newest first.
func (r *Ring) Replace(current *ES256Key, previous ...*ES256Key) {
	keys := append([]*ES256Key{current}, previous...)
	r.keys.Store(&keys)
}

// Rotate makes a key the one that signs; the key before it becomes the newest
// of the previous ones. A key that the ring holds already moves to the front.
func (r *Ring) Rotate(key *ES256Key) {
	for {
		old := r.keys.Load()
		keys := []*ES256Key{key}
		for _, k := range *old {
			if k.KID() != key.KID() {
				keys = append(keys, k)
			}
		}
		if r.keys.CompareAndSwap(old, &keys) {
			return
		}
	}
}

// All gives the current key and then the previous ones, newest first: what is
// to be published.
func (r *Ring) All() []*ES256Key { return slices.Clone(*r.keys.Load()) }
