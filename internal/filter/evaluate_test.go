package filter_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/filter"
)

// invoice is an event with an attribute of every type.
func invoice() *fattorino.Event {
	return &fattorino.Event{
		ID: "1", Source: "https://erp.example/12345", Type: "invoice.paid", Subject: "invoice/42",
		Time:            time.Date(2026, 1, 31, 12, 0, 0, 120_000_000, time.FixedZone("", 3600)),
		DataContentType: "application/json", DataSchema: "https://erp.example/invoice.json",
		Extensions: map[string]any{
			"company": int32(12345), "urgent": true, "paid": "FALSE", "count": "12", "name": "Città",
			"blob": []byte{0, 1, 255}, "empty": "", "odd": 1.5, "gone": nil,
		},
		Data: []byte(`{"total":12.50}`), Form: fattorino.JSONData,
	}
}

// evaluated is what the tables of this file expect: a value as Go has it, and
// the class of error that comes with it; none is "".
type evaluated struct {
	expression string
	want       any
	err        string
}

func check(t *testing.T, tests []evaluated) {
	t.Helper()
	for _, test := range tests {
		x, err := filter.ParseSQL(test.expression)
		if err != nil {
			t.Errorf("%s: %v", test.expression, err)
			continue
		}
		v, err := x.Evaluate(invoice())
		got := map[filter.Type]any{filter.Boolean: v.Bool, filter.Integer: int(v.Int), filter.String: v.Text}[v.Type]
		if got != test.want || classOf(t, err) != test.err {
			t.Errorf("%s = %#v, %v; want %#v, %q", test.expression, got, err, test.want, test.err)
		}
	}
}

func TestEvaluate_Attributes(t *testing.T) {
	t.Parallel()
	check(t, []evaluated{
		{"id", "1", ""},
		{"source", "https://erp.example/12345", ""},
		{"SpecVersion", "1.0", ""},
		{"type", "invoice.paid", ""},
		{"subject", "invoice/42", ""},
		{"time", "2026-01-31T12:00:00.12+01:00", ""},
		{"datacontenttype", "application/json", ""},
		{"dataschema", "https://erp.example/invoice.json", ""},
		{"company", 12345, ""},
		{"urgent", true, ""},
		{"name", "Città", ""},
		{"blob", "AAH/", ""},
		{"empty", "", ""},
		{"EXISTS empty", true, ""},
		{"EXISTS odd", true, ""},
		{"EXISTS gone", false, ""},
		{"EXISTS data", false, ""},
		{"missing", false, "missingAttribute"},
		{"gone", false, "missingAttribute"},
		{"data", false, "missingAttribute"},
		{"odd", false, "generic"},
		{"odd + 1", 0, "generic"},
	})
	// Given an event with nothing that is optional
	bare := &fattorino.Event{}
	for _, name := range []string{"subject", "time", "datacontenttype", "dataschema", "anything"} {
		x, err := filter.ParseSQL("EXISTS " + name)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := x.Evaluate(bare); v.Bool || err != nil {
			t.Errorf("EXISTS %s: %v, %v", name, v, err)
		}
	}
	// then what is required is there all the same.
	x, err := filter.ParseSQL("EXISTS id AND EXISTS source AND EXISTS type AND EXISTS specversion")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := x.Evaluate(bare); !v.Bool || err != nil {
		t.Errorf("%v, %v", v, err)
	}
}

// The table of section 3.7.
func TestEvaluate_Casts(t *testing.T) {
	t.Parallel()
	check(t, []evaluated{
		{"STRING(-12)", "-12", ""},
		{"STRING(007)", "7", ""},
		{"STRING(true)", "true", ""},
		{"STRING('x')", "x", ""},
		{"BOOL(0)", false, ""},
		{"BOOL(-5)", true, ""},
		{"BOOL('tRUE')", true, ""},
		{"BOOL('False')", false, ""},
		{"BOOL('falſe')", false, "cast"}, // ſ folds to s, and is not its lower case
		{"BOOL(' true')", false, "cast"},
		{"BOOL('1')", false, "cast"},
		{"BOOL('')", false, "cast"},
		{"INT(true)", 1, ""},
		{"INT(false)", 0, ""},
		{"INT('+12')", 12, ""},
		{"INT('-0012')", -12, ""},
		{"INT('2147483647')", 2147483647, ""},
		{"INT('-2147483648')", -2147483648, ""},
		{"INT('2147483648')", 0, "cast"},
		{"INT('-2147483649')", 0, "cast"},
		{"INT('99999999999999999999')", 0, "cast"},
		{"INT('')", 0, "cast"},
		{"INT('-')", 0, "cast"},
		{"INT('+-1')", 0, "cast"},
		{"INT('1_0')", 0, "cast"},
		{"INT('0x1')", 0, "cast"},
		{"INT(' 1')", 0, "cast"},
		{"INT('1.0')", 0, "cast"},
		{"INT(missing)", 0, "missingAttribute"},
		{"BOOL(missing)", false, "missingAttribute"},
		{"STRING(missing)", "", "missingAttribute"},

		{`TRUE = "true" AND FALSE = "false"`, true, ""},
		{`TRUE = "TRUE" OR FALSE = "FALSE"`, false, ""},
		{"paid = false", true, ""},
		{"false = paid", false, ""}, // compared as Strings
		{"count = 12", true, ""},
		{"12 = count", true, ""},
		{"name = 1", false, "cast"},
		{"name != 1", false, "cast"},
		{"name = true", false, "cast"},
		{"company = '12345'", true, ""},
		{"urgent = 7", false, ""},
		{"1 = urgent", true, ""},
		{"'Città' = name", true, ""},
		{"'città' = name", false, ""},
	})
}

func TestEvaluate_Operators(t *testing.T) {
	t.Parallel()
	check(t, []evaluated{
		{"NOT 10", false, ""}, // not a cast error: Integer to Boolean is defined
		{"NOT 0", true, ""},
		{"NOT 'x'", false, "cast"},
		{"NOT missing", false, "missingAttribute"},
		{"-count", -12, ""},
		{"-'x'", 0, "cast"},
		{"-missing", 0, "missingAttribute"},
		{"--2147483648", 0, "math"},
		{"-'-2147483648'", 0, "math"},
		{"2147483647 + 1", 0, "math"},
		{"-2147483648 - 1", 0, "math"},
		{"65536 * 32768", 0, "math"},
		{"65536 * -32768", -2147483648, ""},
		{"-2147483648 / -1", 0, "math"},
		{"-2147483648 % -1", 0, ""},
		{"7 / -2", -3, ""},
		{"-7 % 2", -1, ""},
		{"7 % -2", 1, ""},
		{"7 / 0", 0, "math"},
		{"7 % 0", 0, "math"},
		{"7 + 'x'", 0, "cast"},
		{"'x' + 7", 0, "cast"},
		{"7 + missing", 0, "missingAttribute"},
		{"'x' + missing", 0, "missingAttribute"},
		{"1 / missing", 0, "missingAttribute"},
		{"2 < 10", true, ""},
		{"'2' < '10'", true, ""},
		{"2 <= 2", true, ""},
		{"2 > 2", false, ""},
		{"2 >= 2", true, ""},
		{"type > 'a'", false, "cast"},
		{"1 > missing", false, "missingAttribute"},
		{"missing = missing", false, "missingAttribute"},
		{"1 = missing", false, "missingAttribute"},

		{"false AND missing", false, ""},
		{"true AND missing", false, "missingAttribute"},
		{"missing AND false", false, "missingAttribute"},
		{"true OR missing", true, ""},
		{"false OR missing", false, "missingAttribute"},
		{"missing OR true", false, "missingAttribute"},
		{"true XOR missing", false, "missingAttribute"},
		{"true XOR true", false, ""},
		{"1 AND 'true'", true, ""},
		{"1 AND 'yes'", false, "cast"},
		{"'yes' OR true", false, "cast"},
		{"0 OR 0", false, ""},
		{"false AND false OR true", true, ""}, // from left to right
		{"true OR false AND false", false, ""},

		{"1 IN ('2', '1')", true, ""},
		{"1 IN ('x', '1')", false, "cast"},
		{"1 NOT IN ('x', '1')", false, "cast"},
		{"1 NOT IN (2, 3)", true, ""},
		{"1 IN ('1', 'x')", true, ""}, // the rest is not looked at
		{"missing IN (1)", false, "missingAttribute"},
		{"missing NOT IN (1)", false, "missingAttribute"},
		{"1 IN (missing)", false, "missingAttribute"},
		{"urgent IN (1)", true, ""},

		{"company LIKE '123__'", true, ""},
		{"urgent LIKE 't%'", true, ""},
		{"missing NOT LIKE 'x'", false, "missingAttribute"},
	})
}

// The tables of section 3.5, and the functions that cast.
func TestEvaluate_Functions(t *testing.T) {
	t.Parallel()
	check(t, []evaluated{
		{"LENGTH(name)", 5, ""},
		{"LENGTH('')", 0, ""},
		{"length(12345)", 5, ""},
		{"LENGTH(missing)", 0, "missingAttribute"},
		{"CONCAT()", "", ""},
		{"CONCAT('a', 1, true)", "a1true", ""},
		{"CONCAT('a', missing)", "", "missingAttribute"},
		{"CONCAT_WS('-')", "", ""},
		{"CONCAT_WS('-', 'a')", "a", ""},
		{"CONCAT_WS(', ', 'a', '', 'b')", "a, , b", ""},
		{"CONCAT_WS(missing, 'a')", "", "missingAttribute"},
		{"CONCAT_WS('-', missing)", "", "missingAttribute"},
		{"LOWER('ÀB')", "àb", ""},
		{"UPPER('àb')", "ÀB", ""},
		{"UPPER(missing)", "", "missingAttribute"},
		{"TRIM('\u2003\u00a0\t a\tb \u3000')", "a\tb", ""},
		{"TRIM('\x01 a \u200b')", "\x01 a \u200b", ""}, // no white space in Unicode
		{"LEFT(name, 4)", "Citt", ""},
		{"LEFT('àèì', 2)", "àè", ""},
		{"LEFT('àèì', 3)", "àèì", ""},
		{"LEFT('àèì', 0)", "", ""},
		{"LEFT('àèì', -1)", "àèì", "functionEvaluation"},
		{"LEFT('àèì', 'x')", "", "cast"},
		{"LEFT(missing, -1)", "", "missingAttribute"},
		{"RIGHT('àèì', 2)", "èì", ""},
		{"RIGHT('àèì', 3)", "àèì", ""},
		{"RIGHT('àèì', 2147483647)", "àèì", ""},
		{"RIGHT('àèì', 0)", "", ""},
		{"RIGHT('àèì', -1)", "àèì", "functionEvaluation"},
		{"RIGHT('àèì', missing)", "", "missingAttribute"},
		{"UPPER(LEFT('x', -1))", "", "functionEvaluation"}, // fail fast
		{"SUBSTRING('àèì', 2)", "èì", ""},
		{"SUBSTRING('àèì', 3)", "ì", ""},
		{"SUBSTRING('àèì', 4)", "", "functionEvaluation"},
		{"SUBSTRING('àèì', -3)", "àèì", ""},
		{"SUBSTRING('àèì', -4)", "", "functionEvaluation"},
		{"SUBSTRING('àèì', 0)", "", ""},
		{"SUBSTRING('', 0)", "", ""},
		{"SUBSTRING('', 1)", "", "functionEvaluation"},
		{"SUBSTRING('àèì', 2, 1)", "è", ""},
		{"SUBSTRING('àèì', -2, 5)", "èì", ""},
		{"SUBSTRING('àèì', 1, 0)", "", ""},
		{"SUBSTRING('àèì', 1, -1)", "", "functionEvaluation"},
		{"SUBSTRING('àèì', 0, 1)", "", ""},
		{"SUBSTRING('àèì', 3, 2147483647)", "ì", ""},
		{"SUBSTRING('àèì', 9, 1)", "", "functionEvaluation"},
		{"SUBSTRING('àèì', -2147483648, 1)", "", "functionEvaluation"},
		{"SUBSTRING('a', 'x')", "", "cast"},
		{"SUBSTRING('a', 1, 'x')", "", "cast"},
		{"ABS(-3)", 3, ""},
		{"ABS(3)", 3, ""},
		{"ABS(-2147483648)", 2147483647, "math"},
		{"ABS('x')", 0, "cast"},
		{"ABS(missing)", 0, "missingAttribute"},

		{"NOSUCH(1)", false, "missingFunction"},
		{"LENGTH()", false, "missingFunction"},
		{"LENGTH('a', 'b')", false, "missingFunction"},
		{"CONCAT_WS()", false, "missingFunction"},
		{"SUBSTRING('a')", false, "missingFunction"},
		{"SUBSTRING('a', 1, 2, 3)", false, "missingFunction"},
		{"1 + NOSUCH(1)", 0, "missingFunction"},
		{"true OR NOSUCH(1)", true, ""},
	})
}

func TestEvaluate_StringsThatFunctionsMakeAreBounded(t *testing.T) {
	t.Parallel()
	e := &fattorino.Event{ID: "1", Source: "/", Type: "t", Subject: strings.Repeat("s", 8<<10)}
	for expression, want := range map[string]string{
		"LENGTH(CONCAT(subject, subject))":                "",
		"LENGTH(CONCAT(subject, subject, 'x'))":           "functionEvaluation",
		"LENGTH(CONCAT_WS('xx', subject, subject))":       "functionEvaluation",
		"LENGTH(CONCAT_WS(subject, '', '', '', '', ''))":  "functionEvaluation",
		"LENGTH(CONCAT_WS('', subject, 'x', 'y', 'zzz'))": "",
	} {
		x, err := filter.ParseSQL(expression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.Evaluate(e); classOf(t, err) != want {
			t.Errorf("%s: %v, want %q", expression, err, want)
		}
	}
}

func TestError_TellsClassPlaceAndReasonAndNothingOfTheEvent(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"true AND":                   "parse error at byte 8: expected a value, as type, 'text', 5 or (…), but the expression ends",
		"1 + 2 / 0":                  "math error at byte 6: division by zero",
		"1 + 2147483647":             "math error at byte 2: the result is beyond 32 bits",
		"true AND name":              "cast error at byte 5: this String is no Boolean",
		"name > 1":                   "cast error at byte 5: this String is no Integer",
		"5 = cuont":                  "missing attribute at byte 4: the event has no attribute cuont",
		"LEN(name) > 3":              "missing function at byte 0: there is no function LEN that takes 1 argument",
		"1 = left(name, -1)":         "function evaluation error at byte 4: the number of characters is negative",
		"EXISTS odd AND odd = 'odd'": "error at byte 15: the attribute odd is of no CloudEvents type",
	} {
		x, err := filter.ParseSQL(expression)
		if err == nil {
			_, err = x.Evaluate(invoice())
		}
		if e, ok := errors.AsType[*filter.Error](err); !ok || e.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", expression, err, want)
		}
	}
}

func TestType_HasTheNameOfTheSpecification(t *testing.T) {
	t.Parallel()
	for typ, want := range map[filter.Type]string{filter.Boolean: "Boolean", filter.Integer: "Integer", filter.String: "String"} {
		if got := typ.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
