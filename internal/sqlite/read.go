package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/attemptlog"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// find reads a single row; no row is NotFound.
func find[T any](ctx context.Context, s *Store, what string, id int64, scan func(row) (T, error), query string) (T, error) {
	found, err := scan(s.read.QueryRowContext(ctx, query, id))
	if errors.Is(err, sql.ErrNoRows) {
		return found, notFound(what, id)
	}
	return found, translate(err)
}

// Companies implements [fattorino.Reader].
func (s *Store) Companies(ctx context.Context, after int64, limit int) ([]*fattorino.Company, error) {
	rows, err := s.read.QueryContext(ctx, selectCompany+`WHERE c.id > ? ORDER BY c.id LIMIT ?`, after, limit)
	return collect(rows, err, scanCompany)
}

// Company implements [fattorino.Reader].
func (s *Store) Company(ctx context.Context, id int64) (*fattorino.Company, error) {
	return find(ctx, s, "company", id, scanCompany, selectCompany+`WHERE c.id = ?`)
}

// Apps implements [fattorino.Reader].
func (s *Store) Apps(ctx context.Context, after int64, limit int) ([]*fattorino.App, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, name, created_at FROM apps WHERE id > ? ORDER BY id LIMIT ?`, after, limit)
	return collect(rows, err, scanApp)
}

// Tokens implements [fattorino.Reader].
func (s *Store) Tokens(ctx context.Context, after int64, limit int) ([]*fattorino.Token, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+tokenColumns+` FROM tokens WHERE id > ? ORDER BY id LIMIT ?`, after, limit)
	return collect(rows, err, scanToken)
}

// TokenByHash implements [fattorino.Reader].
func (s *Store) TokenByHash(ctx context.Context, hash []byte) (*fattorino.Token, error) {
	t, err := scanToken(s.read.QueryRowContext(ctx, `SELECT `+tokenColumns+` FROM tokens WHERE hash = ?`, hash))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fattorino.Errorf(fattorino.NotFound, "there is no such token")
	}
	return t, translate(err)
}

// Subscription implements [fattorino.Reader].
func (s *Store) Subscription(ctx context.Context, id int64) (*fattorino.Subscription, error) {
	return find(ctx, s, "subscription", id, scanSubscription, `SELECT `+subscriptionColumns+` FROM subscriptions WHERE id = ?`)
}

// Subscriptions implements [fattorino.Reader].
func (s *Store) Subscriptions(ctx context.Context, company, app int64) ([]*fattorino.Subscription, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+subscriptionColumns+` FROM subscriptions
		WHERE company = ? AND (? = 0 OR app = ?) AND state IN ('unverified', 'active', 'disabled') ORDER BY id`, company, app, app)
	return collect(rows, err, scanSubscription)
}

// SubscriptionIDs implements [fattorino.Reader].
func (s *Store) SubscriptionIDs(ctx context.Context, company, app int64) ([]int64, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id FROM subscriptions WHERE company = ? AND (? = 0 OR app = ?) ORDER BY id`, company, app, app)
	return collect(rows, err, func(r row) (id int64, err error) { return id, r.Scan(&id) })
}

// LiveSubscriptions implements [fattorino.Store].
func (s *Store) LiveSubscriptions(ctx context.Context, f func(*fattorino.Subscription)) error {
	rows, err := s.read.QueryContext(ctx, `SELECT `+subscriptionColumns+` FROM subscriptions s WHERE state IN ('unverified', 'active', 'disabled')
		OR EXISTS (SELECT 1 FROM deliveries d WHERE d.subscription = s.id AND d.due_at IS NOT NULL)
		OR EXISTS (SELECT 1 FROM deliveries d WHERE d.subscription = s.id AND d.waits_for IS NOT NULL)
		OR EXISTS (SELECT 1 FROM deliveries d WHERE d.subscription = s.id AND d.state = 0
			AND d.id > coalesce((SELECT settled FROM lanes l WHERE l.subscription = s.id), 0))`)
	if err != nil {
		return translate(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says what is wrong
	for rows.Next() {
		sub, err := scanSubscription(rows)
		if err != nil {
			return translate(err)
		}
		f(sub)
	}
	return translate(rows.Err())
}

// Backlogs implements [fattorino.Store]. It costs two look-ups in an index for
// each subscription, however long the log.
func (s *Store) Backlogs(ctx context.Context) ([]fattorino.Backlog, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, settled, last, due, waiting FROM (
		SELECT s.id,
			coalesce((SELECT settled FROM lanes l WHERE l.subscription = s.id), 0) AS settled,
			coalesce((SELECT max(d.id) FROM deliveries d WHERE d.subscription = s.id), 0) AS last,
			(SELECT min(d.due_at) FROM deliveries d WHERE d.subscription = s.id AND d.due_at IS NOT NULL) AS due,
			EXISTS (SELECT 1 FROM deliveries d WHERE d.subscription = s.id AND d.waits_for IS NOT NULL) AS waiting
		FROM subscriptions s) WHERE last > settled OR due IS NOT NULL OR waiting`)
	return collect(rows, err, func(r row) (b fattorino.Backlog, err error) {
		return b, r.Scan(&b.Subscription, &b.Settled, &b.Last, micro{&b.NextDue}, &b.Waiting)
	})
}

// WaitedFor implements [fattorino.Store].
func (s *Store) WaitedFor(ctx context.Context, subscription int64, limit int) ([]int64, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT DISTINCT waits_for FROM deliveries
		WHERE subscription = ? AND waits_for IS NOT NULL LIMIT ?`, subscription, limit)
	return collect(rows, err, func(r row) (key int64, err error) { return key, r.Scan(&key) })
}

// Events implements [fattorino.Reader].
func (s *Store) Events(ctx context.Context, q fattorino.EventQuery) ([]*fattorino.Event, error) {
	where, args := `WHERE e.company = ? AND e.seq > ? AND e.seq > 0`, []any{q.Company, q.After}
	where, args = ofTypes(where, args, q.Types)
	rows, err := s.read.QueryContext(ctx, `SELECT `+eventColumns+` FROM events e `+where+` ORDER BY e.seq LIMIT ?`, append(args, q.Limit)...)
	return collect(rows, err, scanEvent)
}

// ofTypes adds the condition that an event has one of the types, or stands for
// one of them as a common name.
func ofTypes(where string, args []any, types []string) (string, []any) {
	if len(types) == 0 {
		return where, args
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(types)), ", ")
	for range 2 {
		for _, t := range types {
			args = append(args, t)
		}
	}
	return where + ` AND (e.type IN (` + marks + `) OR e.common IN (` + marks + `))`, args
}

// OldestSeq implements [fattorino.Reader].
func (s *Store) OldestSeq(ctx context.Context, company int64) (seq int64, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT coalesce(min(seq), 0) FROM events WHERE company = ? AND seq > 0`, company).Scan(&seq)
	return seq, translate(err)
}

// Delivery implements [fattorino.Reader].
func (s *Store) Delivery(ctx context.Context, id int64) (*fattorino.Delivery, error) {
	return find(ctx, s, "delivery", id, scanDelivery, selectDelivery+`WHERE d.id = ?`)
}

// Deliveries implements [fattorino.Reader]. It reads a page of each
// subscription from its own index and merges the newest.
func (s *Store) Deliveries(ctx context.Context, q fattorino.DeliveryQuery) ([]*fattorino.Delivery, error) {
	where, args, err := s.deliveryFilter(ctx, q)
	if err != nil {
		return nil, err
	}
	var all []*fattorino.Delivery
	for _, subscription := range q.Subscriptions {
		rows, err := s.read.QueryContext(ctx, selectDelivery+`WHERE d.subscription = ? AND `+where+` ORDER BY d.id DESC LIMIT ?`,
			append(append([]any{subscription}, args...), q.Limit)...)
		page, err := collect(rows, err, scanDelivery)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
	}
	slices.SortFunc(all, func(a, b *fattorino.Delivery) int { return cmp.Compare(b.ID, a.ID) })
	return all[:min(len(all), q.Limit)], nil
}

// deliveryFilter gives the conditions that hold whatever the subscription.
func (s *Store) deliveryFilter(ctx context.Context, q fattorino.DeliveryQuery) (where string, args []any, err error) {
	where = `d.id > 0`
	if q.Before > 0 {
		where, args = where+` AND d.id < ?`, append(args, q.Before)
	}
	for _, bound := range []struct {
		at   time.Time
		test string
	}{{q.From, ` AND d.id >= ?`}, {q.To, ` AND d.id < ?`}} {
		if bound.at.IsZero() {
			continue
		}
		id, err := s.deliveryAt(ctx, bound.at)
		if err != nil {
			return "", nil, err
		}
		where, args = where+bound.test, append(args, id)
	}
	if q.State != nil {
		where += fmt.Sprintf(` AND d.state = %d`, *q.State) // as text, so that the index of discarded ones serves
	}
	if q.Entity != "" {
		where, args = ofEntity(where, args, q.Entity)
	}
	where, args = ofTypes(where, args, q.Types)
	return where, args, nil
}

// ofEntity adds the condition that an event is about the entity, alone or with
// others of its type.
func ofEntity(where string, args []any, entity string) (string, []any) {
	typ, id, _ := strings.Cut(entity, "/")
	return where + ` AND (e.entity = ? OR (substr(e.entity, 1, length(?)) = ? AND instr(',' || substr(e.entity, length(?) + 1) || ',', ?) > 0))`,
		append(args, entity, typ+"/", typ+"/", typ+"/", ","+id+",")
}

// deliveryAt gives the id of the first delivery made at or after the time. Ids
// and times of acceptance grow together, so a binary search finds it without
// an index on time.
func (s *Store) deliveryAt(ctx context.Context, at time.Time) (int64, error) {
	var low, high int64
	// One at a time, for SQLite finds both in the index then, and reads the whole
	// table else.
	if err := s.read.QueryRowContext(ctx, `SELECT coalesce((SELECT min(key) FROM events), 0), coalesce((SELECT max(key) FROM events), 0) + 1`).Scan(&low, &high); err != nil {
		return 0, translate(err)
	}
	for low < high {
		middle := (low + high) / 2
		var key, accepted int64
		err := s.read.QueryRowContext(ctx, `SELECT key, accepted_at FROM events WHERE key >= ? ORDER BY key LIMIT 1`, middle).Scan(&key, &accepted)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			high = middle
		case err != nil:
			return 0, translate(err)
		case accepted < micros(at):
			low = key + 1
		default:
			high = middle
		}
	}
	var first int64
	err := s.read.QueryRowContext(ctx, `SELECT first_delivery FROM events WHERE key >= ? ORDER BY key LIMIT 1`, low).Scan(&first)
	if errors.Is(err, sql.ErrNoRows) {
		return 1 << 62, nil // later than everything
	}
	return first, translate(err)
}

// Attempts implements [fattorino.Reader].
func (s *Store) Attempts(ctx context.Context, delivery int64) ([]*fattorino.Attempt, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT p.number, a.attempts FROM (
			SELECT 1 AS number, page FROM deliveries WHERE id = ? AND page IS NOT NULL
			UNION ALL SELECT number, page FROM retries WHERE delivery = ?) p
		JOIN attempts a USING (page) ORDER BY p.number`, delivery, delivery)
	return collect(rows, err, func(r row) (*fattorino.Attempt, error) {
		var number int
		var page sql.RawBytes
		if err := r.Scan(&number, &page); err != nil {
			return nil, err
		}
		a, found, err := attemptlog.Find(page, delivery, number)
		if err == nil && !found {
			err = fmt.Errorf("attempt %d of delivery %d is not on its page", number, delivery)
		}
		return a, err
	})
}

// Keys implements [fattorino.Reader].
func (s *Store) Keys(ctx context.Context, name string) ([]*fattorino.Key, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT kid, name, sealed, created_at, retired_at FROM keys WHERE name = ?
		ORDER BY retired_at IS NULL DESC, created_at DESC`, name)
	return collect(rows, err, scanKey)
}
