package sign_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/sign"
)

func kids(keys []*sign.ES256Key) []string {
	var kids []string
	for _, k := range keys {
		kids = append(kids, k.KID())
	}
	return kids
}

func TestRingRotation(t *testing.T) {
	t.Parallel()
	first, second, third := newKey(t), newKey(t), newKey(t)
	ring := sign.NewRing(second, first)
	if ring.Current() != second {
		t.Error("the current key is not the one given first")
	}
	before := ring.All()

	ring.Rotate(third)

	if ring.Current() != third {
		t.Error("the new key does not sign")
	}
	if diff := cmp.Diff(kids([]*sign.ES256Key{third, second, first}), kids(ring.All())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(kids([]*sign.ES256Key{second, first}), kids(before)); diff != "" {
		t.Errorf("a list handed out before was changed: %s", diff)
	}
}

func TestRingRotatesBackToAKeyItHolds(t *testing.T) {
	t.Parallel()
	old, current := newKey(t), newKey(t)
	ring := sign.NewRing(current, old)
	ring.Rotate(reparse(t, old))
	if diff := cmp.Diff(kids([]*sign.ES256Key{old, current}), kids(ring.All())); diff != "" {
		t.Error(diff)
	}
}

func TestRingListIsTheCallers(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	ring := sign.NewRing(k)
	ring.All()[0] = nil
	if ring.Current() != k {
		t.Error("the caller's list is the ring's own")
	}
}

func TestRingLosesNoKeyToConcurrentRotations(t *testing.T) {
	t.Parallel()
	first := newKey(t)
	ring := sign.NewRing(first)
	added := []*sign.ES256Key{newKey(t), newKey(t), newKey(t), newKey(t)}
	var all sync.WaitGroup
	for _, k := range added {
		all.Go(func() { ring.Rotate(k) })
		all.Go(func() {
			if ring.Current() == nil {
				t.Error("no current key during a rotation")
			}
		})
	}
	all.Wait()
	got := map[string]bool{}
	for _, kid := range kids(ring.All()) {
		got[kid] = true
	}
	for _, k := range append(added, first) {
		if !got[k.KID()] {
			t.Error("a key was lost")
		}
	}
	if len(got) != len(added)+1 || len(ring.All()) != len(got) {
		t.Errorf("%d keys, want %d", len(ring.All()), len(added)+1)
	}
}
