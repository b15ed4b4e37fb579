package sqlite_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

func TestACopyIsCheckedOnceAndRefusedWhereItIsDamaged(t *testing.T) {
	t.Parallel()
	// Given a folder, and a copy of it that is damaged,
	dir := t.TempDir()
	if err := open(t, sqlite.Options{Dir: dir}).Close(); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, "fattorino.db"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(copied, "fattorino.db"), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	damaged := append(append([]byte(nil), whole[:len(whole)-4096]...), make([]byte, 4096)...)
	write(damaged)
	// it is refused, as often as it is opened,
	for range 2 {
		_, err := sqlite.Open(context.Background(), sqlite.Options{Dir: copied})
		if fattorino.KindOf(err) != fattorino.Invalid || !strings.Contains(err.Error(), "copied while Fattorino was running") {
			t.Fatalf("a damaged copy: %v, want a refusal that says what it is", err)
		}
	}
	// and taken when it is whole, which the log tells of.
	write(whole)
	var log bytes.Buffer
	if err := open(t, sqlite.Options{Dir: copied, Log: slog.New(slog.NewTextHandler(&log, nil))}).Close(); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); !strings.Contains(text, "looking through the whole database") || !strings.Contains(text, "the database is whole") {
		t.Errorf("the log of the check:\n%s", text)
	}
	// From then on it is a folder like any other, that is not looked through at
	// each start.
	write(damaged)
	log.Reset()
	if err := open(t, sqlite.Options{Dir: copied, Log: slog.New(slog.NewTextHandler(&log, nil))}).Close(); err != nil || log.Len() > 0 {
		t.Errorf("a folder that was in use here before is looked through: %v\n%s", err, &log)
	}
}
