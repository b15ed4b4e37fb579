package sqlite_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// A randomLog is the log of one company in the store, and what it should hold.
type randomLog struct {
	*sqlite.Store
	t             *rapid.T
	company       int64
	subscriptions []int64
	deliveries    []*fattorino.Delivery // in the order of their ids
	events        []*fattorino.Event    // in the order of Seq, without private ones
	attempted     map[int64]time.Time
	prunedBefore  time.Time
}

// TestDeliveriesAreThoseOfANaiveFilter pages through random logs by random
// queries.
func TestDeliveriesAreThoseOfANaiveFilter(t *testing.T) {
	t.Parallel()
	s := open(t, sqlite.Options{Dir: t.TempDir()})
	defer s.Close() //nolint:errcheck // the test is over
	clock, company := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), int64(0)
	rapid.Check(t, func(t *rapid.T) {
		// Given a log beside those of the checks before,
		company++
		l := &randomLog{Store: s, t: t, company: company, attempted: map[int64]time.Time{}}
		l.subscribe(rapid.IntRange(1, 7).Draw(t, "subscriptions"))
		began := clock
		for range rapid.IntRange(1, 3).Draw(t, "commits") {
			clock = clock.Add(time.Minute)
			l.publish(clock)
			l.settle(clock)
			l.resend(clock)
			if rapid.IntRange(0, 3).Draw(t, "prune") == 0 {
				l.prune(began.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "minutes")) * time.Minute))
			}
		}
		l.checkEach()
		if rapid.Bool().Draw(t, "listed") {
			l.fill(clock)
		}
		l.checkEvents()
		for range 5 {
			// when a query is answered page by page,
			q := l.query(began, clock)
			var got []string
			for page := q; ; {
				answer, err := s.Deliveries(context.Background(), page)
				if err != nil {
					t.Fatal(err)
				}
				var ids []int64
				for _, d := range answer {
					got, ids = append(got, describe(d)), append(ids, d.ID)
				}
				l.checkEachWay(page, ids)
				if len(answer) < page.Limit {
					break
				}
				page.Before = answer[len(answer)-1].ID
			}
			// then it has every delivery asked for once, newest first.
			if diff := cmp.Diff(l.naive(q), got); diff != "" {
				t.Fatalf("%+v (-want +got):\n%s", q, diff)
			}
		}
	})
}

// checkEvents asks for the company's events of some types, page by page.
func (l *randomLog) checkEvents() {
	l.t.Helper()
	q := fattorino.EventQuery{Company: l.company, Limit: rapid.IntRange(1, 40).Draw(l.t, "limit of events")}
	q.Types = rapid.SliceOfNDistinct(rapid.SampledFrom(logTypes), 1, 3, rapid.ID).Draw(l.t, "types of events")
	var want, got []int64
	for _, e := range l.events {
		if slices.Contains(q.Types, e.Type) || slices.Contains(q.Types, e.Common) {
			want = append(want, e.Seq)
		}
	}
	for more := true; more; {
		page, err := l.Events(context.Background(), q)
		l.must(err)
		for _, e := range page {
			if e.Seq <= q.After {
				l.t.Fatalf("event %d after %d", e.Seq, q.After)
			}
			got = append(got, e.Seq)
			q.After = e.Seq
		}
		more = len(page) == q.Limit
	}
	if !slices.Equal(got, want) {
		l.t.Fatalf("events of %v by %d: %v, want %v", q.Types, q.Limit, got, want)
	}
}

// checkEachWay looks whether every way to the page leads there.
func (l *randomLog) checkEachWay(q fattorino.DeliveryQuery, want []int64) {
	l.t.Helper()
	ways, err := l.EachWay(context.Background(), q)
	l.must(err)
	for i, got := range ways {
		if !slices.Equal(got, want) {
			l.t.Fatalf("%+v, way %d of %d: %v, want %v", q, i+1, len(ways), got, want)
		}
	}
}

// fill publishes events of another company until those before are listed.
func (l *randomLog) fill(at time.Time) {
	p := &fattorino.Publish{Targets: make([][]int64, 512)}
	for i := range p.Targets {
		p.Events = append(p.Events, &fattorino.Event{ID: fmt.Sprint("fill", i, at.Unix()), Source: "/", Type: "own", Company: 1 << 40})
	}
	l.must(l.Commit(context.Background(), &fattorino.Batch{Now: at, Publishes: []*fattorino.Publish{p}}))
}

func describe(d *fattorino.Delivery) string {
	return fmt.Sprintf("%d: %s to %d, %s", d.ID, d.Event.ID, d.Subscription, d.State)
}

func (l *randomLog) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *randomLog) subscribe(n int) {
	l.must(l.Update(context.Background(), func(tx fattorino.Tx) error {
		for range n {
			sub := &fattorino.Subscription{Company: l.company, App: 1, Contract: "native", State: fattorino.Active}
			if err := tx.PutSubscription(sub); err != nil {
				return err
			}
			l.subscriptions = append(l.subscriptions, sub.ID)
		}
		return nil
	}))
}

// What the events of a random log are of. A type may have been linked to a
// common name after its first events.
var (
	logKinds = [][2]string{{"fic.invoices.create", "invoice.created"}, {"fic.invoices.create", ""}, {"invoice.created", "invoice.created"}, {"invoice.paid", "invoice.paid"}, {"own", ""}}
	logTypes = []string{"fic.invoices.create", "invoice.created", "invoice.paid", "own", "unknown"}
	logAbout = []string{"", "invoice/1", "invoice/12", "invoice/1,2", "invoice/2,1,2", "customer/1", "a,b/1", "a,b/1,2"}
	logAsked = []string{"invoice/1", "invoice/12", "invoice/2", "customer/1", "a,b/1", "a,b/2", "b/1"}
)

// publish writes events in one commit, some of them private ones.
func (l *randomLog) publish(at time.Time) {
	p := &fattorino.Publish{}
	for range rapid.IntRange(0, 30).Draw(l.t, "events") {
		kind := rapid.SampledFrom(logKinds).Draw(l.t, "kind")
		e := &fattorino.Event{ID: fmt.Sprint(len(p.Events), at.Unix()), Source: "/erp", Company: l.company, Type: kind[0], Common: kind[1], Accepted: at}
		if about := rapid.SampledFrom(logAbout).Draw(l.t, "entity"); about != "" {
			entity, err := fattorino.ParseEntity(about)
			l.must(err)
			e.Entity = entity
		}
		hears := rapid.Uint8().Draw(l.t, "hears")
		var targets []int64
		for i, id := range l.subscriptions {
			if hears>>i&1 == 1 {
				targets = append(targets, id)
			}
		}
		p.Events, p.Targets = append(p.Events, e), append(p.Targets, targets)
	}
	l.must(l.Commit(context.Background(), &fattorino.Batch{Now: at, Publishes: []*fattorino.Publish{p}}))
	l.events = append(l.events, p.Events...)
	for i, e := range p.Events {
		for j, subscription := range p.Targets[i] {
			l.deliveries = append(l.deliveries, &fattorino.Delivery{ID: p.First[i] + int64(j), Subscription: subscription, Event: e})
		}
	}
	welcome := &fattorino.Event{ID: "welcome", Source: "/", Company: l.company, Type: "own", Accepted: at, Entity: fattorino.Entity{Type: "invoice", IDs: []string{"1", "2"}}}
	l.must(l.Update(context.Background(), func(tx fattorino.Tx) error {
		d, err := tx.PutPrivate(welcome, l.subscriptions[0])
		l.deliveries = append(l.deliveries, d)
		return err
	}))
}

// settle writes what became of some deliveries, and then how far the lanes have
// settled; the hint of some is an old one.
func (l *randomLog) settle(at time.Time) {
	b := &fattorino.Batch{Now: at}
	usual := rapid.IntRange(0, 5).Draw(l.t, "usual state")
	atOnce := func(d *fattorino.Delivery) {
		l.attempted[d.ID] = at
		d.State, d.WaitsFor, d.SettledAt, d.Attempts, d.Tries, d.Status = fattorino.Delivered, 0, at, 1, 1, 200
		b.Outcomes = append(b.Outcomes, fattorino.Outcome{Delivery: d, Attempt: &fattorino.Attempt{Delivery: d.ID, Number: 1, StartedAt: at}})
	}
	for _, d := range l.deliveries {
		if d.State == fattorino.Waiting && d.Attempts == 0 && rapid.Bool().Draw(l.t, "its turn") {
			atOnce(d)
		}
		if d.State != fattorino.Pending {
			continue
		}
		fate := usual
		if rapid.IntRange(0, 3).Draw(l.t, "unusual") == 0 {
			fate = rapid.IntRange(0, 5).Draw(l.t, "state")
		}
		switch fate {
		case 0:
			continue
		case 1:
			d.DueAt = at.Add(time.Hour)
		case 2:
			d.State, d.WaitsFor, d.DueAt = fattorino.Waiting, 7, time.Time{}
		case 3:
			fattorino.Discard(d, fattorino.Refused, at)
		case 4:
			if d.Attempts == 0 && d.DueAt.IsZero() {
				atOnce(d)
				continue
			}
			fallthrough
		default:
			d.State, d.SettledAt, d.DueAt = fattorino.Delivered, at, time.Time{}
		}
		b.Outcomes = append(b.Outcomes, fattorino.Outcome{Delivery: d})
	}
	for _, id := range l.subscriptions {
		settled := int64(0)
		for _, d := range l.deliveries {
			if d.Subscription != id {
				continue
			}
			if d.State == fattorino.Pending && d.DueAt.IsZero() {
				break
			}
			settled = d.ID
		}
		if settled > 0 && rapid.Bool().Draw(l.t, "hint") {
			b.Settled = append(b.Settled, fattorino.Settled{Subscription: id, Delivery: settled})
		}
	}
	l.must(l.Commit(context.Background(), b))
}

// resend sets some of what was settled on its way again.
func (l *randomLog) resend(at time.Time) {
	chosen := rapid.SliceOfN(rapid.IntRange(0, 9), len(l.deliveries), len(l.deliveries)).Draw(l.t, "resend")
	l.must(l.Update(context.Background(), func(tx fattorino.Tx) error {
		for i, d := range l.deliveries {
			if (d.State != fattorino.Delivered && d.State != fattorino.Discarded) || chosen[i] > 0 {
				continue
			}
			again := *d
			again.State, again.Reason, again.Tries, again.SettledAt, again.DueAt = fattorino.Pending, "", 0, time.Time{}, at
			l.deliveries[i] = &again
			if err := tx.PutDelivery(&again); err != nil {
				return err
			}
		}
		return nil
	}))
}

// prune deletes what was accepted before a time and is settled.
func (l *randomLog) prune(before time.Time) {
	if len(l.deliveries) == 0 {
		return
	}
	if before.After(l.prunedBefore) {
		l.prunedBefore = before
	}
	first := l.deliveries[0].Event.Key - 1 // what the checks before have left is left
	atATime := rapid.IntRange(20, 1000).Draw(l.t, "pruned at a time")
	l.must(l.Update(context.Background(), func(tx fattorino.Tx) error {
		for after, more := first, true; more; more = after > 0 {
			last, _, err := tx.Prune(before, after, atATime)
			if err != nil {
				return err
			}
			after = last
		}
		return nil
	}))
	kept := map[*fattorino.Event]bool{}
	for _, d := range l.deliveries {
		if d.State == fattorino.Pending || d.State == fattorino.Waiting {
			kept[d.Event] = true
		}
	}
	gone := func(e *fattorino.Event) bool { return e.Key > first && e.Accepted.Before(before) && !kept[e] }
	l.events = slices.DeleteFunc(l.events, gone)
	l.deliveries = slices.DeleteFunc(l.deliveries, func(d *fattorino.Delivery) bool {
		if !gone(d.Event) {
			return false
		}
		_, err := l.Delivery(context.Background(), d.ID)
		if fattorino.KindOf(err) != fattorino.NotFound {
			l.t.Fatalf("a delivery that was pruned: %v", err)
		}
		return true
	})
}

// checkEach looks at every delivery by itself, and at what is left to do.
func (l *randomLog) checkEach() {
	fresh := map[int64][]string{}
	for _, want := range l.deliveries {
		got, err := l.Delivery(context.Background(), want.ID)
		l.must(err)
		if want.State == fattorino.Pending && want.DueAt.IsZero() {
			fresh[want.Subscription] = append(fresh[want.Subscription], describe(want))
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(fattorino.Delivery{}, "Event"), cmpopts.EquateApproxTime(time.Microsecond)); diff != "" || got.Event.ID != want.Event.ID {
			l.t.Fatalf("delivery of %s, found that of %s (-want +got):\n%s", want.Event.ID, got.Event.ID, diff)
		}
		attempts, err := l.Attempts(context.Background(), want.ID)
		l.must(err)
		if attempted := l.attempted[want.ID]; attempted.Before(l.prunedBefore) {
			continue // the log of attempts goes with its time, also where another delivery of the event is pending
		}
		if len(attempts) != want.Attempts || (want.Attempts > 0 && attempts[0].Delivery != want.ID) {
			l.t.Fatalf("%s has %d attempts: %v", describe(want), want.Attempts, attempts)
		}
	}
	for _, id := range l.subscriptions {
		var got []string
		limit := rapid.IntRange(1, 40).Draw(l.t, "limit of fresh ones")
		for after, more := int64(0), true; more; {
			page, err := l.Fresh(context.Background(), id, after, limit)
			l.must(err)
			for _, d := range page {
				got, after = append(got, describe(d)), d.ID
			}
			more = len(page) == limit
		}
		if diff := cmp.Diff(fresh[id], got); diff != "" {
			l.t.Fatalf("never tried of subscription %d (-want +got):\n%s", id, diff)
		}
	}
}

func (l *randomLog) query(from, to time.Time) fattorino.DeliveryQuery {
	q := fattorino.DeliveryQuery{Limit: rapid.IntRange(1, 40).Draw(l.t, "limit"), Subscriptions: l.subscriptions}
	if rapid.Bool().Draw(l.t, "some") {
		q.Subscriptions = l.subscriptions[:rapid.IntRange(1, len(l.subscriptions)).Draw(l.t, "how many")]
	}
	if state := rapid.IntRange(-4, 3).Draw(l.t, "of state"); state >= 0 {
		of := fattorino.DeliveryState(state)
		q.State = &of
	}
	if rapid.Bool().Draw(l.t, "by type") {
		q.Types = rapid.SliceOfNDistinct(rapid.SampledFrom(logTypes), 1, 3, rapid.ID).Draw(l.t, "types")
	}
	if rapid.Bool().Draw(l.t, "by entity") {
		q.Entity = rapid.SampledFrom(logAsked).Draw(l.t, "about")
	}
	minutes := int(to.Sub(from)/time.Minute) + 1
	if rapid.IntRange(0, 3).Draw(l.t, "since") == 0 {
		q.From = from.Add(time.Duration(rapid.IntRange(0, minutes).Draw(l.t, "from")) * time.Minute)
	}
	if rapid.IntRange(0, 3).Draw(l.t, "until") == 0 {
		q.To = from.Add(time.Duration(rapid.IntRange(0, minutes).Draw(l.t, "to")) * time.Minute)
	}
	return q
}

// naive looks at every delivery.
func (l *randomLog) naive(q fattorino.DeliveryQuery) (found []string) {
	for _, d := range slices.Backward(l.deliveries) {
		e := d.Event
		typ, id, _ := strings.Cut(q.Entity, "/")
		switch {
		case !slices.Contains(q.Subscriptions, d.Subscription),
			q.State != nil && d.State != *q.State,
			len(q.Types) > 0 && !slices.Contains(q.Types, e.Type) && !slices.Contains(q.Types, e.Common),
			q.Entity != "" && (e.Entity.Type != typ || !slices.Contains(e.Entity.IDs, id)),
			!q.From.IsZero() && e.Accepted.Before(q.From),
			!q.To.IsZero() && !e.Accepted.Before(q.To):
			continue
		}
		found = append(found, describe(d))
	}
	return found
}
