package move_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/move"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// newSmallFolder makes a data folder with an app in it.
func newSmallFolder(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s := openFolder(t, dir)
	err := s.Update(ctx, func(tx fattorino.Tx) error { return tx.PutApp(&fattorino.App{Name: "x", CreatedAt: start}) })
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestADatabaseThatHoldsAnythingElseIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fill func(t *testing.T, url string)
		why  string
	}{
		"tables of another program": {func(t *testing.T, url string) { exec(t, url, `CREATE TABLE customers (id int)`) }, "the table customers"},
		"one that was served": {func(t *testing.T, url string) {
			s := openDatabase(t, url)
			if err := s.Update(ctx, func(tx fattorino.Tx) error { return tx.EnsureCompany(7, start) }); err != nil {
				t.Fatal(err)
			}
		}, "rows in the table companies"},
		"another data folder": {func(t *testing.T, url string) {
			if _, err := move.Run(ctx, options(newSmallFolder(t), url)); err != nil {
				t.Fatal(err)
			}
		}, "another data folder was moved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, url := newSmallFolder(t), database(t)
			c.fill(t, url)
			before := number(t, url, tableCount)
			for _, refused := range []func() error{
				func() error { _, err := move.Run(ctx, options(dir, url)); return err },
				func() error { p, err := move.Look(ctx, options(dir, url)); return errors.Join(err, p.Refused) },
			} {
				if err := refused(); err == nil || !strings.Contains(err.Error(), c.why) {
					t.Errorf("%v, want a refusal with %q", err, c.why)
				}
			}
			// Nothing was changed, so the folder can be served as before.
			if after := number(t, url, tableCount); after != before {
				t.Errorf("there are %d tables, and were %d", after, before)
			}
			if err := openFolder(t, dir).Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

const tableCount = `SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p')`

// What only tried to serve the database has left tables in it, and no data.
func TestADatabaseThatIsEmptyButForTablesIsTaken(t *testing.T) {
	t.Parallel()
	url := database(t)
	if err := openDatabase(t, url).Close(); err != nil {
		t.Fatal(err)
	}
	exec(t, url, `INSERT INTO nodes VALUES (1, 'one that has died', '-infinity')`)
	if _, err := move.Run(ctx, options(newSmallFolder(t), url)); err != nil {
		t.Error(err)
	}
}

func TestAFolderThatIsInUseIsRefused(t *testing.T) {
	t.Parallel()
	dir, url := newSmallFolder(t), database(t)
	s := openFolder(t, dir)
	defer s.Close() //nolint:errcheck // the test is over
	by := fmt.Sprintf("process %d ", os.Getpid())
	if _, err := move.Run(ctx, options(dir, url)); err == nil || !strings.Contains(err.Error(), "in use by "+by) {
		t.Errorf("run: %v, want a refusal that names the process", err)
	}
	// Counting does no harm, and says so.
	p, err := move.Look(ctx, options(dir, url))
	if err != nil || !strings.HasPrefix(p.InUse, by) || p.Refused != nil {
		t.Errorf("look: %+v, %v", p, err)
	}
}

func TestAFolderWithoutADatabaseIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := move.Run(ctx, options(dir, database(t))); fattorino.KindOf(err) != fattorino.NotFound {
		t.Errorf("run: %v, want NotFound", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it was made one: %v, %v", left, err)
	}
}

// Who deletes the note in the folder may have served it since.
func TestAMoveThatWasGivenUpIsNotGoneOnWith(t *testing.T) {
	t.Parallel()
	dir, url := newSmallFolder(t), database(t)
	o := options(dir, url)
	if _, err := move.Run(ctx, o); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "moved.json")); err != nil {
		t.Fatal(err)
	}
	if err := openFolder(t, dir).Close(); err != nil {
		t.Errorf("the folder cannot be served: %v", err)
	}
	if _, err := move.Run(ctx, o); fattorino.KindOf(err) != fattorino.Conflict {
		t.Errorf("run: %v, want Conflict", err)
	}
	if _, err := move.Run(ctx, options(dir, database(t))); err != nil {
		t.Errorf("into another database: %v", err)
	}
}

func TestAFolderThatWasMovedIsNotMovedElsewhere(t *testing.T) {
	t.Parallel()
	dir := newSmallFolder(t)
	if !sqlite.LeftBehind(dir) || sqlite.LeftBehind(t.TempDir()) {
		t.Error("it is not told which folder has a database")
	}
	if _, err := move.Run(ctx, options(dir, database(t))); err != nil {
		t.Fatal(err)
	}
	if sqlite.LeftBehind(dir) {
		t.Error("a database that was moved is told to be left behind")
	}
	_, err := sqlite.Backup(ctx, dir, t.TempDir(), func(int64, int64) {})
	if e := fattorino.AsError(err); err == nil || e.Kind != fattorino.Conflict || !strings.Contains(e.Msg, "was moved to postgres://") || !strings.Contains(e.Fix, "pg_dump") {
		t.Errorf("backup: %v, want a refusal that says where everything is, and how that is backed up", err)
	}
	if _, err := move.Run(ctx, options(dir, database(t))); fattorino.KindOf(err) != fattorino.Conflict {
		t.Errorf("run: %v, want Conflict", err)
	}
}

func TestCountingChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.must(f.Close())
	url := database(t)
	p, err := move.Look(ctx, options(f.dir, url))
	f.must(err)
	if number(t, url, tableCount+` AND relnamespace = 'public'::regnamespace`) != 0 {
		t.Error("tables were made")
	}
	report, err := move.Run(ctx, options(f.dir, url))
	f.must(err)
	for i, m := range report.Tables {
		if want := p.Tables[i]; m.Table != want.Table || (m.Rows != want.Rows && m.Table != "attempts") || m.Rows > want.Rows {
			t.Errorf("moved %d rows of %s, and %d were counted", m.Rows, m.Table, want.Rows)
		}
	}
}

// A text in SQLite can hold what none in PostgreSQL can.
func TestWhatATextCannotHoldIsReplaced(t *testing.T) {
	t.Parallel()
	dir, url := t.TempDir(), database(t)
	s := openFolder(t, dir)
	err := s.Update(ctx, func(tx fattorino.Tx) error {
		return tx.PutApp(&fattorino.App{Name: "a\x00b\xff", CreatedAt: start})
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	report, err := move.Run(ctx, options(dir, url))
	if err != nil || report.Replaced != 1 {
		t.Errorf("%d texts were changed, %v; want 1", report.Replaced, err)
	}
	if apps, err := openDatabase(t, url).Apps(ctx, 0, 1); err != nil || apps[0].Name != "a\uFFFDb\uFFFD" {
		t.Errorf("the app is %+v, %v", apps, err)
	}
}
