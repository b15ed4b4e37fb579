package inspect_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/defacto"
	"github.com/fattorino-dev/fattorino/internal/facturascripts"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/fic"
	"github.com/fattorino-dev/fattorino/internal/inspect"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// contract makes a value of a contract, or ends the test.
func contract[T any](t *testing.T) func(c T, err error) T {
	t.Helper()
	return func(c T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

func (f *fixture) fic() *fic.Contract {
	return contract[*fic.Contract](f.t)(fic.New(fic.Options{Signer: tokens{f.ring}}))
}

func (f *fixture) native() *native.Contract {
	return contract[*native.Contract](f.t)(native.New(native.Options{
		Keychain: f.keychain, BaseURL: "https://hooks.example.com", Signer: bodyTokens{f.ring},
	}))
}

// subscription gives one of the contract to the sink, with a secret of the
// scheme where it has one, and what its subscriber is told of that.
func (f *fixture) subscription(name, sink, scheme string) (s *fattorino.Subscription, shown string) {
	f.t.Helper()
	s = &fattorino.Subscription{ID: 42, Company: 12345, App: 7, Contract: name, Sink: sink, Types: []string{"invoice.paid"}, State: fattorino.Active}
	s.Options.Signature = scheme
	if scheme == sign.SchemeV1 || scheme == sign.SchemeV1a || scheme == sign.SchemeHTTPSig {
		secret, told, err := f.keychain.NewSecret(scheme)
		if err != nil {
			f.t.Fatal(err)
		}
		s.Secrets, shown = []fattorino.Secret{secret}, told
	}
	return s, shown
}

// Whoever challenges a bin is given the proof that its own contract wants, and
// told from any other.
func TestTheChallengeOfEveryContractIsRecognisedAndAnswered(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name     string
		contract func(*fixture) fattorino.Contract
		method   fattorino.Method
		choose   string // the handshake
		way      string
		checks   string
	}{
		{"Fatture in Cloud, header", func(f *fixture) fattorino.Contract { return f.fic() }, fattorino.ByHeader, "", inspect.ByHeader, "[{jwt valid good}]"},
		{"Fatture in Cloud, query", func(f *fixture) fattorino.Contract { return f.fic() }, fattorino.ByQuery, "", inspect.ByQuery, "[{jwt valid good}]"},
		{"native, header", func(f *fixture) fattorino.Contract { return f.native() }, fattorino.ByHeader, "", inspect.ByHeader, "[]"},
		{"native, query", func(f *fixture) fattorino.Contract { return f.native() }, fattorino.ByQuery, "", inspect.ByQuery, "[]"},
		{"CloudEvents OPTIONS", func(f *fixture) fattorino.Contract { return f.native() }, fattorino.ByHeader, native.HandshakeOptions, inspect.ByOptions, "[]"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			bin, c := f.bin(), x.contract(f)
			s, _ := f.subscription(c.Name(), f.sink(bin)+"/erp?tenant=a", "")
			s.Options.Handshake, s.Handshake.Method = x.choose, x.method
			handshake := c.Handshake(s)
			request, err := handshake.Challenge(s, "a-random-text", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			got := f.send(request)
			answered := &fattorino.Answer{Status: got.status, Body: []byte(got.body)}
			for name, values := range got.header {
				answered.Header = append(answered.Header, fattorino.Header{Name: name, Value: values[0]})
			}
			if _, err := handshake.Passed("a-random-text", answered); err != nil {
				t.Errorf("the contract is not content with %v: %v", got, err)
			}
			r, reading, checks := f.last(bin)
			if reading.Kind != inspect.Challenge || reading.Contract != c.Name() || reading.Way != x.way || r.Given.Why != inspect.Proof || r.Path != "/erp" {
				t.Errorf("recognised: %+v, answered %+v", reading, r.Given)
			}
			if fmt.Sprint(checks) != x.checks {
				t.Errorf("checks: %v, want %s", checks, x.checks)
			}
		})
	}
}

// A challenge by POST, as some send it, is answered as well.
func TestAChallengeByPOSTIsAnswered(t *testing.T) {
	t.Parallel()
	f := start(t)
	bin := f.bin()
	got := f.post(f.sink(bin), "", fattorino.Header{Name: "x-fic-verification-challenge", Value: "abc"})
	if got.status != http.StatusOK || got.body != `{"verification":"abc"}` || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	// One that does not want to prove itself answers as it does everything.
	f.answers(bin, inspect.Answer{Status: http.StatusAccepted, FailStatus: 500})
	if got := f.post(f.sink(bin), "", fattorino.Header{Name: "x-fic-verification-challenge", Value: "abc"}); got.status != http.StatusAccepted || got.body != "" {
		t.Errorf("without proof: got %d %q", got.status, got.body)
	}
}

func TestTheNotificationsOfEveryContractAreRecognised(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name, contract, scheme string
		format                 fattorino.Format
		build                  func(*fixture) fattorino.Contract
		typ, checks            string
		known                  bool // the secret is entered
	}{
		{"Fatture in Cloud, binary", inspect.FattureInCloud, "", fattorino.Binary, func(f *fixture) fattorino.Contract { return f.fic() }, "it.fattureincloud.webhooks.issued_documents.invoices.update", "[{jwt valid good}]", false},
		{"Fatture in Cloud, structured", inspect.FattureInCloud, "", fattorino.Structured, func(f *fixture) fattorino.Contract { return f.fic() }, "it.fattureincloud.webhooks.issued_documents.invoices.update", "[{jwt valid good}]", false},
		{"native v1, binary", inspect.Native, sign.SchemeV1, fattorino.Binary, func(f *fixture) fattorino.Contract { return f.native() }, "invoice.paid", "[{v1 valid good}]", true},
		{"native v1, secret not told", inspect.Native, sign.SchemeV1, fattorino.Binary, func(f *fixture) fattorino.Contract { return f.native() }, "invoice.paid", "[{v1 unchecked no_key}]", false},
		{"native v1a, structured", inspect.Native, sign.SchemeV1a, fattorino.Structured, func(f *fixture) fattorino.Contract { return f.native() }, "invoice.paid", "[{v1a valid good}]", true},
		{"native v1, batch", inspect.Native, sign.SchemeV1, fattorino.Batched, func(f *fixture) fattorino.Contract { return f.native() }, "invoice.paid", "[{v1 valid good}]", true},
		{"native v1, standard", inspect.Native, sign.SchemeV1, fattorino.Standard, func(f *fixture) fattorino.Contract { return f.native() }, "invoice.paid", "[{v1 valid good}]", true},
		{"native RFC 9421", inspect.Native, sign.SchemeHTTPSig, fattorino.Binary, func(f *fixture) fattorino.Contract { return f.native() }, "invoice.paid", "[{httpsig valid good}]", true},
		{"native RFC 9421, structured", inspect.Native, sign.SchemeHTTPSig, fattorino.Structured, func(f *fixture) fattorino.Contract { return f.native() }, "invoice.paid", "[{httpsig valid good}]", true},
		{"native token", inspect.Native, native.SignatureJWT, fattorino.Structured, func(f *fixture) fattorino.Contract { return f.native() }, "invoice.paid", "[{jwt valid good}]", false},
		{"FacturaScripts", inspect.FacturaScripts, sign.SchemeV1, "", func(f *fixture) fattorino.Contract {
			return contract[*facturascripts.Contract](f.t)(facturascripts.New(facturascripts.Options{Keychain: f.keychain}))
		}, "invoice.paid", "[{v1 valid good}]", true},
		{"Defacto", inspect.Defacto, "", "", func(f *fixture) fattorino.Contract {
			return contract[*defacto.Contract](f.t)(defacto.New(defacto.Options{}))
		}, "Invoice.PAID", "[]", false},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			bin := f.bin()
			s, shown := f.subscription(x.contract, f.sink(bin)+"/erp?tenant=a", x.scheme)
			s.Format = x.format
			if x.known {
				if err := f.bins.AddKey(t.Context(), owner, bin.ID, shown); err != nil {
					t.Fatal(err)
				}
			}
			e := paid()
			if x.contract == inspect.Defacto {
				e.Type = x.typ
			}
			request, err := x.build(f).Notification(s, e, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if got := f.send(request); got.status != http.StatusOK {
				t.Errorf("got %d, want 200", got.status)
			}
			_, reading, checks := f.last(bin)
			if reading.Kind != inspect.Notification || reading.Contract != x.contract || reading.Type != x.typ || reading.Count != 1 || reading.ID == "" {
				t.Errorf("recognised: %+v", reading)
			}
			if x.contract != inspect.FacturaScripts && x.contract != inspect.Defacto && reading.Format != string(x.format) {
				t.Errorf("the format is %q, want %q", reading.Format, x.format)
			}
			if fmt.Sprint(checks) != x.checks {
				t.Errorf("checks: %v, want %s", checks, x.checks)
			}
		})
	}
}

func TestTheWelcomeIsRecognised(t *testing.T) {
	t.Parallel()
	f := start(t)
	bin, c := f.bin(), f.fic()
	s, _ := f.subscription(inspect.FattureInCloud, f.sink(bin), "")
	request, err := c.Notification(s, c.Welcome(s, time.Now()), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f.send(request)
	if _, reading, checks := f.last(bin); reading.Kind != inspect.Welcome || reading.Contract != inspect.FattureInCloud || fmt.Sprint(checks) != "[{jwt valid good}]" {
		t.Errorf("recognised: %+v, %v", reading, checks)
	}
}

// What is wrong with a signature is told, one reason from the other.
func TestWhyASignatureIsRefused(t *testing.T) {
	t.Parallel()
	set := func(name, value string) func(*fattorino.Request) {
		return func(r *fattorino.Request) {
			for i := range r.Header {
				if strings.EqualFold(r.Header[i].Name, name) {
					r.Header[i].Value = value
				}
			}
		}
	}
	for _, x := range []struct {
		name, scheme string
		at           time.Duration // when it was made
		spoil        func(*fattorino.Request)
		want         string
	}{
		{"another body", sign.SchemeV1, 0, func(r *fattorino.Request) { r.Body = []byte(`{}`) }, "[{v1 invalid no_match}]"},
		{"too old", sign.SchemeV1, -time.Hour, nil, "[{v1 invalid old}]"},
		{"from the future", sign.SchemeV1, time.Hour, nil, "[{v1 invalid new}]"},
		{"no time", sign.SchemeV1, 0, set("webhook-timestamp", "soon"), "[{v1 invalid malformed}]"},
		{"no id", sign.SchemeV1, 0, set("webhook-id", ""), "[{v1 invalid missing}]"},
		{"another body, v1a", sign.SchemeV1a, 0, func(r *fattorino.Request) { r.Body = []byte(`{}`) }, "[{v1a invalid no_match}]"},
		{"another body, RFC 9421", sign.SchemeHTTPSig, 0, func(r *fattorino.Request) { r.Body = []byte(`{}`) }, "[{httpsig invalid digest}]"},
		{"another URL, RFC 9421", sign.SchemeHTTPSig, 0, func(r *fattorino.Request) { r.URL += "&more=1" }, "[{httpsig invalid no_match}]"},
		{"too old, RFC 9421", sign.SchemeHTTPSig, -time.Hour, nil, "[{httpsig invalid old}]"},
		{"unreadable, RFC 9421", sign.SchemeHTTPSig, 0, set("signature-input", "sig1=1"), "[{httpsig invalid malformed}]"},
		{"another body, token", native.SignatureJWT, 0, func(r *fattorino.Request) { r.Body = []byte(`{}`) }, "[{jwt invalid wrong_body}]"},
		{"expired token", native.SignatureJWT, -time.Hour, nil, "[{jwt invalid expired}]"},
		{"another notification's token", native.SignatureJWT, 0, set("webhook-id", "msg_1"), "[{jwt invalid wrong_id}]"},
		{"another sink's token", native.SignatureJWT, 0, func(r *fattorino.Request) { r.URL += "&more=1" }, "[{jwt invalid audience}]"},
		{"no token", native.SignatureJWT, 0, set("authorization", "Bearer a.b.c"), "[{jwt invalid malformed}]"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			bin := f.bin()
			s, shown := f.subscription(inspect.Native, f.sink(bin)+"?tenant=a", x.scheme)
			if shown != "" {
				if err := f.bins.AddKey(t.Context(), owner, bin.ID, shown); err != nil {
					t.Fatal(err)
				}
			}
			request, err := f.native().Notification(s, paid(), time.Now().Add(x.at))
			if err != nil {
				t.Fatal(err)
			}
			if x.spoil != nil {
				x.spoil(request)
			}
			f.send(request)
			if _, _, checks := f.last(bin); fmt.Sprint(checks) != x.want {
				t.Errorf("got %v, want %s", checks, x.want)
			}
		})
	}
}

// Tokens are the service's own, by its own keys alone; and what was good when it
// came stays so when the key is no longer in the set.
func TestTokensAreCheckedAsTheyCome(t *testing.T) {
	t.Parallel()
	f := start(t)
	bin, c := f.bin(), f.fic()
	s, _ := f.subscription(inspect.FattureInCloud, f.sink(bin), "")
	send := func(c *fic.Contract, spoil func(*fattorino.Request)) string {
		request, err := c.Notification(s, paid(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if spoil != nil {
			spoil(request)
		}
		f.send(request)
		_, _, checks := f.last(bin)
		return fmt.Sprint(checks)
	}
	if got := send(c, nil); got != "[{jwt valid good}]" {
		t.Fatalf("got %s", got)
	}
	f.ring = sign.NewRing(newKey(t)) // the one before is gone altogether
	if _, _, checks := f.last(bin); fmt.Sprint(checks) != "[{jwt valid good}]" {
		t.Errorf("after the key is gone: %v", checks)
	}
	if got := send(c, nil); got != "[{jwt unchecked foreign}]" {
		t.Errorf("signed with another's key: %s", got)
	}
	own := f.fic()
	forge := func(r *fattorino.Request) {
		for i, h := range r.Header {
			if h.Name == "Authorization" {
				head, _, _ := strings.Cut(h.Value, ".")
				other, err := own.Notification(s, paid(), time.Now().Add(time.Minute))
				if err != nil {
					t.Fatal(err)
				}
				_, rest, _ := strings.Cut(other.Header[i].Value, ".")
				body, _, _ := strings.Cut(rest, ".")
				r.Header[i].Value = head + "." + body + h.Value[strings.LastIndex(h.Value, "."):]
			}
		}
	}
	if got := send(own, forge); got != "[{jwt invalid forged}]" {
		t.Errorf("with another's claims: %s", got)
	}
	source := func(r *fattorino.Request) {
		for i, h := range r.Header {
			if h.Name == "ce-source" {
				r.Header[i].Value = "https://elsewhere.example"
			}
		}
	}
	if got := send(own, source); got != "[{jwt invalid issuer}]" {
		t.Errorf("from another source: %s", got)
	}
}

func TestWhatIsOfNoContractIsShownAsItIs(t *testing.T) {
	t.Parallel()
	f := start(t)
	bin := f.bin()
	for _, body := range []string{"", "text", "[]", "null", `{"type": 1}`, `{"type": "x", "data": {}}`, "\xff\x00"} {
		f.post(f.sink(bin), body)
		if r, reading, checks := f.last(bin); reading.Kind != inspect.Other || reading.Contract != "" || len(checks) != 0 || string(r.Body) != body {
			t.Errorf("%q: %+v, %v", body, reading, checks)
		}
	}
}
