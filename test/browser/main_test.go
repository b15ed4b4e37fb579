// Package browser_test has a real browser use the management UI of the real
// program: every page, in light, in dark and on a phone, and every flow.
// Screenshots are left in dist/screenshots.
package browser_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait; nothing takes as long on any machine.
const patience = 60 * time.Second

// adminToken is what the servers of these tests are started with.
const adminToken = "an-admin-token-for-tests"

var binary string // the program, as TestMain built it

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fattorino-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is below the system's temporary folder
	binary = filepath.Join(dir, "fattorino")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "../../cmd/fattorino") //nolint:noctx // go test bounds it
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// A server is the program serving on this machine with a data folder of its
// own.
type server struct {
	url    string
	token  string // that its API is called with
	client *http.Client
}

// serve starts the program and waits until it says where it serves.
func serve(t *testing.T, flags ...string) *server {
	t.Helper()
	args := append([]string{"serve", "--dev", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--log-format", "json"}, flags...)
	program := exec.Command(binary, args...) //nolint:noctx // it is ended with SIGTERM, as a supervisor would
	program.Env = append(os.Environ(), "FATTORINO_ADMIN_TOKEN="+adminToken)
	log, err := program.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	serving, ended := make(chan string, 1), make(chan struct{})
	go follow(log, serving, ended)
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = program.Process.Signal(syscall.SIGTERM)
		<-ended
		if err := program.Wait(); err != nil {
			t.Errorf("the program did not end well: %v", err)
		}
	})
	select {
	case url := <-serving:
		return &server{url: url, token: adminToken, client: &http.Client{Transport: transport, Timeout: patience}}
	case <-ended:
		t.Fatal("the program has ended")
	case <-time.After(patience):
		t.Fatal("the program says nothing")
	}
	return nil
}

// follow reads the program's log to its end, and tells where it serves.
func follow(log io.Reader, serving chan<- string, ended chan<- struct{}) {
	defer close(ended)
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry struct{ Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "serving" {
			serving <- entry.URL
		}
	}
}

// call makes a request of the API and gives the answer; it fails where the
// status is another.
func (s *server) call(t *testing.T, method, path, contentType string, body any, want int) map[string]any {
	t.Helper()
	text, ok := body.(string)
	if !ok {
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(encoded)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewBufferString(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Content-Type", contentType)
	answer, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it is read to its end
	read, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != want {
		t.Fatalf("%s %s: got %d, want %d\n%s", method, path, answer.StatusCode, want, read)
	}
	var v map[string]any
	_ = json.Unmarshal(read, &v) // an empty body is nothing
	return v
}

// A sink takes notifications, proves itself to every contract, and answers as
// it is told.
type sink struct {
	url string

	mu     sync.Mutex
	status int
	body   string
}

func newSink(t *testing.T) *sink {
	t.Helper()
	s := &sink{status: http.StatusOK, body: `{"taken": true}`}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *sink) answers(status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body = status, body
}

// ServeHTTP implements [http.Handler].
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/down" {
		http.Error(w, "nobody is here", http.StatusNotFound)
		return
	}
	if r.URL.Path == "/answers" { // from now on
		status, err := strconv.Atoi(r.FormValue("status"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.answers(status, "")
		return
	}
	for _, field := range []string{"Webhook-Challenge", "X-Fic-Verification-Challenge"} {
		if challenge := r.Header.Get(field); challenge != "" {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]string{"verification": challenge, "challenge": challenge})
			return
		}
	}
	s.mu.Lock()
	status, body := s.status, s.body
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// drive runs a script of this folder with the browser, and shows what it says
// where it fails.
func drive(t *testing.T, script string, settings map[string]string) {
	t.Helper()
	if _, err := os.Stat("node_modules/playwright-core"); err != nil {
		t.Fatal("the browser's driver is missing: run make setup")
	}
	cmd := exec.CommandContext(t.Context(), "node", script)
	cmd.Env = append(os.Environ(), "ADMIN_TOKEN="+adminToken)
	for name, value := range settings {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	t.Logf("%s", out)
}
