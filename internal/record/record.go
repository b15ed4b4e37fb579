// Package record says how nouns stand in the columns of a store, as far as all
// stores keep them alike.
package record

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A Row is what one row of a query can be scanned from.
type Row interface{ Scan(dest ...any) error }

// Micro reads a time column, in microseconds; NULL is the zero time.
type Micro struct{ T *time.Time }

// Scan implements [database/sql.Scanner].
func (m Micro) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*m.T = time.Time{}
	case int64:
		*m.T = FromMicros(v)
	default:
		return fmt.Errorf("a time column holds a %T", src)
	}
	return nil
}

// JSON reads a column that holds JSON.
type JSON struct{ V any }

// Scan implements [database/sql.Scanner].
func (j JSON) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("a JSON column holds a %T", src)
	}
	return json.Unmarshal([]byte(text), j.V)
}

// ToJSON writes what JSON reads.
func ToJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and integers always encode
	}
	return string(text)
}

// extension keeps the CloudEvents type of an attribute: JSON has none for
// bytes.
type extension struct {
	Text    *string `json:"s,omitempty"`
	Boolean *bool   `json:"b,omitempty"`
	Integer *int32  `json:"i,omitempty"`
	Binary  []byte  `json:"x,omitempty"`
}

// EncodeExtensions writes the extension attributes of an event, types kept.
func EncodeExtensions(attributes map[string]any) string {
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
	return ToJSON(kept)
}

// DecodeExtensions reads what EncodeExtensions writes; nothing for empty text.
func DecodeExtensions(text string) (map[string]any, error) {
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

// EventColumns are the columns of an event e, in the order of [EventRow].
const EventColumns = `e.key, e.company, e.seq, e.accepted_at, e.id, e.source, e.type, e.common, e.subject, e.time,
	e.datacontenttype, e.dataschema, e.extensions, e.entity, e.form, e.data`

// An EventRow receives EventColumns.
type EventRow struct {
	event                    fattorino.Event
	when, extensions, entity string
}

// Dest gives where the columns go.
func (r *EventRow) Dest() []any {
	e := &r.event
	return []any{
		&e.Key, &e.Company, &e.Seq,
		Micro{T: &e.Accepted},
		&e.ID, &e.Source, &e.Type, &e.Common, &e.Subject, &r.when,
		&e.DataContentType, &e.DataSchema, &r.extensions, &r.entity, &e.Form, &e.Data,
	}
}

// Finish gives the event that was scanned.
func (r *EventRow) Finish() (*fattorino.Event, error) {
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
	e.Extensions, err = DecodeExtensions(r.extensions)
	return e, err
}

// ScanEvent reads EventColumns.
func ScanEvent(r Row) (*fattorino.Event, error) {
	var x EventRow
	if err := r.Scan(x.Dest()...); err != nil {
		return nil, err
	}
	return x.Finish()
}

// ScanDelivery reads a delivery's columns, what it waits for first, and then
// those of its event.
func ScanDelivery(r Row) (*fattorino.Delivery, error) {
	var d fattorino.Delivery
	var x EventRow
	dest := []any{
		&d.WaitsFor, &d.ID, &d.Subscription, &d.State, &d.Reason, &d.Attempts, &d.Tries, &d.Status,
		Micro{T: &d.DueAt},
		Micro{T: &d.FirstErrorAt},
		Micro{T: &d.SettledAt},
	}
	if err := r.Scan(append(dest, x.Dest()...)...); err != nil {
		return nil, err
	}
	var err error
	d.Event, err = x.Finish()
	return &d, err
}

// ScanSubscription reads a whole row of subscriptions.
func ScanSubscription(r Row) (*fattorino.Subscription, error) {
	var s fattorino.Subscription
	err := r.Scan(&s.ID, &s.Company, &s.App, &s.Contract, &s.Sink, JSON{V: &s.Types}, &s.Format,
		&s.Filters, JSON{V: &s.Options}, JSON{V: &s.Secrets}, &s.State, &s.Before, JSON{V: &s.Handshake},
		Micro{T: &s.FirstErrorAt}, Micro{T: &s.ExpiresAt}, Micro{T: &s.CreatedAt}, Micro{T: &s.UpdatedAt})
	return &s, err
}

// ScanCounter reads a counter's name, window and count.
func ScanCounter(r Row) (c fattorino.Counter, err error) {
	return c, r.Scan(&c.Name, Micro{T: &c.Window}, &c.Count)
}

// TokenColumns are the columns of a token.
const TokenColumns = `id, kind, app, companies, scopes, hash, hint, created_at, expires_at, revoked_at`

// ScanToken reads TokenColumns.
func ScanToken(r Row) (*fattorino.Token, error) {
	var t fattorino.Token
	err := r.Scan(&t.ID, &t.Kind, &t.App, JSON{V: &t.Companies}, JSON{V: &t.Scopes}, &t.Hash, &t.Hint,
		Micro{T: &t.CreatedAt}, Micro{T: &t.ExpiresAt}, Micro{T: &t.RevokedAt})
	return &t, err
}

// ScanApp reads the id, the name and the time of an app.
func ScanApp(r Row) (*fattorino.App, error) {
	var a fattorino.App
	return &a, r.Scan(&a.ID, &a.Name, Micro{T: &a.CreatedAt})
}

// ScanCompany reads the id, the name, the last seq and the time of a company.
func ScanCompany(r Row) (*fattorino.Company, error) {
	var c fattorino.Company
	return &c, r.Scan(&c.ID, &c.Name, &c.LastSeq, Micro{T: &c.CreatedAt})
}

// ScanKey reads a signing key.
func ScanKey(r Row) (*fattorino.Key, error) {
	var k fattorino.Key
	return &k, r.Scan(&k.KID, &k.Name, &k.Sealed, Micro{T: &k.CreatedAt}, Micro{T: &k.RetiredAt})
}

// DocumentColumns are the columns of a document.
const DocumentColumns = `kind, company, id, due_at, body`

// ScanDocument reads DocumentColumns; NotFound where there is no row.
func ScanDocument(r Row) (*fattorino.Document, error) {
	var d fattorino.Document
	err := r.Scan(&d.Kind, &d.Company, &d.ID, Micro{T: &d.DueAt}, &d.Body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fattorino.Errorf(fattorino.NotFound, "there is no such document")
	}
	return &d, err
}

// OwnTypeColumns are the columns of a type of the operator's.
const OwnTypeColumns = `name, description, common, schema, deprecated, created_at, updated_at`

// ScanOwnType reads OwnTypeColumns.
func ScanOwnType(r Row) (*fattorino.OwnType, error) {
	var o fattorino.OwnType
	return &o, r.Scan(&o.Name, &o.Description, &o.Common, &o.Schema, &o.Deprecated, Micro{T: &o.CreatedAt}, Micro{T: &o.UpdatedAt})
}

// ScanOwnGroup reads the name and the types of a group of the operator's.
func ScanOwnGroup(r Row) (g fattorino.Group, err error) {
	return g, r.Scan(&g.Name, JSON{V: &g.Types})
}

// DeliveredAtOnce tells whether a delivery was delivered at its first attempt,
// which is what becomes of nearly all: its status and when it was settled are all
// there is to write of it.
func DeliveredAtOnce(d *fattorino.Delivery) bool {
	return *d == fattorino.Delivery{
		ID: d.ID, Subscription: d.Subscription, Event: d.Event, State: fattorino.Delivered,
		Attempts: 1, Tries: 1, Status: d.Status, SettledAt: d.SettledAt,
	}
}

// Optional gives the time as it is kept; nil for the zero time.
func Optional(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return Micros(t)
}

// NotZero gives nil for 0.
func NotZero(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

// OrEmpty keeps a nil list from becoming JSON null or SQL NULL.
func OrEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Micros gives a time as a column keeps it, in microseconds since 1970.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// FromMicros reads what Micros writes.
func FromMicros(us int64) time.Time { return time.UnixMicro(us) }
