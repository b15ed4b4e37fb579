package fattorino_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// about gives, of the path of an event, one line for each subscription: its
// sink, why, and by which type or filter.
func (f *fixture) about(tb testing.TB, caller *fattorino.Token, seq int64) (lines []string) {
	tb.Helper()
	_, path, err := f.Explain(context.Background(), caller, 7, seq)
	if err != nil {
		tb.Fatal(err)
	}
	for _, h := range path {
		lines = append(lines, strings.TrimSpace(fmt.Sprint(strings.TrimPrefix(h.Subscription.Sink, "https://"), " ", h.Why, " ", h.Type, " ", h.By, " ", string(h.Filter))))
	}
	return lines
}

func TestAnEventsPathSaysWhoHeardItAndWhy(t *testing.T) {
	t.Parallel()
	f := setup(t)
	open := func(sink, filters string, types ...string) fattorino.NewSubscription {
		n := wish("https://"+sink, types...)
		n.Contract, n.Filters = "open", []byte(filters)
		return n
	}
	vendor := wish("https://vendor", "com.vendor.docs.update")
	vendor.Contract = "vendor"
	f.subscribe(t, f.app, wish("https://house", paid, created))
	f.subscribe(t, f.app, vendor)
	f.subscribe(t, f.app, open("all", "", "*"))
	f.subscribe(t, f.app, open("invoices", "", "product.*", "invoice.*"))
	f.subscribe(t, f.app, open("passes", `[{"exact":{"source":"/erp"}}]`, paid))
	f.subscribe(t, f.app, open("refuses", `[{"exact":{"source":"/erp"}},{"exact":{"id":"other"}}]`, "*"))
	f.subscribe(t, f.app, open("stock", "", stock))
	f.sinks.nowProve(wrongly)
	f.subscribe(t, f.rival, wish("https://unproved", paid))
	seq := f.publish(t, happened("one", paid))
	f.subscribe(t, f.app, open("late", "", paid))

	want := []string{
		"house heard invoice.paid type",
		"vendor heard com.vendor.docs.update common",
		"all heard * wildcard",
		"invoices heard invoice.* wildcard",
		"passes heard invoice.paid type",
		`refuses filter * wildcard {"exact":{"id":"other"}}`,
		"stock type",
		"unproved unverified invoice.paid type",
		"late later invoice.paid type",
	}
	if diff := cmp.Diff(want, f.about(t, f.admin, seq)); diff != "" {
		t.Errorf("the path (-want +got):\n%s", diff)
	}
	// An app is told of its own.
	if diff := cmp.Diff(want[7:8], f.about(t, f.rival, seq)); diff != "" {
		t.Errorf("the path as another app sees it (-want +got):\n%s", diff)
	}
}

func TestWhatHasChangedSinceTheEventIsSaid(t *testing.T) {
	t.Parallel()
	f := setup(t)
	n := wish("https://open", paid)
	n.Contract = "open"
	moved := f.subscribe(t, f.app, n)
	n.Sink, n.Types = "https://joined", []string{created}
	joined := f.subscribe(t, f.app, n)
	n.Sink, n.Types = "https://gone", []string{paid}
	gone := f.subscribe(t, f.app, n)
	seq := f.publish(t, happened("one", paid))
	change := func(id int64, types ...string) {
		if _, _, err := f.ModifySubscription(t.Context(), f.app, 7, "open", id, fattorino.SubscriptionChange{Types: types}); err != nil {
			t.Fatal(err)
		}
	}
	change(moved.ID, created)
	change(joined.ID, paid)
	if err := f.DeleteSubscription(t.Context(), f.app, 7, "open", gone.ID); err != nil {
		t.Fatal(err)
	}
	want := []string{"open before", "gone heard invoice.paid type", "joined since invoice.paid type"}
	if diff := cmp.Diff(want, f.about(t, f.admin, seq)); diff != "" {
		t.Errorf("the path (-want +got):\n%s", diff)
	}
	_, path, err := f.Explain(t.Context(), f.admin, 7, seq)
	if err != nil || !path[0].Changed || path[0].Delivery == nil || path[2].Delivery != nil {
		t.Errorf("%+v, %v; want the first changed and with its delivery, the last without", path, err)
	}
}

// What Explain says of the types is what the engine does, name by name.
func TestWhatIsExplainedIsWhatHappens(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, c := range []struct{ contract, typ string }{
		{"house", created},
		{"house", paid},
		{"house", stock},
		{"vendor", "com.vendor.docs.create"},
		{"vendor", "com.vendor.docs.update"},
		{"vendor", "com.vendor.parcels.sent"},
		{"open", "*"},
		{"open", "com.*"},
		{"open", "invoice.*"},
		{"open", "com.vendor.docs.update"},
		{"open", paid},
		{"open", "something.else"},
	} {
		n := wish("https://"+c.contract+"/"+c.typ, c.typ)
		n.Contract = c.contract
		f.subscribe(t, f.app, n)
	}
	for i, typ := range []string{created, paid, deleted, stock, "invoice.updated", "com.vendor.docs.create", "com.vendor.docs.update", "com.vendor.parcels.sent", "something.else", "unheard.of"} {
		seq := f.publish(t, happened(fmt.Sprint("event-", i), typ))
		_, path, err := f.Explain(t.Context(), f.admin, 7, seq)
		if err != nil || len(path) != 12 {
			t.Fatalf("%d subscriptions, %v; want 12", len(path), err)
		}
		for _, h := range path {
			if h.Why != map[bool]fattorino.HearingReason{true: fattorino.Heard, false: fattorino.NotChosen}[h.Delivery != nil] {
				t.Errorf("%s for %s: explained as %s, delivered: %v", typ, h.Subscription.Sink, h.Why, h.Delivery != nil)
			}
		}
	}
}

func TestAnEventsDeliveriesAreItsOwn(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for i := range 3 {
		n := wish(fmt.Sprint("https://sink/", i), paid)
		n.Contract = "open"
		f.subscribe(t, f.app, n)
	}
	// As many as are committed at once, all of one type, some about one entity.
	var events []*fattorino.Event
	for i := range 400 {
		e := happened(fmt.Sprint("event-", i), paid)
		e.Data = fmt.Appendf(nil, `{"ids":[%d,7]}`, i/100)
		events = append(events, e)
	}
	receipts, err := f.Publish(t.Context(), f.admin, events)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 199, 399} {
		own, err := f.EventDeliveries(t.Context(), f.admin, 7, receipts[i].Seq)
		if err != nil || len(own) != 3 {
			t.Fatalf("%d deliveries of event %d, %v; want 3", len(own), i, err)
		}
		for _, d := range own {
			if d.Event.ID != events[i].ID {
				t.Errorf("a delivery of %s is among those of %s", d.Event.ID, events[i].ID)
			}
		}
	}
}

func TestTheEventsOfOthersAreNotExplained(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.subscribe(t, f.app, wish("https://house", paid))
	seq := f.publish(t, happened("one", paid))
	elsewhere := &fattorino.Token{Kind: fattorino.APIToken, App: 1, Companies: []int64{8}, Scopes: []string{"*"}}
	blind := &fattorino.Token{Kind: fattorino.APIToken, App: 1, Scopes: []string{"products:r"}}
	for name, c := range map[string]struct {
		caller *fattorino.Token
		seq    int64
		want   fattorino.Kind
	}{
		"another company":      {elsewhere, seq, fattorino.Denied},
		"without the scope":    {blind, seq, fattorino.NotFound},
		"a token of no reader": {&fattorino.Token{Kind: fattorino.PublishToken}, seq, fattorino.Denied},
		"not there yet":        {f.admin, seq + 1, fattorino.NotFound},
		"a private event":      {f.admin, 0, fattorino.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := f.Explain(t.Context(), c.caller, 7, c.seq)
			fails(t, err, c.want)
			_, err = f.EventDeliveries(t.Context(), c.caller, 7, c.seq)
			fails(t, err, c.want)
		})
	}
}

func TestAnEventThatIsOverForASubscriptionIsSaidToBe(t *testing.T) {
	t.Parallel()
	f := setup(t)
	n := wish("https://short", paid)
	n.Contract, n.Options.EndsAt = "open", time.Now().Add(time.Hour)
	sub := f.subscribe(t, f.app, n)
	seq := f.publish(t, happened("one", paid))
	if err := f.store.Update(t.Context(), func(tx fattorino.Tx) error { // as if it had ended by then
		over := sub.Clone()
		over.ID, over.Sink, over.Options.EndsAt = 0, "https://over", time.Now().Add(-time.Hour)
		return tx.PutSubscription(over)
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{"short heard invoice.paid type", "over ended invoice.paid type"}
	if diff := cmp.Diff(want, f.about(t, f.admin, seq)); diff != "" {
		t.Errorf("the path (-want +got):\n%s", diff)
	}
}
