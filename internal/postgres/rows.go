package postgres

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// How the nouns become rows and back. A list of columns and the function that
// reads them stand together. What is written many at a time is gathered column
// by column, for unnest.

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// record.OrEmpty keeps a nil list from becoming JSON null or SQL NULL.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// eventRows are events to be inserted.
type eventRows struct {
	part                                                                            []int16
	key, company, seq, accepted, first                                              []int64
	id, source, typ, common, subject, when, contentType, schema, extensions, entity []string
	form                                                                            []int16
	data, hash                                                                      [][]byte
	deliveries                                                                      []int32
}

func (r *eventRows) add(part int16, e *fattorino.Event, first int64, deliveries int) {
	when, extensions := "", ""
	if !e.Time.IsZero() {
		when = e.Time.Format(time.RFC3339Nano)
	}
	if len(e.Extensions) > 0 {
		extensions = record.EncodeExtensions(e.Extensions)
	}
	_, hash := e.Hashes()
	r.part, r.key, r.company = append(r.part, part), append(r.key, e.Key), append(r.company, e.Company)
	r.seq, r.accepted = append(r.seq, e.Seq), append(r.accepted, record.Micros(e.Accepted))
	r.id, r.source = append(r.id, e.ID), append(r.source, e.Source)
	r.typ, r.common = append(r.typ, e.Type), append(r.common, e.Common)
	r.subject, r.when = append(r.subject, e.Subject), append(r.when, when)
	r.contentType, r.schema = append(r.contentType, e.DataContentType), append(r.schema, e.DataSchema)
	r.extensions, r.entity = append(r.extensions, extensions), append(r.entity, e.Entity.String())
	r.form, r.data, r.hash = append(r.form, int16(e.Form)), append(r.data, e.Data), append(r.hash, hash)
	r.first, r.deliveries = append(r.first, first), append(r.deliveries, int32(deliveries))
}

func (r *eventRows) insert(b *pgx.Batch, s spread, day int) {
	b.Queue(fmt.Sprintf(`INSERT INTO events_%d AS x (part, key, company, seq, accepted_at, id, source, type, common, subject, time,
			datacontenttype, dataschema, extensions, entity, form, data, content_hash, first_delivery, deliveries) `, day)+
		s.rows(`$2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[],
			$12::text[], $13::text[], $14::text[], $15::text[], $16::smallint[], $17::bytea[], $18::bytea[], $19::bigint[], $20::int[]`, ""),
		s.parts(r.part), r.key, r.company, r.seq, r.accepted, r.id, r.source, r.typ, r.common, r.subject, r.when,
		r.contentType, r.schema, r.extensions, r.entity, r.form, r.data, r.hash, r.first, r.deliveries)
}

// newDeliveryRows are deliveries to be inserted.
type newDeliveryRows struct {
	part                    []int16
	id, event, subscription []int64
}

func (r *newDeliveryRows) add(part int16, id, event, subscription int64) {
	r.part, r.id = append(r.part, part), append(r.id, id)
	r.event, r.subscription = append(r.event, event), append(r.subscription, subscription)
}

func (r *newDeliveryRows) insert(b *pgx.Batch, s spread, day int) {
	if len(r.id) > 0 {
		b.Queue(fmt.Sprintf(`INSERT INTO deliveries_%d AS x (part, id, event, subscription) `, day)+s.rows(`$2::bigint[], $3::bigint[], $4::bigint[]`, ""),
			s.parts(r.part), r.id, r.event, r.subscription)
	}
}

// deliveryRows are deliveries to be updated.
type deliveryRows struct {
	id, event, subscription            []int64
	part, state, status                []int16
	attempts, tries                    []int32
	due, firstError, settled, waitsFor []*int64
	reason                             []*string
	page                               []*int64
}

// add takes a delivery, and the page of its first attempt where that is new.
func (r *deliveryRows) add(part int16, d *fattorino.Delivery, page *int64) {
	var waitsFor *int64
	if d.WaitsFor != 0 {
		waitsFor = &d.WaitsFor
	}
	var reason *string
	if d.Reason != "" || d.State == fattorino.Discarded {
		text := string(d.Reason)
		reason = &text
	}
	r.part = append(r.part, part)
	r.id, r.event, r.subscription = append(r.id, d.ID), append(r.event, d.Event.Key), append(r.subscription, d.Subscription)
	r.state, r.status = append(r.state, int16(d.State)), append(r.status, int16(d.Status))
	r.attempts, r.tries = append(r.attempts, int32(d.Attempts)), append(r.tries, int32(d.Tries))
	r.due, r.firstError = append(r.due, optional(d.DueAt)), append(r.firstError, optional(d.FirstErrorAt))
	r.settled, r.waitsFor = append(r.settled, optional(d.SettledAt)), append(r.waitsFor, waitsFor)
	r.reason, r.page = append(r.reason, reason), append(r.page, page)
}

// update queues the statement. It is an insert of what is there already, because
// that has one plan alone: row by row through the primary key. For an UPDATE
// from a list PostgreSQL chooses between that and looking through the list for
// each row of the part, which it takes for the better while it has no statistics
// of a day's young table. What was attempted since is not undone by what comes
// late.
func (r *deliveryRows) update(b *pgx.Batch, s spread, day int) {
	b.Queue(fmt.Sprintf(`INSERT INTO deliveries_%d AS d (part, id, event, subscription, state, status, attempts, tries, due_at, first_error_at, settled_at, waits_for, reason, page) `, day)+
		s.rows(`$2::bigint[], $3::bigint[], $4::bigint[], $5::smallint[], $6::smallint[], $7::int[], $8::int[],
			$9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::bigint[]`, "")+`
		ON CONFLICT (part, id) DO UPDATE SET state = excluded.state, status = excluded.status, attempts = excluded.attempts, tries = excluded.tries,
			due_at = excluded.due_at, first_error_at = excluded.first_error_at, settled_at = excluded.settled_at,
			waits_for = excluded.waits_for, reason = excluded.reason, page = coalesce(excluded.page, d.page)
		WHERE d.attempts <= excluded.attempts`,
		s.parts(r.part), r.id, r.event, r.subscription, r.state, r.status, r.attempts, r.tries, r.due, r.firstError, r.settled, r.waitsFor, r.reason, r.page)
}

// successRows are deliveries to be updated that were delivered at once
// ([record.DeliveredAtOnce]), with the pages of their attempts.
type successRows struct {
	part                                 []int16
	id, event, subscription, page, ended []int64
	status                               []int16
}

func (r *successRows) add(part int16, d *fattorino.Delivery, page int64) {
	r.part, r.id = append(r.part, part), append(r.id, d.ID)
	r.event, r.subscription = append(r.event, d.Event.Key), append(r.subscription, d.Subscription)
	r.page, r.ended, r.status = append(r.page, page), append(r.ended, record.Micros(d.SettledAt)), append(r.status, int16(d.Status))
}

// update queues the statement, an insert for the same reason.
func (r *successRows) update(b *pgx.Batch, s spread, day int) {
	b.Queue(fmt.Sprintf(`INSERT INTO deliveries_%d AS d (part, id, event, subscription, page, settled_at, status, state, attempts, tries) `, day)+
		s.rows(`$2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::smallint[]`, `, 1, 1, 1`)+`
		ON CONFLICT (part, id) DO UPDATE SET page = excluded.page, settled_at = excluded.settled_at, status = excluded.status,
			state = 1, attempts = 1, tries = 1, due_at = NULL, first_error_at = NULL, waits_for = NULL, reason = NULL
		WHERE d.attempts <= 1`,
		s.parts(r.part), r.id, r.event, r.subscription, r.page, r.ended, r.status)
}

// settledRows are deliveries of a day to be updated.
type settledRows struct {
	successes successRows
	others    deliveryRows
}

func (r *settledRows) add(part int16, d *fattorino.Delivery, page *int64) {
	if page != nil && record.DeliveredAtOnce(d) {
		r.successes.add(part, d, *page)
		return
	}
	r.others.add(part, d, page)
}

func (r *settledRows) update(b *pgx.Batch, s spread, day int) {
	if len(r.successes.id) > 0 {
		r.successes.update(b, s, day)
	}
	if len(r.others.id) > 0 {
		r.others.update(b, s, day)
	}
}

const deliveryColumns = `coalesce(d.waits_for, 0), d.id, d.subscription, d.state, coalesce(d.reason, ''), d.attempts, d.tries, d.status,
	d.due_at, d.first_error_at, d.settled_at`

// selectDelivery reads deliveries with their events; more conditions follow,
// the first of which is that the part is $1.
const selectDelivery = `SELECT ` + deliveryColumns + `, ` + record.EventColumns + `
	FROM deliveries d, LATERAL (SELECT * FROM events WHERE part = $1 AND key = d.event OFFSET 0) e `

const selectSubscription = `SELECT id, company, app, contract, sink, types, format, filters, options, secrets, state, before, handshake,
	first_error_at, expires_at, created_at, updated_at, version FROM subscriptions s `

// scanSubscription reads what selectSubscription selects.
func scanSubscription(r record.Row) (*fattorino.Subscription, error) {
	var version int64
	s, err := record.ScanSubscription(andThen{r, &version})
	s.Version = version
	return s, err
}

// andThen scans one column more than it is asked for.
type andThen struct {
	record.Row
	last any
}

// Scan implements [record.Row].
func (a andThen) Scan(dest ...any) error { return a.Row.Scan(append(dest, a.last)...) }

const updateSubscription = `UPDATE subscriptions SET company = $3, app = $4, contract = $5, sink = $6, types = $7, format = $8,
	filters = $9, options = $10, secrets = $11, state = $12, before = $13, handshake = $14, first_error_at = $15, expires_at = $16, created_at = $17, updated_at = $18,
	sought = $19, version = $20
	WHERE part = $1 AND id = $2`

const insertSubscription = `INSERT INTO subscriptions (part, id, company, app, contract, sink, types, format, filters, options, secrets, state, before, handshake,
	first_error_at, expires_at, created_at, updated_at, sought, version)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`

// subscriptionValues gives the columns in the order of the statements above.
func subscriptionValues(part int16, s *fattorino.Subscription) []any {
	return []any{
		part, s.ID, s.Company, s.App, s.Contract, s.Sink, record.ToJSON(s.Types), string(s.Format),
		record.OrEmpty(s.Filters), record.ToJSON(s.Options), record.ToJSON(record.OrEmpty(s.Secrets)), string(s.State), string(s.Before), record.ToJSON(s.Handshake),
		optional(s.FirstErrorAt), optional(s.ExpiresAt), record.Micros(s.CreatedAt), record.Micros(s.UpdatedAt), s.Sought(), s.Version,
	}
}

func scanID(r record.Row) (id int64, err error) { return id, r.Scan(&id) }

// collect reads all rows.
func collect[T any](rows pgx.Rows, err error, scan func(record.Row) (T, error)) ([]T, error) {
	if err != nil {
		return nil, translate(err)
	}
	defer rows.Close()
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
