package sqlite

import (
	"bytes"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// Which deliveries there are is told by the events, by the subscriptions they went
// to, and by the pages of these. How a delivery stands is told by its row, where it
// has one, and else by the successes: it is one of them, or was never tried.

// A ref is a delivery: its id, and what it is of.
type ref struct{ id, event, subscription int64 }

// A querier runs queries: [hot], or a transaction of database/sql.
type querier interface {
	query(columns int, f func(row []driver.Value) error, query string, args ...driver.Value) error
}

// errEnough ends a query whose other rows are not needed.
var errEnough = errors.New("enough")

// untilEnough gives the error of a query that may have been ended so.
func untilEnough(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// errPacked tells of a row that this package has not packed.
var errPacked = errors.New("the log of a subscription is damaged")

// packTargets packs the subscriptions that an event goes to, in their order.
func packTargets(targets []int64) []byte {
	packed := make([]byte, 0, 2*len(targets))
	before := int64(0)
	for _, subscription := range targets {
		packed = binary.AppendVarint(packed, subscription-before)
		before = subscription
	}
	return packed
}

// unpackTargets gives the deliveries of an event.
func unpackTargets(event, first int64, packed []byte) ([]ref, error) {
	var all []ref
	r := ref{id: first, event: event}
	for ; len(packed) > 0; r.id++ {
		step, n := binary.Varint(packed)
		if n <= 0 {
			return nil, errPacked
		}
		r.subscription, packed = r.subscription+step, packed[n:]
		all = append(all, r)
	}
	return all, nil
}

const selectTargets = `SELECT key, first_delivery, targets FROM events WHERE key = ?`

// ofEvent gives the deliveries of an event, in the order of their ids.
func ofEvent(q querier, key int64) (all []ref, err error) {
	err = q.query(3, func(row []driver.Value) (err error) {
		all, err = unpackTargets(row[0].(int64), row[1].(int64), row[2].([]byte))
		return err
	}, selectTargets, key)
	return all, err
}

// A mark is an event as a search sees it: keys, ids of deliveries and times of
// acceptance grow together.
type mark struct {
	key, first int64
	end        int64 // an id above those of its deliveries
	accepted   int64
}

const eventsFrom = `SELECT key, first_delivery, first_delivery + deliveries, accepted_at FROM events WHERE key >= ? ORDER BY key LIMIT 1`

const lastEventKey = `SELECT coalesce(max(key), 0) FROM events`

// firstEvent gives the first event that does not come before what is looked for, by
// a binary search; key 0 = there is none.
func firstEvent(q querier, before func(mark) bool) (found mark, err error) {
	last, err := numbers(q, lastEventKey)
	if err != nil {
		return found, err
	}
	for low, high := int64(0), last[0]+1; low < high; {
		middle, m := (low+high)/2, mark{}
		err := q.query(4, func(row []driver.Value) error {
			m = mark{row[0].(int64), row[1].(int64), row[2].(int64), row[3].(int64)}
			return nil
		}, eventsFrom, middle)
		switch {
		case err != nil:
			return found, err
		case m.key > 0 && before(m):
			low = m.key + 1
		default:
			found, high = m, middle
		}
	}
	return found, nil
}

// eventAt gives the first event that has the delivery or one with a greater id; 0 =
// there is none.
func eventAt(q querier, delivery int64) (key int64, err error) {
	found, err := firstEvent(q, func(m mark) bool { return m.end <= delivery })
	return found.key, err
}

// deliveryAt gives the id of the first delivery made at or after the time.
func deliveryAt(q querier, at time.Time) (int64, error) {
	found, err := firstEvent(q, func(m mark) bool { return m.accepted < record.Micros(at) })
	if err == nil && found.key == 0 {
		return math.MaxInt64, nil // later than everything
	}
	return found.first, err
}

// refOf finds a delivery; false where there is none.
func refOf(q querier, id int64) (r ref, found bool, err error) {
	key, err := eventAt(q, id)
	if err != nil {
		return r, false, err
	}
	all, err := ofEvent(q, key)
	if err != nil || len(all) == 0 || id < all[0].id || id > all[len(all)-1].id {
		return r, false, err
	}
	return all[id-all[0].id], true, nil
}

const (
	selectRows = `SELECT id, event, subscription, state, reason, attempts, tries, status, due_at, first_error_at, settled_at,
	coalesce(waits_for, 0) FROM deliveries `
	rowColumns = 12
	rowsByID   = selectRows + `WHERE id IN (SELECT value FROM json_each(?))`
)

// standingOf gives deliveries as they stand, without their events.
func standingOf(q querier, refs []ref) ([]*fattorino.Delivery, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	rows := map[int64]*fattorino.Delivery{}
	err := q.query(rowColumns, func(row []driver.Value) error {
		d := deliveryOf(row)
		rows[d.ID] = d
		return nil
	}, rowsByID, record.ToJSON(idsOf(refs)))
	if err != nil {
		return nil, err
	}
	var others []int64
	for _, r := range refs {
		if rows[r.id] == nil {
			others = append(others, r.id)
		}
	}
	successes, err := successesOf(q, others)
	if err != nil {
		return nil, err
	}
	all := make([]*fattorino.Delivery, len(refs))
	for i, r := range refs {
		if all[i] = rows[r.id]; all[i] != nil {
			continue
		}
		all[i] = &fattorino.Delivery{ID: r.id, Subscription: r.subscription}
		if s, ok := successes[r.id]; ok {
			s.tell(all[i])
		}
	}
	return all, nil
}

func idsOf(refs []ref) []int64 {
	ids := make([]int64, len(refs))
	for i, r := range refs {
		ids[i] = r.id
	}
	return ids
}

// deliveryOf reads a row of selectRows.
func deliveryOf(row []driver.Value) *fattorino.Delivery {
	return &fattorino.Delivery{
		ID: row[0].(int64), Subscription: row[2].(int64),
		State: fattorino.DeliveryState(row[3].(int64)), Reason: fattorino.Reason(row[4].(string)),
		Attempts: int(row[5].(int64)), Tries: int(row[6].(int64)), Status: int(row[7].(int64)),
		DueAt: timeOf(row[8]), FirstErrorAt: timeOf(row[9]), SettledAt: timeOf(row[10]), WaitsFor: row[11].(int64),
	}
}

// delivery finds a delivery, with its event.
func delivery(q querier, id int64) (*fattorino.Delivery, error) {
	r, found, err := refOf(q, id)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, notFound("delivery", id)
	}
	all, err := standingOf(q, []ref{r})
	if err != nil {
		return nil, err
	}
	err = q.query(eventColumnsRead, func(row []driver.Value) error {
		all[0].Event, err = eventOf(row)
		return err
	}, selectEventsByKey+`?)`, r.event)
	return all[0], err
}

// dataOf gives the data of an event; nil where it has none, or is not there.
func dataOf(q querier, event int64) (data []byte, err error) {
	err = q.query(1, func(row []driver.Value) error {
		found, _ := row[0].([]byte)
		data = bytes.Clone(found)
		return nil
	}, `SELECT data FROM events WHERE key = ?`, event)
	return data, err
}
