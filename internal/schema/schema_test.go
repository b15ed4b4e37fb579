package schema_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/schema"
)

// compile compiles a schema that must be good.
func compile(tb testing.TB, text string) func([]byte) []fattorino.Fault {
	tb.Helper()
	check, err := schema.Compile([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return check
}

// fields gives the places of faults.
func fields(faults []fattorino.Fault) []string {
	list := []string{}
	for _, f := range faults {
		list = append(list, f.Field)
	}
	return list
}

const payment = `{
	"type": "object", "required": ["id", "total"],
	"properties": {
		"id": {"type": "integer"},
		"total": {"type": "number", "multipleOf": 0.01, "maximum": 12345678901234567890.12},
		"paid_on": {"type": "string", "format": "date"},
		"a/b~c": {"const": 1},
		"lines": {"type": "array", "items": {"$ref": "#/$defs/line"}}
	},
	"$defs": {"line": {"type": "object", "properties": {"qty": {"minimum": 1}}, "additionalProperties": false}}
}`

func TestFaultsAreAtTheirJSONPointer(t *testing.T) {
	t.Parallel()
	check := compile(t, payment)
	for _, c := range []struct {
		name, data string
		want       []string
	}{
		{"what matches has none", `{"id": 1, "total": 12.50, "paid_on": "2026-03-01", "lines": [{"qty": 1}]}`, []string{}},
		{"the whole", `[]`, []string{""}},
		{"a missing member is the object's fault", `{"id": 1}`, []string{""}},
		{"a member", `{"id": "1", "total": 1}`, []string{"/id"}},
		{"deep inside", `{"id": 1, "total": 1, "lines": [{}, {"qty": 0}]}`, []string{"/lines/1/qty"}},
		{"an unknown member is the object's fault", `{"id": 1, "total": 1, "lines": [{"x": 0}]}`, []string{"/lines/0"}},
		{"a name with slash and tilde (RFC 6901)", `{"id": 1, "total": 1, "a/b~c": 2}`, []string{"/a~1b~0c"}},
		{"a format is checked", `{"id": 1, "total": 1, "paid_on": "yesterday"}`, []string{"/paid_on"}},
		{"a number is as exact as it is written", `{"id": 1, "total": 12345678901234567890.13}`, []string{"/total"}},
		{"and no less", `{"id": 1, "total": 12345678901234567890.12}`, []string{}},
		{"a large integer is one", `{"id": 123456789012345678901234567890, "total": 1}`, []string{}},
		{"no JSON", `{"id":`, []string{""}},
		{"two values", `{"id":1,"total":1} {}`, []string{""}},
		{"nothing", ``, []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			faults := check([]byte(c.data))
			if diff := cmp.Diff(c.want, fields(faults)); diff != "" {
				t.Errorf("(-want +got):\n%s\n%v", diff, faults)
			}
			for _, f := range faults {
				if f.Msg == "" {
					t.Errorf("the fault at %q says nothing", f.Field)
				}
			}
		})
	}
}

func TestFaultsAreBoundedInNumberAndLength(t *testing.T) {
	t.Parallel()
	check := compile(t, `{"items": {"enum": ["`+strings.Repeat("è", 5000)+`"]}}`)
	faults := check([]byte("[" + strings.Repeat("1,", 999) + "1]"))
	if len(faults) != schema.MaxFaults {
		t.Errorf("%d faults, want %d", len(faults), schema.MaxFaults)
	}
	if n := len(faults[0].Msg); n > 310 || !strings.HasSuffix(faults[0].Msg, "…") {
		t.Errorf("a message of %d bytes: %s", n, faults[0].Msg)
	}
}

func TestTheDraftOfASchemaCounts(t *testing.T) {
	t.Parallel()
	const tuple = `"items": [{"type": "string"}]}` // means nothing since 2020-12
	old := compile(t, `{"$schema": "http://json-schema.org/draft-07/schema#", `+tuple)
	if got := fields(old([]byte(`[1]`))); !cmp.Equal(got, []string{"/0"}) {
		t.Errorf("draft 7: faults at %q, want /0", got)
	}
	if _, err := schema.Compile([]byte("{" + tuple)); fattorino.KindOf(err) != fattorino.Invalid {
		t.Errorf("draft 2020-12: %v, want Invalid", err)
	}
}

func TestBadSchemasAreRefusedWithTheirPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, schema, field, says string }{
		{"no JSON", `{`, "schema", "not valid JSON"},
		{"no schema", `[]`, "schema", ""},
		{"a wrong keyword", `{"properties": {"a": {"type": "money"}}}`, "schema/properties/a/type", ""},
		{"a regular expression that Go does not have", `{"pattern": "(?=a)"}`, "schema/pattern", "regex"},
		{"a reference to nothing", `{"$ref": "#/$defs/none"}`, "schema", "none"},
		{"a reference outside", `{"$ref": "https://schemas.example.com/a.json"}`, "schema", "outside"},
		{"a reference to a file", `{"$ref": "file:///etc/passwd"}`, "schema", "outside"},
		{"a relative reference", `{"$ref": "other.json"}`, "schema", "outside"},
		{"a reference outside by way of $id", `{"$id": "https://a.example/x", "$ref": "y"}`, "schema", "outside"},
		{"an unknown draft", `{"$schema": "https://a.example/draft"}`, "schema", "outside"},
		{"a dynamic reference", `{"$dynamicAnchor": "n", "properties": {"a": {"$dynamicRef": "#n"}}}`, "schema", "$dynamicRef"},
		{"too deep for JSON", strings.Repeat(`{"not":`, 20_000) + "true" + strings.Repeat("}", 20_000), "schema", "not valid JSON"},
		{"a regular expression too large", `{"pattern": "((a{1,1000}){1,1000}){1,1000}"}`, "schema/pattern", "regex"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := schema.Compile([]byte(c.schema))
			e := fattorino.AsError(err)
			if e.Kind != fattorino.Invalid || len(e.Faults) == 0 {
				t.Fatalf("error %v of kind %d, want Invalid with faults", err, e.Kind)
			}
			if f := e.Faults[0]; f.Field != c.field || !strings.Contains(f.Msg, c.says) {
				t.Errorf("fault %+v, want it at %q and to say %q", f, c.field, c.says)
			}
		})
	}
}

// bomb is a schema that applies itself to the same value 2^depth times.
func bomb(depth int, keyword, last string) string {
	return `{"$ref": "#/$defs/s0", ` + doubling(depth, keyword, last)
}

// doubling is the end of such a schema: s0 is what doubles.
func doubling(depth int, keyword, last string) string {
	var b strings.Builder
	b.WriteString(`"$defs": {`)
	for i := range depth {
		fmt.Fprintf(&b, `"s%d": {"%s": [{"$ref": "#/$defs/s%d"}, {"$ref": "#/$defs/s%d"}]},`, i, keyword, i+1, i+1)
	}
	fmt.Fprintf(&b, `"s%d": %s}}`, depth, last)
	return b.String()
}

func TestHostileSchemasTakeBoundedWork(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, 60) + "1" + strings.Repeat("}", 60)
	for _, c := range []struct{ name, schema, data string }{
		{"allOf doubling", bomb(40, "allOf", `{"type": "string"}`), `1`},
		{"allOf doubling, matching", bomb(40, "allOf", `{"type": "integer"}`), `1`},
		{"anyOf doubling", bomb(40, "anyOf", `{"type": "string"}`), `1`},
		{"oneOf doubling", bomb(40, "oneOf", `{"minimum": 2}`), `1`},
		{"oneOf doubling on false", bomb(40, "oneOf", `false`), `1`},
		{"not around anyOf doubling", `{"not": {"$ref": "#/$defs/s0"}, ` + doubling(40, "anyOf", `{"type": "string"}`), `1`},
		{"doubling with the depth of the data", `{"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]}`, deep},
		{"propertyNames doubling", `{"propertyNames": {"$ref": "#/$defs/s0"}, ` + doubling(40, "anyOf", `{"minLength": 9}`), `{"a": 1}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			check := compile(t, c.schema)
			began := time.Now()
			faults := check([]byte(c.data))
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			if len(faults) != 1 || !strings.Contains(faults[0].Msg, "too many steps") {
				t.Errorf("faults %v, want that it takes too many steps", faults)
			}
			// What was broken off leaves nothing behind.
			if again := check([]byte(c.data)); len(again) != 1 {
				t.Errorf("the second time: %v", again)
			}
		})
	}
}

func TestReferencesInACircleEnd(t *testing.T) {
	t.Parallel()
	check := compile(t, `{"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}`)
	if faults := check([]byte(`1`)); len(faults) == 0 {
		t.Error("a schema that says nothing but itself lets everything pass")
	}
	tree := compile(t, `{"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}, "required": ["id"]}`)
	if got := fields(tree([]byte(`{"id": 1, "children": [{"id": 2, "children": [{"children": []}]}]}`))); !cmp.Equal(got, []string{"/children/0/children/0"}) {
		t.Errorf("faults at %q", got)
	}
}

func TestHonestChecksOfLargeDataHaveStepsEnough(t *testing.T) {
	t.Parallel()
	check := compile(t, payment)
	line := `{"qty":1}`
	data := `{"id": 1, "total": 1, "lines": [` + strings.Repeat(line+",", 100_000) + line + `]}`
	if faults := check([]byte(data)); len(faults) > 0 {
		t.Errorf("faults %v", faults)
	}
	numbers := compile(t, `{"items": {"anyOf": [{"type": "string"}, {"minimum": 0}]}}`)
	if faults := numbers([]byte("[" + strings.Repeat("1,", 400_000) + "1]")); len(faults) > 0 {
		t.Errorf("faults %v", faults)
	}
}

func TestACheckIsForSeveralAtATime(t *testing.T) {
	t.Parallel()
	check := compile(t, payment)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				if got := check([]byte(`{"id": 1}`)); len(got) != 1 {
					t.Errorf("goroutine %d: %v", i, got)
				}
				if got := check([]byte(`{"id": 1, "total": 2}`)); len(got) != 0 {
					t.Errorf("goroutine %d: %v", i, got)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzCompile(f *testing.F) {
	f.Add([]byte(payment), []byte(`{"id": 1, "total": 1}`))
	f.Add([]byte(`{"$ref": "#"}`), []byte(`1`))
	f.Add([]byte(`true`), []byte(`{}`))
	f.Add([]byte(bomb(3, "oneOf", "false")), []byte(`1`))
	f.Fuzz(func(t *testing.T, text, data []byte) {
		check, err := schema.Compile(text)
		if err != nil {
			if e := fattorino.AsError(err); e.Kind != fattorino.Invalid || len(e.Faults) == 0 {
				t.Fatalf("error %v, want Invalid with a fault", err)
			}
			return
		}
		if faults := check(data); len(faults) > schema.MaxFaults {
			t.Fatalf("%d faults", len(faults))
		}
	})
}
