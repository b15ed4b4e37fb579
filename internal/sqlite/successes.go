package sqlite

import (
	"database/sql/driver"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// What was delivered at the first attempt, which nearly all is, costs no row: its
// place is a byte or two in the row of a block, a range of ids. Those that one
// commit writes have nearly everything in common, and are neighbours.

// blockSize is how many ids a block has.
const blockSize = 512

func blockOf(id int64) int64 { return id / blockSize }

// success is all there is to know of deliveries that were delivered at the first
// attempt: nearly all of them, and many alike.
type success struct {
	page    int64
	status  int
	settled int64
}

// tell has a delivery stand as one that was delivered at the first attempt.
func (s success) tell(d *fattorino.Delivery) {
	d.State, d.Attempts, d.Tries = fattorino.Delivered, 1, 1
	d.Status, d.SettledAt = s.status, record.FromMicros(s.settled)
}

// appendSuccess packs deliveries of one block that went alike, in the order of
// their ids: as unsigned LEB128 what they have in common, how many they are, and
// how far each is from the one before, the first from the beginning of the block.
func appendSuccess(packed []byte, s success, ids []int64) []byte {
	for _, n := range []int64{s.page, int64(s.status), s.settled, int64(len(ids))} {
		packed = binary.AppendUvarint(packed, uint64(n))
	}
	before := blockOf(ids[0]) * blockSize
	for _, id := range ids {
		packed = binary.AppendUvarint(packed, uint64(id-before))
		before = id
	}
	return packed
}

// eachSuccess calls f with everything in the row of a block.
func eachSuccess(block int64, packed []byte, f func(id int64, s success)) error {
	failed := false
	number := func() int64 {
		n, size := binary.Uvarint(packed)
		if size <= 0 {
			failed, packed = true, nil
			return 0
		}
		packed = packed[size:]
		return int64(n)
	}
	for len(packed) > 0 {
		s := success{page: number(), status: int(number()), settled: number()}
		id := block * blockSize
		for n := number(); n > 0; n-- {
			if id += number(); failed {
				return errPacked
			}
			f(id, s)
		}
	}
	if failed {
		return errPacked
	}
	return nil
}

// SQLite makes a text of what it joins, whatever it was.
const (
	successInto  = `INSERT INTO successes VALUES `
	successAfter = ` ON CONFLICT DO UPDATE SET packed = CAST(packed || excluded.packed AS BLOB)`
	forgetRow    = `DELETE FROM deliveries WHERE id IN (`
)

// writeSuccesses writes what was delivered at the first attempt. A row that is
// there, as of one that had waited, goes: nothing is left to say in it.
func (c *commit) writeSuccesses(all map[success][]int64) error {
	blocks := map[int64][]byte{}
	for s, ids := range all {
		slices.Sort(ids)
		for len(ids) > 0 {
			block, n := blockOf(ids[0]), 1
			for n < len(ids) && blockOf(ids[n]) == block {
				n++
			}
			blocks[block] = appendSuccess(blocks[block], s, ids[:n])
			for _, id := range ids[:n] {
				if id <= c.ids.row {
					c.bulks.forgotten.add(id)
				}
			}
			ids = ids[n:]
		}
	}
	for _, block := range slices.Sorted(maps.Keys(blocks)) {
		c.bulks.successes.add(block, blocks[block])
	}
	if err := c.execBulk(c.bulks.successes); err != nil {
		return err
	}
	return c.execBulk(c.bulks.forgotten)
}

const selectSuccesses = `SELECT block, packed FROM successes WHERE block IN (SELECT value FROM json_each(?))`

// successesOf gives those of the deliveries that were delivered at the first
// attempt.
func successesOf(q querier, ids []int64) (map[int64]success, error) {
	found := map[int64]success{}
	if len(ids) == 0 {
		return found, nil
	}
	wanted, blocks := make(map[int64]bool, len(ids)), map[int64]bool{}
	for _, id := range ids {
		wanted[id], blocks[blockOf(id)] = true, true
	}
	err := q.query(2, func(row []driver.Value) error {
		return eachSuccess(row[0].(int64), row[1].([]byte), func(id int64, s success) {
			if wanted[id] {
				found[id] = s
			}
		})
	}, selectSuccesses, record.ToJSON(slices.Sorted(maps.Keys(blocks))))
	return found, err
}

// pruneBlock takes deliveries that are deleted out of a block. Their ids are in
// order.
func (t *tx) pruneBlock(block int64, gone []int64) error {
	left, packed := map[success][]int64{}, []byte(nil)
	err := t.query(2, func(row []driver.Value) error {
		return eachSuccess(block, row[1].([]byte), func(id int64, s success) {
			if !isIn(gone, id) {
				left[s] = append(left[s], id)
			}
		})
	}, `SELECT block, packed FROM successes WHERE block = ?`, block)
	if err != nil {
		return err
	}
	for s, ids := range left {
		packed = appendSuccess(packed, s, slices.Sorted(slices.Values(ids)))
	}
	if packed == nil {
		_, err = t.exec(`DELETE FROM successes WHERE block = ?`, block)
		return err
	}
	_, err = t.exec(`UPDATE successes SET packed = ? WHERE block = ?`, packed, block)
	return err
}
