package simulation_test

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A history is what happened, in one order: what the store was given and kept,
// what sinks received and answered, what users were told, and when the program
// started, stopped and crashed.
type history struct {
	begun time.Time

	mu      sync.Mutex
	entries []entry
}

// An entry is one thing that happened.
type entry struct {
	at   time.Time
	life int
	what fmt.Stringer
}

// add notes what happened in a life of the program, unless that is over: what
// an abandoned process still does has not happened.
func (h *history) add(l *life, what fmt.Stringer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l == nil || !l.dead.Load() {
		h.put(l, what)
	}
}

func (h *history) put(l *life, what fmt.Stringer) {
	e := entry{at: time.Now(), what: what}
	if l != nil {
		e.life = l.number
	}
	h.entries = append(h.entries, e)
}

// all gives what has happened so far.
func (h *history) all() []entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.entries[:len(h.entries):len(h.entries)]
}

// What the store has taken.
type (
	// committed is a batch of the engine's committer that is in the store.
	committed struct {
		now      time.Time
		events   []*storedEvent
		outcomes []fattorino.Outcome
		changed  []*fattorino.Subscription
		hints    []fattorino.Settled
		untold   bool // the engine was told that it failed
	}
	// storedEvent is an event as it was first written, with its deliveries.
	storedEvent struct {
		*fattorino.Event
		first   int64
		targets []int64
		kept    *kept // the checker's
	}
	// updated is the change of a use case that is in the store.
	updated struct {
		changed    []*fattorino.Subscription
		privates   []*fattorino.Delivery
		deliveries []*fattorino.Delivery
		pruned     []*pruned
		newKey     string // id of the key that signs from now on
		untold     bool
	}
	// pruned is a step of the retention: what it was asked to look at, and what
	// the store said of it.
	pruned struct {
		before  time.Time
		after   int64
		limit   int
		last    int64
		deleted int
	}
	// rejected is an outcome that the store has refused for good.
	rejected struct{ delivery int64 }
)

// What sinks have seen.
type (
	arrived struct {
		url       string
		refs      []string // ids of the events that it tells of
		signed    []int    // the secrets that have signed it
		key       string   // id of the key that its token is signed with
		challenge bool
	}
	answered struct {
		arrival *arrived
		answer  *fattorino.Answer
		proof   bool // it proves the sink
		later   bool // the sink will consent by a request of its own
		rate    int  // attempts in a minute that it consents to; 0 = any number
		cut     bool // the program stopped waiting for it
	}
	// consented is a request by which a sink gives its consent.
	consented struct {
		subscription, round int64
		url                 string
		rate                int
	}
)

// What users were told.
type (
	// receipt is the answer to a publish.
	receipt struct {
		events []*fattorino.Event
		seqs   []int64 // of the events; nil where it failed
		err    error
	}
	// acked is a change that a user was told of as made.
	acked struct {
		subscription int64
		what         string
		holds        func(*fattorino.Subscription) bool
	}
)

// The lives of the program.
type (
	started struct {
		lane      int           // attempts in flight for one subscription at most
		clock     clock         // how the machine's goes
		retention time.Duration // 0 = for ever
	}
	crashed  struct{ where string }
	stopping struct{}
	stopped  struct{ err error }
	// drained is when nothing is left to be done, or, unless all, nothing but what
	// the store refused.
	drained struct{ all bool }
)

// note is anything else worth reading.
type note string

func (n note) String() string { return string(n) }

func (c *committed) String() string {
	var b strings.Builder
	b.WriteString("commit")
	if c.untold {
		b.WriteString(", told as failed")
	}
	for _, e := range c.events {
		fmt.Fprintf(&b, "; event %s seq %d of company %d, %s about %s, deliveries %d… to %v", short(e.ID), e.Seq, e.Company, e.Type, e.Entity, e.first, e.targets)
	}
	for _, o := range c.outcomes {
		b.WriteString("; " + describe(o.Delivery))
		if o.Attempt != nil {
			fmt.Fprintf(&b, " by attempt %d", o.Attempt.Number)
		}
	}
	for _, s := range c.changed {
		b.WriteString("; " + subscriptionText(s))
	}
	if len(c.hints) > 0 {
		fmt.Fprintf(&b, "; hints %v", c.hints)
	}
	return b.String()
}

func (u *updated) String() string {
	var b strings.Builder
	b.WriteString("update")
	if u.untold {
		b.WriteString(", told as failed")
	}
	for _, s := range u.changed {
		b.WriteString("; " + subscriptionText(s))
	}
	for _, d := range u.privates {
		fmt.Fprintf(&b, "; delivery %d of the private event %s to subscription %d", d.ID, short(d.Event.ID), d.Subscription)
	}
	for _, d := range u.deliveries {
		b.WriteString("; set " + describe(d))
	}
	for _, p := range u.pruned {
		fmt.Fprintf(&b, "; pruned %d events of keys %d to %d", p.deleted, p.after+1, p.last)
	}
	if u.newKey != "" {
		b.WriteString("; key " + u.newKey)
	}
	return b.String()
}

func (r *rejected) String() string {
	return fmt.Sprintf("the store refused the outcome of delivery %d", r.delivery)
}

func (a *arrived) String() string {
	if a.challenge {
		return "challenge to " + a.url
	}
	return fmt.Sprintf("notification of %s to %s", shortAll(a.refs), a.url)
}

func (a *answered) String() string {
	got := string(a.answer.Failure)
	if a.answer.Status != 0 {
		got = fmt.Sprint(a.answer.Status)
	}
	if a.answer.Failure == "" && len(a.answer.Header) > 0 {
		got += " Retry-After " + a.answer.Header[0].Value
	}
	if a.cut {
		got += " (cut off)"
	}
	return fmt.Sprintf("answer %s to the %v", got, a.arrival)
}

func (r *receipt) String() string {
	ids := make([]string, len(r.events))
	for i, e := range r.events {
		ids[i] = short(e.ID)
	}
	if r.err != nil {
		return fmt.Sprintf("publish of %v failed: %v", ids, r.err)
	}
	return fmt.Sprintf("publish of %v accepted with seq %v", ids, r.seqs)
}

func (a *acked) String() string {
	return fmt.Sprintf("told the user: subscription %d %s", a.subscription, a.what)
}

func (c *consented) String() string {
	return fmt.Sprintf("consent to round %d of subscription %d by %s at %d", c.round, c.subscription, c.url, c.rate)
}

func (s *started) String() string {
	return fmt.Sprintf("program started, its clock %v ahead", time.Duration(s.clock))
}

func (s *stopping) String() string { return "stopping" }
func (d *drained) String() string  { return "by now all is to be settled" }
func (c *crashed) String() string  { return "CRASH " + c.where }
func (s *stopped) String() string  { return fmt.Sprintf("program stopped, error: %v", s.err) }

func describe(d *fattorino.Delivery) string {
	text := fmt.Sprintf("delivery %d (subscription %d, event %s) %s", d.ID, d.Subscription, short(d.Event.ID), d.State)
	if d.Reason != "" {
		text += " " + string(d.Reason)
	}
	if !d.DueAt.IsZero() {
		text += " due " + d.DueAt.Format("02 15:04:05.000")
	}
	return text
}

func subscriptionText(s *fattorino.Subscription) string {
	text := fmt.Sprintf("subscription %d of company %d (%s, %s) %s at %s", s.ID, s.Company, s.Contract, s.Options.Ordering, s.State, s.Sink)
	if !s.ExpiresAt.IsZero() {
		text += " expires " + s.ExpiresAt.Format("02 15:04:05.000")
	}
	return text
}

// short gives the end of an id, which tells ours apart.
func short(ref string) string { return strings.TrimLeft(ref[max(0, len(ref)-12):], "0") }

func shortAll(refs []string) string {
	all := make([]string, len(refs))
	for i, r := range refs {
		all[i] = short(r)
	}
	return strings.Join(all, ",")
}
