package postgres_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/postgres"
)

// No notification comes through a PgBouncer in transaction mode. A second
// address goes past it.
func TestANodeBehindAPoolerHearsTheOthersAtAnAddressPastIt(t *testing.T) {
	t.Parallel()
	bouncer, err := shared.NewBouncer(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bouncer.Close() })
	name := newDatabase(t)
	pooled, direct := bouncer.URL(name), shared.URL(name)
	s := open(t, pooled)
	defer s.Close() //nolint:errcheck // the test is over

	for _, tt := range []struct {
		listen string
		hears  bool
	}{{"", false}, {direct, true}, {pooled, false}, {"postgres://postgres@127.0.0.1:1/" + name, false}} {
		// Given a node whose transactions go through the pooler,
		n, err := postgres.Join(t.Context(), postgres.Options{URL: pooled, Listen: tt.listen}, s, "a", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		v := &server{&book{t: t, of: map[int]string{}}, "a", make(chan []fattorino.Standing, 100)}
		n.Start(t.Context(), v, func() {})
		if !tt.hears {
			// where nothing can be heard it looks by itself, and goes on,
			<-v.heard
			if _, err := publish(s, nil, event(7, "by looking "+tt.listen, 10)); err != nil {
				t.Fatal(err)
			}
			<-v.heard
			if n.Listening() {
				t.Errorf("with %q: it believes that it hears the others", tt.listen)
			}
			closeNode(t, n)
			continue
		}
		// and else it hears what others tell through the pooler.
		awaitListening(t, n)
		if _, err := publish(s, nil, event(7, "by listening", 10)); err != nil {
			t.Fatal(err)
		}
		s.Nudge()
		<-v.heard
		closeNode(t, n)
	}
}

func awaitListening(t *testing.T, n *postgres.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !n.Listening() {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatal("it does not listen")
		}
	}
}
