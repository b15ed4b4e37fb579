package sqlite

import (
	"bytes"
	"database/sql/driver"
	"encoding/binary"
	"maps"
	"slices"
)

// Which deliveries a subscription has is on its pages. A commit makes one for each
// subscription that hears of it, however many events it has.

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

// A laneReader reads the deliveries of a page one by one.
type laneReader struct {
	ref           // the last that was read
	packed []byte // those after it
}

func readLane(subscription, first int64, packed []byte) laneReader {
	return laneReader{ref{id: first, subscription: subscription}, packed}
}

func (r *laneReader) next() (ref, error) {
	id, n := binary.Uvarint(r.packed)
	event, m := binary.Uvarint(r.packed[max(n, 0):])
	if n <= 0 || m <= 0 {
		return ref{}, errPacked
	}
	r.id, r.event, r.packed = r.id+int64(id), r.event+int64(event), r.packed[n+m:]
	return r.ref, nil
}

// unpackLane gives the deliveries of a page.
func unpackLane(subscription, first int64, packed []byte, into []ref) ([]ref, error) {
	for r := readLane(subscription, first, packed); len(r.packed) > 0; {
		next, err := r.next()
		if err != nil {
			return nil, err
		}
		into = append(into, next)
	}
	return into, nil
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

const lanePagesUp = `SELECT first, page FROM lane_pages WHERE subscription = ?1
	AND first >= coalesce((SELECT max(first) FROM lane_pages WHERE subscription = ?1 AND first <= ?2), 0) ORDER BY first`

// laneUp gives deliveries of a subscription with ids above after, in order: n of
// them, or all there are. Those after them on the same page are still to be read.
func laneUp(q querier, subscription, after int64, n int) (found []ref, rest laneReader, err error) {
	err = q.query(2, func(row []driver.Value) error {
		rest = readLane(subscription, row[0].(int64), row[1].([]byte))
		for len(rest.packed) > 0 {
			next, err := rest.next()
			if err != nil {
				return err
			}
			if next.id <= after {
				continue
			}
			if found = append(found, next); len(found) == n {
				rest.packed = bytes.Clone(rest.packed)
				return errEnough
			}
		}
		return nil
	}, lanePagesUp, subscription, after)
	return found, rest, untilEnough(err)
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
	return found, untilEnough(err)
}

// pruneLane takes deliveries that are deleted off the pages of a subscription.
// Their ids are in order.
func (t *tx) pruneLane(subscription int64, gone []int64) error {
	pages, err := t.pagesOf(gone, lanePagesUp, subscription, gone[0])
	if err != nil {
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
	all = slices.DeleteFunc(all, func(r ref) bool { return isIn(gone, r.id) })
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
