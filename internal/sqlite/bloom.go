package sqlite

import (
	"context"
	"database/sql/driver"
	"math"
)

// A bloom tells of most hashes that are not in the table of hashes that they are
// not, and never that of one that is (Bloom, "Space/time trade-offs in hash
// coding with allowable errors", 1970). Without it each new event would be looked
// for at a random place of that table, which would push everything else out of
// the writer's cache once it is larger.
//
// Its bits lie in lines of the processor's cache, one for each hash. It takes
// nothing out: what was deleted costs a look-up until the next start.
type bloom struct {
	lines []bloomLine // nil = nothing was added
	ready bool        // it has all that is in the table
	off   bool        // that was too much, and it has nothing
}

// bloomLine is a line of the processor's cache.
type bloomLine [8]uint64

const (
	bloomLineBits = 15      // of a hash choose the line: 2 MiB in all
	bloomBitBits  = 9       // of a hash choose a bit of the line
	bloomBits     = 3       // set for each hash
	bloomMost     = 8 << 20 // hashes, beyond which hardly any would be told of
)

// place gives the line of a hash, and what is left of the hash. The highest bits
// are those that hashes are written by.
func (b *bloom) place(hash int64) (line *bloomLine, rest uint64) {
	h := uint64(hash)
	return &b.lines[h%(1<<bloomLineBits)], h >> bloomLineBits
}

func (b *bloom) add(hash int64) {
	if b.off {
		return
	}
	if b.lines == nil {
		b.lines = make([]bloomLine, 1<<bloomLineBits)
	}
	line, rest := b.place(hash)
	for range bloomBits {
		bit := rest % (1 << bloomBitBits)
		line[bit/64] |= 1 << (bit % 64)
		rest >>= bloomBitBits
	}
}

// mayHave gives false where the hash is not in the table.
func (b *bloom) mayHave(hash int64) bool {
	if !b.ready || b.lines == nil {
		return !b.ready
	}
	line, rest := b.place(hash)
	for range bloomBits {
		bit := rest % (1 << bloomBitBits)
		if line[bit/64]&(1<<(bit%64)) == 0 {
			return false
		}
		rest >>= bloomBitBits
	}
	return true
}

// hashesAtOnce is how many hashes are read of the table at a time.
const hashesAtOnce = 4096

// readWritten has s.written know all that is in the table. What is written
// meanwhile is added by the commits that write it.
func (s *Store) readWritten(ctx context.Context) error {
	last, count, chunk := int64(math.MinInt64), 0, make([]int64, 0, hashesAtOnce)
	for {
		chunk = chunk[:0]
		err := s.snapshot(ctx, func(h *hot) error {
			return h.query(1, func(row []driver.Value) error {
				chunk = append(chunk, row[0].(int64))
				return nil
			}, `SELECT id_hash FROM id_hashes WHERE id_hash > ? ORDER BY id_hash LIMIT +?`, last, int64(hashesAtOnce))
		})
		if err != nil {
			return err
		}
		if count += len(chunk); s.noteWritten(chunk, count) {
			return nil
		}
		last = chunk[len(chunk)-1]
	}
}

// noteWritten adds hashes to s.written, count with those before them, and tells
// whether they were the last.
func (s *Store) noteWritten(chunk []int64, count int) (last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if count > bloomMost {
		s.written = bloom{off: true}
		return true
	}
	for _, hash := range chunk {
		s.written.add(hash)
	}
	s.written.ready = len(chunk) < hashesAtOnce
	return s.written.ready
}
