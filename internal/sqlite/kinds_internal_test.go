package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Whatever happened between two listings, every event up to the last one that is
// listed is on a page of its group, and on none else.
func TestEachListedEventIsOnAPageOfItsGroup(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	s, err := Open(ctx, Options{Dir: dir})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	defer func() { _ = s.Close() }()
	sub := &fattorino.Subscription{Company: 1, State: fattorino.Active}
	must(s.Update(ctx, func(tx fattorino.Tx) error { return tx.PutSubscription(sub) }))
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same at each run
	// Given events of several groups, some of them private, that come, are deleted
	// again, and outlive starts,
	now, made := time.Now(), 0
	event := func() *fattorino.Event {
		made++
		return &fattorino.Event{
			ID: fmt.Sprint(made), Type: fmt.Sprint("type-", random.IntN(3)), Common: []string{"", "common"}[random.IntN(2)], Company: int64(1 + random.IntN(2)),
		}
	}
	for step := range 400 {
		now = now.Add(time.Second)
		switch {
		case step%97 == 96:
			must(s.Close())
			s, err = Open(ctx, Options{Dir: dir})
			must(err)
		case step%13 == 12:
			must(s.Update(ctx, func(tx fattorino.Tx) error {
				before := now.Add(-time.Duration(random.IntN(2)*random.IntN(100)) * time.Second)
				_, _, err := tx.Prune(before, 0, 1+random.IntN(2)*100_000) // one, or all: those that are not listed, too
				return err
			}))
		case step%43 == 42:
			must(s.Update(ctx, func(tx fattorino.Tx) error {
				e := event()
				e.Company, e.Accepted = sub.Company, now
				_, err := tx.PutPrivate(e, sub.ID)
				return err
			}))
		default:
			p := &fattorino.Publish{}
			for range 1 + random.IntN(60) {
				p.Events, p.Targets = append(p.Events, event()), append(p.Targets, [][]int64{nil, {sub.ID}}[random.IntN(10)/9])
			}
			must(s.Commit(ctx, &fattorino.Batch{Now: now, Publishes: []*fattorino.Publish{p}}))
		}
	}
	// when they are looked for by their groups,
	must(s.snapshot(ctx, func(h *hot) error {
		want := map[group][]int64{}
		err := h.query(6, func(row []driver.Value) error {
			g := group{row[0].(int64), kind{row[1].(string), row[2].(string)}, row[3].(int64)}
			want[g] = append(want[g], row[4].(int64))
			return nil
		}, selectListings, int64(0), s.ids.listed)
		if err != nil {
			return err
		}
		if len(want) < 20 {
			t.Errorf("there are %d groups alone", len(want))
		}
		// then the pages have them all, from either end and from anywhere.
		for g, keys := range want {
			from := keys[random.IntN(len(keys))]
			up, err := g.up(h, from, math.MaxInt)
			must(err)
			down, err := g.down(h, span{0, from}, math.MaxInt)
			must(err)
			slices.Reverse(down)
			if diff := cmp.Diff(keys, append(down, up...)); diff != "" {
				t.Errorf("%+v around %d: %s", g, from, diff)
			}
			some, err := g.down(h, span{keys[0] + 1, math.MaxInt64}, 3)
			must(err)
			slices.Reverse(some)
			if diff := cmp.Diff(keys[1:][max(len(keys)-4, 0):], append([]int64{}, some...)); diff != "" {
				t.Errorf("the newest of %+v: %s", g, diff)
			}
		}
		pages, err := numbers(h, `SELECT count(*) FROM kinds`)
		if err == nil && (pages[0] < 20 || pages[0] > int64(made)/10) {
			t.Errorf("%d events are on %d pages", made, pages[0])
		}
		return err
	}))
}

// The last seq of a company is known, be it in memory or not.
func TestTheSeqOfACompanyGoesOn(t *testing.T) {
	t.Parallel()
	s, err := Open(context.Background(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the test is over
	// Given more companies than are kept in memory, when each publishes again,
	for round := range int64(3) {
		for begin := int64(1); begin < 2*maxSeqs; begin += 1000 {
			p := &fattorino.Publish{Targets: make([][]int64, 1000)}
			for company := range int64(1000) {
				p.Events = append(p.Events, &fattorino.Event{ID: fmt.Sprint(round), Type: "t", Company: begin + company})
			}
			if err := s.Commit(context.Background(), &fattorino.Batch{Now: time.Now(), Publishes: []*fattorino.Publish{p}}); err != nil {
				t.Fatal(err)
			}
			// then its events are counted on.
			for _, e := range p.Events {
				if e.Seq != round+1 {
					t.Fatalf("event %d of company %d has seq %d", round+1, e.Company, e.Seq)
				}
			}
		}
		if n := len(s.seqs); n > maxSeqs+1000 {
			t.Errorf("%d are kept in memory", n)
		}
	}
}
