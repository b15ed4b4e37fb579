package native_test

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/cloudevents"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// The keys of the published vectors of Standard Webhooks, and two for rotation.
const (
	oldHMAC    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	newHMAC    = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	oldEd25519 = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
	oldPublic  = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
	newEd25519 = "whsk_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
)

const (
	baseURL = "https://hooks.erp.example/fattorino"
	origin  = "hooks.erp.example"
	sink    = "https://receiver.example/in?tenant=a"
)

// now is the time of every attempt that no clock of others is compared with.
var now = time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC) //nolint:gochecknoglobals // a constant

func newKeychain(t testing.TB) *sign.Keychain {
	t.Helper()
	vault, err := sign.OpenVault("", "k1:"+base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return sign.NewKeychain(vault)
}

// A fixture is a contract and the keychain that it reads.
type fixture struct {
	*native.Contract
	keys *sign.Keychain
}

// newFixture makes a contract with a base URL and a signer of tokens, and
// changed as given.
func newFixture(t testing.TB, change ...func(*native.Options)) *fixture {
	t.Helper()
	o := native.Options{Keychain: newKeychain(t), BaseURL: baseURL, Signer: newTokens(t)}
	for _, f := range change {
		f(&o)
	}
	c, err := native.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{c, o.Keychain}
}

// secret seals a secret that is in force until endsAt; zero = it is current.
func (f *fixture) secret(t testing.TB, text string, endsAt time.Time) fattorino.Secret {
	t.Helper()
	s, err := f.keys.SealSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	s.EndsAt = endsAt
	return s
}

func (f *fixture) headers(t testing.TB, fields ...fattorino.Header) []byte {
	t.Helper()
	sealed, err := f.SealHeaders(fields)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func (f *fixture) notification(t testing.TB, s *fattorino.Subscription, e *fattorino.Event, at time.Time) *fattorino.Request {
	t.Helper()
	r, err := f.Notification(s, e, at)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func subscription() *fattorino.Subscription {
	return &fattorino.Subscription{
		ID: 42, Company: 12345, App: 7, Contract: native.Name, Sink: sink,
		Types: []string{"invoice.*"}, Format: fattorino.Binary, State: fattorino.Active,
	}
}

// invoicePaid is an event with all that an event can have, as it is in the
// store.
func invoicePaid() *fattorino.Event {
	return &fattorino.Event{
		ID: "3f1c.9", Source: "https://erp.example/invoicing", Type: "invoice.paid", Subject: "fattura 42/è",
		Time:            time.Date(2026, 3, 1, 12, 59, 58, 250_000_000, time.FixedZone("", 3600)),
		DataContentType: "application/json", DataSchema: "https://erp.example/schema/invoice.json",
		Extensions: map[string]any{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vip": true, "copies": int32(2)},
		Data:       []byte(`{"id":42, "total":12.50,"note":"perché 💶"}`), Form: fattorino.JSONData,
		Company: 12345, Entity: fattorino.Entity{Type: "invoice", IDs: []string{"42"}}, Common: "invoice.paid",
		Seq: 816, Accepted: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Key: 9001,
	}
}

// tokens signs with Ed25519, whose signatures never differ.
type tokens struct{ jose.Signer }

const tokenSeed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60" // RFC 8032, section 7.1, test 1

func tokenKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	seed, err := hex.DecodeString(tokenSeed)
	if err != nil {
		t.Fatal(err)
	}
	return ed25519.NewKeyFromSeed(seed)
}

func newTokens(t testing.TB) *tokens {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: tokenKey(t)}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	return &tokens{s}
}

// claims is what a token holds.
type claims struct {
	ID         string   `json:"jti"`
	Issuer     string   `json:"iss"`
	Subject    string   `json:"sub"`
	Audience   []string `json:"aud"`
	IssuedAt   int64    `json:"iat"`
	ExpiresAt  int64    `json:"exp"`
	AppID      int64    `json:"aid"`
	BodySHA256 string   `json:"body_sha256"`
}

func (s *tokens) AppendJWT(dst []byte, c native.Claims) ([]byte, error) {
	payload, err := json.Marshal(claims{
		c.ID, c.Issuer, c.Subject,
		[]string{c.Audience},
		c.IssuedAt.Unix(), c.ExpiresAt.Unix(), c.AppID,
		base64.RawURLEncoding.EncodeToString(c.BodySHA256[:]),
	})
	if err != nil {
		return dst, err
	}
	signed, err := s.Sign(payload)
	if err != nil {
		return dst, err
	}
	token, err := signed.CompactSerialize()
	return append(dst, token...), err
}

// received gives a request as a receiver's net/http reads it when a sender's
// has written it.
func received(t testing.TB, r *fattorino.Request) *http.Request {
	t.Helper()
	sent, err := http.NewRequestWithContext(t.Context(), r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Header {
		sent.Header[f.Name] = append(sent.Header[f.Name], f.Value)
	}
	var wire bytes.Buffer
	if err := sent.Write(&wire); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// value gives the value of a header field; empty where it is not there.
func value(header []fattorino.Header, name string) string {
	for _, f := range header {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// decoded reads a notification in binary or structured mode as a CloudEvent.
func decoded(t testing.TB, r *fattorino.Request) *fattorino.Event {
	t.Helper()
	header := received(t, r).Header
	events, batch, err := cloudevents.Decode(header.Get("Content-Type"), header, r.Body)
	if err != nil || batch || len(events) != 1 {
		t.Fatalf("%d events, batch %v, error %v: %s", len(events), batch, err, r.Body)
	}
	return events[0]
}

func equal[T any](t testing.TB, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
