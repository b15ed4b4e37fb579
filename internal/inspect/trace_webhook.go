package inspect

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// The fields of Standard Webhooks 1.0.0.
const (
	webhookID        = "webhook-id"
	webhookTimestamp = "webhook-timestamp"
	webhookSignature = "webhook-signature"
)

// signedContent gives what Standard Webhooks signs: id, timestamp and body as
// they were sent, joined by dots.
func (q *traced) signedContent() []byte {
	return fmt.Appendf(nil, "%s.%s.%s", q.field(webhookID), q.field(webhookTimestamp), q.Body)
}

// webhookSteps adds the steps that both schemes of Standard Webhooks begin with.
func (q *traced) webhookSteps(p *Trace) {
	fields := Step{Name: StepFields}
	for _, name := range []string{webhookID, webhookTimestamp, webhookSignature} {
		value := q.field(name)
		fields.Out = append(fields.Out, Value{Name: name, Text: value, Result: goodIf(value != "")})
		fields.Result = worse(fields.Result, goodIf(value != ""))
	}
	p.add(fields)
	p.add(q.timeStep(webhookTimestamp, q.field(webhookTimestamp)))
	content := q.signedContent()
	sum := sha256.Sum256(content)
	p.add(Step{
		Name: StepContent,
		In: []Value{
			{Name: webhookID, Text: q.field(webhookID)},
			{Name: webhookTimestamp, Text: q.field(webhookTimestamp)},
			{Kind: KindBody, Text: bytesOf(len(q.Body))},
		},
		Out: []Value{shown(KindContent, content), {Kind: KindSHA256, Text: hex.EncodeToString(sum[:])}},
	})
}

func bytesOf(n int) string { return strconv.Itoa(n) + " B" }

// traceHMAC checks the signatures "v1,…".
func (q *traced) traceHMAC() Trace {
	trace := Trace{Scheme: SchemeV1}
	q.webhookSteps(&trace)
	known, keys := Step{Name: StepSecret}, q.keys.hmac
	for i, key := range keys {
		known.Out = append(known.Out, Value{
			Kind: KindSecret, Number: i + 1, Text: key.Fingerprint() + " · " + bytesOf(key.Size()), Note: key.note,
		})
	}
	if len(keys) == 0 {
		known.Result = Unchecked
		trace.add(known)
		return trace
	}
	trace.add(known)
	timestamp, _ := strconv.ParseInt(q.field(webhookTimestamp), 10, 64) // what is none has been refused
	computed := Step{Name: StepHMAC, In: []Value{{Kind: KindContent, Text: bytesOf(len(q.signedContent()))}}}
	for i, key := range keys {
		computed.In = append(computed.In, Value{Kind: KindSecret, Number: i + 1, Text: key.Fingerprint()})
		signature, err := key.AppendSignature(nil, q.field(webhookID), timestamp, q.Body)
		if err != nil {
			computed.Result = Invalid // the id is none that can be signed
			break
		}
		v := Value{Kind: KindComputed, Number: i + 1, Text: string(signature)}
		if key.lent && !slices.Contains(q.signatures(SchemeV1), v.Text) {
			// Whoever can send here would have anything signed with the secret.
			v.Text, v.Note = v.Text[:shownOfSignature]+"…", NoteCut
		}
		computed.Out = append(computed.Out, v)
	}
	trace.add(computed)
	trace.add(q.compareStep(computed.Out))
	return trace
}

// shownOfSignature is how much of a signature is shown that nobody has sent:
// enough to see that it is another.
const shownOfSignature = len("v1,") + 8

// signatures gives those of a version, as they were sent.
func (q *traced) signatures(version string) (list []string) {
	for signature := range strings.FieldsSeq(q.field(webhookSignature)) {
		if strings.HasPrefix(signature, version+",") {
			list = append(list, signature)
		}
	}
	return list
}

// compareStep compares each signature that was sent with each that was
// computed. One that is the same is enough: while secrets change places, each of
// them signs.
func (q *traced) compareStep(computed []Value) Step {
	step := Step{Name: StepCompare, In: computed}
	for i, signature := range q.signatures(SchemeV1) {
		v := q.unmatched(i+1, signature)
		for _, c := range computed {
			if c.Text == signature { // both are shown: there is no secret to be guessed
				v.Result, v.Want, v.Note = Valid, c.Text, ""
			}
		}
		step.Result = better(step.Result, v.Result)
		step.Out = append(step.Out, v)
	}
	return step
}

// unmatched gives a signature that is of no known key so far. Where the
// subscription has changed since, it may be of one that is no longer kept.
func (q *traced) unmatched(number int, signature string) Value {
	v := Value{Kind: KindSignature, Number: number, Text: signature, Result: Invalid, Note: NoteNoMatch}
	if q.changed {
		v.Result, v.Note = Unchecked, NoteForgotten
	}
	return v
}

// traceEd25519 checks the signatures "v1a,…".
func (q *traced) traceEd25519() Trace {
	trace := Trace{Scheme: SchemeV1a}
	q.webhookSteps(&trace)
	known, keys := q.publicStep(), q.keys.ed25519
	trace.add(known)
	if len(keys) == 0 {
		return trace
	}
	verify := Step{Name: StepVerify, In: append([]Value{{Kind: KindContent, Text: bytesOf(len(q.signedContent()))}}, known.Out...)}
	for i, signature := range q.signatures(SchemeV1a) {
		v := q.unmatched(i+1, signature)
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signature, SchemeV1a+","))
		for _, key := range keys {
			if err == nil && key.Verify(q.signedContent(), raw) {
				v.Result, v.Note = Valid, ""
			}
		}
		verify.Result = better(verify.Result, v.Result)
		verify.Out = append(verify.Out, v)
	}
	trace.add(verify)
	return trace
}

// publicStep tells of the public keys that there are.
func (q *traced) publicStep() Step {
	known := Step{Name: StepPublic}
	for i, key := range q.keys.ed25519 {
		known.Out = append(known.Out, Value{Kind: KindPublic, Number: i + 1, Text: key.String(), Note: key.note})
	}
	if len(q.keys.ed25519) == 0 {
		known.Result = Unchecked
	}
	return known
}

// standing says of a secret whether it signed at the time.
func standing(s fattorino.Secret, at time.Time) (note string) {
	if !s.EndsAt.IsZero() && !at.Before(s.EndsAt) {
		return NoteReplaced
	}
	return NoteInForce
}
