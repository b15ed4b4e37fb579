package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// The figures of case C.
const (
	p99Without = "p99 ms without it"
	p99With    = "p99 ms with it"
	p99Ratio   = "p99 with ÷ without"
)

// What case C is.
const (
	hangingSinks   = 10
	hangingRate    = 40 // events/s for each sink
	hangingSeconds = 20
	hangFor        = 10 * time.Second
)

// hangingCase is case C: ten sinks of ten companies, of which one hangs.
func hangingCase() benchCase {
	return benchCase{
		name:  "C",
		run:   hangingRound,
		shows: []shown{{p99Ratio, "≤", 1.2}, {figure: p99Without}, {figure: p99With}, {figure: "p50 ms with it"}, {lost, "≤", 0}},
	}
}

func hangingRound(ctx context.Context, b *bench) (figures, error) {
	without, err := besideHanging(ctx, b, false)
	if err != nil {
		return nil, err
	}
	with, err := besideHanging(ctx, b, true)
	if err != nil {
		return nil, err
	}
	return figures{
		p99Without: without[p99], p99With: with[p99], p99Ratio: with[p99] / without[p99],
		"p50 ms with it": with[p50], lost: without[lost] + with[lost],
	}, nil
}

// besideHanging gives the latencies of nine sinks beside a tenth, which hangs
// or does not.
func besideHanging(ctx context.Context, b *bench, hangs bool) (figures, error) {
	events := hangingSinks * hangingRate * hangingSeconds
	came := newArrivals(events, hangingSinks)
	sinks := make([]*sink, hangingSinks)
	for i := range sinks {
		sinks[i] = newSink(came)
		defer sinks[i].Close()
	}
	over := make(chan struct{})
	if hangs {
		sinks[0].before = hang(over, hangFor)
	}
	s, err := b.start(ctx)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	defer close(over) // before the server stops, which waits for answers
	err = s.subscribeEach(hangingSinks, func(i int) (company int, wish map[string]any) {
		return i + 1, map[string]any{"sink": fmt.Sprintf("%s/%d", sinks[i].URL, i), "types": []string{eventType}}
	})
	if err != nil {
		return nil, err
	}
	l := load{
		events: events, batch: 1, publishers: 64, rate: hangingSinks * hangingRate,
		company: func(event int) int { return event%hangingSinks + 1 },
	}
	if _, err := s.publish(ctx, l, came.sent); err != nil {
		return nil, err
	}
	expected := events / hangingSinks * (hangingSinks - 1)
	if !hangs {
		expected = events
	}
	came.await(expected, time.Second)
	f := figures{lost: float64(int64(expected) - came.count.Load())}
	f[p50], f[p99] = came.latencies(1)
	return f, nil
}

// hang keeps every request waiting for the time, or until it is over, and
// then answers that the sink is not well.
func hang(over <-chan struct{}, most time.Duration) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		select {
		case <-time.After(most):
		case <-r.Context().Done():
		case <-over:
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
}
