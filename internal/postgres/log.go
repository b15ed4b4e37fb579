package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// condition gathers the conditions of a query and their arguments.
type condition struct {
	where strings.Builder
	args  []any
}

// and adds a condition; each ? in it is one of the arguments.
func (c *condition) and(test string, args ...any) {
	if c.where.Len() > 0 {
		c.where.WriteString(" AND ")
	}
	for _, piece := range strings.SplitAfter(test, "?") {
		before, marked := strings.CutSuffix(piece, "?")
		c.where.WriteString(before)
		if marked {
			c.args = append(c.args, args[0])
			args = args[1:]
			fmt.Fprintf(&c.where, "$%d", len(c.args))
		}
	}
}

// ofTypes adds the condition that an event has one of the types, or stands for
// one of them as a common name.
func (c *condition) ofTypes(types []string) {
	if len(types) > 0 {
		c.and(`(e.type = ANY(?) OR e.common = ANY(?))`, types, types)
	}
}

// ofEntity adds the condition that an event is about the entity, alone or with
// others of its type.
func (c *condition) ofEntity(entity string) {
	if entity == "" {
		return
	}
	typ, id, _ := strings.Cut(entity, "/")
	c.and(`(e.entity = ? OR (starts_with(e.entity, ?) AND strpos(',' || substr(e.entity, ?) || ',', ?) > 0))`,
		entity, typ+"/", len([]rune(typ))+2, ","+id+",")
}

// Events implements [fattorino.Reader]. It reads day by day, from the day that
// has the first event asked for.
func (s *Store) Events(ctx context.Context, q fattorino.EventQuery) ([]*fattorino.Event, error) {
	part := s.layout.of(q.Company)
	days, err := s.daysOf(ctx, q.Company, q.After)
	if err != nil {
		return nil, err
	}
	all := []*fattorino.Event{}
	for _, day := range days {
		var c condition
		c.and(`e.part = ? AND e.company = ? AND e.seq > ? AND e.seq > 0`, part, q.Company, q.After)
		c.ofTypes(q.Types)
		page, err := read(ctx, s, record.ScanEvent, fmt.Sprintf(`SELECT `+record.EventColumns+` FROM events_%d e WHERE %s ORDER BY e.seq LIMIT %d`, day, c.where.String(), q.Limit-len(all)), c.args...)
		if sqlState(err) == undefinedTable {
			continue // it was dropped since
		}
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); len(all) == q.Limit {
			break
		}
	}
	return all, nil
}

// daysOf gives the days in which the company has events with a greater seq.
func (s *Store) daysOf(ctx context.Context, company, after int64) ([]int, error) {
	return read(ctx, s, func(r record.Row) (day int, err error) { return day, r.Scan(&day) }, `SELECT day FROM company_days
		WHERE part = $1 AND company = $2 AND day >= coalesce((SELECT max(day) FROM company_days WHERE part = $1 AND company = $2 AND first_seq <= $3), 0)
		ORDER BY day`, s.layout.of(company), company, after+1)
}

// OldestSeq implements [fattorino.Reader].
func (s *Store) OldestSeq(ctx context.Context, company int64) (seq int64, err error) {
	oldest, err := s.Events(ctx, fattorino.EventQuery{Company: company, Limit: 1})
	if err != nil || len(oldest) == 0 {
		return 0, err
	}
	return oldest[0].Seq, nil
}

// RecentEvents implements [fattorino.Reader]. It goes down the log of each part
// from its end, without an index on types.
func (s *Store) RecentEvents(ctx context.Context, typ string, reach, limit int, f func(*fattorino.Event) error) error {
	rows, err := s.pool.Query(ctx, `SELECT `+record.EventColumns+` FROM (
			SELECT r.* FROM parts p, LATERAL (
				SELECT part, key, accepted_at, type, seq FROM events WHERE part = p.part ORDER BY key DESC LIMIT $1
			) r ORDER BY r.accepted_at DESC, r.key DESC LIMIT $1
		) r, LATERAL (SELECT * FROM events WHERE part = r.part AND key = r.key OFFSET 0) e
		WHERE r.type = $2 AND r.seq > 0 ORDER BY r.accepted_at DESC, r.key DESC LIMIT $3`, reach, typ, limit)
	if err != nil {
		return translate(err)
	}
	defer rows.Close()
	for rows.Next() {
		e, err := record.ScanEvent(rows)
		if err != nil {
			return translate(err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
	return translate(rows.Err())
}

// Delivery implements [fattorino.Reader].
func (s *Store) Delivery(ctx context.Context, id int64) (*fattorino.Delivery, error) {
	found, err := read(ctx, s, record.ScanDelivery, selectDelivery+`WHERE d.part = $1 AND d.id = $2`, s.layout.ofID(id), id)
	if err == nil && len(found) == 0 {
		err = notFound("delivery", id)
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// Deliveries implements [fattorino.Reader]. It reads a page of each
// subscription from its own index and merges the newest.
func (s *Store) Deliveries(ctx context.Context, q fattorino.DeliveryQuery) ([]*fattorino.Delivery, error) {
	var all []*fattorino.Delivery
	for _, subscription := range q.Subscriptions {
		c, err := s.ofLog(ctx, subscription, q)
		if err != nil {
			return nil, err
		}
		page, err := read(ctx, s, record.ScanDelivery, fmt.Sprintf(selectDelivery+`WHERE %s ORDER BY d.id DESC LIMIT %d`, c.where.String(), q.Limit), c.args...)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
	}
	slices.SortFunc(all, func(a, b *fattorino.Delivery) int { return cmp.Compare(b.ID, a.ID) })
	return all[:min(len(all), q.Limit)], nil
}

// ofLog gives the conditions for the deliveries of one subscription.
func (s *Store) ofLog(ctx context.Context, subscription int64, q fattorino.DeliveryQuery) (*condition, error) {
	part := s.layout.ofSubscription(subscription)
	var c condition
	c.and(`d.part = ? AND d.subscription = ?`, part, subscription)
	if q.Before > 0 {
		c.and(`d.id < ?`, q.Before)
	}
	for _, bound := range []struct {
		at   time.Time
		test string
	}{{q.From, `d.id >= ?`}, {q.To, `d.id < ?`}} {
		if bound.at.IsZero() {
			continue
		}
		id, err := s.deliveryAt(ctx, part, bound.at)
		if err != nil {
			return nil, err
		}
		c.and(bound.test, id)
	}
	if q.State != nil {
		c.and(`d.state = ?`, int16(*q.State))
		if *q.State == fattorino.Discarded {
			c.and(`d.reason IS NOT NULL`) // so that their index serves
		}
	}
	c.ofEntity(q.Entity)
	c.ofTypes(q.Types)
	return &c, nil
}

// deliveryAt gives the id of the part's first delivery made at or after the
// time. Ids and times of acceptance grow together, so a binary search finds it
// without an index on time.
func (s *Store) deliveryAt(ctx context.Context, part int16, at time.Time) (int64, error) {
	low := s.layout.id(dayAt(record.Micros(at)), part, 0) // an id is never of an earlier day than its event
	var high int64
	if err := s.pool.QueryRow(ctx, `SELECT coalesce(max(key), 0) + 1 FROM events WHERE part = $1 AND key >= $2`, part, low).Scan(&high); err != nil {
		return 0, translate(err)
	}
	first := int64(math.MaxInt64) // later than everything
	for low < high {
		middle := low + (high-low)/2
		var key, accepted, delivery int64
		err := s.pool.QueryRow(ctx, `SELECT key, accepted_at, first_delivery FROM events WHERE part = $1 AND key >= $2 AND key < $3 ORDER BY key LIMIT 1`, part, middle, high).
			Scan(&key, &accepted, &delivery)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			high = middle
		case err != nil:
			return 0, translate(err)
		case accepted < record.Micros(at):
			low = key + 1
		default:
			high, first = middle, delivery
		}
	}
	return first, nil
}
