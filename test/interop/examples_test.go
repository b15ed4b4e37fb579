package interop_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const examples = "../../docs/examples"

// The receivers of the README, run as its readers run them.
func TestTheExamplesReceive(t *testing.T) {
	t.Parallel()
	s := serve(t)
	company := 0
	for name, command := range map[string]func(*testing.T) *exec.Cmd{
		"Node":   func(t *testing.T) *exec.Cmd { return nodeExample(t, "receiver.mjs") },
		"Python": pythonExample,
		"Go":     goExample,
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
	isRefused(t, sink, map[string]string{"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."})
}

// The receivers of the README for whoever signs after Standard Webhooks.
func TestTheExamplesVerifySecrets(t *testing.T) {
	t.Parallel()
	s := serve(t)
	company := 0
	for name, command := range map[string]func(*testing.T) *exec.Cmd{
		"Node":   func(t *testing.T) *exec.Cmd { return nodeExample(t, "native.mjs") },
		"Python": plainPythonExample,
		"Go":     func(t *testing.T) *exec.Cmd { return built(t, "./"+examples+"/native.go") },
	} {
		company++
		t.Run(name, func(t *testing.T) {
			for contract, wish := range map[string]map[string]any{
				"native":         {"format": "standard"},
				"facturascripts": {"contract": "facturascripts"},
			} {
				t.Run(contract, func(t *testing.T) { verifies(t, s, command(t), company, wish) })
			}
		})
	}
}

func verifies(t *testing.T, s *server, receiver *exec.Cmd, company int, wish map[string]any) {
	t.Helper()
	sink, secretFile := freeURL(t), filepath.Join(t.TempDir(), "secret.txt")
	receiver.Env = append(os.Environ(), "SINK="+sink, "SECRET_FILE="+secretFile)
	receiver.Stderr = t.Output()
	lines := start(t, receiver)
	if line := next(t, lines); line != "listening for "+sink {
		t.Fatalf("it says %q", line)
	}
	wish["sink"], wish["types"] = sink, []string{"invoice.created"}
	var made struct{ State, Secret string }
	s.call(t, http.MethodPost, fmt.Sprintf("/v1/companies/%d/subscriptions", company), s.token(t, "api", company), wish, http.StatusCreated, &made)
	if made.State != "active" {
		t.Fatalf("the subscription is %s", made.State)
	}
	if err := os.WriteFile(secretFile, []byte(made.Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.publish(t, s.token(t, "publish", company), company, sink, 42)
	if line := next(t, lines); !strings.HasPrefix(line, "invoice.created data=") || !strings.Contains(line, "42") {
		t.Errorf("it says %q, want the invoice", line)
	}
	for _, signature := range []string{"", "v1,Zm9yZ2Vk"} {
		isRefused(t, sink, map[string]string{
			"webhook-id": "msg_1", "webhook-timestamp": strconv.FormatInt(time.Now().Unix(), 10), "webhook-signature": signature,
		})
	}
}

func TestTheExampleForDefactoKnowsItsURL(t *testing.T) {
	t.Parallel()
	s, sink := serve(t), freeURL(t)
	receiver := nodeExample(t, "defacto.mjs")
	receiver.Env = append(os.Environ(), "SINK="+sink+"?key=a-long-random-text")
	receiver.Stderr = t.Output()
	lines := start(t, receiver)
	if line := next(t, lines); line != "listening" {
		t.Fatalf("it says %q", line)
	}
	s.call(t, http.MethodPost, "/webhooks", s.token(t, "api", 5), map[string]any{
		"event_types": []string{"Invoice.DELETED"}, "to_url": sink + "?key=a-long-random-text",
	}, http.StatusCreated, nil)
	s.publishEvent(t, adminToken, map[string]any{
		"specversion": "1.0", "id": "d-1", "source": "/erp", "type": "invoice.deleted", "companyid": "5", "data": map[string]any{"id": "I-42"},
	}, http.StatusAccepted)
	if line := next(t, lines); !strings.HasPrefix(line, "Invoice.DELETED status=DELETED id=I-42 delivery=") {
		t.Errorf("it says %q", line)
	}
	isRefused(t, sink, nil)
	isRefused(t, sink+"?key=another", nil)
}

// isRefused posts what nobody has signed.
func isRefused(t *testing.T, sink string, header map[string]string) {
	t.Helper()
	forged, err := http.NewRequestWithContext(t.Context(), http.MethodPost, sink, strings.NewReader(`{"type":"invoice.paid","data":{"ids":[42]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		forged.Header.Set(name, value)
	}
	answer, err := ownClient().Do(forged)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a forged notification is answered with %d", answer.StatusCode)
	}
}

// plainPythonExample needs no modules.
func plainPythonExample(t *testing.T) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip(`there is no Python here: "make setup" installs it`)
	}
	return exec.CommandContext(t.Context(), "python3", filepath.Join(examples, "native.py"))
}

// nodeExample runs an example in a folder that has the packages it asks for.
func nodeExample(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	needNode(t)
	dir := t.TempDir()
	code, err := os.ReadFile(filepath.Join(examples, name))
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, name)
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
	return built(t, "./"+examples+"/go")
}

func built(t *testing.T, source string) *exec.Cmd {
	t.Helper()
	program := filepath.Join(t.TempDir(), "receiver")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, source)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return exec.CommandContext(t.Context(), program)
}
