package filter_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/filter"
)

// matches compiles filters and tells whether the event passes.
func matches(t *testing.T, filters string, e *fattorino.Event) bool {
	t.Helper()
	f, err := filter.Compile(json.RawMessage(filters))
	if err != nil {
		t.Fatalf("%s: %v", filters, err)
	}
	return f.Match(e)
}

func TestMatch_Dialects(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		filters string
		want    bool
	}{
		{``, true},
		{`null`, true},
		{`[]`, true},
		{" [\n] ", true},

		{`[{"exact":{"type":"invoice.paid"}}]`, true},
		{`[{"exact":{"type":"Invoice.paid"}}]`, false},
		{`[{"exact":{"type":"invoice"}}]`, false},
		{`[{"exact":{"type":"invoice.paid","subject":"invoice/42"}}]`, true},
		{`[{"exact":{"type":"invoice.paid","subject":"invoice/43"}}]`, false},
		{`[{"exact":{"missing":"x"}}]`, false},
		{`[{"exact":{"gone":"x"}}]`, false},
		{`[{"exact":{"odd":"1.5"}}]`, false},
		{`[{"exact":{"name":"Citt\u00e0"}}]`, true},
		{`[{"prefix":{"type":"invoice."}}]`, true},
		{`[{"prefix":{"type":"nvoice."}}]`, false},
		{`[{"prefix":{"empty":"x"}}]`, false},
		{`[{"suffix":{"type":".paid"}}]`, true},
		{`[{"suffix":{"type":".pai"}}]`, false},
		{`[{"prefix":{"type":"invoice.%"}}]`, false}, // no wildcard

		// Canonical strings of every type.
		{`[{"exact":{"specversion":"1.0"}}]`, true},
		{`[{"exact":{"urgent":"true"}}]`, true},
		{`[{"exact":{"urgent":"TRUE"}}]`, false},
		{`[{"exact":{"company":"12345"}}]`, true},
		{`[{"prefix":{"company":"123"}}]`, true},
		{`[{"exact":{"blob":"AAH/"}}]`, true},
		{`[{"exact":{"time":"2026-01-31T12:00:00.12+01:00"}}]`, true},
		{`[{"exact":{"time":"2026-01-31T11:00:00.12Z"}}]`, false},
		{`[{"prefix":{"time":"2026-01-31"}}]`, true},

		{`[{"exact":{"id":"1"}},{"suffix":{"type":"paid"}}]`, true},
		{`[{"exact":{"id":"1"}},{"suffix":{"type":"sent"}}]`, false},
		{`[{"all":[{"exact":{"id":"1"}},{"suffix":{"type":"paid"}}]}]`, true},
		{`[{"all":[{"exact":{"id":"1"}},{"suffix":{"type":"sent"}}]}]`, false},
		{`[{"any":[{"exact":{"id":"2"}},{"suffix":{"type":"paid"}}]}]`, true},
		{`[{"any":[{"exact":{"id":"2"}},{"suffix":{"type":"sent"}}]}]`, false},
		{`[{"not":{"exact":{"id":"2"}}}]`, true},
		{`[{"not":{"exact":{"id":"1"}}}]`, false},
		{`[{"not":{"exact":{"missing":"1"}}}]`, true},
		{`[{"not":{"any":[{"all":[{"not":{"exact":{"id":"1"}}}]}]}}]`, true},

		{`[{"sql":"type LIKE 'invoice.%' AND company = 12345"}]`, true},
		{`[{"sql":"urgent"}]`, true},
		{`[{"sql":"1"}]`, false},       // no Boolean
		{`[{"sql":"'true'"}]`, false},  // no Boolean
		{`[{"sql":"paid"}]`, false},    // "FALSE"
		{`[{"sql":"missing"}]`, false}, // an error
		{`[{"sql":"NOT missing"}]`, false},
		{`[{"sql":"missing OR true"}]`, false},
		{`[{"not":{"sql":"missing"}}]`, true},
	} {
		if got := matches(t, test.filters, invoice()); got != test.want {
			t.Errorf("%s is %v, want %v", test.filters, got, test.want)
		}
	}
}

func TestMatch_WithoutFiltersEveryEventPasses(t *testing.T) {
	t.Parallel()
	var none *filter.Filter
	if !none.Match(invoice()) || !new(filter.Filter).Match(invoice()) {
		t.Error("an event does not pass")
	}
}

func TestCompile_FaultsSayWhereAndWhy(t *testing.T) {
	t.Parallel()
	const dialects = "exact, prefix, suffix, all, any, not, sql or data"
	const operators = "equals, in, exists, greater, less or prefix"
	type faults map[string]string
	for _, test := range []struct {
		filters string
		want    faults
	}{
		{`[`, faults{"filters": "are no JSON"}},
		{`[{"exact":{"a":"b"}}] x`, faults{"filters": "are no JSON"}},
		{`{}`, faults{"filters": "must be an array"}},
		{`"x"`, faults{"filters": "must be an array"}},
		{`[1, null, "x", [], {}]`, faults{
			"filters.0": "must be an object", "filters.1": "must be an object", "filters.2": "must be an object",
			"filters.3": "must be an object", "filters.4": "must have one member, named after its dialect: " + dialects,
		}},
		{`[{"exact":{"id":"1"},"not":{"exact":{"id":"2"}}}]`, faults{"filters.0": "must have one member, named after its dialect: " + dialects}},
		{`[{"regex":"x"}]`, faults{"filters.0.regex": "is no filter dialect; there are " + dialects}},
		{`[{"Exact":{"id":"1"}}]`, faults{"filters.0.Exact": "is no filter dialect; there are " + dialects}},
		{`[{"a dialect with a name beyond measure":1}]`, faults{"filters.0.a dialect with a name be…": "is no filter dialect; there are " + dialects}},
		{`[{"exact":{"id":"1"},"exact":{"id":"2"}}]`, faults{"filters.0.exact": "is given more than once"}},
		{`[{"exact":"x"}]`, faults{"filters.0.exact": "must be an object"}},
		{`[{"exact":{}}]`, faults{"filters.0.exact": "must name at least one attribute"}},
		{`[{"prefix":{"":"x","type":"","id":1,"Subject":"x","data":"y","id":"z"}}]`, faults{
			"filters.0.prefix.":         "the name of an attribute must not be empty",
			"filters.0.prefix.type":     "must not be empty",
			"filters.0.prefix.id":       "is given more than once", // found while the object is read
			"filters.0.prefix.id again": "must be a string",
			"filters.0.prefix.Subject":  "is no attribute name: those have lower-case letters and digits only",
			"filters.0.prefix.data":     `is no attribute; filter data with {"data": {"pointer": …}}`,
		}},
		{`[{"suffix":{"type":null}}]`, faults{"filters.0.suffix.type": "must be a string"}},
		{`[{"all":[]},{"any":[]},{"any":{}},{"all":null}]`, faults{
			"filters.0.all": "must have at least one filter", "filters.1.any": "must have at least one filter",
			"filters.2.any": "must be an array", "filters.3.all": "must be an array",
		}},
		{`[{"exact":{"id":"1"}},{"any":[{"exact":{"type":5}},{"not":[]}]}]`, faults{
			"filters.1.any.0.exact.type": "must be a string", "filters.1.any.1.not": "must be an object",
		}},
		{`[{"sql":5}]`, faults{"filters.0.sql": "must be a string"}},
		{`[{"not":{"sql":"type = "}}]`, faults{"filters.0.not.sql": "at byte 7: expected a value, as type, 'text', 5 or (…), but the expression ends"}},
		{`[{"sql":"LEN(subject) > 3"}]`, faults{"filters.0.sql": "at byte 0: there is no function LEN that takes 1 argument"}},
		{`[{"sql":"true OR 1 = LENGTH()"}]`, faults{"filters.0.sql": "at byte 12: there is no function LENGTH that takes 0 arguments"}},

		{`[{"data":5}]`, faults{"filters.0.data": "must be an object"}},
		{`[{"data":{}}]`, faults{"filters.0.data.pointer": "is required"}},
		{`[{"data":{"equals":1}}]`, faults{"filters.0.data.pointer": "is required"}},
		{`[{"data":{"pointer":"/a"}}]`, faults{"filters.0.data": "must have at least one of " + operators}},
		{`[{"data":{"pointer":"a","equals":1}}]`, faults{"filters.0.data.pointer": "is no JSON Pointer (RFC 6901), as /customer/country"}},
		{`[{"data":{"pointer":"/a~2","equals":1}},{"data":{"pointer":"/a~","equals":1}}]`, faults{
			"filters.0.data.pointer": "is no JSON Pointer (RFC 6901), as /customer/country",
			"filters.1.data.pointer": "is no JSON Pointer (RFC 6901), as /customer/country",
		}},
		{`[{"data":{"pointer":5,"equals":1}}]`, faults{"filters.0.data.pointer": "must be a string"}},
		{`[{"data":{"pointer":"/a","equal":1}}]`, faults{
			"filters.0.data.equal": "is not known here; beside pointer there are " + operators,
			"filters.0.data":       "must have at least one of " + operators,
		}},
		{`[{"data":{"pointer":"/a","equals":1,"equals":2}}]`, faults{"filters.0.data.equals": "is given more than once"}},
		{`[{"data":{"pointer":"/a","equals":{}}}]`, faults{"filters.0.data.equals": "must be a string, number, Boolean or null"}},
		{`[{"data":{"pointer":"/a","in":[]}}]`, faults{"filters.0.data.in": "must have at least one value"}},
		{`[{"data":{"pointer":"/a","in":"IT"}}]`, faults{"filters.0.data.in": "must be an array"}},
		{`[{"data":{"pointer":"/a","in":["IT",["ES"],1e1000000001]}}]`, faults{
			"filters.0.data.in.1": "must be a string, number, Boolean or null", "filters.0.data.in.2": "has an exponent beyond 1000000000",
		}},
		{`[{"data":{"pointer":"/a","greater":true,"less":null}}]`, faults{
			"filters.0.data.greater": "must be a number or a string", "filters.0.data.less": "must be a number or a string",
		}},
		{`[{"data":{"pointer":"/a","prefix":1}},{"data":{"pointer":"/a","prefix":""}}]`, faults{
			"filters.0.data.prefix": "must be a string that is not empty", "filters.1.data.prefix": "must be a string that is not empty",
		}},
		{`[{"data":{"pointer":"/a","exists":"yes"}}]`, faults{"filters.0.data.exists": "must be true or false"}},
		{`[{"data":{"pointer":"/a","exists":false,"equals":1}}]`, faults{"filters.0.data.exists": "must not be false beside other operators"}},
	} {
		f, err := filter.Compile(json.RawMessage(test.filters))
		e := fattorino.AsError(err)
		if f != nil || e.Kind != fattorino.Invalid || e.Msg != "the filters are not valid" {
			t.Errorf("%s: %v, %v", test.filters, f, err)
			continue
		}
		got := faults{}
		for _, fault := range e.Faults {
			if _, ok := got[fault.Field]; ok {
				fault.Field += " again"
			}
			got[fault.Field] = fault.Msg
		}
		if d := cmp.Diff(test.want, got); d != "" {
			t.Errorf("%s:\n%s", test.filters, d)
		}
	}
}

func TestCompile_Limits(t *testing.T) {
	t.Parallel()
	nested := func(levels int) string {
		return "[" + strings.Repeat(`{"not":`, levels-1) + `{"exact":{"id":"1"}}` + strings.Repeat("}", levels-1) + "]"
	}
	if !matches(t, nested(63), invoice()) || matches(t, nested(64), invoice()) {
		t.Error("nested negations are wrong")
	}
	_, err := filter.Compile(json.RawMessage(nested(65)))
	want := []fattorino.Fault{{Field: "filters.0" + strings.Repeat(".not", 64), Msg: "is nested deeper than 64 levels"}}
	if d := cmp.Diff(want, fattorino.AsError(err).Faults); d != "" {
		t.Error(d)
	}

	long := func(size int) json.RawMessage {
		return fmt.Appendf(nil, `[{"exact":{"id":"%s"}}]`, strings.Repeat("1", size-len(`[{"exact":{"id":""}}]`)))
	}
	if _, err := filter.Compile(long(64 << 10)); err != nil {
		t.Error(err)
	}
	_, err = filter.Compile(long(64<<10 + 1))
	want = []fattorino.Fault{{Field: "filters", Msg: "are longer than 65536 bytes"}}
	if d := cmp.Diff(want, fattorino.AsError(err).Faults); d != "" {
		t.Error(d)
	}
}
