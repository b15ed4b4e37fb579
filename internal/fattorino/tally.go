package fattorino

import (
	"context"
	"time"
)

// LatencyBounds are the upper bounds of the classes that the times of answered
// attempts are counted in; what took longer is in one class more.
func LatencyBounds() [LatencyClasses - 1]time.Duration {
	return [...]time.Duration{
		5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
	}
}

// LatencyClasses is how many classes there are.
const LatencyClasses = 12

// Latency counts the times of answered attempts, class by class.
type Latency [LatencyClasses]int64

// Add counts a time.
func (l *Latency) Add(took time.Duration) {
	for i, bound := range LatencyBounds() {
		if took <= bound {
			l[i]++
			return
		}
	}
	l[LatencyClasses-1]++
}

// Quantile estimates the time within which a share of the attempts, as 0.95,
// was answered: it takes those of a class as spread evenly over it. What took
// longer than the last bound counts as that bound. Nothing counted gives 0.
func (l *Latency) Quantile(share float64) time.Duration {
	var all int64
	for _, n := range l {
		all += n
	}
	rank, low := share*float64(all), time.Duration(0)
	for i, bound := range LatencyBounds() {
		if n := float64(l[i]); n > 0 && rank <= n {
			return low + time.Duration(float64(bound-low)*max(0, rank)/n)
		}
		rank -= float64(l[i])
		low = bound
	}
	if all == 0 {
		return 0
	}
	return low
}

// Counts are what became of deliveries in some span of time.
type Counts struct {
	Delivered int64
	Failed    int64 // attempts, not deliveries: one that is tried again counts again
	Discarded int64 // deliveries
	Latency   Latency
}

// Plus gives the sum.
func (c Counts) Plus(more Counts) Counts {
	c.Delivered += more.Delivered
	c.Failed += more.Failed
	c.Discarded += more.Discarded
	for i, n := range more.Latency {
		c.Latency[i] += n
	}
	return c
}

// A Tally is the counts of a minute or more.
type Tally struct {
	Company      int64
	Subscription int64     // 0 = all of the company
	At           time.Time // when it begins
	Counts
}

// A Pulse is how a subscription's attempts went of late.
type Pulse struct {
	Subscription int64
	SucceededAt  time.Time // the last success; zero = none is known
	FailedAt     time.Time // the last failed attempt; zero = none is known
	InARow       int64     // attempts that failed since the last success
	Broken       bool      // of one to be written: there was a success before those, so what was counted before is over
}

// Unsettled is how much a subscription has left to do.
type Unsettled struct {
	Count    int       // as far as it was counted
	OldestAt time.Time // when the oldest event in it was accepted; zero = there is none
}

// A TallyQuery asks for tallies.
type TallyQuery struct {
	Company       int64
	Subscriptions []int64 // 0 among them is all of the company, counted together
	From, To      time.Time
	Step          time.Duration // whole minutes; the tallies of a step are added up
}

// A TallyReader reads what was counted.
type TallyReader interface {
	// Tallies gives what was counted from From up to but not including To, all
	// subscriptions together, in steps counted from 1970. Steps in which nothing
	// happened are left out.
	Tallies(ctx context.Context, q TallyQuery) ([]Tally, error)
	// EachTally does so for each of the subscriptions by itself, by subscription
	// and then in time. They may be of several companies, which are not told.
	EachTally(ctx context.Context, subscriptions []int64, from, to time.Time, step time.Duration) ([]Tally, error)
	// Pulses gives those of the subscriptions, of whatever companies, that have
	// one.
	Pulses(ctx context.Context, subscriptions []int64) ([]Pulse, error)
	// Unsettled counts the pending and waiting deliveries of a subscription, up
	// to most of those never tried, of those due again and of those that wait.
	Unsettled(ctx context.Context, subscription int64, most int) (Unsettled, error)
}

// A TallyTx keeps what was counted small.
type TallyTx interface {
	// RollTallies adds the oldest minute before the time to its hour. It reports
	// whether there was one.
	RollTallies(before time.Time) (rolled bool, err error)
	// PruneTallies deletes the oldest hour before the time, or a minute that was
	// not added to its hour. It reports whether there was one.
	PruneTallies(before time.Time) (pruned bool, err error)
}
