package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// plan gives the steps by which a query is answered.
func plan(tb testing.TB, s *Store, query string, args ...any) (steps []string) {
	tb.Helper()
	rows, err := s.read.QueryContext(context.Background(), `EXPLAIN QUERY PLAN `+query, args...)
	steps, err = collect(rows, err, func(r record.Row) (step string, err error) {
		var id, parent, unused int
		return step, r.Scan(&id, &parent, &unused, &step)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return steps
}

// A page of the operator's list is found in an index alone, whatever it is
// narrowed to, and no row is read but those on it; what is told besides of the
// subscriptions is looked up by key.
func TestThePageOfAllSubscriptionsReadsItsOwnRowsAlone(t *testing.T) {
	t.Parallel()
	s, err := Open(context.Background(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the test is over
	const list = "LIST SUBQUERY"
	for name, x := range map[string]struct {
		query string
		args  int
		steps []string
	}{
		"of all companies": {pageOfAll, 7, []string{"SEARCH subscriptions USING INTEGER PRIMARY KEY (rowid=?)", list, "SEARCH subscriptions USING COVERING INDEX subscriptions_live (id>?)"}},
		"of one":           {pageOfCompany, 7, []string{"SEARCH subscriptions USING INTEGER PRIMARY KEY (rowid=?)", list, "SEARCH subscriptions USING INDEX subscriptions_company (company=?"}},
		"each tally": {selectEachTally + record.EachCounted("sum(t.#)") + ofEachTally, 4, []string{
			"SEARCH s USING INTEGER PRIMARY KEY (rowid=?)", list, "SCAN json_each", "SEARCH t USING PRIMARY KEY (company=? AND subscription=? AND at>? AND at<?)",
		}},
		"pulses": {selectPulses, 1, []string{"SEARCH pulses USING INTEGER PRIMARY KEY (rowid=?)", list, "SCAN json_each"}},
	} {
		steps := plan(t, s, x.query, make([]any, x.args)...)
		for _, want := range x.steps {
			if !slices.ContainsFunc(steps, func(step string) bool { return strings.HasPrefix(step, want) }) {
				t.Errorf("%s: no step %q in %q", name, want, steps)
			}
		}
		for _, step := range steps {
			if strings.HasPrefix(step, "SCAN") && !strings.HasPrefix(step, "SCAN json_each") {
				t.Errorf("%s: %s", name, step)
			}
		}
	}
}

// BenchmarkAllSubscriptions reads pages of 100,000 subscriptions of 10,000
// companies.
func BenchmarkAllSubscriptions(b *testing.B) {
	s, err := Open(b.Context(), Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the benchmark is over
	if err := s.Update(b.Context(), func(tx fattorino.Tx) error {
		now := time.Now()
		for i := range 100_000 {
			err := tx.PutSubscription(&fattorino.Subscription{
				Company: int64(i%10_000 + 1), App: int64(i%100 + 1), Contract: []string{"native", "fic", "defacto"}[i%3], State: fattorino.Active, CreatedAt: now, UpdatedAt: now,
				Sink: fmt.Sprintf("https://hooks-%d.example.com/path?token=of-the-sink", i), Types: []string{"invoice.paid", "invoice.created", "customer.updated"},
				Format: fattorino.Structured, Options: fattorino.Options{Name: fmt.Sprint("Subscription ", i)},
			})
			if err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	for _, x := range []struct {
		name string
		q    fattorino.SubscriptionQuery
	}{
		{"the first page", fattorino.SubscriptionQuery{}},
		{"the last page", fattorino.SubscriptionQuery{After: 99_950}},
		{"of a company", fattorino.SubscriptionQuery{Company: 9_999}},
		{"of an app", fattorino.SubscriptionQuery{App: 100}},
		{"a host that is rare", fattorino.SubscriptionQuery{Text: "hooks-99999.example"}},
		{"what is not there", fattorino.SubscriptionQuery{State: fattorino.Disabled}},
	} {
		b.Run(x.name, func(b *testing.B) {
			x.q.Limit = 51
			for b.Loop() {
				found, err := s.AllSubscriptions(b.Context(), x.q)
				if err != nil {
					b.Fatal(err)
				}
				ids := make([]int64, len(found))
				for i, sub := range found {
					ids[i] = sub.ID
				}
				if _, err := s.EachTally(b.Context(), ids, time.Now().Add(-time.Hour), time.Now(), time.Minute); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Pulses(b.Context(), ids); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
