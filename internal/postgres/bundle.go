package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// A bundle is the shares that the same statements write: all of a batch, for what
// a statement costs hardly depends on how many rows it has; or, where the parts
// are spread over several machines, those of one part.
type bundle struct {
	spread  spread
	layout  layout
	shares  []*share      // by part
	written map[int]*rows // new, by day
}

// spread tells whether the parts are spread over several machines. A statement
// names one part then, as its first argument. Otherwise its first argument is a
// column, like all others: the part of each row.
type spread bool

// bundles puts shares, which are in the order of their parts, together.
func (s spread) bundles(l layout, shares []*share) (all []*bundle) {
	for _, one := range shares {
		if len(all) == 0 || bool(s) {
			all = append(all, &bundle{spread: s, layout: l})
		}
		last := all[len(all)-1]
		last.shares = append(last.shares, one)
		one.bundle = last
	}
	return all
}

// parts gives the first argument of a statement with so many rows at least one.
func (s spread) parts(column []int16) any {
	if s {
		return column[0]
	}
	return column
}

// rows gives the query of all rows that are given column by column; the types
// are those of the columns after the part. The rest is of columns that are the
// same in all rows: empty, or ", " and their values.
func (s spread) rows(types, rest string) string {
	if s {
		return `SELECT p.part, u.*` + rest + ` FROM parts p, unnest(` + types + `) AS u WHERE p.part = $1`
	}
	return `SELECT u.*` + rest + ` FROM unnest($1::smallint[], ` + types + `) AS u`
}

// each gives the rows u that are given column by column, for one look-up each in
// the part of the row.
func (s spread) each(columns, types string) string {
	if s {
		return `unnest(` + types + `) AS u(` + columns + `)`
	}
	return `unnest($1::smallint[], ` + types + `) AS u(part, ` + columns + `)`
}

// part names the part of a row u.
func (s spread) part() string {
	if s {
		return `$1`
	}
	return `u.part`
}

// look locks the parts that need it, in the order of their numbers, and asks
// where they stand. Each statement sees what was committed when it began, so
// those after the first see all that was done under the locks before.
func (u *bundle) look(b *pgx.Batch) {
	u.written = map[int]*rows{}
	var locked, ofHash, ofCompany []int16
	var hashes, companies []int64
	for _, s := range u.shares {
		s.forget()
		if s.locks() {
			locked = append(locked, s.part)
		}
		for _, e := range s.candidates {
			hash, _ := e.Hashes()
			ofHash, hashes = append(ofHash, s.part), append(hashes, hash)
			if s.companies[e.Company] == nil {
				s.companies[e.Company] = &standing{dayOne: map[int]int64{}}
				ofCompany, companies = append(ofCompany, s.part), append(companies, e.Company)
			}
		}
	}
	if len(locked) == 0 {
		return
	}
	lock := `SELECT part, day, number, accepted_at, version FROM parts WHERE part = ANY($1::smallint[]) ORDER BY part FOR UPDATE`
	if u.spread {
		lock = `SELECT part, day, number, accepted_at, version FROM parts WHERE part = $1 FOR UPDATE`
	}
	b.Queue(lock, u.spread.parts(locked)).Query(func(r pgx.Rows) error {
		var part int16
		var at state
		_, err := pgx.ForEachRow(r, []any{&part, &at.day, &at.number, &at.accepted, &at.version}, func() error {
			s := u.share(part)
			s.state, s.before = at, at.last(u.layout, part)
			return nil
		})
		return err
	})
	if len(hashes) == 0 {
		return
	}
	b.Queue(`SELECT i.part, i.key FROM `+u.spread.each(`hash`, `$2::bigint[]`)+`,
		LATERAL (SELECT part, key FROM event_ids WHERE part = `+u.spread.part()+` AND id_hash = u.hash OFFSET 0) i`, u.spread.parts(ofHash), hashes).Query(func(r pgx.Rows) error {
		var part int16
		var key int64
		_, err := pgx.ForEachRow(r, []any{&part, &key}, func() error {
			s := u.share(part)
			s.stored = append(s.stored, key)
			return nil
		})
		return err
	})
	b.Queue(`SELECT c.part, c.id, c.last_seq, c.last_day FROM `+u.spread.each(`id`, `$2::bigint[]`)+`,
		LATERAL (SELECT part, id, last_seq, last_day FROM companies WHERE part = `+u.spread.part()+` AND id = u.id OFFSET 0) c`, u.spread.parts(ofCompany), companies).Query(func(r pgx.Rows) error {
		var part int16
		var id, seq int64
		var day int
		_, err := pgx.ForEachRow(r, []any{&part, &id, &seq, &day}, func() error {
			known := u.share(part).companies[id]
			known.seq, known.day = seq, day
			return nil
		})
		return err
	})
}

// share finds the share of a part.
func (u *bundle) share(part int16) *share { return shareOf(u.shares, part) }

func shareOf(shares []*share, part int16) *share {
	i, _ := slices.BinarySearchFunc(shares, part, func(s *share, part int16) int { return cmp.Compare(s.part, part) })
	return shares[i]
}

// findRepeats reads the events that candidates may repeat. There is mostly
// none.
func (u *bundle) findRepeats(ctx context.Context, conn *pgxpool.Conn, known map[identity]*fattorino.Event) error {
	var part []int16
	var stored []int64
	for _, s := range u.shares {
		for _, key := range s.stored {
			part, stored = append(part, s.part), append(stored, key)
		}
	}
	if len(stored) == 0 {
		return nil
	}
	found, err := conn.Query(ctx, `SELECT `+record.EventColumns+` FROM `+u.spread.each(`key`, `$2::bigint[]`)+`,
		LATERAL (SELECT * FROM events WHERE part = `+u.spread.part()+` AND key = u.key OFFSET 0) e`, u.spread.parts(part), stored)
	events, err := collect(found, err, record.ScanEvent)
	for _, e := range events {
		known[identityOf(e)] = e
	}
	return err
}

// write queues the statements that write the bundle.
func (u *bundle) write(b *pgx.Batch) {
	u.writeCompanies(b)
	for _, day := range sortedKeys(u.written) {
		u.written[day].insert(b, u.spread, day)
	}
	u.writeOutcomes(b)
	for _, s := range u.shares {
		s.writeSubscriptions(b)
	}
	u.writeParts(b)
	u.writeSettled(b)
	for _, s := range u.shares {
		s.writeTallies(b)
	}
}

// insert queues the statements that write new events and their deliveries, all of
// a day.
func (r *rows) insert(b *pgx.Batch, s spread, day int) {
	r.events.insert(b, s, day)
	b.Queue(fmt.Sprintf(`INSERT INTO event_ids_%d AS x (part, id_hash, key) `, day/monthDays)+s.rows(`$2::bigint[], $3::bigint[]`, ""),
		s.parts(r.events.part), r.ids.hash, r.ids.key)
	r.deliveries.insert(b, s, day)
}

// writeParts writes where the parts stand.
func (u *bundle) writeParts(b *pgx.Batch) {
	var part []int16
	var day []int32
	var number, accepted, changes []int64
	for _, s := range u.shares {
		if len(s.fresh) == 0 && len(s.subscriptions) == 0 {
			continue
		}
		part, day = append(part, s.part), append(day, int32(s.state.day))
		number, accepted = append(number, s.state.number), append(accepted, s.accepted)
		changes = append(changes, int64(len(s.subscriptions)))
	}
	switch {
	case len(part) == 0:
	case bool(u.spread):
		b.Queue(`UPDATE parts SET day = $2, number = $3, accepted_at = greatest(accepted_at, $4), version = version + $5 WHERE part = $1`,
			part[0], day[0], number[0], accepted[0], changes[0])
	default:
		b.Queue(`UPDATE parts AS p SET day = u.day, number = u.number, accepted_at = greatest(p.accepted_at, u.accepted), version = p.version + u.changes
			FROM unnest($1::smallint[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[]) AS u(part, day, number, accepted, changes) WHERE p.part = u.part`,
			part, day, number, accepted, changes)
	}
}

func (u *bundle) writeCompanies(b *pgx.Batch) {
	var part, firstPart []int16
	var id, seq, created, firstOf, firstSeq []int64
	var day, firstDay []int32
	for _, s := range u.shares {
		for company, at := range s.companies {
			if !at.changed {
				continue
			}
			part, id, created = append(part, s.part), append(id, company), append(created, s.accepted)
			seq, day = append(seq, at.seq), append(day, int32(at.day))
			for d, first := range at.dayOne {
				firstPart, firstOf = append(firstPart, s.part), append(firstOf, company)
				firstDay, firstSeq = append(firstDay, int32(d)), append(firstSeq, first)
			}
		}
	}
	if len(id) == 0 {
		return
	}
	b.Queue(`INSERT INTO companies AS c (part, id, created_at, last_seq, last_day) `+u.spread.rows(`$2::bigint[], $3::bigint[], $4::bigint[], $5::int[]`, "")+`
		ON CONFLICT (part, id) DO UPDATE SET last_seq = excluded.last_seq, last_day = excluded.last_day`, u.spread.parts(part), id, created, seq, day)
	if len(firstOf) > 0 {
		b.Queue(`INSERT INTO company_days AS c (part, company, day, first_seq) `+u.spread.rows(`$2::bigint[], $3::int[], $4::bigint[]`, ""),
			u.spread.parts(firstPart), firstOf, firstDay, firstSeq)
	}
}

// writeOutcomes writes deliveries and attempts, by the day of the delivery. Of
// a delivery that is there twice, the last outcome holds. Attempts under a lease
// that is lost go into the log alone.
func (u *bundle) writeOutcomes(b *pgx.Batch) {
	deliveries := map[int]*settledRows{}
	attempts := attemptWriter{layout: u.layout}
	for _, s := range u.shares {
		last := make(map[int64]*fattorino.Delivery, len(s.outcomes))
		for _, o := range s.outcomes {
			last[o.Delivery.ID] = o.Delivery
		}
		pages := attempts.add(s)
		for _, id := range sortedKeys(last) { // in order, so that no two wait for each other
			day := u.layout.dayOf(id)
			if deliveries[day] == nil {
				deliveries[day] = &settledRows{}
			}
			deliveries[day].add(s.part, last[id], pages[id])
		}
	}
	for _, day := range sortedKeys(deliveries) {
		deliveries[day].update(b, u.spread, day)
	}
	for _, day := range sortedKeys(attempts.days) {
		attempts.days[day].insert(b, u.spread, day)
	}
}

func (u *bundle) writeSettled(b *pgx.Batch) {
	var part []int16
	var subscriptions, settled []int64
	for _, s := range u.shares {
		last := make(map[int64]int64, len(s.settled))
		for _, l := range s.settled {
			last[l.Subscription] = l.Delivery
		}
		for _, id := range sortedKeys(last) {
			part, subscriptions, settled = append(part, s.part), append(subscriptions, id), append(settled, last[id])
		}
	}
	if len(settled) == 0 {
		return
	}
	b.Queue(`INSERT INTO lanes AS l (part, subscription, settled) `+u.spread.rows(`$2::bigint[], $3::bigint[]`, "")+`
		ON CONFLICT (part, subscription) DO UPDATE SET settled = greatest(l.settled, excluded.settled)`, u.spread.parts(part), subscriptions, settled)
}
