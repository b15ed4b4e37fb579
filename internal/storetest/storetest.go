// Package storetest is the one suite that every store must pass.
package storetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Open gives an empty store that is closed when the test ends, and a function
// that closes it and opens it again as after a restart.
type Open func(t *testing.T) (store fattorino.Store, reopen func() fattorino.Store)

// An Option tells the suite what a store does in a way of its own.
type Option func(*bundle)

// RetentionStep is for a store that keeps events for up to so much longer than
// it is asked to, because it deletes many at once.
func RetentionStep(step time.Duration) Option { return func(b *bundle) { b.retentionStep = step } }

// Run runs the suite.
func Run(t *testing.T, open Open, options ...Option) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *bundle)
	}{
		{"an event comes back as it was published", testEventComesBack},
		{"seq has no gaps, per company, across restarts", testSeq},
		{"an event published again is not stored twice", testRepeat},
		{"an id with other content is a conflict and stores nothing of its request", testConflict},
		{"an event published twice in one batch is not stored twice", testRepeatInOneBatch},
		{"a conflict leaves the other requests of the batch alone", testConflictIsItsOwn},
		{"events and deliveries are written together", testDeliveriesWithEvents},
		{"an outcome is kept with its attempt, byte for byte", testOutcome},
		{"fresh, due and backlog tell what is left to do", testWhatIsLeft},
		{"waiting deliveries are found by what they wait for", testWaiting},
		{"private events are in no list", testPrivate},
		{"events are pulled in order, by type or common name", testPull},
		{"the log is filtered and paged", testLog},
		{"the log is bounded in time", testLogInTime},
		{"subscriptions are kept whole", testSubscriptions},
		{"subscriptions of all companies are found, page by page", testAllSubscriptions},
		{"of several companies, names, tallies and pulses are read at once", testSeveralCompanies},
		{"tokens, apps and companies", testIdentities},
		{"signing keys", testKeys},
		{"counters count within their window", testCount},
		{"several counters count together", testCountTogether},
		{"types and groups of the operator's are kept whole", testOwnTypes},
		{"recent events of a type are found from the end", testRecentEvents},
		{"documents are kept by kind, company and id", testDocuments},
		{"documents come due in order, whatever their company", testDueDocuments},
		{"what is counted is added up, by minutes and then by hours", testTallies},
		{"the pulse of a subscription goes on from where it was", testPulses},
		{"what is unsettled is counted, with its oldest", testUnsettled},
		{"an update that fails writes nothing", testUpdateRollsBack},
		{"pruning spares what is pending, and gives no id twice", testPrune},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			store, reopen := open(t)
			b := &bundle{t: t, Store: store, reopen: func(b *bundle) { b.Store = reopen() }}
			for _, o := range options {
				o(b)
			}
			c.test(t, b)
		})
	}
}

// bundle is what a test of the suite works with.
type bundle struct {
	fattorino.Store
	t             *testing.T
	reopen        func(*bundle)
	retentionStep time.Duration
}

// start is a time with no more precision than every store keeps.
var start = time.Date(2026, 3, 1, 10, 0, 0, 123456000, time.UTC)

var ctx = context.Background()

// ignoreStamps leaves out what a comparison does not care for: where a time is
// shown, and hashes kept for later.
var same = cmp.Options{cmpopts.EquateApproxTime(0), cmpopts.IgnoreUnexported(fattorino.Event{}), cmpopts.EquateEmpty()}

func (b *bundle) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// invoice makes an event about an invoice of a company.
func invoice(company int64, id string, number int) *fattorino.Event {
	return &fattorino.Event{
		ID: id, Source: "/erp", Type: "fic.invoices.create", Common: "invoice.created", Subject: fmt.Sprintf("company:%d", company),
		DataContentType: "application/json", Form: fattorino.JSONData, Data: fmt.Appendf(nil, `{"id":%d,"total":12.50}`, number),
		Company: company, Entity: fattorino.Entity{Type: "invoice", IDs: []string{fmt.Sprint(number)}},
	}
}

// publish commits events at a time, each with deliveries to the targets.
func (b *bundle) publish(at time.Time, targets []int64, events ...*fattorino.Event) *fattorino.Publish {
	b.t.Helper()
	p := &fattorino.Publish{Events: events}
	for range events {
		p.Targets = append(p.Targets, targets)
	}
	b.must(b.Commit(ctx, &fattorino.Batch{Now: at, Publishes: []*fattorino.Publish{p}}))
	return p
}

func (b *bundle) events(q fattorino.EventQuery) []*fattorino.Event {
	b.t.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	all, err := b.Events(ctx, q)
	b.must(err)
	return all
}

func (b *bundle) update(f func(fattorino.Tx) error) {
	b.t.Helper()
	b.must(b.Update(ctx, f))
}

// subscribe keeps an active subscription.
func (b *bundle) subscribe(company, app int64) *fattorino.Subscription {
	b.t.Helper()
	s := &fattorino.Subscription{
		Company: company, App: app, Contract: "fic", Sink: "https://sink.example/hook?token=a%20b&x", Types: []string{"fic.invoices.create"},
		Format: fattorino.Structured, State: fattorino.Active, CreatedAt: start, UpdatedAt: start,
	}
	b.update(func(tx fattorino.Tx) error { return tx.PutSubscription(s) })
	return s
}

func testEventComesBack(t *testing.T, b *bundle) {
	full := invoice(7, "a", 42)
	full.Time = time.Date(2026, 3, 1, 12, 0, 0, 5000, time.FixedZone("", 2*3600))
	full.DataSchema = "https://schemas.example/invoice"
	full.Extensions = map[string]any{"companyid": int32(7), "entity": "invoice/42", "urgent": true, "off": false, "blob": []byte{0, 1, 255}, "empty": ""}
	full.Data = []byte("{\"total\": 12.50, \"big\": 12345678901234567890123, \"b\":1, \"a\":2}")
	bare := &fattorino.Event{ID: "b", Source: "urn:x", Type: "t", Company: 7}
	several := invoice(7, "c", 1)
	several.Entity.IDs = []string{"1", "2", "3"}
	raw := &fattorino.Event{ID: "d", Source: "urn:x", Type: "t", Company: 7, Form: fattorino.BinaryData, Data: []byte{0, 255, 10}}
	null := &fattorino.Event{ID: "e", Source: "urn:x", Type: "t", Company: 7, Form: fattorino.JSONData, Data: []byte("null")}
	published := []*fattorino.Event{full, bare, several, raw, null}
	b.publish(start, nil, published...)

	for i, got := range b.events(fattorino.EventQuery{Company: 7}) {
		if diff := cmp.Diff(published[i], got, same); diff != "" {
			t.Errorf("event %s (-published +read):\n%s", published[i].ID, diff)
		}
		if !got.Accepted.Equal(start) {
			t.Errorf("event %s accepted at %v, want %v", got.ID, got.Accepted, start)
		}
	}
	if got := b.events(fattorino.EventQuery{Company: 7})[0]; got.Time.Format(time.RFC3339Nano) != "2026-03-01T12:00:00.000005+02:00" {
		t.Errorf("time = %v: the producer's offset is lost", got.Time)
	}
}

func testSeq(t *testing.T, b *bundle) {
	b.publish(start, nil, invoice(7, "a", 1), invoice(8, "b", 1), invoice(7, "c", 2))
	b.reopen(b)
	p := b.publish(start, nil, invoice(7, "d", 3), invoice(8, "e", 2), invoice(9, "f", 1))

	if got := []int64{p.Events[0].Seq, p.Events[1].Seq, p.Events[2].Seq}; !cmp.Equal(got, []int64{3, 2, 1}) {
		t.Errorf("seqs = %v, want 3, 2, 1", got)
	}
	for i, e := range b.events(fattorino.EventQuery{Company: 7}) {
		if e.Seq != int64(i+1) {
			t.Errorf("event %s has seq %d, want %d", e.ID, e.Seq, i+1)
		}
	}
	c, err := b.Company(ctx, 7)
	b.must(err)
	if c.LastSeq != 3 {
		t.Errorf("company's last seq = %d, want 3", c.LastSeq)
	}
	// Time of acceptance never goes back, whatever the clock does.
	late := b.publish(start.Add(-time.Hour), nil, invoice(7, "g", 4))
	if late.Events[0].Accepted.Before(start) {
		t.Errorf("accepted at %v, before the event before it", late.Events[0].Accepted)
	}
}

func testRepeat(t *testing.T, b *bundle) {
	sub := b.subscribe(7, 1)
	first := b.publish(start, []int64{sub.ID}, invoice(7, "a", 1))
	again := b.publish(start.Add(time.Minute), []int64{sub.ID}, invoice(7, "a", 1), invoice(7, "b", 2), invoice(7, "b", 2))

	if !cmp.Equal(again.Repeated, []bool{true, false, true}) {
		t.Errorf("repeated = %v, want true, false, true", again.Repeated)
	}
	if got := []int64{again.Events[0].Seq, again.Events[1].Seq, again.Events[2].Seq}; !cmp.Equal(got, []int64{1, 2, 2}) {
		t.Errorf("seqs = %v, want 1, 2, 2", got)
	}
	if again.Events[0].Key != first.Events[0].Key {
		t.Error("the repeat has another key")
	}
	if n := len(b.events(fattorino.EventQuery{Company: 7})); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
	// The same id from another source, or of another company, is another event.
	other := invoice(7, "a", 1)
	other.Source = "/other"
	p := b.publish(start, nil, other, invoice(8, "a", 1))
	if p.Err != nil || p.Repeated[0] || p.Repeated[1] {
		t.Errorf("another source or company: %v, repeated %v", p.Err, p.Repeated)
	}
}

func testConflict(t *testing.T, b *bundle) {
	b.publish(start, nil, invoice(7, "a", 1))
	for name, request := range map[string][]*fattorino.Event{
		"with what is stored":   {invoice(7, "b", 2), invoice(7, "a", 99)},
		"within one request":    {invoice(7, "c", 1), invoice(7, "c", 2)},
		"after other companies": {invoice(8, "d", 1), invoice(9, "d", 1), invoice(7, "a", 99)},
		"of an attribute alone": {func() *fattorino.Event { e := invoice(7, "a", 1); e.Subject = "company:7x"; return e }()},
	} {
		p := b.publish(start, nil, request...)
		if fattorino.KindOf(p.Err) != fattorino.Conflict {
			t.Errorf("%s: error = %v, want Conflict", name, p.Err)
		}
	}
	for company, want := range map[int64]int{7: 1, 8: 0, 9: 0} {
		if n := len(b.events(fattorino.EventQuery{Company: company})); n != want {
			t.Errorf("company %d has %d events, want %d: a refused request stored something", company, n, want)
		}
	}
}

func testRepeatInOneBatch(t *testing.T, b *bundle) {
	sub := b.subscribe(7, 1)
	request := func(events ...*fattorino.Event) *fattorino.Publish {
		p := &fattorino.Publish{Events: events}
		for range events {
			p.Targets = append(p.Targets, []int64{sub.ID})
		}
		return p
	}
	first, again := request(invoice(7, "a", 1)), request(invoice(7, "b", 2), invoice(7, "a", 1))
	other := request(invoice(7, "c", 3), invoice(7, "a", 99))
	b.must(b.Commit(ctx, &fattorino.Batch{Now: start, Publishes: []*fattorino.Publish{first, again, other}}))

	if first.Repeated[0] || !cmp.Equal(again.Repeated, []bool{false, true}) {
		t.Errorf("repeated = %v and %v, want the second a alone", first.Repeated, again.Repeated)
	}
	if again.Events[1].Seq != first.Events[0].Seq || again.Events[1].Key != first.Events[0].Key {
		t.Errorf("the repeat has seq %d, key %d; want %d, %d", again.Events[1].Seq, again.Events[1].Key, first.Events[0].Seq, first.Events[0].Key)
	}
	if fattorino.KindOf(other.Err) != fattorino.Conflict {
		t.Errorf("the id with other content: %v, want Conflict", other.Err)
	}
	if fresh, err := b.Fresh(ctx, sub.ID, 0, 10); err != nil || len(fresh) != 2 {
		t.Errorf("%d deliveries, %v; want one for each of the two events", len(fresh), err)
	}
}

func testConflictIsItsOwn(t *testing.T, b *bundle) {
	b.publish(start, nil, invoice(7, "a", 1))
	good := &fattorino.Publish{Events: []*fattorino.Event{invoice(7, "b", 1)}, Targets: [][]int64{nil}}
	bad := &fattorino.Publish{Events: []*fattorino.Event{invoice(7, "a", 2)}, Targets: [][]int64{nil}}
	also := &fattorino.Publish{Events: []*fattorino.Event{invoice(7, "c", 1)}, Targets: [][]int64{nil}}
	b.must(b.Commit(ctx, &fattorino.Batch{Now: start, Publishes: []*fattorino.Publish{good, bad, also}}))

	if good.Err != nil || also.Err != nil || bad.Err == nil {
		t.Errorf("errors = %v, %v, %v; want the middle one alone", good.Err, bad.Err, also.Err)
	}
	if good.Events[0].Seq != 2 || also.Events[0].Seq != 3 {
		t.Errorf("seqs = %d, %d; want 2, 3: a refused request left a gap", good.Events[0].Seq, also.Events[0].Seq)
	}
}

func testDeliveriesWithEvents(t *testing.T, b *bundle) {
	one, two := b.subscribe(7, 1), b.subscribe(7, 2)
	p := b.publish(start, []int64{one.ID, two.ID}, invoice(7, "a", 1), invoice(7, "b", 2))

	for i, e := range p.Events {
		for j, sub := range []*fattorino.Subscription{one, two} {
			d, err := b.Delivery(ctx, p.First[i]+int64(j))
			b.must(err)
			if d.Subscription != sub.ID || d.Event.ID != e.ID || d.State != fattorino.Pending || !d.DueAt.IsZero() {
				t.Errorf("delivery %d = %+v, want %s to %d, pending", d.ID, d, e.ID, sub.ID)
			}
		}
	}
	if _, err := b.Delivery(ctx, 999); fattorino.KindOf(err) != fattorino.NotFound {
		t.Errorf("unknown delivery: %v, want NotFound", err)
	}
}

func testOutcome(t *testing.T, b *bundle) {
	sub := b.subscribe(7, 1)
	event := invoice(7, "a", 1)
	event.Data = fmt.Appendf(nil, `{"id":1,"note":%q}`, strings.Repeat("paid late, ", 20)) // which is in the body as it is
	p := b.publish(start, []int64{sub.ID}, event)
	d := &fattorino.Delivery{
		ID: p.First[0], Subscription: sub.ID, Event: event, Attempts: 1, Tries: 1, Status: 500,
		DueAt: start.Add(5 * time.Second), FirstErrorAt: start,
	}
	attempt := &fattorino.Attempt{
		Delivery: d.ID, Number: 1, StartedAt: start,
		Request: fattorino.Request{
			Method: "POST", URL: "https://sink.example/hook?token=secret",
			Header: []fattorino.Header{{Name: "ce-id", Value: "1:a"}, {Name: "Empty", Value: ""}, {Name: "X", Value: "a: b"}, {Name: "Key", Value: "canary", Secret: true}}, Body: slices.Concat([]byte(`{"data":`), event.Data, []byte("}\n")),
		},
		Answer: fattorino.Answer{
			Status: 500, Header: []fattorino.Header{{Name: "Content-Type", Value: "text/plain"}, {Name: "X", Value: "caf\xe9"}}, Body: []byte{0, 1, 'x'}, Truncated: true,
			Failure: fattorino.FailedTimeout, Detail: "too slow \xff", // a sink's bytes need not be UTF-8
			Timing: fattorino.Timing{DNS: time.Millisecond, Connect: 2 * time.Millisecond, TLS: 3 * time.Millisecond, FirstByte: 4 * time.Millisecond, Total: 10 * time.Millisecond},
		},
	}
	sub.FirstErrorAt, sub.ExpiresAt = start, start.Add(240*time.Hour)
	b.must(b.Commit(ctx, &fattorino.Batch{
		Now: start, Outcomes: []fattorino.Outcome{{Delivery: d, Attempt: attempt}}, Subscriptions: []*fattorino.Subscription{sub},
	}))
	last := *d
	last.Attempts, last.State, last.SettledAt, last.DueAt, last.Status = 2, fattorino.Delivered, start.Add(time.Minute), time.Time{}, 200
	second := *attempt
	second.BatchOf = 77
	second.Number, second.Request.Body, second.Answer = 2, nil, fattorino.Answer{Status: 200}
	b.must(b.Commit(ctx, &fattorino.Batch{Now: start, Outcomes: []fattorino.Outcome{{Delivery: &last, Attempt: &second}}}))
	b.reopen(b)

	got, err := b.Delivery(ctx, d.ID)
	b.must(err)
	if diff := cmp.Diff(&last, got, same); diff != "" {
		t.Errorf("delivery (-written +read):\n%s", diff)
	}
	attempts, err := b.Attempts(ctx, d.ID)
	b.must(err)
	want := []*fattorino.Attempt{attempt, &second}
	for _, a := range want {
		a.Request.URL = "https://sink.example/hook" // the query can hold secrets, and is not kept
		a.Request.Header = slices.Clone(a.Request.Header)
		a.Request.Header[3] = fattorino.Header{Name: "Key", Value: "[hidden]"}
	}
	if diff := cmp.Diff(want, attempts, same); diff != "" {
		t.Errorf("attempts (-written +read):\n%s", diff)
	}
	s, err := b.Subscription(ctx, sub.ID)
	b.must(err)
	if diff := cmp.Diff(sub, s, same); diff != "" {
		t.Errorf("subscription (-written +read):\n%s", diff)
	}
}

func testWhatIsLeft(t *testing.T, b *bundle) {
	sub, idle := b.subscribe(7, 1), b.subscribe(7, 2)
	var events []*fattorino.Event
	for i := range 6 {
		events = append(events, invoice(7, fmt.Sprint(i), i))
	}
	p := b.publish(start, []int64{sub.ID}, events...)
	outcome := func(i int, state fattorino.DeliveryState, due time.Time) fattorino.Outcome {
		return fattorino.Outcome{Delivery: &fattorino.Delivery{ID: p.First[i], Subscription: sub.ID, Event: events[i], State: state, DueAt: due, Attempts: 1}}
	}
	b.must(b.Commit(ctx, &fattorino.Batch{Now: start, Outcomes: []fattorino.Outcome{
		outcome(0, fattorino.Delivered, time.Time{}),
		outcome(1, fattorino.Pending, start.Add(2*time.Hour)),
		outcome(2, fattorino.Pending, start.Add(time.Hour)),
		outcome(4, fattorino.Discarded, time.Time{}),
	}, Settled: []fattorino.Settled{{Subscription: sub.ID, Delivery: p.First[2]}}}))
	b.reopen(b)

	backlogs, err := b.Backlogs(ctx)
	b.must(err)
	want := []fattorino.Backlog{{Subscription: sub.ID, Settled: p.First[2], Last: p.First[5], NextDue: start.Add(time.Hour)}}
	if diff := cmp.Diff(want, backlogs, same); diff != "" {
		t.Errorf("backlogs (-want +got), and %d has none:\n%s", idle.ID, diff)
	}
	ids := func(ds []*fattorino.Delivery, err error) (ids []int64) {
		b.must(err)
		for _, d := range ds {
			ids = append(ids, d.ID)
		}
		return ids
	}
	if got, want := ids(b.Fresh(ctx, sub.ID, 0, 10)), []int64{p.First[3], p.First[5]}; !cmp.Equal(got, want) {
		t.Errorf("fresh = %v, want %v", got, want)
	}
	if got, want := ids(b.Fresh(ctx, sub.ID, p.First[3], 10)), []int64{p.First[5]}; !cmp.Equal(got, want) {
		t.Errorf("fresh after the first = %v, want %v", got, want)
	}
	if got, want := ids(b.Due(ctx, sub.ID, 10)), []int64{p.First[2], p.First[1]}; !cmp.Equal(got, want) {
		t.Errorf("due = %v, want %v, soonest first", got, want)
	}
	if got := ids(b.Due(ctx, sub.ID, 1)); len(got) != 1 {
		t.Errorf("due = %v, want one", got)
	}
	// A subscription that is gone is still live while something is pending: until
	// it cannot be restored any more, or to have that discarded.
	sub.State, sub.Before = fattorino.Deleted, fattorino.Disabled
	idle.State, idle.Before = fattorino.Deleted, fattorino.Active
	b.update(func(tx fattorino.Tx) error {
		if err := tx.PutSubscription(sub); err != nil {
			return err
		}
		return tx.PutSubscription(idle)
	})
	if live := b.live(); len(live) != 1 || live[0].ID != sub.ID || live[0].Before != fattorino.Disabled {
		t.Errorf("live = %+v, want %d as it was deleted", live, sub.ID)
	}
	sub.Before = ""
	b.update(func(tx fattorino.Tx) error { return tx.PutSubscription(sub) })
	if live := b.live(); len(live) != 1 || live[0].ID != sub.ID || live[0].Before != "" {
		t.Errorf("live = %+v, want %d, which cannot be restored", live, sub.ID)
	}
}

// live gives the subscriptions that a start reads.
func (b *bundle) live() (all []*fattorino.Subscription) {
	b.must(b.LiveSubscriptions(ctx, func(s *fattorino.Subscription) { all = append(all, s) }))
	return all
}

func testWaiting(t *testing.T, b *bundle) {
	sub, other := b.subscribe(7, 1), b.subscribe(7, 2)
	p := b.publish(start, []int64{sub.ID}, invoice(7, "a", 1), invoice(7, "b", 2), invoice(7, "c", 1), invoice(7, "d", 1))
	set := func(i int, state fattorino.DeliveryState, waitsFor int64) fattorino.Outcome {
		return fattorino.Outcome{Delivery: &fattorino.Delivery{ID: p.First[i], Subscription: sub.ID, Event: p.Events[i], State: state, WaitsFor: waitsFor}}
	}
	b.must(b.Commit(ctx, &fattorino.Batch{
		Now: start, Outcomes: []fattorino.Outcome{set(0, fattorino.Delivered, 0), set(1, fattorino.Waiting, 22), set(2, fattorino.Waiting, -11), set(3, fattorino.Waiting, -11)},
		Settled: []fattorino.Settled{{Subscription: sub.ID, Delivery: p.First[3]}},
	}))
	b.reopen(b)

	waiting := func(key int64, limit int) (ids []string) {
		found, err := b.Waiting(ctx, sub.ID, key, limit)
		b.must(err)
		for _, d := range found {
			if d.State != fattorino.Waiting || d.WaitsFor == 0 {
				t.Errorf("%s is %s, waits for %d", d.Event.ID, d.State, d.WaitsFor)
			}
			ids = append(ids, d.Event.ID)
		}
		return ids
	}
	if got := waiting(-11, 10); !cmp.Equal(got, []string{"c", "d"}) {
		t.Errorf("waiting for -11: %v, want c, d", got)
	}
	if got := waiting(-11, 1); !cmp.Equal(got, []string{"c"}) {
		t.Errorf("first waiting for -11: %v, want c", got)
	}
	if got := waiting(0, 10); !cmp.Equal(got, []string{"b", "c", "d"}) {
		t.Errorf("waiting: %v, want b, c, d", got)
	}
	keys, err := b.WaitedFor(ctx, sub.ID, 10)
	b.must(err)
	slices.Sort(keys)
	if !cmp.Equal(keys, []int64{-11, 22}) {
		t.Errorf("waited for: %v, want -11 and 22", keys)
	}
	if keys, err := b.WaitedFor(ctx, other.ID, 10); err != nil || len(keys) != 0 {
		t.Errorf("waited for by another = %v, %v", keys, err)
	}
	// They are no fresh ones, and the only thing that is left to do.
	if fresh, err := b.Fresh(ctx, sub.ID, 0, 10); err != nil || len(fresh) != 0 {
		t.Errorf("fresh = %v, %v; want none", fresh, err)
	}
	backlogs, err := b.Backlogs(ctx)
	b.must(err)
	if len(backlogs) != 1 || backlogs[0].Subscription != sub.ID || !backlogs[0].Waiting {
		t.Errorf("backlogs = %+v, want the one that has some waiting", backlogs)
	}
	// Once sent, one waits no more.
	b.must(b.Commit(ctx, &fattorino.Batch{Now: start, Outcomes: []fattorino.Outcome{set(2, fattorino.Delivered, 0)}}))
	if got := waiting(-11, 10); !cmp.Equal(got, []string{"d"}) {
		t.Errorf("waiting for -11 after the first was sent: %v, want d", got)
	}
	// What waits is not pruned.
	b.update(func(tx fattorino.Tx) error {
		_, _, err := tx.Prune(start.Add(time.Hour+b.retentionStep), 0, 100)
		return err
	})
	if got := waiting(0, 10); len(got) != 2 {
		t.Errorf("waiting after pruning: %v, want b, d", got)
	}
	// A start reads their subscription, gone or not.
	sub.State, sub.Before = fattorino.Deleted, fattorino.Active
	b.update(func(tx fattorino.Tx) error { return tx.PutSubscription(sub) })
	if live := b.live(); !slices.ContainsFunc(live, func(s *fattorino.Subscription) bool { return s.ID == sub.ID }) {
		t.Errorf("live = %+v, and %d has something waiting", live, sub.ID)
	}
}

func testPrivate(t *testing.T, b *bundle) {
	sub := b.subscribe(7, 1)
	welcome := &fattorino.Event{ID: "w", Source: "/fattorino", Type: "welcome", Company: 7, Accepted: start}
	var d *fattorino.Delivery
	b.update(func(tx fattorino.Tx) (err error) {
		d, err = tx.PutPrivate(welcome, sub.ID)
		return err
	})
	p := b.publish(start, []int64{sub.ID}, &fattorino.Event{ID: "w", Source: "/fattorino", Type: "other", Company: 7})
	if p.Err != nil || p.Events[0].Seq != 1 {
		t.Errorf("a private event took an id or a seq from the company's events: %v, seq %d", p.Err, p.Events[0].Seq)
	}
	if all := b.events(fattorino.EventQuery{Company: 7}); len(all) != 1 || all[0].Type != "other" {
		t.Errorf("events = %v, want the public one alone", all)
	}
	got, err := b.Delivery(ctx, d.ID)
	b.must(err)
	if !got.Event.Private() || got.Event.Type != "welcome" || got.Subscription != sub.ID {
		t.Errorf("delivery = %+v, want the private welcome", got)
	}
	if fresh, _ := b.Fresh(ctx, sub.ID, 0, 10); len(fresh) != 2 {
		t.Errorf("%d fresh, want the welcome and the event", len(fresh))
	}
}

func testPull(t *testing.T, b *bundle) {
	paid := invoice(7, "paid", 1)
	paid.Type, paid.Common = "invoice.paid", "invoice.paid"
	b.publish(start, nil, invoice(7, "a", 1), paid, invoice(7, "b", 2), invoice(8, "c", 1))
	for _, c := range []struct {
		name string
		q    fattorino.EventQuery
		want []string
	}{
		{"all", fattorino.EventQuery{Company: 7}, []string{"a", "paid", "b"}},
		{"after", fattorino.EventQuery{Company: 7, After: 1}, []string{"paid", "b"}},
		{"limit", fattorino.EventQuery{Company: 7, Limit: 2}, []string{"a", "paid"}},
		{"by contract type", fattorino.EventQuery{Company: 7, Types: []string{"fic.invoices.create"}}, []string{"a", "b"}},
		{"by common name", fattorino.EventQuery{Company: 7, Types: []string{"invoice.created"}}, []string{"a", "b"}},
		{"by either", fattorino.EventQuery{Company: 7, Types: []string{"invoice.paid", "nothing"}}, []string{"paid"}},
		{"unknown company", fattorino.EventQuery{Company: 99}, nil},
	} {
		var got []string
		for _, e := range b.events(c.q) {
			got = append(got, e.ID)
		}
		if !cmp.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if oldest, err := b.OldestSeq(ctx, 7); err != nil || oldest != 1 {
		t.Errorf("oldest = %d, %v; want 1", oldest, err)
	}
	if oldest, err := b.OldestSeq(ctx, 99); err != nil || oldest != 0 {
		t.Errorf("oldest of an unknown company = %d, %v; want 0", oldest, err)
	}
}

// logged gives the event ids of a page of the log.
func (b *bundle) logged(q fattorino.DeliveryQuery) (ids []string) {
	b.t.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	page, err := b.Deliveries(ctx, q)
	b.must(err)
	for _, d := range page {
		ids = append(ids, fmt.Sprintf("%s>%d", d.Event.ID, d.Subscription))
	}
	return ids
}

func testLog(t *testing.T, b *bundle) {
	one, two := b.subscribe(7, 1), b.subscribe(7, 2)
	several := invoice(7, "c", 3)
	several.Entity.IDs = []string{"31", "42", "53"}
	p := b.publish(start, []int64{one.ID, two.ID}, invoice(7, "a", 1), invoice(7, "b", 42), several)
	b.must(b.Commit(ctx, &fattorino.Batch{Now: start, Outcomes: []fattorino.Outcome{
		{Delivery: &fattorino.Delivery{ID: p.First[0], Subscription: one.ID, Event: p.Events[0], State: fattorino.Delivered, SettledAt: start}},
		{Delivery: &fattorino.Delivery{ID: p.First[1], Subscription: one.ID, Event: p.Events[1], State: fattorino.Discarded, Reason: fattorino.Refused, SettledAt: start}},
	}}))
	both := []int64{one.ID, two.ID}
	discarded, pending := fattorino.Discarded, fattorino.Pending
	id := func(e string, s *fattorino.Subscription) string { return fmt.Sprintf("%s>%d", e, s.ID) }
	for _, c := range []struct {
		name string
		q    fattorino.DeliveryQuery
		want []string
	}{
		{"newest first, merged", fattorino.DeliveryQuery{Subscriptions: both}, []string{id("c", two), id("c", one), id("b", two), id("b", one), id("a", two), id("a", one)}},
		{"page", fattorino.DeliveryQuery{Subscriptions: both, Limit: 2}, []string{id("c", two), id("c", one)}},
		{"next page", fattorino.DeliveryQuery{Subscriptions: both, Limit: 2, Before: p.First[2]}, []string{id("b", two), id("b", one)}},
		{"one subscription", fattorino.DeliveryQuery{Subscriptions: []int64{two.ID}}, []string{id("c", two), id("b", two), id("a", two)}},
		{"state", fattorino.DeliveryQuery{Subscriptions: both, State: &discarded}, []string{id("b", one)}},
		{"pending", fattorino.DeliveryQuery{Subscriptions: []int64{one.ID}, State: &pending}, []string{id("c", one)}},
		{"entity, alone or among others", fattorino.DeliveryQuery{Subscriptions: []int64{one.ID}, Entity: "invoice/42"}, []string{id("c", one), id("b", one)}},
		{"first of several", fattorino.DeliveryQuery{Subscriptions: []int64{one.ID}, Entity: "invoice/31"}, []string{id("c", one)}},
		{"part of an id is not the id", fattorino.DeliveryQuery{Subscriptions: both, Entity: "invoice/4"}, nil},
		{"another entity type", fattorino.DeliveryQuery{Subscriptions: both, Entity: "customer/42"}, nil},
		{"common name", fattorino.DeliveryQuery{Subscriptions: both, Types: []string{"invoice.created"}, Limit: 1}, []string{id("c", two)}},
		{"other type", fattorino.DeliveryQuery{Subscriptions: both, Types: []string{"invoice.paid"}}, nil},
	} {
		if got := b.logged(c.q); !cmp.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func testLogInTime(t *testing.T, b *bundle) {
	sub := b.subscribe(7, 1)
	for i := range 5 {
		b.publish(start.Add(time.Duration(i)*time.Hour), []int64{sub.ID}, invoice(7, fmt.Sprint(i), i))
	}
	id := func(i int) string { return fmt.Sprintf("%d>%d", i, sub.ID) }
	for _, c := range []struct {
		name     string
		from, to time.Time
		want     []string
	}{
		{"from", start.Add(3 * time.Hour), time.Time{}, []string{id(4), id(3)}},
		{"to", time.Time{}, start.Add(2 * time.Hour), []string{id(1), id(0)}},
		{"between", start.Add(30 * time.Minute), start.Add(150 * time.Minute), []string{id(2), id(1)}},
		{"before all", time.Time{}, start, nil},
		{"after all", start.Add(24 * time.Hour), time.Time{}, nil},
	} {
		if got := b.logged(fattorino.DeliveryQuery{Subscriptions: []int64{sub.ID}, From: c.from, To: c.to}); !cmp.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func testSubscriptions(t *testing.T, b *bundle) {
	a, other, foreign := b.subscribe(7, 1), b.subscribe(7, 2), b.subscribe(8, 1)
	a.Handshake = fattorino.HandshakeState{Method: fattorino.ByQuery, Pending: true, Round: 3, Failed: 2, RetryAt: start.Add(time.Minute).UTC(), Error: "no"}
	a.State, a.Before, a.Types = fattorino.Unverified, fattorino.Disabled, []string{"x", "y"}
	a.Filters = []byte(`[{"exact":{"type":"x"}}]`)
	a.Secrets = []fattorino.Secret{{Sealed: []byte{1, 2}}, {Sealed: []byte{3}, EndsAt: start.Add(time.Hour).UTC()}}
	a.Options = fattorino.Options{
		Name: "ledger", Description: "d", Metadata: map[string]string{"k": "v"}, Handshake: "none", Signature: "v1", Thin: true,
		Headers: []byte{9}, Rate: 60, Concurrency: 2, Schedule: []time.Duration{time.Second}, Timeout: time.Minute, EndsAt: start.UTC(),
	}
	a.FirstErrorAt, a.ExpiresAt = start, start.Add(time.Hour)
	b.update(func(tx fattorino.Tx) error { return tx.PutSubscription(a) })
	b.reopen(b)

	got, err := b.Subscription(ctx, a.ID)
	b.must(err)
	if diff := cmp.Diff(a, got, same); diff != "" {
		t.Errorf("subscription (-written +read):\n%s", diff)
	}
	numbers := func(subs []*fattorino.Subscription, err error) (ids []int64) {
		b.must(err)
		for _, s := range subs {
			ids = append(ids, s.ID)
		}
		return ids
	}
	if got := numbers(b.Store.Subscriptions(ctx, 7, 0)); !cmp.Equal(got, []int64{a.ID, other.ID}) {
		t.Errorf("company's = %v", got)
	}
	if got := numbers(b.Store.Subscriptions(ctx, 7, 2)); !cmp.Equal(got, []int64{other.ID}) {
		t.Errorf("app's = %v", got)
	}
	other.State = fattorino.Disabled
	b.update(func(tx fattorino.Tx) error { return tx.PutSubscription(other) })
	if got := numbers(b.Store.Subscriptions(ctx, 7, 2)); !cmp.Equal(got, []int64{other.ID}) {
		t.Errorf("app's, one of them disabled = %v", got)
	}
	other.State = fattorino.Expired
	b.update(func(tx fattorino.Tx) error {
		own, err := tx.OwnSubscriptions(7, 1)
		if got := numbers(own, err); !cmp.Equal(got, []int64{a.ID}) {
			t.Errorf("own = %v", got)
		}
		return tx.PutSubscription(other)
	})
	if got := numbers(b.Store.Subscriptions(ctx, 7, 0)); !cmp.Equal(got, []int64{a.ID}) {
		t.Errorf("after one is gone: %v", got)
	}
	ids, err := b.SubscriptionIDs(ctx, 7, 0)
	b.must(err)
	if !cmp.Equal(ids, []int64{a.ID, other.ID}) {
		t.Errorf("ids = %v, want those that are gone too, and not %d", ids, foreign.ID)
	}
	for after, want := range map[int64][]int64{0: {a.ID, other.ID}, a.ID: {other.ID, foreign.ID}, foreign.ID: nil} {
		var got []int64
		kept, err := b.KeptSubscriptions(ctx, after, 2)
		b.must(err)
		for _, s := range kept {
			got = append(got, s.ID)
		}
		if !cmp.Equal(got, want) {
			t.Errorf("kept subscriptions after %d = %v, want %v, those that are gone too", after, got, want)
		}
	}
	if _, err := b.Subscription(ctx, 999); fattorino.KindOf(err) != fattorino.NotFound {
		t.Errorf("unknown subscription: %v, want NotFound", err)
	}
}

func testIdentities(t *testing.T, b *bundle) {
	app := &fattorino.App{Name: "ledger", CreatedAt: start}
	token := &fattorino.Token{
		Kind: fattorino.APIToken, Companies: []int64{7, 8}, Scopes: []string{"*"},
		Hash: bytes.Repeat([]byte{1}, 32), Hint: "abcd", CreatedAt: start, ExpiresAt: start.Add(time.Hour),
	}
	b.update(func(tx fattorino.Tx) error {
		if err := tx.PutApp(app); err != nil {
			return err
		}
		token.App = app.ID
		for range 2 {
			if err := tx.EnsureCompany(7, start); err != nil {
				return err
			}
		}
		if err := tx.NameCompany(7, "Rossi S.r.l."); err != nil {
			return err
		}
		return tx.PutToken(token)
	})
	b.reopen(b)

	got, err := b.TokenByHash(ctx, token.Hash)
	b.must(err)
	if diff := cmp.Diff(token, got, same); diff != "" {
		t.Errorf("token (-written +read):\n%s", diff)
	}
	if _, err := b.TokenByHash(ctx, []byte("other")); fattorino.KindOf(err) != fattorino.NotFound {
		t.Errorf("unknown token: %v, want NotFound", err)
	}
	token.RevokedAt = start.Add(time.Minute)
	b.update(func(tx fattorino.Tx) error {
		if _, err := tx.Token(token.ID); err != nil {
			return err
		}
		if _, err := tx.App(999); fattorino.KindOf(err) != fattorino.NotFound {
			t.Errorf("unknown app: %v, want NotFound", err)
		}
		return tx.PutToken(token)
	})
	if got, _ = b.TokenByHash(ctx, token.Hash); !got.RevokedAt.Equal(token.RevokedAt) {
		t.Errorf("revoked at %v, want %v", got.RevokedAt, token.RevokedAt)
	}
	company, err := b.Company(ctx, 7)
	b.must(err)
	if diff := cmp.Diff(&fattorino.Company{ID: 7, Name: "Rossi S.r.l.", CreatedAt: start}, company, same); diff != "" {
		t.Errorf("company (-want +got):\n%s", diff)
	}
	apps, err := b.Apps(ctx, 0, 10)
	b.must(err)
	if diff := cmp.Diff([]*fattorino.App{app}, apps, same); diff != "" {
		t.Errorf("apps (-want +got):\n%s", diff)
	}
	if tokens, err := b.Tokens(ctx, token.ID, 10); err != nil || len(tokens) != 0 {
		t.Errorf("tokens after the last = %v, %v", tokens, err)
	}
	if companies, err := b.Companies(ctx, 0, 10); err != nil || len(companies) != 1 {
		t.Errorf("companies = %v, %v; want one", companies, err)
	}
}

func testKeys(t *testing.T, b *bundle) {
	for i, kid := range []string{"old", "new"} {
		b.update(func(tx fattorino.Tx) error {
			k := &fattorino.Key{Name: "fic", KID: kid, Sealed: []byte(kid), CreatedAt: start.Add(time.Duration(i) * time.Hour)}
			if err := tx.PutKey(k); err != nil {
				return err
			}
			return tx.RetireKeys("fic", kid, k.CreatedAt)
		})
	}
	b.reopen(b)
	keys, err := b.Keys(ctx, "fic")
	b.must(err)
	want := []*fattorino.Key{
		{Name: "fic", KID: "new", Sealed: []byte("new"), CreatedAt: start.Add(time.Hour)},
		{Name: "fic", KID: "old", Sealed: []byte("old"), CreatedAt: start, RetiredAt: start.Add(time.Hour)},
	}
	if diff := cmp.Diff(want, keys, same); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	// Sealed anew, a key is otherwise as it was.
	b.update(func(tx fattorino.Tx) error { return tx.ResealKey("old", []byte("old, sealed anew")) })
	want[1].Sealed = []byte("old, sealed anew")
	keys, err = b.Keys(ctx, "fic")
	b.must(err)
	if diff := cmp.Diff(want, keys, same); diff != "" {
		t.Errorf("keys, one sealed anew (-want +got):\n%s", diff)
	}
	if others, err := b.Keys(ctx, "other"); err != nil || len(others) != 0 {
		t.Errorf("keys of another name = %v, %v", others, err)
	}
}

func testCount(t *testing.T, b *bundle) {
	count := func(name string, window time.Time) int64 {
		c := &fattorino.Counter{Name: name, Window: window}
		b.update(func(tx fattorino.Tx) error { return tx.Count(c) })
		return c.Count
	}
	got := []int64{count("a", start), count("a", start), count("b", start)}
	b.reopen(b)
	got = append(got, count("a", start), count("a", start.Add(time.Hour)), count("a", start.Add(time.Hour)))
	if want := []int64{1, 2, 1, 3, 1, 2}; !cmp.Equal(got, want) {
		t.Errorf("counts = %v, want %v", got, want)
	}
}

// Several are counted together, each for itself, and read as they are.
func testCountTogether(t *testing.T, b *bundle) {
	later := start.Add(time.Hour)
	for _, x := range []struct {
		counters []*fattorino.Counter
		want     []int64
	}{
		{[]*fattorino.Counter{{Name: "c", Window: start}, {Name: "a", Window: start}}, []int64{1, 1}},
		{[]*fattorino.Counter{{Name: "b", Window: start}, {Name: "c", Window: start}, {Name: "a", Window: later}}, []int64{1, 2, 1}},
	} {
		b.update(func(tx fattorino.Tx) error { return tx.Count(x.counters...) })
		for i, c := range x.counters {
			if c.Count != x.want[i] {
				t.Errorf("%s = %d, want %d", c.Name, c.Count, x.want[i])
			}
		}
	}
	b.update(func(tx fattorino.Tx) error {
		// What is counted in a transaction is read in it.
		if err := tx.Count(&fattorino.Counter{Name: "b", Window: start}); err != nil {
			return err
		}
		got, err := tx.Counters("a", "b", "unknown")
		slices.SortFunc(got, func(x, y fattorino.Counter) int { return strings.Compare(x.Name, y.Name) })
		want := []fattorino.Counter{{Name: "a", Window: later, Count: 1}, {Name: "b", Window: start, Count: 2}}
		if !slices.EqualFunc(got, want, func(x, y fattorino.Counter) bool {
			return x.Name == y.Name && x.Window.Equal(y.Window) && x.Count == y.Count
		}) {
			t.Errorf("read %v, %v; want %v", got, err, want)
		}
		return err
	})
}

func testUpdateRollsBack(t *testing.T, b *bundle) {
	refusal := fattorino.Errorf(fattorino.Conflict, "no")
	err := b.Update(ctx, func(tx fattorino.Tx) error {
		if err := tx.EnsureCompany(7, start); err != nil {
			return err
		}
		if _, err := tx.PutPrivate(&fattorino.Event{ID: "w", Source: "s", Type: "t", Company: 7, Accepted: start}, 1); err != nil {
			return err
		}
		return refusal
	})
	if fattorino.AsError(err) != refusal {
		t.Errorf("error = %v, want the one that the function returned", err)
	}
	if _, err := b.Company(ctx, 7); fattorino.KindOf(err) != fattorino.NotFound {
		t.Errorf("company after a failed update: %v, want NotFound", err)
	}
	if _, err := b.Delivery(ctx, 1); fattorino.KindOf(err) != fattorino.NotFound {
		t.Errorf("delivery after a failed update: %v, want NotFound", err)
	}
}

func testPrune(t *testing.T, b *bundle) {
	sub := b.subscribe(7, 1)
	p := b.publish(start, []int64{sub.ID}, invoice(7, "a", 1), invoice(7, "pending", 2), invoice(7, "c", 3))
	b.publish(start.Add(time.Hour+b.retentionStep), nil, invoice(7, "new", 4))
	for _, i := range []int{0, 2} {
		b.must(b.Commit(ctx, &fattorino.Batch{Now: start, Outcomes: []fattorino.Outcome{{
			Delivery: &fattorino.Delivery{ID: p.First[i], Subscription: sub.ID, Event: p.Events[i], State: fattorino.Delivered, SettledAt: start},
			Attempt:  &fattorino.Attempt{Delivery: p.First[i], Number: 1, StartedAt: start, Request: fattorino.Request{Method: "POST"}},
		}}}))
	}
	total, after := 0, int64(0)
	for steps := 0; ; steps++ {
		var n int
		b.update(func(tx fattorino.Tx) (err error) {
			after, n, err = tx.Prune(start.Add(time.Minute+b.retentionStep), after, 2)
			return err
		})
		if total += n; after == 0 {
			if steps != 2 {
				t.Errorf("%d steps of 2 for 3 events, want 2", steps)
			}
			break
		}
	}
	if total != 2 {
		t.Errorf("pruned %d, want 2", total)
	}
	var left []string
	for _, e := range b.events(fattorino.EventQuery{Company: 7}) {
		left = append(left, e.ID)
	}
	if !cmp.Equal(left, []string{"pending", "new"}) {
		t.Errorf("left = %v, want what is pending and what is new", left)
	}
	if attempts, err := b.Attempts(ctx, p.First[0]); err != nil || len(attempts) != 0 {
		t.Errorf("attempts of a pruned event = %v, %v", attempts, err)
	}
	// Even with everything gone, what comes next gets new ids and the next seq.
	b.must(b.Commit(ctx, &fattorino.Batch{Now: start, Outcomes: []fattorino.Outcome{{
		Delivery: &fattorino.Delivery{ID: p.First[1], Subscription: sub.ID, Event: p.Events[1], State: fattorino.Delivered, SettledAt: start},
	}}}))
	b.update(func(tx fattorino.Tx) error {
		_, _, err := tx.Prune(start.Add(24*time.Hour+b.retentionStep), 0, 100)
		return err
	})
	b.reopen(b)
	next := b.publish(start.Add(48*time.Hour+b.retentionStep), []int64{sub.ID}, invoice(7, "z", 9))
	if next.Events[0].Seq != 5 || next.First[0] <= p.First[2] || next.Events[0].Key <= p.Events[2].Key {
		t.Errorf("after pruning all: seq %d, delivery %d, key %d; want greater than before", next.Events[0].Seq, next.First[0], next.Events[0].Key)
	}
}
