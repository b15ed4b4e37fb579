package sign_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/sign"
)

func newKey(t testing.TB) *sign.ES256Key {
	t.Helper()
	k, err := sign.NewES256Key()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// claims are those of a notification in the Fatture in Cloud documentation.
func claims() sign.Claims {
	issued := time.Date(2023, 4, 4, 12, 54, 22, 987_654_321, time.FixedZone("", 2*3600))
	return sign.Claims{
		ID:        "198:f059b211-24f4-44ab-9859-b1613a9a0712",
		Issuer:    "https://api-v2.fattureincloud.it",
		Subject:   "company:108061",
		Audience:  []string{"https://example.com/hooks?tenant=a&key=b"},
		IssuedAt:  issued,
		ExpiresAt: issued.Add(3 * time.Hour),
		AppID:     9007199254740993, // 2⁵³+1: lost where a number goes through a float
	}
}

func token(t testing.TB, k *sign.ES256Key, c sign.Claims) string {
	t.Helper()
	b, err := k.AppendJWT(nil, c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// verify gives the payload of a token as go-jose reads it with ES256 alone
// allowed.
func verify(token string, key any) ([]byte, error) {
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, err
	}
	return parsed.Verify(key)
}

func publicKey(t testing.TB, k *sign.ES256Key) any {
	t.Helper()
	return readPublic(t, k.PublicPEM())
}

// Fatture in Cloud, "Notifications": what a receiver checks.
func TestReceiverAcceptsTheToken(t *testing.T) {
	t.Parallel()
	k, c := newKey(t), claims()

	parsed, err := jwt.ParseSigned(token(t, k, c), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var standard jwt.Claims
	var private struct {
		AppID int64 `json:"aid"`
	}
	if err := parsed.Claims(publicKey(t, k), &standard, &private); err != nil {
		t.Fatal(err)
	}
	expected := jwt.Expected{
		ID: c.ID, Issuer: c.Issuer, Subject: c.Subject,
		AnyAudience: jwt.Audience{c.Audience[0]}, Time: c.IssuedAt.Add(2 * time.Hour),
	}
	if err := standard.ValidateWithLeeway(expected, 0); err != nil {
		t.Error(err)
	}
	expected.Time = c.ExpiresAt.Add(time.Second)
	if err := standard.ValidateWithLeeway(expected, 0); err == nil {
		t.Error("the token is good after its end")
	}
	if private.AppID != c.AppID {
		t.Errorf("aid %d, want %d", private.AppID, c.AppID)
	}
}

func TestReceiverFindsTheKeyInTheJWKSet(t *testing.T) {
	t.Parallel()
	previous, current, stranger := newKey(t), newKey(t), newKey(t)
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(sign.JWKS(current, previous), &set); err != nil {
		t.Fatal(err)
	}
	for _, k := range []*sign.ES256Key{current, previous} {
		if _, err := verify(token(t, k, claims()), &set); err != nil {
			t.Errorf("a token of a published key is refused: %v", err)
		}
	}
	if _, err := verify(token(t, stranger, claims()), &set); err == nil {
		t.Error("a token of an unpublished key is accepted")
	}
}

func TestTokenIsOnlyOfItsKey(t *testing.T) {
	t.Parallel()
	if _, err := verify(token(t, newKey(t), claims()), publicKey(t, newKey(t))); err == nil {
		t.Error("another key verifies the token")
	}
}

// The exact bytes of header and claims: order, list form of aud, whole seconds.
func TestTokenHeaderAndClaims(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	header, payload := segment(t, token(t, k, claims()), 0), segment(t, token(t, k, claims()), 1)

	if want := `{"typ":"JWT","alg":"ES256","kid":"` + k.KID() + `"}`; string(header) != want {
		t.Errorf("header %s, want %s", header, want)
	}
	want := `{"jti":"198:f059b211-24f4-44ab-9859-b1613a9a0712","iss":"https://api-v2.fattureincloud.it",` +
		`"exp":1680616462,"sub":"company:108061","aud":["https://example.com/hooks?tenant=a&key=b"],` +
		`"iat":1680605662,"aid":9007199254740993}`
	if diff := cmp.Diff(want, string(payload)); diff != "" {
		t.Error(diff)
	}
}

func TestAudienceIsAlwaysAList(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	for _, audience := range [][]string{nil, {"https://a.example"}, {"https://a.example", "https://b.example"}} {
		c := claims()
		c.Audience = audience
		var got struct {
			Audience []string `json:"aud"`
		}
		if err := json.Unmarshal(segment(t, token(t, k, c), 1), &got); err != nil {
			t.Fatal(err)
		}
		if got.Audience == nil || len(got.Audience) != len(audience) || strings.Join(got.Audience, " ") != strings.Join(audience, " ") {
			t.Errorf("aud %q, want %q", got.Audience, audience)
		}
	}
}

func TestSameClaimsGiveTheSameToken(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	again := reparse(t, k)
	if first, second := token(t, k, claims()), token(t, again, claims()); first != second {
		t.Errorf("two tokens for the same claims:\n%s\n%s", first, second)
	}
	other := claims()
	other.AppID++
	if token(t, k, claims()) == token(t, k, other) {
		t.Error("other claims give the same token")
	}
}

func TestTokenIsAppended(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	got, err := k.AppendJWT([]byte("Bearer "), claims())
	if err != nil || string(got) != "Bearer "+token(t, k, claims()) {
		t.Errorf("got %q, error %v", got, err)
	}
}

// A sink can be longer than any buffer that was thought large enough.
func TestLongAudience(t *testing.T) {
	t.Parallel()
	k, c := newKey(t), claims()
	c.Audience = []string{"https://example.com/" + strings.Repeat("x", 8000)}
	payload, err := verify(token(t, k, c), publicKey(t, k))
	if err != nil || !bytes.Contains(payload, []byte(c.Audience[0])) {
		t.Errorf("error %v, payload of %d bytes", err, len(payload))
	}
}

// Each byte of each decoded segment, so that no change hides in the unused
// bits of a segment's last character.
func TestTamperingInAnyByteIsNoticed(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	genuine, public := token(t, k, claims()), publicKey(t, k)
	if _, err := verify(genuine, public); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"header", "claims", "signature"} {
		decoded := segment(t, genuine, i)
		for at := range decoded {
			tampered := bytes.Clone(decoded)
			tampered[at] ^= 1
			segments := strings.Split(genuine, ".")
			segments[i] = base64.RawURLEncoding.EncodeToString(tampered)
			if _, err := verify(strings.Join(segments, "."), public); err == nil {
				t.Errorf("byte %d of the %s can be changed", at, name)
			}
		}
	}
}

func TestManyGoroutinesSignWithOneKey(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	want := token(t, k, claims())
	done := make(chan string)
	for range 8 {
		go func() {
			var got []byte
			for range 20 {
				got, _ = k.AppendJWT(got[:0], claims())
			}
			done <- string(got)
		}()
	}
	for range 8 {
		if got := <-done; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func segment(t testing.TB, token string, i int) []byte {
	t.Helper()
	segments := strings.Split(token, ".")
	if len(segments) != 3 {
		t.Fatalf("%d segments, want 3", len(segments))
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(segments[i])
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

func BenchmarkAppendJWT(b *testing.B) {
	k, c := newKey(b), claims()
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.AppendJWT(buf, c); err != nil {
			b.Fatal(err)
		}
	}
}
