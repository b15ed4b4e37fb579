package crash_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// command runs a command of the program, and gives what it says.
func command(t *testing.T, args ...string) (said string, ok bool) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput()
	return string(out), err == nil
}

func TestABackupOfARunningProgramHasAllThatWasAcceptedBefore(t *testing.T) {
	t.Parallel()
	// Given a program that is published to,
	p := newProgram(t, binary, filepath.Join(t.TempDir(), "data"))
	p.start(t)
	subscribe(t, p, newSink(t, "all", func() int { return 0 }), 1, map[string]any{"types": []string{"*"}})
	pub, stopped, published := &publisher{program: p}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(published)
		pub.run(stopped)
	}()
	defer func() { close(stopped); <-published }()

	// when backups are made one after another, and restored,
	for i := range *rounds {
		eventually(func() bool { return len(pub.accepted()) > 200*(i+1) })
		before, dir := pub.accepted(), t.TempDir()
		backup, restored := filepath.Join(dir, "backup"), filepath.Join(dir, "restored")
		for _, args := range [][]string{{"backup", "--data", p.dir, backup}, {"restore", "--data", restored, backup}} {
			if said, ok := command(t, args...); !ok || !strings.Contains(said, "checked: 2 companies, 1 subscriptions, ") {
				t.Fatalf("%s: %s", args[0], said)
			}
		}
		// then each has what was accepted before it was begun, and can be served.
		if !opensWhole(t, restored, before) {
			t.Error("it cannot be served")
		}
	}
}

func TestABackupIsNotMadeOrRestoredOverAnything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newProgram(t, binary, filepath.Join(dir, "data"))
	p.start(t)
	pub := &publisher{program: p}
	pub.more(10)
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, args := range map[string][]string{"backup": nil, "keyless": {"--without-keys"}} {
		if said, ok := command(t, append([]string{"backup", "--data", p.dir, in(name)}, args...)...); !ok {
			t.Fatal(said)
		}
	}
	// Others that cannot be used: damaged, of a newer version, and no backup at all.
	damage(t, in("backup"), in("damaged"))
	if err := os.MkdirAll(in("empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, refused := range []struct{ why, command, data, folder string }{
		{"is there already", "backup", in("data"), in("backup")},
		{"there is no database", "backup", in("nowhere"), in("another")},
		{"is in use by process " + fmt.Sprint(p.cmd.Process.Pid), "restore", in("data"), in("backup")},
		{"the copy is damaged", "restore", in("fresh"), in("damaged")},
		{"there is no database", "restore", in("fresh"), in("empty")},
		{"and no backup", "restore", in("fresh"), in("data")},
	} {
		if said, ok := command(t, refused.command, "--data", refused.data, refused.folder); ok || !strings.Contains(said, refused.why) {
			t.Errorf("%s of %s: %q, want a refusal with %q", refused.command, refused.folder, said, refused.why)
		}
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if said, ok := command(t, "restore", "--data", in("data"), in("backup")); ok || !strings.Contains(said, "there is a database") {
		t.Errorf("restore over a database: %s", said)
	}
	// What was refused has left nothing behind.
	if _, err := os.Stat(in("another")); err == nil {
		t.Error("a folder was made for a backup that was not")
	}
	left, err := filepath.Glob(in("*partial*"))
	inside, err2 := filepath.Glob(in("fresh/fattorino*"))
	if err != nil || err2 != nil || len(left)+len(inside) > 0 {
		t.Errorf("left behind: %v %v", left, inside)
	}
	checkKeyless(t, in("keyless"), in("restored"), filepath.Join(p.dir, "master.keys"), pub.accepted())
}

// checkKeyless restores a backup without master keys, which is served when they
// are put beside it.
func checkKeyless(t *testing.T, backup, restored, keys string, accepted []event) {
	t.Helper()
	if said, ok := command(t, "restore", "--data", restored, backup); !ok || !strings.Contains(said, "does not hold the master keys") {
		t.Fatalf("restore: %s", said)
	}
	p := newProgram(t, binary, restored)
	if err := p.begin(); err != nil {
		t.Fatal(err)
	}
	if <-p.ended; p.cmd.ProcessState.Success() || !strings.Contains(p.log.String(), "the master keys are missing") {
		t.Errorf("started without its keys: %s", p.log.String())
	}
	copyKeys(t, filepath.Dir(keys), restored)
	if !opensWhole(t, restored, accepted) {
		t.Error("it cannot be served")
	}
}

// damage makes a copy of a backup with a page of zeros in the middle.
func damage(t *testing.T, backup, damaged string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(backup, "fattorino.db"))
	if err == nil {
		err = os.MkdirAll(damaged, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	middle := len(text) / page / 2 * page
	clear(text[middle : middle+page])
	if err := os.WriteFile(filepath.Join(damaged, "fattorino.db"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}
