package crash_test

import (
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A plain copy of the folder of a running program takes file after file while
// they change: it has parts of different moments. It is whole by luck, and
// refused where it is not.
func TestACopyOfTheFolderOfARunningProgramIsWholeOrRefused(t *testing.T) {
	t.Parallel()
	random := newRandom(t)
	p := newProgram(t, binary, filepath.Join(t.TempDir(), "data"))
	p.start(t)
	subscribe(t, p, newSink(t, "all", func() int { return 0 }), 1, map[string]any{"types": []string{"*"}})
	pub := &publisher{program: p, padding: func(number int) int { return (number * 7919) % 8000 }}
	whole, refused := 0, 0
	for range *rounds {
		published := make(chan struct{})
		go func() {
			defer close(published)
			pub.more(400)
		}()
		pause(time.Duration(random.IntN(300)) * time.Millisecond)
		before, dir := pub.accepted(), t.TempDir()
		if out, err := exec.Command("cp", "-a", p.dir, filepath.Join(dir, "copy")).CombinedOutput(); err != nil {
			t.Fatalf("cp: %v\n%s", err, out)
		}
		<-published
		if opensWhole(t, filepath.Join(dir, "copy"), before) {
			whole++
		} else {
			refused++
		}
		_ = os.RemoveAll(dir) // hundreds would fill the disk
	}
	t.Logf("%d events accepted; of %d copies %d were whole and %d refused", len(pub.accepted()), *rounds, whole, refused)
}

// A copy that is made while the program is stopped is whole, and so is one
// that SQLite makes.
func TestACopyThatIsMadeAsThePageSaysIsWhole(t *testing.T) {
	t.Parallel()
	p := newProgram(t, binary, filepath.Join(t.TempDir(), "data"))
	p.start(t)
	pub := &publisher{program: p}
	published := make(chan struct{})
	go func() {
		defer close(published)
		pub.more(300)
	}()
	eventually(func() bool { return len(pub.accepted()) > 100 })
	before, made := pub.accepted(), t.TempDir()
	bySQLite(t, p.dir, made)
	<-published
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	stopped := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(stopped, os.DirFS(p.dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(stopped, "master.keys"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !opensWhole(t, made, before) || !opensWhole(t, stopped, pub.accepted()) {
		t.Error("a copy was refused")
	}
}

// bySQLite makes a copy while the program runs.
func bySQLite(t *testing.T, from, to string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(from, "fattorino.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("VACUUM INTO ?", filepath.Join(to, "fattorino.db")); err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile(filepath.Join(from, "master.keys"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "master.keys"), keys, 0o600); err != nil {
		t.Fatal(err)
	}
}

// opensWhole starts the program on a copy, and tells whether it takes it; what
// was accepted before the copy was begun must be there then.
func opensWhole(t *testing.T, dir string, before []event) bool {
	t.Helper()
	p := newProgram(t, binary, dir)
	if err := p.begin(); err != nil {
		t.Fatal(err)
	}
	defer p.kill()
	if err := p.ready(); err != nil {
		if !strings.Contains(err.Error(), "as one that was copied while Fattorino was running") {
			t.Errorf("the copy is refused without a reason: %v", err)
		}
		return false
	}
	if err := errors.Join(p.checkHistory(1, before), p.checkHistory(2, before), p.stop()); err != nil {
		t.Errorf("the copy was taken, and is not whole: %.500v", err)
	}
	if err := checkFile(filepath.Join(dir, "fattorino.db")); err != nil {
		t.Errorf("the copy was taken, and is damaged: %v", err)
	}
	return true
}
