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

// beginShared starts an engine on a database that others may share. It serves no
// part yet.
func beginShared(t *testing.T, inner *postgres.Store, store fattorino.Store, sender engine.Sender) *fixture {
	t.Helper()
	contracts := []fattorino.Contract{newPlain(t)}
	e, err := engine.New(engine.Config{Store: store, Shared: inner, Contracts: contracts, Sender: sender, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Stop(context.Background()) })
	service := newService(t, store, e, contracts, time.Millisecond)
	app, err := service.CreateApp(t.Context(), &fattorino.Token{Kind: fattorino.AdminToken, Scopes: []string{"*"}}, "app")
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{engine: e, service: service, app: &fattorino.Token{Kind: fattorino.APIToken, App: app.ID, Scopes: []string{"*"}}}
}

// openShared opens a store on a database of its own.
func openShared(t *testing.T) (*postgres.Store, postgres.Options) {
	t.Helper()
	cluster, err := pgcluster.New(t.Context(), pgcluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Close() })
	options := postgres.Options{URL: cluster.URL("postgres")}
	s, err := postgres.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, options
}

func TestASinkIsChallengedThatIsNamedWhileItsPartIsTakenUp(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	inner, options := openShared(t)
	store := &interrupted{Store: inner, part: inner.PartOf(7)}
	f := beginShared(t, inner, store, &sink{})

	// Given a subscription that is made in the instant in which a node takes its
	// part up,
	var made *fattorino.Subscription
	store.do = func() { made = f.subscribe(t, 7, "https://a.example", "invoice.paid") }

	// when it has,
	node, err := postgres.Join(ctx, options, inner, "a", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	node.Start(ctx, f.engine, func() {})
	t.Cleanup(func() { _ = node.Close(context.Background()) })

	// then the sink is challenged.
	patience, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	f.engine.AwaitHandshake(patience, made.ID)
	if s, err := store.Subscription(ctx, made.ID); err != nil || s.State != fattorino.Active {
		t.Errorf("the subscription is %v, %v; want active", s.State, err)
	}
}

func TestAChallengeThatTwoNodesAskCountsOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	inner, _ := openShared(t)
	asked, answers := make(chan struct{}), make(chan struct{})
	first := beginShared(t, inner, inner, &door{open: func(int, string) *fattorino.Answer {
		close(asked)
		<-answers
		return wrong()
	}})
	second := beginShared(t, inner, inner, &door{open: func(int, string) *fattorino.Answer { return wrong() }})
	part := inner.PartOf(7)

	// Given a challenge under way at a node whose part goes to another, which asks
	// the sink, too, and is refused,
	if err := first.engine.Own(ctx, fattorino.Lease{Part: part, Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	s := first.subscribe(t, 7, "https://a.example", "invoice.paid")
	<-asked
	if err := first.engine.HandOver(ctx, part); err != nil {
		t.Fatal(err)
	}
	if err := second.engine.Own(ctx, fattorino.Lease{Part: part, Epoch: 2}); err != nil {
		t.Fatal(err)
	}
	second.engine.AwaitHandshake(ctx, s.ID)

	// when the first is refused as well,
	close(answers)
	first.engine.AwaitHandshake(ctx, s.ID)

	// then that is one of the attempts that the contract allows.
	if now, err := inner.Subscription(ctx, s.ID); err != nil || now.Handshake.Failed != 1 {
		t.Errorf("%+v, %v; want one failed attempt", now.Handshake, err)
	}
}
