package inspect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/defacto"
	"github.com/fattorino-dev/fattorino/internal/facturascripts"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/inspect"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

func (f *fixture) tracer() *inspect.Tracer {
	return &inspect.Tracer{
		Keychain: f.keychain, KeySet: func() []byte { return sign.JWKS(f.ring.All()...) },
		Resigners: map[string]inspect.Resigner{native.Name: f.native()},
	}
}

// kept gives an attempt to send the request as the log keeps it.
func kept(r *fattorino.Request, at time.Time) *fattorino.Attempt {
	as := *r
	as.URL, _, _ = strings.Cut(r.URL, "?")
	as.Header = slices.Clone(r.Header)
	for i, h := range as.Header {
		if h.Secret {
			as.Header[i] = fattorino.Header{Name: h.Name, Value: fattorino.Hidden}
		}
	}
	return &fattorino.Attempt{Delivery: 1, Number: 1, StartedAt: at.Truncate(time.Microsecond), Request: as}
}

// told writes what a trace came to, and each of its steps that was judged.
func told(traces []inspect.Trace) string {
	var all []string
	for _, trace := range traces {
		text := trace.Scheme + " " + trace.Result + ":"
		for _, step := range trace.Steps {
			text += " " + step.Name
			if step.Result != "" && step.Result != inspect.Valid {
				text += "=" + step.Result
			}
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

const (
	hmacSteps = "fields time content secret hmac compare"
	edSteps   = "fields time content public verify"
	jwtSteps  = "token header key input checked claims"
	httpSteps = "fields digest coverage time base public verify"
)

// signedAttempt makes an attempt of the contract as it was sent at the time.
func (f *fixture) signedAttempt(c fattorino.Contract, s *fattorino.Subscription, at time.Time) *fattorino.Attempt {
	f.t.Helper()
	e := paid()
	if c.Name() == inspect.Defacto {
		e.Type = "Invoice.PAID"
	}
	if batcher, ok := c.(fattorino.Batcher); ok && s.Format == fattorino.Batched {
		r, err := batcher.BatchNotification(s, []*fattorino.Event{e, paid()}, at)
		if err != nil {
			f.t.Fatal(err)
		}
		return kept(r, at)
	}
	r, err := c.Notification(s, e, at)
	if err != nil {
		f.t.Fatal(err)
	}
	return kept(r, at)
}

// Of what the log keeps of an attempt, every signature is checked again, of
// every contract.
func TestASignatureIsTracedStepByStep(t *testing.T) {
	t.Parallel()
	house := func(f *fixture) fattorino.Contract { return f.native() }
	cloud := func(f *fixture) fattorino.Contract { return f.fic() }
	for _, x := range []struct {
		name, scheme string
		format       fattorino.Format
		contract     func(*fixture) fattorino.Contract
		want         string
		anew         bool
	}{
		{"native v1", sign.SchemeV1, fattorino.Binary, house, "v1 valid: " + hmacSteps, false},
		{"native v1, batch", sign.SchemeV1, fattorino.Batched, house, "v1 valid: " + hmacSteps, false},
		{"native v1a", sign.SchemeV1a, fattorino.Structured, house, "v1a valid: " + edSteps, false},
		{"native RFC 9421, binary", sign.SchemeHTTPSig, fattorino.Binary, house, "httpsig valid: " + httpSteps, false},
		{"native RFC 9421, structured", sign.SchemeHTTPSig, fattorino.Structured, house, "httpsig valid: " + httpSteps, false},
		{"native token", native.SignatureJWT, fattorino.Binary, house, "jwt valid: " + jwtSteps, true},
		{"native token, batch", native.SignatureJWT, fattorino.Batched, house, "jwt valid: " + jwtSteps, true},
		{"native, unsigned", native.SignatureNone, fattorino.Binary, house, "", false},
		{"Fatture in Cloud, binary", "", fattorino.Binary, cloud, "jwt valid: " + jwtSteps, false},
		{"Fatture in Cloud, structured", "", fattorino.Structured, cloud, "jwt valid: " + jwtSteps, false},
		{"FacturaScripts", sign.SchemeV1, "", func(f *fixture) fattorino.Contract {
			return contract[*facturascripts.Contract](f.t)(facturascripts.New(facturascripts.Options{Keychain: f.keychain}))
		}, "v1 valid: " + hmacSteps, false},
		{"Defacto", "", "", func(f *fixture) fattorino.Contract {
			return contract[*defacto.Contract](f.t)(defacto.New(defacto.Options{}))
		}, "", false},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			f := open(t)
			c := x.contract(f)
			s, shown := f.subscription(c.Name(), "https://sink.example/erp?tenant=a&x=%2F", x.scheme)
			s.Format = x.format
			attempt := f.signedAttempt(c, s, time.Now().Add(-48*time.Hour)) // long ago: it is judged by its own time
			traces := f.tracer().Trace(s, attempt)
			if got := told(traces); got != x.want {
				t.Errorf("got  %s\nwant %s", got, x.want)
			}
			if len(traces) > 0 && traces[0].Anew != x.anew {
				t.Errorf("made anew: %t, want %t", traces[0].Anew, x.anew)
			}
			text := fmt.Sprint(traces)
			if strings.HasPrefix(shown, "whsec_") && strings.Contains(text, strings.TrimPrefix(shown, "whsec_")) {
				t.Error("the secret is in it")
			}
			for _, h := range attempt.Request.Header {
				if h.Name == "Authorization" && strings.Contains(text, h.Value) && h.Value != fattorino.Hidden {
					t.Error("the token is in it whole")
				}
			}
		})
	}
}

// Each thing that can be wrong shows in its own step.
func TestATraceShowsWhatIsWrong(t *testing.T) {
	t.Parallel()
	set := func(name, value string) func(*fixture, *fattorino.Subscription, *fattorino.Attempt) {
		return func(_ *fixture, _ *fattorino.Subscription, a *fattorino.Attempt) {
			for i, h := range a.Request.Header {
				if strings.EqualFold(h.Name, name) {
					a.Request.Header[i].Value = value
				}
			}
		}
	}
	body := func(_ *fixture, _ *fattorino.Subscription, a *fattorino.Attempt) {
		a.Request.Body = append(slices.Clone(a.Request.Body), ' ')
	}
	later := func(d time.Duration) func(*fixture, *fattorino.Subscription, *fattorino.Attempt) {
		return func(_ *fixture, _ *fattorino.Subscription, a *fattorino.Attempt) { a.StartedAt = a.StartedAt.Add(d) }
	}
	newSecret := func(scheme string, keep int) func(*fixture, *fattorino.Subscription, *fattorino.Attempt) {
		return func(f *fixture, s *fattorino.Subscription, a *fattorino.Attempt) {
			secret, _, err := f.keychain.NewSecret(scheme)
			if err != nil {
				f.t.Fatal(err)
			}
			s.UpdatedAt = a.StartedAt.Add(time.Minute)
			s.Secrets = append([]fattorino.Secret{secret}, s.Secrets[:keep]...)
		}
	}
	for _, x := range []struct {
		name, scheme string
		contract     string
		spoil        func(*fixture, *fattorino.Subscription, *fattorino.Attempt)
		want         string
	}{
		{"another body, v1", sign.SchemeV1, "native", body, "v1 invalid: fields time content secret hmac compare=invalid"},
		{"six minutes late", sign.SchemeV1, "native", later(6 * time.Minute), "v1 invalid: fields time=invalid content secret hmac compare"},
		{"six minutes early", sign.SchemeV1, "native", later(-6 * time.Minute), "v1 invalid: fields time=invalid content secret hmac compare"},
		{"four minutes late", sign.SchemeV1, "native", later(4 * time.Minute), "v1 valid: " + hmacSteps},
		{"no time", sign.SchemeV1, "native", set("webhook-timestamp", "soon"), "v1 invalid: fields time=invalid content secret hmac compare=invalid"},
		{"a new secret beside the old", sign.SchemeV1, "native", newSecret(sign.SchemeV1, 1), "v1 valid: " + hmacSteps},
		{"a new secret in its place", sign.SchemeV1, "native", newSecret(sign.SchemeV1, 0), "v1 unchecked: fields time content secret hmac compare=unchecked"},
		{"no secret any more", sign.SchemeV1, "native", func(_ *fixture, s *fattorino.Subscription, _ *fattorino.Attempt) { s.Secrets = nil }, "v1 unchecked: fields time content secret=unchecked"},
		{"another body, v1a", sign.SchemeV1a, "native", body, "v1a invalid: fields time content public verify=invalid"},
		{"a new key in its place, v1a", sign.SchemeV1a, "native", newSecret(sign.SchemeV1a, 0), "v1a unchecked: fields time content public verify=unchecked"},
		{"another body, RFC 9421", sign.SchemeHTTPSig, "native", body, "httpsig invalid: fields digest=invalid coverage time base public verify"},
		{"another id, RFC 9421", sign.SchemeHTTPSig, "native", set("webhook-id", "msg_1"), "httpsig invalid: fields digest coverage time base public verify=invalid"},
		{"another sink since, RFC 9421", sign.SchemeHTTPSig, "native", func(_ *fixture, s *fattorino.Subscription, a *fattorino.Attempt) {
			s.Sink, s.UpdatedAt = "https://other.example", a.StartedAt.Add(time.Minute)
		}, "httpsig unchecked: fields digest coverage time base public verify=unchecked"},
		{"unreadable, RFC 9421", sign.SchemeHTTPSig, "native", set("signature-input", "sig1=1"), "httpsig invalid:"},
		{"an id that was not signed", "", "fic", set("ce-id", "1:another"), "jwt invalid: token header key input checked claims=invalid"},
		{"another source", "", "fic", set("ce-source", "https://other.example"), "jwt invalid: token header key input checked claims=invalid"},
		{"three hours later", "", "fic", later(3 * time.Hour), "jwt invalid: token header key input checked claims=invalid"},
		{"two hours later", "", "fic", later(2 * time.Hour), "jwt valid: " + jwtSteps},
		{"another app", "", "fic", func(_ *fixture, s *fattorino.Subscription, _ *fattorino.Attempt) { s.App++ }, "jwt invalid: token header key input checked claims=invalid"},
		{"the key was rotated and is published no longer", "", "fic", func(f *fixture, _ *fattorino.Subscription, _ *fattorino.Attempt) {
			f.ring = sign.NewRing(newKey(f.t))
		}, "jwt unchecked: token header key=unchecked claims"},
		{"the key was rotated and is still published", "", "fic", func(f *fixture, _ *fattorino.Subscription, _ *fattorino.Attempt) { f.ring.Rotate(newKey(f.t)) }, "jwt valid: " + jwtSteps},
		{"another sink since", "", "fic", func(_ *fixture, s *fattorino.Subscription, a *fattorino.Attempt) {
			s.Sink, s.UpdatedAt = "https://other.example", a.StartedAt.Add(time.Minute)
		}, "jwt valid: " + jwtSteps},
		{"another sink", "", "fic", func(_ *fixture, s *fattorino.Subscription, _ *fattorino.Attempt) { s.Sink = "https://other.example" }, "jwt invalid: token header key input checked claims=invalid"},
		{"a forged token", "", "fic", func(_ *fixture, _ *fattorino.Subscription, a *fattorino.Attempt) {
			for i, h := range a.Request.Header {
				if h.Name == "Authorization" {
					at := strings.LastIndexByte(h.Value, '.')
					a.Request.Header[i].Value = h.Value[:at+1] + strings.Repeat("A", len(h.Value)-at-1)
				}
			}
		}, "jwt invalid: token header key input checked=invalid claims"},
		{"no token", "", "fic", set("authorization", "Bearer a.b.c"), "jwt invalid: token header=invalid"},
		{"of a batch that is kept elsewhere", sign.SchemeV1, "native", func(_ *fixture, _ *fattorino.Subscription, a *fattorino.Attempt) { a.BatchOf = 5 }, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			f := open(t)
			var c fattorino.Contract = f.native()
			if x.contract == inspect.FattureInCloud {
				c = f.fic()
			}
			s, _ := f.subscription(c.Name(), "https://sink.example/erp?tenant=a", x.scheme)
			s.Format = fattorino.Binary
			attempt := f.signedAttempt(c, s, time.Now())
			x.spoil(f, s, attempt)
			if got := told(f.tracer().Trace(s, attempt)); got != x.want {
				t.Errorf("got  %s\nwant %s", got, x.want)
			}
		})
	}
}

// Two keys sign while they change places, and each has its own trace.
func TestEveryKeyThatSignedIsTraced(t *testing.T) {
	t.Parallel()
	f := open(t)
	s, _ := f.subscription(inspect.Native, "https://sink.example", sign.SchemeHTTPSig)
	second, _, err := f.keychain.NewSecret(sign.SchemeHTTPSig)
	if err != nil {
		t.Fatal(err)
	}
	s.Secrets = append(s.Secrets, second)
	traces := f.tracer().Trace(s, f.signedAttempt(f.native(), s, time.Now()))
	if got, want := told(traces), "httpsig valid: "+httpSteps+"; httpsig valid: "+httpSteps; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// Of two HMAC secrets, each signature is matched with its own.
	s, _ = f.subscription(inspect.Native, "https://sink.example", sign.SchemeV1)
	second, _, err = f.keychain.NewSecret(sign.SchemeV1)
	if err != nil {
		t.Fatal(err)
	}
	s.Secrets = append(s.Secrets, second)
	compare := f.tracer().Trace(s, f.signedAttempt(f.native(), s, time.Now()))[0].Steps[5]
	if len(compare.In) != 2 || len(compare.Out) != 2 || compare.Out[0].Want != compare.In[0].Text || compare.Out[1].Want != compare.In[1].Text {
		t.Errorf("compared: %+v", compare)
	}
}
