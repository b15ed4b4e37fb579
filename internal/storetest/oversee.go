package storetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// subscribeAs makes a subscription that differs from the usual.
func (b *bundle) subscribeAs(company, app int64, change func(*fattorino.Subscription)) *fattorino.Subscription {
	b.t.Helper()
	s := b.subscribe(company, app)
	change(s)
	b.update(func(tx fattorino.Tx) error { return tx.PutSubscription(s) })
	return s
}

func testAllSubscriptions(t *testing.T, b *bundle) {
	plain := b.subscribeAs(7, 1, func(*fattorino.Subscription) {})
	named := b.subscribeAs(8, 1, func(s *fattorino.Subscription) { s.Options.Name, s.State = "Ledger of ÈVE", fattorino.Disabled })
	elsewhere := b.subscribeAs(9, 2, func(s *fattorino.Subscription) {
		s.Sink, s.Contract, s.State = "https://hooks.Example.org:8443/ledger?host=example.net", "defacto", fattorino.Unverified
	})
	b.subscribeAs(7, 1, func(s *fattorino.Subscription) { s.State = fattorino.Deleted })
	long := b.subscribeAs(11, 3, func(s *fattorino.Subscription) {
		s.Options.Name, s.Sink = "a\x00b", "https://"+strings.Repeat("é", 3000)+"/"
	})
	all := []int64{plain.ID, named.ID, elsewhere.ID, long.ID}
	slices.Sort(all) // by id: they need not grow from one company to the next

	find := func(q fattorino.SubscriptionQuery) (ids []int64) {
		t.Helper()
		found, err := b.AllSubscriptions(ctx, q)
		b.must(err)
		for _, s := range found {
			ids = append(ids, s.ID)
		}
		return ids
	}
	for _, x := range []struct {
		name string
		q    fattorino.SubscriptionQuery
		want []int64
	}{
		{"all that are not gone", fattorino.SubscriptionQuery{}, all},
		{"of a company", fattorino.SubscriptionQuery{Company: 8}, []int64{named.ID}},
		{"of a company that has none", fattorino.SubscriptionQuery{Company: 10}, nil},
		{"of a company, not of that app", fattorino.SubscriptionQuery{Company: 8, App: 2}, nil},
		{"of an app", fattorino.SubscriptionQuery{App: 2}, []int64{elsewhere.ID}},
		{"under a contract", fattorino.SubscriptionQuery{Contract: "defacto"}, []int64{elsewhere.ID}},
		{"in a state", fattorino.SubscriptionQuery{State: fattorino.Disabled}, []int64{named.ID}},
		{"by name, whatever the case", fattorino.SubscriptionQuery{Text: "of ève"}, []int64{named.ID}},
		{"by a name, and not by a path", fattorino.SubscriptionQuery{Text: "ledger"}, []int64{named.ID}},
		{"by host and port", fattorino.SubscriptionQuery{Text: "example.org:84"}, []int64{elsewhere.ID}},
		{"not by what a query holds", fattorino.SubscriptionQuery{Text: "example.net"}, nil},
		{"by what is no pattern", fattorino.SubscriptionQuery{Text: "%"}, nil},
		{"by all at once", fattorino.SubscriptionQuery{Company: 9, App: 2, Contract: "defacto", State: fattorino.Unverified, Text: "hooks"}, []int64{elsewhere.ID}},
	} {
		x.q.Limit = 10
		if got := find(x.q); !cmp.Equal(got, x.want) {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
	}

	// Page by page they come once each, as they are.
	var paged []int64
	for after := int64(0); len(paged) < len(all); {
		page := find(fattorino.SubscriptionQuery{After: after, Limit: 1})
		if len(page) != 1 {
			t.Fatalf("after %d: %v, want one", after, page)
		}
		paged, after = append(paged, page[0]), page[0]
	}
	if !cmp.Equal(paged, all) {
		t.Errorf("page by page: %v, want %v", paged, all)
	}
	b.reopen(b)
	got, err := b.AllSubscriptions(ctx, fattorino.SubscriptionQuery{Company: 8, Limit: 10})
	b.must(err)
	if diff := cmp.Diff([]*fattorino.Subscription{named}, got, same); diff != "" {
		t.Errorf("whole (-written +read):\n%s", diff)
	}

	// A name that changes is found anew.
	named.Options.Name = "Other"
	b.update(func(tx fattorino.Tx) error { return tx.PutSubscription(named) })
	if got := find(fattorino.SubscriptionQuery{Text: "ledger", Limit: 10}); got != nil {
		t.Errorf("by the old name: %v", got)
	}
}

func testSeveralCompanies(t *testing.T, b *bundle) {
	b.update(func(tx fattorino.Tx) error {
		for _, id := range []int64{7, 8, 9} {
			if err := tx.EnsureCompany(id, start); err != nil {
				return err
			}
		}
		return tx.NameCompany(8, "Rossi")
	})
	names, err := b.CompanyNames(ctx, []int64{7, 8, 10})
	b.must(err)
	if want := map[int64]string{8: "Rossi"}; !cmp.Equal(names, want) {
		t.Errorf("names: %v, want %v", names, want)
	}

	minute := start.Truncate(time.Hour).Add(58 * time.Minute)
	one, two, idle := b.subscribe(7, 1), b.subscribe(8, 1), b.subscribe(9, 1)
	tally := func(s *fattorino.Subscription, minutes, n int64) fattorino.Tally {
		return fattorino.Tally{Company: s.Company, Subscription: s.ID, At: minute.Add(time.Duration(minutes) * time.Minute), Counts: counts(n)}
	}
	stranger := b.subscribe(8, 2)
	b.must(b.Commit(ctx, &fattorino.Batch{
		Now: start, Pulses: []fattorino.Pulse{{Subscription: one.ID, SucceededAt: start}, {Subscription: two.ID, InARow: 3}, {Subscription: stranger.ID, InARow: 9}},
		Tallies: []fattorino.Tally{
			tally(one, 0, 1), tally(one, 1, 10), tally(one, 2, 20), tally(two, 1, 100), tally(stranger, 1, 1000),
			{Company: 7, Subscription: 0, At: minute, Counts: counts(5000)},
		},
	}))
	step := func(s *fattorino.Subscription, at time.Time, c fattorino.Counts) fattorino.Tally {
		return fattorino.Tally{Subscription: s.ID, At: at, Counts: c}
	}
	hour := minute.Truncate(time.Hour)
	want := []fattorino.Tally{step(one, hour, counts(1).Plus(counts(10))), step(one, hour.Add(time.Hour), counts(20)), step(two, hour, counts(100))}
	if two.ID < one.ID {
		want = []fattorino.Tally{want[2], want[0], want[1]}
	}
	check := func(when string) {
		t.Helper()
		got, err := b.EachTally(ctx, []int64{two.ID, idle.ID, one.ID}, hour, hour.Add(2*time.Hour), time.Hour)
		b.must(err)
		if !cmp.Equal(got, want, same) {
			t.Errorf("each tally %s: %s", when, cmp.Diff(want, got, same))
		}
	}
	check("as it was counted")
	b.tidy(func(tx fattorino.Tx) (bool, error) { return tx.RollTallies(minute.Add(time.Hour)) })
	check("with all rolled")

	pulses, err := b.Pulses(ctx, []int64{one.ID, two.ID, idle.ID})
	b.must(err)
	if len(pulses) != 2 {
		t.Errorf("pulses: %+v, want two", pulses)
	}
	for _, none := range [][]int64{nil, {}} {
		tallies, err := b.EachTally(ctx, none, hour, hour.Add(time.Hour), time.Hour)
		b.must(err)
		pulses, err := b.Pulses(ctx, none)
		b.must(err)
		if len(tallies)+len(pulses) > 0 {
			t.Errorf("of none: %v, %v", tallies, pulses)
		}
	}
}
