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
	datacontenttype, dataschema, extensions, entity, form, id_hash, content_hash, first_delivery, deliveries, data) VALUES `

const eventColumnCount = 20

const deliveryInto = `INSERT INTO deliveries (id, event, subscription) VALUES `

func eventValues(e *fattorino.Event, first int64, deliveries int) []driver.Value {
	when, extensions := "", ""
	if !e.Time.IsZero() {
		when = e.Time.Format(time.RFC3339Nano)
	}
	if len(e.Extensions) > 0 {
		extensions = record.EncodeExtensions(e.Extensions)
	}
	idHash, contentHash := e.Hashes()
	return []driver.Value{
		e.Key, e.Company, e.Seq, record.Micros(e.Accepted), e.ID, e.Source, e.Type, e.Common, e.Subject, when,
		e.DataContentType, e.DataSchema, extensions, e.Entity.String(), int64(e.Form),
		idHash, contentHash, first, int64(deliveries), e.Data,
	}
}

// record.EventRow receives eventColumns.
const updateDelivery = `UPDATE deliveries SET page = coalesce(?, page), state = ?, reason = ?, attempts = ?, tries = ?, status = ?,
	due_at = ?, first_error_at = ?, settled_at = ?, waits_for = ? WHERE id = ?`

// deliveryValues gives the columns of updateDelivery; page is that of the first
// attempt, nil where it is not in this commit.
func deliveryValues(d *fattorino.Delivery, page driver.Value) []driver.Value {
	return []driver.Value{
		page, int64(d.State), string(d.Reason), int64(d.Attempts), int64(d.Tries), int64(d.Status),
		optional(d.DueAt), optional(d.FirstErrorAt), optional(d.SettledAt), notZero(d.WaitsFor), d.ID,
	}
}

// notZero gives NULL for 0.
func notZero(n int64) driver.Value {
	if n == 0 {
		return nil
	}
	return n
}

const deliveryColumns = `coalesce(d.waits_for, 0), d.id, d.subscription, d.state, d.reason, d.attempts, d.tries, d.status, d.due_at, d.first_error_at, d.settled_at`

// selectDelivery reads deliveries with their events; more conditions follow.
const selectDelivery = `SELECT ` + deliveryColumns + `, ` + record.EventColumns + ` FROM deliveries d JOIN events e ON e.key = d.event `

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
		optional(s.FirstErrorAt), optional(s.ExpiresAt), record.Micros(s.CreatedAt), record.Micros(s.UpdatedAt), s.Sought(), s.ID,
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
