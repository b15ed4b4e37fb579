package fattorino

import (
	"encoding/json"
	"slices"
	"testing"
)

// An entity is written to the store with its event, and has to be read again
// from there: whatever an event's data may be.
func FuzzEntityOfData(f *testing.F) {
	for _, seed := range []string{
		`{"id":42}`, `{"ids":[1,"2",-3.5e+7]}`, `{"id":"a/b,c"}`, `{"id":""}`, `{"id":" "}`, `{"ids":[[]]}`, `{"id":1,"id":2}`,
		`{"id":"\ud800"}`, `{"id":"\u0000"}`, `{"ID":7}`, `[1]`, "\xff", `{"ids":null,"id":null}`, `{"ids":}`, `{"ids":[}`, `{"id":1 2,"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		ids := idsIn(&Event{Form: JSONData, Data: []byte(data)})
		if len(ids) == 0 {
			return
		}
		written := Entity{Type: "invoice", IDs: ids}
		read, err := ParseEntity(written.String())
		if err != nil || read.Type != written.Type || !slices.Equal(read.IDs, written.IDs) {
			t.Errorf("%q is written as %q and read as %v, %v", ids, written.String(), read, err)
		}
	})
}

// What is found by going through an object is what decoding it finds.
func FuzzMembersAgreeWithEncodingJSON(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"id":42}`, ` { "a" : [ 1 , {"b":"]}"} ] , "id":"x\"y\\" } `, `{"ids":[1,"2",[],{},null,true,-3.5e+7]}`, `{"a":"\u0022","id":"é"}`,
		`{"ids":[ ],"ids":[[",]"]]}`, `[]`, `"x"`, `{"a":1,"a":{"id":3}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		got := map[string]string{}
		eachMember([]byte(data), func(name, value []byte) { // in bounds, whatever it is
			var text string
			_ = json.Unmarshal(name, &text)
			got[text] = string(value)
		})
		var elements []string
		eachElement([]byte(data), func(element []byte) { elements = append(elements, string(element)) })
		if !json.Valid([]byte(data)) {
			return
		}
		var object map[string]json.RawMessage
		if json.Unmarshal([]byte(data), &object) == nil {
			compare(t, data, len(got), len(object))
			for name, value := range object {
				compare(t, data, got[name], string(value))
			}
		}
		var array []json.RawMessage
		if json.Unmarshal([]byte(data), &array) == nil {
			compare(t, data, len(elements), len(array))
			for i, element := range array {
				compare(t, data, elements[i], string(element))
			}
		}
	})
}

func compare[T comparable](t *testing.T, data string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("of %q: %v, want %v", data, got, want)
	}
}

func BenchmarkIDsInData(b *testing.B) {
	e := &Event{Form: JSONData, Data: []byte(`{"id":4711,"number":"2026/117","state":"paid","amount":{"gross":122.0,"net":100.0,"vat":22.0},"note":"` +
		"The quick brown fox jumps over the lazy dog, again and again and again, until the invoice is long enough to be one." + `","lines":[{"text":"a","price":1},{"text":"b","price":2}]}`)}
	b.ReportAllocs()
	for b.Loop() {
		if len(idsIn(e)) != 1 {
			b.Fatal("the id is not found")
		}
	}
}
