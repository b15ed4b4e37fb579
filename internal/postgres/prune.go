package postgres

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// dropWithin is how long a drop waits for those who read or write the tables:
// briefly, for whoever comes after it waits as well.
const dropWithin = "500ms"

// Prune implements [fattorino.Tx]. It looks at whole days: what was accepted in
// the day of the time stays until that day is over too. A day with nothing
// pending goes with its partitions, at once and whatever the limit, and counts
// as many events as the database estimates; of another day the settled events
// are deleted one by one.
func (t *tx) Prune(before time.Time, after int64, limit int) (last int64, deleted int, err error) {
	if err := t.lockGlobal(); err != nil { // one node at a time
		return 0, 0, err
	}
	days, err := t.pastDays(before)
	if err != nil {
		return 0, 0, err
	}
	for _, day := range days {
		if t.layout.dayStart(day+1) <= after {
			continue
		}
		n, dropped, err := t.dropDay(day)
		if err != nil {
			return 0, 0, fmt.Errorf("drop day %d: %w", day, err)
		}
		deleted += n
		if dropped {
			continue
		}
		last, n, err = t.pruneDay(day, after, limit)
		if err != nil {
			return 0, 0, fmt.Errorf("prune day %d: %w", day, err)
		}
		if deleted += n; last > 0 {
			return last, deleted, nil
		}
	}
	return 0, deleted, nil
}

// pastDays gives the days with partitions that were over by the time, oldest
// first.
func (t *tx) pastDays(before time.Time) ([]int, error) {
	rows, err := t.tx.Query(t.ctx, `SELECT substr(relname, 8)::int AS day FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
		WHERE inhparent = 'events'::regclass AND substr(relname, 8)::int < $1 ORDER BY day`, dayAt(record.Micros(before)))
	return collect(rows, err, func(r record.Row) (day int, err error) { return day, r.Scan(&day) })
}

// dropDay drops the partitions of a day, where nothing in it is pending and
// nobody holds them for long.
func (t *tx) dropDay(day int) (events int, dropped bool, err error) {
	err = pgx.BeginFunc(t.ctx, t.tx, func(inner pgx.Tx) error {
		var b pgx.Batch
		b.Queue(`SELECT set_config('lock_timeout', '` + dropWithin + `', true)`)
		b.Queue(fmt.Sprintf(`LOCK TABLE deliveries_%d IN SHARE ROW EXCLUSIVE MODE`, day)) // nothing is resent from here on
		if err := inner.SendBatch(t.ctx, &b).Close(); err != nil {
			return err
		}
		if err := t.checkSettled(inner, day); err != nil {
			return err
		}
		err := inner.QueryRow(t.ctx, fmt.Sprintf(`SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'events_%d'::regclass`, day)).Scan(&events)
		if err != nil {
			return err
		}
		b = pgx.Batch{}
		b.Queue(fmt.Sprintf(`DROP TABLE attempts_%[1]d, deliveries_%[1]d, events_%[1]d`, day))
		b.Queue(`DELETE FROM company_days WHERE day = $1`, day)
		if err := inner.SendBatch(t.ctx, &b).Close(); err != nil {
			return err
		}
		dropped = true
		return t.dropMonth(inner, day/monthDays)
	})
	if errors.Is(err, errPending) || sqlState(err) == lockNotAvailable {
		return 0, false, nil // another time
	}
	return events, dropped, err
}

var errPending = errors.New("something of the day is pending")

// checkSettled fails with errPending where a delivery of the day is still to be
// made.
func (t *tx) checkSettled(inner pgx.Tx, day int) error {
	var pending bool
	err := inner.QueryRow(t.ctx, fmt.Sprintf(`SELECT EXISTS (SELECT 1 FROM deliveries_%[1]d WHERE due_at IS NOT NULL)
		OR EXISTS (SELECT 1 FROM deliveries_%[1]d WHERE waits_for IS NOT NULL)
		OR EXISTS (SELECT 1 FROM subscriptions s LEFT JOIN lanes l ON l.part = s.part AND l.subscription = s.id
			WHERE coalesce(l.settled, 0) < $1 AND EXISTS (SELECT 1 FROM deliveries_%[1]d d
				WHERE d.part = s.part AND d.subscription = s.id AND d.id > coalesce(l.settled, 0) AND d.state = 0 OFFSET 0))`, day), t.layout.dayStart(day+1)).Scan(&pending)
	if err == nil && pending {
		err = errPending
	}
	return err
}

// dropMonth drops the partition of what the events of a month are known by,
// once all its days are gone. It is made again should one come back.
func (t *tx) dropMonth(inner pgx.Tx, month int) error {
	var left bool
	err := inner.QueryRow(t.ctx, `SELECT EXISTS (SELECT 1 FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
		WHERE inhparent = 'events'::regclass AND substr(relname, 8)::int / $1 = $2)`, monthDays, month).Scan(&left)
	if err != nil || left {
		return err
	}
	_, err = inner.Exec(t.ctx, fmt.Sprintf(`DROP TABLE IF EXISTS event_ids_%d`, month))
	return err
}

// old is an event past its retention, with deliveries from first up to but not
// including behind.
type old struct {
	event         fattorino.Event
	part          int16
	first, behind int64
	settled       bool
}

// pruneDay deletes the settled among the next events of a day, at most limit and
// those of one part. It gives the last key looked at, 0 where there is none.
func (t *tx) pruneDay(day int, after int64, limit int) (last int64, deleted int, err error) {
	after = max(after, t.layout.dayStart(day)) // of an earlier day it says nothing of the part
	var part int16
	err = t.tx.QueryRow(t.ctx, fmt.Sprintf(`SELECT part FROM events_%d WHERE (part, key) > ($1, $2) ORDER BY part, key LIMIT 1`, day),
		t.layout.ofID(after), after).Scan(&part)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	if _, err := t.lock(part); err != nil { // nothing is resent from here on
		return 0, 0, err
	}
	rows, err := t.tx.Query(t.ctx, fmt.Sprintf(`SELECT part, key, company, source, id, first_delivery, first_delivery + deliveries,
			NOT EXISTS (SELECT 1 FROM deliveries_%[1]d d WHERE d.part = $1 AND d.id >= e.first_delivery AND d.id < e.first_delivery + e.deliveries
				AND d.state IN (0, 3) OFFSET 0)
		FROM events_%[1]d e WHERE part = $1 AND key > $2 ORDER BY key LIMIT $3`, day), part, after, limit)
	events, err := collect(rows, err, func(r record.Row) (o old, err error) {
		return o, r.Scan(&o.part, &o.event.Key, &o.event.Company, &o.event.Source, &o.event.ID, &o.first, &o.behind, &o.settled)
	})
	if err != nil || len(events) == 0 {
		return 0, 0, err
	}
	last = events[len(events)-1].event.Key
	events = slices.DeleteFunc(events, func(o old) bool { return !o.settled })
	return last, len(events), t.deleteEvents(day, events)
}

// deleteEvents deletes events with what belongs to them, by a statement for
// each: see begin.
func (t *tx) deleteEvents(day int, events []old) error {
	var b pgx.Batch
	for _, o := range events {
		hash, _ := o.event.Hashes()
		b.Queue(fmt.Sprintf(`DELETE FROM attempts_%d WHERE part = $1 AND delivery >= $2 AND delivery < $3`, day), o.part, o.first, o.behind)
		b.Queue(fmt.Sprintf(`DELETE FROM deliveries_%d WHERE part = $1 AND id >= $2 AND id < $3`, day), o.part, o.first, o.behind)
		b.Queue(fmt.Sprintf(`DELETE FROM event_ids_%d WHERE part = $1 AND id_hash = $2 AND key = $3`, day/monthDays), o.part, hash, o.event.Key)
		b.Queue(fmt.Sprintf(`DELETE FROM events_%d WHERE part = $1 AND key = $2`, day), o.part, o.event.Key)
	}
	return t.tx.SendBatch(t.ctx, &b).Close()
}
