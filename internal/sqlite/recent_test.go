package sqlite_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// What was accepted before is known whether its hash is in memory or in the
// table, after starts, ends and deletions at any moment.
func TestARepeatIsKnownWhereverItsHashIs(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	begin := func() *sqlite.Store { return open(t, sqlite.Options{Dir: dir, RecentIDs: 50}) }
	s := begin()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same at each run
	now, accepted, deleted := time.Now(), 0, 0
	for round := range 120 {
		var b *fattorino.Batch
		for range 1 + random.IntN(40) {
			b = with(b, now, fmt.Sprint("event-", accepted))
			accepted++
		}
		if err := s.Commit(ctx, b); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
		switch {
		case round%17 == 16:
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = begin()
		case round%23 == 22: // nearly all that there is, those in memory too
			err := s.Update(ctx, func(tx fattorino.Tx) error {
				_, n, err := tx.Prune(now.Add(-time.Second), 0, 1000)
				deleted += n
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}

	times, inTable, upTo := s.Hashed(t)
	if deleted == 0 || len(times) != accepted-deleted || inTable < len(times)-200 || upTo == 0 {
		t.Errorf("of %d events %d can be found, %d in the table, up to %d", accepted-deleted, len(times), inTable, upTo)
	}
	for event, n := range times {
		if n != 1 {
			t.Errorf("event %d is there %d times", event, n)
		}
	}
	for i := accepted - 1; i >= max(0, deleted-100); i-- { // the newest are in memory
		again := with(nil, now, fmt.Sprint("event-", i))
		if err := s.Commit(ctx, again); err != nil {
			t.Fatal(err)
		}
		if repeated, want := again.Publishes[0].Repeated[0], i >= deleted; repeated != want {
			t.Fatalf("event %d of %d, %d deleted: repeated = %t", i, accepted, deleted, repeated)
		}
	}
}

// with adds a request with one event to a batch.
func with(b *fattorino.Batch, now time.Time, id string) *fattorino.Batch {
	if b == nil {
		b = &fattorino.Batch{Now: now}
	}
	one := batch(id, 1)
	one.Publishes[0].Targets = [][]int64{nil} // or it would be pending, and never deleted
	b.Publishes = append(b.Publishes, one.Publishes...)
	return b
}

// An id that was not accepted before is not looked for in the table, but for a few,
// once a start has read what is there.
func TestNewIDsAreNotLookedFor(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	s := open(t, sqlite.Options{Dir: dir, RecentIDs: 10})
	const commits, each = 20, 300
	for range commits {
		b := &fattorino.Batch{Now: time.Now()}
		for i := range each {
			with(b, b.Now, fmt.Sprint("event-", b.Now, i))
		}
		if err := s.Commit(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	for _, when := range []string{"as it was written", "after a start"} {
		written, found, others := s.MayBeWritten(t, 100_000)
		if written < (commits-1)*each || found != written || others > 100 {
			t.Errorf("%s: %d of %d hashes in the table are looked for, and %d of 100000 others", when, found, written, others)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, sqlite.Options{Dir: dir, RecentIDs: 10})
	}
}

// A commit that fails leaves the hashes as they were: the same batch is written
// when there is room again, and what it holds is known once.
func TestAFailedCommitLeavesTheHashesAsTheyWere(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := open(t, sqlite.Options{Dir: t.TempDir(), MaxPages: 120, RecentIDs: 10})
	var err error
	tried := 0
	for ; err == nil; tried++ {
		err = s.Commit(ctx, batch(fmt.Sprint("event-", tried), 4000))
	}
	if fattorino.KindOf(err) != fattorino.Unavailable {
		t.Fatal(err)
	}
	times, _, _ := s.Hashed(t)
	if len(times) != tried-1 {
		t.Errorf("%d commits before the one that failed, and %d events can be found", tried-1, len(times))
	}
	for event, n := range times {
		if n != 1 {
			t.Errorf("event %d is there %d times", event, n)
		}
	}
}
