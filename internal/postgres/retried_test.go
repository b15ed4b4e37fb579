package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/postgres"
)

// failing has a database fail what changes a table, so many times, with a
// SQLSTATE: at once, or when it is committed.
func failing(t *testing.T, url, table, state string, times int, atCommit bool) {
	t.Helper()
	when := fmt.Sprintf(`CREATE TRIGGER fails BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION fail()`, table)
	if atCommit {
		when = fmt.Sprintf(`CREATE CONSTRAINT TRIGGER fails AFTER INSERT OR UPDATE ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()`, table)
	}
	_, err := connection(t, url).Exec(ctx, fmt.Sprintf(`CREATE SEQUENCE failures;
		CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF nextval('failures') <= %d THEN RAISE 'not now' USING ERRCODE = '%s'; END IF;
			RETURN NEW;
		END $$;`, times, state)+when, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
}

// What another transaction or a lost connection caused is tried again, and done
// once, whenever it fails.
func TestWhatMaySucceedTheNextTimeIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, state := range []string{
		"40P01", // deadlock
		"40001", // serialization
		"08006", // connection lost, as of a machine behind this one
		"57P01", // shut down
		"XX000", // whatever: at the commit nobody can tell what became of it
	} {
		for _, atCommit := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, at the commit %v", state, atCommit), func(t *testing.T) {
				t.Parallel()
				url := database(t)
				s := open(t, url)
				defer s.Close() //nolint:errcheck // the test is over
				subscription := subscribe(t, s, 7)
				failing(t, url, "parts", state, 2, atCommit)
				for n := range int64(2) {
					p, err := publish(s, []int64{subscription}, event(7, fmt.Sprint("e", n), 10))
					if err != nil || p.Repeated[0] || p.Events[0].Seq != n+1 {
						t.Errorf("publish %d: %v, repeated %v, seq %d", n, err, p.Repeated[0], p.Events[0].Seq)
					}
				}
				if fresh, err := s.Fresh(ctx, subscription, 0, 10); err != nil || len(fresh) != 2 {
					t.Errorf("%d deliveries, %v; want 2", len(fresh), err)
				}
			})
			t.Run(fmt.Sprintf("update, %s, at the commit %v", state, atCommit), func(t *testing.T) {
				t.Parallel()
				url := database(t)
				s := open(t, url)
				defer s.Close() //nolint:errcheck // the test is over
				failing(t, url, "apps", state, 2, atCommit)
				err := s.Update(ctx, func(tx fattorino.Tx) error { return tx.PutApp(&fattorino.App{Name: "x", CreatedAt: time.Now()}) })
				if apps, readErr := s.Apps(ctx, 0, 10); err != nil || readErr != nil || len(apps) != 1 {
					t.Errorf("update: %v; %d apps, %v", err, len(apps), readErr)
				}
			})
		}
	}
}

// What is refused for what it is, is refused at once.
func TestWhatCannotSucceedIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	url := database(t)
	s := open(t, url)
	defer s.Close() //nolint:errcheck // the test is over
	failing(t, url, "parts", "23514", 1000, false)
	_, err := publish(s, nil, event(7, "a", 10))
	if fattorino.KindOf(err) != fattorino.Internal {
		t.Errorf("publish: %v, want Internal", err)
	}
	var tries int64
	if err := connection(t, url).QueryRow(ctx, `SELECT last_value FROM failures`).Scan(&tries); err != nil || tries != 1 {
		t.Errorf("it was tried %d times, %v; want once", tries, err)
	}
}

// Whatever order a batch has its parts in, they are locked in that of their
// numbers, so that no two commits wait for each other.
func TestCommitsOfManyPartsNeverLockEachOtherOut(t *testing.T) {
	t.Parallel()
	url := database(t)
	const nodes, batches, companies = 3, 30, 40
	done := make(chan error, nodes)
	for node := range nodes {
		s := open(t, url)
		t.Cleanup(func() { _ = s.Close() })
		go func() { done <- commitShuffled(s, node, batches, companies) }()
	}
	for range nodes {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	var deadlocks int64
	conn := connection(t, url)
	if _, err := conn.Exec(ctx, `SELECT pg_stat_clear_snapshot()`); err != nil {
		t.Fatal(err)
	}
	if err := conn.QueryRow(ctx, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&deadlocks); err != nil || deadlocks > 0 {
		t.Errorf("%d deadlocks, %v", deadlocks, err)
	}
}

// commitShuffled commits batches, each of an event of many companies in an order
// of its own.
func commitShuffled(s *postgres.Store, node, batches, companies int) error {
	for n := range batches {
		p := &fattorino.Publish{}
		for _, company := range rand.Perm(companies) {
			p.Events = append(p.Events, event(int64(company+1), fmt.Sprint(node, "-", n), 10))
			p.Targets = append(p.Targets, nil)
		}
		if err := s.Commit(ctx, &fattorino.Batch{Now: time.Now(), Publishes: []*fattorino.Publish{p}}); err != nil {
			return err
		}
	}
	return nil
}
