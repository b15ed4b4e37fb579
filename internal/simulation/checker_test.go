package simulation_test

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A checker reads a history from its beginning and holds each thing that
// happened to what the rules allow by then.
type checker struct {
	history *history
	kit     *kit
	entry   entry // that is being read
	index   int

	subscriptions map[int64]*subscription
	bySink        map[string]*subscription
	deliveries    map[int64]*delivery
	events        map[string]*storedEvent // by id, of which each is of one company
	kept          []*kept                 // all of them, and private ones, in the order of their keys
	seqs          map[int64]int64         // last of each company
	keys          map[string]time.Time    // that sign for Fatture in Cloud, by id: when another took their place
	requests      map[string][]string     // first event of a request → all its new events
	open          map[*exchange]bool      // of this life, and not recorded
	life          *started
	doomed        bool // this life was told that something failed which is written
	prunedBefore  time.Time

	violations []violation
}

// A violation is a rule that was broken, and what it concerns.
type violation struct {
	index    int
	text     string
	concerns []string // texts that tell the lines of the history that belong to it
}

// A subscription as the store has it, and what its sinks have seen.
type subscription struct {
	*fattorino.Subscription
	activeTo  time.Time            // when it was last active
	left      map[string]time.Time // when it left a sink
	changedAt time.Time            // when it was last changed
	proved    map[string]bool      // sinks that have answered a challenge well
	granted   map[string][]int     // attempts in a minute that they have consented to, at once or later; 0 = any
	failed    map[string]int       // challenges that a sink has not
	restTo    time.Time            // before which its sink has asked not to be called
	restFrom  time.Time            // when it did
	inFlight  int

	offered    *consented // a consent that came while it was deleted
	offeredAt  time.Time
	pace       pace
	signing    signing
	deliveries []*delivery // in the order of their ids
}

// A delivery as the store has it, and its attempts.
type delivery struct {
	fattorino.Delivery
	sub      *subscription
	kept     *kept
	attempts []*exchange
	resent   bool
	rejected int // the life in which the store refused an outcome; 0 = never
}

// An exchange is an attempt as the sink saw it.
type exchange struct {
	*arrived
	of       *delivery
	at       time.Time
	life     int
	answered *answered // nil = in flight
	ended    time.Time
	recorded bool
	written  time.Time // when that was
}

func newChecker(h *history, k *kit) *checker {
	return &checker{
		history: h, kit: k, keys: map[string]time.Time{k.firstKey: {}}, subscriptions: map[int64]*subscription{}, bySink: map[string]*subscription{},
		deliveries: map[int64]*delivery{}, events: map[string]*storedEvent{}, seqs: map[int64]int64{},
		requests: map[string][]string{}, open: map[*exchange]bool{},
	}
}

func (c *checker) violate(concerns []string, format string, args ...any) {
	c.violations = append(c.violations, violation{c.index, fmt.Sprintf(format, args...), concerns})
}

// about gives what tells the lines of the history about a delivery.
func (d *delivery) about() []string {
	return []string{fmt.Sprintf("delivery %d ", d.ID), " " + short(d.Event.ID) + " ", fmt.Sprintf("subscription %d of", d.Subscription)}
}

func (s *subscription) about() []string {
	all := []string{fmt.Sprintf("subscription %d ", s.ID), s.Sink + " "}
	for url := range s.left {
		all = append(all, url+" ")
	}
	return all
}

// check reads the whole history.
func (c *checker) check() {
	for c.index, c.entry = range c.history.all() {
		switch x := c.entry.what.(type) {
		case *started:
			c.start(x)
		case *crashed:
			c.kit.met.add("crash")
			c.open, c.doomed = map[*exchange]bool{}, false
		case *stopped:
			c.stop(x)
		case *committed:
			c.commit(x)
		case *updated:
			c.update(x)
		case *rejected:
			c.reject(x)
		case *arrived:
			c.arrive(x)
		case *answered:
			c.answer(x)
		case *consented:
			c.consented(x)
		case *receipt:
			c.receipt(x)
		case *acked:
			c.ack(x)
		case *drained:
			c.drained(x)
		}
	}
}

func (c *checker) start(s *started) {
	if c.life != nil {
		switch {
		case s.clock > c.life.clock:
			c.kit.met.add("clock set forwards")
		case s.clock < c.life.clock:
			c.kit.met.add("clock set backwards")
		}
		c.set(c.life.clock - s.clock)
	}
	c.life, c.doomed = s, false
	c.open = map[*exchange]bool{}
	for _, s := range c.subscriptions {
		s.inFlight, s.restTo = 0, time.Time{}
		s.pace.begin(paceOf(s.Subscription), c.entry.at)
	}
}

// set has everything that is written dated as the clock of the new life sees
// it.
func (c *checker) set(by clock) {
	for _, s := range c.subscriptions {
		s.Subscription = by.subscription(s.Subscription)
		for i, until := range s.signing.until {
			by.add(&until)
			s.signing.until[i] = until
		}
	}
	for _, d := range c.deliveries {
		d.Delivery = *by.delivery(&d.Delivery)
	}
	for _, k := range c.kept {
		moved := *k.Event
		by.add(&moved.Accepted)
		k.Event = &moved
	}
	by.add(&c.prunedBefore)
}

// stop holds that a program which stopped well has written every answer.
func (c *checker) stop(s *stopped) {
	c.kit.met.add("stop")
	for x := range c.open {
		unanswered := x.answered == nil || x.answered.answer.Failure != "" // what is cut off counts for nothing
		if s.err == nil && !unanswered && x.of.rejected != c.entry.life {
			c.violate(x.of.about(), "the program stopped without having written the answer to delivery %d", x.of.ID)
		}
	}
}

func (c *checker) reject(r *rejected) {
	d := c.deliveries[r.delivery]
	d.rejected = c.entry.life
	for x := range c.open {
		if x.of == d {
			delete(c.open, x)
		}
	}
}

// commit holds a batch to the rules and takes it over.
func (c *checker) commit(b *committed) {
	heard := make([][]int64, len(b.events))
	for i, e := range b.events {
		for id, s := range c.subscriptions {
			if hears(s.Subscription, e.Event, b.now) {
				heard[i] = append(heard[i], id)
			}
		}
		slices.Sort(heard[i])
	}
	for i, e := range b.events {
		c.takeEvent(e, heard[i])
	}
	c.takeOutcomes(b)
	c.doomed = c.doomed || b.untold
}

func (c *checker) takeEvent(e *storedEvent, heard []int64) {
	about := []string{" " + short(e.ID) + " "}
	if c.seqs[e.Company]++; e.Seq != c.seqs[e.Company] {
		c.violate(about, "event %s has seq %d, the company's next is %d", short(e.ID), e.Seq, c.seqs[e.Company])
	}
	if before := c.events[e.ID]; before != nil && !before.kept.pruned {
		c.violate(about, "event %s was stored twice", short(e.ID))
	}
	e.kept = c.keep(e.Event)
	c.events[e.ID] = e
	targets := slices.Sorted(slices.Values(e.targets))
	if !slices.Equal(targets, heard) {
		c.violate(about, "event %s went to the subscriptions %v; those that hear it are %v", short(e.ID), targets, heard)
	}
	for i, id := range e.targets {
		if s := c.subscriptions[id]; s != nil {
			c.take(&delivery{Delivery: fattorino.Delivery{ID: e.first + int64(i), Subscription: id, Event: e.Event}, sub: s, kept: e.kept})
		}
	}
}

func (c *checker) take(d *delivery) {
	if c.deliveries[d.ID] != nil {
		c.violate(d.about(), "there are two deliveries %d", d.ID)
	}
	c.deliveries[d.ID] = d
	d.kept.deliveries = append(d.kept.deliveries, d)
	d.sub.deliveries = append(d.sub.deliveries, d)
}

// update takes over the change of a use case.
func (c *checker) update(u *updated) {
	for _, s := range u.changed {
		c.changed(s)
	}
	for _, d := range u.privates {
		c.take(&delivery{Delivery: *d, sub: c.subscriptions[d.Subscription], kept: c.keep(d.Event)})
	}
	for _, set := range u.deliveries {
		d := c.deliveries[set.ID]
		if d.kept.pruned || d.State == fattorino.Pending || d.State == fattorino.Waiting || d.sub.State != fattorino.Active {
			c.violate(d.about(), "delivery %d was sent again while it is %s and its subscription %s", d.ID, d.State, d.sub.State)
		}
		d.Delivery, d.resent = *set, true
	}
	for _, p := range u.pruned {
		c.prune(p)
	}
	if u.newKey != "" {
		for kid, retired := range c.keys {
			if retired.IsZero() {
				c.keys[kid] = c.entry.at
				c.kit.met.add("key rotated")
			}
		}
		c.keys[u.newKey] = time.Time{}
	}
	c.doomed = c.doomed || u.untold
}

// changed holds a change by a use case or by a handshake to what has happened.
func (c *checker) changed(s *fattorino.Subscription) {
	old := c.subscriptions[s.ID]
	if old == nil {
		old = &subscription{left: map[string]time.Time{}, proved: map[string]bool{}, granted: map[string][]int{}, failed: map[string]int{}, Subscription: s}
		c.subscriptions[s.ID] = old
		if s.State != fattorino.Unverified && proofs(s) > 0 {
			c.violate(old.about(), "subscription %d began as %s without a proof", s.ID, s.State)
		}
	}
	switch {
	case s.State == old.State && s.Sink == old.Sink && s.Handshake.Failed == old.Handshake.Failed:
	case old.State.Gone() && !restores(old.Subscription, s):
		c.violate(old.about(), "subscription %d was %s and is %s", s.ID, old.State, s.State)
	case s.State == fattorino.Active && old.State == fattorino.Unverified && proofs(s) > 0 && !old.proved[s.Sink]:
		c.violate(old.about(), "subscription %d is active, and its sink has proved nothing", s.ID)
	case s.State == fattorino.Active && old.State == fattorino.Unverified && proofs(s) > 0 && !slices.Contains(old.granted[s.Sink], s.Handshake.Rate):
		c.violate(old.about(), "subscription %d may be called %d times a minute, its sink has consented to %v", s.ID, s.Handshake.Rate, old.granted[s.Sink])
	case s.State == fattorino.VerificationLost && old.failed[s.Sink] < proofs(s):
		c.violate(old.about(), "subscription %d is lost after %d failed challenges of %d", s.ID, old.failed[s.Sink], proofs(s))
	case s.State == fattorino.Unverified && s.Handshake.Failed > old.failed[s.Sink]:
		c.violate(old.about(), "subscription %d has failed %d challenges, and %d of its sink's answers were refusals", s.ID, s.Handshake.Failed, old.failed[s.Sink])
	case s.State == fattorino.Expired && (s.Options.EndsAt.IsZero() || c.entry.at.Before(s.Options.EndsAt)):
		c.violate(old.about(), "subscription %d has expired before its end", s.ID)
	case s.State == fattorino.GoneByAnswer:
		c.violate(old.about(), "subscription %d is gone without an answer that says so", s.ID)
	}
	if old.State.Gone() && !s.State.Gone() {
		c.kit.met.add("restored")
		if old.offered != nil && old.offeredAt.Equal(c.entry.at) {
			old.consents(old.offered)
		}
	}
	c.ended(old, s)
	c.replace(old, s)
}

// replace puts the new form of a subscription in force.
func (c *checker) replace(old *subscription, s *fattorino.Subscription) {
	if old.State == fattorino.Active {
		old.activeTo = c.entry.at
	}
	if old.Sink != s.Sink {
		old.left[old.Sink] = c.entry.at
		delete(old.proved, s.Sink) // to be proved anew
		old.restTo = time.Time{}
	}
	if old.inFlight > 0 && (old.State != s.State || old.Sink != s.Sink) {
		c.kit.met.add("changed in flight: " + string(s.State))
	}
	old.changedAt = c.entry.at
	old.signing.follow(c.kit, old.Subscription, s)
	if perMinute := paceOf(s); perMinute != old.pace.perMinute {
		old.pace.begin(perMinute, c.entry.at)
	}
	old.Subscription = s
	c.bySink[s.Sink] = old
}

// receipt holds what a publisher was told to what the store has.
func (c *checker) receipt(r *receipt) {
	conflict := fattorino.KindOf(r.err) == fattorino.Conflict
	contradicted := false
	group := r.events[0].ID[:len(r.events[0].ID)-2] // the request
	for i, e := range r.events {
		if e.ID[:len(e.ID)-2] == group && !slices.Contains(c.requests[group], e.ID) {
			c.requests[group] = append(c.requests[group], e.ID)
		}
		stored := c.events[e.ID]
		same := stored != nil && bytes.Equal(stored.Data, e.Data)
		contradicted = contradicted || (stored != nil && !same)
		switch {
		case r.err != nil:
		case stored == nil:
			c.violate([]string{" " + short(e.ID) + " "}, "event %s was accepted and is not in the store", short(e.ID))
		case !same:
			c.violate([]string{" " + short(e.ID) + " "}, "event %s was accepted, and the store has another under its id", short(e.ID))
		case stored.Seq != r.seqs[i]:
			c.violate([]string{" " + short(e.ID) + " "}, "event %s was accepted with seq %d and has %d", short(e.ID), r.seqs[i], stored.Seq)
		}
	}
	if conflict && !contradicted {
		c.violate([]string{" " + short(r.events[0].ID) + " "}, "a publish was refused for an id that was not used before")
	}
}

// ack holds that a change which a user was told of has been in the store.
func (c *checker) ack(a *acked) {
	for _, e := range c.history.all()[:c.index] {
		var changed []*fattorino.Subscription
		switch x := e.what.(type) {
		case *committed:
			changed = x.changed
		case *updated:
			changed = x.changed
		}
		if slices.ContainsFunc(changed, func(s *fattorino.Subscription) bool { return s.ID == a.subscription && a.holds(s) }) {
			return
		}
	}
	c.violate([]string{fmt.Sprintf("subscription %d ", a.subscription)}, "subscription %d never was %s in the store", a.subscription, a.what)
}

// drained holds that nothing is left undone after all have had time.
func (c *checker) drained(x *drained) {
	for _, id := range slices.Sorted(mapKeys(c.deliveries)) {
		d := c.deliveries[id]
		if d.State != fattorino.Pending && d.State != fattorino.Waiting {
			continue
		}
		s := d.sub
		refused := !x.all && slices.ContainsFunc(s.deliveries, func(o *delivery) bool { return o.rejected == c.entry.life })
		if (s.State == fattorino.Active || s.State.Gone()) && !refused {
			c.violate(d.about(), "delivery %d of event %s is still %s, and subscription %d is %s", d.ID, short(d.Event.ID), d.State, s.ID, s.State)
		}
	}
	c.wholeRequests()
	c.overdue()
}

// wholeRequests holds that of a request all events are stored, or none. Its
// first may have come again in another.
func (c *checker) wholeRequests() {
	for group, ids := range c.requests {
		there := 0
		for _, id := range ids[1:] {
			if c.events[id] != nil {
				there++
			}
		}
		if there != 0 && (there != len(ids)-1 || c.events[ids[0]] == nil) {
			c.violate([]string{" " + short(group)}, "of the %d events of one request some are stored and others not", len(ids))
		}
	}
}
