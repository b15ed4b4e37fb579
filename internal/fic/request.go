package fic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// maxTypes bounds the types of one request; there are 78 to name.
const maxTypes = 1000

// A request is the body of a create, modify or verify call. A field's zero
// value is that it was not given.
type request struct {
	given  bool // there is a "data" at all
	sink   *string
	types  []string // as written, groups and old names included; [] is not nil
	format fattorino.Format
	method fattorino.Method

	faults []fattorino.Fault // every value that has the wrong form
}

// readRequest reads a body. The SDKs send null or {} when they are given
// nothing; these and the empty body are a request without "data".
//
// Fields that are not known are ignored, and so are id and verified, which
// only answers set. A field that is null was not given. PHP writes an empty
// object as [], which is read as one. It fails with Malformed for what is no
// JSON at all; faults are for the methods below to report.
func readRequest(body []byte) (request, error) {
	if !utf8.Valid(body) {
		return request{}, fattorino.Errorf(fattorino.Malformed, "the request body is not valid UTF-8")
	}
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return request{}, nil
	}
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return request{}, fattorino.Errorf(fattorino.Malformed, "the request body is not valid JSON at byte %d: %v", syntax.Offset, syntax)
		}
		return request{}, &fattorino.Error{Kind: fattorino.Malformed, Msg: "the request body is not valid JSON", Err: err}
	}
	var r request
	data := r.object("data", r.body(whole)["data"])
	if data == nil {
		return r, nil
	}
	r.given = true
	r.sink = r.text("data.sink", data["sink"])
	r.types = r.texts("data.types", data["types"])
	config := r.object("data.config", data["config"])
	r.format = fattorino.Format(r.choice("data.config.mapping", config["mapping"], string(fattorino.Binary), string(fattorino.Structured)))
	r.method = fattorino.Method(r.choice("data.verification_method", data["verification_method"], string(fattorino.ByHeader), string(fattorino.ByQuery)))
	return r, nil
}

// forCreate gives what to create: sink and types are needed, the rest has
// defaults.
func (r *request) forCreate(company int64) (fattorino.NewSubscription, error) {
	n := fattorino.NewSubscription{
		Company: company, Contract: name, Types: renew(r.types), Format: r.format, Method: r.method,
	}
	if r.needData() {
		if r.sink == nil {
			r.require("data.sink")
		} else {
			n.Sink = *r.sink
		}
		if len(r.types) == 0 {
			r.require("data.types")
		}
	}
	if n.Format == "" {
		n.Format = fattorino.Binary
	}
	if n.Method == "" {
		n.Method = fattorino.ByHeader
	}
	return n, r.err()
}

// forModify gives what to change: the fields given, and no others (A9).
func (r *request) forModify() (fattorino.SubscriptionChange, error) {
	c := fattorino.SubscriptionChange{Sink: r.sink, Method: r.method}
	r.needData()
	if r.types != nil {
		c.Types = renew(r.types)
		if len(c.Types) == 0 {
			r.fault("data.types", "The data.types field must have at least 1 item.")
		}
	}
	if r.format != "" {
		c.Format = &r.format
	}
	if c.Method == "" {
		c.Method = fattorino.ByHeader
	}
	return c, r.err()
}

// forVerify gives how the challenge shall travel. Nothing is needed: the
// method is not remembered from one call to the next.
func (r *request) forVerify() (fattorino.Method, error) {
	if r.method == "" {
		r.method = fattorino.ByHeader
	}
	return r.method, r.err()
}

// needData tells whether "data" was given, and notes a fault where it was not.
func (r *request) needData() bool {
	if !r.given && len(r.faults) == 0 {
		r.require("data")
	}
	return r.given
}

func (r *request) require(field string) {
	if !r.blamed(field) {
		r.fault(field, "The %s field is required.", field)
	}
}

// blamed tells whether the field has a fault already: what has the wrong form
// is not missing as well.
func (r *request) blamed(field string) bool {
	for _, f := range r.faults {
		if f.Field == field || strings.HasPrefix(f.Field, field+".") {
			return true
		}
	}
	return false
}

func (r *request) fault(field, format string, args ...any) {
	r.faults = append(r.faults, fattorino.Fault{Field: field, Msg: fmt.Sprintf(format, args...)})
}

// err gives the faults as one error, whose message is the first of them.
func (r *request) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	msg := r.faults[0].Msg
	switch more := len(r.faults) - 1; more {
	case 0:
	case 1:
		msg += " (and 1 more error)"
	default:
		msg += fmt.Sprintf(" (and %d more errors)", more)
	}
	return &fattorino.Error{Kind: fattorino.Invalid, Msg: msg, Faults: r.faults}
}

// absent tells whether a field was not given.
func absent(raw json.RawMessage) bool {
	return len(raw) == 0 || string(raw) == "null"
}

// body gives the members of the whole body.
func (r *request) body(raw json.RawMessage) map[string]json.RawMessage {
	members, ok := object(raw)
	if !ok {
		r.fault("data", "The request body must be a JSON object.")
	}
	return members
}

// object gives the members of an object; none where it is absent. Names are
// compared exactly, which decoding into a struct would not do.
func (r *request) object(field string, raw json.RawMessage) map[string]json.RawMessage {
	members, ok := object(raw)
	if !ok {
		r.fault(field, "The %s field must be an object.", field)
	}
	return members
}

func object(raw json.RawMessage) (members map[string]json.RawMessage, ok bool) {
	if absent(raw) {
		return nil, true
	}
	if empty := []json.RawMessage(nil); raw[0] == '[' && json.Unmarshal(raw, &empty) == nil && len(empty) == 0 {
		return map[string]json.RawMessage{}, true
	}
	return members, json.Unmarshal(raw, &members) == nil
}

// text gives a string; nil where it is absent. An empty one is as good as none.
func (r *request) text(field string, raw json.RawMessage) *string {
	if absent(raw) {
		return nil
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		r.fault(field, "The %s field must be a string.", field)
		return nil
	}
	if s == "" {
		r.require(field)
	}
	return &s
}

// texts gives an array of strings; nil where it is absent.
func (r *request) texts(field string, raw json.RawMessage) []string {
	if absent(raw) {
		return nil
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		r.fault(field, "The %s field must be an array.", field)
		return nil
	}
	if len(items) > maxTypes {
		r.fault(field, "The %s field must not have more than %d items.", field, maxTypes)
		return nil
	}
	texts := make([]string, 0, len(items))
	for i, item := range items {
		var s *string
		if json.Unmarshal(item, &s) != nil || s == nil {
			r.fault(fmt.Sprintf("%s.%d", field, i), "The %s.%d field must be a string.", field, i)
			continue
		}
		texts = append(texts, *s)
	}
	return texts
}

// choice gives one of two strings; empty where it is absent.
func (r *request) choice(field string, raw json.RawMessage, one, other string) string {
	if absent(raw) {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) != nil || (s != one && s != other) {
		r.fault(field, "The selected %s is invalid: it can be %s or %s.", field, one, other)
		return ""
	}
	return s
}
