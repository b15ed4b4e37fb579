package main

import "context"

// latencyCase is case D: from publish to arrival, at half the rate of A.
func latencyCase(name string, c contract) benchCase {
	return benchCase{
		name:  name,
		run:   func(ctx context.Context, b *bench) (figures, error) { return latency(ctx, b, c) },
		shows: []shown{{p50, "≤", 1}, {p99, "≤", 6}, {figure: delivered}, {figure: cpuPerDelivery}, {lost, "≤", 0}},
	}
}

// latencySeconds is how long a round of case D publishes.
const latencySeconds = 4

func latency(ctx context.Context, b *bench, c contract) (figures, error) {
	if b.throughputs[oneByOne(c)] == 0 { // A is not among the cases of this run
		if _, err := oneByOne(c).run(ctx, b); err != nil {
			return nil, err
		}
	}
	rate := b.throughputs[oneByOne(c)] / 2
	events := int(rate * latencySeconds)
	came := newArrivals(events, 1)
	to := newSink(came)
	defer to.Close()
	s, err := b.start(ctx)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	if err := s.subscribe(c, 1, to.URL); err != nil {
		return nil, err
	}
	return s.deliver(ctx, load{events: events, batch: 1, publishers: 64, rate: rate}, came)
}
