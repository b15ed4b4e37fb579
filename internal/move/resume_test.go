package move_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/move"
	"github.com/fattorino-dev/fattorino/internal/postgres"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

func TestAMoveThatIsCutOffGoesOnFromThere(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	before := f.read(f.Store)
	f.must(f.Close())
	url := database(t)

	// Given a move that is cut off after every 25 rows,
	const rows = 25
	ended, cuts := move.Report{}, 0
	for last := (move.Progress{}); ; cuts++ {
		cut, stop := context.WithCancel(ctx)
		o, steps := options(f.dir, url), 0
		o.Tell = func(p move.Progress) {
			if p.Table == last.Table && p.Done <= last.Done && !p.Checking {
				t.Errorf("%s: %d rows were brought after %d", p.Table, p.Done, last.Done)
			}
			last = p
			if steps++; steps > 1 {
				t.Errorf("%s: another %d rows were brought after it was cut off", p.Table, p.Done)
			}
			stop()
		}
		var err error
		ended, err = move.RunInSteps(cut, o, rows)
		stop()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		// neither the folder nor the database can be served meanwhile,
		refused(t, f.dir, url, "is being moved")
	}
	if cuts < 30 {
		t.Errorf("it was cut off %d times only", cuts)
	}

	// then all is there, once, and a move of what was moved does nothing.
	s := openDatabase(t, url)
	if diff := cmp.Diff(before, f.read(s), cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(0), cmpopts.IgnoreUnexported(fattorino.Event{})); diff != "" {
		t.Errorf("read from the folder (-) and from the database (+):\n%s", diff)
	}
	if len(ended.Tables) != len(move.Tables()) {
		t.Errorf("the report tells of %d tables, want %d", len(ended.Tables), len(move.Tables()))
	}
	again, err := move.Run(ctx, options(f.dir, url))
	if err != nil || !again.Before {
		t.Errorf("moved again: %+v, %v", again, err)
	}
	// The folder is not served any more, for what it holds is sent from there.
	if _, err := sqlite.Open(ctx, sqlite.Options{Dir: f.dir}); fattorino.KindOf(err) != fattorino.Conflict {
		t.Errorf("the folder is served after the move: %v", err)
	}
}

// refused checks that neither a folder nor a database can be served.
func refused(t *testing.T, dir, url, why string) {
	t.Helper()
	if _, err := sqlite.Open(ctx, sqlite.Options{Dir: dir}); fattorino.KindOf(err) != fattorino.Conflict || !strings.Contains(err.Error(), why) {
		t.Errorf("the folder is served: %v", err)
	}
	if _, err := postgres.Open(ctx, postgres.Options{URL: url}); fattorino.KindOf(err) != fattorino.Conflict || !strings.Contains(err.Error(), why) {
		t.Errorf("the database is served: %v", err)
	}
}

// The last thing that a move writes is the folder's note that it has ended.
func TestAMoveThatIsCutOffAtItsVeryEndHasEnded(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.must(f.Close())
	url := database(t)
	if _, err := move.Run(ctx, options(f.dir, url)); err != nil {
		t.Fatal(err)
	}
	note := filepath.Join(f.dir, "moved.json")
	text, err := os.ReadFile(note)
	f.must(err)
	f.must(os.WriteFile(note, []byte(strings.Replace(string(text), `"done":true`, `"done":false`, 1)), 0o600))

	again, err := move.Run(ctx, options(f.dir, url))
	if err != nil || !again.Before {
		t.Errorf("moved again: %+v, %v", again, err)
	}
	if text, err := os.ReadFile(note); err != nil || !strings.Contains(string(text), `"done":true`) {
		t.Errorf("the folder tells %s, %v", text, err)
	}
}

func TestWhatSomeoneElseWritesMeanwhileIsNoticed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"a row more":      `INSERT INTO counters VALUES ('x', 0, 1)`,
		"a row less":      `DELETE FROM attempts WHERE ctid IN (SELECT ctid FROM attempts LIMIT 1)`,
		"another value":   `UPDATE deliveries SET due_at = due_at + 1 WHERE due_at IS NOT NULL`,
		"another content": `UPDATE events SET data = '\x00' WHERE seq = (SELECT max(seq) FROM events)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			f.must(f.Close())
			url := database(t)
			o := options(f.dir, url)
			changed := false
			o.Tell = func(p move.Progress) {
				if p.Table == "attempts" && !changed { // the last
					changed = true
					exec(t, url, change)
				}
			}
			_, err := move.Run(ctx, o)
			if err == nil || !strings.Contains(err.Error(), "were brought") {
				t.Errorf("run: %v, want the table that is not as it was brought", err)
			}
			if _, err := postgres.Open(ctx, postgres.Options{URL: url}); fattorino.KindOf(err) != fattorino.Conflict {
				t.Errorf("the database can be served: %v", err)
			}
		})
	}
}

func exec(t *testing.T, url, query string) {
	t.Helper()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx) //nolint:errcheck // it was written
	if _, err := conn.Exec(ctx, query); err != nil {
		t.Fatal(err)
	}
}
