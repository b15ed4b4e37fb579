package postgres

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// writeTallies writes what was counted, in order, so that no two nodes wait for
// each other. Where the connection breaks while it is committed, it may be
// counted twice.
func (s *share) writeTallies(b *pgx.Batch) {
	slices.SortFunc(s.tallies, func(a, b fattorino.Tally) int {
		return cmp.Or(cmp.Compare(a.Company, b.Company), cmp.Compare(a.Subscription, b.Subscription), a.At.Compare(b.At))
	})
	for i := range s.tallies {
		t, places := &s.tallies[i], ""
		values := []any{s.part, t.Company, t.Subscription, record.Micros(t.At)}
		for _, n := range record.Counted(t) {
			values = append(values, n)
			places += ", $" + strconv.Itoa(len(values))
		}
		b.Queue(`INSERT INTO tallies AS t (part, company, subscription, at, hour, `+record.EachCounted("#")+`) VALUES ($1, $2, $3, $4, 0`+places+`)
			ON CONFLICT (part, company, subscription, at, hour) DO UPDATE SET `+record.EachCounted("# = t.# + excluded.#"), values...)
	}
	slices.SortFunc(s.pulses, func(a, b fattorino.Pulse) int { return cmp.Compare(a.Subscription, b.Subscription) })
	for _, p := range s.pulses {
		b.Queue(`INSERT INTO pulses AS p (part, subscription, succeeded_at, failed_at, in_a_row) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (part, subscription) DO UPDATE SET
				succeeded_at = coalesce(excluded.succeeded_at, p.succeeded_at), failed_at = coalesce(excluded.failed_at, p.failed_at),
				in_a_row = excluded.in_a_row + CASE WHEN $6 THEN 0 ELSE p.in_a_row END`,
			s.part, p.Subscription, optional(p.SucceededAt), optional(p.FailedAt), p.InARow, p.Broken)
	}
}

// RollTallies implements [fattorino.TallyTx]: the minute of one part.
func (t *tx) RollTallies(before time.Time) (bool, error) {
	part, at, found, err := t.oldestTally(0, before)
	if err != nil || !found {
		return false, err
	}
	var b pgx.Batch
	b.Queue(`INSERT INTO tallies AS t (part, company, subscription, at, hour, `+record.EachCounted("#")+`)
		SELECT part, company, subscription, $3, 1, `+record.EachCounted("#")+` FROM tallies WHERE part = $1 AND hour = 0 AND at = $2
		ON CONFLICT (part, company, subscription, at, hour) DO UPDATE SET `+record.EachCounted("# = t.# + excluded.#"), part, at, at-at%time.Hour.Microseconds())
	b.Queue(`DELETE FROM tallies WHERE part = $1 AND hour = 0 AND at = $2`, part, at)
	return true, t.tx.SendBatch(t.ctx, &b).Close()
}

// PruneTallies implements [fattorino.TallyTx]: the hour of one part.
func (t *tx) PruneTallies(before time.Time) (bool, error) {
	for hour := range 2 {
		part, at, found, err := t.oldestTally(hour, before)
		if err != nil {
			return false, err
		}
		if found {
			return true, t.exec(`DELETE FROM tallies WHERE part = $1 AND hour = $2 AND at = $3`, part, hour, at)
		}
	}
	return false, nil
}

// oldestTally finds the part that has the oldest minute (0) or hour (1) before
// the time, and when that was. One node at a time may.
func (t *tx) oldestTally(hour int, before time.Time) (part int16, at int64, found bool, err error) {
	if err := t.lockGlobal(); err != nil {
		return 0, 0, false, err
	}
	err = t.tx.QueryRow(t.ctx, `SELECT p.part, t.at FROM parts p, LATERAL (
			SELECT at FROM tallies WHERE part = p.part AND hour = $1 AND at < $2 ORDER BY at LIMIT 1
		) t ORDER BY t.at LIMIT 1`, hour, record.Micros(before)).Scan(&part, &at)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, 0, false, nil
	}
	return part, at, err == nil, err
}

// Tallies implements [fattorino.TallyReader].
func (s *Store) Tallies(ctx context.Context, q fattorino.TallyQuery) ([]fattorino.Tally, error) {
	return read(ctx, s, record.ScanTally(q.Company), `SELECT 0::bigint, t.at - t.at % $2::bigint, `+record.EachCounted("sum(t.#)::bigint")+`
		FROM unnest($4::bigint[]) AS u(subscription),
		LATERAL (SELECT * FROM tallies WHERE part = $1 AND company = $3 AND subscription = u.subscription AND at >= $5 AND at < $6 OFFSET 0) t
		GROUP BY 2 ORDER BY 2`,
		s.layout.of(q.Company), q.Step.Microseconds(), q.Company, q.Subscriptions, record.Micros(q.From), record.Micros(q.To))
}

// EachTally implements [fattorino.TallyReader]. It looks into the part of each
// of the subscriptions.
func (s *Store) EachTally(ctx context.Context, subscriptions []int64, from, to time.Time, step time.Duration) ([]fattorino.Tally, error) {
	return read(ctx, s, record.ScanTally(0), `SELECT t.subscription, t.at - t.at % $3::bigint, `+record.EachCounted("sum(t.#)::bigint")+`
		FROM unnest($1::smallint[], $2::bigint[]) AS u(part, subscription),
		LATERAL (SELECT company FROM subscriptions WHERE part = u.part AND id = u.subscription OFFSET 0) s,
		LATERAL (SELECT * FROM tallies WHERE part = u.part AND company = s.company AND subscription = u.subscription AND at >= $4 AND at < $5 OFFSET 0) t
		GROUP BY 1, 2 ORDER BY 1, 2`,
		s.partsOf(subscriptions), record.OrEmpty(subscriptions), step.Microseconds(), record.Micros(from), record.Micros(to))
}

// partsOf gives the part that each of the subscriptions lies in.
func (s *Store) partsOf(subscriptions []int64) []int16 {
	parts := make([]int16, len(subscriptions))
	for i, id := range subscriptions {
		parts[i] = s.layout.ofSubscription(id)
	}
	return parts
}

// Pulses implements [fattorino.TallyReader].
func (s *Store) Pulses(ctx context.Context, subscriptions []int64) ([]fattorino.Pulse, error) {
	return read(ctx, s, record.ScanPulse, `SELECT p.subscription, p.succeeded_at, p.failed_at, p.in_a_row FROM unnest($1::smallint[], $2::bigint[]) AS u(part, subscription),
		LATERAL (SELECT * FROM pulses WHERE part = u.part AND subscription = u.subscription OFFSET 0) p`, s.partsOf(subscriptions), record.OrEmpty(subscriptions))
}

// Unsettled implements [fattorino.TallyReader]. Where more is due than is
// counted, the oldest is that of those due soonest.
func (s *Store) Unsettled(ctx context.Context, subscription int64, most int) (left fattorino.Unsettled, err error) {
	part := s.layout.ofSubscription(subscription)
	settled, err := read(ctx, s, scanID, `SELECT settled FROM lanes WHERE part = $1 AND subscription = $2`, part, subscription)
	if err != nil {
		return left, err
	}
	oldest := int64(math.MaxInt64)
	for _, condition := range []string{`id > $3 AND state = 0 AND due_at IS NULL ORDER BY id`, `due_at IS NOT NULL AND $3::bigint >= 0 ORDER BY due_at`, `waits_for IS NOT NULL AND $3::bigint >= 0 ORDER BY id`} {
		after := int64(0)
		if len(settled) > 0 {
			after = settled[0]
		}
		found, err := read(ctx, s, scanCount, `SELECT count(*), coalesce(min(id), $5) FROM
			(SELECT id FROM deliveries WHERE part = $1 AND subscription = $2 AND `+condition+` LIMIT $4) d`, part, subscription, after, most, int64(math.MaxInt64))
		if err != nil {
			return left, err
		}
		left.Count += int(found[0][0])
		oldest = min(oldest, found[0][1])
	}
	if left.Count == 0 {
		return left, nil
	}
	accepted, err := read(ctx, s, scanID, `SELECT e.accepted_at FROM (SELECT event FROM deliveries WHERE part = $1 AND id = $2 OFFSET 0) d,
		LATERAL (SELECT accepted_at FROM events WHERE part = $1 AND key = d.event OFFSET 0) e`, part, oldest)
	if err == nil && len(accepted) > 0 {
		left.OldestAt = record.FromMicros(accepted[0])
	}
	return left, err
}

func scanCount(r record.Row) (n [2]int64, err error) { return n, r.Scan(&n[0], &n[1]) }
