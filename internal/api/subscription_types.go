package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// maxSeconds bounds the times that a subscriber may give, 7 days, so that none is
// too long to be counted: it is the longest that any of them may be.
const maxSeconds = 7 * 24 * 60 * 60

// faults are what is wrong with what a subscriber asks for.
type faults []fattorino.Fault

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, fattorino.Fault{Field: field, Msg: fmt.Sprintf(format, args...)})
}

// seconds reads a time span, to the millisecond; 0 = none is given.
func (f *faults) seconds(field string, n float64) time.Duration {
	switch {
	case n < 0:
		f.add(field, "a time is not negative")
	case n > maxSeconds:
		f.add(field, "%.0f seconds are more than 7 days", n)
	case n > 0 && n < 0.001:
		f.add(field, "%v seconds are less than a millisecond", n)
	default:
		return time.Duration(math.Round(n*1000)) * time.Millisecond
	}
	return 0
}

// wish reads what a subscriber asks for. Headers are given apart, to be sealed.
func (n *NewSubscription) wish(company int64) (*fattorino.NewSubscription, []fattorino.Header, error) {
	var f faults
	w := &fattorino.NewSubscription{
		Company: company, Contract: n.Contract, Sink: n.Sink, Types: n.Types, Format: n.Format, Method: n.VerificationMethod,
		Options: fattorino.Options{
			Name: n.Name, Description: n.Description, Metadata: n.Metadata, Handshake: n.Handshake, Signature: n.Signature,
			Thin: n.Thin, Rate: n.Rate, Concurrency: n.Concurrency, Timeout: f.seconds("timeout", float64(n.Timeout)),
			Ordering: ordering(n.Ordering), Template: n.Template, BatchSize: n.BatchSize, BatchLinger: f.seconds("batch_linger", n.BatchLinger),
		},
	}
	for i, wait := range n.Schedule {
		w.Options.Schedule = append(w.Options.Schedule, f.seconds(fmt.Sprintf("schedule.%d", i), float64(wait)))
	}
	if filters := bytes.TrimSpace(n.Filters); len(filters) > 0 && string(filters) != "null" && string(filters) != "[]" {
		w.Filters = filters
	}
	if n.EndsAt != "" {
		var err error
		if w.Options.EndsAt, err = time.Parse(time.RFC3339, n.EndsAt); err != nil {
			f.add("ends_at", "%q is not a time as 2030-12-31T23:59:59Z (RFC 3339)", n.EndsAt)
		}
	}
	switch {
	case n.Sink == "":
		f.add("sink", "the sink is required")
	case strings.Contains(n.Sink, "…"):
		f.add("sink", "the sink is as lists show it, without its query")
	}
	if len(n.Types) == 0 {
		f.add("types", "at least one type is required")
	}
	if !slices.Contains([]fattorino.Method{"", fattorino.ByHeader, fattorino.ByQuery}, n.VerificationMethod) {
		f.add("verification_method", "%q is none of header, query", n.VerificationMethod)
	}
	if w.Method == "" {
		w.Method = fattorino.ByHeader
	}
	var headers []fattorino.Header
	for _, name := range slices.Sorted(maps.Keys(n.Headers)) {
		headers = append(headers, fattorino.Header{Name: name, Value: n.Headers[name], Secret: true})
	}
	if len(f) > 0 {
		return nil, nil, &fattorino.Error{Kind: fattorino.Invalid, Msg: "the subscription breaks a rule", Faults: f}
	}
	return w, headers, nil
}

// ordering gives an ordering in the form in which it is kept: none is empty.
func ordering(asked string) fattorino.Ordering {
	if o := fattorino.Ordering(asked); o != fattorino.Unordered {
		return o
	}
	return ""
}

// choices gives what was chosen for a subscription, in the form in which it is
// asked for: what a patch changes.
func choices(sub *fattorino.Subscription, headers []fattorino.Header) *NewSubscription {
	o := sub.Options
	n := &NewSubscription{
		Contract: sub.Contract, Sink: sub.Sink, Types: sub.Types, Filters: sub.Filters, Format: sub.Format, Thin: o.Thin,
		Handshake: o.Handshake, Signature: o.Signature, Rate: o.Rate, Concurrency: o.Concurrency,
		Schedule: inSeconds(o.Schedule), Timeout: int(o.Timeout / time.Second),
		Ordering: string(o.Ordering), Template: o.Template, BatchSize: o.BatchSize, BatchLinger: o.BatchLinger.Seconds(),
		Name: o.Name, Description: o.Description, Metadata: o.Metadata,
	}
	if !o.EndsAt.IsZero() {
		n.EndsAt = o.EndsAt.UTC().Format(time.RFC3339Nano)
	}
	if len(headers) > 0 {
		n.Headers = map[string]string{}
	}
	for _, h := range headers {
		n.Headers[h.Name] = h.Value
	}
	return n
}

func inSeconds(waits []time.Duration) []int {
	var list []int
	for _, w := range waits {
		list = append(list, int(w/time.Second))
	}
	return list
}

// mergePatch applies a JSON merge patch (RFC 7396) to an object.
func mergePatch(target, patch map[string]json.RawMessage) error {
	for name, value := range patch {
		switch kind := firstByte(value); {
		case kind == 'n':
			delete(target, name)
		case kind == '{' && firstByte(target[name]) == '{':
			var inner, change map[string]json.RawMessage
			if err := json.Unmarshal(target[name], &inner); err != nil {
				return err
			}
			if err := json.Unmarshal(value, &change); err != nil {
				return err
			}
			if err := mergePatch(inner, change); err != nil {
				return err
			}
			merged, err := json.Marshal(inner)
			if err != nil {
				return err
			}
			target[name] = merged
		case kind == '{':
			// Where there was no object, its nulls take nothing away, and vanish.
			target[name] = json.RawMessage(`{}`)
			if err := mergePatch(target, map[string]json.RawMessage{name: value}); err != nil {
				return err
			}
		default:
			target[name] = value
		}
	}
	return nil
}

// firstByte tells the kind of a JSON value; 0 where there is none.
func firstByte(value json.RawMessage) byte {
	if value = bytes.TrimLeft(value, " \t\r\n"); len(value) > 0 {
		return value[0]
	}
	return 0
}

// showSubscription gives a subscription as its owner sees it: no secret, and of
// header fields the names alone.
func (s *server) showSubscription(sub *fattorino.Subscription) (Subscription, error) {
	o := sub.Options
	shown := Subscription{
		ID: sub.ID, Company: sub.Company, AppID: sub.App, Contract: sub.Contract, State: sub.State,
		Sink: sub.Sink, Types: orEmpty(sub.Types), Filters: sub.Filters, Format: sub.Format, Thin: o.Thin,
		Handshake: o.Handshake, Signature: o.Signature, HeaderNames: []string{},
		Rate: o.Rate, AllowedRate: sub.Handshake.Rate, Concurrency: o.Concurrency,
		Schedule: inSeconds(o.Schedule), Timeout: int(o.Timeout / time.Second),
		Ordering: string(o.Ordering), Template: o.Template, BatchSize: o.BatchSize, BatchLinger: o.BatchLinger.Seconds(),
		Name: o.Name, Description: o.Description, Metadata: o.Metadata, EndsAt: utc(o.EndsAt),
		HandshakeError: sub.Handshake.Error, FirstErrorAt: utc(sub.FirstErrorAt), ExpiresAt: utc(sub.ExpiresAt),
		CreatedAt: utc(sub.CreatedAt), UpdatedAt: utc(sub.UpdatedAt),
	}
	rules, ok := s.Contracts[sub.Contract]
	if !ok {
		return shown, nil
	}
	headers, err := rules.OpenHeaders(o.Headers)
	if err != nil {
		return shown, err
	}
	for _, h := range headers {
		shown.HeaderNames = append(shown.HeaderNames, h.Name)
	}
	if len(sub.Secrets) > 0 {
		shown.PublicKey, err = rules.PublicKey(sub.Secrets[0])
	}
	return shown, err
}

// withSecret adds the secret, for the one answer that holds it.
func withSecret(s Subscription, secret string) SubscriptionWithSecret {
	return SubscriptionWithSecret{
		ID: s.ID, Company: s.Company, AppID: s.AppID, Contract: s.Contract, State: s.State, Sink: s.Sink, Types: s.Types,
		Filters: s.Filters, Format: s.Format, Thin: s.Thin, Handshake: s.Handshake, Signature: s.Signature,
		Ordering: s.Ordering, Template: s.Template, BatchSize: s.BatchSize, BatchLinger: s.BatchLinger,
		PublicKey: s.PublicKey, HeaderNames: s.HeaderNames, Rate: s.Rate, AllowedRate: s.AllowedRate,
		Concurrency: s.Concurrency, Schedule: s.Schedule, Timeout: s.Timeout, Name: s.Name, Description: s.Description,
		Metadata: s.Metadata, EndsAt: s.EndsAt, HandshakeError: s.HandshakeError, FirstErrorAt: s.FirstErrorAt,
		ExpiresAt: s.ExpiresAt, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, Warnings: s.Warnings, Secret: secret,
	}
}

// entityTag is a strong validator (RFC 9110, section 8.8.1): it changes with
// anything that is shown. What an answer adds to the subscription, as warnings,
// does not count.
func entityTag(shown Subscription) (string, error) {
	shown.Warnings = nil
	text, err := json.Marshal(shown)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, nil
}

// matches tells whether If-Match names the tag (RFC 9110, section 13.1.1).
func matches(ifMatch, tag string) bool {
	for listed := range strings.SplitSeq(ifMatch, ",") {
		if listed = strings.TrimSpace(listed); listed == "*" || listed == tag {
			return true
		}
	}
	return false
}
