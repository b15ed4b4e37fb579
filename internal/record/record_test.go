package record_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/record"
)

// Extension attributes come back from the store with their type and value.
func FuzzExtensions(f *testing.F) {
	f.Add("companyid", "12345", int32(7), true, []byte{0, 255})
	f.Add("", "\u2028<&>\x00", int32(-1<<31), false, []byte{})
	f.Fuzz(func(t *testing.T, name, text string, n int32, yes bool, raw []byte) {
		if !isUTF8(name) || !isUTF8(text) {
			t.Skip() // refused where events come in
		}
		for _, value := range []any{text, n, yes} {
			back, err := record.DecodeExtensions(record.EncodeExtensions(map[string]any{name: value}))
			if err != nil || !maps.Equal(back, map[string]any{name: value}) {
				t.Errorf("%q: %v came back as %v, %v", name, value, back, err)
			}
		}
		back, err := record.DecodeExtensions(record.EncodeExtensions(map[string]any{name: raw}))
		if got, _ := back[name].([]byte); err != nil || len(raw) > 0 && !slices.Equal(got, raw) {
			t.Errorf("%q: %x came back as %v, %v", name, raw, back, err)
		}
	})
}

// What is no list of extensions is an error, and never a panic.
func FuzzDecodeExtensions(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"a":{"s":"b"}}`, `{"a":{}}`, `{"a":null}`, `[`, `{"a":{"i":1e99}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if attributes, err := record.DecodeExtensions(text); err != nil && attributes != nil {
			t.Errorf("both %v and %v", attributes, err)
		}
	})
}

func isUTF8(text string) bool { return string([]rune(text)) == text }
