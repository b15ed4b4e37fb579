package filter_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/filter"
)

// passes tells whether an event with that JSON data passes one data condition.
func passes(t *testing.T, condition, data string) bool {
	t.Helper()
	return matches(t, `[{"data":`+condition+`}]`, &fattorino.Event{
		ID: "1", Source: "/", Type: "t", Data: []byte(data), Form: fattorino.JSONData,
	})
}

const invoiceJSON = ` {
	"number": "2026/42", "date": "2026-01-31", "total": 12.50, "big": 100000000000000000001, "small": 1e-7,
	"minus": -3, "zero": 0.0, "paid": true, "void": false, "note": null, "tags": ["a", "b"],
	"customer": {"name": "Citt\u00e0 \"di\" Castello", "country": "IT", "": "nameless"},
	"lines": [{"qty": 3}, {"qty": 1}, [10, 11]], "a/b": 1, "m~n": 2, "k\u0065y": 3, "x\"y": 4, "01": "zero-one",
	"-": "minus", "dup": {"in": 1}, "dup": {"other": 2}
} `

func TestData_Operators(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		condition string
		want      bool
	}{
		{`{"pointer":"/number","equals":"2026/42"}`, true},
		{`{"pointer":"/number","equals":"2026"}`, false},
		{`{"pointer":"/customer/name","equals":"Città \"di\" Castello"}`, true},
		{`{"pointer":"/total","equals":12.5}`, true},
		{`{"pointer":"/total","equals":"12.50"}`, false},
		{`{"pointer":"/total","equals":true}`, false},
		{`{"pointer":"/paid","equals":true}`, true},
		{`{"pointer":"/paid","equals":"true"}`, false},
		{`{"pointer":"/void","equals":false}`, true},
		{`{"pointer":"/void","equals":null}`, false},
		{`{"pointer":"/note","equals":null}`, true},
		{`{"pointer":"/missing","equals":null}`, false},
		{`{"pointer":"/tags","equals":"a"}`, false},
		{`{"pointer":"/customer","equals":"IT"}`, false},

		{`{"pointer":"/customer/country","in":["IT","ES"]}`, true},
		{`{"pointer":"/customer/country","in":["FR","ES"]}`, false},
		{`{"pointer":"/total","in":["12.5",null,1250e-2]}`, true},
		{`{"pointer":"/tags","in":["a"]}`, false},

		{`{"pointer":"/customer","exists":true}`, true},
		{`{"pointer":"/note","exists":true}`, true},
		{`{"pointer":"/note","exists":false}`, false},
		{`{"pointer":"/missing","exists":true}`, false},
		{`{"pointer":"/missing","exists":false}`, true},
		{`{"pointer":"/total/x","exists":false}`, true},
		{`{"pointer":"/customer/country","exists":true,"prefix":"I"}`, true},

		{`{"pointer":"/total","greater":12.49999999999999999999}`, true},
		{`{"pointer":"/total","greater":12.5}`, false},
		{`{"pointer":"/total","greater":"1"}`, false},
		{`{"pointer":"/total","less":12.50000000000000000001}`, true},
		{`{"pointer":"/total","less":12.5}`, false},
		{`{"pointer":"/total","greater":10,"less":20}`, true},
		{`{"pointer":"/total","greater":10,"less":12}`, false},
		{`{"pointer":"/date","greater":"2026-01-30","less":"2026-02-01"}`, true},
		{`{"pointer":"/date","less":"2026-01-31"}`, false},
		{`{"pointer":"/date","greater":0}`, false},
		{`{"pointer":"/paid","greater":0}`, false},
		{`{"pointer":"/note","less":0}`, false},

		{`{"pointer":"/number","prefix":"2026/"}`, true},
		{`{"pointer":"/number","prefix":"2027/"}`, false},
		{`{"pointer":"/total","prefix":"12"}`, false},
		{`{"pointer":"/missing","prefix":"12"}`, false},
	} {
		if got := passes(t, test.condition, invoiceJSON); got != test.want {
			t.Errorf("%s is %v, want %v", test.condition, got, test.want)
		}
	}
}

func TestData_Pointers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		condition string
		want      bool
	}{
		{`{"pointer":"","exists":true}`, true},
		{`{"pointer":"/","exists":true}`, false},
		{`{"pointer":"/customer/","equals":"nameless"}`, true},
		{`{"pointer":"/lines/0/qty","equals":3}`, true},
		{`{"pointer":"/lines/1/qty","equals":1}`, true},
		{`{"pointer":"/lines/2/1","equals":11}`, true},
		{`{"pointer":"/lines/3","exists":true}`, false},
		{`{"pointer":"/lines/00","exists":true}`, false},
		{`{"pointer":"/lines/+1","exists":true}`, false},
		{`{"pointer":"/lines/-","exists":true}`, false},
		{`{"pointer":"/-","equals":"minus"}`, true},
		{`{"pointer":"/01","equals":"zero-one"}`, true},
		{`{"pointer":"/a~1b","equals":1}`, true},
		{`{"pointer":"/a/b","exists":true}`, false},
		{`{"pointer":"/m~0n","equals":2}`, true},
		{`{"pointer":"/m~01n","exists":true}`, false},
		{`{"pointer":"/key","equals":3}`, true},
		{`{"pointer":"/k\\u0065y","exists":true}`, false},
		{`{"pointer":"/x\"y","equals":4}`, true},
		// Of repeated members the last counts, and nothing of the first.
		{`{"pointer":"/dup/in","exists":true}`, false},
		{`{"pointer":"/dup/other","equals":2}`, true},
	} {
		if got := passes(t, test.condition, invoiceJSON); got != test.want {
			t.Errorf("%s is %v, want %v", test.condition, got, test.want)
		}
	}
	for data, condition := range map[string]string{
		`"text"`:                   `{"pointer":"","equals":"text"}`,
		"-1.0":                     `{"pointer":"","equals":-1}`,
		"null":                     `{"pointer":"","equals":null}`,
		"[]":                       `{"pointer":"/0","exists":false}`,
		"{}":                       `{"pointer":"","exists":true}`,
		`[[[7]]]`:                  `{"pointer":"/0/0/0","equals":7}`,
		`{"a":1,"a":null}`:         `{"pointer":"/a","equals":null}`,
		`{"a":1,"\u0061":{"b":2}}`: `{"pointer":"/a/b","equals":2}`,
	} {
		if !passes(t, condition, data) {
			t.Errorf("%s does not hold for %s", condition, data)
		}
	}
}

// Numbers are compared as decimals, whatever their form and size.
func TestData_Numbers(t *testing.T) {
	t.Parallel()
	// Given numbers in order, those of a row equal
	rows := [][]string{
		{"-1e400", "-10E399"},
		{"-100000000000000000001"},
		{"-100000000000000000000", "-1e20", "-1.0E+20"},
		{"-12.50", "-12.5", "-1250e-2", "-0.125e2"},
		{"-12.05"},
		{"-1e-9", "-0.000000001"},
		{"0", "-0", "0.000", "0e5", "-0E-99999999999999999999", "0e99999999999999999999"},
		{"1e-1000000000", "0.1e-999999999"},
		{"0.1", "1e-1", "0.10", "100e-3"},
		{"0.12"},
		{"1", "1.0", "1e0", "10e-1", "1e000000000000000000000000"},
		{"1.00000000000000000000000000001"},
		{"9"},
		{"10", "1e1", "1E+1", "0.1e2"},
		{"12.50", "12.5"},
		{"9007199254740993"},
		{"9007199254740994"},
		{"1e999999999"},
	}
	for i, row := range rows {
		for _, x := range row {
			for j, other := range rows {
				for _, y := range other {
					// when they are compared, then they are in that order.
					for operator, want := range map[string]bool{"equals": i == j, "greater": i > j, "less": i < j} {
						if got := passes(t, `{"pointer":"/n","`+operator+`":`+y+`}`, `{"n":`+x+`}`); got != want {
							t.Errorf("%s %s %s is %v", x, operator, y, got)
						}
					}
				}
			}
		}
	}
	for _, operator := range []string{"equals", "less", "greater"} {
		if passes(t, `{"pointer":"/n","`+operator+`":1}`, `{"n":1e1000000001}`) {
			t.Errorf("%s holds for an exponent out of bounds", operator)
		}
	}
}

// Without JSON data every condition is false, and its negation true.
func TestData_OnlyOfJSON(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 1001) + strings.Repeat("]", 1001)
	for name, e := range map[string]*fattorino.Event{
		"none":      {},
		"text":      {Data: []byte(`{"a":1}`), Form: fattorino.TextData},
		"bytes":     {Data: []byte(`{"a":1}`), Form: fattorino.BinaryData},
		"empty":     {Form: fattorino.JSONData},
		"broken":    {Data: []byte(`{"a":1`), Form: fattorino.JSONData},
		"two":       {Data: []byte(`{"a":1} {}`), Form: fattorino.JSONData},
		"too deep":  {Data: []byte(`{"a":1,"b":` + deep + `}`), Form: fattorino.JSONData},
		"late slip": {Data: []byte(`{"a":1,"b":01}`), Form: fattorino.JSONData},
	} {
		for _, condition := range []string{
			`{"data":{"pointer":"/a","equals":1}}`, `{"data":{"pointer":"/a","exists":true}}`, `{"data":{"pointer":"/b","exists":false}}`,
		} {
			if matches(t, "["+condition+"]", e) || !matches(t, `[{"not":`+condition+`}]`, e) {
				t.Errorf("%s: %s holds", name, condition)
			}
		}
	}
}

// A filter may be asked by many at once, for different events.
func TestMatch_Concurrently(t *testing.T) {
	t.Parallel()
	f, err := filter.Compile(json.RawMessage(`[{"sql":"type LIKE 'invoice.%'"},{"any":[
		{"data":{"pointer":"/total","equals":12.5}},{"data":{"pointer":"/customer/country","equals":"IT"}}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i, data := range []string{`{"total":12.50}`, `{"total":13,"customer":{"country":"IT"}}`, `{"total":13}`, `[`} {
		group.Go(func() {
			for range 1000 {
				e := invoice()
				e.Data = []byte(data)
				if got := f.Match(e); got != (i < 2) {
					t.Errorf("%s passes: %v", data, got)
					return
				}
			}
		})
	}
	group.Wait()
}
