package inspect_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/fic"
	"github.com/fattorino-dev/fattorino/internal/inspect"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/sign"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// owner is whose the bins of these tests are, where nothing else is said.
const owner = "user/anna"

// A fixture is bins on a real store, served on this machine.
type fixture struct {
	t        *testing.T
	bins     *inspect.Bins
	store    *sqlite.Store
	keychain *sign.Keychain
	ring     *sign.Ring
	url      string
	client   *http.Client
}

func start(t *testing.T) *fixture {
	t.Helper()
	f := open(t)
	mux := http.NewServeMux()
	mux.Handle(inspect.Path+"{bin}", f.bins)
	mux.Handle(inspect.Path+"{bin}/{rest...}", f.bins)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	f.url, f.client = server.URL, &http.Client{Transport: transport, Timeout: time.Minute}
	return f
}

// open gives bins that are not served.
func open(t *testing.T) *fixture {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	vault, err := sign.OpenVault(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, store: store, keychain: sign.NewKeychain(vault), ring: sign.NewRing(newKey(t))}
	f.bins = inspect.New(inspect.Config{
		Documents: store, Store: store, Keychain: f.keychain, Log: slog.New(slog.DiscardHandler),
		KeySet: func() []byte { return sign.JWKS(f.ring.All()...) },
	})
	return f
}

func newKey(t *testing.T) *sign.ES256Key {
	t.Helper()
	key, err := sign.NewES256Key()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// bin makes one.
func (f *fixture) bin() *inspect.Bin {
	f.t.Helper()
	bin, err := f.bins.Create(f.t.Context(), owner, "")
	if err != nil {
		f.t.Fatal(err)
	}
	return bin
}

// sink gives a bin's URL.
func (f *fixture) sink(bin *inspect.Bin) string { return f.url + inspect.Path + bin.ID }

// answers has a bin answer so.
func (f *fixture) answers(bin *inspect.Bin, a inspect.Answer) {
	f.t.Helper()
	if err := f.bins.SetAnswer(f.t.Context(), owner, bin.ID, a); err != nil {
		f.t.Fatal(err)
	}
}

// An answer is what a request was answered.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request as the engine would.
func (f *fixture) send(r *fattorino.Request) answer {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, h := range r.Header {
		request.Header.Add(h.Name, h.Value)
	}
	response, err := f.client.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// post sends text.
func (f *fixture) post(url, body string, header ...fattorino.Header) answer {
	f.t.Helper()
	return f.send(&fattorino.Request{Method: http.MethodPost, URL: url, Header: header, Body: []byte(body)})
}

// recorded gives what a bin has recorded, newest first.
func (f *fixture) recorded(bin *inspect.Bin) []*inspect.Request {
	f.t.Helper()
	now, err := f.bins.Bin(f.t.Context(), owner, bin.ID)
	if err != nil {
		f.t.Fatal(err)
	}
	list, err := f.bins.Requests(f.t.Context(), now, 0, 1000)
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

// last gives the newest request, what is recognised in it, and its checks.
func (f *fixture) last(bin *inspect.Bin) (*inspect.Request, *inspect.Reading, []inspect.Check) {
	f.t.Helper()
	list := f.recorded(bin)
	if len(list) == 0 {
		f.t.Fatal("nothing was recorded")
	}
	now, err := f.bins.Bin(f.t.Context(), owner, bin.ID)
	if err != nil {
		f.t.Fatal(err)
	}
	return list[0], inspect.Read(list[0]), f.bins.Checks(now, list[0], inspect.Aid{})
}

// tokens signs for the contracts as the service does.
type tokens struct{ ring *sign.Ring }

func (s tokens) AppendJWT(dst []byte, c fic.Claims) ([]byte, error) {
	return s.ring.Current().AppendJWT(dst, sign.Claims{
		ID: c.ID, Issuer: c.Issuer, Subject: c.Subject, Audience: []string{c.Audience}, IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt, AppID: c.AppID,
	})
}

// bodyTokens are those of the native contract, which prove the body.
type bodyTokens struct{ ring *sign.Ring }

func (s bodyTokens) AppendJWT(dst []byte, c native.Claims) ([]byte, error) {
	return s.ring.Current().AppendJWT(dst, sign.Claims{
		ID: c.ID, Issuer: c.Issuer, Subject: c.Subject, Audience: []string{c.Audience}, IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt, AppID: c.AppID,
		BodySHA256: c.BodySHA256[:],
	})
}

// paid is an event.
func paid() *fattorino.Event {
	return &fattorino.Event{
		ID: "3f1c.9", Source: "https://erp.example/invoicing", Type: "invoice.paid", Subject: "invoice/42", Time: time.Now(),
		DataContentType: "application/json", Data: []byte(`{"id":42}`), Form: fattorino.JSONData, Company: 12345,
		Entity: fattorino.Entity{Type: "invoice", IDs: []string{"42"}}, Common: "invoice.paid", Seq: 816, Accepted: time.Now(), Key: 9001,
	}
}
