package sqlite_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// Given a lane of several pages that is read a few deliveries at a time, when some
// of those that were not asked for yet are delivered, discarded or set on their
// way again meanwhile, and others are published, then it goes on with exactly
// those that were never tried.
func TestALaneIsReadOnWhateverHappensMeanwhile(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := open(t, sqlite.Options{Dir: t.TempDir()})
	want, changed, published := map[int64]string{}, map[int64]bool{}, 0
	publish := func(n int) {
		b := batch("none", 1)
		p := b.Publishes[0]
		p.Events, p.Targets = nil, nil
		for range n {
			e := batch(fmt.Sprint("event-", published), 1).Publishes[0].Events[0]
			p.Events, p.Targets = append(p.Events, e), append(p.Targets, []int64{1, 2})
			published++
		}
		if err := s.Commit(ctx, b); err != nil {
			t.Fatal(err)
		}
		for i, first := range p.First {
			want[first] = p.Events[i].ID
		}
	}
	publish(300)
	publish(20)

	const step = 7
	seen := int64(0)
	for round := 0; ; round++ {
		page, err := s.Fresh(ctx, 1, seen, step)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page {
			if changed[d.ID] || want[d.ID] == "" || d.Event == nil || d.Event.ID != want[d.ID] {
				t.Fatalf("round %d: delivery %d of %v, changed before: %t", round, d.ID, d.Event, changed[d.ID])
			}
			delete(want, d.ID)
			seen = d.ID
		}
		if len(page) < step {
			break
		}
		next := *page[0]
		next.ID = seen + 6 // every event has two deliveries: the third from here
		switch round % 8 {
		case 2: // delivered
			next.State, next.Attempts, next.Tries, next.Status, next.SettledAt = fattorino.Delivered, 1, 1, 200, time.Now()
			err = s.Commit(ctx, &fattorino.Batch{Now: time.Now(), Outcomes: []fattorino.Outcome{{Delivery: &next, Attempt: &fattorino.Attempt{Delivery: next.ID, Number: 1}}}})
		case 4: // discarded
			fattorino.Discard(&next, fattorino.SinkGone, time.Now())
			err = s.Update(ctx, func(tx fattorino.Tx) error { return tx.PutDelivery(&next) })
		case 6: // due
			next.DueAt = time.Now().Add(time.Hour)
			err = s.Update(ctx, func(tx fattorino.Tx) error { return tx.PutDelivery(&next) })
		case 7:
			publish(3)
			continue
		default:
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		changed[next.ID] = true
		delete(want, next.ID)
	}
	if len(want) > 0 || len(changed) < 10 {
		t.Errorf("%d were changed, and %d were never read", len(changed), len(want))
	}
}
