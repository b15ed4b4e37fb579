// Package hostile_test runs the program as it is delivered among clients and
// sinks that mean it harm, and checks that it goes on serving those that do
// not, within bounds, and without telling its secrets.
package hostile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/test/program"
)

// patience bounds every wait; nothing takes as long on any machine.
const patience = time.Minute

// adminToken is what the servers of these tests are started with.
const adminToken = program.AdminToken

var binary string // the program, as TestMain built it

func TestMain(m *testing.M) { os.Exit(program.Run(m, &binary)) }

// A server is the program serving on this machine.
type server struct {
	*program.Server
	url, address string
}

// serve starts the program on a data folder of its own.
func serve(t *testing.T, flags ...string) *server {
	t.Helper()
	return serveIn(t, "", nil, flags...)
}

// serveIn is serve on a data folder, with further variables of the environment.
func serveIn(t *testing.T, dir string, env []string, flags ...string) *server {
	t.Helper()
	s := program.Serve(t, program.Options{Binary: binary, Dir: dir, Env: env, Flags: flags})
	return &server{Server: s, url: s.URL, address: strings.TrimPrefix(s.URL, "http://")}
}

// An answer is one that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// call makes a request of the API; body may be nil, text or a value for JSON.
func (s *server) call(t *testing.T, method, path, token string, body any) answer {
	t.Helper()
	a, err := s.try(t, method, path, token, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// try is call where there may be no answer.
func (s *server) try(t *testing.T, method, path, token string, body any) (answer, error) {
	t.Helper()
	var sent io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		sent = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		sent = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, sent)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	if path == "/v1/events" {
		r.Header.Set("Content-Type", "application/cloudevents+json")
	}
	return do(ownClient(), r)
}

func do(client *http.Client, r *http.Request) (answer, error) {
	got, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer got.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(got.Body)
	return answer{got.StatusCode, got.Header, string(text)}, err
}

// must makes a request that has to be answered with the status, and decodes the
// answer into v.
func (s *server) must(t *testing.T, method, path, token string, body any, status int, v any) {
	t.Helper()
	a := s.call(t, method, path, token, body)
	if a.status != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, a.status, status, a.body)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, a.body)
	}
}

// token makes a token for company 1, of an app of its own.
func (s *server) token(t *testing.T, kind string) string {
	t.Helper()
	wish := map[string]any{"kind": kind, "companies": []int{1}}
	if kind == "api" {
		var app struct{ ID int }
		s.must(t, "POST", "/v1/apps", adminToken, map[string]any{"name": t.Name()}, http.StatusCreated, &app)
		wish["app_id"], wish["scopes"] = app.ID, []string{"*"}
	}
	var made struct{ Token string }
	s.must(t, "POST", "/v1/tokens", adminToken, wish, http.StatusCreated, &made)
	return made.Token
}

// event is an event of company 1 as JSON.
func event(id string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/hostile","type":"invoice.created","companyid":"1","data":{"id":42}}`, id)
}

// stillServes checks that a healthy client is served while an attack is under
// way: twenty events, each over a connection of its own, are accepted.
func (s *server) stillServes(t *testing.T) {
	t.Helper()
	for i := range 20 {
		id := fmt.Sprint("healthy-", time.Now().UnixNano(), "-", i)
		if a := s.call(t, "POST", "/v1/events", adminToken, event(id)); a.status != http.StatusAccepted {
			t.Fatalf("the healthy client is answered %d: %s", a.status, a.body)
		}
	}
}

// memory gives the bytes of memory that the program holds.
func (s *server) memory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Process.Process.Pid))
	if err != nil {
		t.Skipf("memory is read from /proc: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("the program has no memory")
	return 0
}

// metric gives the value of a metric without labels.
func (s *server) metric(t *testing.T, name string) float64 {
	t.Helper()
	for line := range strings.Lines(s.call(t, "GET", "/metrics", "", nil).body) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// dial opens a connection that ends with the test.
func (s *server) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", s.address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// eventually asks until the answer is yes, for as long as patience lasts.
func eventually(yes func() bool) bool {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for deadline := time.After(patience); ; {
		if yes() {
			return true
		}
		select {
		case <-again.C:
		case <-deadline:
			return false
		}
	}
}

// ownClient gives a client that shares no connections.
func ownClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
}
