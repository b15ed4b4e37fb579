package filter

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func fuzzEvent(data []byte) *fattorino.Event {
	return &fattorino.Event{
		ID: "1", Source: "/erp", Type: "invoice.paid", Subject: "invoice/42é", Time: time.Unix(1, 0).UTC(),
		Extensions: map[string]any{"flag": true, "count": int32(-7), "blob": []byte{255}, "odd": 1.5},
		Data:       data, Form: fattorino.JSONData,
	}
}

// Whatever the expression, reading and evaluating it ends without panic. An
// expression that is printed with all its parentheses is the same.
func FuzzParseSQL(f *testing.F) {
	for _, s := range []string{
		"a b", "1 +", "x IN ()", "EXISTS", `"x`, `0"`, "-2147483648 / -1",
		"type LIKE 'com.%' AND subject = 'x' OR NOT EXISTS flag XOR count IN (-7, '1')",
		`'it\'s' NOT LIKE "%\%\_\\_a%"`, "SUBSTRING(CONCAT_WS('-', id, source), -3, 2) <> upper(left(type, 3))",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		x, err := ParseSQL(source)
		if err != nil {
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Class != ParseError || e.Pos < 0 || e.Pos > len(source) || !utf8.ValidString(e.Msg) {
				t.Fatalf("%#v", err)
			}
			return
		}
		v, evalErr := x.Evaluate(fuzzEvent(nil))
		again, err := ParseSQL(printed(x.root))
		if err != nil {
			e, _ := errors.AsType[*Error](err)
			if strings.Contains(e.Msg, "at most") { // printing adds to length and nesting
				return
			}
			t.Fatalf("%q is printed as %q: %v", source, printed(x.root), err)
		}
		if printed(again.root) != printed(x.root) {
			t.Fatalf("%q is printed as %q, and then as %q", source, printed(x.root), printed(again.root))
		}
		w, err := again.Evaluate(fuzzEvent(nil))
		if v != w || (evalErr == nil) != (err == nil) {
			t.Fatalf("%q = %v, %v, but printed %v, %v", source, v, evalErr, w, err)
		}
	})
}

// Whatever the filters and data, there is a verdict, or faults with their
// place.
func FuzzCompile(f *testing.F) {
	f.Add([]byte(`[{"exact":{"type":"invoice.paid"}},{"not":{"any":[{"prefix":{"id":"2"}},{"sql":"EXISTS x"}]}}]`), []byte(`{}`))
	f.Add([]byte(`[{"data":{"pointer":"/a/0","in":[12.50,null,"x"],"less":1e3}}]`), []byte(`{"a":[1.25e1],"a":[1]}`))
	f.Add([]byte(`[{"all":[{"suffix":{"":5}},{"data":{}}]}]`), []byte(`{"k\u0065y":"\ud83d\ude00"}`))
	f.Fuzz(func(t *testing.T, filters, data []byte) {
		c, err := Compile(filters)
		if err == nil {
			c.Match(fuzzEvent(data))
			return
		}
		e := fattorino.AsError(err)
		if c != nil || e.Kind != fattorino.Invalid || len(e.Faults) == 0 {
			t.Fatalf("%v, %#v", c, err)
		}
		for _, fault := range e.Faults {
			if !strings.HasPrefix(fault.Field, "filters") || fault.Msg == "" {
				t.Fatalf("%#v", fault)
			}
		}
	})
}

// What is JSON is found out as encoding/json does, and the values pointed at
// are the ones that it decodes.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,{"b":-0.5e+7}]}`, `[true,false,null,"\u00e9\n"]`, `{"a":1,"a":{"b":2}}`, `01`, `1.`, `1e`, `-`, `"\x"`, `"\u12"`, "\"\x01\"",
		`{"a" 1}`, `{"a":1,}`, `[1,]`, `{`, `[`, `{"a":`, `tru`, "\x00", ` 1 `, `[1}`, `{"a":1]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := newPointers()
		root, ab := p.add(nil), p.add([]string{"a", "b"})
		d := document{event: fuzzEvent(data), pointers: p}
		raw, ok := d.value(root)
		if ok != (json.Valid(data) && depthOf(data) <= maxDepth) {
			t.Fatalf("%q is JSON: %v", data, ok)
		}
		if !ok {
			return
		}
		if string(raw) != strings.Trim(string(data), " \t\r\n") {
			t.Fatalf("the whole of %q is %q", data, raw)
		}
		// encoding/json joins repeated members of maps; raw messages do not.
		var outer, inner map[string]json.RawMessage
		_ = json.Unmarshal(data, &outer)
		_ = json.Unmarshal(outer["a"], &inner)
		if raw, _ := d.value(ab); string(raw) != string(inner["b"]) {
			t.Fatalf("/a/b of %q is %q, want %q", data, raw, inner["b"])
		}
	})
}

// depthOf counts how deep the arrays and objects of valid JSON are nested.
func depthOf(data []byte) (deepest int) {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case !inString && (c == '{' || c == '['):
			depth++
			deepest = max(deepest, depth)
		case !inString && (c == '}' || c == ']'):
			depth--
		}
	}
	return deepest
}
