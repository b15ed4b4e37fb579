package fic_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/fic"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// A stack is the door with everything behind it: use cases, engine, store,
// keys. Only where time is fake is there another way out than egress.
type stack struct {
	t       *testing.T
	service *fattorino.Service
	door    http.Handler
	signer  signer
	admin   *fattorino.Token
	log     *bytes.Buffer
}

const adminSecret = "the operator's own secret"

// setting is what tests vary.
type setting struct {
	quotas fic.Quotas
	limits fattorino.Limits // zero: 100 subscriptions, 2 s
	roots  *x509.CertPool   // trusted with sinks
	sender engine.Sender    // nil = egress
	exempt func(sink string) bool
}

// start sets a stack going; the test's end stops it.
func start(t *testing.T, s setting) *stack {
	t.Helper()
	if s.limits == (fattorino.Limits{}) {
		s.limits = fattorino.Limits{Subscriptions: 100, AwaitSink: 2 * time.Second}
	}
	policy := egress.Policy{Dev: true}
	if s.sender == nil {
		client := egress.NewClient(policy, egress.Options{RootCAs: s.roots, Resolver: noNames()})
		t.Cleanup(client.Close)
		s.sender = client
	}
	st := &stack{t: t, signer: newSigner(t), log: &bytes.Buffer{}}
	log := slog.New(slog.NewTextHandler(&lockedWriter{w: st.log}, nil))
	contracts := []fattorino.Contract{newContract(t, fic.Options{Signer: st.signer})}
	store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	eng, err := engine.New(engine.Config{Store: store, Contracts: contracts, Sender: s.sender, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := eng.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		if err := eng.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	st.service, err = fattorino.NewService(fattorino.Config{
		Store: store, Engine: eng, Contracts: contracts, Limits: s.limits, CheckSink: policy.CheckSink,
		Exempt: s.exempt, AdminTokenHash: fattorino.HashSecret(adminSecret),
	})
	if err != nil {
		t.Fatal(err)
	}
	if st.admin, err = st.service.Authenticate(t.Context(), adminSecret); err != nil {
		t.Fatal(err)
	}
	door, err := fic.NewDoor(st.service, s.quotas, log)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	door.Routes(mux)
	st.door = mux
	return st
}

// lockedWriter lets many goroutines log to one buffer.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// noNames finds no host name, so that no test asks the network.
func noNames() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no names here")
	}}
}

// app registers an app and gives a token of it for the companies and scopes.
func (st *stack) app(name string, companies []int64, scopes ...string) string {
	st.t.Helper()
	app, err := st.service.CreateApp(st.t.Context(), st.admin, name)
	if err != nil {
		st.t.Fatal(err)
	}
	return st.token(fattorino.Token{Kind: fattorino.APIToken, App: app.ID, Companies: companies, Scopes: scopes})
}

func (st *stack) token(token fattorino.Token) string {
	st.t.Helper()
	_, secret, err := st.service.CreateToken(st.t.Context(), st.admin, token)
	if err != nil {
		st.t.Fatal(err)
	}
	return secret
}

// answer is what the door said.
type answer struct {
	status int
	header http.Header
	body   string
}

// request is a request to the door; the token goes out as bearer.
type request struct {
	method, path, token, body, userAgent string
}

// do makes a request and holds every answer to what all have to keep: what is
// not empty is JSON and says so.
func (st *stack) do(r request) answer {
	st.t.Helper()
	req := httptest.NewRequestWithContext(st.t.Context(), r.method, r.path, strings.NewReader(r.body))
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	if r.userAgent != "" {
		req.Header.Set("User-Agent", r.userAgent)
	}
	w := httptest.NewRecorder()
	st.door.ServeHTTP(w, req)
	a := answer{w.Code, w.Header(), w.Body.String()}
	if a.body != "" && (a.header.Get("Content-Type") != "application/json" || !json.Valid([]byte(a.body))) {
		st.t.Errorf("%s %s: the answer is no JSON: %d %s %q", r.method, r.path, a.status, a.header.Get("Content-Type"), a.body)
	}
	return a
}

// want fails the test unless the answer has the status.
func (a answer) want(t *testing.T, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("answered %d %s, want %d", a.status, a.body, status)
	}
	return a
}

// The shapes of answers, as the SDKs declare them, and not one field more.
type (
	sdkSubscription struct {
		ID       *string  `json:"id"`
		Sink     *string  `json:"sink"`
		Verified *bool    `json:"verified"`
		Types    []string `json:"types"`
		Config   *struct {
			Mapping *string `json:"mapping"`
		} `json:"config"`
	}
	sdkOne struct {
		Data     sdkSubscription `json:"data"`
		Warnings []string        `json:"warnings"`
	}
	sdkList struct {
		Data []sdkSubscription `json:"data"`
	}
	sdkError struct {
		Error struct {
			Message          string              `json:"message"`
			Code             string              `json:"code"`
			ValidationResult map[string][]string `json:"validation_result"`
		} `json:"error"`
	}
)

// decode reads an answer and refuses any field that the shape does not have.
func decode[T any](t *testing.T, body string) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("an SDK cannot read %s: %v", body, err)
	}
	return v
}

// create subscribes and gives the subscription.
func (st *stack) create(token string, company, sink string, types ...string) sdkSubscription {
	st.t.Helper()
	return decode[sdkOne](st.t, st.do(request{
		method: http.MethodPost, path: "/c/" + company + "/subscriptions", token: token, body: wish(sink, types...),
	}).want(st.t, http.StatusOK).body).Data
}

// wish is the body of a create request; types without the prefix.
func wish(sink string, types ...string) string {
	named := make([]string, len(types))
	for i, typ := range types {
		named[i] = prefix + typ
	}
	body, _ := json.Marshal(map[string]any{"data": map[string]any{"sink": sink, "types": named}}) // strings always encode
	return string(body)
}

// A sink is a receiver: it answers challenges as told, and keeps what it got.
type sink struct {
	*httptest.Server
	notified chan notification

	mu         sync.Mutex
	answers    func(w http.ResponseWriter, challenge string) // nil = as documented
	status     int                                           // to notifications; 0 = 204
	challenges []*http.Request
}

type notification struct {
	header http.Header
	body   string
}

func newSink(t *testing.T) *sink {
	t.Helper()
	s := &sink{notified: make(chan notification, 100)}
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(s.Close)
	return s
}

// roots trusts the sink.
func (s *sink) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	answers, status := s.answers, s.status
	if r.Method == http.MethodGet {
		s.challenges = append(s.challenges, r)
	}
	s.mu.Unlock()
	if r.Method == http.MethodPost {
		s.notified <- notification{r.Header, string(body)}
		if status == 0 {
			status = http.StatusNoContent
		}
		w.WriteHeader(status)
		return
	}
	challenge := r.Header.Get("x-fic-verification-challenge")
	if challenge == "" {
		challenge = r.URL.Query().Get("x-fic-verification-challenge")
	}
	if answers != nil {
		answers(w, challenge)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"verification": challenge}) // the sender sees what is missing
}

// setAnswer changes how challenges are answered.
func (s *sink) setAnswer(f func(w http.ResponseWriter, challenge string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = f
}

// asked gives the challenges so far.
func (s *sink) asked() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.challenges...)
}

// next waits for the next notification.
func (s *sink) next(t *testing.T) notification {
	t.Helper()
	select {
	case n := <-s.notified:
		return n
	case <-time.After(10 * time.Second):
		t.Fatal("no notification came in 10 s")
		return notification{}
	}
}

// refusing answers challenges with 404.
func refusing(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusNotFound) }
