// Package crash_test kills the real program, fills its disk, copies its files
// from under it and takes its power away, and checks that nothing that was
// accepted is lost.
package crash_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	rounds = flag.Int("rounds", 4, "how often the program is killed or stopped, and how often its folder is copied")
	images = flag.Int("images", 12, "at how many moments its power is taken away")
	seed   = flag.Uint64("seed", 0, "seed of what is random; 0 = drawn")
)

// patience bounds every wait; nothing takes as long on any machine.
const patience = 2 * time.Minute

var binary string // the program, as TestMain built it

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fattorino-crash-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is below the system's temporary folder
	binary = filepath.Join(dir, "fattorino")
	if err := build(binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build builds the program.
func build(to string, flags ...string) error {
	args := append([]string{"build", "-buildvcs=false", "-o", to}, flags...)
	command := exec.Command("go", append(args, "../../cmd/fattorino")...) //nolint:noctx // go test bounds it
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return nil
}

// buildChanged builds the program with a text of one of its files replaced,
// which must be there once, or of a file of Go's, by its whole path. The file
// itself stays as it is.
func buildChanged(t *testing.T, file, from, to string) (binary string) {
	t.Helper()
	path := file
	if !filepath.IsAbs(file) {
		var err error
		if path, err = filepath.Abs(filepath.Join("../..", file)); err != nil {
			t.Fatal(err)
		}
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), from); n != 1 {
		t.Fatalf("%s has %q %d times, want once", file, from, n)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, "changed.go")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "fattorino")
	if err := build(binary, "-overlay", filepath.Join(dir, "overlay.json")); err != nil {
		t.Fatal(err)
	}
	return binary
}

// newRandom gives what is random in a test, and says how to have it again.
func newRandom(t *testing.T) *rand.Rand {
	t.Helper()
	drawn := *seed
	if drawn == 0 {
		drawn = rand.Uint64()
	}
	t.Logf("to repeat: go test ./test/crash -run '^%s$' -rounds %d -images %d -seed %d", t.Name(), *rounds, *images, drawn)
	return rand.New(rand.NewPCG(drawn, 0))
}

// eventually asks until the answer is yes, or for as long as patience lasts.
func eventually(yes func() bool) bool {
	deadline := time.After(patience)
	for {
		if yes() {
			return true
		}
		select {
		case <-deadline:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// dwindles asks how much is left until nothing is, or until it has not become
// less for as long as patience lasts.
func dwindles(left func() int) bool {
	for before := left(); before > 0; {
		now := before
		if !eventually(func() bool { now = left(); return now < before }) {
			return false
		}
		before = now
	}
	return true
}
