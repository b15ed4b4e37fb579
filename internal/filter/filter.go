package filter

import (
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A Filter is a compiled array of filters. It is safe for concurrent use. The
// nil Filter and the zero Filter match every event.
type Filter struct {
	conditions allOf
	pointers   *pointers // what conditions look at in data; nil where none does
}

// Match tells whether the event passes all of the filters. The event's data is
// read at most once, and only if a condition on data is reached.
func (f *Filter) Match(e *fattorino.Event) bool {
	if f == nil {
		return true
	}
	var d *document
	if f.pointers != nil {
		d = &document{event: e, pointers: f.pointers}
	}
	return f.conditions.match(e, d)
}

// A condition is a compiled filter. The document is nil where no condition of
// the whole Filter needs one.
type condition interface {
	match(e *fattorino.Event, d *document) bool
}

type allOf []condition

func (all allOf) match(e *fattorino.Event, d *document) bool {
	for _, c := range all {
		if !c.match(e, d) {
			return false
		}
	}
	return true
}

type anyOf []condition

func (all anyOf) match(e *fattorino.Event, d *document) bool {
	for _, c := range all {
		if c.match(e, d) {
			return true
		}
	}
	return false
}

type negation struct{ condition condition }

func (n negation) match(e *fattorino.Event, d *document) bool {
	return !n.condition.match(e, d)
}

type sqlCondition struct{ root node }

// match takes the Boolean true only (CESQL 1.0.0, section 1.2).
func (c sqlCondition) match(e *fattorino.Event, _ *document) bool {
	v, err := c.root.eval(e)
	return err == nil && v.Type == Boolean && v.Bool
}

// textCondition is a dialect that compares attributes with texts.
type textCondition struct {
	pairs []pair
	holds func(attribute, text string) bool
}

type pair struct {
	attribute attribute
	text      string
}

func isExact(attribute, text string) bool { return attribute == text }

func (c *textCondition) match(e *fattorino.Event, _ *document) bool {
	for i := range c.pairs {
		p := &c.pairs[i]
		v, found := p.attribute.in(e)
		if found != present || !c.holds(v.String(), p.text) {
			return false
		}
	}
	return true
}

// comparing gives what the dialect of that name asks of an attribute; nil
// where it is none of these.
func comparing(dialect string) func(attribute, text string) bool {
	switch dialect {
	case "exact":
		return isExact
	case "prefix":
		return strings.HasPrefix
	case "suffix":
		return strings.HasSuffix
	}
	return nil
}
