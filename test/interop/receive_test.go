package interop_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const invoiceCreated = "it.fattureincloud.webhooks.issued_documents.invoices.create"

const welcome = "it.fattureincloud.webhooks.subscriptions.welcome"

// The two modes and where each has the ids.
var modes = map[string]struct{ contentType, ids string }{
	"binary":     {"application/json", `{"data":{"ids":[42]}}`},
	"structured": {"application/cloudevents+json", `{"ids":[42]}`},
}

// publishAfterWelcome publishes the event once the welcome has come: nothing
// promises that the welcome, sent first, is also the first to arrive.
func (s *server) publishAfterWelcome(t *testing.T, company int, came string) {
	t.Helper()
	if came == welcome {
		s.publish(t, s.token(t, "publish", company), company, "a-1", 42)
	}
}

// claims are the claims of a token that a receiver compares with the message.
type claims struct {
	JTI, Iss, Sub string
	Aud           []string
	Iat, Exp, Aid int64
}

func checkClaims(t *testing.T, c claims, sink string) {
	t.Helper()
	if c.Iss != issuer || len(c.Aud) != 1 || c.Aud[0] != sink || c.Exp-c.Iat != 3*60*60 || c.Aid == 0 {
		t.Errorf("claims %s", text(c))
	}
}

func TestTheCloudEventsSDKForJavaScriptAndJoseReceive(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for mapping, mode := range modes {
		t.Run(mapping, func(t *testing.T) {
			company := 7 + len(mapping)
			lines := start(t, node(t, "receiver.mjs", map[string]any{"base": s.url, "issuer": issuer}))
			var hello struct{ Sink string }
			read(t, lines, &hello)

			s.subscribe(t, s.token(t, "api", company), company, hello.Sink, mapping)
			var challenge struct {
				Method    string
				Claims    claims
				SameByKey bool
			}
			read(t, lines, &challenge)
			if challenge.Method != http.MethodGet || !challenge.SameByKey {
				t.Errorf("challenge %s", text(challenge))
			}
			checkClaims(t, challenge.Claims, hello.Sink)

			for _, want := range []struct{ typ, data string }{
				{welcome, strings.Replace(mode.ids, "42", "", 1)}, {invoiceCreated, mode.ids},
			} {
				var got struct {
					ContentType               string
					Claims                    claims
					SameByKey, IsEvent, Valid bool
					Event                     struct {
						ID, Source, Type, Subject, Specversion string
						Time                                   time.Time
						Data                                   json.RawMessage
					}
				}
				read(t, lines, &got)
				if !got.IsEvent || !got.Valid || !got.SameByKey || got.ContentType != mode.contentType {
					t.Errorf("got %s", text(got))
				}
				e := got.Event
				if e.Type != want.typ || string(e.Data) != want.data || e.Source != issuer || e.Specversion != "1.0" {
					t.Errorf("got %s, want type %s, data %s", text(e), want.typ, want.data)
				}
				checkClaims(t, got.Claims, hello.Sink)
				if got.Claims.JTI != e.ID || got.Claims.Sub != e.Subject {
					t.Errorf("the token is of another message: %s", text(got))
				}
				s.publishAfterWelcome(t, company, e.Type)
			}
		})
	}
}

// read decodes the next line.
func read(t *testing.T, lines <-chan string, v any) {
	t.Helper()
	line := next(t, lines)
	if err := json.Unmarshal([]byte(line), v); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	if strings.HasPrefix(line, `{"error"`) {
		t.Fatal(line)
	}
}

func TestTheCloudEventsSDKForGoAndGoJoseReceive(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for mapping, mode := range modes {
		t.Run(mapping, func(t *testing.T) {
			company := 7 + len(mapping)
			received := make(chan event.Event, 2)
			tokens := make(chan string, 3)
			sink := goReceiver(t, received, tokens)

			s.subscribe(t, s.token(t, "api", company), company, sink, mapping)
			s.verify(t, wait(t, tokens), sink)

			for _, want := range []struct{ typ, data string }{
				{welcome, strings.Replace(mode.ids, "42", "", 1)}, {invoiceCreated, mode.ids},
			} {
				e := wait(t, received)
				if err := e.Validate(); err != nil {
					t.Errorf("the SDK says: %v", err)
				}
				if e.Type() != want.typ || string(e.Data()) != want.data || e.Source() != issuer || e.DataContentType() != "application/json" {
					t.Errorf("got %v, want type %s, data %s", e, want.typ, want.data)
				}
				if c := s.verify(t, wait(t, tokens), sink); c.ID != e.ID() || c.Subject != e.Subject() {
					t.Errorf("the token is of another message: %s", text(c))
				}
				s.publishAfterWelcome(t, company, e.Type())
			}
		})
	}
}

// goReceiver is a sink made of the SDK's own handler, with the challenge
// answered before it.
func goReceiver(t *testing.T, received chan<- event.Event, tokens chan<- string) (sink string) {
	t.Helper()
	protocol, err := cehttp.New()
	if err != nil {
		t.Fatal(err)
	}
	events, err := cloudevents.NewHTTPReceiveHandler(context.Background(), protocol, func(e event.Event) { received <- e })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tokens <- strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if r.Method == http.MethodGet {
			_ = json.NewEncoder(w).Encode(map[string]string{"verification": r.Header.Get(challengeField)})
			return
		}
		events.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/hook"
}

func wait[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return v
}

// verify checks a token with go-jose, with the key set and with the key in its
// documented form.
func (s *server) verify(t *testing.T, raw, sink string) jwt.Claims {
	t.Helper()
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	s.call(t, http.MethodGet, "/.well-known/jwks.json", "", nil, http.StatusOK, &set)
	keys := set.Key(token.Headers[0].KeyID)
	if len(keys) != 1 || !keys[0].Valid() || !keys[0].IsPublic() {
		t.Fatalf("the key set has %d keys %q", len(keys), token.Headers[0].KeyID)
	}
	var bySet, byKey jwt.Claims
	if err := token.Claims(keys[0], &bySet); err != nil {
		t.Fatal(err)
	}
	if err := token.Claims(s.documentedKey(t), &byKey); err != nil {
		t.Fatal(err)
	}
	if text(bySet) != text(byKey) {
		t.Errorf("claims by the key set %s, by the key %s", text(bySet), text(byKey))
	}
	err = bySet.ValidateWithLeeway(jwt.Expected{Issuer: issuer, AnyAudience: jwt.Audience{sink}, Time: time.Now()}, 5*time.Second)
	if err != nil {
		t.Errorf("%v: %s", err, text(bySet))
	}
	return bySet
}

// documentedKey reads the public key in the form that the documentation of
// Fatture in Cloud gives: base64 of PEM.
func (s *server) documentedKey(t *testing.T) any {
	t.Helper()
	var published struct {
		PublicKey string `json:"public_key"`
	}
	s.call(t, http.MethodGet, "/v1/keys/fic", "", nil, http.StatusOK, &published)
	text, err := base64.StdEncoding.DecodeString(published.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no PEM: %s", text)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestATokenIsGoodForItsOwnSinkAndKeyOnly(t *testing.T) {
	t.Parallel()
	s, other := serve(t), serve(t)
	received, tokens := make(chan event.Event, 2), make(chan string, 3)
	sink := goReceiver(t, received, tokens)
	s.subscribe(t, s.token(t, "api", 7), 7, sink, "binary")
	token, err := jwt.ParseSigned(wait(t, tokens), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var c jwt.Claims
	if err := token.Claims(other.documentedKey(t), &c); err == nil {
		t.Error("the key of another server verifies it")
	}
	if err := token.Claims(s.documentedKey(t), &c); err != nil {
		t.Error(err)
	}
	if err := c.Validate(jwt.Expected{AnyAudience: jwt.Audience{sink + "/"}}); err == nil {
		t.Error("it is good for another sink")
	}
}
