package filter

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A dataCondition looks at the value that a pointer leads to.
type dataCondition struct {
	slot        int // of the value in the document
	exists      existence
	comparisons []comparison
}

// existence is what a condition asks of a value's being there.
type existence uint8

const (
	unasked existence = iota
	wanted
	unwanted
)

// A comparison is with a scalar; with several for the operators equals and in.
type comparison struct {
	operator string
	scalars  []scalar
}

func (c *dataCondition) match(_ *fattorino.Event, d *document) bool {
	raw, ok := d.value(c.slot)
	if !ok || c.exists == unwanted && raw != nil || c.exists == wanted && raw == nil {
		return false
	}
	if len(c.comparisons) == 0 {
		return true
	}
	v, ok := scalarOf(raw)
	if !ok {
		return false
	}
	for i := range c.comparisons {
		if !c.comparisons[i].holds(&v) {
			return false
		}
	}
	return true
}

func (c *comparison) holds(v *scalar) bool {
	switch c.operator {
	case "prefix":
		return v.kind == stringScalar && strings.HasPrefix(v.text, c.scalars[0].text)
	case "greater":
		order, ok := v.compare(&c.scalars[0])
		return ok && order > 0
	case "less":
		order, ok := v.compare(&c.scalars[0])
		return ok && order < 0
	}
	return slices.Contains(c.scalars, *v)
}

// data reads a condition on data.
func (c *compiler) data(raw json.RawMessage, at string) condition {
	const operators = "equals, in, exists, greater, less or prefix"
	members, ok := c.object(raw, at)
	if !ok {
		return nil
	}
	condition := &dataCondition{slot: -1}
	for _, m := range members {
		field := at + "." + shorten(m.name)
		switch m.name {
		case "pointer":
			condition.slot = c.pointer(m.value, field)
		case "exists":
			condition.exists = wanted
			if string(m.value) == "false" {
				condition.exists = unwanted
			} else if string(m.value) != "true" {
				c.fault(field, "must be true or false")
			}
		case "equals", "in", "greater", "less", "prefix":
			condition.comparisons = append(condition.comparisons, c.comparison(m, field))
		default:
			c.fault(field, "is not known here; beside pointer there are %s", operators)
		}
	}
	switch {
	case condition.slot < 0 && !slices.ContainsFunc(members, func(m member) bool { return m.name == "pointer" }):
		c.fault(at+".pointer", "is required")
	case condition.exists == unasked && len(condition.comparisons) == 0:
		c.fault(at, "must have at least one of %s", operators)
	case condition.exists == unwanted && len(condition.comparisons) > 0:
		c.fault(at+".exists", "must not be false beside other operators")
	}
	return condition
}

// pointer reads a JSON Pointer and gives the slot of its value.
func (c *compiler) pointer(raw json.RawMessage, at string) int {
	s, ok := c.string(raw, at)
	if !ok {
		return -1
	}
	tokens, ok := parsePointer(s)
	if !ok {
		c.fault(at, "is no JSON Pointer (RFC 6901), as /customer/country")
		return -1
	}
	return c.pointers.add(tokens)
}

// comparison reads what an operator compares with.
func (c *compiler) comparison(m member, at string) comparison {
	items := []json.RawMessage{m.value}
	if m.name == "in" {
		items, _ = c.array(m.value, at)
		if len(items) == 0 && m.value[0] == '[' {
			c.fault(at, "must have at least one value")
		}
	}
	result := comparison{operator: m.name, scalars: make([]scalar, len(items))}
	for i, raw := range items {
		field := at
		if m.name == "in" {
			field += "." + strconv.Itoa(i)
		}
		s, ok := scalarOf(raw)
		switch {
		case !ok && (raw[0] == '{' || raw[0] == '['):
			c.fault(field, "must be a string, number, Boolean or null")
		case !ok:
			c.fault(field, "has an exponent beyond %d", maxExponent)
		case m.name == "prefix" && (s.kind != stringScalar || s.text == ""):
			c.fault(field, "must be a string that is not empty")
		case (m.name == "greater" || m.name == "less") && s.kind != stringScalar && s.kind != numberScalar:
			c.fault(field, "must be a number or a string")
		}
		result.scalars[i] = s
	}
	return result
}
