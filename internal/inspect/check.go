package inspect

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// The results of a check.
const (
	Valid     = "valid"
	Invalid   = "invalid"
	Unchecked = "unchecked" // there is no telling
)

// The schemes of signatures.
const (
	SchemeV1      = sign.SchemeV1
	SchemeV1a     = sign.SchemeV1a
	SchemeHTTPSig = sign.SchemeHTTPSig
	SchemeJWT     = "jwt"
)

// A Check is what was found out about one signature of a request.
type Check struct {
	Scheme string `json:"scheme"`
	Result string `json:"result"`
	Why    string `json:"why"` // one of the reasons below
}

// Why a signature is taken, refused, or not checked.
const (
	WhyGood      = "good"
	WhyNoKey     = "no_key"     // no key of this kind has been entered
	WhySealed    = "sealed"     // the keys that were entered can be read no more
	WhyCut       = "cut"        // the body is not kept whole
	WhyMissing   = "missing"    // a header field is missing
	WhyMalformed = "malformed"  // the signature cannot be read
	WhyOld       = "old"        // it was made more than five minutes before it came
	WhyNew       = "new"        // or after
	WhyNoMatch   = "no_match"   // no signature is of one of the keys
	WhyDigest    = "digest"     // the body is another than was signed
	WhyForeign   = "foreign"    // the token is of a key that is not known here
	WhyForged    = "forged"     // its signature is not of the key that it names
	WhyExpired   = "expired"    // it was no longer valid when it came
	WhyAudience  = "audience"   // it is for another sink
	WhyWrongID   = "wrong_id"   // it is about another notification
	WhyWrongBody = "wrong_body" // or came with another body
	WhyIssuer    = "issuer"     // it names another source, or another subject
)

// Checks tells of each signature of a request whether it is good, with the keys
// that there are now. A token was checked as it came, for the service's own keys
// change; one of a key that was unknown then is checked with those entered.
func (b *Bins) Checks(bin *Bin, r *Request, aid Aid) []Check {
	reading := Read(r)
	r, senders := b.sentBy(r, reading, aid.Senders)
	keys := b.keysFor(bin, r, senders, aid.Entered)
	var checks []Check
	if r.Token != nil {
		check := *r.Token
		if check.Why == WhyForeign {
			check = judgeToken(bearer(r), r, reading, keys)
		}
		checks = append(checks, check)
	}
	for _, scheme := range schemesOf(r) {
		switch {
		case r.Cut:
			checks = append(checks, Check{scheme, Unchecked, WhyCut})
		case scheme == SchemeHTTPSig:
			checks = append(checks, keys.judge(scheme, checkHTTPSignature(r, keys.public())))
		default:
			checks = append(checks, keys.judge(scheme, checkWebhook(r, scheme, keys.of(scheme))))
		}
	}
	return checks
}

// judge takes into account that a key that is missing may be one that can be
// opened no more.
func (k *Keys) judge(scheme string, check Check) Check {
	if k.sealed && (check.Why == WhyNoKey || check.Why == WhyNoMatch) {
		return Check{scheme, Unchecked, WhySealed}
	}
	return check
}

// schemesOf gives the schemes that a request is signed with, but for tokens.
func schemesOf(r *Request) (schemes []string) {
	for signature := range strings.FieldsSeq(r.field("webhook-signature")) {
		version, _, _ := strings.Cut(signature, ",")
		if (version == SchemeV1 || version == SchemeV1a) && !slices.Contains(schemes, version) {
			schemes = append(schemes, version)
		}
	}
	if r.field("signature-input") != "" {
		schemes = append(schemes, SchemeHTTPSig)
	}
	return schemes
}

// checkWebhook checks the signatures of one scheme of Standard Webhooks, at the
// time when the request came.
func checkWebhook(r *Request, scheme string, keys []sign.WebhookVerifier) Check {
	if len(keys) == 0 {
		return Check{scheme, Unchecked, WhyNoKey}
	}
	err := sign.VerifyWebhook(r.Header, r.Body, r.At, keys...)
	fault, ok := errors.AsType[*sign.WebhookError](err)
	if !ok {
		return Check{scheme, Valid, WhyGood}
	}
	why := map[sign.WebhookFault]string{
		sign.FieldMissing: WhyMissing, sign.FieldMalformed: WhyMalformed, sign.TooOld: WhyOld, sign.TooNew: WhyNew, sign.NoMatch: WhyNoMatch,
	}[fault.Fault]
	return Check{scheme, Invalid, why}
}

// tokenClaims is what the tokens of both contracts say.
type tokenClaims struct {
	ID         string   `json:"jti"`
	Issuer     string   `json:"iss"`
	Subject    string   `json:"sub"`
	Audience   []string `json:"aud"`
	ExpiresAt  int64    `json:"exp"`
	BodySHA256 string   `json:"body_sha256"`
}

// bearer gives the token that a request carries; empty where it has none.
func bearer(r *Request) string {
	scheme, token, _ := strings.Cut(r.field("authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") || strings.Count(token, ".") != 2 {
		return ""
	}
	return strings.TrimSpace(token)
}

// checkToken checks the token that a request carries against the service's own
// keys, and what it says against the request; nil where there is none.
func (b *Bins) checkToken(r *Request, reading *Reading) *Check {
	token := bearer(r)
	if token == "" {
		return nil
	}
	check := judgeToken(token, r, reading, &Keys{tokens: ownTokenKeys(b.KeySet())})
	return &check
}

// judgeToken checks a token with the keys. Of one that is of none of them there
// is no telling.
func judgeToken(token string, r *Request, reading *Reading, keys *Keys) Check {
	why := whyToken(token, r, reading, keys)
	switch why {
	case WhyGood:
		return Check{SchemeJWT, Valid, why}
	case WhyForeign:
		return Check{SchemeJWT, Unchecked, why}
	}
	return Check{SchemeJWT, Invalid, why}
}

func whyToken(token string, r *Request, reading *Reading, keys *Keys) (why string) {
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return WhyMalformed
	}
	key := keys.token(parsed.Signatures[0].Header.KeyID)
	if key == nil {
		return WhyForeign
	}
	payload, err := parsed.Verify(key.key)
	if err != nil {
		return WhyForged
	}
	var claims tokenClaims
	if json.Unmarshal(payload, &claims) != nil {
		return WhyMalformed
	}
	return claims.judge(r, reading)
}

// judge compares what a token says with what it came with. A challenge has an
// id of its own, and names no source.
func (c *tokenClaims) judge(r *Request, reading *Reading) (why string) {
	sum := sha256.Sum256(r.Body)
	about := reading.Kind != Challenge
	switch {
	case r.At.Unix() >= c.ExpiresAt:
		return WhyExpired
	case !slices.ContainsFunc(c.Audience, func(sink string) bool { return sameAddress(sink, r.Sink(reading)) }):
		return WhyAudience
	case about && c.ID != reading.ID:
		return WhyWrongID
	case about && reading.Contract == FattureInCloud && (c.Issuer != reading.Source || c.Subject != reading.Subject):
		return WhyIssuer
	case c.BodySHA256 != "" && c.BodySHA256 != base64.RawURLEncoding.EncodeToString(sum[:]):
		return WhyWrongBody
	}
	return WhyGood
}

// maxKeys bounds the keys of a bin.
const maxKeys = 10

// A Key is one that signatures are checked with.
type Key struct {
	Public string           `json:"public,omitempty"` // "whpk_…"; empty = it is a secret
	Secret fattorino.Secret `json:"secret,omitzero"`
	Hint   string           `json:"hint"` // what may be shown of it
}

// AddKey gives a bin a key to check signatures with: "whsec_…" for v1,
// "whpk_…" for v1a and HTTP Message Signatures. No error quotes it.
func (b *Bins) AddKey(ctx context.Context, owner, id, text string) error {
	key, err := b.readKey(strings.TrimSpace(text))
	if err != nil {
		return fattorino.InvalidField("key", "this is neither a secret, whsec_…, nor a public key, whpk_…")
	}
	return b.change(ctx, owner, id, func(bin *Bin) error {
		if len(bin.Keys) >= maxKeys {
			return fattorino.InvalidField("key", "there are %d keys already", maxKeys)
		}
		bin.Keys = append(bin.Keys, key)
		return nil
	})
}

// ClearKeys takes a bin's keys away.
func (b *Bins) ClearKeys(ctx context.Context, owner, id string) error {
	return b.change(ctx, owner, id, func(bin *Bin) error {
		bin.Keys = nil
		return nil
	})
}

// shownOfSecret is how many characters of a secret are shown, at its end.
const shownOfSecret = 4

func (b *Bins) readKey(text string) (Key, error) {
	if public, err := sign.ParseEd25519PublicKey(text); err == nil {
		return Key{Public: public.String(), Hint: public.String()}, nil
	}
	secret, err := b.Keychain.SealSecret(text)
	if err != nil {
		return Key{}, err
	}
	prefix, _, _ := strings.Cut(text, "_")
	return Key{Secret: secret, Hint: prefix + "_…" + text[len(text)-shownOfSecret:]}, nil
}
