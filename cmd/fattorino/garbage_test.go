package main

import "testing"

func TestASmallHeapGrowsByMoreThanIsInUse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 300},
		{1 << 20, 300},
		{16 << 20, 200},
		{32 << 20, 100},
		{1 << 30, 100},
	} {
		if got := gcPercent(c.live); got != c.want {
			t.Errorf("with %d bytes in use it grows by %d %%, want %d %%", c.live, got, c.want)
		}
	}
}
