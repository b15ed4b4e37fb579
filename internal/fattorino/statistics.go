package fattorino

import (
	"context"
	"slices"
	"time"
)

// MinutesKept is for how long statistics are kept by the minute; older ones are
// kept by the hour.
const MinutesKept = 48 * time.Hour

// maxBuckets bounds the answer of one question for statistics.
const maxBuckets = 1500

// A Bucket is the statistics of one step.
type Bucket struct {
	At time.Time // when it begins
	Counts
}

// P50 estimates the time within which half of the attempts was answered, P95
// and P99 that of 95 and 99 of a hundred: see [Latency.Quantile].
func (c *Counts) P50() time.Duration { return c.Latency.Quantile(0.50) }

// P95 is described with [Counts.P50].
func (c *Counts) P95() time.Duration { return c.Latency.Quantile(0.95) }

// P99 is described with [Counts.P50].
func (c *Counts) P99() time.Duration { return c.Latency.Quantile(0.99) }

// SuccessRate is the share of the attempts that succeeded, from 0 to 1; 1 where
// there was none.
func (c *Counts) SuccessRate() float64 {
	if c.Delivered+c.Failed == 0 {
		return 1
	}
	return float64(c.Delivered) / float64(c.Delivered+c.Failed)
}

// Statistics gives what became of a company's deliveries from one time up to,
// but not including, another, step by step: of one subscription, or of all
// (0). Every step is there, those without anything too. Steps are whole
// minutes and are counted from 1970; what is older than [MinutesKept] is known
// by the hour. What was counted is written every few seconds: after a crash the
// last of it are missing.
func (s *Service) Statistics(ctx context.Context, caller *Token, company, subscription int64, from, to time.Time, step time.Duration) ([]Bucket, error) {
	if err := checkSteps(from, to, step); err != nil {
		return nil, err
	}
	ids, err := s.counted(ctx, caller, company, subscription)
	if err != nil {
		return nil, err
	}
	from = from.UTC().Truncate(step)
	tallies, err := s.Store.Tallies(ctx, TallyQuery{Company: company, Subscriptions: ids, From: from, To: to, Step: step})
	if err != nil {
		return nil, err
	}
	return fill(tallies, from, to, step), nil
}

// checkSteps refuses what is no range of time, or too long a list.
func checkSteps(from, to time.Time, step time.Duration) error {
	switch {
	case step < time.Minute || step%time.Minute != 0:
		return InvalidField("step", "a step is one or more whole minutes")
	case !from.Before(to):
		return InvalidField("from", "from must be before to")
	case to.Sub(from)/step > maxBuckets:
		return InvalidField("step", "that makes more than %d steps: take longer ones", maxBuckets)
	}
	return nil
}

// counted gives the subscriptions whose tallies answer a question: for all of a
// company those of the caller's app, or, where it sees every app, the sum that
// is kept.
func (s *Service) counted(ctx context.Context, caller *Token, company, subscription int64) ([]int64, error) {
	if err := need(caller, company, APIToken, AdminToken); err != nil {
		return nil, err
	}
	if subscription == 0 && caller.ownApp() == 0 {
		return []int64{0}, nil
	}
	ids, err := s.Store.SubscriptionIDs(ctx, company, caller.ownApp())
	if err != nil || subscription == 0 {
		return ids, err
	}
	if !slices.Contains(ids, subscription) {
		return nil, noSuch("subscription")
	}
	return []int64{subscription}, nil
}

// fill puts tallies, which are in the order of time, into their steps.
func fill(tallies []Tally, from, to time.Time, step time.Duration) []Bucket {
	buckets := []Bucket{}
	for at := from; at.Before(to); at = at.Add(step) {
		b := Bucket{At: at}
		for len(tallies) > 0 && tallies[0].At.Before(at.Add(step)) {
			b.Counts = b.Plus(tallies[0].Counts)
			tallies = tallies[1:]
		}
		buckets = append(buckets, b)
	}
	return buckets
}

// MaxBacklog is how far a backlog is counted.
const MaxBacklog = 10_000

// Health is how a subscription is doing.
type Health struct {
	Subscription *Subscription
	Backlog      int       // deliveries pending or waiting
	More         bool      // and more than that: MaxBacklog is as far as is counted
	OldestAt     time.Time // when the oldest event of the backlog was accepted; zero = there is none
	SucceededAt  time.Time // the last success; zero = none is known
	FailedAt     time.Time // the last failed attempt; zero = none is known
	InARow       int64     // attempts that failed since the last success
}

// Health tells how the subscriptions of a company that are not gone are doing,
// oldest first; an app hears of its own.
func (s *Service) Health(ctx context.Context, caller *Token, company int64) ([]Health, error) {
	subs, err := s.Subscriptions(ctx, caller, company, "")
	if err != nil {
		return nil, err
	}
	return s.healthOf(ctx, subs)
}

// SubscriptionHealth is [Service.Health] of one subscription.
func (s *Service) SubscriptionHealth(ctx context.Context, caller *Token, company, id int64) (*Health, error) {
	sub, err := s.Subscription(ctx, caller, company, "", id)
	if err != nil {
		return nil, err
	}
	health, err := s.healthOf(ctx, []*Subscription{sub})
	if err != nil {
		return nil, err
	}
	return &health[0], nil
}

func (s *Service) healthOf(ctx context.Context, subs []*Subscription) ([]Health, error) {
	ids := make([]int64, len(subs))
	for i, sub := range subs {
		ids[i] = sub.ID
	}
	pulses, err := s.Store.Pulses(ctx, ids)
	if err != nil {
		return nil, err
	}
	pulse := map[int64]Pulse{}
	for _, p := range pulses {
		pulse[p.Subscription] = p
	}
	all := make([]Health, len(subs))
	for i, sub := range subs {
		left, err := s.Store.Unsettled(ctx, sub.ID, MaxBacklog+1)
		if err != nil {
			return nil, err
		}
		p := pulse[sub.ID]
		all[i] = Health{
			Subscription: sub, Backlog: min(left.Count, MaxBacklog), More: left.Count > MaxBacklog, OldestAt: left.OldestAt,
			SucceededAt: p.SucceededAt, FailedAt: p.FailedAt, InARow: p.InARow,
		}
	}
	return all, nil
}
