package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// read reads from the tables that grow, by the plan that begin asks for and in
// one round trip.
func read[T any](ctx context.Context, s *Store, scan func(record.Row) (T, error), query string, args ...any) (all []T, err error) {
	var b pgx.Batch
	begin(&b)
	b.Queue(query, args...).Query(func(rows pgx.Rows) (err error) {
		all, err = collect(rows, nil, scan)
		return err
	})
	b.Queue(`COMMIT`)
	return all, translate(s.pool.SendBatch(ctx, &b).Close())
}

// Companies implements [fattorino.Reader].
func (s *Store) Companies(ctx context.Context, after int64, limit int) ([]*fattorino.Company, error) {
	rows, err := s.pool.Query(ctx, `SELECT c.* FROM parts p, LATERAL (
			SELECT id, name, last_seq, created_at FROM companies WHERE part = p.part AND id > $1 ORDER BY id LIMIT $2
		) c ORDER BY c.id LIMIT $2`, after, limit)
	return collect(rows, err, record.ScanCompany)
}

// Company implements [fattorino.Reader].
func (s *Store) Company(ctx context.Context, id int64) (*fattorino.Company, error) {
	return one(ctx, s.pool, "company", id, record.ScanCompany, `SELECT id, name, last_seq, created_at FROM companies WHERE part = $1 AND id = $2`, s.layout.of(id), id)
}

// Apps implements [fattorino.Reader].
func (s *Store) Apps(ctx context.Context, after int64, limit int) ([]*fattorino.App, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, name, created_at FROM apps WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
	return collect(rows, err, record.ScanApp)
}

// Tokens implements [fattorino.Reader].
func (s *Store) Tokens(ctx context.Context, after int64, limit int) ([]*fattorino.Token, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+record.TokenColumns+` FROM tokens WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
	return collect(rows, err, record.ScanToken)
}

// TokenByHash implements [fattorino.Reader].
func (s *Store) TokenByHash(ctx context.Context, hash []byte) (*fattorino.Token, error) {
	t, err := record.ScanToken(s.pool.QueryRow(ctx, `SELECT `+record.TokenColumns+` FROM tokens WHERE hash = $1`, hash))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fattorino.Errorf(fattorino.NotFound, "there is no such token")
	}
	return t, translate(err)
}

// Subscription implements [fattorino.Reader].
func (s *Store) Subscription(ctx context.Context, id int64) (*fattorino.Subscription, error) {
	return one(ctx, s.pool, "subscription", id, scanSubscription, selectSubscription+`WHERE part = $1 AND id = $2`, s.layout.ofSubscription(id), id)
}

// Subscriptions implements [fattorino.Reader].
func (s *Store) Subscriptions(ctx context.Context, company, app int64) ([]*fattorino.Subscription, error) {
	rows, err := s.pool.Query(ctx, selectSubscription+`WHERE part = $1 AND company = $2 AND ($3 = 0 OR app = $3)
		AND state IN ('unverified', 'active', 'disabled') ORDER BY id`, s.layout.of(company), company, app)
	return collect(rows, err, scanSubscription)
}

// SubscriptionIDs implements [fattorino.Reader].
func (s *Store) SubscriptionIDs(ctx context.Context, company, app int64) ([]int64, error) {
	rows, err := s.pool.Query(ctx, `SELECT id FROM subscriptions WHERE part = $1 AND company = $2 AND ($3 = 0 OR app = $3) ORDER BY id`, s.layout.of(company), company, app)
	return collect(rows, err, scanID)
}

// Keys implements [fattorino.Reader].
func (s *Store) Keys(ctx context.Context, name string) ([]*fattorino.Key, error) {
	rows, err := s.pool.Query(ctx, `SELECT kid, name, sealed, created_at, retired_at FROM keys WHERE name = $1
		ORDER BY retired_at IS NULL DESC, created_at DESC`, name)
	return collect(rows, err, record.ScanKey)
}

// LiveSubscriptions implements [fattorino.Store]. It reads part by part.
func (s *Store) LiveSubscriptions(ctx context.Context, f func(*fattorino.Subscription), parts ...int) error {
	for _, part := range s.orAll(parts) {
		rows, err := s.pool.Query(ctx, selectSubscription+`WHERE s.part = $1 AND (s.state IN ('unverified', 'active', 'disabled')
			OR s.id IN (SELECT subscription FROM deliveries WHERE part = $1 AND due_at IS NOT NULL)
			OR s.id IN (SELECT subscription FROM deliveries WHERE part = $1 AND waits_for IS NOT NULL)
			OR EXISTS (SELECT 1 FROM deliveries d WHERE d.part = $1 AND d.subscription = s.id AND d.state = 0
				AND d.id > coalesce((SELECT settled FROM lanes l WHERE l.part = $1 AND l.subscription = s.id), 0)))`, part)
		subscriptions, err := collect(rows, err, scanSubscription)
		if err != nil {
			return err
		}
		for _, sub := range subscriptions {
			f(sub)
		}
	}
	return nil
}

// Backlogs implements [fattorino.Store]. It costs a look-up in an index for
// each subscription, and reads what is due or waits.
func (s *Store) Backlogs(ctx context.Context, parts ...int) ([]fattorino.Backlog, error) {
	all := []fattorino.Backlog{}
	for _, part := range s.orAll(parts) {
		rows, err := s.pool.Query(ctx, `SELECT id, settled, coalesce(last, 0), due, waiting FROM (
			SELECT s.id, coalesce(l.settled, 0) AS settled, due.at AS due, w.subscription IS NOT NULL AS waiting,
				(SELECT max(d.id) FROM deliveries d WHERE d.part = $1 AND d.subscription = s.id AND d.id >= coalesce(l.settled, 0)) AS last
			FROM subscriptions s
			LEFT JOIN lanes l ON l.part = $1 AND l.subscription = s.id
			LEFT JOIN (SELECT subscription, min(due_at) AS at FROM deliveries WHERE part = $1 AND due_at IS NOT NULL GROUP BY subscription) due ON due.subscription = s.id
			LEFT JOIN (SELECT DISTINCT subscription FROM deliveries WHERE part = $1 AND waits_for IS NOT NULL) w ON w.subscription = s.id
			WHERE s.part = $1) b WHERE last > settled OR due IS NOT NULL OR waiting`, part)
		some, err := collect(rows, err, func(r record.Row) (b fattorino.Backlog, err error) {
			return b, r.Scan(&b.Subscription, &b.Settled, &b.Last, record.Micro{T: &b.NextDue}, &b.Waiting)
		})
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// Fresh implements [fattorino.Store].
func (s *Store) Fresh(ctx context.Context, subscription, after int64, limit int) ([]*fattorino.Delivery, error) {
	return s.ofLane(ctx, subscription, `AND d.id > $3 AND d.state = 0 AND d.due_at IS NULL ORDER BY d.id LIMIT $4`, after, limit)
}

// Due implements [fattorino.Store].
func (s *Store) Due(ctx context.Context, subscription int64, limit int) ([]*fattorino.Delivery, error) {
	return s.ofLane(ctx, subscription, `AND d.due_at IS NOT NULL ORDER BY d.due_at LIMIT $3`, limit)
}

// Waiting implements [fattorino.Store].
func (s *Store) Waiting(ctx context.Context, subscription, waitsFor int64, limit int) ([]*fattorino.Delivery, error) {
	if waitsFor == 0 {
		return s.ofLane(ctx, subscription, `AND d.waits_for IS NOT NULL ORDER BY d.id LIMIT $3`, limit)
	}
	return s.ofLane(ctx, subscription, `AND d.waits_for = $3 ORDER BY d.id LIMIT $4`, waitsFor, limit)
}

// ofLane reads deliveries of a subscription.
func (s *Store) ofLane(ctx context.Context, subscription int64, conditions string, args ...any) ([]*fattorino.Delivery, error) {
	return read(ctx, s, record.ScanDelivery, selectDelivery+`WHERE d.part = $1 AND d.subscription = $2 `+conditions,
		append([]any{s.layout.ofSubscription(subscription), subscription}, args...)...)
}

// WaitedFor implements [fattorino.Store].
func (s *Store) WaitedFor(ctx context.Context, subscription int64, limit int) ([]int64, error) {
	return read(ctx, s, scanID, `SELECT DISTINCT waits_for FROM deliveries WHERE part = $1 AND subscription = $2 AND waits_for IS NOT NULL LIMIT $3`,
		s.layout.ofSubscription(subscription), subscription, limit)
}
