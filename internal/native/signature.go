package native

import (
	"crypto/sha256"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// The signatures that a subscriber can choose, as [fattorino.Options] has them,
// besides [sign.SchemeV1], [sign.SchemeV1a] and [sign.SchemeHTTPSig]. Left
// empty, the subscription's secrets sign, each with its own scheme of Standard
// Webhooks; where there is none, nothing does.
const (
	SignatureJWT  = "jwt"  // a JSON Web Token as bearer, with a hash of the body
	SignatureNone = "none" // no signature
)

// tokenLife is how long a token is good for.
const tokenLife = 5 * time.Minute

// A Signer makes the tokens of the signature "jwt".
type Signer interface {
	// AppendJWT appends a token with the claims to dst: a JWS in compact form
	// (RFC 7515), whose key is in the published JWK set.
	AppendJWT(dst []byte, c Claims) ([]byte, error)
}

// Claims is what a token says of the notification that it came with.
type Claims struct {
	ID         string // jti: the webhook-id
	Issuer     string // iss
	Subject    string // sub: "company:<id>"
	Audience   string // aud, always a list, with this one member: the sink as registered
	IssuedAt   time.Time
	ExpiresAt  time.Time // five minutes later
	AppID      int64     // aid, an integer
	BodySHA256 [sha256.Size]byte
}

// sign adds the fields of the signature that the subscription chose. While
// secrets change places each of those in force signs (SW-6).
func (c *Contract) sign(r *fattorino.Request, s *fattorino.Subscription, id string, now time.Time) error {
	switch s.Options.Signature {
	case SignatureNone:
		return nil
	case SignatureJWT:
		return c.signJWT(r, s, id, now)
	}
	var known [2]sign.WebhookKey // more than that where secrets change often
	keys, err := c.options.Keychain.AppendSigners(known[:0], s.Secrets, now)
	switch {
	case err != nil:
		return err
	case s.Options.Signature == sign.SchemeHTTPSig:
		return signHTTP(r, keys, now)
	case len(keys) == 0 && s.Options.Signature == "":
		return nil
	}
	var scratch [64]byte
	signatures, err := keys.AppendSignature(scratch[:0], id, now.Unix(), r.Body)
	if err != nil {
		return err
	}
	r.Header = append(r.Header, fattorino.Header{Name: fieldSignature, Value: string(signatures)})
	return nil
}

// Resign puts back into a request as the log keeps it the token that went with
// it, which the log does not keep: it is made of the same claims, with the key
// that signs now, and is the same where that is the same. A request that was
// signed otherwise is left as it is.
func (c *Contract) Resign(r *fattorino.Request, s *fattorino.Subscription, at time.Time) error {
	if s.Options.Signature != SignatureJWT {
		return nil
	}
	for _, h := range r.Header {
		if strings.EqualFold(h.Name, fieldID) {
			return c.signJWT(r, s, h.Value, at)
		}
	}
	return errors.New("the request has no id")
}

// signHTTP signs with HTTP Message Signatures: one signature for each Ed25519
// key, labelled sig1, sig2 and so on (RFC 9421, section 4.3).
func signHTTP(r *fattorino.Request, keys sign.WebhookKeys, now time.Time) error {
	const label = "sig1="
	unsigned := r.Header[:len(r.Header):len(r.Header)]
	count := 0
	for _, key := range keys {
		ed, ok := key.(*sign.Ed25519Key)
		if !ok {
			continue // of another scheme, and on its way out
		}
		header, err := ed.AppendHTTPSignature(unsigned, r.Method, r.URL, r.Body, now)
		if err != nil {
			return err
		}
		if count++; count == 1 {
			r.Header = header
			continue
		}
		// The label is no part of what is signed. The fields added are digest,
		// input and signature, and the digest is the same for all keys.
		next := ", sig" + strconv.Itoa(count) + "="
		for at := len(unsigned) + 1; at < len(header); at++ {
			r.Header[at].Value += next + strings.TrimPrefix(header[at].Value, label)
		}
	}
	if count == 0 {
		return errors.New("the subscription has no Ed25519 key in force")
	}
	return nil
}

// signJWT sends a token along. It proves the body too, by its hash, since a
// bearer token alone would go with any.
func (c *Contract) signJWT(r *fattorino.Request, s *fattorino.Subscription, id string, now time.Time) error {
	if c.options.Signer == nil {
		return errors.New("tokens are not offered here")
	}
	token, err := c.options.Signer.AppendJWT(append(make([]byte, 0, 1024), "Bearer "...), Claims{
		ID: id, Issuer: c.options.Issuer,
		Subject: "company:" + strconv.FormatInt(s.Company, 10), Audience: s.Sink,
		IssuedAt: now, ExpiresAt: now.Add(tokenLife), AppID: s.App, BodySHA256: sha256.Sum256(r.Body),
	})
	if err != nil {
		return err
	}
	r.Header = append(r.Header, fattorino.Header{Name: "Authorization", Value: string(token), Secret: true})
	return nil
}
