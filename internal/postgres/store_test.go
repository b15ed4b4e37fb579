package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/postgres"
	"github.com/fattorino-dev/fattorino/internal/storetest"
	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

// shared is the cluster in which every test that stops nothing has a database
// of its own.
var shared *pgcluster.Cluster //nolint:gochecknoglobals // set by TestMain, before any test

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if shared, err = pgcluster.New(context.Background(), pgcluster.Options{Settings: map[string]string{"max_connections": "200"}}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.Close() //nolint:errcheck // the tests are over
	return m.Run()
}

// newDatabase makes an empty database in the shared cluster.
func newDatabase(t testing.TB) (name string) {
	t.Helper()
	name = fmt.Sprintf("t%d", time.Now().UnixNano())
	if err := shared.CreateDatabase(context.Background(), name); err != nil {
		t.Fatal(err)
	}
	return name
}

// database makes an empty database in the shared cluster and gives its URL.
func database(t testing.TB) string {
	t.Helper()
	return shared.URL(newDatabase(t))
}

func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(context.Background(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	suite(t, func(url string) *postgres.Store { return open(t, url) })
}

// Where the parts are spread over several machines, each is written by itself.
func TestStoreWhosePartsAreSpread(t *testing.T) {
	t.Parallel()
	suite(t, func(url string) *postgres.Store { return open(t, url).SpreadParts() })
}

// Behind a PgBouncer that knows no prepared statements there are none.
func TestStoreWithoutPreparedStatements(t *testing.T) {
	t.Parallel()
	suite(t, func(url string) *postgres.Store { return open(t, url+"&default_query_exec_mode=exec") })
}

func suite(t *testing.T, open func(url string) *postgres.Store) {
	storetest.Run(t, func(t *testing.T) (fattorino.Store, func() fattorino.Store) {
		url := database(t)
		s := open(url)
		t.Cleanup(func() { _ = s.Close() })
		return s, func() fattorino.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(url)
			return s
		}
	}, storetest.RetentionStep(24*time.Hour))
}

func TestADatabaseOfANewerVersionIsRefused(t *testing.T) {
	t.Parallel()
	url := database(t)
	s := open(t, url)
	_, err := s.Pool().Exec(ctx, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Open(ctx, postgres.Options{URL: url}); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("open: %v, want a refusal that says why", err)
	}
}

// While a newer version comes, node by node, those of the version before go on:
// on tables that have been added to, as a version may do that can come so.
func TestAStoreGoesOnWhereANewerVersionHasAddedToItsTables(t *testing.T) {
	t.Parallel()
	s := open(t, database(t))
	defer s.Close() //nolint:errcheck // the test is over

	// Given a store that has done everything once, and has it prepared,
	before, err := publish(s, []int64{subscribe(t, s, 7)}, event(7, "before", 10))
	if err != nil {
		t.Fatal(err)
	}

	// when another process migrates to what a newer version may bring,
	_, err = s.Pool().Exec(ctx, `
		ALTER TABLE events ADD COLUMN later text;
		ALTER TABLE deliveries ADD COLUMN later bigint NOT NULL DEFAULT 0;
		ALTER TABLE attempts ADD COLUMN later jsonb;
		ALTER TABLE subscriptions ADD COLUMN later text NOT NULL DEFAULT '';
		CREATE TABLE later (part integer, id bigint, PRIMARY KEY (part, id));
		INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	if err != nil {
		t.Fatal(err)
	}

	// then everything goes on, and what was there before with it.
	after, err := publish(s, []int64{subscribe(t, s, 7)}, event(7, "after", 10))
	if err != nil {
		t.Fatal(err)
	}
	err = s.Commit(ctx, &fattorino.Batch{Now: time.Now(), Outcomes: delivered(&fattorino.Batch{Now: time.Now(), Publishes: []*fattorino.Publish{before, after}})})
	if err != nil {
		t.Fatal(err)
	}
	hotStatements(t, s)
	events, err := s.Events(ctx, fattorino.EventQuery{Company: 7, Limit: 2})
	if err != nil || len(events) != 2 || events[0].ID != "before" || events[1].ID != "after" {
		t.Errorf("the events are %v, %v", events, err)
	}
}

// What a transaction sets ends with it: the next may be another program's.
func TestNothingIsLeftInASession(t *testing.T) {
	t.Parallel()
	s := open(t, database(t))
	defer s.Close() //nolint:errcheck // the test is over
	hotStatements(t, s)
	for _, c := range s.Pool().AcquireAllIdle(ctx) {
		var settings, locks int
		err := c.QueryRow(ctx, `SELECT (SELECT count(*) FROM pg_settings WHERE source = 'session'),
			(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())`).Scan(&settings, &locks)
		if err != nil || settings > 0 || locks > 0 {
			t.Errorf("a session has %d settings and %d locks, %v", settings, locks, err)
		}
		c.Release()
	}
}
