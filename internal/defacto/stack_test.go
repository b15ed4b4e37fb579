package defacto_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/defacto"
	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// A stack is the door and the sandbox with everything behind them: use cases,
// engine, store. Only where time is fake is there another way out than egress.
type stack struct {
	t       *testing.T
	store   *sqlite.Store
	engine  *engine.Engine
	service *fattorino.Service
	sandbox *defacto.Sandbox
	mux     http.Handler
	admin   *fattorino.Token
	log     *lockedBuffer
	stopped bool
}

const adminSecret = "the operator's own secret"

// setting is what tests vary.
type setting struct {
	dir      string             // empty = a new one
	sender   engine.Sender      // nil = egress
	besides  fattorino.Contract // nil = Defacto alone
	noTimers bool               // the sandbox does not work of its own
	https    bool               // as in production: no plain http
	limit    int                // of subscriptions; 0 = 100
}

// start sets a stack going; the test's end stops it.
func start(t *testing.T, o setting) *stack {
	t.Helper()
	if o.dir == "" {
		o.dir = t.TempDir()
	}
	if o.limit == 0 {
		o.limit = 100
	}
	policy := egress.Policy{Dev: !o.https}
	if o.sender == nil {
		client := egress.NewClient(policy, egress.Options{})
		t.Cleanup(client.Close)
		o.sender = client
	}
	contracts := []fattorino.Contract{newContract(t)}
	if o.besides != nil {
		contracts = append(contracts, o.besides)
	}
	st := &stack{t: t, log: &lockedBuffer{}}
	log := slog.New(slog.NewTextHandler(st.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if st.store, err = sqlite.Open(t.Context(), sqlite.Options{Dir: o.dir}); err != nil {
		t.Fatal(err)
	}
	if st.engine, err = engine.New(engine.Config{Store: st.store, Contracts: contracts, Sender: o.sender, Log: log}); err != nil {
		t.Fatal(err)
	}
	if err := st.engine.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.service, err = fattorino.NewService(fattorino.Config{
		Store: st.store, Engine: st.engine, Contracts: contracts, CheckSink: policy.CheckSink,
		Limits: fattorino.Limits{Subscriptions: o.limit, AwaitSink: 2 * time.Second},
		Exempt: func(string) bool { return true }, AdminTokenHash: fattorino.HashSecret(adminSecret),
	})
	if err != nil {
		t.Fatal(err)
	}
	if st.admin, err = st.service.Authenticate(t.Context(), adminSecret); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	defacto.NewDoor(st.service, log).Routes(mux)
	st.sandbox = defacto.NewSandbox(st.service, st.store, st.engine, log)
	st.sandbox.Routes(mux)
	st.mux = mux
	if !o.noTimers {
		st.sandbox.Start(t.Context())
	}
	t.Cleanup(st.stop)
	return st
}

// stop ends the stack.
func (st *stack) stop() {
	if st.stopped {
		return
	}
	st.stopped = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(st.t.Context()), 10*time.Second)
	defer cancel()
	if err := st.sandbox.Stop(ctx); err != nil {
		st.t.Error(err)
	}
	if err := st.engine.Stop(ctx); err != nil {
		st.t.Error(err)
	}
	if err := st.store.Close(); err != nil {
		st.t.Error(err)
	}
}

func newContract(t testing.TB) *defacto.Contract {
	t.Helper()
	c, err := defacto.New(defacto.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lockedBuffer lets many goroutines log to one buffer.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// key gives an API key of a new app: a token without scopes.
func (st *stack) key(companies ...int64) string {
	st.t.Helper()
	app, err := st.service.CreateApp(st.t.Context(), st.admin, "an integrator")
	if err != nil {
		st.t.Fatal(err)
	}
	return st.token(fattorino.Token{Kind: fattorino.APIToken, App: app.ID, Companies: companies})
}

func (st *stack) token(token fattorino.Token) string {
	st.t.Helper()
	_, secret, err := st.service.CreateToken(st.t.Context(), st.admin, token)
	if err != nil {
		st.t.Fatal(err)
	}
	return secret
}

// request is a request to the API.
type request struct {
	method, path, key, body, company string
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (st *stack) do(r request) answer {
	st.t.Helper()
	req := httptest.NewRequestWithContext(st.t.Context(), r.method, r.path, strings.NewReader(r.body))
	if r.key != "" {
		req.Header.Set("Authorization", "Bearer "+r.key)
	}
	if r.company != "" {
		req.Header.Set("X-Company-Id", r.company)
	}
	w := httptest.NewRecorder()
	st.mux.ServeHTTP(w, req)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// want fails the test unless the answer has the status.
func (a answer) want(t *testing.T, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("answered %d %s, want %d", a.status, a.body, status)
	}
	return a
}

// decode reads an answer and refuses any member that the shape does not have.
func decode[T any](t *testing.T, body string) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("a client cannot read %s: %v", body, err)
	}
	return v
}

// The shapes of answers, as the API description has them.
type (
	webhook struct {
		ID         string   `json:"id"`
		Name       string   `json:"name"`
		EventTypes []string `json:"event_types"`
		ToURL      string   `json:"to_url"`
	}
	webhookPage struct {
		Count    int       `json:"count"`
		Data     []webhook `json:"data"`
		NextPage *string   `json:"next_page"`
		PageSize int       `json:"page_size"`
	}
	invoice struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	}
	problem struct {
		Type          string `json:"type"`
		Title         string `json:"title"`
		Status        int    `json:"status"`
		Detail        string `json:"detail"`
		Instance      string `json:"instance"`
		InvalidParams []struct {
			Name   string `json:"name"`
			Reason string `json:"reason"`
		} `json:"invalid_params"`
	}
	notification struct {
		EntityType     string          `json:"entity_type"`
		TransitionName *string         `json:"transition_name"`
		Status         *string         `json:"status"`
		Timestamp      string          `json:"timestamp"`
		ID             *string         `json:"id"`
		EventType      string          `json:"event_type"`
		EntityState    json.RawMessage `json:"entity_state"`
	}
)

// subscribe creates a webhook.
func (st *stack) subscribe(key, toURL string, types ...string) webhook {
	st.t.Helper()
	body, err := json.Marshal(map[string]any{"event_types": types, "to_url": toURL})
	if err != nil {
		st.t.Fatal(err)
	}
	return decode[webhook](st.t, st.do(request{method: "POST", path: "/webhooks", key: key, body: string(body)}).want(st.t, 201).body)
}

// publish publishes an event as a platform does.
func (st *stack) publish(company int64, id, typ, data string) {
	st.t.Helper()
	_, err := st.service.Publish(st.t.Context(), st.admin, []*fattorino.Event{{
		ID: id, Source: "/erp", Type: typ, Subject: fmt.Sprintf("company:%d", company),
		DataContentType: "application/json", Form: fattorino.JSONData, Data: []byte(data),
	}})
	if err != nil {
		st.t.Fatal(err)
	}
}

// A sink is a receiver on loopback that keeps what it gets.
type sink struct {
	*httptest.Server
	got chan received
}

type received struct {
	method, uri string
	header      http.Header
	body        string
}

// newSink makes a sink that answers with the statuses in turn, and with 200
// after them.
func newSink(t *testing.T, statuses ...int) *sink {
	t.Helper()
	s := &sink{got: make(chan received, 100)}
	var mu sync.Mutex
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // the sender sees what is missing
		mu.Lock()
		status := http.StatusOK
		if len(statuses) > 0 {
			status, statuses = statuses[0], statuses[1:]
		}
		mu.Unlock()
		w.WriteHeader(status)
		s.got <- received{r.Method, r.RequestURI, r.Header, string(body)}
	}))
	t.Cleanup(s.Close)
	return s
}

// next waits for the next notification.
func (s *sink) next(t *testing.T) received {
	t.Helper()
	select {
	case n := <-s.got:
		return n
	case <-time.After(10 * time.Second):
		t.Fatal("no notification came in 10 s")
		return received{}
	}
}

// recorder is every sink there is where time is fake: it keeps what is sent,
// and when.
type recorder struct {
	mu  sync.Mutex
	got []sent
}

type sent struct {
	at   time.Time
	body string
	id   string
}

// Send implements engine.Sender.
func (r *recorder) Send(_ context.Context, q *fattorino.Request) *fattorino.Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := sent{at: time.Now(), body: string(q.Body)}
	for _, h := range q.Header {
		if h.Name == "Webhook-Id" {
			s.id = h.Value
		}
	}
	r.got = append(r.got, s)
	return &fattorino.Answer{Status: http.StatusOK}
}

// all gives what was sent so far.
func (r *recorder) all() []sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]sent(nil), r.got...)
}
