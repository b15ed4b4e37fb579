package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/postgres"
	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

// take takes the lease for a process of that name, and waits for it.
func take(t *testing.T, url, name string, standBy func(string)) *postgres.Lease {
	t.Helper()
	l, err := postgres.TakeLease(t.Context(), postgres.Options{URL: url}, name, slog.New(slog.DiscardHandler), standBy)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// alone fails the test where somebody else has the lease.
func alone(t *testing.T) func(string) {
	return func(holder string) { t.Errorf("%s has the lease", holder) }
}

func release(t *testing.T, l *postgres.Lease) {
	t.Helper()
	if err := l.Release(context.Background()); err != nil {
		t.Error(err)
	}
}

func isHeld(l *postgres.Lease) bool {
	select {
	case <-l.Held():
		return true
	default:
		return false
	}
}

func TestALeaseIsHadByOneAtATime(t *testing.T) {
	t.Parallel()
	for _, parameters := range []string{"", "&default_query_exec_mode=exec"} {
		// Given a process that has the lease,
		url := database(t) + parameters
		first := take(t, url, "first", alone(t))
		// when a second one wants it, then that one is told and waits,
		told, taken := make(chan string, 1), make(chan *postgres.Lease)
		go func() { taken <- take(t, url, "second", func(holder string) { told <- holder }) }()
		if holder := <-told; holder != "first" {
			t.Errorf("the holder is %q, want first", holder)
		}
		<-first.Held()
		// until the first lets it go.
		release(t, first)
		second := <-taken
		<-second.Held()
		release(t, second)
	}
}

func TestWhoeverWaitsForALeaseCanBeTold(t *testing.T) {
	t.Parallel()
	url := database(t)
	first := take(t, url, "first", alone(t))
	defer release(t, first)
	waits, stop := context.WithCancel(t.Context())
	_, err := postgres.TakeLease(waits, postgres.Options{URL: url}, "second", slog.New(slog.DiscardHandler), func(string) { stop() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

func TestWhoHasLostTheLeaseWritesNothing(t *testing.T) {
	t.Parallel()
	url := database(t)
	leased := func(l *postgres.Lease) *postgres.Store {
		s, err := postgres.Open(ctx, postgres.Options{URL: url, Lease: l})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	// Given a holder that has published,
	first := take(t, url, "first", alone(t))
	defer release(t, first)
	old := leased(first)
	if _, err := publish(old, nil, event(7, "a", 10)); err != nil {
		t.Fatal(err)
	}
	// when its lease runs out, as if it had been paused, and another takes it,
	second := takeFrom(t, old, url)
	defer release(t, second)

	// then it is told who did, may not send,
	if e := fattorino.AsError(<-first.Lost()); e.Kind != fattorino.Conflict || e.Msg != "another process serves the database now: second" {
		t.Errorf("lost: %v", e)
	}
	if isHeld(first) {
		t.Error("it may still send")
	}
	// and what it writes is refused, whichever way.
	_, err := publish(old, nil, event(7, "b", 10))
	wantUnavailable(t, "publish", err)
	wantUnavailable(t, "update", old.Update(ctx, func(tx fattorino.Tx) error { return tx.PutApp(&fattorino.App{Name: "a"}) }))

	// The other goes on from what was written before.
	s := leased(second)
	p, err := publish(s, nil, event(7, "b", 10))
	if err != nil || p.Repeated[0] || p.Events[0].Seq != 2 {
		t.Errorf("publish: seq %d, repeated %v, %v; want a new event, the second", p.Events[0].Seq, p.Repeated, err)
	}
	if err := s.Update(ctx, func(tx fattorino.Tx) error { return tx.PutApp(&fattorino.App{Name: "a", CreatedAt: time.Now()}) }); err != nil {
		t.Error(err)
	}
	if apps, err := s.Apps(ctx, 0, 10); err != nil || len(apps) != 1 {
		t.Errorf("%d apps, %v; want one", len(apps), err)
	}
}

// takeFrom lets the lease run out until another has it, for its holder renews
// it all the while.
func takeFrom(t *testing.T, s *postgres.Store, url string) *postgres.Lease {
	t.Helper()
	taken := make(chan *postgres.Lease)
	go func() { taken <- take(t, url, "second", func(string) {}) }()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case l := <-taken:
			return l
		case <-again.C:
			if _, err := s.Pool().Exec(ctx, `UPDATE lease SET until = '-infinity' WHERE holder = 'first'`); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestALeaseIsRenewedDuringACommitAndTakenOverAfterIt(t *testing.T) {
	t.Parallel()
	url := database(t)
	l := take(t, url, "first", alone(t))
	defer release(t, l)
	s := open(t, url)
	defer s.Close() //nolint:errcheck // the test is over
	const whileOthersWait = `SELECT set_config('lock_timeout', '300ms', true)`
	err := pgx.BeginFunc(ctx, s.Pool(), func(commit pgx.Tx) error {
		if _, err := commit.Exec(ctx, `SELECT check_lease((SELECT epoch FROM lease))`); err != nil {
			return err
		}
		for statement, state := range map[string]string{
			`UPDATE lease SET until = until + interval '1 second'`: "",
			`UPDATE lease SET epoch = epoch + 1`:                   "55P03", // a lock was not given in time
		} {
			err := pgx.BeginFunc(ctx, s.Pool(), func(other pgx.Tx) error {
				_, err := other.Exec(ctx, whileOthersWait)
				if err == nil {
					_, err = other.Exec(ctx, statement)
				}
				return err
			})
			refusal, _ := errors.AsType[*pgconn.PgError](err)
			if got := refusal; (got == nil) != (state == "") || got != nil && got.Code != state {
				t.Errorf("%s: %v, want SQLSTATE %q", statement, err, state)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestALeaseOutlivesAnOutageOfItsDatabase(t *testing.T) {
	t.Parallel()
	cluster, err := pgcluster.New(t.Context(), pgcluster.Options{Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Close() })
	l := take(t, cluster.URL("postgres"), "first", alone(t))
	defer release(t, l)

	// Given a database that went away, when the lease may have run out, then it
	// is not held;
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for isHeld(l) {
		<-look.C
	}
	again := l.Held()
	// when it is back, and nobody else came, then it is held as before.
	if err := cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-again:
	case err := <-l.Lost():
		t.Error(err)
	}
}
