package simulation_test

import (
	"fmt"
	"hash/fnv"
	"time"
)

// A chance decides everything that is left to it by a hash of the seed, of what
// is decided, and of what it is decided for. A shared stream of random numbers
// would give others as soon as two goroutines asked in another order.
type chance uint64

// draw gives a number below n.
func (c chance) draw(n int, what string, of ...any) int {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, uint64(c), "|", what) // a hash never fails
	for _, x := range of {
		_, _ = fmt.Fprint(h, "|", x)
	}
	x := h.Sum64()
	x = (x ^ x>>33) * 0xff51afd7ed558ccd // FNV mixes its last bytes little (the finalizer of MurmurHash3)
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return int((x ^ x>>33) % uint64(n))
}

// oneIn tells whether the case of one in n has come.
func (c chance) oneIn(n int, what string, of ...any) bool { return c.draw(n, what, of...) == 0 }

// between gives a time from low to high.
func (c chance) between(low, high time.Duration, what string, of ...any) time.Duration {
	return low + (high-low)*time.Duration(c.draw(10_000, what, of...))/10_000
}

// pick gives one of the list.
func pick[T any](c chance, list []T, what string, of ...any) T {
	return list[c.draw(len(list), what, of...)]
}
