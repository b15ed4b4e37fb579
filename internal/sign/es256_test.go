package sign_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/sign"
)

// published is the key that Fatture in Cloud shows on its Notifications page.
const published = "LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFL1JvSElqZ1k3aGZYZlk1cC9KeStLL0ZndU1aNAozVHZaOXQ0ZU43K2t4UTBNSnpLdG93djRDY1lURnFyQm03aE1CNVpXS25xTHoyNEQ2bFFqU0wwWXN3PT0KLS0tLS1FTkQgUFVCTElDIEtFWS0tLS0tCg=="

// readPublic reads a public key as a receiver does.
func readPublic(t testing.TB, text string) *ecdsa.PublicKey {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" || len(rest) != 0 {
		t.Fatalf("not one PEM block: %q", text)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.(*ecdsa.PublicKey)
}

// reparse gives the key after a way through the store.
func reparse(t testing.TB, k *sign.ES256Key) *sign.ES256Key {
	t.Helper()
	der, err := k.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := sign.ParseES256Key(der)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestKeyComesBackFromTheStore(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	again := reparse(t, k)
	if again.KID() != k.KID() || again.PublicPEM() != k.PublicPEM() {
		t.Error("another key came back")
	}
	if newKey(t).KID() == k.KID() {
		t.Error("two new keys are the same")
	}
}

func TestParseRefusesOtherKeys(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"P-384": p384, "RSA": rsaKey} {
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sign.ParseES256Key(private); err == nil {
			t.Errorf("a private key of %s is accepted", name)
		}
	}
	if _, err := sign.ParseES256Key([]byte("no key")); err == nil {
		t.Error("any bytes are accepted as a private key")
	}
}

// Fatture in Cloud publishes base64 of a PEM SubjectPublicKeyInfo; ours has
// the same form, byte for byte but for the point.
func TestPublicKeyHasThePublishedForm(t *testing.T) {
	t.Parallel()
	decoded, err := base64.StdEncoding.DecodeString(published)
	if err != nil {
		t.Fatal(err)
	}
	theirs, ours := string(decoded), newKey(t).PublicPEM()
	point, err := readPublic(t, theirs).Bytes()
	if err != nil || point[0] != 4 || point[1] != 0xfd || point[2] != 0x1a {
		t.Fatalf("the published key was misread: %x, error %v", point, err)
	}

	if len(ours) != len(theirs) {
		t.Fatalf("%d characters, want %d as published", len(ours), len(theirs))
	}
	// 27 bytes of every P-256 SubjectPublicKeyInfo are the same: 36 base64 digits.
	head := len("-----BEGIN PUBLIC KEY-----\n") + 35
	if diff := cmp.Diff(theirs[:head], ours[:head]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(strings.Split(theirs, "\n")[3:], strings.Split(ours, "\n")[3:]); diff != "" {
		t.Error(diff)
	}
}

func TestBothHalvesOfAKeyBelongTogether(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	der, err := k.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	if !readPublic(t, k.PublicPEM()).Equal(private.(*ecdsa.PrivateKey).Public()) {
		t.Error("public and private half, as x509 reads them, do not belong together")
	}
}

// RFC 7638, section 3, by hand: SHA-256 over the required members, sorted,
// without white space. encoding/json sorts the names of a map.
func TestKIDIsTheJWKThumbprint(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	point, err := publicKey(t, k).(*ecdsa.PublicKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	members, err := json.Marshal(map[string]string{
		"kty": "EC", "crv": "P-256",
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]),
		"y": base64.RawURLEncoding.EncodeToString(point[33:]),
	})
	if err != nil {
		t.Fatal(err)
	}
	byHand := sha256.Sum256(members)
	if want := base64.RawURLEncoding.EncodeToString(byHand[:]); k.KID() != want {
		t.Errorf("kid %s, want %s", k.KID(), want)
	}

	var jwk jose.JSONWebKey
	if err := json.Unmarshal(k.JWK(), &jwk); err != nil {
		t.Fatal(err)
	}
	thumbprint, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if want := base64.RawURLEncoding.EncodeToString(thumbprint); k.KID() != want {
		t.Errorf("kid %s, go-jose says %s", k.KID(), want)
	}
}

func TestJWKSetIsReadByGoJose(t *testing.T) {
	t.Parallel()
	current, previous := newKey(t), newKey(t)
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(sign.JWKS(current, previous), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 2 {
		t.Fatalf("%d keys, want 2", len(set.Keys))
	}
	for i, k := range []*sign.ES256Key{current, previous} {
		jwk := set.Keys[i]
		if jwk.KeyID != k.KID() || jwk.Use != "sig" || jwk.Algorithm != "ES256" || !jwk.IsPublic() || !jwk.Valid() {
			t.Errorf("key %d: kid %s use %s alg %s public %v valid %v", i, jwk.KeyID, jwk.Use, jwk.Algorithm, jwk.IsPublic(), jwk.Valid())
		}
		if !jwk.Key.(*ecdsa.PublicKey).Equal(publicKey(t, k)) {
			t.Errorf("key %d is another key", i)
		}
	}
}

func TestJWKSetHasNoPrivateMember(t *testing.T) {
	t.Parallel()
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(sign.JWKS(newKey(t)), &set); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for name := range set.Keys[0] {
		names[name] = true
	}
	want := map[string]bool{"kty": true, "crv": true, "x": true, "y": true, "use": true, "alg": true, "kid": true}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	if got := string(sign.JWKS[sign.Published]()); got != `{"keys":[]}` {
		t.Errorf("no keys give %s", got)
	}
}
