package inspect

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dunglas/httpsfv"

	"github.com/fattorino-dev/fattorino/internal/sign"
)

// traceHTTP checks HTTP Message Signatures (RFC 9421), each by itself: while
// keys change places there are two.
func (q *traced) traceHTTP() []Trace {
	inputs, err := httpsfv.UnmarshalDictionary([]string{q.field("signature-input")})
	if err != nil {
		return []Trace{{Scheme: SchemeHTTPSig, Result: Invalid}}
	}
	var traces []Trace
	for i, label := range inputs.Names() {
		if i == maxLabels {
			break
		}
		member, _ := inputs.Get(label)
		input, ok := member.(httpsfv.InnerList)
		if !ok {
			traces = append(traces, Trace{Scheme: SchemeHTTPSig, Result: Invalid})
			continue
		}
		traces = append(traces, q.traceLabel(label, input))
	}
	return traces
}

// traceLabel checks the signature of a label.
func (q *traced) traceLabel(label string, input httpsfv.InnerList) Trace {
	trace := Trace{Scheme: SchemeHTTPSig}
	signature, sent := q.httpSignature(label)
	trace.add(Step{
		Name: StepFields, Result: goodIf(sent),
		Out: []Value{{Name: "signature-input", Text: q.field("signature-input")}, {Name: "signature", Text: q.field("signature"), Result: goodIf(sent)}},
	})
	trace.add(q.digestStep())
	trace.add(q.coverageStep(input))
	created, _ := input.Params.Get("created")
	trace.add(q.timeStep("created", fmt.Sprint(created)))
	base, err := q.signatureBase(input)
	if err != nil {
		trace.add(Step{Name: StepBase, Result: Invalid})
		return trace
	}
	sum := sha256.Sum256(base)
	trace.add(Step{Name: StepBase, In: components(input), Out: []Value{shown(KindBase, base), {Kind: KindSHA256, Text: fmt.Sprintf("%x", sum)}}})
	kid, _ := input.Params.Get("keyid")
	known := q.publicStep()
	known.In = []Value{{Name: "keyid", Text: fmt.Sprint(kid)}}
	trace.add(known)
	if len(q.keys.ed25519) == 0 {
		return trace
	}
	v := q.unmatched(0, base64.StdEncoding.EncodeToString(signature))
	for _, key := range q.keys.ed25519 {
		if key.KID() == kid && key.Verify(base, signature) {
			v.Result, v.Note = Valid, ""
		}
	}
	trace.add(Step{Name: StepVerify, Result: v.Result, In: []Value{{Kind: KindBase, Text: bytesOf(len(base))}, {Name: "keyid", Text: fmt.Sprint(kid)}}, Out: []Value{v}})
	return trace
}

// httpSignature gives the signature of a label.
func (q *traced) httpSignature(label string) (signature []byte, sent bool) {
	all, err := httpsfv.UnmarshalDictionary([]string{q.field("signature")})
	if err != nil {
		return nil, false
	}
	member, _ := all.Get(label)
	item, _ := member.(httpsfv.Item)
	signature, sent = item.Value.([]byte)
	return signature, sent
}

// digestStep holds Content-Digest (RFC 9530) to the body.
func (q *traced) digestStep() Step {
	sum := sha256.Sum256(q.Body)
	want := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	sent := q.field("content-digest")
	result := goodIf(sent == want)
	return Step{
		Name: StepDigest, Result: result,
		In:  []Value{{Kind: KindBody, Text: bytesOf(len(q.Body))}},
		Out: []Value{{Name: "content-digest", Text: sent, Want: want, Result: result}},
	}
}

// coverageStep makes sure that all is covered that the contract promises.
func (q *traced) coverageStep(input httpsfv.InnerList) Step {
	step := Step{Name: StepCoverage, Result: Valid}
	covered := map[string]bool{}
	for _, item := range input.Items {
		covered[fmt.Sprint(item.Value)] = true
	}
	for _, name := range coveredComponents(q.field("ce-specversion") != "") {
		result := goodIf(covered[name])
		step.Result = worse(step.Result, result)
		step.Out = append(step.Out, Value{Name: name, Result: result})
	}
	return step
}

// components gives the covered components and the parameters, by name.
func components(input httpsfv.InnerList) (list []Value) {
	for _, name := range input.Params.Names() {
		value, _ := input.Params.Get(name)
		list = append(list, Value{Name: name, Text: fmt.Sprint(value)})
	}
	return list
}

var errComponent = errors.New("a component has a form that is never sent")

// signatureBase gives what is signed: a line for each component, and the
// parameters as the last (RFC 9421, section 2.5).
func (q *traced) signatureBase(input httpsfv.InnerList) ([]byte, error) {
	params, err := httpsfv.Marshal(input)
	if err != nil {
		return nil, err
	}
	var base []byte
	for _, item := range input.Items {
		name, ok := item.Value.(string)
		if !ok || len(item.Params.Names()) > 0 {
			return nil, errComponent
		}
		value := strings.Trim(q.field(name), " \t")
		switch {
		case name == "@method":
			value = q.Method
		case name == "@target-uri":
			if value, err = sign.TargetURI(q.URL); err != nil {
				return nil, err
			}
		case strings.HasPrefix(name, "@"):
			return nil, errComponent
		}
		base = fmt.Appendf(base, "%s: %s\n", strconv.Quote(name), value)
	}
	return fmt.Appendf(base, `"@signature-params": %s`, params), nil
}
