package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// tx implements [fattorino.Tx].
type tx struct {
	ctx context.Context //nolint:containedctx // it lives as long as the call of Update
	tx  *sql.Tx
	ids ids

	untried *untried
	pruned  []idHash // of the events deleted
}

// query implements [querier].
func (t *tx) query(columns int, f func(row []driver.Value) error, query string, args ...driver.Value) error {
	rows, err := t.tx.QueryContext(t.ctx, query, anys(args)...)
	return eachRow(rows, err, columns, f)
}

func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	return t.tx.ExecContext(t.ctx, query, args...)
}

// insert runs an INSERT and gives the row's id.
func (t *tx) insert(query string, args ...any) (int64, error) {
	r, err := t.exec(query, args...)
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

// one reads a single row; no row is NotFound.
func one[T any](t *tx, what string, id int64, scan func(record.Row) (T, error), query string) (T, error) {
	found, err := scan(t.tx.QueryRowContext(t.ctx, query, id))
	if errors.Is(err, sql.ErrNoRows) {
		return found, notFound(what, id)
	}
	return found, err
}

func (t *tx) EnsureCompany(id int64, now time.Time) error {
	_, err := t.exec(`INSERT INTO companies (id, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING`, id, record.Micros(now))
	return err
}

func (t *tx) NameCompany(id int64, name string) error {
	_, err := t.exec(`UPDATE companies SET name = ? WHERE id = ?`, name, id)
	return err
}

func (t *tx) PutApp(a *fattorino.App) (err error) {
	a.ID, err = t.insert(`INSERT INTO apps (name, created_at) VALUES (?, ?)`, a.Name, record.Micros(a.CreatedAt))
	return err
}

func (t *tx) App(id int64) (*fattorino.App, error) {
	return one(t, "app", id, record.ScanApp, `SELECT id, name, created_at FROM apps WHERE id = ?`)
}

func (t *tx) PutToken(k *fattorino.Token) (err error) {
	if k.ID != 0 {
		_, err = t.exec(`UPDATE tokens SET expires_at = ?, revoked_at = ? WHERE id = ?`, record.Optional(k.ExpiresAt), record.Optional(k.RevokedAt), k.ID)
		return err
	}
	k.ID, err = t.insert(`INSERT INTO tokens (kind, app, companies, scopes, hash, hint, created_at, expires_at, revoked_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, string(k.Kind), k.App, record.ToJSON(record.OrEmpty(k.Companies)), record.ToJSON(record.OrEmpty(k.Scopes)),
		k.Hash, k.Hint, record.Micros(k.CreatedAt), record.Optional(k.ExpiresAt), record.Optional(k.RevokedAt))
	return err
}

// record.OrEmpty keeps a nil list from becoming JSON null.
func (t *tx) Token(id int64) (*fattorino.Token, error) {
	return one(t, "token", id, record.ScanToken, `SELECT `+record.TokenColumns+` FROM tokens WHERE id = ?`)
}

func (t *tx) Subscription(id int64) (*fattorino.Subscription, error) {
	return one(t, "subscription", id, record.ScanSubscription, `SELECT `+subscriptionColumns+` FROM subscriptions WHERE id = ?`)
}

func (t *tx) OwnSubscriptions(company, app int64) ([]*fattorino.Subscription, error) {
	rows, err := t.tx.QueryContext(t.ctx, `SELECT `+subscriptionColumns+` FROM subscriptions
		WHERE company = ? AND app = ? AND state IN ('unverified', 'active', 'disabled') ORDER BY id`, company, app)
	return collect(rows, err, record.ScanSubscription)
}

func (t *tx) PutSubscription(s *fattorino.Subscription) (err error) {
	values := anys(subscriptionValues(s))
	if s.ID != 0 {
		_, err = t.exec(updateSubscription, values...)
		return err
	}
	s.ID, err = t.insert(insertSubscription, values[:len(values)-1]...)
	return err
}

func anys(values []driver.Value) []any {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = v
	}
	return all
}

func (t *tx) PutPrivate(e *fattorino.Event, subscription int64) (*fattorino.Delivery, error) {
	t.ids.event++
	t.ids.delivery++
	t.ids.accepted = max(t.ids.accepted, record.Micros(e.Accepted))
	e.Key, e.Accepted = t.ids.event, record.FromMicros(t.ids.accepted)
	if _, err := t.exec(eventInto+marks(eventColumnCount), anys(appendEvent(nil, e, t.ids.delivery, []int64{subscription}))...); err != nil {
		return nil, err
	}
	for _, entity := range eachOfSeveral(e.Entity) {
		if _, err := t.exec(entityInto+marks(3), e.Company, entity, e.Key); err != nil {
			return nil, err
		}
	}
	page := beginLanePage(t.ids.delivery)
	page.add(t.ids.delivery, e.Key)
	_, err := t.exec(lanePageInto+marks(4), subscription, page.first, page.last, page.packed)
	return &fattorino.Delivery{ID: t.ids.delivery, Subscription: subscription, Event: e}, err
}

func (t *tx) Delivery(id int64) (*fattorino.Delivery, error) { return delivery(t, id) }

func (t *tx) PutDelivery(d *fattorino.Delivery) error {
	t.untried.set(d)
	t.ids.row = max(t.ids.row, d.ID)
	_, err := t.exec(putDelivery, anys(deliveryValues(d, nil))...)
	return err
}

func (t *tx) PutKey(k *fattorino.Key) error {
	_, err := t.exec(`INSERT INTO keys (kid, name, sealed, created_at, retired_at) VALUES (?, ?, ?, ?, ?)`,
		k.KID, k.Name, k.Sealed, record.Micros(k.CreatedAt), record.Optional(k.RetiredAt))
	return err
}

func (t *tx) RetireKeys(name, kid string, now time.Time) error {
	_, err := t.exec(`UPDATE keys SET retired_at = ? WHERE name = ? AND kid <> ? AND retired_at IS NULL`, record.Micros(now), name, kid)
	return err
}

func (t *tx) Count(counters ...*fattorino.Counter) error {
	for _, c := range counters {
		err := t.tx.QueryRowContext(t.ctx, `INSERT INTO counters VALUES (?, ?, 1)
			ON CONFLICT DO UPDATE SET count = iif(window = excluded.window, count + 1, 1), window = excluded.window
			RETURNING count`, c.Name, record.Micros(c.Window)).Scan(&c.Count)
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) Counters(names ...string) ([]fattorino.Counter, error) {
	rows, err := t.tx.QueryContext(t.ctx, `SELECT name, window, count FROM counters
		WHERE name IN (SELECT value FROM json_each(?))`, record.ToJSON(names))
	return collect(rows, err, record.ScanCounter)
}

func (t *tx) Prune(before time.Time, after int64, limit int) (last int64, deleted int, err error) {
	type old struct{ key, company, seq, hash int64 }
	rows, err := t.tx.QueryContext(t.ctx, `SELECT key, company, seq, id_hash FROM events
		WHERE key > ? AND accepted_at < ? ORDER BY key LIMIT ?`, after, record.Micros(before), limit)
	events, err := collect(rows, err, func(r record.Row) (o old, err error) {
		return o, r.Scan(&o.key, &o.company, &o.seq, &o.hash)
	})
	if err != nil {
		return 0, 0, err
	}
	lanes, blocks := map[int64][]int64{}, map[int64][]int64{} // what is gone, by subscription and by block
	groups := map[group][]int64{}
	for _, e := range events {
		last = e.key
		listed, gone, pending, err := t.pruneEvent(idHash{e.hash, e.key})
		if err != nil {
			return 0, 0, fmt.Errorf("prune event %d: %w", e.key, err)
		}
		if pending {
			continue
		}
		for _, r := range gone {
			lanes[r.subscription] = append(lanes[r.subscription], r.id)
			blocks[blockOf(r.id)] = append(blocks[blockOf(r.id)], r.id)
		}
		groups[listed.group] = append(groups[listed.group], e.key)
		deleted++
		t.pruned = append(t.pruned, idHash{e.hash, e.key})
		if _, err := t.exec(`UPDATE companies SET pruned_seq = max(pruned_seq, ?) WHERE id = ?`, e.seq, e.company); err != nil {
			return 0, 0, err
		}
	}
	for subscription, gone := range lanes {
		if err := t.pruneLane(subscription, gone); err != nil {
			return 0, 0, fmt.Errorf("prune what subscription %d has heard: %w", subscription, err)
		}
	}
	for group, gone := range groups {
		if err := t.pruneGroup(group, gone); err != nil {
			return 0, 0, fmt.Errorf("prune the events of type %q: %w", group.typ, err)
		}
	}
	for block, gone := range blocks {
		if err := t.pruneBlock(block, gone); err != nil {
			return 0, 0, fmt.Errorf("prune what was delivered: %w", err)
		}
	}
	return last, deleted, t.prunePages(before, limit)
}

// pagesOf gives the pages, by their first numbers, on which numbers that are gone may
// be. The query gives pages from that of the first of these up.
func (t *tx) pagesOf(gone []int64, query string, args ...driver.Value) (map[int64][]byte, error) {
	pages := map[int64][]byte{}
	err := t.query(2, func(row []driver.Value) error {
		first := row[0].(int64)
		if first > gone[len(gone)-1] {
			return errEnough
		}
		pages[first] = row[1].([]byte)
		return nil
	}, query, args...)
	return pages, untilEnough(err)
}

// isIn tells whether a number is among others, which are in order.
func isIn(numbers []int64, n int64) bool {
	_, found := slices.BinarySearch(numbers, n)
	return found
}

// prunePages deletes what was attempted before the time, and notes which ids
// have been given, as the rows that told it may be gone.
func (t *tx) prunePages(before time.Time, limit int) error {
	_, err := t.exec(`DELETE FROM attempts WHERE page IN (SELECT page FROM (
		SELECT page, recorded_at FROM attempts ORDER BY page LIMIT ?) WHERE recorded_at < ?)`, limit, record.Micros(before))
	if err != nil {
		return err
	}
	_, err = t.exec(`UPDATE ids SET event = ?, delivery = ?, page = ?`, t.ids.event, t.ids.delivery, t.ids.page)
	return err
}

// pruneEvent deletes an event whose deliveries are all settled, and gives those
// and how it is listed.
func (t *tx) pruneEvent(e idHash) (listed listing, gone []ref, pending bool, err error) {
	if gone, err = ofEvent(t, e.event); err != nil {
		return listed, nil, false, err
	}
	standing, err := standingOf(t, gone)
	if err != nil {
		return listed, nil, false, err
	}
	for _, d := range standing {
		if d.State == fattorino.Pending || d.State == fattorino.Waiting {
			return listed, nil, true, nil
		}
	}
	if listed, err = t.unlist(e.event); err != nil {
		return listed, nil, false, err
	}
	if _, err := t.exec(`DELETE FROM id_hashes WHERE id_hash = ? AND event = ?`, e.hash, e.event); err != nil {
		return listed, nil, false, err
	}
	if len(gone) > 0 {
		first, last := gone[0].id, gone[len(gone)-1].id
		for _, query := range []string{`DELETE FROM retries WHERE delivery >= ? AND delivery <= ?`, `DELETE FROM deliveries WHERE id >= ? AND id <= ?`} {
			if _, err := t.exec(query, first, last); err != nil {
				return listed, nil, false, err
			}
		}
	}
	_, err = t.exec(`DELETE FROM events WHERE key = ?`, e.event)
	return listed, gone, false, err
}
