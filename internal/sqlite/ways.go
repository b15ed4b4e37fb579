package sqlite

import (
	"cmp"
	"database/sql/driver"
	"fmt"
	"slices"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A stream gives the greatest numbers of an index that are in a range, from the
// greatest down, at most limit of them.
type stream func(in span, limit int) ([]int64, error)

// newest merges streams. What one gives narrows what is still asked of the
// next, so that many cost little more than one.
func newest(streams []stream, in span, limit int) (all []int64, err error) {
	for _, s := range streams {
		more, err := s(in, limit)
		if err != nil {
			return nil, err
		}
		if all = mergeDown(all, more); len(all) >= limit {
			all = all[:limit]
			in.low = all[limit-1]
		}
	}
	return all, nil
}

// mergeDown merges two descending lists; what is in both is in the result once.
func mergeDown(a, b []int64) []int64 {
	both := make([]int64, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] > b[0]:
			both, a = append(both, a[0]), a[1:]
		case a[0] < b[0]:
			both, b = append(both, b[0]), b[1:]
		default:
			a = a[1:]
		}
	}
	return append(append(both, a...), b...)
}

// laneWay leads through the lanes of the subscriptions.
type laneWay struct {
	*logSearch
	rest span
}

func (w *laneWay) next(n int) (ids []int64, end bool, err error) {
	streams, low, err := w.lanes(n)
	if err != nil {
		return nil, false, err
	}
	if ids, err = newest(streams, span{max(low, w.rest.low), w.rest.high}, n); err != nil || len(ids) < n {
		return ids, true, err
	}
	w.rest.high = ids[n-1]
	return ids, false, nil
}

// laneQuery is a search in an index of deliveries. ?1 and ?2 bound the ids; %s
// is the subscription.
type laneQuery struct{ index, where string }

// laneQueries gives where the deliveries of a subscription in a state are
// found. Those delivered have no index of their own: nearly all are.
func laneQueries(state *fattorino.DeliveryState) []laneQuery {
	failed := func(state fattorino.DeliveryState) laneQuery {
		return laneQuery{`deliveries_failed`, fmt.Sprintf(
			`subscription = %%[1]s AND state = %d AND (state >= 2 OR due_at IS NOT NULL) AND id >= ?1 AND id < ?2`, state)}
	}
	switch {
	case state == nil, *state == fattorino.Delivered:
		return []laneQuery{{`deliveries_lane`, `subscription = %[1]s AND id >= ?1 AND id < ?2`}}
	case *state == fattorino.Pending:
		fresh := laneQuery{`deliveries_lane`, `subscription = %[1]s AND id < ?2 AND state = 0 AND due_at IS NULL
			AND id >= max(?1, 1 + coalesce((SELECT settled FROM lanes l WHERE l.subscription = %[1]s), 0))`}
		return []laneQuery{fresh, failed(*state)}
	}
	return []laneQuery{failed(*state)}
}

func (q laneQuery) text(subscription string) string {
	return fmt.Sprintf(`SELECT id FROM deliveries INDEXED BY `+q.index+` WHERE `+q.where+` ORDER BY id DESC`, subscription)
}

// page gives the text that reads the newest ?3 deliveries of subscription ?4.
func (q laneQuery) page() string { return q.text(`?4`) + ` LIMIT ?3` }

// heads gives the text that reads the newest delivery of each subscription of
// the JSON list ?3.
func (q laneQuery) heads() string {
	return `SELECT s.value, (` + q.text(`s.value`) + ` LIMIT 1) FROM json_each(?3) s`
}

// lanes gives the lanes that the next n deliveries are in, and an id that none
// of them is below. Only the n lanes with the newest can have them, however
// many there are.
func (w *laneWay) lanes(n int) (streams []stream, low int64, err error) {
	type lane struct {
		head int64
		stream
	}
	var lanes []lane
	for _, q := range laneQueries(w.q.State) {
		err := w.query(2, func(row []driver.Value) error {
			if head, ok := row[1].(int64); ok {
				lanes = append(lanes, lane{head, w.lane(q, row[0])})
			}
			return nil
		}, q.heads(), w.rest.low, w.rest.high, w.subscriptions)
		if err != nil {
			return nil, 0, err
		}
	}
	slices.SortFunc(lanes, func(a, b lane) int { return cmp.Compare(b.head, a.head) })
	if len(lanes) >= n {
		lanes = lanes[:n]
		low = lanes[n-1].head
	}
	for _, l := range lanes {
		streams = append(streams, l.stream)
	}
	return streams, low, nil
}

func (w *laneWay) lane(q laneQuery, subscription driver.Value) stream {
	return func(in span, limit int) ([]int64, error) {
		return w.numbers(q.page(), in.low, in.high, int64(limit), subscription)
	}
}

// eventWay leads through events, and from each to its deliveries.
type eventWay struct {
	*logSearch
	streams []stream // of keys
	rest    span     // of keys
}

func (w *eventWay) next(n int) (ids []int64, end bool, err error) {
	keys, err := newest(w.streams, w.rest, n)
	if err != nil {
		return nil, false, err
	}
	for _, key := range keys {
		of, err := w.deliveriesOf(key)
		if err != nil {
			return nil, false, err
		}
		ids = append(ids, of...)
		w.rest.high = key
		if len(ids) >= n {
			return ids, false, nil
		}
	}
	return ids, len(keys) < n, nil
}

const (
	ofEvent = `e.key = ?1 AND d.id >= max(e.first_delivery, ?2) AND d.id < min(e.first_delivery + e.deliveries, ?3)
		AND d.subscription IN (SELECT value FROM json_each(?4)) ORDER BY d.id DESC`
	ofEventBySubscription = `SELECT d.id FROM events e CROSS JOIN deliveries d INDEXED BY deliveries_lane WHERE ` + ofEvent
	ofEventByID           = `SELECT d.id FROM events e CROSS JOIN deliveries d NOT INDEXED WHERE ` + ofEvent
)

// deliveriesOf gives the deliveries of an event that went to the subscriptions.
func (w *eventWay) deliveriesOf(key int64) ([]int64, error) {
	const few = 4 // are looked up one by one; of more, all deliveries of the event are looked at
	query := ofEventByID
	if len(w.q.Subscriptions) <= few {
		query = ofEventBySubscription
	}
	return w.numbers(query, key, w.low, w.high, w.subscriptions)
}

// companies gives whose the subscriptions are.
func (l *logSearch) companies() ([]int64, error) {
	return l.numbers(`SELECT DISTINCT company FROM subscriptions WHERE id IN (SELECT value FROM json_each(?))`, l.subscriptions)
}

// keys gives the range of the events whose deliveries are in the range of ids.
func (l *logSearch) keys() (keys span, err error) {
	first, err := l.numbers(`SELECT event FROM deliveries WHERE id >= ? ORDER BY id LIMIT 1`, l.low)
	if err != nil || len(first) == 0 {
		return span{}, err
	}
	last, err := l.numbers(`SELECT event FROM deliveries WHERE id < ? ORDER BY id DESC LIMIT 1`, l.high)
	if err != nil || len(last) == 0 {
		return span{}, err
	}
	return span{first[0], last[0] + 1}, nil
}
