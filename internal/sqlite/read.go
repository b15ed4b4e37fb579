package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/fattorino-dev/fattorino/internal/attemptlog"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// find reads a single row; no row is NotFound.
func find[T any](ctx context.Context, s *Store, what string, id int64, scan func(record.Row) (T, error), query string) (T, error) {
	found, err := scan(s.read.QueryRowContext(ctx, query, id))
	if errors.Is(err, sql.ErrNoRows) {
		return found, notFound(what, id)
	}
	return found, translate(err)
}

// Companies implements [fattorino.Reader].
func (s *Store) Companies(ctx context.Context, after int64, limit int) ([]*fattorino.Company, error) {
	rows, err := s.read.QueryContext(ctx, selectCompany+`WHERE c.id > ? ORDER BY c.id LIMIT ?`, after, limit)
	return collect(rows, err, record.ScanCompany)
}

// Company implements [fattorino.Reader].
func (s *Store) Company(ctx context.Context, id int64) (*fattorino.Company, error) {
	return find(ctx, s, "company", id, record.ScanCompany, selectCompany+`WHERE c.id = ?`)
}

// Apps implements [fattorino.Reader].
func (s *Store) Apps(ctx context.Context, after int64, limit int) ([]*fattorino.App, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, name, created_at FROM apps WHERE id > ? ORDER BY id LIMIT ?`, after, limit)
	return collect(rows, err, record.ScanApp)
}

// Tokens implements [fattorino.Reader].
func (s *Store) Tokens(ctx context.Context, after int64, limit int) ([]*fattorino.Token, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+record.TokenColumns+` FROM tokens WHERE id > ? ORDER BY id LIMIT ?`, after, limit)
	return collect(rows, err, record.ScanToken)
}

// TokenByHash implements [fattorino.Reader].
func (s *Store) TokenByHash(ctx context.Context, hash []byte) (*fattorino.Token, error) {
	t, err := record.ScanToken(s.read.QueryRowContext(ctx, `SELECT `+record.TokenColumns+` FROM tokens WHERE hash = ?`, hash))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fattorino.Errorf(fattorino.NotFound, "there is no such token")
	}
	return t, translate(err)
}

// Subscription implements [fattorino.Reader].
func (s *Store) Subscription(ctx context.Context, id int64) (*fattorino.Subscription, error) {
	return find(ctx, s, "subscription", id, record.ScanSubscription, `SELECT `+subscriptionColumns+` FROM subscriptions WHERE id = ?`)
}

// Subscriptions implements [fattorino.Reader].
func (s *Store) Subscriptions(ctx context.Context, company, app int64) ([]*fattorino.Subscription, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+subscriptionColumns+` FROM subscriptions
		WHERE company = ? AND (? = 0 OR app = ?) AND state IN ('unverified', 'active', 'disabled') ORDER BY id`, company, app, app)
	return collect(rows, err, record.ScanSubscription)
}

// SubscriptionIDs implements [fattorino.Reader].
func (s *Store) SubscriptionIDs(ctx context.Context, company, app int64) ([]int64, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id FROM subscriptions WHERE company = ? AND (? = 0 OR app = ?) ORDER BY id`, company, app, app)
	return collect(rows, err, func(r record.Row) (id int64, err error) { return id, r.Scan(&id) })
}

// LiveSubscriptions implements [fattorino.Store].
func (s *Store) LiveSubscriptions(ctx context.Context, f func(*fattorino.Subscription), _ ...int) error {
	const due = `(EXISTS (SELECT 1 FROM deliveries d WHERE d.subscription = s.id AND d.due_at IS NOT NULL)
		OR EXISTS (SELECT 1 FROM deliveries d WHERE d.subscription = s.id AND d.waits_for IS NOT NULL))`
	const live = `state IN ('unverified', 'active', 'disabled')`
	err := s.eachSubscription(ctx, f, live+` OR `+due)
	if err != nil {
		return err
	}
	var maybe []*fattorino.Subscription
	note := func(sub *fattorino.Subscription) { maybe = append(maybe, sub) }
	if err := s.eachSubscription(ctx, note, `NOT `+live+` AND NOT `+due+` AND `+lastOf+` > `+settledOf); err != nil {
		return err
	}
	for _, sub := range maybe {
		left, err := s.Unsettled(ctx, sub.ID, 1)
		if err != nil {
			return err
		}
		if left.Count > 0 {
			f(sub)
		}
	}
	return nil
}

// Of a subscription s: the id of its newest delivery, and up to where it is known
// to be settled.
const (
	lastOf    = `coalesce((SELECT p.last FROM lane_pages p WHERE p.subscription = s.id ORDER BY p.first DESC LIMIT 1), 0)`
	settledOf = `coalesce((SELECT l.settled FROM lanes l WHERE l.subscription = s.id), 0)`
)

func (s *Store) eachSubscription(ctx context.Context, f func(*fattorino.Subscription), where string) error {
	rows, err := s.read.QueryContext(ctx, `SELECT `+subscriptionColumns+` FROM subscriptions s WHERE `+where)
	if err != nil {
		return translate(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says what is wrong
	for rows.Next() {
		sub, err := record.ScanSubscription(rows)
		if err != nil {
			return translate(err)
		}
		f(sub)
	}
	return translate(rows.Err())
}

// Backlogs implements [fattorino.Store]. It costs two look-ups in an index for
// each subscription, however long the log.
func (s *Store) Backlogs(ctx context.Context, _ ...int) ([]fattorino.Backlog, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, settled, last, due, waiting FROM (
		SELECT s.id, `+settledOf+` AS settled, `+lastOf+` AS last,
			(SELECT min(d.due_at) FROM deliveries d WHERE d.subscription = s.id AND d.due_at IS NOT NULL) AS due,
			EXISTS (SELECT 1 FROM deliveries d WHERE d.subscription = s.id AND d.waits_for IS NOT NULL) AS waiting
		FROM subscriptions s) WHERE last > settled OR due IS NOT NULL OR waiting`)
	return collect(rows, err, func(r record.Row) (b fattorino.Backlog, err error) {
		return b, r.Scan(&b.Subscription, &b.Settled, &b.Last, record.Micro{T: &b.NextDue}, &b.Waiting)
	})
}

// WaitedFor implements [fattorino.Store].
func (s *Store) WaitedFor(ctx context.Context, subscription int64, limit int) ([]int64, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT DISTINCT waits_for FROM deliveries
		WHERE subscription = ? AND waits_for IS NOT NULL LIMIT ?`, subscription, limit)
	return collect(rows, err, func(r record.Row) (key int64, err error) { return key, r.Scan(&key) })
}

// OldestSeq implements [fattorino.Reader].
func (s *Store) OldestSeq(ctx context.Context, company int64) (seq int64, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT coalesce(min(seq), 0) FROM events WHERE company = ? AND seq > 0`, company).Scan(&seq)
	return seq, translate(err)
}

// Delivery implements [fattorino.Reader].
func (s *Store) Delivery(ctx context.Context, id int64) (d *fattorino.Delivery, err error) {
	err = s.snapshot(ctx, func(h *hot) error {
		d, err = delivery(h, id)
		return err
	})
	return d, err
}

// selectAttempts reads the pages of a delivery's attempts; ?2 is that of the first
// where it is among the successes.
const selectAttempts = `SELECT p.number, a.attempts FROM (
		SELECT 1 AS number, coalesce((SELECT page FROM deliveries WHERE id = ?1), ?2) AS page
		UNION ALL SELECT number, page FROM retries WHERE delivery = ?1) p
	JOIN attempts a USING (page) ORDER BY p.number`

// Attempts implements [fattorino.Reader].
func (s *Store) Attempts(ctx context.Context, delivery int64) ([]*fattorino.Attempt, error) {
	all := []*fattorino.Attempt{}
	err := s.snapshot(ctx, func(h *hot) error {
		successes, err := successesOf(h, []int64{delivery})
		if err != nil {
			return err
		}
		r, _, err := refOf(h, delivery)
		if err != nil {
			return err
		}
		data, err := dataOf(h, r.event)
		if err != nil {
			return err
		}
		return h.query(2, func(row []driver.Value) error {
			number := int(row[0].(int64))
			a, found, err := attemptlog.Find(row[1].([]byte), delivery, number, data)
			if err == nil && !found {
				err = fmt.Errorf("attempt %d of delivery %d is not on its page", number, delivery)
			}
			all = append(all, a)
			return err
		}, selectAttempts, delivery, record.NotZero(successes[delivery].page))
	})
	return all, err
}

// Keys implements [fattorino.Reader].
func (s *Store) Keys(ctx context.Context, name string) ([]*fattorino.Key, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT kid, name, sealed, created_at, retired_at FROM keys WHERE name = ?
		ORDER BY retired_at IS NULL DESC, created_at DESC`, name)
	return collect(rows, err, record.ScanKey)
}
