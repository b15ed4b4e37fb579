package fattorino

import "time"

// An Allowance is so many at once, and then one in every so long: a token bucket.
// What is left of it is kept as one time, at which all of it is there again, so
// that several processes can share it in the store (this form is known as the
// generic cell rate algorithm).
type Allowance struct {
	Burst int64
	Every time.Duration
}

// Take takes one of what is whole again at the time whole, and gives that time
// from then on. A wait above 0 is how long there is none left; then nothing is
// taken.
func (a Allowance) Take(whole, now time.Time) (then time.Time, wait time.Duration) {
	all := time.Duration(a.Burst) * a.Every
	if whole.Before(now) {
		whole = now
	}
	if latest := now.Add(all); whole.After(latest) { // taken by a clock that is ahead
		whole = latest
	}
	then = whole.Add(a.Every)
	if wait = then.Sub(now) - all; wait > 0 {
		return whole, wait
	}
	return then, 0
}
