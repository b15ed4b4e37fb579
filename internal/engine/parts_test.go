package engine_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/postgres"
	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

// interrupted does something once, while a part is being taken up: after its
// subscriptions are read, and before what is pending is.
type interrupted struct {
	*postgres.Store
	part int
	do   func()
	once sync.Once
}

func (s *interrupted) Backlogs(ctx context.Context, parts ...int) ([]fattorino.Backlog, error) {
	if slices.Contains(parts, s.part) {
		s.once.Do(s.do)
	}
	return s.Store.Backlogs(ctx, parts...)
}

func TestASinkIsChallengedThatIsNamedWhileItsPartIsTakenUp(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	cluster, err := pgcluster.New(ctx, pgcluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Close() })
	options := postgres.Options{URL: cluster.URL("postgres")}
	inner, err := postgres.Open(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inner.Close() })

	// Given a subscription that is made in the instant in which a node takes its
	// part up,
	store := &interrupted{Store: inner, part: inner.PartOf(7)}
	contracts := []fattorino.Contract{newPlain(t)}
	e, err := engine.New(engine.Config{Store: store, Shared: inner, Contracts: contracts, Sender: &sink{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	service, err := fattorino.NewService(fattorino.Config{
		Store: store, Engine: e, Contracts: contracts,
		Limits:    fattorino.Limits{Subscriptions: 100, AwaitSink: time.Millisecond},
		CheckSink: func(string) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Stop(context.Background()) })
	app, err := service.CreateApp(ctx, &fattorino.Token{Kind: fattorino.AdminToken, Scopes: []string{"*"}}, "app")
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{service: service, app: &fattorino.Token{Kind: fattorino.APIToken, App: app.ID, Scopes: []string{"*"}}}
	var made *fattorino.Subscription
	store.do = func() { made = f.subscribe(t, 7, "https://a.example", "invoice.paid") }

	// when it has,
	node, err := postgres.Join(ctx, options, inner, "a", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	node.Start(ctx, e, func() {})
	t.Cleanup(func() { _ = node.Close(context.Background()) })

	// then the sink is challenged.
	patience, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	e.AwaitHandshake(patience, made.ID)
	if s, err := store.Subscription(ctx, made.ID); err != nil || s.State != fattorino.Active {
		t.Errorf("the subscription is %v, %v; want active", s.State, err)
	}
}
