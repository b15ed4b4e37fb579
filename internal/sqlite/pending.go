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

// Fresh implements [fattorino.Store].
func (s *Store) Fresh(ctx context.Context, subscription, after int64, limit int) ([]*fattorino.Delivery, error) {
	refs := s.ahead.take(subscription, after, limit, s.untried.from(subscription))
	var known pendingRead
	if known.addFresh(refs); len(refs) == limit && known.findEvents(&s.shared) {
		return known.deliveries, nil
	}
	return s.pending(ctx, func(h *hot, p *pendingRead) error {
		if *p = known; len(refs) == limit {
			return nil
		}
		if len(refs) > 0 {
			after = refs[len(refs)-1].id
		}
		more, rest, err := fresh(h, &s.untried, subscription, after, limit-len(refs))
		p.addFresh(more)
		s.ahead.keep(subscription, rest)
		return err
	})
}

// fresh gives deliveries of a subscription that were never tried, with ids above
// after, in order; and what comes after them on the same page.
func fresh(q querier, u *untried, subscription, after int64, limit int) (all []ref, rest laneReader, err error) {
	const atLeast = 64 // so that it takes few steps over what is settled
	known := u.from(subscription)
	for len(all) < limit {
		n := limit - len(all)
		if after < known {
			n = max(n, atLeast)
		}
		var found []ref
		if found, rest, err = laneUp(q, subscription, after, n); err != nil {
			return nil, rest, err
		}
		left, err := untouched(q, found, known)
		if err != nil {
			return nil, rest, err
		}
		if all = append(all, left...); len(found) < n {
			break
		}
		after = found[n-1].id
	}
	return all[:min(len(all), limit)], rest, nil
}

// untouched gives those of a lane's deliveries of which nothing has become, as is
// known of all above an id.
func untouched(q querier, all []ref, known int64) ([]ref, error) {
	n := 0
	for n < len(all) && all[n].id <= known {
		n++
	}
	if n == 0 {
		return all, nil
	}
	standing, err := standingOf(q, all[:n])
	if err != nil {
		return nil, err
	}
	left := []ref{}
	for i, d := range standing {
		if d.State == fattorino.Pending && d.DueAt.IsZero() {
			left = append(left, all[i])
		}
	}
	return append(left, all[n:]...), nil
}

// Due implements [fattorino.Store].
func (s *Store) Due(ctx context.Context, subscription int64, limit int) ([]*fattorino.Delivery, error) {
	return s.rows(ctx, selectRows+`WHERE subscription = ? AND due_at IS NOT NULL ORDER BY due_at LIMIT +?`, subscription, int64(limit))
}

// Waiting implements [fattorino.Store].
func (s *Store) Waiting(ctx context.Context, subscription, waitsFor int64, limit int) ([]*fattorino.Delivery, error) {
	if waitsFor == 0 {
		return s.rows(ctx, selectRows+`WHERE subscription = ? AND waits_for IS NOT NULL ORDER BY id LIMIT +?`, subscription, int64(limit))
	}
	return s.rows(ctx, selectRows+`WHERE subscription = ? AND waits_for = ? ORDER BY id LIMIT +?`, subscription, waitsFor, int64(limit))
}

// rows reads deliveries that have a row.
func (s *Store) rows(ctx context.Context, query string, args ...driver.Value) ([]*fattorino.Delivery, error) {
	return s.pending(ctx, func(h *hot, p *pendingRead) error {
		return h.query(rowColumns, func(row []driver.Value) error {
			p.add(deliveryOf(row), row[1].(int64))
			return nil
		}, query, args...)
	})
}

// pending reads deliveries and then their events, in one snapshot.
func (s *Store) pending(ctx context.Context, read func(*hot, *pendingRead) error) ([]*fattorino.Delivery, error) {
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
		err := read(&r.hot, &p)
		if err == nil {
			err = p.addEvents(&r.hot, &s.shared)
		}
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
	missing    []int64                    // keys of those that are not in memory
}

func (p *pendingRead) add(d *fattorino.Delivery, event int64) {
	p.deliveries = append(p.deliveries, d)
	p.keys = append(p.keys, event)
}

// addFresh adds deliveries of which there is nothing to tell but which they are.
func (p *pendingRead) addFresh(refs []ref) {
	all := make([]fattorino.Delivery, len(refs))
	for i, r := range refs {
		all[i] = fattorino.Delivery{ID: r.id, Subscription: r.subscription}
		p.add(&all[i], r.event)
	}
}

// addEvents gives the deliveries their events.
func (p *pendingRead) addEvents(h *hot, shared *shared) error {
	if p.findEvents(shared) {
		return nil
	}
	if err := p.readEvents(h, shared); err != nil {
		return err
	}
	return p.giveEvents()
}

// giveEvents gives the deliveries the events that were found.
func (p *pendingRead) giveEvents() error {
	for i, d := range p.deliveries {
		if d.Event = p.events[p.keys[i]]; d.Event == nil {
			return fmt.Errorf("the event %d of delivery %d is not there", p.keys[i], d.ID)
		}
	}
	return nil
}

// findEvents gives the deliveries their events, where all are in memory.
func (p *pendingRead) findEvents(shared *shared) bool {
	p.events = make(map[int64]*fattorino.Event, len(p.keys))
	p.missing = shared.get(p.keys, p.events)
	return len(p.missing) == 0 && p.giveEvents() == nil
}

// readEvents reads the events that are not in memory.
func (p *pendingRead) readEvents(h *hot, shared *shared) error {
	list := newList(selectEventsByKey)
	for _, key := range slices.Compact(slices.Sorted(slices.Values(p.missing))) {
		list.add(key)
	}
	err := list.run(func(query string, keys []driver.Value) error {
		return h.query(eventColumnsRead, func(row []driver.Value) error {
			e, err := eventOf(row)
			if err == nil {
				p.events[e.Key] = e
			}
			return err
		}, query, keys...)
	})
	if err == nil {
		shared.put(p.events)
	}
	return err
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
