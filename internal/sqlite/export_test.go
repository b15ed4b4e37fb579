package sqlite

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// EachWay answers a query once by each way there is, alone and in small steps.
func (s *Store) EachWay(ctx context.Context, q fattorino.DeliveryQuery) (pages [][]int64, err error) {
	err = s.snapshot(ctx, func(h *hot) error {
		bounds, err := boundsOf(h, q)
		if err != nil {
			return err
		}
		search := search(h, q, bounds)
		ways, err := search.ways()
		if err != nil {
			return err
		}
		for _, w := range ways {
			page, err := search.walk(ctx, []way{w}, 1)
			if err != nil {
				return err
			}
			pages = append(pages, idsOf(page))
		}
		return nil
	})
	return pages, err
}

// Hashed gives how often each hash of an id that can be found is in memory or
// in the table, and up to which event all are in the table.
func (s *Store) Hashed(t *testing.T) (times map[int64]int, inTable int, upTo int64) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	times = map[int64]int{}
	for _, part := range s.recent.parts {
		for _, h := range part {
			times[h.event]++
		}
	}
	rows, err := s.write.Query(`SELECT event FROM id_hashes`)
	written, err := collect(rows, err, func(r record.Row) (event int64, err error) { return event, r.Scan(&event) })
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range written {
		times[event]++
	}
	if err := s.write.QueryRow(`SELECT hashed FROM ids`).Scan(&upTo); err != nil {
		t.Fatal(err)
	}
	return times, len(written), upTo
}

// MayBeWritten waits until what is in the table of hashes is known, and gives how
// many they are, how many of them are looked for there, and of so many others.
func (s *Store) MayBeWritten(t *testing.T, some int) (written, found, others int) {
	t.Helper()
	s.background.Wait()
	rows, err := s.read.Query(`SELECT id_hash FROM id_hashes`)
	hashes, err := collect(rows, err, func(r record.Row) (hash int64, err error) { return hash, r.Scan(&hash) })
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, hash := range hashes {
		if s.written.mayHave(hash) {
			found++
		}
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same at each run
	for range some {
		if s.written.mayHave(int64(random.Uint64())) {
			others++
		}
	}
	return len(hashes), found, others
}

// Pragmas reads the settings of the writing connection.
func (s *Store) Pragmas(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range []string{"journal_mode", "synchronous", "foreign_keys"} {
		var value string
		if err := s.write.QueryRow("PRAGMA " + name).Scan(&value); err != nil {
			t.Fatal(err)
		}
		all[name] = value
	}
	return all
}
