package sqlite

import (
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// Which deliveries there are is written twice: each event has the subscriptions
// it went to, and each subscription has pages of its deliveries and their events.
// A commit makes one row for each subscription that hears of it, however many
// events it has.

// A ref is a delivery, and what it is of.
type ref struct{ id, event, subscription int64 }

// maxLanePage is how many deliveries a page holds at most.
const maxLanePage = 256

// A lanePage packs the deliveries of a subscription, in the order of their ids:
// of each, how far its id and its event are from those before, as unsigned LEB128.
// The id of the first, which is that of the page, is so far from itself, and its
// event from 0.
type lanePage struct {
	first, last int64
	event       int64 // of the last
	count       int
	packed      []byte
}

// beginLanePage begins a page for deliveries with ids from first on.
func beginLanePage(first int64) *lanePage { return &lanePage{first: first, last: first} }

func (p *lanePage) add(id, event int64) {
	p.packed = binary.AppendUvarint(p.packed, uint64(id-p.last))
	p.packed = binary.AppendUvarint(p.packed, uint64(event-p.event))
	p.last, p.event, p.count = id, event, p.count+1
}

// errPacked tells of a row that this package has not packed.
var errPacked = errors.New("the log of a subscription is damaged")

// unpackLane gives the deliveries of a page.
func unpackLane(subscription, first int64, packed []byte, into []ref) ([]ref, error) {
	r := ref{id: first, subscription: subscription}
	for len(packed) > 0 {
		id, n := binary.Uvarint(packed)
		event, m := binary.Uvarint(packed[max(n, 0):])
		if n <= 0 || m <= 0 {
			return nil, errPacked
		}
		r.id, r.event, packed = r.id+int64(id), r.event+int64(event), packed[n+m:]
		into = append(into, r)
	}
	return into, nil
}

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

const lanePageInto = `INSERT INTO lane_pages VALUES `

// appendLane puts a new delivery on the page of its subscription.
func (c *commit) appendLane(r ref) {
	page := c.lanes[r.subscription]
	if page == nil {
		page = beginLanePage(r.id)
		c.lanes[r.subscription] = page
	}
	if page.add(r.id, r.event); page.count == maxLanePage {
		c.addLanePage(r.subscription, page)
		delete(c.lanes, r.subscription)
	}
}

func (c *commit) addLanePage(subscription int64, p *lanePage) {
	c.bulks.lanes.add(subscription, p.first, p.last, p.packed)
}

// writeLanes writes the pages of the commit, neighbours in the table together.
func (c *commit) writeLanes() error {
	for _, subscription := range slices.Sorted(maps.Keys(c.lanes)) {
		c.addLanePage(subscription, c.lanes[subscription])
	}
	return c.execBulk(c.bulks.lanes)
}

// A querier runs queries: [hot], or a transaction of database/sql.
type querier interface {
	query(columns int, f func(row []driver.Value) error, query string, args ...driver.Value) error
}

// errEnough ends a query whose other rows are not needed.
var errEnough = errors.New("enough")

const lanePagesUp = `SELECT first, page FROM lane_pages WHERE subscription = ?1
	AND first >= coalesce((SELECT max(first) FROM lane_pages WHERE subscription = ?1 AND first <= ?2), 0) ORDER BY first`

// laneUp gives deliveries of a subscription with ids above after, in order: n of
// them, or all there are.
func laneUp(q querier, subscription, after int64, n int) (found []ref, err error) {
	var page []ref
	err = q.query(2, func(row []driver.Value) (err error) {
		page, err = unpackLane(subscription, row[0].(int64), row[1].([]byte), page[:0])
		for _, r := range page {
			if r.id > after && len(found) < n {
				found = append(found, r)
			}
		}
		if err == nil && len(found) == n {
			err = errEnough
		}
		return err
	}, lanePagesUp, subscription, after)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}

const lanePagesDown = `SELECT first, page FROM lane_pages WHERE subscription = ? AND first < ? ORDER BY first DESC`

// laneDown gives deliveries of a subscription in a range of ids, the newest first:
// n of them, or all there are.
func laneDown(q querier, subscription int64, in span, n int) (found []ref, err error) {
	var page []ref
	err = q.query(2, func(row []driver.Value) (err error) {
		first := row[0].(int64)
		page, err = unpackLane(subscription, first, row[1].([]byte), page[:0])
		for _, r := range slices.Backward(page) {
			if r.id >= in.low && r.id < in.high && len(found) < n {
				found = append(found, r)
			}
		}
		if err == nil && (len(found) == n || first < in.low) {
			err = errEnough
		}
		return err
	}, lanePagesDown, subscription, in.high)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}

// pruneLane takes deliveries that are deleted off the pages of a subscription.
// Their ids are in order.
func (t *tx) pruneLane(subscription int64, gone []int64) error {
	pages := map[int64][]byte{} // by their number
	err := t.query(2, func(row []driver.Value) error {
		first := row[0].(int64)
		if first > gone[len(gone)-1] {
			return errEnough
		}
		pages[first] = row[1].([]byte)
		return nil
	}, lanePagesUp, subscription, gone[0])
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	for first, packed := range pages {
		if err := t.prunePage(subscription, first, packed, gone); err != nil {
			return err
		}
	}
	return nil
}

// prunePage leaves on a page what is not gone.
func (t *tx) prunePage(subscription, first int64, packed []byte, gone []int64) error {
	all, err := unpackLane(subscription, first, packed, nil)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(r ref) bool {
		_, found := slices.BinarySearch(gone, r.id)
		return found
	})
	if _, err = t.exec(`DELETE FROM lane_pages WHERE subscription = ? AND first = ?`, subscription, first); err != nil || len(all) == 0 {
		return err
	}
	left := beginLanePage(all[0].id)
	for _, r := range all {
		left.add(r.id, r.event)
	}
	_, err = t.exec(lanePageInto+marks(4), subscription, left.first, left.last, left.packed)
	return err
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

const eventsFrom = `SELECT key, first_delivery + deliveries FROM events WHERE key >= ? ORDER BY key LIMIT 1`

// eventFrom gives the first event with the key or a greater one, and an id above
// those of its deliveries; key 0 = there is none.
func eventFrom(q querier, from int64) (key, end int64, err error) {
	err = q.query(2, func(row []driver.Value) error {
		key, end = row[0].(int64), row[1].(int64)
		return nil
	}, eventsFrom, from)
	return key, end, err
}

const lastEventKey = `SELECT coalesce(max(key), 0) FROM events`

// eventAt gives the first event that has the delivery or one with a greater id, or
// a key above those of all events. Keys and ids grow together, so a binary search
// finds it without an index.
func eventAt(q querier, delivery int64) (low int64, err error) {
	last, err := numbers(q, lastEventKey)
	if err != nil {
		return 0, err
	}
	at := last[0] + 1
	for high := at; low < high; {
		middle := (low + high) / 2
		key, end, err := eventFrom(q, middle)
		switch {
		case err != nil:
			return 0, err
		case key > 0 && end <= delivery:
			low = key + 1
		default:
			high = middle
			if key > 0 {
				at = key
			}
		}
	}
	return at, nil
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
