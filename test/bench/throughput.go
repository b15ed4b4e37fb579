package main

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// The figures of cases A and B.
const (
	delivered      = "delivered/s"
	ratio          = "× raw"
	cpuPerDelivery = "server CPU µs/delivery"
	rawRate        = "raw/s"
	memory         = "peak RSS MiB"
	lost           = "lost"
	doubled        = "doubled"
	p50            = "p50 ms"
	p99            = "p99 ms"
	benchCPU       = "load, sink CPU µs/delivery"
)

// throughput is how fast deliveries go when the publishers never wait.
type throughput struct {
	contract      contract
	tls           bool
	batch         int // events in a request
	publishers    int
	subscriptions int
	share         float64 // of the events of case A
	nodes         int     // processes on one PostgreSQL database; 0 = one, on SQLite
	companies     int     // that the events speak of; 0 = one
}

// oneByOne is case A.
func oneByOne(c contract) throughput {
	return throughput{contract: c, batch: 1, publishers: 32, subscriptions: 1, share: 1}
}

// fannedOut is case B.
func fannedOut(c contract) throughput {
	return throughput{contract: c, batch: 100, publishers: 8, subscriptions: 10, share: 0.2}
}

// overTLS is the same to an https sink.
func (t throughput) overTLS() throughput {
	t.tls = true
	return t
}

// throughputCase is a case of A or B, with what is insisted on.
func throughputCase(name string, t throughput, insisted ...shown) benchCase {
	return benchCase{
		name: name, run: t.run,
		shows: append(insisted,
			shown{figure: rawRate}, shown{figure: delivered}, shown{figure: benchCPU}, shown{figure: memory},
			shown{lost, "≤", 0}, shown{figure: doubled}),
	}
}

// run measures one round on a fresh server.
func (t throughput) run(ctx context.Context, b *bench) (figures, error) {
	events := int(float64(b.events) * t.share)
	came := newArrivals(events, t.subscriptions)
	listen := newSink
	if t.tls {
		listen = newSecureSink
	}
	to := listen(came)
	defer to.Close()
	before := raw(to, t.contract.notification())
	s, err := b.startFor(ctx, t, to)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	if err := t.subscribe(s, to.URL); err != nil {
		return nil, err
	}
	f, err := s.deliver(ctx, t.load(events), came)
	if err != nil {
		return nil, err
	}
	f[rawRate] = (before + raw(to, t.contract.notification())) / 2
	f[ratio] = f[delivered] / f[rawRate]
	b.throughputs[t] = f[delivered]
	return f, t.compare(ctx, b, f)
}

// load is what is published.
func (t throughput) load(events int) load {
	l := load{events: events, batch: t.batch, publishers: t.publishers}
	if t.companies > 0 { // a request is about one
		l.company = func(event int) int { return 1 + event/t.batch%t.companies }
	}
	return l
}

// subscribe makes the subscriptions to each company.
func (t throughput) subscribe(s *server, sink string) error {
	if t.companies == 0 {
		return s.subscribe(t.contract, t.subscriptions, sink)
	}
	return s.subscribeEach(t.companies*t.subscriptions, func(i int) (company int, wish map[string]any) {
		return 1 + i/t.subscriptions, map[string]any{"sink": fmt.Sprintf("%s/%d", sink, i%t.subscriptions), "types": []string{eventType}}
	})
}

// startFor starts what the case measures, which trusts the sink.
func (b *bench) startFor(ctx context.Context, t throughput, to *sink) (*server, error) {
	if t.nodes > 0 {
		return b.startOnPostgres(ctx, t.nodes)
	}
	if to.Certificate() == nil {
		return b.start(ctx)
	}
	file, remove, err := to.authority()
	if err != nil {
		return nil, err
	}
	defer remove() // the server reads it at its start
	return b.start(ctx, "--sink-ca-file", file)
}

// patience is how long deliveries are waited for that do not come.
const patience = 30 * time.Second

// deliver publishes the load, waits until every lane has had every event, and
// tells how fast that went and what it cost.
func (s *server) deliver(ctx context.Context, l load, came *arrivals) (figures, error) {
	before := int(came.count.Load())
	cpu, database, own, begun := s.cpu(), s.databaseTime(), used(syscall.RUSAGE_SELF), time.Now()
	accepted, err := s.publish(ctx, l, came.sent)
	if err != nil {
		return nil, err
	}
	all := accepted * len(came.came)
	came.await(before+all, patience)
	took := came.lastAt().Sub(begun)
	cpu, database, own = s.cpu()-cpu, s.databaseTime()-database, used(syscall.RUSAGE_SELF)-own
	there := int(came.count.Load()) - before
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(all) }
	f := figures{
		delivered:      float64(there) / took.Seconds(),
		cpuPerDelivery: each(cpu), databaseCPU: each(database), benchCPU: each(own),
		memory: s.peak(), lost: float64(all - there), doubled: float64(came.doubled.Load()),
	}
	f[p50], f[p99] = came.latencies(0)
	return f, nil
}
