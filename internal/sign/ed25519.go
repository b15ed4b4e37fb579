package sign

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
)

const (
	privateKeyPrefix = "whsk_"
	publicKeyPrefix  = "whpk_"
)

// An Ed25519Key signs notifications with the scheme v1a of Standard Webhooks
// 1.0.0, and whole requests with HTTP Message Signatures. The receiver has the
// public key alone. It does not change once made and may be used by many
// goroutines.
type Ed25519Key struct {
	private func() ed25519.PrivateKey // a function, of which fmt prints the address at most, also in a copy of the struct
	public  *Ed25519PublicKey
}

// NewEd25519Key makes a random key.
func NewEd25519Key() *Ed25519Key {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails
	return newEd25519Key(seed)
}

// ParseEd25519Key reads the form that [Ed25519Key.Reveal] writes: "whsk_" and
// the standard base64 of the seed (RFC 8032, section 5.1.5: the private key)
// and the public key, 32 bytes each. The seed alone is enough; a public key
// that is not the seed's is refused. Its errors quote nothing.
func ParseEd25519Key(text string) (*Ed25519Key, error) {
	raw, err := decodeKey(text, privateKeyPrefix)
	if err != nil {
		return nil, fmt.Errorf("parse Ed25519 key: %w", err)
	}
	if len(raw) != ed25519.SeedSize && len(raw) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("parse Ed25519 key: it has %d bytes; %d and %d are allowed", len(raw), ed25519.SeedSize, ed25519.PrivateKeySize)
	}
	k := newEd25519Key(raw[:ed25519.SeedSize])
	// Signed with another public key than its own, a message can give the
	// private key away.
	if public := raw[ed25519.SeedSize:]; len(public) > 0 && !bytes.Equal(public, k.public.key) {
		return nil, errors.New("parse Ed25519 key: the public key in it belongs to another seed")
	}
	return k, nil
}

func newEd25519Key(seed []byte) *Ed25519Key {
	private := ed25519.NewKeyFromSeed(seed)
	return &Ed25519Key{
		private: func() ed25519.PrivateKey { return private },
		public:  newEd25519PublicKey(ed25519.PublicKey(private[ed25519.SeedSize:])),
	}
}

// Reveal gives the private key, to be shown to the owner or sealed: "whsk_"
// and the base64 of seed and public key.
func (k *Ed25519Key) Reveal() string { return encodeKey(privateKeyPrefix, k.private()) }

// Public is the key with which receivers verify.
func (k *Ed25519Key) Public() *Ed25519PublicKey { return k.public }

// AppendSignature implements [WebhookKey] with the scheme v1a.
func (k *Ed25519Key) AppendSignature(dst []byte, id string, timestamp int64, body []byte) ([]byte, error) {
	if err := checkMessageID(id); err != nil {
		return dst, err
	}
	signature := ed25519.Sign(k.private(), signedContent(id, timestamp, body))
	return appendVersioned(dst, "v1a,", signature), nil
}

// Format prints the public key's name and never the private key.
func (k *Ed25519Key) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, k.describe()) }

// LogValue is what a log shows: the same as Format.
func (k *Ed25519Key) LogValue() slog.Value { return slog.StringValue(k.describe()) }

func (k *Ed25519Key) describe() string { return "Ed25519Key(" + k.public.kid + ")" }

// An Ed25519PublicKey verifies what an [Ed25519Key] signed. It is no secret.
type Ed25519PublicKey struct {
	key ed25519.PublicKey
	x   string // the key in base64url
	kid string
}

// ParseEd25519PublicKey reads the form that [Ed25519PublicKey.String] writes:
// "whpk_" and the standard base64 of 32 bytes.
func ParseEd25519PublicKey(text string) (*Ed25519PublicKey, error) {
	key, err := decodeKey(text, publicKeyPrefix)
	if err != nil {
		return nil, fmt.Errorf("parse Ed25519 public key: %w", err)
	}
	if len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("parse Ed25519 public key: it has %d bytes; it must have %d", len(key), ed25519.PublicKeySize)
	}
	return newEd25519PublicKey(key), nil
}

func newEd25519PublicKey(key ed25519.PublicKey) *Ed25519PublicKey {
	x := base64.RawURLEncoding.EncodeToString(key)
	// RFC 7638, section 3, with the members that RFC 8037, section 2 requires.
	thumbprint := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	return &Ed25519PublicKey{key: key, x: x, kid: base64.RawURLEncoding.EncodeToString(thumbprint[:])}
}

// String gives the key in the form in which receivers are told it: "whpk_" and
// base64.
func (p *Ed25519PublicKey) String() string { return encodeKey(publicKeyPrefix, p.key) }

// Verify tells whether the signature is of this key and message.
func (p *Ed25519PublicKey) Verify(message, signature []byte) bool {
	return ed25519.Verify(p.key, message, signature)
}

// KID is the key's name: its JWK thumbprint with SHA-256, in base64url (RFC
// 7638).
func (p *Ed25519PublicKey) KID() string { return p.kid }

// JWK gives the key as a JSON Web Key (RFC 8037, section 2).
func (p *Ed25519PublicKey) JWK() []byte {
	return []byte(`{"kty":"OKP","crv":"Ed25519","x":"` + p.x + `","use":"sig","alg":"EdDSA","kid":"` + p.kid + `"}`)
}
