package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// adminToken is the operator's in these tests.
const adminToken = "admin-token-of-the-tests"

// log is where an app logs to in a test.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// testConfig gives the settings of an app on a folder of its own.
func testConfig(t *testing.T) app.Config {
	t.Helper()
	c := app.Default()
	c.Data, c.Listen, c.Dev, c.AdminToken = t.TempDir(), "127.0.0.1:0", true, adminToken
	return c
}

// start starts an app; it is stopped at the test's end.
func start(t *testing.T, c app.Config) (*app.App, *log) {
	t.Helper()
	written := &log{}
	a, err := app.New(t.Context(), app.Options{Config: c, Log: written})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, a) })
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a, written
}

func stop(t *testing.T, a *app.App) {
	t.Helper()
	if err := a.Stop(context.Background()); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// answer is what an app answered.
type answer struct {
	status int
	header http.Header
	body   string
}

// client is one for a test: nothing of it outlives the test.
func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// do makes a request with the token; body is JSON, or empty for none.
func do(t *testing.T, a *app.App, method, path, token, body string) answer {
	t.Helper()
	return send(t, client(t), request(t, a, method, path, token, strings.NewReader(body)))
}

func request(t *testing.T, a *app.App, method, path, token string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, a.URL()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Content-Type", "application/json")
	if path == "/v1/events" {
		r.Header.Set("Content-Type", "application/cloudevents+json")
	}
	return r
}

func send(t *testing.T, c *http.Client, r *http.Request) answer {
	t.Helper()
	response, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// want fails the test where the answer has another status.
func (x answer) want(t *testing.T, status int) answer {
	t.Helper()
	if x.status != status {
		t.Fatalf("got status %d, want %d: %s", x.status, status, x.body)
	}
	return x
}

// read reads the answer's JSON.
func read[T any](t *testing.T, x answer) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(x.body), &v); err != nil {
		t.Fatalf("%v in %s", err, x.body)
	}
	return v
}

// event gives a CloudEvent of company 1.
func event(id string) string {
	return `{"specversion":"1.0","id":"` + id + `","source":"urn:test","type":"invoice.created","companyid":"1","data":{"id":42}}`
}

// integrator makes an app and a token for it.
func integrator(t *testing.T, a *app.App) (token string) {
	t.Helper()
	do(t, a, "POST", "/v1/apps", adminToken, `{"name":"Test"}`).want(t, http.StatusCreated)
	made := do(t, a, "POST", "/v1/tokens", adminToken, `{"kind":"api","app_id":1,"scopes":["*"]}`).want(t, http.StatusCreated)
	return read[struct{ Token string }](t, made).Token
}

// received is a notification as a sink got it.
type received struct {
	header http.Header
	body   string
}

// subscriber is a sink that answers challenges, and hands on notifications.
type subscriber struct {
	url           string
	challenges    chan http.Header
	notifications chan received
}

func newSubscriber(t *testing.T) *subscriber {
	t.Helper()
	s := &subscriber{challenges: make(chan http.Header, 10), notifications: make(chan received, 10)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if challenge := r.Header.Get("X-Fic-Verification-Challenge"); challenge != "" {
			s.challenges <- r.Header
			_ = json.NewEncoder(w).Encode(map[string]string{"verification": challenge})
			return
		}
		body, _ := io.ReadAll(r.Body)
		s.notifications <- received{r.Header, string(body)}
	}))
	t.Cleanup(server.Close)
	s.url = server.URL + "/hook"
	return s
}

// next gives the next notification.
func (s *subscriber) next(t *testing.T) received {
	t.Helper()
	select {
	case n := <-s.notifications:
		return n
	case <-time.After(20 * time.Second):
		t.Fatal("no notification came")
		return received{}
	}
}

// subscribe subscribes the sink to new invoices of company 1.
func subscribe(t *testing.T, a *app.App, token, sink string) answer {
	t.Helper()
	return do(t, a, "POST", "/c/1/subscriptions", token,
		`{"data":{"sink":"`+sink+`","types":["it.fattureincloud.webhooks.issued_documents.invoices.create"]}}`)
}
