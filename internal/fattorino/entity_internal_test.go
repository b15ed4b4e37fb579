package fattorino

import (
	"slices"
	"testing"
)

// An entity is written to the store with its event, and has to be read again
// from there: whatever an event's data may be.
func FuzzEntityOfData(f *testing.F) {
	for _, seed := range []string{
		`{"id":42}`, `{"ids":[1,"2",-3.5e+7]}`, `{"id":"a/b,c"}`, `{"id":""}`, `{"id":" "}`, `{"ids":[[]]}`, `{"id":1,"id":2}`,
		`{"id":"\ud800"}`, `{"id":"\u0000"}`, `{"ID":7}`, `[1]`, "\xff", `{"ids":null,"id":null}`,
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
