package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/postgres"
	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

var ctx = context.Background() //nolint:gochecknoglobals // it never changes

// publish commits events of one request, each with a delivery to each target.
func publish(s *postgres.Store, targets []int64, events ...*fattorino.Event) (*fattorino.Publish, error) {
	p := &fattorino.Publish{Events: events}
	for range events {
		p.Targets = append(p.Targets, targets)
	}
	return p, s.Commit(ctx, &fattorino.Batch{Now: time.Now(), Publishes: []*fattorino.Publish{p}})
}

func subscribe(t testing.TB, s *postgres.Store, company int64) int64 {
	t.Helper()
	sub := &fattorino.Subscription{
		Company: company, App: 1, Contract: "native", Sink: "https://sink.example/", Types: []string{"t"},
		State: fattorino.Active, CreatedAt: time.Now(), UpdatedAt: time.Now(),
	}
	if err := s.Update(ctx, func(tx fattorino.Tx) error { return tx.PutSubscription(sub) }); err != nil {
		t.Fatal(err)
	}
	return sub.ID
}

func newProxy(t *testing.T, before *pgcluster.Cluster) *pgcluster.Proxy {
	t.Helper()
	p, err := before.NewProxy()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestWhateverByteAConnectionBreaksAtACommitIsWrittenOnce(t *testing.T) {
	t.Parallel()
	name := newDatabase(t)
	way := newProxy(t, shared)
	s := open(t, way.URL(name))
	defer s.Close() //nolint:errcheck // the test is over
	subscription := subscribe(t, s, 7)

	const warm = 8 // commits until every statement is prepared on the connection
	written, cuts := 0, 0
	var done []fattorino.Outcome
	commit := func() {
		t.Helper()
		written++
		b := &fattorino.Batch{Now: time.Now(), Outcomes: done, Publishes: []*fattorino.Publish{{
			Events: []*fattorino.Event{event(7, fmt.Sprint(written), 50)}, Targets: [][]int64{{subscription, subscription}},
		}}}
		if err := s.Commit(ctx, b); err != nil {
			t.Fatalf("commit %d: %v", written, err)
		}
		p := b.Publishes[0]
		if p.Err != nil || p.Repeated[0] || p.Events[0].Seq != int64(written) {
			t.Fatalf("commit %d: error %v, repeated %v, seq %d: want a new event, the next", written, p.Err, p.Repeated[0], p.Events[0].Seq)
		}
		done = delivered(b)
	}
	for range warm {
		commit()
	}
	for _, to := range []pgcluster.Direction{pgcluster.ToServer, pgcluster.ToClient} {
		for n := 0; ; n += 41 {
			way.Arm(to, n)
			commit()
			if !way.Disarm() {
				break // the whole commit has fewer bytes
			}
			cuts++
		}
	}
	if cuts < 20 {
		t.Errorf("only %d connections were broken", cuts)
	}
	if err := s.Commit(ctx, &fattorino.Batch{Now: time.Now(), Outcomes: done}); err != nil {
		t.Fatal(err)
	}

	// Every event is there once, with its two deliveries, each attempted once.
	var events, last, deliveries, settled, attempts int
	err := s.Pool().QueryRow(ctx, `SELECT (SELECT count(*) FROM events), (SELECT max(seq) FROM events), (SELECT count(*) FROM deliveries),
		(SELECT count(*) FROM deliveries WHERE state = 1)`).Scan(&events, &last, &deliveries, &settled)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := s.Pool().Query(ctx, `SELECT id FROM deliveries`)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		log, err := s.Attempts(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		attempts += len(log)
	}
	if events != written || last != written || deliveries != 2*written || settled != 2*written || attempts != 2*written {
		t.Errorf("%d events up to %d, %d deliveries, %d of them settled, %d attempts; want %d events and two of all else for each", events, last, deliveries, settled, attempts, written)
	}
}

// Where one node's connection breaks before its commit, another gives the ids
// that it had in mind to events of its own.
func TestWhatAnotherNodeCommitsIsNotTakenForWhatWasLost(t *testing.T) {
	t.Parallel()
	name := newDatabase(t)
	way := newProxy(t, shared)
	cut, other := open(t, way.URL(name)), open(t, shared.URL(name))
	t.Cleanup(func() { _, _ = cut.Close(), other.Close() })

	// Given a node that commits without a pause,
	stop := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := publish(other, nil, event(7, fmt.Sprint("other", i), 50)); err != nil {
				t.Errorf("publish: %v", err)
			}
		}
	})
	// when another's connection breaks in every one of its commits,
	commits := map[int64]bool{} // by the seq that they were told
	cuts := 0
	for n := range 60 {
		way.Arm(pgcluster.ToServer, 200+n*40)
		p, err := publish(cut, nil, event(7, fmt.Sprint("cut", n), 50))
		if err != nil || p.Repeated[0] {
			t.Errorf("publish %d: repeated %v, %v", n, p.Repeated, err)
		}
		commits[p.Events[0].Seq] = true
		if way.Disarm() {
			cuts++
		}
	}
	close(stop)
	busy.Wait()

	// then each of them was made.
	rows, err := other.Pool().Query(ctx, `SELECT seq FROM events WHERE id LIKE 'cut%'`)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(stored) != 60 || cuts < 20 {
		t.Errorf("%d events, %v; want 60; %d connections were broken", len(stored), err, cuts)
	}
	for _, seq := range stored {
		if !commits[seq] {
			t.Errorf("an event has seq %d, of which its publisher was not told", seq)
		}
	}
}

func TestWhateverByteAConnectionBreaksAtAnUpdateIsMadeOnce(t *testing.T) {
	t.Parallel()
	name := newDatabase(t)
	way := newProxy(t, shared)
	s := open(t, way.URL(name))
	defer s.Close() //nolint:errcheck // the test is over

	made, cuts := int64(0), 0
	for _, to := range []pgcluster.Direction{pgcluster.ToServer, pgcluster.ToClient} {
		for n := 0; ; n += 23 {
			way.Arm(to, n)
			made++
			app := &fattorino.App{Name: "a", CreatedAt: time.Now()}
			updates := &fattorino.Counter{Name: "updates", Window: time.Unix(0, 0)}
			err := s.Update(ctx, func(tx fattorino.Tx) error {
				if err := tx.PutApp(app); err != nil {
					return err
				}
				return tx.Count(updates)
			})
			if err != nil || updates.Count != made {
				t.Fatalf("update %d: count %d, %v", made, updates.Count, err)
			}
			if !way.Disarm() {
				break
			}
			cuts++
		}
	}
	apps, err := s.Apps(ctx, 0, 10000)
	if err != nil || int64(len(apps)) != made || cuts < 20 {
		t.Errorf("%d apps, %v; want %d, one for each update; %d connections were broken", len(apps), err, made, cuts)
	}
}

// A server that was killed gives the number of a transaction that was not on
// the disk to another one.
func TestATransactionOfAServerThatWasKilledIsNotTakenForAnother(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"wal_writer_delay": "10s"} // nothing gets to the disk before its commit
	cluster, err := pgcluster.New(t.Context(), pgcluster.Options{Durable: true, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Close() })
	way := newProxy(t, cluster)
	s := open(t, way.URL("postgres"))
	defer s.Close() //nolint:errcheck // the test is over

	// Given an update whose connection breaks before its commit,
	way.ArmAt("commit")
	updated := make(chan error)
	go func() {
		updated <- s.Update(ctx, func(tx fattorino.Tx) error { return tx.PutApp(&fattorino.App{Name: "cut", CreatedAt: time.Now()}) })
	}()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !way.IsShut() {
		<-look.C
	}
	// when the server is killed, and others have transactions before anybody can
	// find out what became of it,
	if err := errors.Join(cluster.Kill(), cluster.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	other, err := pgx.Connect(ctx, cluster.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(ctx) //nolint:errcheck // the test is over
	for range 10 {
		if _, err := other.Exec(ctx, `SELECT pg_current_xact_id()`); err != nil {
			t.Fatal(err)
		}
	}
	way.Open()

	// then it is not said to have been made, or was made again.
	err = <-updated
	apps, readErr := s.Apps(ctx, 0, 10)
	if readErr != nil {
		t.Fatal(readErr)
	}
	if (err == nil) != (len(apps) == 1) || len(apps) > 1 {
		t.Errorf("update: %v, and there are %d apps", err, len(apps))
	}
}

func TestWithoutItsDatabaseAStoreIsUnavailableAndThenGoesOn(t *testing.T) {
	t.Parallel()
	cluster, err := pgcluster.New(t.Context(), pgcluster.Options{Durable: true}) // for it is killed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Close() })
	s := open(t, cluster.URL("postgres"))
	defer s.Close() //nolint:errcheck // the test is over
	subscription := subscribe(t, s, 7)

	for i, end := range []func() error{cluster.Stop, cluster.Kill} {
		// Given a database with an event in it that went away,
		before, err := publish(s, []int64{subscription}, event(7, fmt.Sprint("before", i), 10))
		if err != nil {
			t.Fatal(err)
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		// when something is written or read, then the answer is when to try again.
		_, err = publish(s, nil, event(7, fmt.Sprint("during", i), 10))
		wantUnavailable(t, "publish", err)
		wantUnavailable(t, "update", s.Update(ctx, func(tx fattorino.Tx) error { return tx.NameCompany(7, "x") }))
		_, err = s.Events(ctx, fattorino.EventQuery{Company: 7, Limit: 1})
		wantUnavailable(t, "read", err)

		// When it is back, the same store goes on, and what was made meanwhile is
		// recorded.
		if err := cluster.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		b := &fattorino.Batch{Now: time.Now(), Outcomes: delivered(&fattorino.Batch{Publishes: []*fattorino.Publish{before}})}
		if err := s.Commit(ctx, b); err != nil {
			t.Fatalf("outcomes: %v", err)
		}
		d, err := s.Delivery(ctx, before.First[0])
		if err != nil || d.State != fattorino.Delivered {
			t.Errorf("delivery = %+v, %v; want it delivered", d, err)
		}
		after, err := publish(s, nil, event(7, fmt.Sprint("after", i), 10))
		if err != nil || after.Events[0].Seq != before.Events[0].Seq+1 {
			t.Errorf("publish = seq %d, %v; want %d, without a gap", after.Events[0].Seq, err, before.Events[0].Seq+1)
		}
	}
}

func wantUnavailable(t *testing.T, what string, err error) {
	t.Helper()
	if e := fattorino.AsError(err); e.Kind != fattorino.Unavailable || e.RetryAfter <= 0 {
		t.Errorf("%s: %v, want Unavailable with RetryAfter", what, err)
	}
}
