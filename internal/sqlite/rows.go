package sqlite

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// How the nouns become rows and back. A list of columns and the function that
// reads them stand together.

// row is what a row can be scanned from.
type row interface{ Scan(dest ...any) error }

// micro reads a time column; NULL is the zero time.
type micro struct{ t *time.Time }

func (m micro) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*m.t = time.Time{}
	case int64:
		*m.t = fromMicros(v)
	default:
		return fmt.Errorf("a time column holds a %T", src)
	}
	return nil
}

// jsonOf reads a column that holds JSON.
type jsonOf struct{ v any }

func (j jsonOf) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("a JSON column holds a %T", src)
	}
	return json.Unmarshal([]byte(text), j.v)
}

func toJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and integers always encode
	}
	return string(text)
}

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
		extensions = encodeExtensions(e.Extensions)
	}
	idHash, contentHash := e.Hashes()
	return []driver.Value{
		e.Key, e.Company, e.Seq, micros(e.Accepted), e.ID, e.Source, e.Type, e.Common, e.Subject, when,
		e.DataContentType, e.DataSchema, extensions, e.Entity.String(), int64(e.Form),
		idHash, contentHash, first, int64(deliveries), e.Data,
	}
}

// extension keeps the CloudEvents type of an attribute: JSON has none for
// bytes.
type extension struct {
	Text    *string `json:"s,omitempty"`
	Boolean *bool   `json:"b,omitempty"`
	Integer *int32  `json:"i,omitempty"`
	Binary  []byte  `json:"x,omitempty"`
}

func encodeExtensions(attributes map[string]any) string {
	kept := make(map[string]extension, len(attributes))
	for name, value := range attributes {
		switch v := value.(type) {
		case string:
			kept[name] = extension{Text: &v}
		case bool:
			kept[name] = extension{Boolean: &v}
		case int32:
			kept[name] = extension{Integer: &v}
		case []byte:
			kept[name] = extension{Binary: v}
		}
	}
	return toJSON(kept)
}

func decodeExtensions(text string) (map[string]any, error) {
	if text == "" {
		return nil, nil
	}
	var kept map[string]extension
	if err := json.Unmarshal([]byte(text), &kept); err != nil {
		return nil, fmt.Errorf("extensions: %w", err)
	}
	attributes := make(map[string]any, len(kept))
	for name, x := range kept {
		switch {
		case x.Text != nil:
			attributes[name] = *x.Text
		case x.Boolean != nil:
			attributes[name] = *x.Boolean
		case x.Integer != nil:
			attributes[name] = *x.Integer
		default:
			attributes[name] = x.Binary
		}
	}
	return attributes, nil
}

const eventColumns = `e.key, e.company, e.seq, e.accepted_at, e.id, e.source, e.type, e.common, e.subject, e.time,
	e.datacontenttype, e.dataschema, e.extensions, e.entity, e.form, e.data`

// eventRow receives eventColumns.
type eventRow struct {
	event                    fattorino.Event
	when, extensions, entity string
}

func (r *eventRow) dest() []any {
	e := &r.event
	return []any{
		&e.Key, &e.Company, &e.Seq,
		micro{&e.Accepted},
		&e.ID, &e.Source, &e.Type, &e.Common, &e.Subject, &r.when,
		&e.DataContentType, &e.DataSchema, &r.extensions, &r.entity, &e.Form, &e.Data,
	}
}

func (r *eventRow) finish() (*fattorino.Event, error) {
	e := &r.event
	var err error
	if r.when != "" {
		if e.Time, err = time.Parse(time.RFC3339Nano, r.when); err != nil {
			return nil, fmt.Errorf("event %d: %w", e.Key, err)
		}
	}
	if r.entity != "" {
		if e.Entity, err = fattorino.ParseEntity(r.entity); err != nil {
			return nil, fmt.Errorf("event %d: %w", e.Key, err)
		}
	}
	e.Extensions, err = decodeExtensions(r.extensions)
	return e, err
}

func scanEvent(r row) (*fattorino.Event, error) {
	var x eventRow
	if err := r.Scan(x.dest()...); err != nil {
		return nil, err
	}
	return x.finish()
}

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
const selectDelivery = `SELECT ` + deliveryColumns + `, ` + eventColumns + ` FROM deliveries d JOIN events e ON e.key = d.event `

func scanDelivery(r row) (*fattorino.Delivery, error) {
	var d fattorino.Delivery
	var x eventRow
	dest := []any{
		&d.WaitsFor, &d.ID, &d.Subscription, &d.State, &d.Reason, &d.Attempts, &d.Tries, &d.Status,
		micro{&d.DueAt},
		micro{&d.FirstErrorAt},
		micro{&d.SettledAt},
	}
	if err := r.Scan(append(dest, x.dest()...)...); err != nil {
		return nil, err
	}
	var err error
	d.Event, err = x.finish()
	return &d, err
}

const subscriptionColumns = `id, company, app, contract, sink, types, format, filters, options, secrets, state, handshake, first_error_at, expires_at, created_at, updated_at`

const updateSubscription = `UPDATE subscriptions SET company = ?, app = ?, contract = ?, sink = ?, types = ?, format = ?,
	filters = ?, options = ?, secrets = ?, state = ?, handshake = ?, first_error_at = ?, expires_at = ?, created_at = ?, updated_at = ? WHERE id = ?`

const insertSubscription = `INSERT INTO subscriptions (company, app, contract, sink, types, format, filters, options, secrets, state, handshake,
	first_error_at, expires_at, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// subscriptionValues gives the columns in the order of the statements above,
// the id last.
func subscriptionValues(s *fattorino.Subscription) []driver.Value {
	return []driver.Value{
		s.Company, s.App, s.Contract, s.Sink, toJSON(s.Types), string(s.Format),
		string(s.Filters), toJSON(s.Options), toJSON(orEmpty(s.Secrets)), string(s.State), toJSON(s.Handshake),
		optional(s.FirstErrorAt), optional(s.ExpiresAt), micros(s.CreatedAt), micros(s.UpdatedAt), s.ID,
	}
}

func scanSubscription(r row) (*fattorino.Subscription, error) {
	var s fattorino.Subscription
	err := r.Scan(&s.ID, &s.Company, &s.App, &s.Contract, &s.Sink, jsonOf{&s.Types}, &s.Format,
		&s.Filters, jsonOf{&s.Options}, jsonOf{&s.Secrets}, &s.State, jsonOf{&s.Handshake},
		micro{&s.FirstErrorAt}, micro{&s.ExpiresAt}, micro{&s.CreatedAt}, micro{&s.UpdatedAt})
	return &s, err
}

const tokenColumns = `id, kind, app, companies, scopes, hash, hint, created_at, expires_at, revoked_at`

func scanToken(r row) (*fattorino.Token, error) {
	var t fattorino.Token
	err := r.Scan(&t.ID, &t.Kind, &t.App, jsonOf{&t.Companies}, jsonOf{&t.Scopes}, &t.Hash, &t.Hint,
		micro{&t.CreatedAt}, micro{&t.ExpiresAt}, micro{&t.RevokedAt})
	return &t, err
}

func scanApp(r row) (*fattorino.App, error) {
	var a fattorino.App
	return &a, r.Scan(&a.ID, &a.Name, micro{&a.CreatedAt})
}

// lastSeq reads the last seq given in a company c.
const lastSeq = `max(c.pruned_seq, coalesce((SELECT max(e.seq) FROM events e WHERE e.company = c.id AND e.seq > 0), 0))`

const selectCompany = `SELECT c.id, c.name, ` + lastSeq + `, c.created_at FROM companies c `

func scanCompany(r row) (*fattorino.Company, error) {
	var c fattorino.Company
	return &c, r.Scan(&c.ID, &c.Name, &c.LastSeq, micro{&c.CreatedAt})
}

func scanKey(r row) (*fattorino.Key, error) {
	var k fattorino.Key
	return &k, r.Scan(&k.KID, &k.Name, &k.Sealed, micro{&k.CreatedAt}, micro{&k.RetiredAt})
}

// collect reads all rows.
func collect[T any](rows *sql.Rows, err error, scan func(row) (T, error)) ([]T, error) {
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
