package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
)

// An ES256Key signs with ECDSA on P-256 and SHA-256, the algorithm ES256 of
// RFC 7518, section 3.4. It does not change once made and may be used by many
// goroutines.
type ES256Key struct {
	private   *ecdsa.PrivateKey // behind a pointer: a copy of the struct still prints no secret
	x, y      string            // the public point's coordinates, base64url of 32 bytes each
	kid       string
	header    string // the JWS header in base64url, and the dot after it
	publicPEM string
}

// NewES256Key makes a random key.
func NewES256Key() (*ES256Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make ES256 key: %w", err)
	}
	return newES256Key(private)
}

// ParseES256Key reads the form that [ES256Key.Marshal] writes: PKCS #8 in DER.
func ParseES256Key(der []byte) (*ES256Key, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("parse ES256 key: %w", err)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, errors.New("parse ES256 key: it is not on the curve P-256")
	}
	return newES256Key(private)
}

// newES256Key works out once all that is published of the key.
func newES256Key(private *ecdsa.PrivateKey) (*ES256Key, error) {
	point, err := private.PublicKey.Bytes() // 4, X, Y: SEC 1, section 2.3.3
	if err != nil {
		return nil, fmt.Errorf("ES256 key: %w", err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("ES256 key: %w", err)
	}
	k := &ES256Key{
		private:   private,
		x:         base64.RawURLEncoding.EncodeToString(point[1:33]),
		y:         base64.RawURLEncoding.EncodeToString(point[33:]),
		publicPEM: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})),
	}
	// RFC 7638, section 3: the required members, sorted by name, without spaces.
	thumbprint := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + k.x + `","y":"` + k.y + `"}`))
	k.kid = base64.RawURLEncoding.EncodeToString(thumbprint[:])
	header := `{"typ":"JWT","alg":"ES256","kid":"` + k.kid + `"}`
	k.header = base64.RawURLEncoding.EncodeToString([]byte(header)) + "."
	return k, nil
}

// Marshal gives the private key as PKCS #8 in DER, to be sealed before it is
// kept.
func (k *ES256Key) Marshal() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, fmt.Errorf("marshal ES256 key: %w", err)
	}
	return der, nil
}

// KID is the key's name: its JWK thumbprint with SHA-256, in base64url (RFC
// 7638).
func (k *ES256Key) KID() string { return k.kid }

// PublicPEM gives the public key as SubjectPublicKeyInfo in PEM: in base64 the
// form in which Fatture in Cloud publishes its key on its Notifications page.
func (k *ES256Key) PublicPEM() string { return k.publicPEM }

// JWK gives the public key as a JSON Web Key (RFC 7517; RFC 7518, section
// 6.2).
func (k *ES256Key) JWK() []byte {
	return []byte(`{"kty":"EC","crv":"P-256","x":"` + k.x + `","y":"` + k.y +
		`","use":"sig","alg":"ES256","kid":"` + k.kid + `"}`)
}

// Format prints the key's name and never the key.
func (k *ES256Key) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, k.describe()) }

// LogValue is what a log shows: the same as Format.
func (k *ES256Key) LogValue() slog.Value { return slog.StringValue(k.describe()) }

func (k *ES256Key) describe() string { return "ES256Key(" + k.kid + ")" }

// sign gives the JWS signature of input: r and s, 32 bytes each (RFC 7518,
// section 3.4). It is deterministic (RFC 6979), which needs no randomness at
// signing time and is faster.
func (k *ES256Key) sign(input []byte) ([64]byte, error) {
	digest := sha256.Sum256(input)
	der, err := k.private.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return [64]byte{}, fmt.Errorf("sign with key %s: %w", k.kid, err)
	}
	raw, ok := rawSignature(der)
	if !ok {
		return raw, fmt.Errorf("sign with key %s: the signature is malformed", k.kid)
	}
	return raw, nil
}

// rawSignature turns an ECDSA signature from DER (SEC 1, section C.8: SEQUENCE
// of INTEGER r and s) to r and s of fixed width.
func rawSignature(der []byte) (raw [64]byte, ok bool) {
	if len(der) < 2 || der[0] != 0x30 || int(der[1]) != len(der)-2 {
		return raw, false
	}
	rest, ok := cutInteger(raw[:32], der[2:])
	if !ok {
		return raw, false
	}
	rest, ok = cutInteger(raw[32:], rest)
	return raw, ok && len(rest) == 0
}

// cutInteger writes the DER INTEGER at the start of der to dst, big-endian and
// filled up with zeros on the left, and gives what follows it.
func cutInteger(dst, der []byte) (rest []byte, ok bool) {
	if len(der) < 3 || der[0] != 0x02 || der[1] == 0 || len(der) < 2+int(der[1]) {
		return nil, false
	}
	value, rest := der[2:2+int(der[1])], der[2+int(der[1]):]
	if value[0] >= 0x80 { // negative
		return nil, false
	}
	if value[0] == 0 { // keeps a high first bit from reading as a minus sign
		value = value[1:]
	}
	if len(value) > len(dst) {
		return nil, false
	}
	copy(dst[len(dst)-len(value):], value)
	return rest, true
}
