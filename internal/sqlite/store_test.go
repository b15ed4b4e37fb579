package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
	"github.com/fattorino-dev/fattorino/internal/storetest"
)

func open(t *testing.T, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (fattorino.Store, func() fattorino.Store) {
		o := sqlite.Options{Dir: t.TempDir(), RecentIDs: 3} // so that the suite finds hashes in memory and in the table
		s := open(t, o)
		t.Cleanup(func() { _ = s.Close() })
		return s, func() fattorino.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, o)
			return s
		}
	})
}

func TestASecondProcessIsRefusedByName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, sqlite.Options{Dir: dir})
	_, err := sqlite.Open(context.Background(), sqlite.Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second open: %v, want a refusal that names the folder and the process", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, sqlite.Options{Dir: dir})
	defer s.Close() //nolint:errcheck // the test is over
}

func TestAFolderOfANewerVersionIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := open(t, sqlite.Options{Dir: dir}).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "fattorino.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(context.Background(), sqlite.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("open: %v, want a refusal that says why", err)
	}
}

func TestEveryConnectionHasItsPragmas(t *testing.T) {
	t.Parallel()
	s := open(t, sqlite.Options{Dir: t.TempDir()})
	defer s.Close() //nolint:errcheck // the test is over
	pragmas := s.Pragmas(t)
	for name, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		if pragmas[name] != want {
			t.Errorf("writer: %s = %s, want %s", name, pragmas[name], want)
		}
	}
}

func TestAFullDiskIsUnavailableAndPasses(t *testing.T) {
	t.Parallel()
	// Given a store that may not grow beyond some 200 KiB,
	dir := t.TempDir()
	s := open(t, sqlite.Options{Dir: dir, MaxPages: 70})
	var err error
	accepted := 0
	for i := 0; err == nil && i < 1000; i++ {
		if err = s.Commit(context.Background(), batch(fmt.Sprint("e", i), 4000)); err == nil {
			accepted++
		}
	}
	// when it is full, then the commit says Unavailable and when to try again,
	e := fattorino.AsError(err)
	if e.Kind != fattorino.Unavailable || e.RetryAfter <= 0 {
		t.Fatalf("error = %v after %d events, want Unavailable with RetryAfter", err, accepted)
	}
	// what was accepted is there, nothing else, and the store still reads,
	events, err := s.Events(context.Background(), fattorino.EventQuery{Company: 7, Limit: 10000})
	if err != nil || len(events) != accepted {
		t.Fatalf("%d events, %v; want the %d accepted", len(events), err, accepted)
	}
	// and with room again it goes on, without a gap.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, sqlite.Options{Dir: dir})
	defer s.Close() //nolint:errcheck // the test is over
	b := batch("after", 10)
	if err := s.Commit(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	if seq := b.Publishes[0].Events[0].Seq; seq != int64(accepted+1) {
		t.Errorf("seq = %d, want %d", seq, accepted+1)
	}
}

func batch(id string, size int) *fattorino.Batch {
	return &fattorino.Batch{Now: time.Now(), Publishes: []*fattorino.Publish{{
		Events:  []*fattorino.Event{{ID: id, Source: "/erp", Type: "t", Company: 7, Form: fattorino.TextData, Data: []byte(strings.Repeat("x", size))}},
		Targets: [][]int64{{1}},
	}}}
}

// BenchmarkCommit writes batches as the committer does under load: events,
// their deliveries, and the outcomes of the batch before.
func BenchmarkCommit(b *testing.B) {
	for _, c := range []struct{ events, targets int }{{1, 1}, {8, 1}, {64, 1}, {100, 10}} {
		b.Run(fmt.Sprintf("events=%d/targets=%d", c.events, c.targets), func(b *testing.B) {
			s, err := sqlite.Open(context.Background(), sqlite.Options{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close() //nolint:errcheck // the benchmark is over
			targets := make([]int64, c.targets)
			for i := range targets {
				targets[i] = int64(i + 1)
			}
			b.ReportAllocs()
			before := cpuTime(b)
			var done []fattorino.Outcome
			n := 0
			for b.Loop() {
				next := &fattorino.Batch{Now: time.Now(), Outcomes: done}
				for range c.events {
					n++
					one := batch(fmt.Sprint("e", n), 500).Publishes[0]
					one.Targets[0] = targets
					next.Publishes = append(next.Publishes, one)
				}
				if err := s.Commit(context.Background(), next); err != nil {
					b.Fatal(err)
				}
				done = outcomes(next, targets)
			}
			deliveries := float64(n * c.targets)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1e3/deliveries, "µs/delivery")
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/1e3/deliveries, "cpu-µs/delivery")
		})
	}
}

// outcomes delivers everything in a batch at the first attempt.
func outcomes(b *fattorino.Batch, targets []int64) []fattorino.Outcome {
	var done []fattorino.Outcome
	for _, p := range b.Publishes {
		for i, subscription := range targets {
			d := &fattorino.Delivery{
				ID: p.First[0] + int64(i), Subscription: subscription, Event: p.Events[0],
				State: fattorino.Delivered, Attempts: 1, Tries: 1, Status: 200, SettledAt: b.Now,
			}
			done = append(done, fattorino.Outcome{Delivery: d, Attempt: &fattorino.Attempt{
				Delivery: d.ID, Number: 1, StartedAt: b.Now,
				Request: fattorino.Request{Method: "POST", URL: "https://sink.example/", Header: []fattorino.Header{
					{Name: "Content-Type", Value: "application/json"},
					{Name: "Webhook-Id", Value: "1:" + p.Events[0].ID},
					{Name: "Webhook-Timestamp", Value: "1772359200"},
					{Name: "Webhook-Signature", Value: fmt.Sprintf("v1,%044d", d.ID)},
				}, Body: p.Events[0].Data},
				Answer: fattorino.Answer{Status: 200, Header: []fattorino.Header{
					{Name: "Content-Length", Value: "0"}, {Name: "Date", Value: "Sun, 01 Mar 2026 10:00:00 GMT"},
				}},
			}})
		}
	}
	return done
}

// cpuTime gives the processor time that the process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
