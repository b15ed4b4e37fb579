package main

import (
	"context"
	"fmt"
	"time"
)

// What case H is.
const (
	idleCompanies    = 1_000
	perCompany       = 10 // subscriptions
	idleFor          = 30 * time.Second
	settleAfterwards = 15 * time.Second // statistics are written 10 seconds later
)

const idleShare = "% of a core"

// idleCase is case H: nothing to do, with 10,000 subscriptions that have had
// an event each.
func idleCase() benchCase {
	return benchCase{name: "H", run: idle, shows: []shown{{idleShare, "≤", 0.1}, {figure: memory}, {lost, "≤", 0}}}
}

func idle(ctx context.Context, b *bench) (figures, error) {
	companies := b.scaled(idleCompanies, 10)
	came := newArrivals(companies, perCompany)
	to := newSink(came)
	defer to.Close()
	s, err := b.start(ctx)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	err = s.subscribeEach(companies*perCompany, func(i int) (company int, wish map[string]any) {
		return i/perCompany + 1, map[string]any{"sink": fmt.Sprintf("%s/%d", to.URL, i%perCompany), "types": []string{eventType}}
	})
	if err != nil {
		return nil, err
	}
	f, err := s.deliver(ctx, load{
		events: companies, batch: 100, publishers: 8,
		company: func(event int) int { return event + 1 },
	}, came)
	if err != nil {
		return nil, err
	}
	time.Sleep(settleAfterwards)
	cpu := s.cpu()
	time.Sleep(idleFor)
	f[idleShare] = (s.cpu() - cpu).Seconds() / idleFor.Seconds() * 100
	return f, nil
}
