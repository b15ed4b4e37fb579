package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/postgres"
	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

func event(company int64, id string, size int) *fattorino.Event {
	return &fattorino.Event{ID: id, Source: "/erp", Type: "t", Company: company, Form: fattorino.TextData, Data: bytes.Repeat([]byte("x"), size)}
}

// BenchmarkCommit writes batches as the committer does under load: events, their
// deliveries, and the outcomes of the batch before. Every commit is synced to
// the disk. It tells the processor time that the program and the server took.
func BenchmarkCommit(b *testing.B) {
	cluster, err := pgcluster.New(b.Context(), pgcluster.Options{Durable: true, Settings: map[string]string{"shared_buffers": "512MB"}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cluster.Close() })
	pid, err := cluster.PID()
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ events, fanOut, companies int }{{1, 1, 1}, {8, 1, 1}, {64, 1, 1}, {64, 1, 64}, {100, 10, 1}} {
		b.Run(fmt.Sprintf("events=%d/deliveries=%d/companies=%d", c.events, c.fanOut, c.companies), func(b *testing.B) {
			name := strconv.FormatInt(time.Now().UnixNano(), 10)
			if err := cluster.CreateDatabase(b.Context(), name); err != nil {
				b.Fatal(err)
			}
			s, err := postgres.Open(b.Context(), postgres.Options{URL: cluster.URL(name)})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close() //nolint:errcheck // the benchmark is over
			targets := make([]int64, c.fanOut)
			for i := range targets {
				targets[i] = int64(64*i + 64)
			}
			var done []fattorino.Outcome
			n := 0
			client, server := clientTime(b), serverTime(b, pid)
			for b.Loop() {
				next := &fattorino.Batch{Now: time.Now(), Outcomes: done}
				for i := range c.events {
					n++
					next.Publishes = append(next.Publishes, &fattorino.Publish{
						Events: []*fattorino.Event{event(int64(7+i%c.companies), fmt.Sprint("e", n), 500)}, Targets: [][]int64{targets},
					})
				}
				if err := s.Commit(context.Background(), next); err != nil {
					b.Fatal(err)
				}
				done = delivered(next)
			}
			perEvent := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(n) }
			b.ReportMetric(perEvent(b.Elapsed()), "µs/event")
			b.ReportMetric(perEvent(clientTime(b)-client), "client-µs/event")
			b.ReportMetric(perEvent(serverTime(b, pid)-server), "server-µs/event")
		})
	}
}

// delivered gives the outcomes of a batch whose deliveries all succeed.
func delivered(b *fattorino.Batch) (done []fattorino.Outcome) {
	for _, p := range b.Publishes {
		for i, e := range p.Events {
			for j, subscription := range p.Targets[i] {
				d := &fattorino.Delivery{ID: p.First[i] + int64(j), Subscription: subscription, Event: e, State: fattorino.Delivered, Attempts: 1, Status: 200, SettledAt: b.Now}
				done = append(done, fattorino.Outcome{Delivery: d, Attempt: &fattorino.Attempt{
					Delivery: d.ID, Number: 1, StartedAt: b.Now,
					Request: fattorino.Request{Method: "POST", URL: "https://sink.example/", Header: []fattorino.Header{{Name: "Authorization", Value: strings.Repeat("a", 400)}}, Body: []byte(`{"data":{"ids":[1]}}`)},
					Answer:  fattorino.Answer{Status: 200, Header: []fattorino.Header{{Name: "Content-Length", Value: "0"}}},
				}})
			}
		}
	}
	return done
}

// clientTime is the processor time that this program has taken.
func clientTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// serverTime is the processor time that a server and its processes have taken,
// as Linux tells it; 0 elsewhere.
func serverTime(b *testing.B, pid int) (total time.Duration) {
	b.Helper()
	const tick = 10 * time.Millisecond // USER_HZ, proc(5)
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest) // from the third on, proc(5)
		if own := file == fmt.Sprintf("/proc/%d/stat", pid); own || fields[1] == strconv.Itoa(pid) {
			for _, i := range []int{11, 12, 13, 14} { // its own time, and that of children that have ended
				n, err := strconv.Atoi(fields[i])
				if err != nil {
					b.Fatal(err)
				}
				total += time.Duration(n) * tick
			}
		}
	}
	return total
}
