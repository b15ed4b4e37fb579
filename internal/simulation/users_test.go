package simulation_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Users are publishers and integrators. What each does, and when, hangs on the
// seed alone; what comes of it on everything.
const (
	publishers   = 2
	publishes    = 9 // requests of each
	integrators  = 2
	firsts       = 3 // subscriptions of each before its changes
	changes      = 8 // of each
	rotations    = 3 // of the key that signs
	companies    = 2
	longestPause = 40 * time.Second
)

// play has all users do what they do, and returns when they have done it.
func (w *world) play() {
	var users sync.WaitGroup
	for i := range integrators {
		users.Go(func() { w.integrate(i) })
	}
	for p := range publishers {
		users.Go(func() { w.publishAll(p) })
	}
	users.Go(w.operate)
	users.Wait()
}

// pause waits between two acts of a user: most of the time a little.
func (w *world) pause(who string, of ...any) {
	switch w.chance.draw(20, "pause "+who, of...) {
	case 0:
		pass(w.chance.between(time.Minute, 3*time.Hour, "long pause "+who, of...))
	case 1:
		if w.chance.oneIn(12, "days", 0) { // in some seeds
			pass(w.chance.between(2*24*time.Hour, 6*24*time.Hour, "days "+who, of...))
		}
	case 2, 3, 4, 5:
	default:
		pass(w.chance.between(0, longestPause, "pause time "+who, of...))
	}
}

// event makes event j of request i of publisher p. Of one event there are
// variants that contradict each other.
func (w *world) event(p, i, j, variant int) *fattorino.Event {
	n := p*10_000 + i*100 + j + 1
	of := []any{p, i, j}
	company := 1 + w.chance.draw(companies, "company", of...)
	typ := pick(w.chance, publishedTypes(), "type", of...).name
	about := pick(w.chance, []string{"1", "2", "3", "3", "A7"}, "entity", of...)
	ref := fmt.Sprintf("00000000-0000-4000-8000-%012d", n)
	data := fmt.Sprintf(`{"ref":%q,"id":%q,"total":%d,"variant":%d}`, ref, about, w.chance.draw(100, "total", of...), variant)
	return &fattorino.Event{
		ID: ref, Source: "/erp", Type: typ, Subject: fmt.Sprintf("company:%d", company),
		DataContentType: "application/json", Form: fattorino.JSONData, Data: []byte(data),
		Extensions: map[string]any{"entity": "invoice/" + about},
	}
}

// publishAll publishes: events alone and together, again, and under ids that
// were used before.
func (w *world) publishAll(p int) {
	for i := range publishes {
		w.pause("publisher", p, i)
		w.publishOne(p, i)
	}
}

func (w *world) publishOne(p, i int) {
	size := 1
	if w.chance.oneIn(3, "several", p, i) {
		size = 2 + w.chance.draw(6, "size", p, i)
	}
	variant := w.chance.draw(2, "contradicts", p, i)
	repeat := i > 0 && w.chance.oneIn(4, "repeats", p, i)
	request := func() []*fattorino.Event {
		var events []*fattorino.Event
		for j := range size {
			events = append(events, w.event(p, i, j, 0))
		}
		if repeat { // an earlier event, the same or another under its id
			events = append(events, w.event(p, w.chance.draw(i, "which", p, i), 0, variant))
		}
		return events
	}
	for try := range 1 + w.chance.draw(6, "patience", p, i) {
		if w.publish(request()) {
			return
		}
		pass(w.chance.between(0, 8*time.Second, "again", p, i, try))
	}
}

// publish publishes the events and tells whether that is settled.
func (w *world) publish(events []*fattorino.Event) (settled bool) {
	w.call(func(l *life) {
		receipts, err := l.service.Publish(context.Background(), w.kit.admin, events)
		r := &receipt{events: events, err: err}
		for _, got := range receipts {
			r.seqs = append(r.seqs, got.Seq)
		}
		l.history.add(l, r)
		settled = err == nil || fattorino.KindOf(err) == fattorino.Conflict
	})
	return settled
}

// integrate makes subscriptions and changes them.
func (w *world) integrate(i int) {
	var own []*fattorino.Subscription
	for k := range firsts {
		if s := w.subscribe(i, k); s != nil {
			own = append(own, s)
		}
	}
	for k := range changes {
		w.pause("integrator", i, k)
		if len(own) == 0 || w.chance.oneIn(8, "another", i, k) {
			if s := w.subscribe(i, firsts+k); s != nil {
				own = append(own, s)
			}
			continue
		}
		s := pick(w.chance, own, "own", i, k)
		if w.chance.oneIn(8, "verifies", i, k) {
			w.verify(s, i, k)
			continue
		}
		if w.chance.oneIn(12, "removes", i, k) {
			w.removeFor(s, i, k)
			continue
		}
		w.call(func(l *life) { w.change(l, s, i, k) })
	}
}

// subscribe makes a subscription: until it is made, for want of one nothing
// happens.
func (w *world) subscribe(i, k int) *fattorino.Subscription {
	n := w.wish(i, k)
	caller := &fattorino.Token{Kind: fattorino.APIToken, App: w.kit.apps[i*(firsts+changes)+k], Scopes: []string{"*"}}
	for try := range 8 {
		n.Sink = w.sink(i, k, 10+try) // what failed may be there all the same
		var s *fattorino.Subscription
		w.call(func(l *life) {
			var err error
			if s, _, err = l.service.Subscribe(context.Background(), caller, n); err != nil {
				s = nil
				l.history.add(l, note(fmt.Sprintf("subscribing to %s failed: %v", n.Sink, err)))
			}
		})
		if s != nil {
			w.own(n.Sink, s)
			return s
		}
		pass(w.chance.between(time.Second, 20*time.Second, "subscribe again", i, k))
	}
	return nil
}

// wish draws a subscription.
func (w *world) wish(i, k int) fattorino.NewSubscription {
	of := []any{i, k}
	n := fattorino.NewSubscription{
		Company: int64(1 + w.chance.draw(companies, "of company", of...)), Method: fattorino.ByHeader,
	}
	switch w.chance.draw(10, "contract", of...) {
	case 0, 1, 2:
		n.Contract, n.Format = "fic", pick(w.chance, []fattorino.Format{fattorino.Binary, fattorino.Structured}, "format", of...)
		n.Types = []string{
			ficPrefix + "issued_documents.invoices.create", ficPrefix + "issued_documents.invoices.delete",
			ficPrefix + "issued_documents.invoices.update", ficPrefix + "entities.clients.update",
		}[w.chance.draw(2, "types", of...):]
	case 3:
		n.Contract, n.Types = "defacto", []string{"Invoice.DELETED", "Invoice.VERIFIED"}
	case 4:
		n.Contract, n.Types, n.Secrets = "facturascripts", []string{"invoice.created", "invoice.paid", "invoice.deleted"}, w.secret(of...)
	default:
		n.Contract, n.Secrets = "native", w.secret(of...)
		n.Types = pick(w.chance, [][]string{{"*"}, {"*"}, {"invoice.*"}, {"invoice.paid", "customer.updated"}}, "types", of...)
		n.Filters = []byte(pick(w.chance, []string{"", "", "", filterPaid, filterLarge, filterNot}, "filters", of...))
		w.options(&n, of)
	}
	return n
}

// options draws what a native subscriber may choose.
func (w *world) options(n *fattorino.NewSubscription, of []any) {
	o := &n.Options
	n.Format = pick(w.chance, []fattorino.Format{fattorino.Binary, fattorino.Structured, fattorino.Standard, fattorino.Batched}, "format", of...)
	if n.Format == fattorino.Batched {
		o.BatchSize, o.BatchLinger = 1+w.chance.draw(5, "batch", of...), w.chance.between(time.Millisecond, 20*time.Second, "linger", of...)
	} else {
		o.Ordering = pick(w.chance, []fattorino.Ordering{fattorino.Unordered, fattorino.ByEntity, fattorino.ByEntity, fattorino.Latest, fattorino.Strict}, "ordering", of...)
	}
	o.Handshake = pick(w.chance, []string{"", "none", "none", "options", "options"}, "handshake", of...)
	if w.chance.oneIn(3, "schedule", of...) {
		o.Schedule = []time.Duration{2 * time.Second, 9 * time.Second, time.Minute}
	}
	if w.chance.oneIn(3, "concurrency", of...) {
		o.Concurrency = 1 + w.chance.draw(3, "at a time", of...)
	}
	if w.chance.oneIn(4, "timeout", of...) {
		o.Timeout = time.Second
	}
	if w.chance.oneIn(6, "rate", of...) {
		o.Rate = 30
	}
	if w.chance.oneIn(10, "ends", of...) {
		o.EndsAt = w.history.begun.Add(w.chance.between(time.Minute, 30*time.Minute, "ends at", of...))
	}
}

// secret draws the secret that a subscription begins with.
func (w *world) secret(of ...any) []fattorino.Secret {
	return []fattorino.Secret{pick(w.chance, w.kit.secrets, "secret", of...).Secret}
}

// own notes whose a sink is.
func (w *world) own(sink string, s *fattorino.Subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.owned[sink] = s
}

// sink gives the URL of a subscription's nth sink; some share a host.
func (w *world) sink(i, k, n int) string {
	return fmt.Sprintf("https://h%d.example/in/%d-%d-%d", w.chance.draw(4, "host", i, k, n), i, k, n)
}

// verify has the sink challenged again until it is proved or lost.
func (w *world) verify(s *fattorino.Subscription, i, k int) {
	over := false
	for try := range 12 {
		w.call(func(l *life) {
			_, err := l.service.VerifySubscription(context.Background(), w.kit.admin, s.Company, s.Contract, s.ID, fattorino.ByHeader)
			w.ack(l, s.ID, "challenged", err, func(*fattorino.Subscription) bool { return true })
			kind := fattorino.KindOf(err)
			over = err != nil && (kind == fattorino.Conflict || kind == fattorino.NotFound)
		})
		if over {
			return
		}
		pass(w.chance.between(time.Second, 11*time.Minute, "verify again", i, k, try))
	}
}

// resend sets a settled delivery of the subscription on its way again.
func (w *world) resend(l *life, s *fattorino.Subscription, i, k int) {
	page, err := l.service.Deliveries(context.Background(), w.kit.admin, s.Company, fattorino.DeliveryQuery{Subscriptions: []int64{s.ID}, Limit: 20})
	if err != nil || len(page) == 0 {
		return
	}
	d := pick(w.chance, page, "which delivery", i, k)
	_, err = l.service.Resend(context.Background(), w.kit.admin, s.Company, d.ID)
	w.ack(l, s.ID, fmt.Sprintf("delivery %d set again", d.ID), err, func(*fattorino.Subscription) bool { return true })
}

func (w *world) ack(l *life, id int64, what string, err error, holds func(*fattorino.Subscription) bool) {
	if err != nil {
		l.history.add(l, note(fmt.Sprintf("subscription %d was not %s: %v", id, what, err)))
		return
	}
	l.history.add(l, &acked{id, what, holds})
}

// settling is longer than any wait between two attempts, by a clock that may
// have been set in between.
const settling = 14 * time.Hour

// settle lets everything come to an end: the sinks are well, disabled
// subscriptions are mostly enabled.
func (w *world) settle(l *life) {
	w.sinks.healed.Store(true)
	for _, company := range []int64{1, 2} {
		all, err := l.service.Subscriptions(context.Background(), w.kit.admin, company, "")
		if err != nil {
			w.Fatal(err)
		}
		for _, s := range all {
			if s.State == fattorino.Disabled && !w.chance.oneIn(4, "stays disabled", s.ID) {
				if _, _, err := l.service.ModifySubscription(context.Background(), w.kit.admin, company, s.Contract, s.ID, fattorino.SubscriptionChange{Enabled: new(true)}); err != nil {
					w.Errorf("enable: %v", err)
				}
			}
		}
	}
	pass(settling)
}
