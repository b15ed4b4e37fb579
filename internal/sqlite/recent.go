package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// Whether an event was accepted before is looked up by the hash of its id.
// Hashes fall anywhere in the table of them, so that each event by itself would
// cost a commit one page of the file more. The hashes of the newest events are
// therefore kept in memory, and written in the order of the table: a sweep goes
// over all hashes again and again and writes what lies before it, neighbours
// together. What was not written is read from the events at the start.

// recentHashes is how many hashes are kept in memory, about.
const recentHashes = 32 << 10

// neighbourhoods is how many parts the hashes are divided into, by their
// highest bits. Those of one part are written together.
const neighbourhoods = 1 << neighbourhoodBits

const neighbourhoodBits = 10

// idHash is the hash of an event's id, and the event.
type idHash struct{ hash, event int64 }

// recent is the hashes that are not in the table.
type recent struct {
	parts [neighbourhoods][]idHash
	count int
	most  int   // how many there may be
	next  int   // the part that the sweep comes to next
	since int64 // the last event when the sweep began: when it ends the table has all up to it
}

func partOf(hash int64) int { return int(uint64(hash) >> (64 - neighbourhoodBits)) }

func (r *recent) add(h idHash) {
	part := &r.parts[partOf(h.hash)]
	*part = append(*part, h)
	r.count++
}

// with calls f with the events whose ids have the hash.
func (r *recent) with(hash int64, f func(event int64)) {
	for _, h := range r.parts[partOf(hash)] {
		if h.hash == hash {
			f(h.event)
		}
	}
}

// forget takes out an event that was deleted.
func (r *recent) forget(gone idHash) {
	part := &r.parts[partOf(gone.hash)]
	for i, h := range *part {
		if h == gone {
			(*part)[i] = (*part)[len(*part)-1]
			*part = (*part)[:len(*part)-1]
			r.count--
			return
		}
	}
}

// load reads the hashes that are not in the table.
func (r *recent) load(ctx context.Context, db *sql.DB, last int64) error {
	*r = recent{most: r.most, since: last}
	rows, err := db.QueryContext(ctx, `SELECT id_hash, key FROM events e WHERE key > (SELECT hashed FROM ids) AND seq > 0
		AND NOT EXISTS (SELECT 1 FROM id_hashes h WHERE h.id_hash = e.id_hash AND h.event = e.key)`)
	if err != nil {
		return fmt.Errorf("read the hashes of recent ids: %w", err)
	}
	defer rows.Close() //nolint:errcheck // read to the end, or failed already
	for rows.Next() {
		var h idHash
		if err := rows.Scan(&h.hash, &h.event); err != nil {
			return fmt.Errorf("read the hashes of recent ids: %w", err)
		}
		r.add(h)
	}
	return rows.Err()
}

// A sweep is what one commit changes of the recent hashes; it counts once the
// commit is durable.
type sweep struct {
	added []idHash
	parts int // how many were written, from recent.next on
	ended bool
}

// sweepOn writes as many hashes as have become too many.
func (c *commit) sweepOn() error {
	r := c.recent
	for left := r.count + len(c.sweep.added) - r.most; left > 0 && !c.sweep.ended; c.sweep.parts++ {
		at := r.next + c.sweep.parts
		for _, h := range r.parts[at] {
			c.bulks.hashes.add(h.hash, h.event)
		}
		left -= len(r.parts[at])
		c.sweep.ended = at+1 == neighbourhoods
	}
	if err := c.execBulk(c.bulks.hashes); err != nil {
		return err
	}
	if !c.sweep.ended {
		return nil
	}
	return c.exec(`UPDATE ids SET hashed = ?`, r.since)
}

// swept takes note of what a commit wrote; last is the last event before it.
func (r *recent) swept(s sweep, last int64, written *bloom) {
	for i := range s.parts {
		part := &r.parts[r.next+i]
		for _, h := range *part {
			written.add(h.hash)
		}
		r.count -= len(*part)
		*part = (*part)[:0]
	}
	r.next += s.parts
	if s.ended {
		r.next, r.since = 0, last
	}
	for _, h := range s.added {
		r.add(h)
	}
}
