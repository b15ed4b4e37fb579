package schema

import (
	"reflect"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A meter counts the steps of a check. A few lines of a schema can ask for more
// work than there is time for: "allOf" of twice the same, thirty deep, is a
// thousand million steps.
type meter struct{ left int }

// exhausted is what a check that takes too many steps panics with: the library
// knows no other way out.
type exhausted struct{}

func (m *meter) step() {
	if m.left--; m.left < 0 {
		panic(exhausted{})
	}
}

// attach has every schema reached from s count a step when it is applied. Its
// "format" is the place for it: that is looked at before anything that leads to
// further schemas. It fails with Invalid on references whose target depends on
// the way there: what they lead to is not counted.
func (m *meter) attach(s *jsonschema.Schema) error {
	seen := map[*jsonschema.Schema]bool{}
	m.visit(reflect.ValueOf(s), seen)
	for s := range seen {
		if s.DynamicRef != nil || s.RecursiveRef != nil {
			e := fattorino.InvalidField("schema", "the schema uses $dynamicRef or $recursiveRef, which are not taken here")
			e.Fix = "refer with $ref"
			return e
		}
		m.count(s)
	}
	return nil
}

// visit finds every schema that v holds.
func (m *meter) visit(v reflect.Value, seen map[*jsonschema.Schema]bool) {
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			m.visit(v.Elem(), seen)
		}
	case reflect.Pointer:
		s, ok := v.Interface().(*jsonschema.Schema)
		if !ok || s == nil || seen[s] {
			return
		}
		seen[s] = true
		fields := v.Elem()
		for i := range fields.NumField() {
			if fields.Type().Field(i).IsExported() {
				m.visit(fields.Field(i), seen)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			m.visit(v.Index(i), seen)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			m.visit(v.MapIndex(key), seen)
		}
	default: // holds no schema
	}
}

// count has s count.
func (m *meter) count(s *jsonschema.Schema) {
	said := s.Format
	s.Format = &jsonschema.Format{Validate: func(v any) error {
		m.step()
		if said == nil {
			return nil
		}
		return said.Validate(v)
	}}
	if said != nil {
		s.Format.Name = said.Name
	}
}
