package sqlite

import (
	"context"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/record"
)

// The overview asks these of every subscription: each goes to its place in an
// index, and through no table.
func TestStatisticsAreFoundInIndexes(t *testing.T) {
	t.Parallel()
	s, err := Open(context.Background(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the test is over
	for _, query := range []string{lanePagesUp, countDue, countWaiting, selectTallies + record.EachCounted("sum(#)") + ofTallies, selectPulses, selectOldestTally} {
		rows, err := s.read.QueryContext(context.Background(), `EXPLAIN QUERY PLAN `+query, 1, 1, 1, `[1]`, 1, 1)
		steps, err := collect(rows, err, func(r record.Row) (step string, err error) {
			var id, parent, unused int
			return step, r.Scan(&id, &parent, &unused, &step)
		})
		if err != nil {
			t.Fatal(err)
		}
		searched := false
		for _, step := range steps {
			searched = searched || strings.HasPrefix(step, "SEARCH")
			// What a limit has cut short may be gone through, and a list that is given.
			if strings.HasPrefix(step, "SCAN") && !strings.HasPrefix(step, "SCAN (subquery") && !strings.HasPrefix(step, "SCAN json_each") {
				t.Errorf("%s\n\tin %s", step, query)
			}
		}
		if !searched {
			t.Errorf("nothing is looked up in %s: %v", query, steps)
		}
	}
}
