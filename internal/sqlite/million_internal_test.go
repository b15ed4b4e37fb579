//go:build !race

package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"os"
	"path/filepath"
	"testing"
	"time"

	engine "modernc.org/sqlite"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// openMillion opens a data folder with the log of testdata/million.sql.
func openMillion(t *testing.T) *Store {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(context.Background(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	fill, err := os.ReadFile("testdata/million.sql")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "fattorino.db")+"?_pragma=synchronous(0)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // it is written, or the test has failed
	if _, err := db.ExecContext(context.Background(), string(fill)); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(context.Background(), Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// touched gives how many pages of the file a connection has looked at so far.
func touched(t *testing.T, c driver.Conn) (pages int) {
	t.Helper()
	for _, op := range []engine.DBStatusOp{engine.DBStatusCacheHit, engine.DBStatusCacheMiss} {
		n, _, err := c.(engine.DBStatus).Status(op, false)
		if err != nil {
			t.Fatal(err)
		}
		pages += n
	}
	return pages
}

// With the race detector SQLite in Go takes ten times as long to fill the log, and
// nothing runs at the same time here: `make test` runs it without.
//
// The first page of the log, and one from its middle, costs about the same
// behind a million deliveries as behind a few, whatever it is narrowed to: it
// looks at some hundreds of pages of the file, at a few thousand where several
// things are asked for at once that are seldom together.
func TestAPageOfAMillionDeliveriesTouchesFewPagesOfTheFile(t *testing.T) {
	t.Parallel()
	s := openMillion(t)
	all, err := s.SubscriptionIDs(t.Context(), 7, 0)
	if err != nil || len(all) != 10 {
		t.Fatal(all, err)
	}
	state := func(s fattorino.DeliveryState) *fattorino.DeliveryState { return &s }
	day := time.UnixMicro(1700000000000000).Add(48 * time.Hour)
	const limit, most = 51, 5000
	for name, x := range map[string]struct {
		q     fattorino.DeliveryQuery
		found int
	}{
		"the newest":                                {fattorino.DeliveryQuery{}, limit},
		"from the middle":                           {fattorino.DeliveryQuery{Before: 500_000}, limit},
		"of one subscription":                       {fattorino.DeliveryQuery{Subscriptions: []int64{3}}, limit},
		"pending":                                   {fattorino.DeliveryQuery{State: state(fattorino.Pending)}, limit},
		"delivered":                                 {fattorino.DeliveryQuery{State: state(fattorino.Delivered)}, limit},
		"discarded":                                 {fattorino.DeliveryQuery{State: state(fattorino.Discarded)}, limit},
		"waiting, of which there are none":          {fattorino.DeliveryQuery{State: state(fattorino.Waiting)}, 0},
		"of a common type":                          {fattorino.DeliveryQuery{Types: []string{"invoice.paid"}}, limit},
		"of a rare type":                            {fattorino.DeliveryQuery{Types: []string{"rare.type"}}, limit},
		"of a rare type, one subscription":          {fattorino.DeliveryQuery{Subscriptions: []int64{3}, Types: []string{"rare.type"}}, 10},
		"of a type that never was":                  {fattorino.DeliveryQuery{Types: []string{"no.such"}}, 0},
		"about an entity":                           {fattorino.DeliveryQuery{Entity: "invoice/42"}, limit},
		"about a rare entity":                       {fattorino.DeliveryQuery{Entity: "customer/1"}, 20},
		"about an entity that never was":            {fattorino.DeliveryQuery{Entity: "customer/2"}, 0},
		"since a time":                              {fattorino.DeliveryQuery{From: day}, limit},
		"before a time":                             {fattorino.DeliveryQuery{To: day}, limit},
		"discarded, about an entity, before a time": {fattorino.DeliveryQuery{State: state(fattorino.Discarded), Entity: "invoice/100", To: day}, -1},
		"discarded, of a rare type":                 {fattorino.DeliveryQuery{State: state(fattorino.Discarded), Types: []string{"rare.type"}}, 0},
	} {
		if x.q.Subscriptions == nil {
			x.q.Subscriptions = all
		}
		x.q.Limit = limit
		err = s.snapshot(t.Context(), func(h *hot) error {
			bounds, err := boundsOf(h, x.q)
			if err != nil {
				return err
			}
			search := search(h, x.q, bounds)
			before := touched(t, h.conn)
			ids, err := search.run(t.Context())
			pages := touched(t, h.conn) - before
			if pages > most {
				t.Errorf("%s: it looks at %d pages of the file, want %d at most", name, pages, most)
			}
			if len(ids) != x.found && x.found >= 0 {
				t.Errorf("%s: found %d, want %d", name, len(ids), x.found)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
