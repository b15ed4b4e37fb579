package fattorino_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/filter"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

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

// lastApp is the id of the last of the apps that a fixture has, from 1.
const lastApp = 20

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
	if err := store.Update(context.Background(), func(tx fattorino.Tx) (err error) {
		for range lastApp {
			err = errors.Join(err, tx.PutApp(&fattorino.App{Name: "App"}))
		}
		return err
	}); err != nil {
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
