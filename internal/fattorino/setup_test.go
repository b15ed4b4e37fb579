package fattorino_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/filter"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// day is the unit of expiry dates.
const day = 24 * time.Hour

// house is a small contract with rules like those of the real ones, so that
// the middle is tested without knowing any of them: 200 delivers, 410 ends,
// 5xx and silence are retried after 5, 25 and 125 seconds, anything else is
// refused. A sink may ask to be left alone for some seconds. It proves itself by
// answering with the challenge, and may say how often it wants to be called; one
// that answers 202 will call back.
type house struct {
	name     string
	catalog  *fattorino.Catalog
	trusting bool // it takes every sink at its word
}

const (
	created = "invoice.created"
	paid    = "invoice.paid"
	deleted = "invoice.deleted"
	stock   = "product.stock_updated" // needs two scopes
	all     = "invoice.all"           // the group of the three of invoices
)

// newHouse makes the contract "house", whose vocabulary is the common one.
func newHouse(tb testing.TB) *house {
	tb.Helper()
	return newContract(tb, "house", []fattorino.EventType{
		{Name: created, Common: []string{created}, Scopes: []string{"invoices:r"}},
		{Name: paid, Common: []string{paid}, Scopes: []string{"invoices:r"}},
		{Name: deleted, Common: []string{deleted}, Scopes: []string{"invoices:r"}},
		{Name: stock, Common: []string{stock}, Scopes: []string{"products:r", "stock:r"}},
	}, []fattorino.Group{{Name: all, Types: []string{created, paid, deleted}}})
}

// newVendor makes the contract "vendor", which has words of its own: a payment
// is an update there.
func newVendor(tb testing.TB) *house {
	tb.Helper()
	return newContract(tb, "vendor", []fattorino.EventType{
		{Name: "com.vendor.docs.create", Common: []string{created}},
		{Name: "com.vendor.docs.update", Common: []string{"invoice.updated", paid}},
		{Name: "com.vendor.parcels.sent"},
	}, nil)
}

// newOpen makes the contract "open": any type will do, several subscriptions may
// hold the same, and no sink needs to prove itself.
func newOpen(tb testing.TB) *house {
	tb.Helper()
	h := newContract(tb, "open", []fattorino.EventType{{Name: paid, Common: []string{paid}}}, nil)
	h.catalog.Open, h.catalog.Shared, h.trusting = true, true, true
	return h
}

func newContract(tb testing.TB, name string, types []fattorino.EventType, groups []fattorino.Group) *house {
	tb.Helper()
	c, err := fattorino.NewCatalog(name, types, groups)
	if err != nil {
		tb.Fatal(err)
	}
	return &house{name: name, catalog: c}
}

func (h *house) Name() string                { return h.name }
func (h *house) Catalog() *fattorino.Catalog { return h.catalog }
func (h *house) Expiry() time.Duration       { return 10 * day }

func (h *house) Handshake(*fattorino.Subscription) fattorino.Handshake {
	if h.trusting {
		return nil
	}
	return h
}

func (h *house) Wait(a *fattorino.Answer, _ time.Time) time.Duration {
	return time.Duration(number(a, "Retry-After")) * time.Second
}

// number reads a header field that holds one; 0 where there is none.
func number(a *fattorino.Answer, name string) int {
	for _, h := range a.Header {
		if h.Name == name {
			n, _ := strconv.Atoi(h.Value)
			return n
		}
	}
	return 0
}

func (h *house) Limits() fattorino.HandshakeLimits {
	return fattorino.HandshakeLimits{Attempts: 5, Every: 10 * time.Minute, Timeout: 10 * time.Second}
}

func (h *house) Notification(s *fattorino.Subscription, e *fattorino.Event, _ time.Time) (*fattorino.Request, error) {
	typ, ok := h.catalog.TypeOf(e)
	if !ok && !e.Private() {
		return nil, fmt.Errorf("%s has no name under %s", e.Type, h.name)
	}
	return &fattorino.Request{
		Method: http.MethodPost, URL: s.Sink, Body: e.Data,
		Header: []fattorino.Header{{Name: "event", Value: e.ID}, {Name: "type", Value: typ}},
	}, nil
}

func (h *house) Judge(a *fattorino.Answer) fattorino.Verdict {
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

func (h *house) Retry(_ *fattorino.Subscription, tries int) (time.Duration, bool) {
	waits := []time.Duration{5 * time.Second, 25 * time.Second, 125 * time.Second}
	if tries > len(waits) {
		return 0, false
	}
	return waits[tries-1], true
}

func (h *house) Challenge(s *fattorino.Subscription, challenge string, _ time.Time) (*fattorino.Request, error) {
	return &fattorino.Request{
		Method: http.MethodGet, URL: s.Sink,
		Header: []fattorino.Header{{Name: "challenge", Value: challenge}, {Name: "method", Value: string(s.Handshake.Method)}},
	}, nil
}

func (h *house) Passed(challenge string, a *fattorino.Answer) (int, error) {
	if a.Status == http.StatusAccepted {
		return 0, fattorino.AwaitCallback{}
	}
	if a.Status != http.StatusOK || string(a.Body) != challenge {
		return 0, errors.New("the sink did not answer with the challenge")
	}
	return number(a, "Rate"), nil
}

func (h *house) Welcome(s *fattorino.Subscription, now time.Time) *fattorino.Event {
	return &fattorino.Event{
		ID: fmt.Sprintf("welcome-%d-%d", s.ID, s.Handshake.Round), Source: "/fattorino", Type: "welcome",
		Company: s.Company, Accepted: now,
	}
}

// sinks stands for every sink there is: it proves itself and answers 200,
// unless told otherwise. What it got is kept.
type sinks struct {
	mu         sync.Mutex
	got        []notification
	challenged []fattorino.Request
	prove      func(sink, challenge string) *fattorino.Answer // nil = rightly
	answer     func(sink, event string) *fattorino.Answer     // nil = 200
}

type notification struct{ sink, event, typ string }

// Send implements engine.Sender.
func (s *sinks) Send(ctx context.Context, r *fattorino.Request) *fattorino.Answer {
	if ctx.Err() != nil {
		return &fattorino.Answer{Failure: fattorino.FailedReset}
	}
	if r.Method == http.MethodGet {
		return s.challenge(r)
	}
	event := r.Header[0].Value
	s.mu.Lock()
	s.got = append(s.got, notification{r.URL, event, r.Header[1].Value})
	answer := s.answer
	s.mu.Unlock()
	if answer == nil {
		return &fattorino.Answer{Status: http.StatusOK}
	}
	return answer(r.URL, event)
}

func (s *sinks) challenge(r *fattorino.Request) *fattorino.Answer {
	challenge := r.Header[0].Value
	s.mu.Lock()
	s.challenged = append(s.challenged, *r)
	prove := s.prove
	s.mu.Unlock()
	if prove == nil {
		return rightly("", challenge)
	}
	return prove(r.URL, challenge)
}

// rightly and wrongly are the two ways to answer a challenge.
func rightly(_, challenge string) *fattorino.Answer {
	return &fattorino.Answer{Status: http.StatusOK, Body: []byte(challenge)}
}

func wrongly(string, string) *fattorino.Answer { return status(http.StatusNotFound) }

func status(code int) *fattorino.Answer { return &fattorino.Answer{Status: code} }

// nowProve changes how challenges are answered; nowAnswer, notifications.
func (s *sinks) nowProve(prove func(sink, challenge string) *fattorino.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prove = prove
}

func (s *sinks) nowAnswer(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = func(string, string) *fattorino.Answer { return status(code) }
}

// challenges tells how many challenges have come to the sink.
func (s *sinks) challenges(sink string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.challenged {
		if r.URL == sink {
			n++
		}
	}
	return n
}

// received gives the events that have come to the sink.
func (s *sinks) received(sink string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := []string{}
	for _, n := range s.got {
		if n.sink == sink {
			events = append(events, n.event)
		}
	}
	return events
}

// fixture is every use case, on a real store and a running engine.
type fixture struct {
	*fattorino.Service
	store  *sqlite.Store
	engine *engine.Engine
	sinks  *sinks

	app   *fattorino.Token // of an integrator's app, for every company
	rival *fattorino.Token // of another app
	admin *fattorino.Token
}

// setup opens a store and starts an engine; options change what the service is
// made of. All ends with the test.
func setup(tb testing.TB, options ...func(*fattorino.Config)) *fixture {
	tb.Helper()
	store, err := sqlite.Open(context.Background(), sqlite.Options{Dir: tb.TempDir()})
	if err != nil {
		tb.Fatal(err)
	}
	receiver := &sinks{}
	contracts := []fattorino.Contract{newHouse(tb), newVendor(tb), newOpen(tb)}
	e, err := engine.New(engine.Config{
		Store: store, Contracts: contracts, Sender: receiver, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		CompileFilters: compile,
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := e.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { stop(tb, e, store) })
	config := fattorino.Config{
		Store: store, Engine: e, Contracts: contracts,
		Limits:    fattorino.Limits{Subscriptions: 100, AwaitSink: 2 * time.Second},
		CheckSink: func(string) error { return nil }, CompileFilters: compile,
	}
	for _, o := range options {
		o(&config)
	}
	service, err := fattorino.NewService(config)
	if err != nil {
		tb.Fatal(err)
	}
	return &fixture{
		Service: service, store: store, engine: e, sinks: receiver,
		app:   &fattorino.Token{Kind: fattorino.APIToken, App: 1, Scopes: []string{"*"}},
		rival: &fattorino.Token{Kind: fattorino.APIToken, App: 2, Scopes: []string{"*"}},
		admin: &fattorino.Token{Kind: fattorino.AdminToken},
	}
}

// compile makes a predicate of filters, as the program does.
func compile(filters []byte) (func(*fattorino.Event) bool, error) {
	f, err := filter.Compile(filters)
	if err != nil {
		return nil, err
	}
	return f.Match, nil
}

// stop ends the engine gracefully and closes the store.
func stop(tb testing.TB, e *engine.Engine, store *sqlite.Store) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := errors.Join(e.Stop(ctx), store.Close()); err != nil {
		tb.Error(err)
	}
}

// wish is a valid wish of an app to hear types of company 7 at a sink.
func wish(sink string, types ...string) fattorino.NewSubscription {
	return fattorino.NewSubscription{
		Company: 7, Contract: "house", Sink: sink, Types: types,
		Format: fattorino.Binary, Method: fattorino.ByHeader,
	}
}

// subscribe makes a subscription that must come about.
func (f *fixture) subscribe(tb testing.TB, caller *fattorino.Token, n fattorino.NewSubscription) *fattorino.Subscription {
	tb.Helper()
	sub, refused, err := f.Subscribe(context.Background(), caller, n)
	if err != nil || len(refused) > 0 {
		tb.Fatalf("subscribe: %v, refused %v", err, refused)
	}
	return sub
}

// kept gives a subscription as the store has it, gone or not.
func (f *fixture) kept(tb testing.TB, id int64) *fattorino.Subscription {
	tb.Helper()
	sub, err := f.store.Subscription(context.Background(), id)
	if err != nil {
		tb.Fatal(err)
	}
	return sub
}

// happened makes a valid event of company 7.
func happened(id, typ string) *fattorino.Event {
	return &fattorino.Event{
		ID: id, Source: "/erp", Type: typ, Subject: "company:7",
		DataContentType: "application/json", Form: fattorino.JSONData, Data: []byte(`{"ids":[42]}`),
	}
}

// publish publishes events that must be accepted, one by one, and gives the
// Seq of the last.
func (f *fixture) publish(tb testing.TB, events ...*fattorino.Event) (seq int64) {
	tb.Helper()
	for _, e := range events {
		receipts, err := f.Publish(context.Background(), f.admin, []*fattorino.Event{e})
		if err != nil {
			tb.Fatalf("publish %s: %v", e.ID, err)
		}
		seq = receipts[0].Seq
	}
	return seq
}

// history gives the events of company 7 as a reader finds them.
func (f *fixture) history(tb testing.TB) []*fattorino.Event {
	tb.Helper()
	events, _, err := f.Pull(context.Background(), f.admin, fattorino.EventQuery{Company: 7, Limit: 1000}, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return events
}

// ids gives the ids of events, in order.
func ids(events []*fattorino.Event) []string {
	list := []string{}
	for _, e := range events {
		list = append(list, e.ID)
	}
	return list
}

// deliveries gives the log of company 7, oldest first, welcomes left out.
func (f *fixture) deliveries(tb testing.TB) []*fattorino.Delivery {
	tb.Helper()
	page, err := f.Deliveries(context.Background(), f.admin, 7, fattorino.DeliveryQuery{Limit: 1000})
	if err != nil {
		tb.Fatal(err)
	}
	slices.Reverse(page)
	return slices.DeleteFunc(page, func(d *fattorino.Delivery) bool { return d.Event.Private() })
}

// fails checks that err is of the kind.
func fails(tb testing.TB, err error, want fattorino.Kind) {
	tb.Helper()
	_ = told(tb, err, want)
}

// told gives what a caller is told by err, which must be of the kind.
func told(tb testing.TB, err error, want fattorino.Kind) *fattorino.Error {
	tb.Helper()
	if err == nil {
		tb.Fatalf("no error, want one of kind %d", want)
	}
	if got := fattorino.KindOf(err); got != want {
		tb.Fatalf("error of kind %d (%v), want kind %d", got, err, want)
	}
	return fattorino.AsError(err)
}
