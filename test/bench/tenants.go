package main

import (
	"context"
	"fmt"
	"time"
)

// The figures of case F.
const (
	publishCost   = "CPU µs/event ÷ that of 100 subscriptions"
	costOfFew     = "CPU µs/event with 100"
	costOfMany    = "CPU µs/event with all"
	rateOfMany    = "rate ÷ that of 100"
	untilReady    = "start to ready s"
	memoryOnStart = "RSS MiB after start"
	subscribed    = "subscribed/s"
)

// What case F is: perCompany subscriptions in each company.
const manyCompanies = 10_000

// tenantsCase is case F: what many subscriptions cost that do not hear an
// event. Each event is heard by one, few or many as there are.
func tenantsCase() benchCase {
	return benchCase{
		name: "F", big: true, run: tenants,
		shows: []shown{
			{publishCost, "≤", 1.5},
			{untilReady, "≤", 3},
			{memory, "≤", 400},
			{figure: costOfFew},
			{figure: costOfMany},
			{figure: rateOfMany},
			{figure: memoryOnStart},
			{figure: subscribed},
			{lost, "≤", 0},
		},
	}
}

func tenants(ctx context.Context, b *bench) (figures, error) {
	few, err := amongTenants(ctx, b, 10)
	if err != nil {
		return nil, err
	}
	many, err := amongTenants(ctx, b, b.scaled(manyCompanies, 20))
	if err != nil {
		return nil, err
	}
	many[costOfFew], many[costOfMany] = few[cpuPerDelivery], many[cpuPerDelivery]
	many[publishCost] = many[costOfMany] / many[costOfFew]
	many[rateOfMany] = many[delivered] / few[delivered]
	many[lost] += few[lost]
	return many, nil
}

// amongTenants publishes the events of case A, spread over so many companies
// with perCompany subscriptions each, and starts the server again.
func amongTenants(ctx context.Context, b *bench, companies int) (figures, error) {
	came := newArrivals(b.events, 1)
	to := newSink(came)
	defer to.Close()
	s, err := b.start(ctx)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	begun, n := time.Now(), companies*perCompany
	kind := func(i int) string { return fmt.Sprint("bench.kind", i, ".made") }
	err = s.subscribeEach(n, func(i int) (company int, wish map[string]any) {
		return i/perCompany + 1, map[string]any{"sink": to.URL + "/0", "types": []string{kind(i % perCompany)}}
	})
	if err != nil {
		return nil, err
	}
	making := time.Since(begun)
	f, err := s.deliver(ctx, load{
		events: b.events, batch: 1, publishers: 32,
		company: func(event int) int { return event%companies + 1 },
		kind:    func(event int) string { return kind(event / companies % perCompany) },
	}, came)
	if err != nil {
		return nil, err
	}
	ready, err := s.restart(ctx)
	if err != nil {
		return nil, err
	}
	f[subscribed] = float64(n) / making.Seconds()
	f[untilReady], f[memoryOnStart] = ready.Seconds(), processMemory(s.cmd.Process.Pid, "VmRSS")
	f[memory] = max(f[memory], s.peak())
	return f, nil
}
