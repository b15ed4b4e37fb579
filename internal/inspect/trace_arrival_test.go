package inspect_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/facturascripts"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/inspect"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// notified has a subscription of the contract notify a bin, and gives what came
// in.
func (f *fixture) notified(c fattorino.Contract, s *fattorino.Subscription) *inspect.Request {
	f.t.Helper()
	request, err := c.Notification(s, paid(), time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	if got := f.send(request); got.status != http.StatusOK {
		f.t.Fatalf("got %d, want 200", got.status)
	}
	now, err := f.bins.Bin(f.t.Context(), owner, strings.Split(strings.TrimPrefix(s.Sink, f.url+inspect.Path), "/")[0])
	if err != nil {
		f.t.Fatal(err)
	}
	return f.recorded(now)[0]
}

// What has arrived is checked step by step under every contract: with the
// secrets of the subscription that sent it, with a key of the bin, with one that
// is entered for this check; and without any it is said that there is no telling.
func TestWhatHasArrivedIsTracedStepByStep(t *testing.T) {
	t.Parallel()
	const (
		hmacAlone = "fields time content secret=unchecked"
		edAlone   = "fields time content public=unchecked"
		httpAlone = "fields digest coverage time base public=unchecked"
	)
	for _, x := range []struct {
		name, scheme string
		build        func(*fixture) fattorino.Contract
		want, alone  string
	}{
		{"v1", sign.SchemeV1, func(f *fixture) fattorino.Contract { return f.native() }, "v1 valid: " + hmacSteps, "v1 unchecked: " + hmacAlone},
		{"v1a", sign.SchemeV1a, func(f *fixture) fattorino.Contract { return f.native() }, "v1a valid: " + edSteps, "v1a unchecked: " + edAlone},
		{"RFC 9421", sign.SchemeHTTPSig, func(f *fixture) fattorino.Contract { return f.native() }, "httpsig valid: " + httpSteps, "httpsig unchecked: " + httpAlone},
		{"token", native.SignatureJWT, func(f *fixture) fattorino.Contract { return f.native() }, "jwt valid: " + jwtSteps, "jwt valid: " + jwtSteps},
		{"Fatture in Cloud", "", func(f *fixture) fattorino.Contract { return f.fic() }, "jwt valid: " + jwtSteps, "jwt valid: " + jwtSteps},
		{"FacturaScripts", sign.SchemeV1, func(f *fixture) fattorino.Contract {
			return contract[*facturascripts.Contract](f.t)(facturascripts.New(facturascripts.Options{Keychain: f.keychain}))
		}, "v1 valid: " + hmacSteps, "v1 unchecked: " + hmacAlone},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			bin, c := f.bin(), x.build(f)
			s, shown := f.subscription(c.Name(), f.sink(bin)+"/erp?tenant=a", x.scheme)
			came := f.notified(c, s)
			with := func(what string, aid inspect.Aid, want string) {
				traces := f.bins.Trace(bin, came, aid)
				if got := told(traces); got != want {
					t.Errorf("%s:\ngot  %s\nwant %s", what, got, want)
				}
				checks := f.bins.Checks(bin, came, aid)
				if len(checks) != 1 || !strings.HasPrefix(want, checks[0].Scheme+" "+checks[0].Result) {
					t.Errorf("%s: the check says %v", what, checks)
				}
				if text := fmt.Sprint(traces); strings.HasPrefix(shown, "whsec_") && strings.Contains(text, strings.TrimPrefix(shown, "whsec_")) {
					t.Errorf("%s: the secret is in it", what)
				}
			}
			with("without any key", inspect.Aid{}, x.alone)
			with("by its sender", inspect.Aid{Senders: []*fattorino.Subscription{s}}, x.want)
			other := *s
			other.Sink = f.sink(f.bin())
			with("by who sends elsewhere", inspect.Aid{Senders: []*fattorino.Subscription{&other}}, x.alone)
			if shown == "" {
				return
			}
			entered, err := inspect.ReadKeys(f.public(s))
			if err != nil {
				t.Fatal(err)
			}
			with("with a key that is entered", inspect.Aid{Entered: entered}, x.want)
			if err := f.bins.AddKey(t.Context(), owner, bin.ID, f.public(s)); err != nil {
				t.Fatal(err)
			}
			if bin, err = f.bins.Bin(t.Context(), owner, bin.ID); err != nil {
				t.Fatal(err)
			}
			with("with a key of the bin", inspect.Aid{}, x.want)
		})
	}
}

// A bin signs nothing for who sends to it: what a subscription's secret makes of
// something that it did not sign is not shown whole.
func TestABinSignsNothing(t *testing.T) {
	t.Parallel()
	f := start(t)
	bin := f.bin()
	s, shown := f.subscription(inspect.Native, f.sink(bin), sign.SchemeV1)
	const body = `{"type":"invoice.paid","data":{"total":1000000}}`
	now := time.Now().Unix()
	f.post(s.Sink, body, fattorino.Header{Name: "webhook-id", Value: "msg_1"}, fattorino.Header{Name: "webhook-timestamp", Value: fmt.Sprint(now)},
		fattorino.Header{Name: "webhook-signature", Value: "v1," + strings.Repeat("A", 43) + "="})
	came := f.recorded(bin)[0]
	key, err := sign.ParseHMACSecret(shown)
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := key.AppendSignature(nil, "msg_1", now, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	traces := f.bins.Trace(bin, came, inspect.Aid{Senders: []*fattorino.Subscription{s}})
	if got := told(traces); got != "v1 invalid: fields time content secret hmac compare=invalid" {
		t.Errorf("got %s", got)
	}
	if text := fmt.Sprint(traces); strings.Contains(text, string(wanted)) || !strings.Contains(text, string(wanted[:11])+"…") {
		t.Errorf("the signature is shown: %s", text)
	}
	entered, err := inspect.ReadKeys(shown)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(f.bins.Trace(bin, came, inspect.Aid{Entered: entered})); !strings.Contains(text, string(wanted)) {
		t.Error("with a secret that they have they are shown less than they know")
	}
}

// public gives what a receiver checks the subscription's signatures with.
func (f *fixture) public(s *fattorino.Subscription) string {
	f.t.Helper()
	keys, err := f.keychain.AppendSigners(nil, s.Secrets, time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	if ed, ok := keys[0].(*sign.Ed25519Key); ok {
		return ed.Public().String()
	}
	text, err := f.keychain.Show(s.Secrets[0])
	if err != nil {
		f.t.Fatal(err)
	}
	return text
}

// A token of a sender that is not this service is checked with the sender's
// public key, in each form that keys are handed out in.
func TestTheTokenOfAnotherServiceIsCheckedWithItsKey(t *testing.T) {
	t.Parallel()
	f := start(t)
	bin, theirs := f.bin(), newKey(t)
	sender := *f
	sender.ring = sign.NewRing(theirs)
	s, _ := f.subscription(inspect.FattureInCloud, f.sink(bin), "")
	came := f.notified(sender.fic(), s)
	const alone = "jwt unchecked: token header key=unchecked claims"
	if got := told(f.bins.Trace(bin, came, inspect.Aid{})); got != alone {
		t.Errorf("without the key: %s, want %s", got, alone)
	}
	for name, text := range map[string]string{
		"PEM": theirs.PublicPEM(), "base64 of PEM": base64.StdEncoding.EncodeToString([]byte(theirs.PublicPEM())), "a JWK": string(theirs.JWK()), "a set": string(sign.JWKS(newKey(t), theirs)),
		"PEM with spaces around": "\n  " + theirs.PublicPEM() + "\n\n",
	} {
		entered, err := inspect.ReadKeys(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		aid := inspect.Aid{Entered: entered}
		if got := told(f.bins.Trace(bin, came, aid)); got != "jwt valid: "+jwtSteps {
			t.Errorf("%s: %s", name, got)
		}
		if got := fmt.Sprint(f.bins.Checks(bin, came, aid)); got != "[{jwt valid good}]" {
			t.Errorf("%s: %s", name, got)
		}
	}
	// The key of somebody else is none: by another name it is not that of the
	// token, and without a name the signature is not of it.
	for text, want := range map[string]string{
		string(newKey(t).JWK()): alone,
		newKey(t).PublicPEM():   "jwt invalid: token header key input checked=invalid claims",
	} {
		entered, err := inspect.ReadKeys(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := told(f.bins.Trace(bin, came, inspect.Aid{Entered: entered})); got != want {
			t.Errorf("with another's key: %s, want %s", got, want)
		}
	}
}

func TestWhatIsNoKeyIsRefusedAndNotQuoted(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "topsecret", "whsec_topsecret", "whsk_topsecret", `{"keys": []}`, `{"kty": "topsecret"}`, `{"kty": "oct", "k": "topsecret"}`,
		"-----BEGIN PUBLIC KEY-----\ntopsecret\n-----END PUBLIC KEY-----",
	} {
		_, err := inspect.ReadKeys(text)
		if fattorino.KindOf(err) != fattorino.Invalid || strings.Contains(fmt.Sprint(err, fattorino.AsError(err).Faults), "topsecret") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// The address that is shown, and that requests are recorded under, is the one
// that browsers and senders use: also where a proxy with TLS is before it.
func TestTheAddressIsAsItIsReached(t *testing.T) {
	t.Parallel()
	f := open(t)
	for _, x := range []struct{ base, host, proto, want string }{
		{"", "127.0.0.1:8480", "", "http://127.0.0.1:8480"},
		{"", "localhost:8480", "", "http://localhost:8480"},
		{"", "localhost", "", "http://localhost"},
		{"", "[::1]:8480", "", "http://[::1]:8480"},
		{"", "[::1]", "", "http://[::1]"},
		{"", "hooks.example.com", "", "https://hooks.example.com"}, // a proxy that says nothing
		{"", "hooks.example.com", "https", "https://hooks.example.com"},
		{"", "hooks.example.com", "http", "http://hooks.example.com"},
		{"", "hooks.example.com", "gopher", "https://hooks.example.com"},
		{"", "fattorino:8480", "", "http://fattorino:8480"}, // directly, as among containers
		{"", "hooks.example.com:8443", "https", "https://hooks.example.com:8443"},
		{"https://hooks.example.com/", "127.0.0.1:8480", "http", "https://hooks.example.com"},
	} {
		f.bins.BaseURL = x.base
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Host = x.host
		r.Header.Set("X-Forwarded-Proto", x.proto)
		if got := f.bins.URL(r, "1"); got != x.want+"/inspect/1" {
			t.Errorf("%+v: got %s", x, got)
		}
	}
}

// A subscription by https is found where the proxy did not say that it was: what
// was signed for the one address is checked for it.
func TestASenderIsFoundWhateverTheProxySaid(t *testing.T) {
	t.Parallel()
	f := start(t)
	bin := f.bin()
	s, _ := f.subscription(inspect.Native, f.sink(bin), sign.SchemeHTTPSig)
	secure := *s
	secure.Sink = strings.Replace(s.Sink, "http://", "https://", 1)
	request, err := f.native().Notification(&secure, paid(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	request.URL = s.Sink // as the proxy sends it on
	f.send(request)
	came := f.recorded(bin)[0]
	if got := told(f.bins.Trace(bin, came, inspect.Aid{Senders: []*fattorino.Subscription{&secure}})); got != "httpsig valid: "+httpSteps {
		t.Errorf("got %s", got)
	}
}

// Portals have some bins each, and leave the others to the operator.
func TestPortalsHaveSomeBins(t *testing.T) {
	t.Parallel()
	f := open(t)
	mine := inspect.PortalOwner(1, 7, []string{"*"})
	for i := range 5 {
		if _, err := f.bins.Create(t.Context(), mine, ""); err != nil {
			t.Fatalf("bin %d: %v", i+1, err)
		}
	}
	if _, err := f.bins.Create(t.Context(), mine, ""); fattorino.KindOf(err) != fattorino.TooMany {
		t.Errorf("a sixth: got %v, want TooMany", err)
	}
	f.fillPortals(99 * 5)
	if _, err := f.bins.Create(t.Context(), inspect.PortalOwner(101, 7, []string{"*"}), ""); fattorino.KindOf(err) != fattorino.TooMany {
		t.Errorf("one more of all: got %v, want TooMany", err)
	}
	if _, err := f.bins.Create(t.Context(), owner, ""); err != nil {
		t.Errorf("the operator's: %v", err)
	}
}

// fillPortals makes so many bins, five of each of the apps from 2 on.
func (f *fixture) fillPortals(n int) {
	f.t.Helper()
	err := f.store.Update(f.t.Context(), func(tx fattorino.Tx) error {
		for i := range n {
			bin := inspect.Bin{ID: fmt.Sprint("bin-", i), Owner: inspect.PortalOwner(int64(2+i/5), 7, []string{"*"}), EndsAt: time.Now().Add(time.Hour), First: 1, Next: 1}
			body, err := json.Marshal(bin)
			if err != nil {
				return err
			}
			if err := tx.PutDocument(&fattorino.Document{Kind: "inspect_bin", ID: bin.ID, DueAt: bin.EndsAt, Body: body}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func TestABinOfAPortalIsOfItsAppItsCompanyAndItsScopes(t *testing.T) {
	t.Parallel()
	one := inspect.PortalOwner(1, 23, []string{"a:r", "b:r"})
	if same := inspect.PortalOwner(1, 23, []string{"b:r", "a:r", "a:r"}); same != one {
		t.Errorf("%s and %s are two", one, same)
	}
	for _, other := range []string{
		inspect.PortalOwner(12, 3, []string{"a:r", "b:r"}), inspect.PortalOwner(2, 23, []string{"a:r", "b:r"}), inspect.PortalOwner(1, 24, []string{"a:r", "b:r"}),
		inspect.PortalOwner(1, 23, []string{"a:r"}), inspect.PortalOwner(1, 23, nil), inspect.PortalOwner(1, 23, []string{"*"}),
	} {
		if other == one {
			t.Errorf("%s is another's", other)
		}
	}
}
