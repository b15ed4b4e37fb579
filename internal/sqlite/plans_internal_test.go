package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Whatever page of the log is asked for, every statement that finds it goes
// straight to its place in an index: none goes through a table, or through all
// that a subscription or a company has.
func TestNoPageOfTheLogIsFoundByAScan(t *testing.T) {
	t.Parallel()
	s, err := Open(context.Background(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the test is over
	fillForPlans(t, s)
	state := func(s fattorino.DeliveryState) *fattorino.DeliveryState { return &s }
	one, many := []int64{1}, []int64{1, 2, 3, 4, 5, 6}
	for name, q := range map[string]fattorino.DeliveryQuery{
		"the newest of one subscription":   {Subscriptions: one},
		"the newest of many subscriptions": {Subscriptions: many},
		"pending":                          {Subscriptions: many, State: state(fattorino.Pending)},
		"waiting":                          {Subscriptions: many, State: state(fattorino.Waiting)},
		"delivered":                        {Subscriptions: many, State: state(fattorino.Delivered)},
		"discarded":                        {Subscriptions: many, State: state(fattorino.Discarded)},
		"a type, one subscription":         {Subscriptions: one, Types: []string{"t"}},
		"a type, many subscriptions":       {Subscriptions: many, Types: []string{"t"}},
		"a common name":                    {Subscriptions: many, Types: []string{"c"}},
		"an entity, one subscription":      {Subscriptions: one, Entity: "invoice/1"},
		"an entity, many subscriptions":    {Subscriptions: many, Entity: "invoice/2"},
		"everything at once":               {Subscriptions: many, Entity: "invoice/1", Types: []string{"t"}, State: state(fattorino.Discarded), Before: 9},
	} {
		t.Run(name, func(t *testing.T) {
			q.Limit = 3
			err := s.snapshot(context.Background(), func(h *hot) error {
				search := search(h, q, span{1, math.MaxInt64})
				if _, err := search.run(context.Background()); err != nil {
					return err
				}
				return searchesOnly(t, h)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("events of types, and attempts of a delivery", func(t *testing.T) {
		err := s.snapshot(context.Background(), func(h *hot) error {
			if _, err := h.keysOfTypes(fattorino.EventQuery{Company: 7, Types: []string{"t"}, Limit: 3}, 1); err != nil {
				return err
			}
			for _, query := range []string{firstKey, selectEvents, selectAttempts} {
				if _, err := h.prepare(query); err != nil {
					return err
				}
			}
			return searchesOnly(t, h)
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// fillForPlans publishes enough for events to be listed.
func fillForPlans(t *testing.T, s *Store) {
	t.Helper()
	for range 6 {
		sub := &fattorino.Subscription{Company: 7, State: fattorino.Active}
		if err := s.Update(context.Background(), func(tx fattorino.Tx) error { return tx.PutSubscription(sub) }); err != nil {
			t.Fatal(err)
		}
	}
	p := &fattorino.Publish{}
	for i := range listEvery {
		p.Events = append(p.Events, &fattorino.Event{ID: fmt.Sprint(i), Type: "t", Common: "c", Company: 7, Entity: fattorino.Entity{Type: "invoice", IDs: []string{"1", "2"}}})
		p.Targets = append(p.Targets, []int64{1, 2})
	}
	if err := s.Commit(context.Background(), &fattorino.Batch{Now: time.Now(), Publishes: []*fattorino.Publish{p}}); err != nil {
		t.Fatal(err)
	}
}

// bounded matches the steps of a plan that cost the same however long the log:
// searches for a key, for the greatest, or along a range of keys, and scans of what the query
// itself brought, of the one row of ids, and of the attempts of one delivery.
var bounded = regexp.MustCompile(`^SEARCH .*(rowid|id>\?|first[=<>]\?|event>\?|seq>\?|common>\?|type>\?|delivery=\?)|^SEARCH events$|^SCAN (json_each|s|ids|p|CONSTANT ROW)( VIRTUAL .*)?$|` +
	`^(LIST|CORRELATED|SCALAR|LEFT-MOST|COMPOUND|UNION|CO-ROUTINE|CREATE BLOOM|USE TEMP)`)

// searchesOnly fails where a statement prepared on h has a step that is not
// bounded.
func searchesOnly(t *testing.T, h *hot) error {
	t.Helper()
	var queries []string
	for query := range h.stmts {
		if strings.HasPrefix(query, "SELECT") {
			queries = append(queries, query)
		}
	}
	for _, query := range queries {
		nothing := make([]driver.Value, max(strings.Count(query, "?"), 9)) // as many as any of them has
		err := h.query(4, func(row []driver.Value) error {
			if step := row[3].(string); !bounded.MatchString(step) {
				t.Errorf("%s\n\tin %s", step, query)
			}
			return nil
		}, `EXPLAIN QUERY PLAN `+query, nothing...)
		if err != nil {
			return err
		}
	}
	return nil
}
