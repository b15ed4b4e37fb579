package ui

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/defacto"
	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/facturascripts"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/filter"
	"github.com/fattorino-dev/fattorino/internal/inspect"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/portal"
	"github.com/fattorino-dev/fattorino/internal/sign"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// adminSecret is the operator's token of every fixture.
const adminSecret = "the-operators-own-secret"

// password is that of every user of a fixture.
const password = "correct horse battery"

// A fixture is the pages on the real use cases, engine, store and way out.
type fixture struct {
	t       *testing.T
	ui      *UI
	url     string
	service *fattorino.Service
	store   *sqlite.Store
}

func start(t *testing.T) *fixture {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	vault, err := sign.OpenVault(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	house, err := native.New(native.Options{Keychain: sign.NewKeychain(vault), AllowNoHandshake: true})
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := facturascripts.New(facturascripts.Options{Keychain: sign.NewKeychain(vault)})
	if err != nil {
		t.Fatal(err)
	}
	vendor, err := defacto.New(defacto.Options{})
	if err != nil {
		t.Fatal(err)
	}
	contracts := []fattorino.Contract{house, plugin, vendor}
	store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	out := egress.NewClient(egress.Policy{Dev: true}, egress.Options{})
	e, err := engine.New(engine.Config{Store: store, Contracts: contracts, Sender: out, Log: log, CompileFilters: compileFilters})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	service, err := fattorino.NewService(fattorino.Config{
		Store: store, Engine: e, Contracts: contracts, Limits: fattorino.Limits{Subscriptions: 100, AwaitSink: 5 * time.Second},
		CheckSink: egress.Policy{Dev: true}.CheckSink, CompileFilters: compileFilters, AdminTokenHash: fattorino.HashSecret(adminSecret), OwnContract: native.Name,
	})
	if err != nil {
		t.Fatal(err)
	}
	bins := inspect.New(inspect.Config{
		Documents: store, Store: e, Keychain: sign.NewKeychain(vault), Log: log, KeySet: func() []byte { return sign.JWKS[*sign.ES256Key]() },
	})
	links := portal.New(portal.Config{Documents: store, Store: e, Signer: sign.NewKeychain(vault)})
	pages, err := New(Config{
		Portal: links, FrameAncestors: []string{"https://app.example.com"},
		Service: service, Documents: store, Store: e, Keys: oneKey{}, Log: log, Bins: bins,
		Tracer:    &inspect.Tracer{Keychain: bins.Keychain, KeySet: bins.KeySet, Resigners: map[string]inspect.Resigner{native.Name: house}},
		Contracts: map[string]Chooser{native.Name: house, facturascripts.Name: plugin},
		Settings:  []Setting{{Key: "data", Group: "server", Help: "Folder.", Value: "/data"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(base, pages)
	mux.Handle(inspect.Path+"{bin}", bins)
	mux.Handle(inspect.Path+"{bin}/{rest...}", bins)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := e.Stop(ctx); err != nil {
			t.Error(err)
		}
		out.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return &fixture{t: t, ui: pages, url: server.URL, service: service, store: store}
}

func compileFilters(raw []byte) (func(*fattorino.Event) bool, error) {
	f, err := filter.Compile(raw)
	if err != nil {
		return nil, err
	}
	return f.Match, nil
}

// oneKey is a signing key that is what it is.
type oneKey struct{}

func (oneKey) Current(string) (kid, pem string, err error) { return "key-1", "PEM", nil }
func (oneKey) Rotate(context.Context, string) error        { return nil }

// A browser keeps cookies, and follows no redirect.
type browser struct {
	f       *fixture
	client  *http.Client
	cookies map[string]string
}

func (f *fixture) browser() *browser {
	f.t.Helper()
	transport := &http.Transport{}
	f.t.Cleanup(transport.CloseIdleConnections)
	return &browser{f: f, cookies: map[string]string{}, client: &http.Client{
		Transport: transport, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// A page is an answer.
type page struct {
	status int
	header http.Header
	body   string
}

// do makes a request; a form is posted as such, with the header fields given.
func (b *browser) do(method, path string, form url.Values, header ...string) page {
	b.f.t.Helper()
	r, err := http.NewRequestWithContext(b.f.t.Context(), method, b.f.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.f.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	answer, err := b.client.Do(r)
	if err != nil {
		b.f.t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it is read to its end
	var body bytes.Buffer
	if _, err := io.Copy(&body, answer.Body); err != nil {
		b.f.t.Fatal(err)
	}
	for _, c := range answer.Cookies() {
		b.cookies[c.Name] = c.Value
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return page{answer.StatusCode, answer.Header, body.String()}
}

func (b *browser) get(path string) page { return b.do(http.MethodGet, path, nil) }

func (b *browser) post(path string, form url.Values) page { return b.do(http.MethodPost, path, form) }

// signedIn gives a browser in which someone with the role is signed in.
func (f *fixture) signedIn(r role) *browser {
	f.t.Helper()
	b := f.browser()
	if r == nobody {
		return b
	}
	if err := f.ui.accounts.addUser(f.t.Context(), r.String(), password, r); err != nil && fattorino.KindOf(err) != fattorino.Conflict {
		f.t.Fatal(err)
	}
	if got := b.post("/ui/sign-in", url.Values{"name": {r.String()}, "secret": {password}}); got.status != http.StatusSeeOther {
		f.t.Fatalf("%s cannot sign in: %d", r, got.status)
	}
	return b
}

// refused subscribes to invoice.paid of company 7, at a sink that refuses all until
// it works.
func (f *fixture) refused() (works *atomic.Bool) {
	f.t.Helper()
	works = &atomic.Bool{}
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !works.Load() {
			w.WriteHeader(http.StatusUnsupportedMediaType) // which native takes for a refusal
		}
	}))
	f.t.Cleanup(sink.Close)
	if _, _, err := f.service.Subscribe(f.t.Context(), caller(f.app()), fattorino.NewSubscription{
		Company: 7, Contract: "native", Sink: sink.URL, Types: []string{"invoice.paid"}, Options: fattorino.Options{Handshake: "none"},
	}); err != nil {
		f.t.Fatal(err)
	}
	return works
}
