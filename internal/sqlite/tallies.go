package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// tally writes what was counted.
func (c *commit) tally(b *fattorino.Batch) error {
	if len(b.Tallies) == 0 && len(b.Pulses) == 0 {
		return nil
	}
	add := `INSERT INTO tallies VALUES (?, ?, ?, 0, ` + record.EachCounted("?") + `) ON CONFLICT DO UPDATE SET ` + record.EachCounted("# = # + excluded.#")
	for i := range b.Tallies {
		t := &b.Tallies[i]
		values := []driver.Value{t.Company, t.Subscription, record.Micros(t.At)}
		for _, n := range record.Counted(t) {
			values = append(values, n)
		}
		if err := c.exec(add, values...); err != nil {
			return err
		}
	}
	for _, p := range b.Pulses {
		if err := c.exec(putPulse, p.Subscription, record.Optional(p.SucceededAt), record.Optional(p.FailedAt), p.InARow, p.Broken); err != nil {
			return err
		}
	}
	return nil
}

const putPulse = `INSERT INTO pulses VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET
	succeeded_at = coalesce(excluded.succeeded_at, succeeded_at), failed_at = coalesce(excluded.failed_at, failed_at),
	in_a_row = excluded.in_a_row + CASE WHEN ?5 THEN 0 ELSE in_a_row END`

// RollTallies implements [fattorino.TallyTx].
func (t *tx) RollTallies(before time.Time) (bool, error) {
	at, found, err := t.oldestTally(0, before)
	if err != nil || !found {
		return false, err
	}
	hour := at - at%time.Hour.Microseconds()
	_, err = t.exec(`INSERT INTO tallies SELECT company, subscription, ?, 1, `+record.EachCounted("#")+` FROM tallies WHERE hour = 0 AND at = ?
		ON CONFLICT DO UPDATE SET `+record.EachCounted("# = # + excluded.#"), hour, at)
	if err == nil {
		_, err = t.exec(`DELETE FROM tallies WHERE hour = 0 AND at = ?`, at)
	}
	return true, err
}

// PruneTallies implements [fattorino.TallyTx].
func (t *tx) PruneTallies(before time.Time) (bool, error) {
	for hour := range 2 {
		at, found, err := t.oldestTally(hour, before)
		if err != nil || found {
			_, err := t.exec(`DELETE FROM tallies WHERE hour = ? AND at = ?`, hour, at)
			return true, err
		}
	}
	return false, nil
}

// oldestTally finds when the oldest minute (0) or hour (1) before the time was.
func (t *tx) oldestTally(hour int, before time.Time) (at int64, found bool, err error) {
	err = t.tx.QueryRowContext(t.ctx, selectOldestTally, hour, record.Micros(before)).Scan(&at, &found)
	return at, found, err
}

const selectOldestTally = `SELECT coalesce(min(at), 0), count(*) > 0 FROM
	(SELECT at FROM tallies WHERE hour = ? AND at < ? ORDER BY at LIMIT 1)`

const selectPulses = `SELECT subscription, succeeded_at, failed_at, in_a_row FROM pulses
	WHERE subscription IN (SELECT value FROM json_each(?))`

const selectTallies = `SELECT 0, at - at % ?1 AS step, `

const ofTallies = ` FROM tallies WHERE company = ?2 AND subscription IN (SELECT value FROM json_each(?3)) AND at >= ?4 AND at < ?5
	GROUP BY step ORDER BY step`

// Tallies implements [fattorino.TallyReader].
func (s *Store) Tallies(ctx context.Context, q fattorino.TallyQuery) ([]fattorino.Tally, error) {
	rows, err := s.read.QueryContext(ctx, selectTallies+record.EachCounted("sum(#)")+ofTallies,
		q.Step.Microseconds(), q.Company, record.ToJSON(record.OrEmpty(q.Subscriptions)), record.Micros(q.From), record.Micros(q.To))
	return collect(rows, err, record.ScanTally(q.Company))
}

const selectEachTally = `SELECT t.subscription, t.at - t.at % ?1 AS step, `

const ofEachTally = ` FROM subscriptions s CROSS JOIN tallies t
	WHERE s.id IN (SELECT value FROM json_each(?2)) AND t.company = s.company AND t.subscription = s.id AND t.at >= ?3 AND t.at < ?4
	GROUP BY t.subscription, step ORDER BY t.subscription, step`

// EachTally implements [fattorino.TallyReader].
func (s *Store) EachTally(ctx context.Context, subscriptions []int64, from, to time.Time, step time.Duration) ([]fattorino.Tally, error) {
	rows, err := s.read.QueryContext(ctx, selectEachTally+record.EachCounted("sum(t.#)")+ofEachTally,
		step.Microseconds(), record.ToJSON(record.OrEmpty(subscriptions)), record.Micros(from), record.Micros(to))
	return collect(rows, err, record.ScanTally(0))
}

// Pulses implements [fattorino.TallyReader].
func (s *Store) Pulses(ctx context.Context, subscriptions []int64) ([]fattorino.Pulse, error) {
	rows, err := s.read.QueryContext(ctx, selectPulses, record.ToJSON(record.OrEmpty(subscriptions)))
	return collect(rows, err, record.ScanPulse)
}

// What is left of a subscription is what was never tried, which is looked for in
// its lane behind what that is known to have settled, what is due again, and what
// waits: those two are found in indexes.
const (
	countDue = `SELECT count(*), (SELECT id FROM deliveries INDEXED BY deliveries_failed
			WHERE subscription = ?1 AND state = 0 AND due_at IS NOT NULL ORDER BY id LIMIT 1)
		FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_due WHERE subscription = ?1 AND due_at IS NOT NULL LIMIT ?2)`
	countWaiting = `SELECT count(*), (SELECT id FROM deliveries INDEXED BY deliveries_failed
			WHERE subscription = ?1 AND state >= 2 AND state = 3 ORDER BY id LIMIT 1)
		FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_waiting WHERE subscription = ?1 AND waits_for IS NOT NULL LIMIT ?2)`
)

// Unsettled implements [fattorino.TallyReader].
func (s *Store) Unsettled(ctx context.Context, subscription int64, most int) (left fattorino.Unsettled, err error) {
	err = s.snapshot(ctx, func(h *hot) error {
		oldest, err := s.countFresh(h, subscription, most, &left)
		if err != nil {
			return fmt.Errorf("count what is left: %w", err)
		}
		for _, query := range []string{countDue, countWaiting} {
			err := h.query(2, func(row []driver.Value) error {
				left.Count += int(row[0].(int64))
				if id, found := row[1].(int64); found && (oldest.id == 0 || id < oldest.id) {
					oldest = ref{id: id}
				}
				return nil
			}, query, subscription, int64(most))
			if err != nil {
				return fmt.Errorf("count what is left: %w", err)
			}
		}
		return h.query(1, func(row []driver.Value) error {
			left.OldestAt = timeOf(row[0])
			return nil
		}, `SELECT accepted_at FROM events WHERE key = coalesce((SELECT event FROM deliveries WHERE id = ?), ?)`, oldest.id, oldest.event)
	})
	return left, err
}

// countFresh counts what was never tried, up to most, and gives the oldest.
func (s *Store) countFresh(h *hot, subscription int64, most int, left *fattorino.Unsettled) (oldest ref, err error) {
	settled, err := numbers(h, `SELECT settled FROM lanes WHERE subscription = ?`, subscription)
	if err != nil {
		return oldest, err
	}
	refs, _, err := fresh(h, &s.untried, subscription, append(settled, 0)[0], most)
	if len(refs) > 0 {
		oldest = refs[0]
	}
	left.Count += len(refs)
	return oldest, err
}
