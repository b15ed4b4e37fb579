package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// The figures of case E.
const (
	othersBefore = "A/s of others before"
	othersBeside = "A/s of others beside it"
	othersKept   = "others beside ÷ before"
	drainRate    = "drain, deliveries/s"
	besideB      = "B/s on the same server"
	drainRatio   = "drain ÷ B"
	drainCost    = "drain, CPU µs/delivery"
	fillSeconds  = "fill s"
)

// What case E is: the subscriptions of ten companies, each company with a sink
// (a host) of its own.
const (
	pendingDeliveries = 5_000_000
	downCompanies     = 10
	downPerCompany    = 100 // subscriptions
)

// othersFor is how long others publish, where they are held up.
const othersFor = 20 * time.Second

// firstDown is the first company whose sink is down; company 1 is well.
const firstDown = 2

// A failure is how sinks are down.
type failure int

const (
	hanging  failure = iota // they accept, and answer nothing within the time
	refusing                // nobody is at their port
)

// backlogCase is case E. Every subscription waits half a minute after a failed
// attempt, so that the backlog is due soon after its sink is up, and can be
// drained at the speed of the server rather than that of a schedule of hours.
func backlogCase(name string, how failure) benchCase {
	return benchCase{
		name: name, big: true,
		run: func(ctx context.Context, b *bench) (figures, error) { return backlog(ctx, b, how) },
		shows: []shown{
			{memory, "≤", 150},
			{othersKept, "≥", 0.9},
			{drainRatio, "≥", 0.8},
			{figure: othersBefore},
			{figure: othersBeside},
			{figure: besideB},
			{figure: drainRate},
			{figure: drainCost},
			{figure: fillSeconds},
			{lost, "≤", 0},
			{figure: doubled},
		},
	}
}

func backlog(ctx context.Context, b *bench, how failure) (figures, error) {
	s, err := b.start(ctx)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	f := figures{}
	bBefore, err := s.rateOfB(ctx, firstDown+downCompanies, b.events/2)
	if err != nil {
		return nil, err
	}
	ofOthers := 3 * b.events // for some seconds: what comes right after the backlog was written is little of it
	others, err := s.beside(hmac, 1, 2*ofOthers)
	if err != nil {
		return nil, err
	}
	defer others.Close()
	a := load{events: ofOthers, batch: 1, publishers: 32, prefix: "others-", most: othersFor}
	before, err := s.deliver(ctx, a, others.arrivals)
	if err != nil {
		return nil, err
	}
	events := b.scaled(pendingDeliveries, 10_000) / downPerCompany
	sinks := newDownSinks(events, how)
	defer sinks.close()
	if f[fillSeconds], err = sinks.fill(ctx, s, events); err != nil {
		return nil, err
	}
	a.first = ofOthers
	beside, err := s.deliver(ctx, a, others.arrivals)
	if err != nil {
		return nil, err
	}
	waiting, cpu := sinks.pending(), s.cpu()
	if f[drainRate], err = sinks.drain(); err != nil {
		return nil, err
	}
	f[drainCost] = float64((s.cpu() - cpu).Microseconds()) / float64(max(waiting-sinks.pending(), 1))
	bAfter, err := s.rateOfB(ctx, firstDown+downCompanies+1, b.events/2)
	if err != nil {
		return nil, err
	}
	f[besideB] = (bBefore + bAfter) / 2 // minutes lie between them
	f[othersBefore], f[othersBeside], f[othersKept] = before[delivered], beside[delivered], beside[delivered]/before[delivered]
	f[drainRatio], f[memory] = f[drainRate]/f[besideB], s.peak()
	f[lost] = float64(sinks.pending()) + before[lost] + beside[lost]
	f[doubled] = float64(sinks.doubled.Load())
	return f, nil
}

// rateOfB gives the deliveries/s of case B, in a company of its own.
func (s *server) rateOfB(ctx context.Context, company, events int) (float64, error) {
	to := newSink(newArrivals(events, 10))
	defer to.Close()
	err := s.subscribeEach(10, func(i int) (int, map[string]any) {
		return company, map[string]any{"sink": fmt.Sprintf("%s/%d", to.URL, i), "types": []string{eventType}}
	})
	if err != nil {
		return 0, err
	}
	f, err := s.deliver(ctx, load{
		events: events, batch: 100, publishers: 8, prefix: "b-", company: func(int) int { return company },
	}, to.arrivals)
	return f[delivered], err
}

// downSinks are sinks that are down until they drain.
type downSinks struct {
	*arrivals
	sinks []*sink
	up    chan struct{} // closed when hanging sinks answer
	open  []func() error
}

func newDownSinks(events int, how failure) *downSinks {
	d := &downSinks{arrivals: newArrivals(events, downPerCompany), up: make(chan struct{})}
	for range downCompanies {
		to := newSink(d.arrivals)
		d.sinks = append(d.sinks, to)
		if how == refusing {
			d.open = append(d.open, to.down())
			continue
		}
		to.before = d.hang
	}
	return d
}

// hang keeps a request waiting until the sinks are up or its sender has gone.
func (d *downSinks) hang(_ http.ResponseWriter, r *http.Request) (gone bool) {
	select {
	case <-d.up:
		return false
	default:
	}
	select {
	case <-d.up:
		return false
	case <-r.Context().Done():
		return true
	}
}

// fill publishes the events, each heard by all subscriptions of its company,
// and tells how many seconds that took.
func (d *downSinks) fill(ctx context.Context, s *server, events int) (float64, error) {
	schedule := make([]int, 20)
	for i := range schedule {
		schedule[i] = 30
	}
	err := s.subscribeEach(downCompanies*downPerCompany, func(i int) (company int, wish map[string]any) {
		company = i / downPerCompany
		return firstDown + company, map[string]any{
			"sink": fmt.Sprintf("%s/%d", d.sinks[company].URL, i%downPerCompany), "types": []string{eventType}, "schedule": schedule,
		}
	})
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	_, err = s.publish(ctx, load{
		events: events, batch: 100, publishers: 8, prefix: "down-",
		company: func(event int) int { return firstDown + event%downCompanies },
	}, d.sent)
	return time.Since(begun).Seconds(), err
}

// pending is how many deliveries have not come yet.
func (d *downSinks) pending() int {
	return len(d.came)*len(d.sent) - int(d.count.Load())
}

// drain has the sinks answer and waits for all that is pending. It gives the
// rate until a twentieth is left: the last are those that wait for a retry.
func (d *downSinks) drain() (rate float64, err error) {
	begun := time.Now()
	close(d.up)
	for _, open := range d.open {
		if err := open(); err != nil {
			return 0, err
		}
	}
	most := len(d.came) * len(d.sent) / 20 * 19
	d.await(most, 2*time.Minute)
	rate = float64(d.count.Load()) / d.lastAt().Sub(begun).Seconds()
	d.await(len(d.came)*len(d.sent), 2*time.Minute)
	return rate, nil
}

func (d *downSinks) close() {
	for _, to := range d.sinks {
		to.Close()
	}
}
