package sqlite

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// What is pruned is on no list any more, and what is left is still found.
func TestPrunedEventsAreTakenOffTheLists(t *testing.T) {
	t.Parallel()
	s, err := Open(context.Background(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the test is over
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// Given listed events about one entity, several and none, and a pending one,
	sub := &fattorino.Subscription{Company: 7, State: fattorino.Active}
	must(s.Update(context.Background(), func(tx fattorino.Tx) error { return tx.PutSubscription(sub) }))
	now := time.Now()
	p := &fattorino.Publish{}
	for i := range listEvery {
		p.Events = append(p.Events, &fattorino.Event{ID: fmt.Sprint(i), Type: "t", Company: 7, Entity: []fattorino.Entity{
			{}, {Type: "invoice", IDs: []string{"1"}}, {Type: "invoice", IDs: []string{"1", "2"}},
		}[i%3]})
		p.Targets = append(p.Targets, []int64{sub.ID})
	}
	must(s.Commit(context.Background(), &fattorino.Batch{Now: now, Publishes: []*fattorino.Publish{p}}))
	const pending = 5 // about invoices 1 and 2
	b := &fattorino.Batch{Now: now}
	for i, e := range p.Events {
		if i != pending {
			b.Outcomes = append(b.Outcomes, fattorino.Outcome{Delivery: &fattorino.Delivery{ID: p.First[i], Subscription: sub.ID, Event: e, State: fattorino.Delivered, SettledAt: now}})
		}
	}
	must(s.Commit(context.Background(), b))
	// when all that is settled is pruned,
	must(s.Update(context.Background(), func(tx fattorino.Tx) error {
		_, _, err := tx.Prune(now.Add(time.Hour), 0, 2*listEvery)
		return err
	}))
	// then the lists have the pending one alone, by each of its entities.
	for query, want := range map[string]int64{`SELECT count(*) FROM kinds`: 1, `SELECT count(*) FROM entities`: 2} {
		var rows int64
		must(s.read.QueryRow(query).Scan(&rows))
		if rows != want {
			t.Errorf("%s = %d, want %d", query, rows, want)
		}
	}
	found, err := s.Deliveries(context.Background(), fattorino.DeliveryQuery{Subscriptions: []int64{sub.ID}, Entity: "invoice/2", Types: []string{"t"}, Limit: 9})
	if err != nil || len(found) != 1 || found[0].ID != p.First[pending] {
		t.Errorf("found %v, %v; want the pending one", found, err)
	}
}
