package sqlite

import (
	"context"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// EachWay answers a query once by each way there is, alone and in small steps.
func (s *Store) EachWay(ctx context.Context, q fattorino.DeliveryQuery) (pages [][]int64, err error) {
	bounds, err := s.boundsOf(ctx, q)
	if err != nil {
		return nil, err
	}
	err = s.snapshot(ctx, func(h *hot) error {
		search := &logSearch{hot: h, q: q, span: bounds, subscriptions: record.ToJSON(q.Subscriptions)}
		ways, err := search.ways()
		if err != nil {
			return err
		}
		for _, w := range ways {
			page, err := search.walk(ctx, []way{w}, 1)
			if err != nil {
				return err
			}
			pages = append(pages, page)
		}
		return nil
	})
	return pages, err
}

// Pragmas reads the settings of the writing connection.
func (s *Store) Pragmas(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range []string{"journal_mode", "synchronous", "foreign_keys"} {
		var value string
		if err := s.write.QueryRow("PRAGMA " + name).Scan(&value); err != nil {
			t.Fatal(err)
		}
		all[name] = value
	}
	return all
}
