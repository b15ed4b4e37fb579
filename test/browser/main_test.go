// Package browser_test has a real browser use the management UI of the real
// program: every page, in light, in dark and on a phone, and every flow.
// Screenshots are left in dist/screenshots.
package browser_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/test/program"
)

// patience bounds every wait; nothing takes as long on any machine.
const patience = 60 * time.Second

// adminToken is what the servers of these tests are started with.
const adminToken = program.AdminToken

var binary string // the program, as TestMain built it

func TestMain(m *testing.M) { os.Exit(program.Run(m, &binary)) }

// A server is the program serving on this machine with a data folder of its
// own.
type server struct {
	url    string
	token  string // that its API is called with
	client *http.Client
}

// serve starts the program.
func serve(t *testing.T, flags ...string) *server {
	t.Helper()
	url := program.Serve(t, program.Options{Binary: binary, Flags: flags}).URL
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &server{url: url, token: adminToken, client: &http.Client{Transport: transport, Timeout: patience}}
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
