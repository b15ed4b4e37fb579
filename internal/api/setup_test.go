package api_test

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

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/facturascripts"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/fic"
	"github.com/fattorino-dev/fattorino/internal/filter"
	"github.com/fattorino-dev/fattorino/internal/inspect"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/portal"
	"github.com/fattorino-dev/fattorino/internal/schema"
	"github.com/fattorino-dev/fattorino/internal/sign"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// adminSecret is the operator's token of every fixture.
const adminSecret = "the-operators-own-secret"

func TestMain(m *testing.M) {
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder)
	os.Exit(m.Run())
}

// A fixture is a running server on loopback: the API on the real use cases,
// engine, store and way out.
type fixture struct {
	t       *testing.T
	url     string
	service *fattorino.Service
	engine  *engine.Engine
	store   *sqlite.Store
	keys    *keys
	portal  *portal.Links
	native  *native.Contract
	log     *logBuffer
	spec    *spec

	stopping sync.Once
}

// start runs a server; change adjusts what it is made of.
func start(t *testing.T, change ...func(*api.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, keys: newKeys(t), log: &logBuffer{}, spec: loadSpec(t)}
	log := slog.New(slog.NewTextHandler(f.log, nil))
	server := httptest.NewUnstartedServer(nil)
	f.url = "http://" + server.Listener.Addr().String()
	vendor, err := fic.New(fic.Options{Signer: f.keys})
	if err != nil {
		t.Fatal(err)
	}
	keychain := newKeychain(t)
	plugin, err := facturascripts.New(facturascripts.Options{Keychain: keychain})
	if err != nil {
		t.Fatal(err)
	}
	f.native, err = native.New(native.Options{Keychain: keychain, BaseURL: f.url, Origin: "hooks.example.com", AllowNoHandshake: true})
	if err != nil {
		t.Fatal(err)
	}
	contracts := []fattorino.Contract{vendor, f.native, plugin}
	if f.store, err = sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	out := egress.NewClient(egress.Policy{Dev: true}, egress.Options{})
	if f.engine, err = engine.New(engine.Config{Store: f.store, Contracts: contracts, Sender: out, Log: log, CompileFilters: compileFilters}); err != nil {
		t.Fatal(err)
	}
	if err := f.engine.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	f.service, err = fattorino.NewService(fattorino.Config{
		Store: f.store, Engine: f.engine, Contracts: contracts,
		Limits:         fattorino.Limits{Subscriptions: 100, AwaitSink: 5 * time.Second},
		CheckSink:      egress.Policy{Dev: true}.CheckSink,
		CompileFilters: compileFilters,
		OwnContract:    native.Name, CompileSchema: schema.Compile,
		AdminTokenHash: fattorino.HashSecret(adminSecret),
	})
	if err != nil {
		t.Fatal(err)
	}
	f.portal = portal.New(portal.Config{Documents: f.store, Store: f.engine, Signer: keychain})
	bins := inspect.New(inspect.Config{Documents: f.store, Store: f.engine, Keychain: keychain, Log: log, KeySet: func() []byte { return nil }})
	config := api.Config{
		Portal: f.portal, Bins: bins,
		Service: f.service, Keys: f.keys, Log: log,
		Contracts: map[string]api.Chooser{native.Name: f.native, facturascripts.Name: plugin}, Callbacks: f.native,
		Elsewhere: map[string]string{"fic": "/c/{company_id}/subscriptions"},
	}
	for _, c := range change {
		c(&config)
	}
	handler, err := api.New(config)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.Handle(inspect.Path+"{bin}", bins)
	mux.Handle(inspect.Path+"{bin}/{rest...}", bins)
	server.Config.Handler = mux
	server.Start()
	t.Cleanup(func() {
		server.Close()
		f.stop()
		out.Close()
		if err := f.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// newKeychain makes a keychain with a master key of its own.
func newKeychain(t *testing.T) *sign.Keychain {
	t.Helper()
	vault, err := sign.OpenVault(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	return sign.NewKeychain(vault)
}

func compileFilters(raw []byte) (func(*fattorino.Event) bool, error) {
	f, err := filter.Compile(raw)
	if err != nil {
		return nil, err
	}
	return f.Match, nil
}

// stop ends the engine: what is published from now on cannot be stored.
func (f *fixture) stop() {
	f.stopping.Do(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(f.t.Context()), 20*time.Second)
		defer cancel()
		if err := f.engine.Stop(ctx); err != nil {
			f.t.Error(err)
		}
	})
}

// A call is one request to the server.
type call struct {
	method, path, token, body string
	header                    map[string]string
}

// A reply is the answer to a call, which openapi.yaml has been found to allow.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do makes the call and checks the answer against openapi.yaml.
func (f *fixture) do(c call) reply {
	f.t.Helper()
	r, answer := f.exchange(c)
	f.spec.check(f.t, r, answer, c.body)
	return answer
}

// exchange makes the call.
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
	for name, value := range c.header {
		r.Header.Set(name, value)
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
	return r, reply{response.StatusCode, response.Header, body}
}

// get is a GET with the admin token.
func (f *fixture) get(path string) reply {
	f.t.Helper()
	return f.do(call{method: "GET", path: path, token: adminSecret})
}

// token makes a token by the API and gives its secret.
func (f *fixture) token(body string) string {
	f.t.Helper()
	answer := f.do(call{method: "POST", path: "/v1/tokens", token: adminSecret, body: body})
	answer.want(f.t, http.StatusCreated)
	var made api.CreatedToken
	answer.decode(f.t, &made)
	return made.Token
}

// app makes an app by the API and gives its id.
func (f *fixture) app(name string) int64 {
	f.t.Helper()
	answer := f.do(call{method: "POST", path: "/v1/apps", token: adminSecret, body: `{"name":"` + name + `"}`})
	answer.want(f.t, http.StatusCreated)
	var made api.App
	answer.decode(f.t, &made)
	return made.ID
}

// publish publishes structured events one by one with the admin token.
func (f *fixture) publish(events ...string) {
	f.t.Helper()
	for _, e := range events {
		f.do(call{method: "POST", path: "/v1/events", token: adminSecret, body: e, header: structured}).want(f.t, http.StatusAccepted)
	}
}

func (r reply) want(t *testing.T, status int) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d; body %s", r.status, status, r.body)
	}
	return r
}

func (r reply) decode(t *testing.T, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
}

// problem reads the answer as the problem that it must be.
func (r reply) problem(t *testing.T, status int) api.Problem {
	t.Helper()
	r.want(t, status)
	if got := r.header.Get("Content-Type"); got != "application/problem+json" {
		t.Fatalf("content type %q of an error; body %s", got, r.body)
	}
	var p api.Problem
	r.decode(t, &p)
	if p.Status != status {
		t.Errorf("the problem says status %d, the answer %d", p.Status, status)
	}
	return p
}

// A spec is openapi.yaml with closed doors: what it does not mention is
// refused, so that no answer can hold more than is described.
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
	no := false
	for _, s := range doc.Components.Schemas {
		if len(s.Value.Properties) > 0 && s.Value.AdditionalProperties.Schema == nil {
			s.Value.AdditionalProperties.Has = &no
		}
	}
	doc.Servers = nil                                                          // whatever port the test's server is at
	router, err := legacy.NewRouter(doc, openapi3.DisableExamplesValidation()) // they have their own test
	if err != nil {
		t.Fatal(err)
	}
	return &spec{doc, router}
}

// check fails the test where the answer is not as described.
func (s *spec) check(t *testing.T, r *http.Request, answer reply, body string) {
	t.Helper()
	if err := s.validate(r, answer, body); err != nil {
		t.Errorf("%s %s: the answer %d %s is not as described: %v", r.Method, r.URL, answer.status, answer.body, err)
	}
}

// validate holds an answer to the description, and the request as well where
// it was taken as good.
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
		Body:    io.NopCloser(bytes.NewReader(answer.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
}

// keys are one real ES256 key for "fic", in a ring, as a server has it.
type keys struct{ ring *sign.Ring }

func newKeys(t *testing.T) *keys {
	t.Helper()
	key, err := sign.NewES256Key()
	if err != nil {
		t.Fatal(err)
	}
	return &keys{sign.NewRing(key)}
}

func (k *keys) PublicKey(name string) (api.PublicKey, error) {
	if name != "fic" {
		return api.PublicKey{}, fattorino.Errorf(fattorino.NotFound, "there is no key %q", name)
	}
	current := k.ring.Current()
	return api.PublicKey{PublicKey: []byte(current.PublicPEM()), Kid: current.KID(), Alg: "ES256"}, nil
}

func (k *keys) JWKS() []byte { return sign.JWKS(k.ring.All()...) }

func (k *keys) Rotate(_ context.Context, name string) error {
	if name != "fic" {
		return fattorino.Errorf(fattorino.NotFound, "there is no key %q", name)
	}
	key, err := sign.NewES256Key()
	if err != nil {
		return err
	}
	k.ring.Rotate(key)
	return nil
}

// AppendJWT makes the keys the contract's signer.
func (k *keys) AppendJWT(dst []byte, c fic.Claims) ([]byte, error) {
	return k.ring.Current().AppendJWT(dst, sign.Claims{
		ID: c.ID, Issuer: c.Issuer, Subject: c.Subject, Audience: []string{c.Audience},
		IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt, AppID: c.AppID,
	})
}

// logBuffer keeps the log, to look for secrets in it.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// ownClient gives a client that shares no connections: any test server that is
// closed closes those of the default one, those of other tests included.
func ownClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: 10 * time.Second}}
}
