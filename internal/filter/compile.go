package filter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// maxFilters bounds the JSON text of a subscription's filters, in bytes.
const maxFilters = 64 << 10

// Compile reads the filters of a subscription, a JSON array; nothing and null
// are as good as an empty array, which every event passes.
//
// An error is a [*fattorino.Error] of kind Invalid with a fault for everything
// that is wrong. The fields of its faults are dotted paths that begin with
// "filters", as "filters.1.any.0.exact.type".
func Compile(filters json.RawMessage) (*Filter, error) {
	raw := bytes.TrimSpace(filters)
	if len(raw) == 0 || string(raw) == "null" {
		return &Filter{}, nil
	}
	c := compiler{pointers: newPointers()}
	const at = "filters"
	var conditions []condition
	switch {
	case len(raw) > maxFilters:
		c.fault(at, "are longer than %d bytes", maxFilters)
	case !json.Valid(raw):
		c.fault(at, "are no JSON")
	default:
		if items, ok := c.array(raw, at); ok {
			conditions = c.filters(items, at, 1)
		}
	}
	if len(c.faults) > 0 {
		return nil, &fattorino.Error{Kind: fattorino.Invalid, Msg: "the filters are not valid", Faults: c.faults}
	}
	f := &Filter{conditions: conditions}
	if c.pointers.count > 0 {
		f.pointers = c.pointers
	}
	return f, nil
}

// A compiler gathers what is wrong while it reads filters. What it makes is of
// use only if nothing is.
type compiler struct {
	faults   []fattorino.Fault
	pointers *pointers
}

func (c *compiler) fault(at, format string, args ...any) {
	c.faults = append(c.faults, fattorino.Fault{Field: at, Msg: fmt.Sprintf(format, args...)})
}

func (c *compiler) filters(items []json.RawMessage, at string, depth int) []condition {
	conditions := make([]condition, len(items))
	for i, raw := range items {
		conditions[i] = c.filter(raw, at+"."+strconv.Itoa(i), depth)
	}
	return conditions
}

// filter reads an object whose one member is named after its dialect.
func (c *compiler) filter(raw json.RawMessage, at string, depth int) condition {
	const dialects = "exact, prefix, suffix, all, any, not, sql or data"
	if depth > maxNesting {
		c.fault(at, "is nested deeper than %d levels", maxNesting)
		return nil
	}
	members, ok := c.object(raw, at)
	if !ok {
		return nil
	}
	if len(members) != 1 {
		c.fault(at, "must have one member, named after its dialect: %s", dialects)
		return nil
	}
	dialect, value := members[0].name, members[0].value
	at += "." + shorten(dialect)
	switch dialect {
	case "exact", "prefix", "suffix":
		return c.text(value, at, comparing(dialect))
	case "all":
		return allOf(c.some(value, at, depth))
	case "any":
		return anyOf(c.some(value, at, depth))
	case "not":
		return negation{c.filter(value, at, depth+1)}
	case "sql":
		return c.sql(value, at)
	case "data":
		return c.data(value, at)
	}
	c.fault(at, "is no filter dialect; there are %s", dialects)
	return nil
}

// some reads the array of all and any.
func (c *compiler) some(raw json.RawMessage, at string, depth int) []condition {
	items, ok := c.array(raw, at)
	if ok && len(items) == 0 {
		c.fault(at, "must have at least one filter")
	}
	return c.filters(items, at, depth+1)
}

// text reads the attributes of exact, prefix and suffix, and their texts.
func (c *compiler) text(raw json.RawMessage, at string, holds func(attribute, text string) bool) condition {
	members, ok := c.object(raw, at)
	if ok && len(members) == 0 {
		c.fault(at, "must name at least one attribute")
	}
	condition := &textCondition{holds: holds}
	for _, m := range members {
		field := at + "." + shorten(m.name)
		switch {
		case m.name == "":
			c.fault(field, "the name of an attribute must not be empty")
		case m.name == "data":
			c.fault(field, `is no attribute; filter data with {"data": {"pointer": …}}`)
		case strings.Trim(m.name, "abcdefghijklmnopqrstuvwxyz0123456789") != "":
			c.fault(field, "is no attribute name: those have lower-case letters and digits only")
		}
		s, ok := c.string(m.value, field)
		if ok && s == "" {
			c.fault(field, "must not be empty")
		}
		condition.pairs = append(condition.pairs, pair{attributeOf(m.name), s})
	}
	return condition
}

// sql reads an expression. One that calls a function which does not exist
// could be evaluated, and would not let pass what its author means.
func (c *compiler) sql(raw json.RawMessage, at string) condition {
	source, ok := c.string(raw, at)
	if !ok {
		return nil
	}
	x, err := ParseSQL(source)
	if err == nil && x.missing != nil {
		err = x.missing
	}
	if wrong, ok := errors.AsType[*Error](err); ok {
		c.fault(at, "at byte %d: %s", wrong.Pos, wrong.Msg)
		return nil
	}
	return sqlCondition{x.root}
}

// A member of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// object reads the members of an object, in their order.
func (c *compiler) object(raw json.RawMessage, at string) ([]member, bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		c.fault(at, "must be an object")
		return nil, false
	}
	var members []member
	seen := map[string]bool{}
	for d.More() {
		var m member
		t, err := d.Token()
		m.name, _ = t.(string)
		if err = errors.Join(err, d.Decode(&m.value)); err != nil { // it cannot be: all of it is valid JSON
			c.fault(at, "cannot be read")
			return nil, false
		}
		if seen[m.name] {
			c.fault(at+"."+shorten(m.name), "is given more than once")
			continue
		}
		seen[m.name] = true
		members = append(members, m)
	}
	return members, true
}

func (c *compiler) array(raw json.RawMessage, at string) ([]json.RawMessage, bool) {
	var items []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
		c.fault(at, "must be an array")
		return nil, false
	}
	return items, true
}

func (c *compiler) string(raw json.RawMessage, at string) (string, bool) {
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		c.fault(at, "must be a string")
		return "", false
	}
	return s, true
}
