package inspect

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// A Trace is the check of the signatures of one scheme, made step by step as a
// receiver makes it.
type Trace struct {
	Scheme string
	Result string // Valid, Invalid, Unchecked: of all steps together
	Anew   bool   // the log does not keep the token: it was made anew
	Steps  []Step
}

// A Step is a part of a check: what goes in, and what comes out.
type Step struct {
	Name    string // one of the names below
	Result  string // Valid, Invalid, Unchecked; empty = there is nothing to judge
	In, Out []Value
}

// The names of steps.
const (
	StepFields   = "fields"   // the header fields of the signature
	StepTime     = "time"     // its time is near that of the request
	StepContent  = "content"  // what is signed is put together
	StepSecret   = "secret"   // the secrets that may have signed
	StepHMAC     = "hmac"     // what each of them makes of it
	StepCompare  = "compare"  // that is compared with what was sent
	StepPublic   = "public"   // the public keys that may be of who signed
	StepVerify   = "verify"   // each signature with each of them
	StepToken    = "token"    // a token is taken apart
	StepHeader   = "header"   // its header is read
	StepKey      = "key"      // the key that it names is looked up
	StepInput    = "input"    // what of it is signed
	StepChecked  = "checked"  // its signature with that key
	StepClaims   = "claims"   // what it says, with what it came with
	StepDigest   = "digest"   // the hash of the body
	StepBase     = "base"     // the signature base
	StepCoverage = "coverage" // the signature covers all that it must
)

// StepNames gives all of them.
func StepNames() []string {
	return []string{
		StepFields, StepTime, StepContent, StepSecret, StepHMAC, StepCompare, StepPublic, StepVerify,
		StepToken, StepHeader, StepKey, StepInput, StepChecked, StepClaims, StepDigest, StepBase, StepCoverage,
	}
}

// A Value goes into a step, or comes out of it.
type Value struct {
	Name   string // of a header field, claim or the like, as it stands in the request
	Kind   string // else one of the kinds below
	Number int    // of several of one kind, from 1; 0 = there is one
	Text   string
	Want   string // what it must be; empty = there is nothing to compare
	Result string // as that of a step
	Note   string // one of the notes below; empty = none
}

// The kinds of value.
const (
	KindAt          = "at"          // when the request was made
	KindCame        = "came"        // when it came in
	KindApart       = "apart"       // how far that is from the time of the signature
	KindBody        = "body"        // how many bytes it has
	KindContent     = "content"     // what is signed
	KindSHA256      = "sha256"      // its hash, in hexadecimal digits
	KindSecret      = "secret"      // the fingerprint of a secret
	KindPublic      = "public"      // a public key
	KindSignature   = "signature"   // a signature as it was sent
	KindComputed    = "computed"    // one as it was computed
	KindJSON        = "json"        // a part of a token, decoded
	KindPEM         = "pem"         // a public key in PEM
	KindKeySet      = "keyset"      // how many keys are published
	KindTokenHeader = "tokenheader" // the parts of a token
	KindPayload     = "payload"
	KindBase        = "base"
)

// KindNames gives all of them.
func KindNames() []string {
	return []string{
		KindAt, KindCame, KindApart, KindBody, KindContent, KindSHA256, KindSecret, KindPublic, KindSignature, KindComputed,
		KindJSON, KindPEM, KindKeySet, KindTokenHeader, KindPayload, KindBase,
	}
}

// The notes on values.
const (
	NoteInForce   = "inforce"   // the secret or key signs
	NoteReplaced  = "replaced"  // it has been replaced, and no longer signs
	NoteNoMatch   = "nomatch"   // the signature is of none of the keys
	NoteForgotten = "forgotten" // likewise, but the subscription has changed since: the key may be kept no longer
	NoteCut       = "cut"       // there is more than is shown
	NoteUnknown   = "unknown"   // no such key is published, or no longer
	NotePublished = "published" // this service publishes the key
	NoteOfBin     = "bin"       // the key was entered for the bin
	NoteEntered   = "entered"   // the key was entered for this check alone
)

// NoteNames gives all of them.
func NoteNames() []string {
	return []string{NoteInForce, NoteReplaced, NoteNoMatch, NoteForgotten, NoteCut, NoteUnknown, NotePublished, NoteOfBin, NoteEntered}
}

// A Tracer makes traces for those who sent the request: it has all the keys.
type Tracer struct {
	Keychain *sign.Keychain
	KeySet   func() []byte // the service's own public keys, as a JWK set (RFC 7517)
	// Resigners are the contracts some of whose signatures the log does not
	// keep, by name.
	Resigners map[string]Resigner
}

// A Resigner puts back into a request what its contract signs with and the log
// does not keep.
type Resigner interface {
	Resign(r *fattorino.Request, s *fattorino.Subscription, at time.Time) error
}

// A traced request, with what is known of its sender.
type traced struct {
	*Request
	reading  *Reading
	keys     *Keys
	contract string
	sink     string // as it is registered
	app      int64  // 0 = not known
	company  int64  // likewise
	changed  bool   // the subscription was, since
	anew     bool
	arrived  bool // it is looked at where it came in
}

// Trace checks the signatures of an attempt to notify the subscription as its
// receiver does, at the time of the attempt. It gives none where the request
// has no signature, or is kept with another delivery of its batch.
//
// Secrets and tokens are in no trace, but the sink as it is registered may be.
func (p *Tracer) Trace(s *fattorino.Subscription, a *fattorino.Attempt) []Trace {
	if a.BatchOf != 0 {
		return nil
	}
	r, anew := p.complete(s, a)
	keys := &Keys{tokens: ownTokenKeys(p.KeySet())}
	for _, secret := range s.Secrets {
		keys.open(p.Keychain, secret, standing(secret, a.StartedAt))
	}
	q := &traced{
		Request: r, reading: Read(r), keys: keys, contract: s.Contract, sink: s.Sink, app: s.App, company: s.Company,
		changed: s.UpdatedAt.After(a.StartedAt), anew: anew,
	}
	return q.traces()
}

// Trace checks the signatures of a request that has arrived at a bin, step by
// step, at the time when it came. It gives none where the request has no
// signature, or is not kept whole. Secrets and tokens are in no trace.
func (b *Bins) Trace(bin *Bin, r *Request, aid Aid) []Trace {
	if r.Cut {
		return nil
	}
	reading := Read(r)
	r, senders := b.sentBy(r, reading, aid.Senders)
	q := &traced{
		Request: r, reading: reading, keys: b.keysFor(bin, r, senders, aid.Entered), contract: reading.Contract, sink: r.Sink(reading), arrived: true,
	}
	for _, s := range senders {
		q.changed = q.changed || s.UpdatedAt.After(r.At)
	}
	if len(senders) == 1 {
		q.app, q.company = senders[0].App, senders[0].Company
	}
	return q.traces()
}

// sentBy gives those of the subscriptions whose sink a request was sent to, and
// the request as they address it: what comes through a proxy may not say whether
// it was https.
func (b *Bins) sentBy(r *Request, reading *Reading, subs []*fattorino.Subscription) (*Request, []*fattorino.Subscription) {
	var senders []*fattorino.Subscription
	for _, s := range subs {
		if sameAddress(s.Sink, r.Sink(reading)) && (reading.Contract == "" || s.Contract == reading.Contract) {
			senders = append(senders, s)
		}
	}
	if len(senders) > 0 {
		scheme, _, _ := strings.Cut(senders[0].Sink, "://")
		_, rest, _ := strings.Cut(r.URL, "://")
		as := *r
		as.URL = scheme + "://" + rest
		return &as, senders
	}
	return r, nil
}

// SentBy gives those of the subscriptions whose sink a request was sent to.
func (b *Bins) SentBy(r *Request, subs []*fattorino.Subscription) []*fattorino.Subscription {
	_, senders := b.sentBy(r, Read(r), subs)
	return senders
}

// sameAddress tells whether two URLs are the same but for http and https.
func sameAddress(a, b string) bool {
	_, aRest, _ := strings.Cut(a, "://")
	_, bRest, _ := strings.Cut(b, "://")
	return aRest == bRest
}

// traces checks every signature that there is.
func (q *traced) traces() (list []Trace) {
	if token := bearer(q.Request); token != "" {
		list = append(list, q.traceToken(token))
	}
	for _, scheme := range schemesOf(q.Request) {
		switch scheme {
		case SchemeV1:
			list = append(list, q.traceHMAC())
		case SchemeV1a:
			list = append(list, q.traceEd25519())
		case SchemeHTTPSig:
			list = append(list, q.traceHTTP()...)
		}
	}
	return list
}

// complete gives the request of an attempt with what the log leaves out: the
// query of its URL, and a token. Anew tells of a token that it was made anew.
func (p *Tracer) complete(s *fattorino.Subscription, a *fattorino.Attempt) (_ *Request, anew bool) {
	sent := a.Request
	if withoutQuery(s.Sink) == sent.URL {
		sent.URL = s.Sink
	}
	hidden := slices.ContainsFunc(sent.Header, isHiddenToken)
	if resigner := p.Resigners[s.Contract]; hidden && resigner != nil {
		again := sent
		again.Header = slices.DeleteFunc(slices.Clone(sent.Header), isHiddenToken)
		if resigner.Resign(&again, s, a.StartedAt) == nil && len(again.Header) == len(sent.Header) {
			sent, anew = again, true
		}
	}
	return &Request{At: a.StartedAt, Method: sent.Method, URL: sent.URL, Header: sent.Header, Body: sent.Body}, anew
}

func withoutQuery(url string) string {
	base, _, _ := strings.Cut(url, "?")
	return base
}

func isHiddenToken(h fattorino.Header) bool {
	return strings.EqualFold(h.Name, "authorization") && (h.Secret || h.Value == fattorino.Hidden)
}

// add adds a step, which counts for the result of the trace.
func (p *Trace) add(s Step) {
	p.Steps = append(p.Steps, s)
	p.Result = worse(p.Result, s.Result)
}

// worse gives the result of two things of which both must be good.
func worse(a, b string) string {
	for _, result := range []string{Invalid, Unchecked, Valid} {
		if a == result || b == result {
			return result
		}
	}
	return ""
}

// better gives the result of two things of which one must be good.
func better(a, b string) string {
	for _, result := range []string{Valid, Unchecked, Invalid} {
		if a == result || b == result {
			return result
		}
	}
	return ""
}

// goodIf is Valid or Invalid.
func goodIf(good bool) string {
	if good {
		return Valid
	}
	return Invalid
}

// maxShown bounds what is shown of a text, in bytes.
const maxShown = 4 << 10

// shown gives a value with as much of a text as is shown.
func shown(kind string, text []byte) Value {
	v := Value{Kind: kind}
	if len(text) > maxShown {
		text, v.Note = text[:maxShown], NoteCut
	}
	v.Text = strings.ToValidUTF8(string(text), "�")
	return v
}

// timeStep holds the time of a signature, in Unix seconds, against that of the
// request.
func (q *traced) timeStep(name, seconds string) Step {
	when := KindAt
	if q.arrived {
		when = KindCame
	}
	step := Step{Name: StepTime, Result: Invalid, In: []Value{
		{Name: name, Text: seconds},
		{Kind: when, Text: q.At.UTC().Format(time.RFC3339)},
	}}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return step
	}
	apart := q.At.Truncate(time.Second).Sub(time.Unix(n, 0))
	step.Result = goodIf(apart.Abs() <= clockSkew)
	step.Out = []Value{{Kind: KindApart, Text: apart.String(), Want: "≤ " + clockSkew.String(), Result: step.Result}}
	return step
}
