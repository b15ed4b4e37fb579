package fattorino_test

import (
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestAnAllowanceIsSoManyAtOnceAndThenOneInEverySoLong(t *testing.T) {
	t.Parallel()
	a := fattorino.Allowance{Burst: 3, Every: 10 * time.Second}
	var whole time.Time
	for _, x := range []struct {
		at, wait time.Duration
	}{
		{0, 0},
		{0, 0},
		{0, 0},
		{0, 10 * time.Second},
		{4 * time.Second, 6 * time.Second}, // what is refused takes nothing
		{10 * time.Second, 0},
		{10 * time.Second, 10 * time.Second},
		{25 * time.Second, 0},
		{25 * time.Second, 5 * time.Second},
		{time.Hour, 0}, // however long it was not used, there is not more than all of it
		{time.Hour, 0},
		{time.Hour, 0},
		{time.Hour, 10 * time.Second},
		{time.Hour - 2*time.Second, 10 * time.Second}, // by a clock that is behind
		{-24 * time.Hour, 10 * time.Second},           // by one that is far behind
	} {
		then, wait := a.Take(whole, noon.Add(x.at))
		if wait != x.wait {
			t.Errorf("at %v: wait %v, want %v", x.at, wait, x.wait)
		}
		if wait == 0 {
			whole = then
		}
	}
}
