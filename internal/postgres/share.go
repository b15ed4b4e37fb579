package postgres

import (
	"bytes"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// A share is what a batch writes in one part.
type share struct {
	bundle *bundle
	part   int16
	epoch  int64 // under which the outcomes were made

	candidates    []*fattorino.Event // published, whether or not they are new
	outcomes      []fattorino.Outcome
	late          []fattorino.LateAttempt
	subscriptions []*fattorino.Subscription
	settled       []fattorino.Settled
	tallies       []fattorino.Tally
	pulses        []fattorino.Pulse

	// As it stands, once the part is locked.
	state     state
	before    int64 // the last id given
	companies map[int64]*standing
	stored    []int64 // keys of events that may be the same as candidates

	accepted int64              // when the new events are accepted; 0 = there are none yet
	fresh    []*fattorino.Event // new, stamped
}

// state is what the row of a part says.
type state struct {
	day              int
	number, accepted int64
	version          int64
}

// last gives the last id given in the part.
func (st *state) last(l layout, part int16) int64 { return l.id(st.day, part, st.number) }

// standing is where a company stands.
type standing struct {
	seq     int64
	day     int
	changed bool
	dayOne  map[int]int64 // the first seq of each day that begins in this batch
}

// rows are the new events of a day and their deliveries.
type rows struct {
	events     eventRows
	ids        struct{ hash, key []int64 }
	deliveries newDeliveryRows
}

// locks tells whether the share needs the row of its part. Outcomes and hints
// do not: nobody's ids or seq depend on them.
func (s *share) locks() bool { return len(s.candidates) > 0 || len(s.subscriptions) > 0 }

// forget drops what an earlier try has found and given.
func (s *share) forget() {
	s.state, s.before, s.companies, s.stored = state{}, 0, map[int64]*standing{}, nil
	s.accepted, s.fresh = 0, nil
}

func sameContent(a, b *fattorino.Event) bool {
	_, x := a.Hashes()
	_, y := b.Hashes()
	return bytes.Equal(x, y)
}

// add stamps a new event and notes its rows. It gives the id of its first
// delivery.
func (s *share) add(e *fattorino.Event, targets []int64) (first int64) {
	key, day := s.state.next(s.bundle.layout, s.part, s.accepted, 1+len(targets))
	company := s.companies[e.Company]
	company.seq++
	company.changed = true
	if company.day != day {
		company.day, company.dayOne[day] = day, company.seq
	}
	e.Key, e.Seq, e.Accepted = key, company.seq, record.FromMicros(s.accepted)
	s.fresh = append(s.fresh, e)

	r := s.bundle.written[day]
	if r == nil {
		r = &rows{}
		s.bundle.written[day] = r
	}
	first = key + 1
	r.events.add(s.part, e, first, len(targets))
	hash, _ := e.Hashes()
	r.ids.hash, r.ids.key = append(r.ids.hash, hash), append(r.ids.key, key)
	for i, subscription := range targets {
		r.deliveries.add(s.part, first+int64(i), key, subscription)
	}
	return first
}

// next gives the first of n ids that follow each other, all of one day: the day
// of the time, or the last one's where that is later.
func (st *state) next(l layout, part int16, now int64, n int) (id int64, day int) {
	if today := dayAt(now); today > st.day {
		st.day, st.number = today, 0
	}
	if st.number+int64(n) >= 1<<numberBits {
		st.day, st.number = st.day+1, 0
	}
	id = l.id(st.day, part, st.number+1)
	st.number += int64(n)
	return id, st.day
}

// writeSubscriptions writes those that the outcomes have changed. There are few.
func (s *share) writeSubscriptions(b *pgx.Batch) {
	for i, sub := range s.subscriptions {
		sub.Version = s.state.version + int64(i) + 1
		b.Queue(updateSubscription, subscriptionValues(s.part, sub)...)
	}
}
