package sqlite

import (
	"database/sql"
	"database/sql/driver"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// How the nouns become rows and back. A list of columns and the function that
// reads them stand together.

const eventInto = `INSERT INTO events (key, company, seq, accepted_at, id, source, type, common, subject, time,
	datacontenttype, dataschema, extensions, entity, form, id_hash, content_hash, first_delivery, deliveries, targets, data) VALUES `

const eventColumnCount = 21

// appendEvent appends the columns of eventInto.
func appendEvent(values []driver.Value, e *fattorino.Event, first int64, targets []int64) []driver.Value {
	when, extensions := "", ""
	if !e.Time.IsZero() {
		when = e.Time.Format(time.RFC3339Nano)
	}
	if len(e.Extensions) > 0 {
		extensions = record.EncodeExtensions(e.Extensions)
	}
	idHash, contentHash := e.Hashes()
	return append(values,
		e.Key, e.Company, e.Seq, record.Micros(e.Accepted), e.ID, e.Source, e.Type, e.Common, e.Subject, when,
		e.DataContentType, e.DataSchema, extensions, e.Entity.String(), int64(e.Form),
		idHash, contentHash, first, int64(len(targets)), packTargets(targets), e.Data,
	)
}

// putDelivery makes the row of a delivery, or writes over it.
const putDelivery = `INSERT INTO deliveries (id, event, subscription, page, state, reason, attempts, tries, status,
		due_at, first_error_at, settled_at, waits_for)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET page = coalesce(excluded.page, page),
	state = excluded.state, reason = excluded.reason, attempts = excluded.attempts, tries = excluded.tries, status = excluded.status,
	due_at = excluded.due_at, first_error_at = excluded.first_error_at, settled_at = excluded.settled_at, waits_for = excluded.waits_for`

// deliveryValues gives the columns of putDelivery; page is that of the first
// attempt, nil where it is not in this commit.
func deliveryValues(d *fattorino.Delivery, page driver.Value) []driver.Value {
	return []driver.Value{
		d.ID, d.Event.Key, d.Subscription, page, int64(d.State), string(d.Reason), int64(d.Attempts), int64(d.Tries), int64(d.Status),
		record.Optional(d.DueAt), record.Optional(d.FirstErrorAt), record.Optional(d.SettledAt), record.NotZero(d.WaitsFor),
	}
}

const subscriptionColumns = `id, company, app, contract, sink, types, format, filters, options, secrets, state, before, handshake, first_error_at, expires_at, created_at, updated_at`

const updateSubscription = `UPDATE subscriptions SET company = ?, app = ?, contract = ?, sink = ?, types = ?, format = ?,
	filters = ?, options = ?, secrets = ?, state = ?, before = ?, handshake = ?, first_error_at = ?, expires_at = ?, created_at = ?, updated_at = ?, sought = ? WHERE id = ?`

const insertSubscription = `INSERT INTO subscriptions (company, app, contract, sink, types, format, filters, options, secrets, state, before, handshake,
	first_error_at, expires_at, created_at, updated_at, sought) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// subscriptionValues gives the columns in the order of the statements above,
// the id last.
func subscriptionValues(s *fattorino.Subscription) []driver.Value {
	return []driver.Value{
		s.Company, s.App, s.Contract, s.Sink, record.ToJSON(s.Types), string(s.Format),
		string(s.Filters), record.ToJSON(s.Options), record.ToJSON(record.OrEmpty(s.Secrets)), string(s.State), string(s.Before), record.ToJSON(s.Handshake),
		record.Optional(s.FirstErrorAt), record.Optional(s.ExpiresAt), record.Micros(s.CreatedAt), record.Micros(s.UpdatedAt), s.Sought(), s.ID,
	}
}

// lastSeq reads the last seq given in a company c.
const lastSeq = `max(c.pruned_seq, coalesce((SELECT max(e.seq) FROM events e WHERE e.company = c.id AND e.seq > 0), 0))`

const selectCompany = `SELECT c.id, c.name, ` + lastSeq + `, c.created_at FROM companies c `

// collect reads all rows.
func collect[T any](rows *sql.Rows, err error, scan func(record.Row) (T, error)) ([]T, error) {
	if err != nil {
		return nil, translate(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says what is wrong
	all := []T{}
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, translate(err)
		}
		all = append(all, one)
	}
	return all, translate(rows.Err())
}

// eachRow calls f with each row, as [hot.query] does.
func eachRow(rows *sql.Rows, err error, columns int, f func(row []driver.Value) error) error {
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err says what is wrong
	row, values, dest := make([]driver.Value, columns), make([]any, columns), make([]any, columns)
	for i := range values {
		dest[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		for i, v := range values {
			row[i] = v
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return rows.Err()
}
