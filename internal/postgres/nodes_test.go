package postgres_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/postgres"
)

// Several nodes, whose clocks are a day apart, publish events of the same
// companies at once, in requests and batches of several companies, while a reader
// follows each company and another each lane. Neither may ever see one and find an
// earlier one afterwards.
func TestWithSeveralNodesCommittingAReaderNeverMissesOne(t *testing.T) {
	t.Parallel()
	const nodes, committers, commits = 3, 2, 40
	companies := []int64{7, 8, 9}
	url := database(t)
	lanes := map[int64]int64{} // subscription by company
	var stores []*postgres.Store
	for n := range nodes {
		s := open(t, url)
		t.Cleanup(func() { _ = s.Close() })
		if n == 0 {
			s.SpreadParts() // it locks one part after the other
		}
		stores = append(stores, s)
	}
	for _, company := range companies {
		lanes[company] = subscribe(t, stores[0], company)
	}
	each := nodes * committers * commits // events of each company

	var writing, reading sync.WaitGroup
	for n, s := range stores {
		for c := range committers {
			writing.Go(func() {
				for i := range commits {
					commitOfEach(t, s, time.Now().AddDate(0, 0, n), lanes, fmt.Sprintf("%d-%d-%d", n, c, i))
				}
			})
		}
	}
	stop := make(chan struct{})
	for _, company := range companies {
		reading.Go(func() { follow(t, stores[1], company, each, stop) })
		reading.Go(func() { followLane(t, stores[2], lanes[company], each, stop) })
	}
	writing.Wait()
	close(stop) // now all is there to be read
	reading.Wait()
}

// commitOfEach commits a batch with an event of each company, in an order of its
// own: some of them in one request.
func commitOfEach(t *testing.T, s *postgres.Store, now time.Time, lanes map[int64]int64, id string) {
	b := &fattorino.Batch{Now: now, Publishes: []*fattorino.Publish{{}, {}}}
	for company := range maps.Keys(lanes) {
		p := b.Publishes[company%2]
		p.Events = append(p.Events, event(company, id, 20))
		p.Targets = append(p.Targets, []int64{lanes[company]})
	}
	if err := s.Commit(ctx, b); err != nil {
		t.Errorf("commit %s: %v", id, err)
	}
}

// follow reads a company's events as they come, until there are want.
func follow(t *testing.T, s *postgres.Store, company int64, want int, stop <-chan struct{}) {
	var seq, key int64
	for over := false; ; {
		select {
		case <-stop:
			over = true
		default:
		}
		page, err := s.Events(ctx, fattorino.EventQuery{Company: company, After: seq, Limit: 7})
		if err != nil {
			t.Errorf("read: %v", err)
			return
		}
		for _, e := range page {
			if e.Seq != seq+1 || e.Key <= key {
				t.Errorf("company %d: after seq %d, key %d came seq %d, key %d", company, seq, key, e.Seq, e.Key)
				return
			}
			seq, key = e.Seq, e.Key
		}
		if over && len(page) == 0 {
			if seq != int64(want) {
				t.Errorf("company %d: %d events, want %d", company, seq, want)
			}
			return
		}
	}
}

// followLane reads a subscription's deliveries as a lane does, each page from
// where the last one ended.
func followLane(t *testing.T, s *postgres.Store, subscription int64, want int, stop <-chan struct{}) {
	var readTo int64
	seen := map[string]bool{}
	for over := false; ; {
		select {
		case <-stop:
			over = true
		default:
		}
		page, err := s.Fresh(ctx, subscription, readTo, 7)
		if err != nil {
			t.Errorf("read: %v", err)
			return
		}
		for _, d := range page {
			if seen[d.Event.ID] {
				t.Errorf("subscription %d: event %s comes twice", subscription, d.Event.ID)
			}
			seen[d.Event.ID], readTo = true, d.ID
		}
		if over && len(page) == 0 {
			if len(seen) != want {
				t.Errorf("subscription %d: %d deliveries, want %d", subscription, len(seen), want)
			}
			return
		}
	}
}

func TestTheSameEventPublishedAtSeveralNodesAtOnceIsStoredOnce(t *testing.T) {
	t.Parallel()
	const nodes, rounds = 3, 30
	url := database(t)
	var stores []*postgres.Store
	for range nodes {
		s := open(t, url)
		t.Cleanup(func() { _ = s.Close() })
		stores = append(stores, s)
	}
	for round := range rounds {
		got := make([]*fattorino.Publish, nodes)
		var all sync.WaitGroup
		for n, s := range stores {
			all.Go(func() {
				var err error
				if got[n], err = publish(s, nil, event(7, fmt.Sprint(round), 20)); err != nil {
					t.Errorf("publish: %v", err)
				}
			})
		}
		all.Wait()
		first := 0
		for _, p := range got {
			if !p.Repeated[0] {
				first++
			}
			if p.Err != nil || p.Events[0].Seq != int64(round+1) {
				t.Fatalf("round %d: seq %d, %v", round, p.Events[0].Seq, p.Err)
			}
		}
		if first != 1 {
			t.Fatalf("round %d: %d nodes stored it, want one", round, first)
		}
	}
}

func TestUpdatesInOnePartSeeEachOther(t *testing.T) {
	t.Parallel()
	const limit = 5
	url := database(t)
	one, two := open(t, url), open(t, url)
	t.Cleanup(func() { _, _ = one.Close(), two.Close() })

	for company := range int64(10) {
		// Many make a subscription at once where there is room for five,
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				err := []*postgres.Store{one, two}[i%2].Update(ctx, func(tx fattorino.Tx) error {
					own, err := tx.OwnSubscriptions(company, 1)
					if err != nil || len(own) >= limit {
						return err
					}
					return tx.PutSubscription(&fattorino.Subscription{Company: company, App: 1, State: fattorino.Active, CreatedAt: time.Now(), UpdatedAt: time.Now()})
				})
				if err != nil {
					t.Errorf("update: %v", err)
				}
			})
		}
		all.Wait()
		// and no more than five are made, each with an id of its own.
		ids, err := one.SubscriptionIDs(ctx, company, 0)
		if err != nil || len(slices.Compact(ids)) != limit {
			t.Errorf("subscriptions %v, %v; want %d", ids, err, limit)
		}
	}
}

func TestUpdatesThatWaitForEachOtherBothSucceed(t *testing.T) {
	t.Parallel()
	url := database(t)
	one, two := open(t, url), open(t, url)
	t.Cleanup(func() { _, _ = one.Close(), two.Close() })

	// Each locks what the other wants next.
	var met, all sync.WaitGroup
	met.Add(2)
	for i, s := range []*postgres.Store{one, two} {
		order := []int64{1, 2} // they lie in two parts
		if i == 1 {
			slices.Reverse(order)
		}
		all.Go(func() {
			first := true
			err := s.Update(ctx, func(tx fattorino.Tx) error {
				if err := tx.EnsureCompany(order[0], time.Now()); err != nil {
					return err
				}
				if first {
					first = false
					met.Done()
					met.Wait()
				}
				if err := tx.Count(&fattorino.Counter{Name: fmt.Sprint(i), Window: time.Unix(0, 0)}); err != nil {
					return err
				}
				return tx.EnsureCompany(order[1], time.Now())
			})
			if err != nil {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	all.Wait()
	for i := range 2 {
		c := &fattorino.Counter{Name: fmt.Sprint(i), Window: time.Unix(0, 0)}
		if err := one.Update(ctx, func(tx fattorino.Tx) error { return tx.Count(c) }); err != nil || c.Count != 2 {
			t.Errorf("update %d counted %d before, %v; want once", i, c.Count-1, err)
		}
	}
}

func TestNodesThatStartAtOnceOnAnEmptyDatabaseMakeItOnce(t *testing.T) {
	t.Parallel()
	url := database(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			s, err := postgres.Open(ctx, postgres.Options{URL: url, Parts: 8})
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			if _, err := publish(s, nil, event(7, "a", 10)); err != nil {
				t.Errorf("publish: %v", err)
			}
			_ = s.Close()
		})
	}
	all.Wait()
	s := open(t, url) // with another number of parts, which it does not take
	defer s.Close()   //nolint:errcheck // the test is over
	var parts int
	if err := s.Pool().QueryRow(ctx, `SELECT count(*) FROM parts`).Scan(&parts); err != nil || parts != 8 {
		t.Errorf("%d parts, %v; want the 8 it was made with", parts, err)
	}
	if events, err := s.Events(ctx, fattorino.EventQuery{Company: 7, Limit: 10}); err != nil || len(events) != 1 {
		t.Errorf("%d events, %v; want one", len(events), err)
	}
}
