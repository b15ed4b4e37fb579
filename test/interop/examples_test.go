package interop_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const examples = "../../docs/examples"

// The receivers of the README, run as its readers run them.
func TestTheExamplesReceive(t *testing.T) {
	t.Parallel()
	s := serve(t)
	company := 0
	for name, command := range map[string]func(*testing.T) *exec.Cmd{
		"Node": nodeExample, "Python": pythonExample, "Go": goExample,
	} {
		company++
		t.Run(name, func(t *testing.T) {
			for _, mapping := range []string{"binary", "structured"} {
				t.Run(mapping, func(t *testing.T) { receives(t, s, command(t), company, mapping) })
			}
		})
	}
}

func receives(t *testing.T, s *server, receiver *exec.Cmd, company int, mapping string) {
	t.Helper()
	sink := freeURL(t)
	receiver.Env = append(os.Environ(), "FATTORINO="+s.url, "SINK="+sink)
	receiver.Stderr = t.Output()
	lines := start(t, receiver)
	if line := next(t, lines); line != "listening for "+sink {
		t.Fatalf("it says %q", line)
	}
	s.subscribe(t, s.token(t, "api", company), company, sink, mapping)
	if line := next(t, lines); !strings.HasPrefix(line, welcome) {
		t.Errorf("it says %q, want the welcome", line)
	}
	s.publish(t, s.token(t, "publish", company), company, "a-"+mapping, 42)
	if line := next(t, lines); !strings.HasPrefix(line, invoiceCreated) || !strings.Contains(line, "42") {
		t.Errorf("it says %q, want the invoice", line)
	}
	forged, err := http.NewRequestWithContext(t.Context(), http.MethodPost, sink, strings.NewReader(`{"data":{"ids":[42]}}`))
	if err != nil {
		t.Fatal(err)
	}
	forged.Header.Set("Authorization", "Bearer eyJhbGciOiJub25lIn0.e30.")
	answer, err := http.DefaultClient.Do(forged)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a forged notification is answered with %d", answer.StatusCode)
	}
}

// nodeExample runs the example in a folder that has the packages it asks for.
func nodeExample(t *testing.T) *exec.Cmd {
	t.Helper()
	needNode(t)
	dir := t.TempDir()
	code, err := os.ReadFile(filepath.Join(examples, "receiver.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "receiver.mjs")
	if err := os.WriteFile(script, code, 0o600); err != nil {
		t.Fatal(err)
	}
	packages, err := filepath.Abs("node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(packages, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(t.Context(), "node", script)
}

// pythonExample runs the example with an interpreter that has its modules.
func pythonExample(t *testing.T) *exec.Cmd {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import jwt, cryptography").Run() == nil {
			return exec.CommandContext(t.Context(), python, filepath.Join(examples, "receiver.py"))
		}
	}
	t.Skip(`there is no Python with the modules jwt and cryptography here: "make setup" installs them`)
	return nil
}

// goExample builds the example: "go run" would leave the program behind when it
// is killed.
func goExample(t *testing.T) *exec.Cmd {
	t.Helper()
	program := filepath.Join(t.TempDir(), "receiver")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, "./"+examples+"/go")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return exec.CommandContext(t.Context(), program)
}
