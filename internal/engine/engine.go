// Package engine carries events from the moment they are accepted to their
// sinks.
//
// One committer writes everything (committer.go); lanes hold what is to be
// sent next, a bounded window for each subscription (lane.go); a dispatcher
// serves the lanes in turn (dispatcher.go); one function makes one attempt
// (attempt.go). The store is the truth at every moment: what is in memory here
// can be lost without losing an event.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Sender makes one HTTP exchange: it never retries and never follows a
// redirect, and it ends within a bounded time or with ctx.
type Sender interface {
	Send(ctx context.Context, r *fattorino.Request) *fattorino.Answer
}

// Limits bound what the engine does at once and holds in memory.
type Limits struct {
	Lane        int   // attempts in flight for one subscription
	Host        int   // attempts in flight for one host
	Node        int   // attempts in flight in all
	Silent      int   // attempts in a second, about, at all sinks that do not answer; fewer where processors are short
	Window      int   // deliveries of one subscription held in memory
	WindowBytes int64 // about how many bytes of events are held in memory in all
}

// DefaultLimits suit a machine of two cores.
func DefaultLimits() Limits {
	return Limits{Lane: 8, Host: 64, Node: 2048, Silent: 200, Window: 4096, WindowBytes: 16 << 20}
}

// Config is what an Engine is made of.
type Config struct {
	Store fattorino.Store
	// Shared is the store where other processes write to it too, each of which
	// serves some of its parts: this one those that Own names. Nil = the store is
	// this process's alone.
	Shared    fattorino.Shared
	Contracts []fattorino.Contract
	// CompileFilters makes a predicate of a subscription's filters; needed where
	// a contract lets subscriptions have some.
	CompileFilters func(filters []byte) (func(*fattorino.Event) bool, error)
	Sender         Sender
	Log            *slog.Logger
	Limits         Limits                // zero fields take the default
	Retention      time.Duration         // how long events are kept; 0 = for ever
	Metrics        prometheus.Registerer // nil = not measured
	// Held gives a channel that is closed where this process may send, and that
	// is closed once it may again where it may not; nil = it always may.
	Held func() <-chan struct{}
	// ProcessorWait tells how long goroutines that could run have waited for a
	// processor, on average, since it was last asked; nil = not known.
	ProcessorWait func() time.Duration
}

// An Engine accepts events and delivers them. It implements
// [fattorino.Engine].
type Engine struct {
	store      fattorino.Store
	shared     fattorino.Shared // nil = the store is this process's alone
	sender     Sender
	held       func() <-chan struct{}
	log        *slog.Logger
	retention  time.Duration
	metrics    *metrics
	index      *index
	dispatcher *dispatcher
	committer  *committer
	handshakes *handshakes
	watchers   watchers
	reading    outage

	endsChanged chan struct{} // a subscription has an end date that it had not

	work     context.Context //nolint:containedctx // the life of everything Start has started
	stopWork context.CancelFunc
	stopping chan struct{} // closed when nothing new is to be begun
	stopOnce sync.Once
	running  sync.WaitGroup
}

var _ fattorino.Engine = (*Engine)(nil)

// New makes an engine; Start sets it going.
func New(c Config) (*Engine, error) {
	if c.Store == nil || c.Sender == nil || c.Log == nil {
		return nil, errors.New("engine: Store, Sender and Log are required")
	}
	limits, err := c.Limits.complete()
	if err != nil {
		return nil, err
	}
	e := &Engine{
		store: c.Store, shared: c.Shared, sender: c.Sender, held: c.Held, log: c.Log,
		retention: c.Retention, metrics: newMetrics(c.Metrics, c.Contracts), stopping: make(chan struct{}), endsChanged: make(chan struct{}, 1),
		reading: outage{log: c.Log},
	}
	e.work, e.stopWork = context.WithCancel(context.Background())
	e.index = newIndex(c)
	e.dispatcher = newDispatcher(e, c, limits)
	e.committer = newCommitter(e)
	e.handshakes = newHandshakes(e)
	return e, nil
}

// complete fills in defaults and refuses what cannot work.
func (l Limits) complete() (Limits, error) {
	d := DefaultLimits()
	for _, field := range []struct {
		name  string
		value *int
		plain int
	}{
		{"lane", &l.Lane, d.Lane},
		{"host", &l.Host, d.Host},
		{"node", &l.Node, d.Node},
		{"silent", &l.Silent, d.Silent},
		{"window", &l.Window, d.Window},
	} {
		if *field.value == 0 {
			*field.value = field.plain
		}
		if *field.value < 0 {
			return l, fmt.Errorf("engine: the limit %s is negative", field.name)
		}
	}
	if l.WindowBytes == 0 {
		l.WindowBytes = d.WindowBytes
	}
	return l, nil
}

// Start reads what there is to do and begins.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.readSubscriptions(ctx); err != nil {
		return fmt.Errorf("read subscriptions: %w", err)
	}
	var backlogs []fattorino.Backlog
	if e.shared == nil {
		var err error
		if backlogs, err = e.store.Backlogs(ctx); err != nil {
			return fmt.Errorf("read backlogs: %w", err)
		}
	}
	e.running.Go(e.committer.run)
	e.running.Go(e.dispatcher.watchDue)
	e.running.Go(e.keepHouse)
	e.dispatcher.restore(backlogs)
	e.challengeSinks()
	return nil
}

// challengeSinks begins the challenges that are pending in the parts that this
// process serves.
func (e *Engine) challengeSinks() {
	for _, s := range e.index.toChallenge() {
		if e.dispatcher.servesPart(e.partOf(s.Company)) {
			e.handshakes.start(s)
		}
	}
}

// readSubscriptions puts the subscriptions in force.
func (e *Engine) readSubscriptions(ctx context.Context) error {
	var unknown error
	put := func(s *fattorino.Subscription) {
		if e.contract(s) == nil {
			unknown = fmt.Errorf("subscription %d is under the contract %q, which this program does not have", s.ID, s.Contract)
			return
		}
		if err := e.index.put(s); err != nil {
			unknown = fmt.Errorf("the filters of subscription %d: %w", s.ID, err)
		}
	}
	if e.shared == nil {
		err := e.store.LiveSubscriptions(ctx, put)
		return errors.Join(err, unknown)
	}
	for part := range e.parts() {
		all, version, err := e.shared.Changed(ctx, part, 0)
		if err != nil {
			return err
		}
		for _, s := range all {
			put(s)
		}
		e.committer.versions[part] = version
	}
	return unknown
}

// Stop takes up nothing new, lets attempts in flight end until ctx does, and
// returns when all that is known has been written. It may be called again.
func (e *Engine) Stop(ctx context.Context) error {
	e.stopOnce.Do(func() { close(e.stopping) })
	e.dispatcher.stop()
	quiet := make(chan struct{})
	go func() {
		e.dispatcher.workers.Wait()
		e.handshakes.running.Wait()
		close(quiet)
	}()
	select {
	case <-quiet:
	case <-ctx.Done(): // what is still in flight is cut off; its deliveries stay pending
	}
	e.stopWork()
	<-quiet
	e.committer.stop()
	e.running.Wait()
	return e.committer.lastError()
}

// maySend waits until this process may send. It gives false where the engine is
// stopped before that.
func (e *Engine) maySend() bool {
	if e.held == nil {
		return true
	}
	select {
	case <-e.held(): // it may now, even while it is being stopped
		return true
	default:
	}
	select {
	case <-e.held():
		return true
	case <-e.stopping:
		return false
	}
}

// Publish implements [fattorino.Engine].
func (e *Engine) Publish(_ context.Context, events []*fattorino.Event) ([]fattorino.Receipt, error) {
	for _, e := range events {
		e.Hashes() // here, where publishers work side by side, and not in the committer
	}
	p := &publish{Publish: fattorino.Publish{Events: events}, done: make(chan error, 1)}
	if err := e.committer.addPublish(p); err != nil {
		return nil, err
	}
	// It is waited for whatever becomes of ctx: what a publisher holds, as a share
	// of the memory for requests, it holds until its events are written or refused.
	if err := <-p.done; err != nil {
		return nil, err
	}
	receipts := make([]fattorino.Receipt, len(events))
	for i, event := range events {
		receipts[i] = fattorino.Receipt{ID: event.ID, Company: event.Company, Seq: event.Seq}
	}
	return receipts, nil
}

// Update implements [fattorino.Engine].
func (e *Engine) Update(ctx context.Context, f func(fattorino.Tx) error) error {
	u := &update{f: f, done: make(chan error, 1)}
	if err := e.committer.addUpdate(u); err != nil {
		return err
	}
	// It is waited for whatever becomes of ctx: f writes to the caller's variables.
	return <-u.done
}

// AwaitHandshake implements [fattorino.Engine].
func (e *Engine) AwaitHandshake(ctx context.Context, subscription int64) {
	e.handshakes.await(ctx, subscription)
}

// Committed implements [fattorino.Engine].
func (e *Engine) Committed(company int64) <-chan struct{} { return e.watchers.watch(company) }

// contract gives the rules of a subscription.
func (e *Engine) contract(s *fattorino.Subscription) fattorino.Contract {
	return e.index.contracts[s.Contract]
}

// watchers tells who waits for a company's next event.
type watchers struct {
	mu       sync.Mutex
	channels map[int64]chan struct{}
}

func (w *watchers) watch(company int64) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.channels == nil {
		w.channels = map[int64]chan struct{}{}
	}
	c, ok := w.channels[company]
	if !ok {
		c = make(chan struct{})
		w.channels[company] = c
	}
	return c
}

// notifyPart tells those who wait for an event of any company of the part.
func (w *watchers) notifyPart(part int, partOf func(company int64) int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for company, c := range w.channels {
		if partOf(company) == part {
			close(c)
			delete(w.channels, company)
		}
	}
}

func (w *watchers) notify(company int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, ok := w.channels[company]; ok {
		close(c)
		delete(w.channels, company)
	}
}
