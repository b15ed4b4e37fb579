package sqlite

import (
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
	"github.com/fattorino-dev/fattorino/internal/record"
)

// Given a log that cannot be synced, when something is accepted, then it is
// refused, also the second time; and what was accepted before is there when the
// store is opened again.
func TestWhatCannotBeSyncedIsRefused(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	s, err := Open(ctx, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	publish := func(id string) error {
		p := &fattorino.Publish{Events: []*fattorino.Event{{ID: id, Type: "a.b", Company: 1}}, Targets: [][]int64{nil}}
		return s.Commit(ctx, &fattorino.Batch{Now: time.Now(), Publishes: []*fattorino.Publish{p}})
	}
	if err := publish("before"); err != nil {
		t.Fatal(err)
	}
	// A null device takes every write, and cannot be synced.
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, fd := range openAs(t, filepath.Join(dir, databaseFile+"-wal")) {
		if err := syscall.Dup3(int(null.Fd()), fd, syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := publish("refused"); fattorino.KindOf(err) == fattorino.Conflict || err == nil {
			t.Errorf("what was not synced was accepted: %v", err)
		}
	}
	_ = s.Close()
	if s, err = Open(ctx, Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rows, err := s.read.QueryContext(ctx, "SELECT id FROM events")
	ids, err := collect(rows, err, func(r record.Row) (id string, err error) { return id, r.Scan(&id) })
	if fmt.Sprint(ids) != "[before]" || err != nil {
		t.Errorf("events %q, %v", ids, err)
	}
}

// openAs gives the numbers under which this process has a file open.
func openAs(t *testing.T, path string) (numbers []int) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == path {
			n, err := strconv.Atoi(strings.TrimPrefix(link, "/proc/self/fd/"))
			if err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, n)
		}
	}
	if len(numbers) == 0 {
		t.Fatalf("%s is not open", path)
	}
	return numbers
}
