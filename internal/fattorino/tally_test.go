package fattorino_test

import (
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestAQuantileIsEstimatedWithinItsClass(t *testing.T) {
	t.Parallel()
	times := func(list ...time.Duration) (l fattorino.Latency) {
		for _, took := range list {
			l.Add(took)
		}
		return l
	}
	ms := time.Millisecond
	for _, x := range []struct {
		name  string
		l     fattorino.Latency
		share float64
		want  time.Duration
	}{
		{"nothing was counted", times(), 0.5, 0},
		{"one attempt, half of its class", times(3 * ms), 0.5, 2500 * time.Microsecond},
		{"a time that is a bound is in the class below it", times(5 * ms), 1, 5 * ms},
		{"two classes, the lower half ends the lower class", times(7*ms, 40*ms), 0.5, 10 * ms},
		{"two classes, three quarters are in the middle of the upper", times(7*ms, 40*ms), 0.75, 37500 * time.Microsecond},
		{"what took longer than the last bound counts as that", times(time.Minute), 0.99, 10 * time.Second},
	} {
		if got := x.l.Quantile(x.share); got != x.want {
			t.Errorf("%s: got %v, want %v", x.name, got, x.want)
		}
	}
}

func TestTheSuccessRateIsOfAttempts(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		counts fattorino.Counts
		want   float64
	}{
		{fattorino.Counts{}, 1},
		{fattorino.Counts{Delivered: 3, Failed: 1, Discarded: 1}, 0.75},
		{fattorino.Counts{Failed: 1}, 0},
	} {
		if got := x.counts.SuccessRate(); got != x.want {
			t.Errorf("of %+v: got %v, want %v", x.counts, got, x.want)
		}
	}
}
