package sqlite

import (
	"cmp"
	"database/sql/driver"
	"fmt"
	"math"
	"slices"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A stream gives the greatest numbers of an index that are in a range, from the
// greatest down, at most limit of them.
type stream[T any] func(in span, limit int) ([]T, error)

// newest merges streams. What one gives narrows what is still asked of the
// next, so that many cost little more than one.
func newest[T any](streams []stream[T], number func(T) int64, in span, limit int) (all []T, err error) {
	for _, s := range streams {
		more, err := s(in, limit)
		if err != nil {
			return nil, err
		}
		if all = mergeDown(all, more, number); len(all) >= limit {
			all = all[:limit]
			in.low = number(all[limit-1])
		}
	}
	return all, nil
}

// mergeDown merges two descending lists; what is in both is in the result once.
func mergeDown[T any](a, b []T, number func(T) int64) []T {
	both := make([]T, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case number(a[0]) > number(b[0]):
			both, a = append(both, a[0]), a[1:]
		case number(a[0]) < number(b[0]):
			both, b = append(both, b[0]), b[1:]
		default:
			a = a[1:]
		}
	}
	return append(append(both, a...), b...)
}

func idOf(r ref) int64 { return r.id }

func itself(n int64) int64 { return n }

// laneWay leads through the lanes of the subscriptions.
type laneWay struct {
	*logSearch
	rest span
}

func (w *laneWay) next(n int) (refs []ref, end bool, err error) {
	streams, low, err := w.lanes(n)
	if err != nil {
		return nil, false, err
	}
	if refs, err = newest(streams, idOf, span{max(low, w.rest.low), w.rest.high}, n); err != nil || len(refs) < n {
		return refs, true, err
	}
	w.rest.high = refs[n-1].id
	return refs, false, nil
}

// head is a subscription with deliveries that are asked for, and the id of the
// newest.
type head struct{ subscription, newest int64 }

// place is where the deliveries of a subscription are found, from the newest down.
type place struct {
	heads func() ([]head, error)
	page  func(subscription int64) stream[ref]
}

// places gives where the deliveries in the state are. Those that are delivered,
// nearly all, have no place of their own, and those that were never tried are in
// the lane behind what it is known to have settled, among others.
func (w *laneWay) places() []place {
	switch state := w.q.State; {
	case state == nil, *state == fattorino.Delivered:
		return []place{w.lane(false)}
	case *state == fattorino.Pending:
		return []place{w.lane(true), w.rows(*state)}
	default:
		return []place{w.rows(*state)}
	}
}

// lanes gives the lanes that the next n deliveries are in, and an id that none
// of them is below. Only the n lanes with the newest can have them, however
// many there are.
func (w *laneWay) lanes(n int) (streams []stream[ref], low int64, err error) {
	type lane struct {
		head int64
		stream[ref]
	}
	var lanes []lane
	places := w.places()
	for _, p := range places {
		heads, err := p.heads()
		if err != nil {
			return nil, 0, err
		}
		for _, h := range heads {
			lanes = append(lanes, lane{h.newest, p.page(h.subscription)})
		}
	}
	slices.SortFunc(lanes, func(a, b lane) int { return cmp.Compare(b.head, a.head) })
	if most := n * len(places); len(lanes) >= most { // what is in two places is there twice
		lanes = lanes[:most]
		low = lanes[most-1].head
	}
	for _, l := range lanes {
		streams = append(streams, l.stream)
	}
	return streams, low, nil
}

// Of each subscription the last page that begins before an id. Its last delivery
// is the newest before that id; only where it is not, the page has to be read.
const laneHeads = `SELECT s.value, p.first, p.last, iif(p.last < ?1, x'', p.page), coalesce((SELECT settled FROM lanes l WHERE l.subscription = s.value), 0)
	FROM json_each(?2) s CROSS JOIN lane_pages p ON p.subscription = s.value
	AND p.first = (SELECT max(first) FROM lane_pages WHERE subscription = s.value AND first < ?1)`

// lane is the place of all deliveries, or of those alone that are behind what is
// settled.
func (w *laneWay) lane(unsettled bool) place {
	lows := map[int64]int64{}
	heads := func() (all []head, err error) {
		var page []ref
		err = w.query(5, func(row []driver.Value) (err error) {
			h := head{row[0].(int64), row[2].(int64)}
			if page, err = unpackLane(h.subscription, row[1].(int64), row[3].([]byte), page[:0]); err != nil {
				return err
			}
			for _, r := range page {
				if r.id < w.rest.high {
					h.newest = r.id
				}
			}
			low := w.rest.low
			if unsettled {
				low = max(low, row[4].(int64)+1)
			}
			if lows[h.subscription] = low; h.newest >= low && h.newest < w.rest.high {
				all = append(all, h)
			}
			return nil
		}, laneHeads, w.rest.high, w.subscriptions)
		return all, err
	}
	page := func(subscription int64) stream[ref] {
		return func(in span, limit int) ([]ref, error) {
			return laneDown(w, subscription, span{max(in.low, lows[subscription]), in.high}, limit)
		}
	}
	return place{heads, page}
}

// inState finds what has a row in the state, of a subscription %[1]s and with an id
// from ?1 on and before ?2.
const inState = ` FROM deliveries INDEXED BY deliveries_failed WHERE subscription = %[1]s AND state = %[2]d
	AND (state >= 2 OR due_at IS NOT NULL) AND id >= ?1 AND id < ?2 ORDER BY id DESC`

// rows is the place of what is in a state that few are in.
func (w *laneWay) rows(state fattorino.DeliveryState) place {
	heads := func() (all []head, err error) {
		err = w.query(2, func(row []driver.Value) error {
			if newest, ok := row[1].(int64); ok {
				all = append(all, head{row[0].(int64), newest})
			}
			return nil
		}, fmt.Sprintf(`SELECT s.value, (SELECT id`+inState+` LIMIT 1) FROM json_each(?3) s`, `s.value`, state), w.rest.low, w.rest.high, w.subscriptions)
		return all, err
	}
	page := func(subscription int64) stream[ref] {
		return func(in span, limit int) (all []ref, err error) {
			err = w.query(2, func(row []driver.Value) error {
				all = append(all, ref{row[0].(int64), row[1].(int64), subscription})
				return nil
			}, fmt.Sprintf(`SELECT id, event`+inState+` LIMIT ?3`, `?4`, state), in.low, in.high, int64(limit), subscription)
			return all, err
		}
	}
	return place{heads, page}
}

// eventWay leads through events, and from each to its deliveries.
type eventWay struct {
	*logSearch
	of      map[int64]bool  // the subscriptions
	streams []stream[int64] // of keys
	rest    span            // of keys
}

func (w *eventWay) next(n int) (refs []ref, end bool, err error) {
	keys, err := newest(w.streams, itself, w.rest, n)
	if err != nil {
		return nil, false, err
	}
	for _, key := range keys {
		of, err := ofEvent(w, key)
		if err != nil {
			return nil, false, err
		}
		for _, r := range slices.Backward(of) {
			if r.id >= w.low && r.id < w.high && w.of[r.subscription] {
				refs = append(refs, r)
			}
		}
		w.rest.high = key
		if len(refs) >= n {
			return refs, false, nil
		}
	}
	return refs, len(keys) < n, nil
}

// companies gives whose the subscriptions are.
func (l *logSearch) companies() ([]int64, error) {
	return numbers(l, `SELECT DISTINCT company FROM subscriptions WHERE id IN (SELECT value FROM json_each(?))`, l.subscriptions)
}

// keys gives the range of the events whose deliveries are in the range of ids.
func (l *logSearch) keys() (span, error) {
	first, err := eventAt(l, l.low)
	if err != nil || first == 0 {
		return span{}, err
	}
	last, err := eventAt(l, l.high-1)
	if err == nil && last == 0 {
		return span{first, math.MaxInt64}, nil
	}
	return span{first, last + 1}, err
}
