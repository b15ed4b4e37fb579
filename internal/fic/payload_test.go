package fic_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/fic"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// signer joins the contract to the real keys, as the program does.
type signer struct{ key *sign.ES256Key }

func newSigner(tb testing.TB) signer {
	tb.Helper()
	key, err := sign.NewES256Key()
	if err != nil {
		tb.Fatal(err)
	}
	return signer{key}
}

func (s signer) AppendJWT(dst []byte, c fic.Claims) ([]byte, error) {
	return s.key.AppendJWT(dst, sign.Claims{
		ID: c.ID, Issuer: c.Issuer, Subject: c.Subject, Audience: []string{c.Audience},
		IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt, AppID: c.AppID,
	})
}

// verify checks a token as a receiver does, with the published key alone, and
// gives its claims.
func verify(tb testing.TB, published, token string) []byte {
	tb.Helper()
	block, _ := pem.Decode([]byte(published))
	if block == nil {
		tb.Fatalf("not PEM: %q", published)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		tb.Fatal(err)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		tb.Fatalf("the token has %d parts", len(parts))
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		tb.Fatalf("the token's signature has %d bytes: %v", len(signature), err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(key.(*ecdsa.PublicKey), sum[:], r, s) {
		tb.Fatal("the token's signature is wrong")
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		tb.Fatal(err)
	}
	return claims
}

func newContract(tb testing.TB, o fic.Options) *fic.Contract {
	tb.Helper()
	if o.Signer == nil {
		o.Signer = newSigner(tb)
	}
	c, err := fic.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// The documentation's example: subscription 198 of company 108061, one client
// created, told a minute later.
func exampleSubscription(f fattorino.Format) *fattorino.Subscription {
	return &fattorino.Subscription{
		ID: 198, Company: 108061, App: 42, Contract: "fic", Format: f, State: fattorino.Active,
		Sink: "https://example.com/notifications?tenant=7",
	}
}

func exampleEvent() *fattorino.Event {
	return &fattorino.Event{
		ID: "F059B211-24f4-44ab-9859-b1613a9a0712", Source: "https://erp.example", Type: prefix + "entities.clients.create",
		Time:    time.Date(2023, 4, 4, 10, 54, 21, 987654321, time.UTC),
		Company: 108061, Entity: fattorino.Entity{Type: "customer", IDs: []string{"3062300"}}, Seq: 7,
		Accepted: time.Date(2023, 4, 4, 10, 54, 22, 0, time.UTC),
	}
}

func exampleNow() time.Time { return time.Date(2023, 4, 4, 10, 55, 21, 0, time.UTC) }

// picture draws a request as the golden files have it: the token taken out and
// verified, its claims below, random UUIDs as UUID.
func picture(t *testing.T, published string, r *fattorino.Request, random bool) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(r.Method + " " + r.URL + "\n")
	claims := ""
	for _, h := range r.Header {
		value := h.Value
		if token, ok := strings.CutPrefix(value, "Bearer "); ok {
			claims, value = string(verify(t, published, token)), "Bearer TOKEN"
		}
		b.WriteString(h.Name + ": " + value + "\n")
	}
	if len(r.Body) > 0 {
		b.WriteString("\n" + string(r.Body) + "\n")
	}
	b.WriteString("\nTOKEN " + claims + "\n")
	if !random {
		return b.String()
	}
	v4 := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	return v4.ReplaceAllString(b.String(), "UUID")
}

func TestRequests_GoOutAsPrinted(t *testing.T) {
	t.Parallel()
	now := exampleNow()
	notify := func(f fattorino.Format) func(*fic.Contract) (*fattorino.Request, error) {
		return func(c *fic.Contract) (*fattorino.Request, error) {
			return c.Notification(exampleSubscription(f), exampleEvent(), now)
		}
	}
	welcome := func(f fattorino.Format) func(*fic.Contract) (*fattorino.Request, error) {
		return func(c *fic.Contract) (*fattorino.Request, error) {
			s := exampleSubscription(f)
			return c.Notification(s, c.Welcome(s, now.Add(-time.Minute)), now)
		}
	}
	ask := func(m fattorino.Method) func(*fic.Contract) (*fattorino.Request, error) {
		return func(c *fic.Contract) (*fattorino.Request, error) {
			s := exampleSubscription(fattorino.Binary)
			s.Handshake.Method = m
			return c.Challenge(s, challenge, now)
		}
	}
	for _, tc := range []struct {
		golden  string
		options fic.Options
		build   func(*fic.Contract) (*fattorino.Request, error)
		random  bool
	}{
		{golden: "binary", build: notify(fattorino.Binary)},
		{golden: "structured", build: notify(fattorino.Structured)},
		{golden: "binary_connection_close", build: notify(fattorino.Binary), options: fic.Options{ConnectionClose: true}},
		{golden: "welcome_binary", build: welcome(fattorino.Binary), random: true},
		{golden: "welcome_structured", build: welcome(fattorino.Structured), random: true},
		{golden: "challenge_header", build: ask(fattorino.ByHeader), random: true},
		{golden: "challenge_query", build: ask(fattorino.ByQuery), random: true},
	} {
		t.Run(tc.golden, func(t *testing.T) {
			t.Parallel()
			s := newSigner(t)
			tc.options.Signer = s
			r, err := tc.build(newContract(t, tc.options))
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile("testdata/notifications/" + tc.golden + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), picture(t, s.key.PublicPEM(), r, tc.random)); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func header(r *fattorino.Request, name string) string {
	for _, h := range r.Header {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// Section 19: what real receivers compare.
func TestNotification_AgreesWithItsToken(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	c := newContract(t, fic.Options{Signer: s, Issuer: "https://hooks.example/\"base\"", UserAgent: "Fattorino/1"})
	r, err := c.Notification(exampleSubscription(fattorino.Binary), exampleEvent(), exampleNow())
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		JTI, ISS, SUB string
		AUD           []string
		AID           int64
		IAT, EXP      int64
	}
	if err := json.Unmarshal(verify(t, s.key.PublicPEM(), strings.TrimPrefix(header(r, "Authorization"), "Bearer ")), &claims); err != nil {
		t.Fatal(err)
	}
	if claims.JTI != header(r, "ce-id") || claims.SUB != header(r, "ce-subject") || claims.ISS != header(r, "ce-source") {
		t.Errorf("token %+v does not agree with the header %v", claims, r.Header)
	}
	if len(claims.AUD) != 1 || claims.AUD[0] != r.URL {
		t.Errorf("audience %q, want the sink %q alone", claims.AUD, r.URL)
	}
	if claims.EXP-claims.IAT != 3*60*60 {
		t.Errorf("the token lives %d s, want 3 hours", claims.EXP-claims.IAT)
	}
	if got := header(r, "User-Agent"); got != "Fattorino/1" {
		t.Errorf("user agent %q", got)
	}
}

func TestA12_TheIDIsTheSameOnEveryAttemptAndTheTokenIsNot(t *testing.T) {
	t.Parallel()
	c := newContract(t, fic.Options{})
	s, e := exampleSubscription(fattorino.Binary), exampleEvent()
	first, err := c.Notification(s, e, exampleNow())
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Notification(s, e, exampleNow().Add(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := header(first, "ce-id"), header(second, "ce-id"); a != b {
		t.Errorf("ids %s and %s", a, b)
	}
	if header(first, "Authorization") == header(second, "Authorization") {
		t.Error("the token was not minted anew")
	}
}

func TestA12_TheIDIsTheSubscriptionNumberAndTheEventsUUID(t *testing.T) {
	t.Parallel()
	c := newContract(t, fic.Options{})
	id := func(source, id string) string {
		e := exampleEvent()
		e.Source, e.ID = source, id
		r, err := c.Notification(exampleSubscription(fattorino.Binary), e, exampleNow())
		if err != nil {
			t.Fatal(err)
		}
		return header(r, "ce-id")
	}
	for given, want := range map[string]string{
		"f059b211-24f4-44ab-9859-b1613a9a0712": "198:f059b211-24f4-44ab-9859-b1613a9a0712",
		"F059B211-24F4-44AB-9859-B1613A9A0712": "198:f059b211-24f4-44ab-9859-b1613a9a0712",
		"01890a5d-ac96-774b-bcce-b302099a8057": "198:01890a5d-ac96-774b-bcce-b302099a8057",
	} {
		if got := id("https://erp.example", given); got != want {
			t.Errorf("%s becomes %s, want %s", given, got, want)
		}
	}

	// Any other id becomes a UUID of version 8, for ever the same: this one was
	// worked out apart from this code, from the SHA-256 of the source's length in 8 bytes,
	// source and id.
	if got, want := id("https://erp.example", "event-1"), "198:c43e0f99-e99f-8f24-b7d0-41a1677775d5"; got != want {
		t.Errorf("event-1 becomes %s, want %s", got, want)
	}
	v8 := regexp.MustCompile(`^198:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]string{}
	for _, given := range [][2]string{
		{"a", "b"},
		{"ab", ""},
		{"", "ab"},
		{"a", "B"},
		{"A", "b"},
		{strings.Repeat("s", 1000), "x"},
		{"a", "f059b211-24f4-44ab-9859-b1613a9a071"},
		{"a", "f059b211-24f4-44ab-9859-b1613a9a071g"},
		{"a", "f059b211024f4044ab098590b1613a9a0712"},
		{"a", `"\` + "\x00"},
	} {
		got := id(given[0], given[1])
		if !v8.MatchString(got) {
			t.Errorf("%q becomes %s, which is no UUID of version 8", given, got)
		}
		if other, twice := seen[got]; twice {
			t.Errorf("%q and %s become %s both", given, other, got)
		}
		seen[got] = given[1]
	}
}

func TestNotification_TimeIsTheEventsInItaly(t *testing.T) {
	t.Parallel()
	c := newContract(t, fic.Options{})
	for _, tc := range []struct{ happened, accepted, want string }{
		{"2023-04-04T10:54:21Z", "", "2023-04-04T12:54:21+02:00"},
		{"2023-01-04T10:54:21.999Z", "", "2023-01-04T11:54:21+01:00"},
		{"2023-12-31T23:30:00-08:00", "", "2024-01-01T08:30:00+01:00"},
		{"2023-10-29T00:59:59Z", "", "2023-10-29T02:59:59+02:00"},
		{"2023-10-29T01:00:00Z", "", "2023-10-29T02:00:00+01:00"},
		{"", "2023-04-04T10:54:21.5Z", "2023-04-04T12:54:21+02:00"}, // the event gives none: when it was accepted
		{"2023-04-04T10:54:21Z", "2024-01-01T00:00:00Z", "2023-04-04T12:54:21+02:00"},
	} {
		e := exampleEvent()
		e.Time, e.Accepted = parseTime(t, tc.happened), parseTime(t, tc.accepted)
		r, err := c.Notification(exampleSubscription(fattorino.Binary), e, exampleNow())
		if err != nil {
			t.Fatal(err)
		}
		if got := header(r, "ce-time"); got != tc.want {
			t.Errorf("%s / %s is told as %s, want %s", tc.happened, tc.accepted, got, tc.want)
		}
	}
}

func parseTime(t *testing.T, s string) time.Time {
	t.Helper()
	if s == "" {
		return time.Time{}
	}
	parsed, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestNotification_IDsAreIntegers(t *testing.T) {
	t.Parallel()
	c := newContract(t, fic.Options{})
	body := func(f fattorino.Format, ids ...string) (string, error) {
		e := exampleEvent()
		e.Entity.IDs = ids
		r, err := c.Notification(exampleSubscription(f), e, exampleNow())
		if err != nil {
			return "", err
		}
		if !json.Valid(r.Body) {
			t.Errorf("%q makes a body that is no JSON: %s", ids, r.Body)
		}
		return string(r.Body), nil
	}
	for want, ids := range map[string][]string{
		`{"data":{"ids":[]}}`:                    nil,
		`{"data":{"ids":[0]}}`:                   {"0"},
		`{"data":{"ids":[1]}}`:                   {"1"},
		`{"data":{"ids":[-5]}}`:                  {"-5"},
		`{"data":{"ids":[3,1]}}`:                 {"3", "1"},
		`{"data":{"ids":[9223372036854775807]}}`: {"9223372036854775807"},
	} {
		if got, err := body(fattorino.Binary, ids...); got != want || err != nil {
			t.Errorf("%q: %s, %v; want %s", ids, got, err, want)
		}
	}
	for _, bad := range []string{"", "a", "1.0", "1e3", "+1", "01", "-0", "-", "--1", " 1", "1 ", "1,2", "0x10", "9223372036854775808", `1],"x":[`, "١"} {
		for _, f := range []fattorino.Format{fattorino.Binary, fattorino.Structured} {
			if got, err := body(f, "1", bad); fattorino.KindOf(err) != fattorino.Invalid {
				t.Errorf("id %q as %s: %s, %v; want an Invalid error", bad, f, got, err)
			}
		}
	}
}

func TestNotification_TypesAreToldInThisVocabularyOnly(t *testing.T) {
	t.Parallel()
	c := newContract(t, fic.Options{})
	for _, tc := range []struct {
		name  string
		event fattorino.Event
		want  string
	}{
		{"its own", fattorino.Event{Type: prefix + "receipts.create", Seq: 1}, prefix + "receipts.create"},
		{"by common name", fattorino.Event{Type: "invoice.paid", Common: "invoice.paid", Seq: 1}, prefix + "issued_documents.invoices.update"},
		{"of another contract", fattorino.Event{Type: "Invoice.Created", Common: "invoice.created", Seq: 1}, prefix + "issued_documents.invoices.create"},
		{"unknown", fattorino.Event{Type: "weather.changed", Seq: 1}, ""},
		{"a welcome that was published", fattorino.Event{Type: prefix + "subscriptions.welcome", Seq: 1}, ""},
	} {
		tc.event.Time = exampleNow()
		r, err := c.Notification(exampleSubscription(fattorino.Binary), &tc.event, exampleNow())
		switch {
		case tc.want == "" && fattorino.KindOf(err) != fattorino.Invalid:
			t.Errorf("%s: %v, want an Invalid error", tc.name, err)
		case tc.want != "" && (err != nil || header(r, "ce-type") != tc.want):
			t.Errorf("%s: %v, %v; want %s", tc.name, r, err, tc.want)
		}
	}
}

func TestA2_TheWelcomeIsAPrivateEventOfItsOwn(t *testing.T) {
	t.Parallel()
	c := newContract(t, fic.Options{})
	s := exampleSubscription(fattorino.Binary)
	first, second := c.Welcome(s, exampleNow()), c.Welcome(s, exampleNow())
	if !first.Private() || first.Company != s.Company || first.Type != prefix+"subscriptions.welcome" {
		t.Errorf("welcome %+v", first)
	}
	if first.ID == second.ID {
		t.Error("two welcomes have the same id: a receiver would drop the second")
	}
}

func TestChallenge_JoinsTheQueryOfTheSink(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	c := newContract(t, fic.Options{Signer: s})
	const parameter = "x-fic-verification-challenge=" + challenge
	for sink, want := range map[string]string{
		"https://example.com":          "https://example.com?" + parameter,
		"https://example.com/hook":     "https://example.com/hook?" + parameter,
		"https://example.com/hook?":    "https://example.com/hook?" + parameter,
		"https://example.com/hook?a=b": "https://example.com/hook?a=b&" + parameter,
		"https://example.com/?a=%3F?":  "https://example.com/?a=%3F?&" + parameter,
	} {
		sub := exampleSubscription(fattorino.Binary)
		sub.Sink, sub.Handshake.Method = sink, fattorino.ByQuery
		r, err := c.Challenge(sub, challenge, exampleNow())
		if err != nil {
			t.Fatal(err)
		}
		if r.URL != want {
			t.Errorf("%s is asked at %s, want %s", sink, r.URL, want)
		}
		if got := header(r, "x-fic-verification-challenge"); got != "" {
			t.Errorf("%s: the challenge is in the header as well", sink)
		}
		claims := string(verify(t, s.key.PublicPEM(), strings.TrimPrefix(header(r, "Authorization"), "Bearer ")))
		if !strings.Contains(claims, `"aud":["`+sink+`"]`) {
			t.Errorf("%s: audience is not the sink as registered: %s", sink, claims)
		}
	}
}

// unsigned is the notification without the cost of ECDSA, which is many times
// that of all the rest.
type unsigned struct{ token string }

func (u unsigned) AppendJWT(dst []byte, _ fic.Claims) ([]byte, error) {
	return append(dst, u.token...), nil
}

func BenchmarkNotification(b *testing.B) {
	signers := map[string]fic.Signer{
		"signed":   newSigner(b),
		"unsigned": unsigned{strings.Repeat("x", 560)},
	}
	for _, name := range []string{"signed", "unsigned"} {
		for _, format := range []fattorino.Format{fattorino.Binary, fattorino.Structured} {
			b.Run(name+"/"+string(format), func(b *testing.B) {
				c := newContract(b, fic.Options{Signer: signers[name]})
				s, e, now := exampleSubscription(format), exampleEvent(), exampleNow()
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.Notification(s, e, now); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
