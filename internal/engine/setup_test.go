package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// plain is a small contract, so that the engine is tested without knowing any
// of the real ones: 200 delivers, 5xx and silence are retried, 410 ends.
type plain struct {
	catalog  *fattorino.Catalog
	unlocked atomic.Bool // events whose data is "locked" can be told
}

func newPlain(tb testing.TB) *plain {
	tb.Helper()
	c, err := fattorino.NewCatalog("plain", []fattorino.EventType{
		{Name: "invoice.paid", Common: []string{"invoice.paid"}},
		{Name: "invoice.created", Common: []string{"invoice.created"}},
	}, []fattorino.Group{{Name: "invoice.all", Types: []string{"invoice.created", "invoice.paid"}}})
	if err != nil {
		tb.Fatal(err)
	}
	return &plain{catalog: c}
}

func (p *plain) Name() string                                          { return "plain" }
func (p *plain) Catalog() *fattorino.Catalog                           { return p.catalog }
func (p *plain) Expiry() time.Duration                                 { return 10 * 24 * time.Hour }
func (p *plain) Handshake(*fattorino.Subscription) fattorino.Handshake { return p }
func (p *plain) Limits() fattorino.HandshakeLimits {
	return fattorino.HandshakeLimits{Attempts: 5, Every: 10 * time.Minute, Timeout: 10 * time.Second}
}

func (p *plain) Notification(s *fattorino.Subscription, e *fattorino.Event, _ time.Time) (*fattorino.Request, error) {
	switch string(e.Data) {
	case `"unfit"`:
		return nil, fattorino.Errorf(fattorino.Invalid, "cannot be told")
	case `"locked"`:
		if !p.unlocked.Load() {
			return nil, errors.New("the key is missing")
		}
	}
	return &fattorino.Request{
		Method: http.MethodPost, URL: s.Sink, Body: e.Data,
		Header: []fattorino.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "event", Value: e.ID}, {Name: "seq", Value: strconv.FormatInt(e.Seq, 10)}},
	}, nil
}

func (p *plain) Batch(s *fattorino.Subscription) (int, time.Duration) {
	return max(1, s.Options.BatchSize), s.Options.BatchLinger
}

func (p *plain) BatchNotification(s *fattorino.Subscription, events []*fattorino.Event, now time.Time) (*fattorino.Request, error) {
	r, err := p.Notification(s, events[0], now)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	r.Header[1].Value = strings.Join(ids, " ")
	return r, nil
}

func (p *plain) Judge(a *fattorino.Answer) fattorino.Verdict {
	switch {
	case a.Failure != "" || a.Status >= 500:
		return fattorino.Retry
	case a.Status == http.StatusGone:
		return fattorino.End
	case a.Status == http.StatusOK:
		return fattorino.Success
	}
	return fattorino.Refuse
}

func (p *plain) Wait(a *fattorino.Answer, _ time.Time) time.Duration {
	if a.Status == http.StatusServiceUnavailable && len(a.Header) > 0 {
		wait, _ := time.ParseDuration(a.Header[0].Value)
		return wait
	}
	return 0
}

func (p *plain) Retry(_ *fattorino.Subscription, tries int) (time.Duration, bool) {
	waits := []time.Duration{5 * time.Second, 25 * time.Second, 125 * time.Second}
	if tries > len(waits) {
		return 0, false
	}
	return waits[tries-1], true
}

func (p *plain) Challenge(s *fattorino.Subscription, challenge string, _ time.Time) (*fattorino.Request, error) {
	return &fattorino.Request{Method: http.MethodGet, URL: s.Sink, Header: []fattorino.Header{{Name: "challenge", Value: challenge}}}, nil
}

func (p *plain) Passed(challenge string, a *fattorino.Answer) (int, error) {
	if a.Status != http.StatusOK || string(a.Body) != challenge {
		return 0, fmt.Errorf("the sink answered %d without the challenge", a.Status)
	}
	return 0, nil
}

func (p *plain) Welcome(s *fattorino.Subscription, now time.Time) *fattorino.Event {
	return &fattorino.Event{ID: fmt.Sprintf("welcome-%d-%d", s.ID, s.Handshake.Round), Source: "/fattorino", Type: "welcome", Company: s.Company, Accepted: now}
}

// fixture is a running engine on a real store, with the use cases on top.
type fixture struct {
	dir     string
	store   *sqlite.Store
	engine  *engine.Engine
	service *fattorino.Service
	app     *fattorino.Token // of kind api
	admin   *fattorino.Token
}

// setup is what a test may change before the start.
type setup struct {
	engine.Config
	store sqlite.Options
	wrap  func(fattorino.Store) fattorino.Store // puts faults before the real store
}

type option func(*setup)

// start opens the store of dir and starts an engine on it.
func start(tb testing.TB, dir string, sender engine.Sender, options ...option) *fixture {
	tb.Helper()
	c := setup{
		Config: engine.Config{
			Contracts: []fattorino.Contract{newPlain(tb)}, Sender: sender,
			Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		},
		store: sqlite.Options{Dir: dir},
		wrap:  func(s fattorino.Store) fattorino.Store { return s },
	}
	for _, o := range options {
		o(&c)
	}
	store, err := sqlite.Open(context.Background(), c.store)
	if err != nil {
		tb.Fatal(err)
	}
	c.Store = c.wrap(store)
	e, err := engine.New(c.Config)
	if err != nil {
		tb.Fatal(err)
	}
	if err := e.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	service := newService(tb, store, e, c.Contracts, 2*time.Second)
	f := &fixture{
		dir: dir, store: store, engine: e, service: service,
		app:   &fattorino.Token{Kind: fattorino.APIToken, App: 1, Scopes: []string{"*"}},
		admin: &fattorino.Token{Kind: fattorino.AdminToken, Scopes: []string{"*"}},
	}
	apps, err := service.Apps(context.Background(), f.admin, 0, 2)
	for n := len(apps); err == nil && n < 2; n++ {
		_, err = service.CreateApp(context.Background(), f.admin, fmt.Sprint("app ", n))
	}
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// newService puts the use cases on top of an engine. An answer waits so long for a
// sink to prove itself.
func newService(tb testing.TB, store fattorino.Store, e *engine.Engine, contracts []fattorino.Contract, awaitSink time.Duration) *fattorino.Service {
	tb.Helper()
	service, err := fattorino.NewService(fattorino.Config{
		Store: store, Engine: e, Contracts: contracts,
		Limits:    fattorino.Limits{Subscriptions: 100, AwaitSink: awaitSink},
		CheckSink: func(string) error { return nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	return service
}

// stop ends the engine gracefully and closes the store.
func (f *fixture) stop(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := f.engine.Stop(ctx); err != nil {
		tb.Error(err)
	}
	if err := f.store.Close(); err != nil {
		tb.Error(err)
	}
}

// subscribe makes a subscription of the app to a company.
func (f *fixture) subscribe(tb testing.TB, company int64, sink string, types ...string) *fattorino.Subscription {
	tb.Helper()
	sub, _, err := f.service.Subscribe(context.Background(), f.app, fattorino.NewSubscription{
		Company: company, Contract: "plain", Sink: sink, Types: types, Format: fattorino.Binary, Method: fattorino.ByHeader,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return sub
}

// event makes a valid event of a company.
func event(company int64, id, typ string, data any) *fattorino.Event {
	body, _ := json.Marshal(data)
	return &fattorino.Event{
		ID: id, Source: "/erp", Type: typ, Subject: fmt.Sprintf("company:%d", company),
		DataContentType: "application/json", Form: fattorino.JSONData, Data: body,
	}
}

// publish publishes one event and gives its seq.
func (f *fixture) publish(tb testing.TB, e *fattorino.Event) int64 {
	tb.Helper()
	receipts, err := f.service.Publish(context.Background(), f.admin, []*fattorino.Event{e})
	if err != nil {
		tb.Fatal(err)
	}
	return receipts[0].Seq
}

// log gives the deliveries of a company, oldest first, welcomes left out.
func (f *fixture) log(tb testing.TB, company int64) []*fattorino.Delivery {
	tb.Helper()
	page, err := f.service.Deliveries(context.Background(), f.admin, company, fattorino.DeliveryQuery{Limit: 100_000})
	if err != nil {
		tb.Fatal(err)
	}
	var all []*fattorino.Delivery
	for i := len(page) - 1; i >= 0; i-- {
		if !page[i].Event.Private() {
			all = append(all, page[i])
		}
	}
	return all
}

// sink is a scripted receiver: it answers the challenge, and each notification
// as told. It serves as a Sender in a synctest bubble, where sockets do not
// count as blocked, and as an HTTP server elsewhere.
type sink struct {
	mu     sync.Mutex
	got    []got
	answer func(n int, url, event string) *fattorino.Answer // n counts from 1; nil = 200 to all
}

type got struct {
	url, event string
	at         time.Time
}

func (s *sink) Send(ctx context.Context, r *fattorino.Request) *fattorino.Answer {
	if ctx.Err() != nil {
		return &fattorino.Answer{Failure: fattorino.FailedReset}
	}
	if r.Method == http.MethodGet {
		return &fattorino.Answer{Status: 200, Body: []byte(r.Header[0].Value)}
	}
	s.mu.Lock()
	event := r.Header[1].Value
	s.got = append(s.got, got{r.URL, event, time.Now()})
	n, answer := len(s.got), s.answer
	s.mu.Unlock()
	if answer == nil {
		return &fattorino.Answer{Status: 200}
	}
	return answer(n, r.URL, event)
}

// answersFirst answers so to the first event, and takes its welcome and all else.
func answersFirst(answer *fattorino.Answer) *sink {
	return &sink{answer: func(n int, _, _ string) *fattorino.Answer {
		if n == 2 { // after the welcome
			return answer
		}
		return &fattorino.Answer{Status: 200}
	}}
}

// received gives what has come so far, welcomes left out.
func (s *sink) received() []got {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []got
	for _, g := range s.got {
		if len(g.event) < 8 || g.event[:8] != "welcome-" {
			all = append(all, g)
		}
	}
	return all
}
