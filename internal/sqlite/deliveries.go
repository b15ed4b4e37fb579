package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// Deliveries implements [fattorino.Reader]. It finds the ids of the page in the
// indexes, and reads no more than that page. Where there are several ways to
// find them, as by type and by subscription, it goes them all by turns and
// takes what the first one finds: which of them is short depends on the log.
func (s *Store) Deliveries(ctx context.Context, q fattorino.DeliveryQuery) ([]*fattorino.Delivery, error) {
	if q.Limit <= 0 || len(q.Subscriptions) == 0 {
		return []*fattorino.Delivery{}, nil
	}
	var p pendingRead
	err := s.snapshot(ctx, func(h *hot) error {
		bounds, err := boundsOf(h, q)
		if err != nil {
			return err
		}
		refs, err := search(h, q, bounds).run(ctx)
		if err != nil {
			return err
		}
		standing, err := standingOf(h, refs)
		if err != nil {
			return err
		}
		for i, d := range standing {
			p.add(d, refs[i].event)
		}
		return p.addEvents(h, &s.shared)
	})
	return p.deliveries, err
}

// snapshot calls f with a reading connection that sees the store as it is at
// this moment.
func (s *Store) snapshot(ctx context.Context, f func(*hot) error) error {
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return translate(err)
	}
	defer conn.Close() //nolint:errcheck // gives the connection back to its pool
	return translate(conn.Raw(func(c any) (err error) {
		var h hot
		if err := h.use(c.(driver.Conn)); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, h.close()) }()
		if err := h.exec(`BEGIN`); err != nil {
			return err
		}
		err = f(&h)
		return errors.Join(err, h.exec(`ROLLBACK`))
	}))
}

// span is a range of ids: from low up to, but not including, high.
type span struct{ low, high int64 }

// boundsOf gives the ids that the cursor and the times of a query leave.
func boundsOf(h *hot, q fattorino.DeliveryQuery) (b span, err error) {
	b = span{low: 1, high: math.MaxInt64}
	if q.Before > 0 {
		b.high = q.Before
	}
	if !q.From.IsZero() {
		if b.low, err = deliveryAt(h, q.From); err != nil {
			return b, err
		}
	}
	if !q.To.IsZero() {
		end, err := deliveryAt(h, q.To)
		b.high = min(b.high, end)
		return b, err
	}
	return b, nil
}

// logSearch looks for the newest deliveries that a query asks for.
type logSearch struct {
	*hot
	span
	q             fattorino.DeliveryQuery
	subscriptions string // of the query, as JSON
}

func search(h *hot, q fattorino.DeliveryQuery, bounds span) *logSearch {
	return &logSearch{hot: h, q: q, span: bounds, subscriptions: record.ToJSON(q.Subscriptions)}
}

// A way leads through deliveries, newest first, among which are all that a
// query asks for.
type way interface {
	// next goes on by n deliveries or more, and tells whether the way has ended.
	next(n int) (refs []ref, end bool, err error)
}

// How many deliveries are looked at, on one way, before it is the turn of the
// next: few at first, for most pages are found at once.
const (
	firstSteps = 64
	mostSteps  = 4096
)

// run gives the deliveries of the page, newest first.
func (l *logSearch) run(ctx context.Context) ([]ref, error) {
	ways, err := l.ways()
	if err != nil {
		return nil, err
	}
	return l.walk(ctx, ways, max(l.q.Limit, firstSteps))
}

// walk goes the ways by turns, n deliveries at first, until one has led to the
// whole page or to its end.
func (l *logSearch) walk(ctx context.Context, ways []way, n int) ([]ref, error) {
	found := make([][]ref, len(ways))
	for ; ; n = min(2*n, max(l.q.Limit, mostSteps)) {
		for i, w := range ways {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			refs, end, err := w.next(n)
			if err != nil {
				return nil, err
			}
			if refs, err = l.keep(refs); err != nil {
				return nil, err
			}
			found[i] = append(found[i], refs...)
			if end || len(found[i]) >= l.q.Limit {
				return found[i][:min(len(found[i]), l.q.Limit)], nil
			}
		}
	}
}

// ways gives the ways there are: the lanes always; the events of the types and
// of the entity where the query names any.
func (l *logSearch) ways() ([]way, error) {
	var all []way
	if l.q.Entity != "" || len(l.q.Types) > 0 {
		companies, err := l.companies()
		if err != nil {
			return nil, err
		}
		keys, err := l.keys()
		if err != nil {
			return nil, err
		}
		of := make(map[int64]bool, len(l.q.Subscriptions))
		for _, subscription := range l.q.Subscriptions {
			of[subscription] = true
		}
		if l.q.Entity != "" {
			all = append(all, &eventWay{logSearch: l, of: of, streams: l.aboutEntity(companies), rest: keys})
		}
		if len(l.q.Types) > 0 {
			streams, err := l.ofTypes(companies)
			if err != nil {
				return nil, err
			}
			all = append(all, &eventWay{logSearch: l, of: of, streams: streams, rest: keys})
		}
	}
	return append(all, &laneWay{logSearch: l, rest: l.span}), nil
}

// keep gives those of the deliveries that are asked for.
func (l *logSearch) keep(refs []ref) ([]ref, error) {
	refs, err := l.keepEvents(refs)
	if err != nil || l.q.State == nil {
		return refs, err
	}
	standing, err := standingOf(l, refs)
	if err != nil {
		return nil, err
	}
	kept := refs[:0]
	for i, d := range standing {
		if d.State == *l.q.State {
			kept = append(kept, refs[i])
		}
	}
	return kept, nil
}

// keepEvents gives those of events that are asked for.
func (l *logSearch) keepEvents(refs []ref) ([]ref, error) {
	var tests string
	var args []driver.Value
	if l.q.Entity != "" {
		typ, id, _ := strings.Cut(l.q.Entity, "/")
		tests = ` AND (e.entity = ? OR (substr(e.entity, 1, length(?)) = ? AND instr(',' || substr(e.entity, length(?) + 1) || ',', ?) > 0))`
		args = append(args, l.q.Entity, typ+"/", typ+"/", typ+"/", ","+id+",")
	}
	if len(l.q.Types) > 0 {
		tests += ` AND (e.type IN (SELECT value FROM json_each(?)) OR e.common IN (SELECT value FROM json_each(?)))`
		args = append(args, record.ToJSON(l.q.Types), record.ToJSON(l.q.Types))
	}
	if tests == "" {
		return refs, nil
	}
	keys := make([]int64, len(refs))
	for i, r := range refs {
		keys[i] = r.event
	}
	fit, err := numbers(l, `SELECT e.key FROM events e WHERE e.key IN (SELECT value FROM json_each(?))`+tests+` ORDER BY e.key`,
		append([]driver.Value{record.ToJSON(keys)}, args...)...)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(refs, func(r ref) bool { return !isIn(fit, r.event) }), nil
}

// numbers reads rows of one integer.
func numbers(q querier, query string, args ...driver.Value) (all []int64, err error) {
	err = q.query(1, func(row []driver.Value) error {
		all = append(all, row[0].(int64))
		return nil
	}, query, args...)
	return all, err
}
