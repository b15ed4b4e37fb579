package inspect

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// traceToken checks a JSON Web Token that came as bearer (RFC 7519, section
// 7.2).
func (q *traced) traceToken(token string) Trace {
	trace := Trace{Scheme: SchemeJWT, Anew: q.anew}
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	trace.add(Step{Name: StepToken, In: []Value{{Name: "Authorization", Text: "Bearer " + abridged(token)}}, Out: []Value{
		{Kind: KindTokenHeader, Text: header},
		{Kind: KindPayload, Text: abridged(payload), Note: NoteCut},
		{Kind: KindSignature, Text: abridged(signature), Note: NoteCut},
	}})
	decoded, headerErr := base64.RawURLEncoding.DecodeString(header)
	claims, payloadErr := base64.RawURLEncoding.DecodeString(payload)
	var names struct{ Alg, Kid string }
	read := Step{Name: StepHeader, Result: Invalid, In: []Value{{Kind: KindTokenHeader, Text: header}}}
	if headerErr != nil || payloadErr != nil || json.Unmarshal(decoded, &names) != nil {
		trace.add(read)
		return trace
	}
	read.Result = goodIf(names.Alg == string(jose.ES256))
	read.Out = []Value{
		{Kind: KindJSON, Text: indented(decoded)},
		{Name: "alg", Text: names.Alg, Want: string(jose.ES256), Result: read.Result},
		{Name: "kid", Text: names.Kid},
	}
	trace.add(read)
	step, key := q.keyStep(names.Kid)
	trace.add(step)
	if key != nil {
		trace.add(inputStep(header + "." + payload))
		trace.add(signatureStep(token, signature, key))
	}
	trace.add(q.claimsStep(claims))
	return trace
}

// keyStep looks a key up among those that are known.
func (q *traced) keyStep(kid string) (Step, *ecdsa.PublicKey) {
	step := Step{Name: StepKey, Result: Unchecked, In: []Value{{Name: "kid", Text: kid}}}
	published := 0
	for _, key := range q.keys.tokens {
		if key.note == NotePublished {
			published++
		}
	}
	step.In = append(step.In, Value{Kind: KindKeySet, Text: strconv.Itoa(published)})
	found := q.keys.token(kid)
	if found == nil {
		step.Out = []Value{{Name: "kid", Text: kid, Result: Unchecked, Note: NoteUnknown}}
		return step, nil
	}
	der, err := x509.MarshalPKIXPublicKey(found.key)
	if err != nil {
		return step, nil
	}
	step.Result = Valid
	step.Out = []Value{{Kind: KindPEM, Text: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), Note: found.note}}
	return step, found.key
}

// inputStep tells of the JWS signing input (RFC 7515, section 5.1).
func inputStep(input string) Step {
	sum := sha256.Sum256([]byte(input))
	return Step{
		Name: StepInput,
		In:   []Value{{Kind: KindContent, Text: abridged(input) + " · " + bytesOf(len(input)), Note: NoteCut}},
		Out:  []Value{{Kind: KindSHA256, Text: hex.EncodeToString(sum[:])}},
	}
}

// signatureStep checks the signature of a token with the key.
func signatureStep(token, signature string, key *ecdsa.PublicKey) Step {
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err == nil {
		_, err = parsed.Verify(key)
	}
	raw, _ := base64.RawURLEncoding.DecodeString(signature) // what is none is shown as nothing
	result := goodIf(err == nil)
	return Step{
		Name: StepChecked, Result: result,
		In:  []Value{{Kind: KindSignature, Text: abridged(signature), Note: NoteCut}, {Name: "r, s", Text: bytesOf(len(raw)), Want: bytesOf(64), Result: goodIf(len(raw) == 64)}},
		Out: []Value{{Name: "ES256", Result: result}},
	}
}

// claimsStep holds what a token says to what it came with, claim by claim.
func (q *traced) claimsStep(payload []byte) Step {
	step := Step{Name: StepClaims, Result: Invalid, In: []Value{{Kind: KindJSON, Text: indented(payload)}}}
	var claims struct {
		tokenClaims
		IssuedAt int64 `json:"iat"`
		App      int64 `json:"aid"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return step
	}
	step.Result = ""
	claim := func(name, text, want string, good bool) {
		v := Value{Name: name, Text: text, Want: want}
		if want != "" {
			v.Result = goodIf(good)
		}
		step.Result = worse(step.Result, v.Result)
		step.Out = append(step.Out, v)
	}
	equal := func(name, text, want string) { claim(name, text, want, text == want) }
	about := q.reading.Kind != Challenge // which has an id of its own, and names no source
	if about {
		equal("jti", claims.ID, q.reading.ID)
	}
	if about && q.contract == FattureInCloud {
		equal("iss", claims.Issuer, q.reading.Source)
		equal("sub", claims.Subject, q.reading.Subject)
	} else {
		equal("iss", claims.Issuer, "")
		equal("sub", claims.Subject, known(q.company, "company:"))
	}
	claim("aud", strings.Join(claims.Audience, " "), q.sink, slices.ContainsFunc(claims.Audience, q.wasSink))
	at := q.At.Unix()
	claim("exp", moment(claims.ExpiresAt), "> "+moment(at), at < claims.ExpiresAt)
	claim("iat", moment(claims.IssuedAt), "≤ "+moment(at), claims.IssuedAt <= at)
	equal("aid", strconv.FormatInt(claims.App, 10), known(q.app, ""))
	if claims.BodySHA256 != "" {
		sum := sha256.Sum256(q.Body)
		equal("body_sha256", claims.BodySHA256, base64.RawURLEncoding.EncodeToString(sum[:]))
	}
	return step
}

// known writes an id that a claim must have; nothing where it is not known.
func known(id int64, prefix string) string {
	if id == 0 {
		return ""
	}
	return prefix + strconv.FormatInt(id, 10)
}

// wasSink tells whether a URL is that of the sink when the request was made. The
// log does not keep its query, which may have changed since.
func (q *traced) wasSink(url string) bool {
	return url == q.sink || (q.arrived && sameAddress(url, q.sink)) || (q.changed && withoutQuery(url) == withoutQuery(q.URL))
}

// moment writes a NumericDate (RFC 7519, section 2) for readers.
func moment(seconds int64) string {
	return fmt.Sprintf("%d (%s)", seconds, time.Unix(seconds, 0).UTC().Format(time.RFC3339))
}

// shownOfToken is how much of a token, or of a part of it, is shown: a receiver
// finds it in what it has, and nobody can use it.
const shownOfToken = 24

func abridged(text string) string {
	if len(text) <= shownOfToken {
		return text
	}
	return text[:shownOfToken] + "…"
}

func indented(object []byte) string {
	var pretty bytes.Buffer
	if json.Indent(&pretty, object, "", "  ") != nil {
		return strings.ToValidUTF8(string(object), "�")
	}
	return pretty.String()
}
