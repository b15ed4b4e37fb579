package postgres

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// A share is what a batch writes in one part.
type share struct {
	layout layout
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
	written  map[int]*rows      // by day
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
	known   bool
	changed bool
	dayOne  map[int]int64 // the first seq of each day that begins in this batch
}

// rows are the new events of a day and their deliveries.
type rows struct {
	events     eventRows
	ids        struct{ hash, key []int64 }
	deliveries struct{ id, event, subscription []int64 }
}

// locks tells whether the share needs the row of its part. Outcomes and hints
// do not: nobody's ids or seq depend on them.
func (s *share) locks() bool { return len(s.candidates) > 0 || len(s.subscriptions) > 0 }

// look locks the part and asks where it stands. Each statement sees what was
// committed when it began, so those after the first see all that was done
// under the lock before.
func (s *share) look(b *pgx.Batch) {
	s.state, s.companies, s.stored = state{}, map[int64]*standing{}, nil
	s.accepted, s.fresh, s.written = 0, nil, map[int]*rows{}
	if !s.locks() {
		return
	}
	b.Queue(`SELECT day, number, accepted_at, version FROM parts WHERE part = $1 FOR UPDATE`, s.part).QueryRow(func(r pgx.Row) error {
		err := r.Scan(&s.state.day, &s.state.number, &s.state.accepted, &s.state.version)
		s.before = s.state.last(s.layout, s.part)
		return err
	})
	if len(s.candidates) == 0 {
		return
	}
	hashes := make([]int64, len(s.candidates))
	var companies []int64
	for i, e := range s.candidates {
		hashes[i], _ = e.Hashes()
		if s.companies[e.Company] == nil {
			s.companies[e.Company] = &standing{dayOne: map[int]int64{}}
			companies = append(companies, e.Company)
		}
	}
	b.Queue(`SELECT i.key FROM unnest($2::bigint[]) AS u(hash),
		LATERAL (SELECT key FROM event_ids WHERE part = $1 AND id_hash = u.hash OFFSET 0) i`, s.part, hashes).Query(func(r pgx.Rows) (err error) {
		s.stored, err = pgx.CollectRows(r, pgx.RowTo[int64])
		return err
	})
	b.Queue(`SELECT c.id, c.last_seq, c.last_day FROM unnest($2::bigint[]) AS u(id),
		LATERAL (SELECT id, last_seq, last_day FROM companies WHERE part = $1 AND id = u.id OFFSET 0) c`, s.part, companies).Query(func(r pgx.Rows) error {
		var id, seq int64
		var day int
		_, err := pgx.ForEachRow(r, []any{&id, &seq, &day}, func() error {
			known := s.companies[id]
			known.seq, known.day, known.known = seq, day, true
			return nil
		})
		return err
	})
}

// findRepeats reads the events that candidates may repeat. There is mostly
// none.
func (s *share) findRepeats(ctx context.Context, conn *pgxpool.Conn, known map[identity]*fattorino.Event) error {
	if len(s.stored) == 0 {
		return nil
	}
	found, err := conn.Query(ctx, `SELECT `+record.EventColumns+` FROM unnest($2::bigint[]) AS u(key),
		LATERAL (SELECT * FROM events WHERE part = $1 AND key = u.key OFFSET 0) e`, s.part, s.stored)
	events, err := collect(found, err, record.ScanEvent)
	for _, e := range events {
		known[identityOf(e)] = e
	}
	return err
}

func sameContent(a, b *fattorino.Event) bool {
	_, x := a.Hashes()
	_, y := b.Hashes()
	return bytes.Equal(x, y)
}

// add stamps a new event and notes its rows. It gives the id of its first
// delivery.
func (s *share) add(e *fattorino.Event, targets []int64) (first int64) {
	key, day := s.state.next(s.layout, s.part, s.accepted, 1+len(targets))
	company := s.companies[e.Company]
	company.seq++
	company.changed = true
	if company.day != day {
		company.day, company.dayOne[day] = day, company.seq
	}
	e.Key, e.Seq, e.Accepted = key, company.seq, record.FromMicros(s.accepted)
	s.fresh = append(s.fresh, e)

	r := s.written[day]
	if r == nil {
		r = &rows{}
		s.written[day] = r
	}
	first = key + 1
	r.events.add(e, first, len(targets))
	hash, _ := e.Hashes()
	r.ids.hash, r.ids.key = append(r.ids.hash, hash), append(r.ids.key, key)
	for i, subscription := range targets {
		r.deliveries.id = append(r.deliveries.id, first+int64(i))
		r.deliveries.event = append(r.deliveries.event, key)
		r.deliveries.subscription = append(r.deliveries.subscription, subscription)
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

// write queues the statements that write the share.
func (s *share) write(b *pgx.Batch) {
	if len(s.fresh) > 0 {
		s.writeCompanies(b)
		for day, r := range s.written {
			s.writeDay(b, day, r)
		}
	}
	s.writeOutcomes(b)
	s.writeLate(b)
	for i, sub := range s.subscriptions {
		sub.Version = s.state.version + int64(i) + 1
		b.Queue(updateSubscription, subscriptionValues(s.part, sub)...)
	}
	if len(s.fresh) > 0 || len(s.subscriptions) > 0 {
		b.Queue(`UPDATE parts SET day = $2, number = $3, accepted_at = greatest(accepted_at, $4), version = version + $5 WHERE part = $1`,
			s.part, s.state.day, s.state.number, s.accepted, len(s.subscriptions))
	}
	s.writeSettled(b)
	s.writeTallies(b)
}

func (s *share) writeCompanies(b *pgx.Batch) {
	var id, seq, firstOf, firstSeq []int64
	var day, firstDay []int32
	for company, at := range s.companies {
		if !at.changed {
			continue
		}
		id, seq, day = append(id, company), append(seq, at.seq), append(day, int32(at.day))
		for d, first := range at.dayOne {
			firstOf, firstDay, firstSeq = append(firstOf, company), append(firstDay, int32(d)), append(firstSeq, first)
		}
	}
	b.Queue(`INSERT INTO companies AS c (part, id, created_at, last_seq, last_day)
		SELECT p.part, u.id, $2, u.seq, u.day FROM parts p, unnest($3::bigint[], $4::bigint[], $5::int[]) AS u(id, seq, day) WHERE p.part = $1
		ON CONFLICT (part, id) DO UPDATE SET last_seq = excluded.last_seq, last_day = excluded.last_day`, s.part, s.accepted, id, seq, day)
	if len(firstOf) > 0 {
		b.Queue(`INSERT INTO company_days AS c (part, company, day, first_seq)
			SELECT p.part, u.company, u.day, u.seq FROM parts p, unnest($2::bigint[], $3::int[], $4::bigint[]) AS u(company, day, seq) WHERE p.part = $1`,
			s.part, firstOf, firstDay, firstSeq)
	}
}

func (s *share) writeDay(b *pgx.Batch, day int, r *rows) {
	r.events.insert(b, s.part, day)
	b.Queue(fmt.Sprintf(`INSERT INTO event_ids_%d AS x (part, id_hash, key)
		SELECT p.part, u.hash, u.key FROM parts p, unnest($2::bigint[], $3::bigint[]) AS u(hash, key) WHERE p.part = $1`, day/monthDays),
		s.part, r.ids.hash, r.ids.key)
	if len(r.deliveries.id) > 0 {
		b.Queue(fmt.Sprintf(insertDeliveries, day), s.part, r.deliveries.id, r.deliveries.event, r.deliveries.subscription)
	}
}

const insertDeliveries = `INSERT INTO deliveries_%d AS x (part, id, event, subscription)
	SELECT p.part, u.id, u.event, u.subscription FROM parts p, unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS u(id, event, subscription) WHERE p.part = $1`

// writeOutcomes writes deliveries and attempts, by the day of the delivery. Of
// a delivery that is there twice, the last outcome holds.
func (s *share) writeOutcomes(b *pgx.Batch) {
	if len(s.outcomes) == 0 {
		return
	}
	last := make(map[int64]*fattorino.Delivery, len(s.outcomes))
	deliveries := map[int]*deliveryRows{}
	attempts := map[int]*attemptRows{}
	for _, o := range s.outcomes {
		last[o.Delivery.ID] = o.Delivery
		if o.Attempt == nil {
			continue
		}
		day := s.layout.dayOf(o.Delivery.ID)
		if attempts[day] == nil {
			attempts[day] = &attemptRows{}
		}
		attempts[day].add(o.Attempt)
	}
	for _, id := range sortedKeys(last) { // in order, so that no two wait for each other
		day := s.layout.dayOf(id)
		if deliveries[day] == nil {
			deliveries[day] = &deliveryRows{}
		}
		deliveries[day].add(last[id])
	}
	for _, day := range sortedKeys(deliveries) {
		deliveries[day].update(b, s.part, day)
	}
	for day, a := range attempts {
		a.insert(b, s.part, day, s.epoch)
	}
}

// writeLate writes attempts into the log, and nothing else. There are few.
func (s *share) writeLate(b *pgx.Batch) {
	for _, a := range s.late {
		var row attemptRows
		row.add(a.Attempt)
		row.insert(b, s.part, s.layout.dayOf(a.Delivery), a.Epoch)
	}
}

func (s *share) writeSettled(b *pgx.Batch) {
	if len(s.settled) == 0 {
		return
	}
	last := make(map[int64]int64, len(s.settled))
	for _, l := range s.settled {
		last[l.Subscription] = l.Delivery
	}
	subscriptions := sortedKeys(last)
	settled := make([]int64, len(subscriptions))
	for i, id := range subscriptions {
		settled[i] = last[id]
	}
	b.Queue(`INSERT INTO lanes AS l (part, subscription, settled)
		SELECT p.part, u.subscription, u.settled FROM parts p, unnest($2::bigint[], $3::bigint[]) AS u(subscription, settled) WHERE p.part = $1
		ON CONFLICT (part, subscription) DO UPDATE SET settled = greatest(l.settled, excluded.settled)`, s.part, subscriptions, settled)
}
