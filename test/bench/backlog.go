package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// The figures of case E.
const (
	othersAlone  = "A/s of others alone"
	othersBeside = "A/s of others beside it"
	othersKept   = "others beside ÷ alone"
	drainRate    = "drain, deliveries/s"
	besideB      = "B/s alone"
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

// Beside the backlog others publish in so many turns, each for so long where they
// are held up; and the drain takes so many.
const (
	turnsOfOthers = 5
	othersFor     = 20 * time.Second
	turnsOfDrain  = 10
)

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
			{figure: othersAlone},
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
	c := &besideBacklog{bench: b}
	var err error
	if c.server, err = b.start(ctx); err != nil {
		return nil, err
	}
	defer c.server.stop()
	if c.alone, err = b.start(ctx); err != nil {
		return nil, err
	}
	defer c.alone.stop()
	if _, err := c.rateOfB(ctx); err != nil { // it warms up
		return nil, err
	}
	events := b.scaled(pendingDeliveries, 10_000) / downPerCompany
	sinks := newDownSinks(events, how)
	defer sinks.close()
	f := figures{}
	if f[fillSeconds], err = sinks.fill(ctx, c.server, events); err != nil {
		return nil, err
	}
	if err := c.others(ctx, f); err != nil {
		return nil, err
	}
	if err := c.drain(ctx, sinks, f); err != nil {
		return nil, err
	}
	f[memory] = c.server.peak()
	f[lost] += float64(sinks.pending())
	f[doubled] = float64(sinks.doubled.Load())
	return f, nil
}

// besideBacklog compares a server on which a backlog waits or drains with one that
// has none. They take turns, the first one halted while the other is measured: in
// the minutes that a backlog takes the machine may become another.
type besideBacklog struct {
	*bench
	server, alone *server
	rounds        int // of case B, each in a company of its own
}

// whileHalted does something while the server with the backlog is halted.
func (c *besideBacklog) whileHalted(do func() error) error {
	if err := c.server.halt(); err != nil {
		return err
	}
	return errors.Join(do(), c.server.goOn())
}

// others publishes the events of case A to both.
func (c *besideBacklog) others(ctx context.Context, f figures) error {
	warm := c.events / 2 // in which what was put off by the halt is done, too
	each := warm + c.events
	rate := func(s *server, to *sink, turn int) (float64, error) {
		a := ofCaseA(turn*each, warm)
		a.most = othersFor
		if _, err := s.deliver(ctx, a, to.arrivals); err != nil {
			return 0, err
		}
		a.first, a.events = a.first+warm, c.events
		of, err := s.deliver(ctx, a, to.arrivals)
		f[lost] += of[lost]
		return of[delivered], err
	}
	beside, err := c.server.beside(hmac, 1, turnsOfOthers*each)
	if err != nil {
		return err
	}
	defer beside.Close()
	alone, err := c.alone.beside(hmac, 1, turnsOfOthers*each)
	if err != nil {
		return err
	}
	defer alone.Close()
	turns := turnsOf{}
	for turn := range turnsOfOthers {
		var without float64
		err := c.whileHalted(func() (err error) { without, err = rate(c.alone, alone, turn); return err })
		if err != nil {
			return err
		}
		with, err := rate(c.server, beside, turn)
		if err != nil {
			return err
		}
		turns.add(figures{othersKept: with / without, othersBeside: with, othersAlone: without})
	}
	turns.medians(f)
	return nil
}

// drain has the sinks answer and waits for all that is pending. The rate is that
// until a twentieth is left: the last are those that wait for a retry.
func (c *besideBacklog) drain(ctx context.Context, sinks *downSinks, f figures) error {
	all := len(sinks.came) * len(sinks.sent)
	most, each := all/20*19, all/turnsOfDrain
	if err := sinks.answer(); err != nil {
		return err
	}
	var drained int
	var took, cpu time.Duration
	turns := turnsOf{}
	for left := most - sinks.delivered(); left > 0; left = most - sinks.delivered() {
		before, cpuBefore, begun := sinks.delivered(), c.server.cpu(), time.Now()
		sinks.await(before+min(each, left), 2*time.Minute)
		if sinks.delivered() == before {
			break // that much is lost
		}
		drained, took, cpu = drained+sinks.delivered()-before, took+sinks.lastAt().Sub(begun), cpu+c.server.cpu()-cpuBefore
		err := c.whileHalted(func() error {
			rate, err := c.rateOfB(ctx)
			turns.add(figures{besideB: rate})
			return err
		})
		if err != nil {
			return err
		}
	}
	if drained == 0 {
		return errors.New("nothing drains, though the sinks are up")
	}
	sinks.await(all, 2*time.Minute)
	turns.medians(f)
	f[drainRate], f[drainCost] = float64(drained)/took.Seconds(), float64(cpu.Microseconds())/float64(drained)
	f[drainRatio] = f[drainRate] / f[besideB]
	return nil
}

// rateOfB gives the deliveries/s of case B at the server that has no backlog.
func (c *besideBacklog) rateOfB(ctx context.Context) (float64, error) {
	events, company := c.events/4, firstDown+c.rounds
	c.rounds++
	to := newSink(newArrivals(events, 10))
	defer to.Close()
	err := c.alone.subscribeEach(10, func(i int) (int, map[string]any) {
		return company, map[string]any{"sink": fmt.Sprintf("%s/%d", to.URL, i), "types": []string{eventType}}
	})
	if err != nil {
		return 0, err
	}
	f, err := c.alone.deliver(ctx, load{
		events: events, batch: 100, publishers: 8, company: func(int) int { return company },
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

// pending is how many deliveries have not come yet, and delivered how many have.
func (d *downSinks) pending() int   { return len(d.came)*len(d.sent) - d.delivered() }
func (d *downSinks) delivered() int { return int(d.count.Load()) }

// answer has the sinks be up.
func (d *downSinks) answer() error {
	close(d.up)
	for _, open := range d.open {
		if err := open(); err != nil {
			return err
		}
	}
	return nil
}

func (d *downSinks) close() {
	for _, to := range d.sinks {
		to.Close()
	}
}
