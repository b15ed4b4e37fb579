package simulation_test

import (
	"slices"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// grain is what a time loses in the store.
const grain = time.Microsecond

// arrive holds a request to what may be sent by now.
func (c *checker) arrive(a *arrived) {
	s := c.bySink[a.url]
	if s == nil {
		c.violate([]string{a.url}, "a request came to %s, which is no sink of a subscription in the store", a.url)
		return
	}
	if a.challenge {
		if s.State.Gone() && !c.doomed && !s.UpdatedAt.Equal(c.entry.at) {
			c.violate(s.about(), "subscription %d is %s, and its sink was challenged", s.ID, s.State)
		}
		return
	}
	c.mayCall(s, a)
	if len(a.refs) == 0 {
		c.violate(s.about(), "a notification to %s tells of nothing", a.url)
	}
	s.inFlight++
	for _, ref := range a.refs {
		d := s.delivery(ref)
		if d == nil {
			c.violate(s.about(), "event %s was sent to subscription %d, and the store has no delivery of it", short(ref), s.ID)
			continue
		}
		c.mayAttempt(d)
		x := &exchange{arrived: a, of: d, at: c.entry.at, life: c.entry.life}
		d.attempts = append(d.attempts, x)
		c.open[x] = true
	}
}

// delivery gives that of the event: the last, for an id may be used again once
// its event is past its retention.
func (s *subscription) delivery(ref string) *delivery {
	for _, d := range slices.Backward(s.deliveries) {
		if d.Event.ID == ref {
			return d
		}
	}
	return nil
}

// mayCall holds a notification to the state of its subscription. What changed
// at this very instant may not have been in force when it went out.
func (c *checker) mayCall(s *subscription, a *arrived) {
	now := c.entry.at
	if c.doomed {
		return
	}
	if s.State != fattorino.Active && !s.activeTo.Equal(now) {
		c.violate(s.about(), "subscription %d is %s, and was notified", s.ID, s.State)
	}
	if s.Sink != a.url && !s.left[a.url].Equal(now) {
		c.violate(s.about(), "subscription %d has moved, and its old sink was notified", s.ID)
	}
	if proofs(s.Subscription) > 0 && !s.proved[a.url] && s.Sink == a.url {
		c.violate(s.about(), "a sink of subscription %d was notified that has proved nothing", s.ID)
	}
	if now.After(s.restFrom) && now.Before(s.restTo) {
		c.violate(s.about(), "the sink of subscription %d was called %v before it wanted to be", s.ID, s.restTo.Sub(now))
	}
	most := c.life.lane
	if chosen := s.Options.Concurrency; chosen > 0 {
		most = min(most, chosen)
	}
	if s.inFlight >= most {
		c.violate(s.about(), "subscription %d has %d attempts in flight, %d are allowed", s.ID, s.inFlight+1, most)
	}
	if s.pace.perMinute > 0 {
		c.kit.met.add("paced")
	}
	if !now.Equal(s.changedAt) && !s.pace.spend(now) {
		c.violate(s.about(), "subscription %d was notified faster than %d times a minute", s.ID, s.pace.perMinute)
	}
	c.maySign(s, a)
}

// mayAttempt holds an attempt to what has become of its delivery.
func (c *checker) mayAttempt(d *delivery) {
	if c.doomed {
		return
	}
	if d.State == fattorino.Delivered || d.State == fattorino.Discarded {
		c.violate(d.about(), "delivery %d was attempted after it was %s", d.ID, d.State)
	}
	if early := d.DueAt.Sub(c.entry.at); early > grain {
		c.violate(d.about(), "delivery %d was attempted %v before it is due", d.ID, early)
	}
	for _, x := range d.attempts {
		if c.open[x] {
			c.violate(d.about(), "delivery %d was attempted again before its last attempt was written", d.ID)
		}
	}
	for _, before := range d.sub.deliveries {
		if before.ID < d.ID && before.orderedWith(d) && !before.resent && !d.resent &&
			before.State != fattorino.Delivered && before.State != fattorino.Discarded {
			c.violate(d.about(), "delivery %d of %s was attempted while delivery %d of the same is %s", d.ID, d.Event.Entity, before.ID, before.State)
			return
		}
	}
}

// superseded tells whether the subscription wants the latest alone, and has
// something newer about the entity.
func (d *delivery) superseded() bool {
	return d.sub.Options.Ordering == fattorino.Latest && slices.ContainsFunc(d.sub.deliveries, func(o *delivery) bool {
		return o.ID > d.ID && o.orderedWith(d)
	})
}

// orderedWith tells whether one of two deliveries of a subscription has to wait
// for the other.
func (d *delivery) orderedWith(o *delivery) bool {
	switch d.sub.Options.Ordering {
	case fattorino.Strict:
		return true
	case fattorino.Latest:
		if d.Event.Private() || o.Event.Private() {
			return false // a test is no state of anything
		}
		fallthrough
	case fattorino.ByEntity:
		entity := d.Event.Entity.String()
		return entity != "" && entity == o.Event.Entity.String()
	}
	return false
}

func (c *checker) answer(a *answered) {
	s := c.bySink[a.arrival.url]
	if s == nil {
		return // told already
	}
	if a.arrival.challenge {
		switch {
		case a.proof:
			if s.Options.Handshake == "options" {
				c.kit.met.add("consent at once")
			}
			s.proved[a.arrival.url] = true
			s.granted[a.arrival.url] = append(s.granted[a.arrival.url], a.rate)
		case !a.later:
			s.failed[a.arrival.url]++
		}
		return
	}
	s.inFlight--
	for x := range c.open {
		if x.arrived != a.arrival {
			continue
		}
		x.answered, x.ended = a, c.entry.at
		if a.cut {
			delete(c.open, x)
		}
	}
	if wait := asked(s.Contract, a.answer, c.entry.at); wait > 0 && s.Sink == a.arrival.url {
		s.restFrom, s.restTo = c.entry.at, c.entry.at.Add(wait)
	}
}

// takeOutcomes holds what a batch says of deliveries and subscriptions to what
// the answers mean, one after the other.
func (c *checker) takeOutcomes(b *committed) {
	after := map[int64]*fattorino.Subscription{}
	for _, o := range b.outcomes {
		d := c.deliveries[o.Delivery.ID]
		c.kit.met.add(strings.TrimSpace(o.Delivery.State.String() + " " + string(o.Delivery.Reason)))
		if d == nil || d.kept.pruned {
			c.violate(nil, "an outcome was written for delivery %d, which there is not", o.Delivery.ID)
			continue
		}
		if o.Attempt == nil {
			c.unattempted(d, o.Delivery)
			d.Delivery = *o.Delivery
			continue
		}
		s := after[d.sub.ID]
		if s == nil {
			s = d.sub.Clone()
		}
		c.attempted(d, o, s)
		d.Delivery = *o.Delivery
		after[d.sub.ID] = s
	}
	c.sameSubscriptions(b, after)
}

// sameSubscriptions compares the subscriptions that a batch changed with what
// they are to be.
func (c *checker) sameSubscriptions(b *committed, after map[int64]*fattorino.Subscription) {
	for id, want := range after {
		s := c.subscriptions[id]
		got := s.Subscription
		for _, changed := range b.changed {
			if changed.ID == id {
				got = changed
			}
		}
		if got.State != want.State || !near(got.ExpiresAt, want.ExpiresAt) || !near(got.FirstErrorAt, want.FirstErrorAt) {
			c.violate(s.about(), "subscription %d is %s and expires %v; it is to be %s and to expire %v", id, got.State, got.ExpiresAt, want.State, want.ExpiresAt)
		}
	}
	for _, s := range b.changed {
		if after[s.ID] == nil {
			c.violate(c.subscriptions[s.ID].about(), "subscription %d was changed without an attempt", s.ID)
		}
		c.replace(c.subscriptions[s.ID], s)
	}
}

// near tells whether two times are the same but for the store's grain.
func near(a, b time.Time) bool {
	return a.IsZero() == b.IsZero() && a.Sub(b).Abs() <= grain
}

// unattempted holds an outcome without an attempt to its reason.
func (c *checker) unattempted(d *delivery, got *fattorino.Delivery) {
	switch {
	case got.State == fattorino.Waiting:
		// What it waits for may have been settled in the same batch. One that is
		// sent again after it had failed may meet the look-up of who comes after it.
		if d.resent && len(d.attempts) > 1 || slices.ContainsFunc(d.sub.deliveries, func(o *delivery) bool { return o != d && o.orderedWith(d) }) {
			return
		}
		c.violate(d.about(), "delivery %d waits, and there is none that it waits for", d.ID)
	case got.State == fattorino.Discarded && got.Reason == fattorino.SinkGone && d.sub.State.Gone() && !maybeBack(d.sub.Subscription):
	case got.State == fattorino.Discarded && got.Reason == fattorino.Superseded && d.superseded():
	case got.State == fattorino.Discarded && got.Reason == fattorino.Unfit && unfit(d.sub.Subscription, d.Event):
	default:
		c.violate(d.about(), "delivery %d was made %s (%s) without an attempt", d.ID, got.State, got.Reason)
	}
}

// attempted holds an outcome to the answer that the sink gave. It changes s as
// the answer does.
func (c *checker) attempted(d *delivery, o fattorino.Outcome, s *fattorino.Subscription) {
	x := c.exchangeOf(d, o.Attempt)
	if x == nil {
		c.violate(d.about(), "attempt %d of delivery %d was written, and no sink has seen it", o.Attempt.Number, d.ID)
		return
	}
	if x.answered.cut {
		c.violate(d.about(), "attempt %d of delivery %d was cut off by the stop of the program, and counts", o.Attempt.Number, d.ID)
	}
	x.recorded, x.written = true, c.entry.at
	delete(c.open, x)
	got := o.Delivery
	if o.Attempt.Number != d.Attempts+1 || got.Attempts != d.Attempts+1 {
		c.violate(d.about(), "attempt %d of delivery %d was written as attempt %d of %d", d.Attempts+1, d.ID, o.Attempt.Number, got.Attempts)
	}
	want := expect(s, &d.Delivery, x)
	settled := want.State != fattorino.Pending
	switch {
	case got.State != want.State || got.Reason != want.Reason || got.Tries != want.Tries || got.Status != x.answered.answer.Status:
		c.violate(d.about(), "delivery %d is %s (%s) with %d tries; after %v it is to be %s (%s) with %d", d.ID, got.State, got.Reason, got.Tries, x.answered, want.State, want.Reason, want.Tries)
	case settled && (got.SettledAt.Before(x.ended.Add(-grain)) || got.SettledAt.After(c.entry.at)):
		c.violate(d.about(), "delivery %d was settled at %v; it was answered at %v and written at %v", d.ID, got.SettledAt, x.ended, c.entry.at)
	case !settled && (got.DueAt.Before(want.earliest.Add(-grain)) || got.DueAt.After(want.latest.Add(grain))):
		c.violate(d.about(), "delivery %d is due at %v; it is to be due between %v and %v", d.ID, got.DueAt, want.earliest, want.latest)
	case !near(got.FirstErrorAt, want.FirstErrorAt):
		c.violate(d.about(), "delivery %d first failed at %v; it is to have failed first at %v", d.ID, got.FirstErrorAt, want.FirstErrorAt)
	}
}

func (c *checker) exchangeOf(d *delivery, a *fattorino.Attempt) *exchange {
	for _, x := range d.attempts {
		if x.life == c.entry.life && !x.recorded && x.answered != nil && x.at.Equal(a.StartedAt) && x.answered.answer.Status == a.Answer.Status {
			return x
		}
	}
	return nil
}

// An expectation is a delivery as it is to be, due in a window for its jitter.
type expectation struct {
	fattorino.Delivery
	earliest, latest time.Time
}

// expect works out what an answer makes of a delivery, and, in s, of its
// subscription (docs/states.md).
func expect(s *fattorino.Subscription, before *fattorino.Delivery, x *exchange) expectation {
	e := expectation{Delivery: *before}
	e.State = fattorino.Pending
	meant, gone := meaningOf(s.Contract, x.answered.answer), s.State.Gone()
	if moved := s.Sink != x.url && !gone; moved || maybeBack(s) {
		e.earliest, e.latest = x.ended, x.ended
		if meant == well {
			e.State = fattorino.Delivered
		}
		return e
	}
	e.Tries++
	if meant == well {
		e.State = fattorino.Delivered
		if !gone {
			s.ExpiresAt, s.FirstErrorAt = time.Time{}, time.Time{}
		}
		return e
	}
	if e.FirstErrorAt.IsZero() {
		e.FirstErrorAt = x.ended
	}
	switch {
	case gone:
	case meant == over:
		s.State = fattorino.GoneByAnswer
	case !s.ExpiresAt.IsZero() && x.ended.After(s.ExpiresAt):
		s.State = fattorino.Expired
	}
	if s.State.Gone() {
		e.State, e.Reason = fattorino.Discarded, fattorino.SinkGone
		return e
	}
	if schedule := waits(s); meant == again && e.Tries <= len(schedule) {
		wait, least := schedule[e.Tries-1], asked(s.Contract, x.answered.answer, x.ended)
		e.earliest, e.latest = x.ended.Add(max(wait*9/10, least)), x.ended.Add(max(wait*11/10, least))
		return e
	}
	e.State, e.Reason = fattorino.Discarded, fattorino.Exhausted
	if meant == final {
		e.Reason = fattorino.Refused
	}
	if expires := expiry(s.Contract); expires > 0 && !before.Event.Private() && s.ExpiresAt.IsZero() {
		s.FirstErrorAt, s.ExpiresAt = e.FirstErrorAt, e.FirstErrorAt.Add(expires)
	}
	return e
}
