package subscriptions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/client"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/filter"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/sign"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
	"github.com/fattorino-dev/fattorino/internal/subscriptions"
)

const (
	adminSecret = "the-operators-own-secret"
	origin      = "hooks.example.com"
	acme        = 12345 // the company of most tests
)

// A fixture is the door on loopback with everything behind it: use cases,
// engine, store, way out; and beside it the native API, which takes consent by
// callback.
type fixture struct {
	t       *testing.T
	url     string
	service *fattorino.Service
	native  *native.Contract
	admin   *fattorino.Token
	log     *lockedBuffer
	spec    *spec
}

// start runs a server; change adjusts the native contract.
func start(t *testing.T, change func(o *native.Options, url string)) *fixture {
	t.Helper()
	f := &fixture{t: t, log: &lockedBuffer{}, spec: loadSpec(t)}
	log := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	server := httptest.NewUnstartedServer(nil)
	f.url = "http://" + server.Listener.Addr().String()
	vault, err := sign.OpenVault(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	options := native.Options{Keychain: sign.NewKeychain(vault), Origin: origin}
	if change != nil {
		change(&options, f.url)
	}
	if f.native, err = native.New(options); err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	policy := egress.Policy{Dev: true}
	out := egress.NewClient(policy, egress.Options{})
	contracts := []fattorino.Contract{f.native}
	e, err := engine.New(engine.Config{Store: store, Contracts: contracts, Sender: out, Log: log, CompileFilters: compileFilters})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	f.service, err = fattorino.NewService(fattorino.Config{
		Store: store, Engine: e, Contracts: contracts, CheckSink: policy.CheckSink, CompileFilters: compileFilters,
		Limits:         fattorino.Limits{Subscriptions: 5, AwaitSink: 5 * time.Second},
		AdminTokenHash: fattorino.HashSecret(adminSecret),
	})
	if err != nil {
		t.Fatal(err)
	}
	if f.admin, err = f.service.Authenticate(t.Context(), adminSecret); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	subscriptions.NewDoor(f.service, f.native, log).Routes(mux)
	nativeAPI, err := api.New(api.Config{Service: f.service, Log: log, Contracts: map[string]api.Chooser{native.Name: f.native}, Callbacks: f.native})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("/v1/", nativeAPI)
	server.Config.Handler = mux
	server.Start()
	t.Cleanup(func() {
		server.Close()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
		defer cancel()
		if err := e.Stop(ctx); err != nil {
			t.Error(err)
		}
		out.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// takenAtTheirWord lets tests choose the handshake "none".
func takenAtTheirWord(o *native.Options, _ string) { o.AllowNoHandshake = true }

func compileFilters(raw []byte) (func(*fattorino.Event) bool, error) {
	f, err := filter.Compile(raw)
	if err != nil {
		return nil, err
	}
	return f.Match, nil
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

// token gives a token of a new app.
func (f *fixture) token(companies ...int64) string {
	f.t.Helper()
	app, err := f.service.CreateApp(f.t.Context(), f.admin, "an integrator")
	if err != nil {
		f.t.Fatal(err)
	}
	_, secret, err := f.service.CreateToken(f.t.Context(), f.admin, fattorino.Token{Kind: fattorino.APIToken, App: app.ID, Companies: companies})
	if err != nil {
		f.t.Fatal(err)
	}
	return secret
}

// publish publishes an event as a platform does.
func (f *fixture) publish(id, source, typ string) {
	f.t.Helper()
	_, err := f.service.Publish(f.t.Context(), f.admin, []*fattorino.Event{{
		ID: id, Source: source, Type: typ, Subject: fmt.Sprintf("company:%d", acme), Extensions: map[string]any{"companyid": fmt.Sprint(acme)},
		DataContentType: "application/json", Form: fattorino.JSONData, Data: []byte(`{"id":42}`),
	}})
	if err != nil {
		f.t.Fatal(err)
	}
}

// A call is one request to the door.
type call struct {
	method, path, token, body, company string
}

// A reply is the answer, which openapi.yaml has been found to allow.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// do makes a call, and checks the answer, and the request where it was taken
// as good, against openapi.yaml.
func (f *fixture) do(c call) reply {
	f.t.Helper()
	r, answer := f.exchange(c)
	if err := f.spec.validate(r, answer, c.body); err != nil {
		f.t.Errorf("%s %s: the answer %d %s is not as described: %v", c.method, c.path, answer.status, answer.body, err)
	}
	return answer
}

func (f *fixture) exchange(c call) (*http.Request, reply) {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), c.method, f.url+c.path, strings.NewReader(c.body))
	if err != nil {
		f.t.Fatal(err)
	}
	if c.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.company != "" {
		r.Header.Set("X-Company-Id", c.company)
	}
	if len(c.body) > 8<<10 {
		// Asked first, the server refuses a body that is too large before it is
		// sent; else its answer can be lost with the connection.
		r.Header.Set("Expect", "100-continue")
	}
	response, err := ownClient().Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return r, reply{f.t, response.StatusCode, response.Header, string(body)}
}

// want fails the test unless the answer has the status.
func (a reply) want(status int) reply {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("answered %d %s, want %d", a.status, a.body, status)
	}
	return a
}

// subscription is what a client reads of one.
type subscription struct {
	ID               string                       `json:"id"`
	Source           string                       `json:"source"`
	Types            []string                     `json:"types"`
	Config           map[string]string            `json:"config"`
	Filters          []map[string]json.RawMessage `json:"filters"`
	Sink             string                       `json:"sink"`
	SinkCredential   map[string]string            `json:"sinkcredential"`
	Protocol         string                       `json:"protocol"`
	ProtocolSettings struct {
		Headers map[string]string `json:"headers"`
		Method  string            `json:"method"`
	} `json:"protocolsettings"`
	State          string `json:"state"`
	HandshakeError string `json:"handshakeerror"`
}

func (a reply) subscription() subscription {
	a.t.Helper()
	return decode[subscription](a)
}

// faults gives the places that an error names.
func (a reply) faults() []string {
	a.t.Helper()
	p := decode[struct {
		Errors []struct{ Field string }
	}](a)
	var fields []string
	for _, e := range p.Errors {
		fields = append(fields, e.Field)
	}
	return fields
}

func decode[T any](a reply) T {
	a.t.Helper()
	var v T
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		a.t.Fatalf("%s: %v", a.body, err)
	}
	return v
}

// members makes the JSON of a body.
type members = map[string]any

func encode(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// create subscribes, and gives what was answered.
func (f *fixture) create(token string, body members) subscription {
	f.t.Helper()
	return f.do(call{method: "POST", path: "/subscriptions", token: token, body: encode(f.t, body)}).want(http.StatusCreated).subscription()
}

// get reads a subscription.
func (f *fixture) get(token, id string) subscription {
	f.t.Helper()
	return f.do(call{method: "GET", path: "/subscriptions/" + id, token: token}).want(http.StatusOK).subscription()
}

// A receiver is a sink that the Go SDK of CloudEvents serves.
type receiver struct {
	url  string
	got  chan event.Event
	mu   sync.Mutex
	head []http.Header // of what was received, challenges included
}

// sdkReceiver makes a receiver under abuse protection, which allows the
// origins, by the answer to OPTIONS or by callback.
func sdkReceiver(t *testing.T, callback bool, origins ...string) *receiver {
	t.Helper()
	rc := &receiver{got: make(chan event.Event, 100)}
	p, err := cehttp.New(cehttp.WithDefaultOptionsHandlerFunc([]string{http.MethodPost}, 600, origins, callback))
	if err != nil {
		t.Fatal(err)
	}
	h, err := client.NewHTTPReceiveHandler(t.Context(), p, func(e event.Event) { rc.got <- e })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc.mu.Lock()
		rc.head = append(rc.head, r.Header.Clone())
		rc.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	rc.url = server.URL
	return rc
}

// next waits for the next event.
func (rc *receiver) next(t *testing.T) event.Event {
	t.Helper()
	select {
	case e := <-rc.got:
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event came in 10 s")
		return event.Event{}
	}
}

// last gives the header of the last request.
func (rc *receiver) last() http.Header {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return rc.head[len(rc.head)-1]
}

// A sink keeps what it is sent and answers 200.
type sink struct {
	*httptest.Server
	got chan received
}

type received struct {
	header http.Header
	body   []byte
}

func newSink(t *testing.T) *sink {
	t.Helper()
	s := &sink{got: make(chan received, 100)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // the test sees what is missing
		s.got <- received{r.Header, body}
	}))
	t.Cleanup(s.Close)
	return s
}

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

// spec is openapi.yaml, by which answers are checked.
type spec struct {
	doc    *openapi3.T
	router routers.Router
}

func loadSpec(t *testing.T) *spec {
	t.Helper()
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	doc.Servers = nil // whatever port the test's server is at
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &spec{doc, router}
}

// validate holds an answer to the description, and the request as well where it
// was taken as good.
func (s *spec) validate(r *http.Request, answer reply, body string) error {
	route, params, err := s.router.FindRoute(r)
	if err != nil {
		return err
	}
	request := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	if answer.status < 300 {
		r.Body = io.NopCloser(strings.NewReader(body))
		if err := openapi3filter.ValidateRequest(r.Context(), request); err != nil {
			return fmt.Errorf("the request was accepted: %w", err)
		}
	}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request, Status: answer.status, Header: answer.header,
		Body:    io.NopCloser(strings.NewReader(answer.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
}

// ownClient gives a client that shares no connections: any test server that is
// closed closes those of the default one, those of other tests included.
func ownClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: 10 * time.Second}}
}
