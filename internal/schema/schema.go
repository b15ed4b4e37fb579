// Package schema checks data against JSON Schema (draft 2020-12 where a schema
// does not say otherwise). A schema can neither reach out nor take unbounded
// work: references lead inside it alone, regular expressions are those of Go,
// which run in linear time, and the steps of each check are counted. What
// "format" says is checked (an option of draft 2020-12, validation, section
// 7.2.1).
package schema

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

const (
	// MaxFaults is how many faults are told of at most.
	MaxFaults = 32

	maxMessage = 300 // bytes of a fault's message, which can quote the data

	// One step is one schema applied to one value. The longest honest checks
	// take a few for each byte of data.
	freeSteps    = 100_000
	stepsPerByte = 4
)

// root is the address by which the compiler knows the schema itself.
const root = "schema:///"

// Compile reads a JSON Schema and gives what finds the faults of data: the
// JSON Pointer of each value at fault (RFC 6901; empty for the whole) and what
// is wrong with it, at most [MaxFaults]. Numbers are compared exactly. It may
// be called at the same time from several goroutines.
//
// It fails with Invalid, with faults whose fields begin with "schema", where
// the schema is none, refers outside itself, or uses $dynamicRef or
// $recursiveRef.
func Compile(schema []byte) (func(data []byte) []fattorino.Fault, error) {
	first, err := compile(schema)
	if err != nil {
		return nil, err
	}
	pool := sync.Pool{New: func() any {
		again, _ := compile(schema) // what compiled once does again
		return again
	}}
	pool.Put(first)
	return func(data []byte) []fattorino.Fault {
		c := pool.Get().(*compiled)
		defer pool.Put(c)
		return c.faults(data)
	}, nil
}

// compiled is a schema and the meter of its steps, for one check at a time.
type compiled struct {
	schema *jsonschema.Schema
	meter  *meter
}

func compile(schema []byte) (*compiled, error) {
	document, err := decode(schema)
	if err != nil {
		return nil, fattorino.InvalidField("schema", "the schema is not valid JSON: %v", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(closed{})
	compiler.AssertFormat()
	if err := compiler.AddResource(root, document); err != nil {
		return nil, explain(err)
	}
	c := &compiled{meter: &meter{}}
	if c.schema, err = compiler.Compile(root); err != nil {
		return nil, explain(err)
	}
	return c, c.meter.attach(c.schema)
}

// closed is the loader of what is outside a schema: nothing is.
type closed struct{}

// Load refuses.
func (closed) Load(string) (any, error) { return nil, errors.New("nothing is outside") }

// explain says what is wrong with a schema.
func explain(err error) error {
	if outside, ok := errors.AsType[*jsonschema.LoadURLError](err); ok {
		e := fattorino.InvalidField("schema", "the schema refers to %q, which is outside of it", cut(outside.URL))
		e.Fix = "put what it refers to under $defs"
		return e
	}
	if wrong, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if invalid, ok := errors.AsType[*jsonschema.ValidationError](wrong.Err); ok {
			e := &fattorino.Error{Kind: fattorino.Invalid, Msg: "the schema is not a JSON Schema"}
			for _, f := range gather(nil, invalid) {
				e.Faults = append(e.Faults, fattorino.Fault{Field: "schema" + f.Field, Msg: f.Msg})
			}
			return e
		}
	}
	return fattorino.InvalidField("schema", "the schema is not understood: %s", cut(strings.ReplaceAll(err.Error(), root, "")))
}

// decode reads JSON with numbers as they are written.
func decode(text []byte) (any, error) { return jsonschema.UnmarshalJSON(bytes.NewReader(text)) }

// faults checks data.
func (c *compiled) faults(data []byte) (faults []fattorino.Fault) {
	value, err := decode(data)
	if err != nil {
		return []fattorino.Fault{{Msg: "the data is not valid JSON"}}
	}
	defer func() {
		switch stopped := recover().(type) {
		case nil:
		case exhausted:
			faults = []fattorino.Fault{{Msg: "checking the data against the schema takes too many steps"}}
		default:
			panic(stopped)
		}
	}()
	c.meter.left = freeSteps + stepsPerByte*len(data)
	err = c.schema.Validate(value)
	if invalid, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		return gather(nil, invalid)
	}
	return nil
}

// gather gives the innermost errors: those that say what is wrong, and not
// only that something is.
func gather(faults []fattorino.Fault, e *jsonschema.ValidationError) []fattorino.Fault {
	for _, cause := range e.Causes {
		if len(faults) >= MaxFaults {
			return faults
		}
		faults = gather(faults, cause)
	}
	if len(e.Causes) > 0 {
		return faults
	}
	printer := message.NewPrinter(language.English)
	return append(faults, fattorino.Fault{Field: pointer(e.InstanceLocation), Msg: cut(e.ErrorKind.LocalizedString(printer))})
}

// pointer gives the JSON Pointer of a path (RFC 6901, section 3).
func pointer(path []string) string {
	var b strings.Builder
	for _, token := range path {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(token))
	}
	return b.String()
}

// cut shortens a message, between characters.
func cut(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	end := maxMessage
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
