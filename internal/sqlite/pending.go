package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// The reads that fill the lanes. They are as hot as Commit when sinks have a
// backlog, so they go straight to the driver too. Their limit is +?, for SQLite
// plans a statement anew for each value of a bare parameter there.

// Fresh implements [fattorino.Store]. Of a delivery that was never tried there
// is nothing to read but which one it is.
func (s *Store) Fresh(ctx context.Context, subscription, after int64, limit int) ([]*fattorino.Delivery, error) {
	return s.pending(ctx, freshColumns, `SELECT id, event, subscription FROM deliveries
		WHERE subscription = ? AND id > ? AND state = 0 AND due_at IS NULL ORDER BY id LIMIT +?`, subscription, after, int64(limit))
}

const selectPending = `SELECT id, event, subscription, state, reason, attempts, tries, status, due_at, first_error_at, settled_at,
	coalesce(waits_for, 0) FROM deliveries `

const freshColumns, pendingColumns = 3, 12

// Due implements [fattorino.Store].
func (s *Store) Due(ctx context.Context, subscription int64, limit int) ([]*fattorino.Delivery, error) {
	return s.pending(ctx, pendingColumns, selectPending+`WHERE subscription = ? AND due_at IS NOT NULL ORDER BY due_at LIMIT +?`,
		subscription, int64(limit))
}

// Waiting implements [fattorino.Store].
func (s *Store) Waiting(ctx context.Context, subscription, waitsFor int64, limit int) ([]*fattorino.Delivery, error) {
	if waitsFor == 0 {
		return s.pending(ctx, pendingColumns, selectPending+`WHERE subscription = ? AND waits_for IS NOT NULL ORDER BY id LIMIT +?`, subscription, int64(limit))
	}
	return s.pending(ctx, pendingColumns, selectPending+`WHERE subscription = ? AND waits_for = ? ORDER BY id LIMIT +?`, subscription, waitsFor, int64(limit))
}

// pending reads deliveries and then their events, in one snapshot.
func (s *Store) pending(ctx context.Context, columns int, query string, args ...driver.Value) ([]*fattorino.Delivery, error) {
	r, err := s.readers.take(ctx, s.read)
	if err != nil {
		return nil, translate(err)
	}
	defer s.readers.give(r)
	var p pendingRead
	err = r.conn.Raw(func(c any) error {
		if err := r.use(c.(driver.Conn)); err != nil {
			return err
		}
		if err := r.exec(`BEGIN`); err != nil {
			return err
		}
		err := p.read(&r.hot, &s.shared, columns, query, args)
		return errors.Join(err, r.exec(`ROLLBACK`))
	})
	if err != nil {
		return nil, translate(err)
	}
	return p.deliveries, nil
}

// pendingRead is one such read.
type pendingRead struct {
	deliveries []*fattorino.Delivery
	keys       []int64                    // of their events, one by one
	events     map[int64]*fattorino.Event // by key
}

func (p *pendingRead) read(h *hot, shared *shared, columns int, query string, args []driver.Value) error {
	err := h.query(columns, func(row []driver.Value) error {
		d := &fattorino.Delivery{ID: row[0].(int64), Subscription: row[2].(int64)}
		if columns == pendingColumns {
			fill(d, row)
		}
		p.deliveries = append(p.deliveries, d)
		p.keys = append(p.keys, row[1].(int64))
		return nil
	}, query, args...)
	if err != nil {
		return err
	}
	if err := p.readEvents(h, shared); err != nil {
		return err
	}
	for i, d := range p.deliveries {
		if d.Event = p.events[p.keys[i]]; d.Event == nil {
			return fmt.Errorf("the event %d of delivery %d is not there", p.keys[i], d.ID)
		}
	}
	return nil
}

// readEvents reads the events that are not in memory already.
func (p *pendingRead) readEvents(h *hot, shared *shared) error {
	keys := slices.Compact(slices.Sorted(slices.Values(p.keys)))
	p.events = make(map[int64]*fattorino.Event, len(keys))
	missing := newList(selectEventsByKey)
	for _, key := range shared.get(keys, p.events) {
		missing.add(key)
	}
	known := len(p.events)
	err := missing.run(func(query string, keys []driver.Value) error {
		return h.query(eventColumnsRead, func(row []driver.Value) error {
			e, err := eventOf(row)
			if err == nil {
				p.events[e.Key] = e
			}
			return err
		}, query, keys...)
	})
	if err == nil && len(p.events) > known {
		shared.put(p.events)
	}
	return err
}

// fill reads the rest of a row of selectPending.
func fill(d *fattorino.Delivery, row []driver.Value) {
	d.State, d.Reason = fattorino.DeliveryState(row[3].(int64)), fattorino.Reason(row[4].(string))
	d.Attempts, d.Tries, d.Status = int(row[5].(int64)), int(row[6].(int64)), int(row[7].(int64))
	d.DueAt, d.FirstErrorAt, d.SettledAt = timeOf(row[8]), timeOf(row[9]), timeOf(row[10])
	d.WaitsFor = row[11].(int64)
}

const (
	selectEventsByKey = `SELECT ` + record.EventColumns + ` FROM events e WHERE e.key IN (`
	eventColumnsRead  = 16
)

// eventOf reads a row of eventColumns.
func eventOf(row []driver.Value) (*fattorino.Event, error) {
	var r record.EventRow
	for i, dest := range r.Dest() {
		switch d := dest.(type) {
		case *int64:
			*d = row[i].(int64)
		case *string:
			*d = row[i].(string)
		case *[]byte:
			*d, _ = row[i].([]byte) // NULL is nil
		case *fattorino.Form:
			*d = fattorino.Form(row[i].(int64))
		case record.Micro:
			*d.T = timeOf(row[i])
		}
	}
	return r.Finish()
}

func timeOf(v driver.Value) (t time.Time) {
	_ = record.Micro{T: &t}.Scan(v) // an INTEGER column holds no other types: the table is STRICT
	return t
}

// A reader is a connection with statements prepared on it.
type reader struct {
	conn *sql.Conn
	hot
}

// readers are the connections that fill lanes, made as they are needed.
type readers struct {
	mu   sync.Mutex
	idle []*reader
}

func (p *readers) take(ctx context.Context, db *sql.DB) (*reader, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		r := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return r, nil
	}
	p.mu.Unlock()
	conn, err := db.Conn(ctx)
	return &reader{conn: conn}, err
}

func (p *readers) give(r *reader) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, r)
}

func (p *readers) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []error
	for _, r := range p.idle {
		all = append(all, r.close(), r.conn.Close())
	}
	p.idle = nil
	return errors.Join(all...)
}

// shared finds events that are in memory already. An event that goes to many
// subscriptions is read once for all lanes that are at about the same place;
// it is kept by nobody but those lanes.
type shared struct {
	mu     sync.Mutex
	events map[int64]weak.Pointer[fattorino.Event]
	sweep  int // size at which what is no longer there is forgotten
}

// get puts the events that are there into found, and gives the keys of the
// rest.
func (s *shared) get(keys []int64, found map[int64]*fattorino.Event) (missing []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		if e := s.events[key].Value(); e != nil {
			found[key] = e
		} else {
			missing = append(missing, key)
		}
	}
	return missing
}

func (s *shared) put(events map[int64]*fattorino.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.events == nil {
		s.events = map[int64]weak.Pointer[fattorino.Event]{}
	}
	for key, e := range events {
		s.events[key] = weak.Make(e)
	}
	if len(s.events) < s.sweep {
		return
	}
	for key, e := range s.events {
		if e.Value() == nil {
			delete(s.events, key)
		}
	}
	s.sweep = 2*len(s.events) + 1024
}
