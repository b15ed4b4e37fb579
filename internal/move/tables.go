package move

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/attemptlog"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// A table is one of the database's, and how its rows are made of what is in the
// data folder.
type table struct {
	name    string // in the database
	columns string // of it, in the order of a row
	query   string // gives the rows of the folder; its first columns are the place
	place   string // by which the rows are in order, unique
	made    string // counts the rows that the query leads to, about; empty = they are as many as its own

	// rows makes the table's of one of the query, without the place.
	rows func(ctx context.Context, m *mover, r []any) ([][]any, error)
}

// tables gives every table that rows are moved to. What others are made of comes
// first.
func tables() []table {
	return []table{
		{
			name: "apps", columns: `id name created_at`, place: `id`,
			query: `SELECT id, id, name, created_at FROM apps`, rows: asItIs,
		},
		{
			name: "tokens", columns: `id kind app companies scopes hash hint created_at expires_at revoked_at`, place: `id`,
			query: `SELECT id, ` + record.TokenColumns + ` FROM tokens`, rows: asItIs,
		},
		{
			name: "keys", columns: `kid name sealed created_at retired_at`, place: `kid`,
			query: `SELECT kid, kid, name, sealed, created_at, retired_at FROM keys`, rows: asItIs,
		},
		{
			name: "counters", columns: `name period count`, place: `name`,
			query: `SELECT name, name, window, count FROM counters`, rows: asItIs,
		},
		{
			name: "own_types", columns: `name description common schema deprecated created_at updated_at`, place: `name`,
			query: `SELECT name, name, description, common, schema, deprecated, created_at, updated_at FROM own_types`, rows: asItIs,
		},
		{
			name: "own_groups", columns: `name types`, place: `name`,
			query: `SELECT name, name, types FROM own_groups`, rows: asItIs,
		},
		{
			name: "documents", columns: `part company kind id due_at body`, place: `kind, company, id`,
			query: `SELECT kind, company, id, company AS of, kind AS what, id AS which, due_at, body FROM documents`, rows: ofCompany,
		},
		{
			name: "companies", columns: `part id name last_seq last_day created_at`, place: `id`,
			query: `SELECT id, id AS of, name,
				max(pruned_seq, coalesce((SELECT max(seq) FROM events e WHERE e.company = c.id AND e.seq > 0), 0)),
				coalesce((SELECT accepted_at / ` + day + ` FROM events e WHERE e.company = c.id AND e.seq > 0 ORDER BY e.seq DESC LIMIT 1), 0),
				created_at FROM companies c`,
			rows: ofCompany,
		},
		{
			name: "company_days", columns: `part company day first_seq`, place: `company, day`,
			query: `SELECT company, accepted_at / ` + day + ` AS day, company AS of, accepted_at / ` + day + `, min(seq) FROM events WHERE seq > 0 GROUP BY 1, 2`,
			rows:  ofCompany,
		},
		{
			name: "subscriptions", place: `id`,
			columns: `part company id app contract sink types format filters options secrets state before handshake first_error_at expires_at created_at updated_at sought`,
			query: `SELECT id, company, id AS number, app, contract, sink, types, format, CAST(filters AS BLOB), options, secrets, state, before, handshake,
				first_error_at, expires_at, created_at, updated_at, sought FROM subscriptions`,
			rows: ofCompany,
		},
		{
			name: "moved_subscriptions", columns: `part id`, place: `id`,
			query: `SELECT id, company, id AS number FROM subscriptions`,
			rows: func(_ context.Context, m *mover, r []any) ([][]any, error) {
				return [][]any{{int64(m.target.Part(r[0].(int64))), r[1]}}, nil
			},
		},
		{
			name: "tallies", place: `company, subscription, at, hour`,
			columns: `part company subscription at hour delivered failed discarded t0 t1 t2 t3 t4 t5 t6 t7 t8 t9 t10 t11`,
			query: `SELECT company, subscription, at, hour, company AS of, subscription AS whose, at AS since, hour AS kind, delivered, failed, discarded,
				t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11 FROM tallies`,
			rows: ofCompany,
		},
		{
			name: "pulses", columns: `part subscription succeeded_at failed_at in_a_row`, place: `subscription`,
			query: `SELECT p.subscription, s.company, p.subscription AS whose, p.succeeded_at, p.failed_at, p.in_a_row
				FROM pulses p CROSS JOIN subscriptions s ON s.id = p.subscription`,
			rows: ofSubscription,
		},
		{
			name: "events", place: `key`,
			columns: `part key company seq accepted_at id source type common subject time datacontenttype dataschema extensions entity form data
				content_hash first_delivery deliveries`,
			query: `SELECT key, key AS number, first_delivery AS first, company, accepted_at, seq, id, source, type, common, subject, time, datacontenttype, dataschema,
				extensions, entity, form, data, content_hash, deliveries FROM events`,
			rows: event,
		},
		{
			name: "event_ids", columns: `part id_hash key`, place: `key`,
			query: `SELECT key, key AS number, first_delivery, company, accepted_at, id_hash FROM events WHERE seq > 0`,
			rows: func(_ context.Context, m *mover, r []any) ([][]any, error) {
				key := m.eventKey(r)
				return [][]any{{m.partOf(key), r[4], key}}, nil
			},
		},
		{
			name: "deliveries", place: `key`, made: `SELECT coalesce(sum(deliveries), 0) FROM events`,
			columns: `part id event subscription state attempts tries status due_at first_error_at settled_at waits_for reason`,
			query:   `SELECT key, key AS number, first_delivery, company, accepted_at, deliveries FROM events`,
			rows:    deliveries,
		},
		{
			name: "lanes", columns: `part subscription settled`, place: `subscription`,
			made:  `SELECT count(*) FROM lanes`,
			query: `SELECT subscription, subscription AS whose, settled FROM lanes`,
			rows: func(ctx context.Context, m *mover, r []any) ([][]any, error) {
				delivery, event, err := m.source.LastUpTo(ctx, r[0].(int64), r[1].(int64))
				if err != nil || event == 0 {
					return nil, err
				}
				of, err := m.eventFrom(ctx, event)
				if err != nil {
					return nil, err
				}
				id := m.deliveryID(of, delivery)
				return [][]any{{m.partOf(id), r[0], id}}, nil
			},
		},
		{
			name: "attempts", place: `page`, made: `SELECT (SELECT coalesce(sum(deliveries), 0) FROM events) + (SELECT count(*) FROM retries)`,
			columns: `part delivery number page`,
			query:   `SELECT page, attempts FROM attempts`,
			rows:    attempts,
		},
	}
}

// day is the length of a day, as times are kept.
const day = `86400000000`

// asItIs makes a row of the same columns.
func asItIs(_ context.Context, _ *mover, r []any) ([][]any, error) { return [][]any{r}, nil }

// ofCompany puts the part before a row that begins with its company.
func ofCompany(_ context.Context, m *mover, r []any) ([][]any, error) {
	return [][]any{append([]any{int64(m.target.Part(r[0].(int64)))}, r...)}, nil
}

// ofSubscription puts the part in the place of the company.
func ofSubscription(_ context.Context, m *mover, r []any) ([][]any, error) {
	return [][]any{append([]any{int64(m.target.Part(r[0].(int64)))}, r[1:]...)}, nil
}

// An origin is what ids in the database are made of: the first columns of a row
// are the event's key, its first delivery, its company and when it was accepted.
const originColumns = 4

// eventKey gives the key in the database of the event that a row begins with.
//
// Its number within day and part is that of all events and deliveries that the
// folder gave an id before: so it needs no look at other rows, and is the same
// whenever the move goes on; it leaves room for the event's deliveries; and ids
// of a part have the order that they had in the folder, which lanes go by.
func (m *mover) eventKey(r []any) int64 {
	key, first, company, accepted := r[0].(int64), r[1].(int64), r[2].(int64), r[3].(int64)
	return m.target.EventKey(company, accepted, key+first-m.base)
}

// deliveryID gives the id in the database of a delivery of the event that a row
// begins with.
func (m *mover) deliveryID(r []any, id int64) int64 { return m.eventKey(r) + 1 + id - r[1].(int64) }

// origin gives the origin of a delivery, and how many deliveries its event has;
// nil where it is not there any more. It looks at the event before first, which is
// that of the delivery before most often, and the one after that.
func (m *mover) origin(ctx context.Context, delivery int64, before []any) (r []any, err error) {
	has := func(r []any) bool {
		return r != nil && delivery >= r[1].(int64) && delivery < r[1].(int64)+r[originColumns].(int64)
	}
	if has(before) {
		return before, nil
	}
	if before != nil {
		if r, err = m.eventFrom(ctx, before[0].(int64)+1); err != nil || has(r) {
			return r, err
		}
	}
	key, err := m.source.EventAt(ctx, delivery)
	if err == nil {
		r, err = m.eventFrom(ctx, key)
	}
	if err != nil || !has(r) {
		return nil, err
	}
	return r, nil
}

// eventFrom gives the origin of the first event with the key or a greater one.
func (m *mover) eventFrom(ctx context.Context, key int64) (r []any, err error) {
	err = m.source.Each(ctx, func(row []any) error {
		r = row
		return nil
	}, `SELECT key, first_delivery, company, accepted_at, deliveries FROM events WHERE key >= ? ORDER BY key LIMIT 1`, key)
	return r, err
}

func (m *mover) partOf(id int64) int64 { return int64(m.target.OfID(id)) }

func event(_ context.Context, m *mover, r []any) ([][]any, error) {
	m.accepted = append(m.accepted, r[3].(int64))
	key, rest := m.eventKey(r), r[originColumns:] // from seq on
	made := append([]any{m.partOf(key), key, r[2], rest[0], r[3]}, rest[1:len(rest)-1]...)
	return [][]any{append(made, key+1, rest[len(rest)-1])}, nil
}

// deliveries makes those of an event.
func deliveries(ctx context.Context, m *mover, r []any) (rows [][]any, err error) {
	all, err := m.source.Deliveries(ctx, r[0].(int64))
	if err != nil {
		return nil, err
	}
	if promised := r[originColumns].(int64); int64(len(all)) != promised {
		return nil, fmt.Errorf("event %d went to %d subscriptions, and %d are there", r[0], promised, len(all))
	}
	event := m.eventKey(r)
	for _, d := range all {
		id, reason := m.deliveryID(r, d.ID), any(nil)
		if d.State == fattorino.Discarded {
			reason = string(d.Reason)
		}
		rows = append(rows, []any{
			m.partOf(id), id, event, d.Subscription, int64(d.State), int64(d.Attempts), int64(d.Tries), int64(d.Status),
			record.Optional(d.DueAt), record.Optional(d.FirstErrorAt), record.Optional(d.SettledAt), record.NotZero(d.WaitsFor), reason,
		})
	}
	return rows, nil
}

// dataOf gives a function that gives the data of a delivery's event; nil where that
// is not there any more. Deliveries of one event come together most often.
func (m *mover) dataOf(ctx context.Context) func(delivery int64) ([]byte, error) {
	var last []any
	var data []byte
	return func(delivery int64) ([]byte, error) {
		r, err := m.origin(ctx, delivery, last)
		if r == nil || err != nil {
			return nil, err
		}
		if last == nil || last[0] != r[0] {
			data, err = m.source.DataOf(ctx, r[0].(int64))
		}
		last = r
		return data, err
	}
}

// attempts takes a page of the log apart. What is of deliveries that are not
// there any more is left out.
func attempts(ctx context.Context, m *mover, r []any) (rows [][]any, err error) {
	page, _ := r[0].([]byte)
	var all []*fattorino.Attempt
	of := []int64{}
	err = attemptlog.Each(page, m.dataOf(ctx), func(a *fattorino.Attempt) error {
		all, of = append(all, a), append(of, a.Delivery, a.BatchOf)
		return nil
	})
	if err != nil {
		return nil, err
	}
	ids := map[int64]int64{}
	slices.Sort(of)
	var last []any
	for _, delivery := range slices.Compact(of) {
		r, err := m.origin(ctx, delivery, last)
		if err != nil {
			return nil, err
		}
		if r != nil {
			last, ids[delivery] = r, m.deliveryID(r, delivery)
		}
	}
	for _, a := range all {
		id, there := ids[a.Delivery]
		if !there {
			continue
		}
		a.Delivery, a.BatchOf = id, ids[a.BatchOf]
		rows = append(rows, m.target.AttemptRow(a))
	}
	return rows, nil
}

// columnsOf gives the columns of a table one by one.
func (t *table) columnsOf() []string { return strings.Fields(t.columns) }

// placesOf gives the columns of the place one by one.
func (t *table) placesOf() []string { return strings.Split(t.place, ", ") }
