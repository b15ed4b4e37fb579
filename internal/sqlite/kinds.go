package sqlite

import (
	"cmp"
	"database/sql/driver"
	"encoding/binary"
	"slices"
	"strings"
)

// The events of a type are on pages. Each time events are listed, those of one
// group make a page.

// By whom the events of a group were heard.
const (
	heardByNobody = iota
	heardBySome
	heardByItsOwn // they are private
)

// A group is events of one kind in a company that were heard alike.
type group struct {
	company int64
	kind
	heard int64
}

// kind is the type of events and the common name they were published under.
type kind struct{ common, typ string }

// The next type under a common name, and the first under the next one. In one
// comparison of both SQLite would go by the name alone, through all events of it.
const (
	nextType   = `SELECT common, type FROM kinds WHERE company = ? AND common = ? AND type > ? ORDER BY type LIMIT 1`
	nextCommon = `SELECT common, type FROM kinds WHERE company = ? AND common > ? ORDER BY common, type LIMIT 1`
)

// kinds gives those of the company's events that have one of the types, or
// stand for one as a common name. It skips from one to the next in the list.
func (h *hot) kinds(company int64, types []string) (all []kind, err error) {
	for k, more := (kind{}), true; more; {
		if k, more, err = h.nextKind(company, k); err != nil {
			return nil, err
		}
		if more && (slices.Contains(types, k.typ) || slices.Contains(types, k.common)) {
			all = append(all, k)
		}
	}
	return all, nil
}

// nextKind gives the kind that comes after one; false where there is none.
func (h *hot) nextKind(company int64, after kind) (next kind, found bool, err error) {
	read := func(row []driver.Value) error {
		next, found = kind{row[0].(string), row[1].(string)}, true
		return nil
	}
	err = h.query(2, read, nextType, company, after.common, after.typ)
	if err == nil && !found {
		err = h.query(2, read, nextCommon, company, after.common)
	}
	return next, found, err
}

func (g group) compare(other group) int {
	return cmp.Or(cmp.Compare(g.company, other.company), strings.Compare(g.common, other.common), strings.Compare(g.typ, other.typ), cmp.Compare(g.heard, other.heard))
}

// values gives the columns of a group, and those after them.
func (g group) values(more ...driver.Value) []driver.Value {
	return append([]driver.Value{g.company, g.common, g.typ, g.heard}, more...)
}

// maxGroupPage is how many events a page holds at most.
const maxGroupPage = 512

const (
	groupPageInto = `INSERT INTO kinds VALUES `
	ofGroup       = `company = ?1 AND common = ?2 AND type = ?3 AND heard = ?4`

	groupPagesDown = `SELECT first, page FROM kinds WHERE ` + ofGroup + ` AND first < ?5 ORDER BY first DESC`
	groupPagesUp   = `SELECT first, page FROM kinds WHERE ` + ofGroup + `
		AND first >= coalesce((SELECT max(first) FROM kinds WHERE ` + ofGroup + ` AND first <= ?5), 0) ORDER BY first`
)

// packEvents packs the events of a page, in the order of their keys: how far each
// is from the one before, the first from itself, as unsigned LEB128.
func packEvents(keys []int64) []byte {
	packed := make([]byte, 0, 2*len(keys))
	before := keys[0]
	for _, key := range keys {
		packed = binary.AppendUvarint(packed, uint64(key-before))
		before = key
	}
	return packed
}

// unpackEvents gives the events of a page, after those that are there.
func unpackEvents(first int64, packed []byte, into []int64) ([]int64, error) {
	for key := first; len(packed) > 0; {
		step, n := binary.Uvarint(packed)
		if n <= 0 {
			return nil, errPacked
		}
		key, packed = key+int64(step), packed[n:]
		into = append(into, key)
	}
	return into, nil
}

// writeGroups writes the pages of events. It orders them by their groups.
func (c *commit) writeGroups(all []listing) error {
	slices.SortFunc(all, func(a, b listing) int { return cmp.Or(a.compare(b.group), cmp.Compare(a.event, b.event)) })
	var page []int64
	for i, l := range all {
		page = append(page, l.event)
		if i+1 == len(all) || all[i+1].group != l.group || len(page) == maxGroupPage {
			c.bulks.groups.add(l.values(page[0], packEvents(page))...)
			page = page[:0]
		}
	}
	return c.execBulk(c.bulks.groups)
}

// down gives the events of a group in a range, the newest first: n of them, or all
// there are.
func (g group) down(q querier, in span, n int) (found []int64, err error) {
	var page []int64
	err = q.query(2, func(row []driver.Value) (err error) {
		first := row[0].(int64)
		page, err = unpackEvents(first, row[1].([]byte), page[:0])
		for _, key := range slices.Backward(page) {
			if key >= in.low && key < in.high && len(found) < n {
				found = append(found, key)
			}
		}
		if err == nil && (len(found) == n || first <= in.low) {
			err = errEnough
		}
		return err
	}, groupPagesDown, g.values(in.high)...)
	return found, untilEnough(err)
}

// up gives the events of a group from a key on, in order: n of them, or all there
// are.
func (g group) up(q querier, from int64, n int) (found []int64, err error) {
	err = q.query(2, func(row []driver.Value) error {
		page, err := unpackEvents(row[0].(int64), row[1].([]byte), nil)
		for _, key := range page {
			if key >= from && len(found) < n {
				found = append(found, key)
			}
		}
		if err == nil && len(found) == n {
			err = errEnough
		}
		return err
	}, groupPagesUp, g.values(from)...)
	return found, untilEnough(err)
}

// pruneGroup takes events that are deleted off the pages of their group. Their keys
// are in order.
func (t *tx) pruneGroup(g group, gone []int64) error {
	pages, err := t.pagesOf(gone, groupPagesUp, g.values(gone[0])...)
	if err != nil {
		return err
	}
	for first, packed := range pages {
		left, err := unpackEvents(first, packed, nil)
		if err != nil {
			return err
		}
		left = slices.DeleteFunc(left, func(key int64) bool { return isIn(gone, key) })
		_, err = t.exec(`DELETE FROM kinds WHERE `+ofGroup+` AND first = ?5`, anys(g.values(first))...)
		if err == nil && len(left) > 0 {
			_, err = t.exec(groupPageInto+marks(6), anys(g.values(left[0], packEvents(left)))...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
