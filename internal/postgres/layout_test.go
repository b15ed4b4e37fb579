package postgres

import (
	"testing"
	"time"
)

func TestAnIDTellsItsDayAndItsPart(t *testing.T) {
	t.Parallel()
	for _, parts := range []int64{1, 3, 64, 1024} {
		l := layout{parts: parts}
		for _, day := range []int{1, 20000, 33000} {
			for _, part := range []int16{0, int16(parts / 2), int16(parts - 1)} {
				for _, number := range []int64{1, 1<<numberBits - 1} {
					id := l.id(day, part, number)
					if l.dayOf(id) != day || l.ofID(id) != part || id < l.dayStart(day) || id >= l.dayStart(day+1) {
						t.Errorf("%d parts: id %d of day %d and part %d tells day %d and part %d", parts, id, day, part, l.dayOf(id), l.ofID(id))
					}
				}
				if id := l.subscription(part, 5); l.ofSubscription(id) != part {
					t.Errorf("%d parts: subscription %d of part %d tells part %d", parts, id, part, l.ofSubscription(id))
				}
			}
		}
	}
	// JSON numbers are exact up to 2^53 in every language.
	last := dayAt(time.Date(2059, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
	if id := (layout{parts: 64}).id(last, 63, 1<<numberBits-1); id >= 1<<53 {
		t.Errorf("id %d of 2059 is above 2^53", id)
	}
}

// An id that nobody gave leads to no error, and to nothing.
func TestAnIDThatWasNeverGivenIsOfSomePart(t *testing.T) {
	t.Parallel()
	l := layout{parts: 64}
	for _, id := range []int64{-1 << 63, -1, 0, 1, 1<<63 - 1} {
		for _, part := range []int16{l.ofID(id), l.ofSubscription(id), l.of(id)} {
			if part < 0 || part > 63 {
				t.Errorf("id %d is of part %d", id, part)
			}
		}
	}
}

func TestCompaniesAreSpreadOverTheParts(t *testing.T) {
	t.Parallel()
	l := layout{parts: 64}
	for name, company := range map[string]func(int64) int64{
		"one by one":       func(n int64) int64 { return n },
		"in steps of 1024": func(n int64) int64 { return n * 1024 },
		"from 1 << 40":     func(n int64) int64 { return 1<<40 + n },
	} {
		count := make([]int, l.parts)
		const each = 100
		for n := range each * l.parts {
			count[l.of(company(n))]++
		}
		for part, n := range count {
			if n < each/2 || n > each*2 {
				t.Errorf("%s: part %d has %d companies, want about %d", name, part, n, each)
			}
		}
	}
	// It is what every database was made with: it may never change.
	for company, want := range map[int64]int16{1: 37, 7: 20, 12345: 17} {
		if got := l.of(company); got != want {
			t.Errorf("company %d is of part %d, was of %d", company, got, want)
		}
	}
}

// The ids of one event are of one day, and those of a part never go back.
func TestIDsOfAPartNeverDecrease(t *testing.T) {
	t.Parallel()
	l := layout{parts: 64}
	day := func(n int64) int64 { return n * (24 * time.Hour).Microseconds() }
	st := state{day: 100, number: 1<<numberBits - 4}
	last := l.id(100, 7, st.number)
	for _, step := range []struct {
		now  int64
		n    int
		want int // day
	}{
		{day(100), 2, 100},
		{day(100), 2, 101}, // no room for both in the day
		{day(99), 1, 101},  // a clock that is behind
		{day(101), 1, 101}, // the day that has begun already
		{day(105), 1000, 105},
	} {
		id, d := st.next(l, 7, step.now, step.n)
		if id <= last || d != step.want || l.dayOf(id) != d || l.dayOf(id+int64(step.n)-1) != d || l.ofID(id+int64(step.n)-1) != 7 {
			t.Errorf("%d ids from %d, of day %d; want them above %d, of day %d", step.n, id, d, last, step.want)
		}
		last = id + int64(step.n) - 1
	}
}
