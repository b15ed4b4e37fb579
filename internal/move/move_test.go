package move_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/move"
	"github.com/fattorino-dev/fattorino/internal/postgres"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

var ctx = context.Background() //nolint:gochecknoglobals // it never changes

var cluster *pgcluster.Cluster //nolint:gochecknoglobals // set by TestMain, before any test

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if cluster, err = pgcluster.New(ctx, pgcluster.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer cluster.Close() //nolint:errcheck // the tests are over
	return m.Run()
}

// database makes an empty database and gives its URL.
func database(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("t%d", time.Now().UnixNano())
	if err := cluster.CreateDatabase(ctx, name); err != nil {
		t.Fatal(err)
	}
	return cluster.URL(name)
}

func openFolder(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(ctx, sqlite.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openDatabase(t *testing.T, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(ctx, postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// number asks a database for a number.
func number(t *testing.T, url, query string) (n int64) {
	t.Helper()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx) //nolint:errcheck // it was read
	if err := conn.QueryRow(ctx, query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func options(dir, url string) move.Options {
	return move.Options{From: dir, To: postgres.Options{URL: url}}
}
