package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// tx implements [fattorino.Tx].
type tx struct {
	ctx context.Context //nolint:containedctx // it lives as long as the call of Update
	*Store
	tx      pgx.Tx
	parts   map[int16]*state // those that are locked
	global  bool             // what belongs to no company is locked
	changed bool             // and is going to be another
	given   []*int64         // where ids were put
}

// Update implements [fattorino.Store]. A part is locked when f first asks for
// something in it, so what f reads there is as it will be when f's changes are
// committed.
func (s *Store) Update(ctx context.Context, f func(fattorino.Tx) error) error {
	return retry(ctx, func(ctx context.Context) error { return s.update(ctx, f) }, func() bool { return false })
}

// update runs f once.
func (s *Store) update(ctx context.Context, f func(fattorino.Tx) error) (err error) {
	t, err := s.pool.Begin(ctx)
	if err != nil {
		return err
	}
	u := &tx{ctx: ctx, Store: s, tx: t, parts: map[int16]*state{}}
	defer func() {
		if err != nil {
			_ = t.Rollback(ctx) // where it ended otherwise, nothing was written either
			u.takeBack()
		}
	}()
	if err := u.exec(`SELECT set_config('idle_in_transaction_session_timeout', '10s', true)`); err != nil {
		return err
	}
	if err := f(u); err != nil {
		return err
	}
	var name transactionName
	if err := t.QueryRow(ctx, nameTransaction).Scan(&name.xid, &name.server); err != nil {
		return err
	}
	err = t.Commit(ctx)
	if err == nil || refused(err) || errors.Is(err, pgx.ErrTxCommitRollback) {
		return err
	}
	done, lookErr := committed(context.WithoutCancel(ctx), s.pool, name)
	switch {
	case lookErr != nil:
		return errors.Join(errUnknown, err, lookErr)
	case done:
		return nil
	}
	return err
}

// takeBack makes what was given an id new again, so that f may be run once more.
func (t *tx) takeBack() {
	for _, id := range t.given {
		*id = 0
	}
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.tx.Exec(t.ctx, query, args...)
	return err
}

// lock locks a part for the rest of the transaction.
func (t *tx) lock(part int16) (*state, error) {
	if st := t.parts[part]; st != nil {
		return st, nil
	}
	var st state
	err := t.tx.QueryRow(t.ctx, `SELECT day, number, accepted_at FROM parts WHERE part = $1 FOR UPDATE`, part).Scan(&st.day, &st.number, &st.accepted)
	if err != nil {
		return nil, fmt.Errorf("lock part %d: %w", part, err)
	}
	t.parts[part] = &st
	return &st, nil
}

// lockGlobal locks what belongs to no company, but for counters.
func (t *tx) lockGlobal() error {
	if t.global {
		return nil
	}
	t.global = true
	return t.exec(`SELECT 1 FROM installation FOR UPDATE`)
}

// changeGlobal locks what belongs to no company, and lets every node know that
// it is another.
func (t *tx) changeGlobal() error {
	if err := t.lockGlobal(); err != nil || t.changed {
		return err
	}
	t.changed = true
	return t.exec(`UPDATE installation SET version = version + 1`)
}

// in runs a statement in a part.
func (t *tx) in(part int16, query string, args ...any) error {
	if _, err := t.lock(part); err != nil {
		return err
	}
	return t.exec(query, append([]any{part}, args...)...)
}

// one reads a single row; no row is NotFound.
func one[T any](ctx context.Context, q querier, what string, id int64, scan func(record.Row) (T, error), query string, args ...any) (T, error) {
	found, err := scan(q.QueryRow(ctx, query, args...))
	if errors.Is(err, pgx.ErrNoRows) {
		return found, notFound(what, id)
	}
	return found, translate(err)
}

func (t *tx) EnsureCompany(id int64, now time.Time) error {
	return t.in(t.layout.of(id), `INSERT INTO companies (part, id, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, id, record.Micros(now))
}

func (t *tx) NameCompany(id int64, name string) error {
	return t.in(t.layout.of(id), `UPDATE companies SET name = $3 WHERE part = $1 AND id = $2`, id, name)
}

func (t *tx) PutApp(a *fattorino.App) error {
	t.given = append(t.given, &a.ID)
	return t.tx.QueryRow(t.ctx, `INSERT INTO apps (name, created_at) VALUES ($1, $2) RETURNING id`, a.Name, record.Micros(a.CreatedAt)).Scan(&a.ID)
}

func (t *tx) App(id int64) (*fattorino.App, error) {
	return one(t.ctx, t.tx, "app", id, record.ScanApp, `SELECT id, name, created_at FROM apps WHERE id = $1`, id)
}

func (t *tx) PutToken(k *fattorino.Token) error {
	if err := t.changeGlobal(); err != nil {
		return err
	}
	if k.ID != 0 {
		return t.exec(`UPDATE tokens SET expires_at = $2, revoked_at = $3 WHERE id = $1`, k.ID, optional(k.ExpiresAt), optional(k.RevokedAt))
	}
	t.given = append(t.given, &k.ID)
	return t.tx.QueryRow(t.ctx, `INSERT INTO tokens (kind, app, companies, scopes, hash, hint, created_at, expires_at, revoked_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id`, string(k.Kind), k.App, record.ToJSON(record.OrEmpty(k.Companies)), record.ToJSON(record.OrEmpty(k.Scopes)),
		k.Hash, k.Hint, record.Micros(k.CreatedAt), optional(k.ExpiresAt), optional(k.RevokedAt)).Scan(&k.ID)
}

func (t *tx) Token(id int64) (*fattorino.Token, error) {
	if err := t.lockGlobal(); err != nil {
		return nil, err
	}
	return one(t.ctx, t.tx, "token", id, record.ScanToken, `SELECT `+record.TokenColumns+` FROM tokens WHERE id = $1`, id)
}

func (t *tx) Subscription(id int64) (*fattorino.Subscription, error) {
	part := t.layout.ofSubscription(id)
	if _, err := t.lock(part); err != nil {
		return nil, err
	}
	return one(t.ctx, t.tx, "subscription", id, scanSubscription, selectSubscription+`WHERE part = $1 AND id = $2`, part, id)
}

func (t *tx) OwnSubscriptions(company, app int64) ([]*fattorino.Subscription, error) {
	part := t.layout.of(company)
	if _, err := t.lock(part); err != nil {
		return nil, err
	}
	rows, err := t.tx.Query(t.ctx, selectSubscription+`WHERE part = $1 AND company = $2 AND app = $3
		AND state IN ('unverified', 'active', 'disabled') ORDER BY id`, part, company, app)
	return collect(rows, err, scanSubscription)
}

func (t *tx) PutSubscription(s *fattorino.Subscription) error {
	part := t.layout.of(s.Company)
	if _, err := t.lock(part); err != nil {
		return err
	}
	err := t.tx.QueryRow(t.ctx, `UPDATE parts SET version = version + 1 WHERE part = $1 RETURNING version`, part).Scan(&s.Version)
	if err != nil {
		return err
	}
	if s.ID != 0 {
		return t.exec(updateSubscription, subscriptionValues(part, s)...)
	}
	var number int64
	if err := t.tx.QueryRow(t.ctx, `SELECT nextval('subscription_numbers')`).Scan(&number); err != nil {
		return err
	}
	t.given = append(t.given, &s.ID)
	s.ID = t.layout.subscription(part, number)
	return t.exec(insertSubscription, subscriptionValues(part, s)...)
}

func (t *tx) PutPrivate(e *fattorino.Event, subscription int64) (*fattorino.Delivery, error) {
	part := t.layout.of(e.Company)
	st, err := t.lock(part)
	if err != nil {
		return nil, err
	}
	st.accepted = t.accept(record.Micros(e.Accepted), st.accepted)
	key, day := st.next(t.layout, part, st.accepted, 2)
	if err := t.days.ensure(t.ctx, t.tx, day); err != nil {
		return nil, err
	}
	e.Key, e.Accepted = key, record.FromMicros(st.accepted)
	d := &fattorino.Delivery{ID: key + 1, Subscription: subscription, Event: e}
	var events eventRows
	events.add(part, e, d.ID, 1)
	var deliveries newDeliveryRows
	deliveries.add(part, d.ID, key, subscription)
	var b pgx.Batch
	events.insert(&b, t.spread, day)
	deliveries.insert(&b, t.spread, day)
	b.Queue(`UPDATE parts SET day = $2, number = $3, accepted_at = $4 WHERE part = $1`, part, st.day, st.number, st.accepted)
	return d, t.tx.SendBatch(t.ctx, &b).Close()
}

func (t *tx) Delivery(id int64) (*fattorino.Delivery, error) {
	part := t.layout.ofID(id)
	if _, err := t.lock(part); err != nil {
		return nil, err
	}
	return one(t.ctx, t.tx, "delivery", id, record.ScanDelivery, selectDelivery+`WHERE d.part = $1 AND d.id = $2`, part, id)
}

func (t *tx) PutDelivery(d *fattorino.Delivery) error {
	part, day := t.layout.ofID(d.ID), t.layout.dayOf(d.ID)
	if _, err := t.lock(part); err != nil {
		return err
	}
	var rows deliveryRows
	rows.add(part, d, nil)
	var b pgx.Batch
	rows.update(&b, t.spread, day)
	b.Queue(`UPDATE parts SET resent = resent + 1 WHERE part = $1`, part)
	return t.tx.SendBatch(t.ctx, &b).Close()
}

func (t *tx) PutKey(k *fattorino.Key) error {
	if err := t.changeGlobal(); err != nil {
		return err
	}
	return t.exec(`INSERT INTO keys (kid, name, sealed, created_at, retired_at) VALUES ($1, $2, $3, $4, $5)`,
		k.KID, k.Name, k.Sealed, record.Micros(k.CreatedAt), optional(k.RetiredAt))
}

func (t *tx) RetireKeys(name, kid string, now time.Time) error {
	if err := t.changeGlobal(); err != nil {
		return err
	}
	return t.exec(`UPDATE keys SET retired_at = $3 WHERE name = $1 AND kid <> $2 AND retired_at IS NULL`, name, kid, record.Micros(now))
}

// Count implements [fattorino.CounterTx]. Its rows are locked in the order of
// their names, whatever order they are given in, so that no two transactions
// wait for each other.
func (t *tx) Count(counters ...*fattorino.Counter) error {
	names, windows := make([]string, len(counters)), make([]int64, len(counters))
	for i, c := range counters {
		names[i], windows[i] = c.Name, record.Micros(c.Window)
	}
	rows, err := t.tx.Query(t.ctx, `INSERT INTO counters AS c (name, period, count)
		SELECT name, period, 1 FROM unnest($1::text[], $2::bigint[]) AS given (name, period) ORDER BY name
		ON CONFLICT (name) DO UPDATE SET count = CASE WHEN c.period = excluded.period THEN c.count + 1 ELSE 1 END, period = excluded.period
		RETURNING name, period, count`, names, windows)
	counted, err := collect(rows, err, record.ScanCounter)
	if err != nil {
		return err
	}
	for _, c := range counters {
		c.Count = counted[slices.IndexFunc(counted, func(x fattorino.Counter) bool { return x.Name == c.Name })].Count
	}
	return nil
}

func (t *tx) Counters(names ...string) ([]fattorino.Counter, error) {
	rows, err := t.tx.Query(t.ctx, `SELECT name, period, count FROM counters WHERE name = ANY($1)`, names)
	return collect(rows, err, record.ScanCounter)
}
