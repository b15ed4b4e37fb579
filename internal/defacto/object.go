package defacto

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// An object is a JSON object of a request, read member by member. What is
// wrong with a member is noted and not returned, so that a caller is told of
// everything at once. A member that is null counts as left out: clients made
// from the API description send null for what was not set. Members that nobody
// asks for are of no concern.
type object struct {
	at      string // dotted path of the object, with a dot at its end; empty for the whole body
	members map[string]json.RawMessage
	faults  *[]fattorino.Fault
}

// readObject reads a body. It fails with Malformed for what is no JSON, and
// with Invalid for JSON that is no object.
func readObject(body []byte) (*object, error) {
	if !utf8.Valid(body) {
		return nil, fattorino.Errorf(fattorino.Malformed, "the request body is not valid UTF-8")
	}
	if !json.Valid(body) {
		return nil, fattorino.Errorf(fattorino.Malformed, "the request body is not valid JSON")
	}
	o := &object{faults: new([]fattorino.Fault)}
	if json.Unmarshal(body, &o.members) != nil || o.members == nil {
		return nil, fattorino.InvalidField("body", "the request body must be a JSON object")
	}
	return o, nil
}

// err gives what was found wrong; nil for nothing.
func (o *object) err() error {
	if len(*o.faults) == 0 {
		return nil
	}
	return &fattorino.Error{Kind: fattorino.Invalid, Msg: "the request breaks a rule: see invalid_params", Faults: *o.faults}
}

func (o *object) fault(name, format string, args ...any) {
	*o.faults = append(*o.faults, fattorino.Fault{Field: o.at + name, Msg: fmt.Sprintf(format, args...)})
}

// has tells whether the member is there and not null.
func (o *object) has(name string) bool {
	raw, ok := o.members[name]
	return ok && string(raw) != "null"
}

// member reads a member into what v points to; false where it is left out or
// not what belongs there.
func (o *object) member(name, kind string, v any) bool {
	if !o.has(name) {
		return false
	}
	if err := json.Unmarshal(o.members[name], v); err != nil {
		o.fault(name, "must be %s", kind)
		return false
	}
	return true
}

// text reads a string of at most limit bytes into where, which is left as it
// is when there is none.
func (o *object) text(name string, limit int, where **string) {
	var s string
	if !o.member(name, "a string", &s) {
		return
	}
	if len(s) > limit {
		o.fault(name, "has more than %d bytes", limit)
		return
	}
	*where = &s
}

// oneOf reads a string that must be one of a list.
func (o *object) oneOf(name string, list []string, where **string) {
	var s string
	if !o.member(name, "a string", &s) {
		return
	}
	if !slices.Contains(list, s) {
		o.fault(name, "must be one of %q", list)
		return
	}
	*where = &s
}

// cents reads an amount of money: an integer, written as one.
func (o *object) cents(name string, where **int64) {
	if !o.has(name) {
		return
	}
	n, err := strconv.ParseInt(string(o.members[name]), 10, 64)
	if err != nil {
		o.fault(name, "must be an integer: amounts are in cents")
		return
	}
	if n < 0 || n > maxCents {
		o.fault(name, "must be from 0 to %d cents", int64(maxCents))
		return
	}
	*where = &n
}

// maxCents is the greatest amount: what every JSON reader can hold exactly
// (RFC 8259, section 6).
const maxCents = 1<<53 - 1

// flag reads true or false; otherwise is what it is where it is left out.
func (o *object) flag(name string, otherwise bool) bool {
	b := otherwise
	o.member(name, "true or false", &b)
	return b
}

// object reads a member that is an object; nil where it is left out or none.
func (o *object) object(name string) *object {
	inner := &object{at: o.at + name + ".", faults: o.faults}
	if !o.member(name, "an object", &inner.members) {
		return nil
	}
	return inner
}
