package sign

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"log/slog"
	"sync"
)

const (
	secretPrefix  = "whsec_"
	minSecretSize = 24 // bytes; as maxSecretSize from Standard Webhooks 1.0.0, "Signature scheme"
	maxSecretSize = 64
	newSecretSize = 32
)

// An HMACSecret signs notifications with the scheme v1 of Standard Webhooks
// 1.0.0, which is HMAC with SHA-256. The receiver has the same secret. It does
// not change once made and may be used by many goroutines.
type HMACSecret struct {
	key   func() []byte // a function, of which fmt prints the address at most, also in a copy of the struct
	keyed *sync.Pool    // of *keyedHash
}

// A keyedHash has taken in the key, which is half the work for a short body.
type keyedHash struct {
	hash.Hash
	scratch []byte // what is hashed before the body, then the sum
}

// NewHMACSecret makes a random secret of 32 bytes.
func NewHMACSecret() *HMACSecret {
	key := make([]byte, newSecretSize)
	_, _ = rand.Read(key) // never fails
	return newHMACSecret(key)
}

// ParseHMACSecret reads the form that [HMACSecret.Reveal] writes: "whsec_" and
// the standard base64 of 24 to 64 bytes. Its errors quote nothing.
func ParseHMACSecret(text string) (*HMACSecret, error) {
	key, err := decodeKey(text, secretPrefix)
	if err != nil {
		return nil, fmt.Errorf("parse HMAC secret: %w", err)
	}
	if len(key) < minSecretSize || len(key) > maxSecretSize {
		return nil, fmt.Errorf("parse HMAC secret: it has %d bytes; %d to %d are allowed", len(key), minSecretSize, maxSecretSize)
	}
	return newHMACSecret(key), nil
}

func newHMACSecret(key []byte) *HMACSecret {
	return &HMACSecret{
		key:   func() []byte { return key },
		keyed: &sync.Pool{New: func() any { return &keyedHash{Hash: hmac.New(sha256.New, key)} }},
	}
}

// Reveal gives the secret in the form in which its receiver is told it, to be
// shown to the owner or sealed: "whsec_" and base64.
func (s *HMACSecret) Reveal() string { return encodeKey(secretPrefix, s.key()) }

// Fingerprint tells secrets apart without telling them: the first eight bytes
// of the SHA-256 of the decoded secret, in hexadecimal digits. Where somebody
// chose a poor secret it could be found by this, so that it is to be shown
// beside signatures alone, by which it could be found as well.
func (s *HMACSecret) Fingerprint() string {
	sum := sha256.Sum256(s.key())
	return hex.EncodeToString(sum[:fingerprintSize])
}

const fingerprintSize = 8 // bytes

// Size gives the number of bytes of the decoded secret.
func (s *HMACSecret) Size() int { return len(s.key()) }

// AppendSignature implements [WebhookKey] with the scheme v1.
func (s *HMACSecret) AppendSignature(dst []byte, id string, timestamp int64, body []byte) ([]byte, error) {
	if err := checkMessageID(id); err != nil {
		return dst, err
	}
	k := s.keyed.Get().(*keyedHash)
	defer s.keyed.Put(k)
	k.Reset() // to the state with the key taken in
	k.scratch = appendSignedPrefix(k.scratch[:0], id, timestamp)
	_, _ = k.Write(k.scratch) // a hash never fails
	_, _ = k.Write(body)
	k.scratch = k.Sum(k.scratch[:0])
	return appendVersioned(dst, "v1,", k.scratch), nil
}

// Format prints that there is a secret and never the secret.
func (s *HMACSecret) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, hiddenSecret) }

// LogValue is what a log shows: the same as Format.
func (s *HMACSecret) LogValue() slog.Value { return slog.StringValue(hiddenSecret) }

// hiddenSecret tells no secret from another. Where somebody chose a poor
// secret, a digest of it would be enough to find it.
const hiddenSecret = "HMACSecret(hidden)"
