package inspect

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// Keys are what signatures are checked with. Each has a note that says where it
// is from, or how it stands.
type Keys struct {
	hmac    []hmacKey
	ed25519 []publicKey
	tokens  []tokenKey
	sealed  bool // some can be opened no more
}

type hmacKey struct {
	*sign.HMACSecret

	note string
	lent bool // by a subscription: what it makes of something else is not shown
}

type publicKey struct {
	*sign.Ed25519PublicKey

	note string
}

// A tokenKey checks tokens of ES256 that name it; without a kid, any.
type tokenKey struct {
	kid  string
	key  *ecdsa.PublicKey
	note string
}

// Aid is what helps to check the requests of a bin, besides the keys that the
// bin keeps and those that this service publishes.
type Aid struct {
	// Senders are subscriptions of this service that who looks may see. Those
	// whose sink a request was sent to lend their secrets.
	Senders []*fattorino.Subscription
	Entered *Keys // for this check alone; nil = none
}

// keysFor gives the keys for a request that was sent to the senders.
func (b *Bins) keysFor(bin *Bin, r *Request, senders []*fattorino.Subscription, entered *Keys) *Keys {
	keys := &Keys{tokens: ownTokenKeys(b.KeySet())}
	for _, k := range bin.Keys {
		if public, err := sign.ParseEd25519PublicKey(k.Public); err == nil {
			keys.ed25519 = append(keys.ed25519, publicKey{public, NoteOfBin})
			continue
		}
		keys.open(b.Keychain, k.Secret, NoteOfBin)
	}
	own := len(keys.hmac)
	for _, s := range senders {
		for _, secret := range s.Secrets {
			keys.open(b.Keychain, secret, standing(secret, r.At))
		}
	}
	for i := own; i < len(keys.hmac); i++ {
		keys.hmac[i].lent = true
	}
	if entered != nil {
		keys.hmac = append(keys.hmac, entered.hmac...)
		keys.ed25519 = append(keys.ed25519, entered.ed25519...)
		keys.tokens = append(keys.tokens, entered.tokens...)
	}
	return keys
}

// open adds the key of a secret, whether it still signs or not.
func (k *Keys) open(keychain *sign.Keychain, s fattorino.Secret, note string) {
	s.EndsAt = time.Time{}
	opened, err := keychain.AppendSigners(nil, []fattorino.Secret{s}, time.Time{})
	if err != nil || len(opened) == 0 {
		k.sealed = true
		return
	}
	switch key := opened[0].(type) {
	case *sign.HMACSecret:
		k.hmac = append(k.hmac, hmacKey{HMACSecret: key, note: note})
	case *sign.Ed25519Key:
		k.ed25519 = append(k.ed25519, publicKey{key.Public(), note})
	}
}

// of gives the keys for a scheme of Standard Webhooks.
func (k *Keys) of(scheme string) (list []sign.WebhookVerifier) {
	if scheme == SchemeV1 {
		for _, key := range k.hmac {
			list = append(list, key.HMACSecret)
		}
		return list
	}
	for _, key := range k.ed25519 {
		list = append(list, key.Ed25519PublicKey)
	}
	return list
}

// public gives the keys for HTTP Message Signatures.
func (k *Keys) public() (list []*sign.Ed25519PublicKey) {
	for _, key := range k.ed25519 {
		list = append(list, key.Ed25519PublicKey)
	}
	return list
}

// token gives the key that checks a token with the kid: the one of that name,
// else one without; nil where there is none.
func (k *Keys) token(kid string) *tokenKey {
	for _, name := range []string{kid, ""} {
		if i := slices.IndexFunc(k.tokens, func(t tokenKey) bool { return t.kid == name }); i >= 0 {
			return &k.tokens[i]
		}
	}
	return nil
}

// ownTokenKeys reads the key set of this service.
func ownTokenKeys(set []byte) []tokenKey {
	own := &Keys{}
	own.addSet(set, NotePublished)
	return own.tokens
}

// ReadKeys reads what a subscriber has to check signatures with, in any of the
// forms that services hand out: a secret (whsec_…), a public key (whpk_…, PEM,
// base64 of PEM), a JWK or a set of them (RFC 7517). It fails with Invalid
// where there is none in it that is of use. No error quotes it.
func ReadKeys(text string) (*Keys, error) {
	text = strings.TrimSpace(text)
	keys := &Keys{}
	if secret, err := sign.ParseHMACSecret(text); err == nil {
		keys.hmac = append(keys.hmac, hmacKey{HMACSecret: secret, note: NoteEntered})
	}
	if public, err := sign.ParseEd25519PublicKey(text); err == nil {
		keys.ed25519 = append(keys.ed25519, publicKey{public, NoteEntered})
	}
	keys.addSet([]byte(text), NoteEntered)
	keys.addPEM([]byte(text))
	if decoded, err := base64.StdEncoding.DecodeString(text); err == nil {
		keys.addPEM(decoded)
	}
	if len(keys.hmac)+len(keys.ed25519)+len(keys.tokens) == 0 {
		return nil, fattorino.InvalidField("check", "this is neither a secret (whsec_…) nor a public key (whpk_…, PEM, JWK, JWKS) of P-256 or Ed25519")
	}
	return keys, nil
}

// addSet adds the keys of a JWK set, or of one JWK alone.
func (k *Keys) addSet(text []byte, note string) {
	var set jose.JSONWebKeySet
	var one jose.JSONWebKey
	if json.Unmarshal(text, &set) != nil || len(set.Keys) == 0 {
		if json.Unmarshal(text, &one) != nil {
			return
		}
		set.Keys = []jose.JSONWebKey{one}
	}
	for _, key := range set.Keys {
		k.addPublic(key.KeyID, key.Key, note)
	}
}

// addPEM adds a public key in PEM.
func (k *Keys) addPEM(text []byte) {
	block, rest := pem.Decode(text)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return
	}
	if key, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
		k.addPublic("", key, NoteEntered)
	}
}

// addPublic adds a public key, where it is of a kind that contracts sign with.
func (k *Keys) addPublic(kid string, key any, note string) {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			k.tokens = append(k.tokens, tokenKey{kid, key, note})
		}
	case ed25519.PublicKey:
		text := "whpk_" + base64.StdEncoding.EncodeToString(key)
		if public, err := sign.ParseEd25519PublicKey(text); err == nil {
			k.ed25519 = append(k.ed25519, publicKey{public, note})
		}
	}
}
