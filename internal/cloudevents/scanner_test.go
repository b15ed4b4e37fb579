package cloudevents

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// scannerCases are texts whose validity is easily got wrong.
var scannerCases = []string{
	"", " ", "null", "nul", "nulll", "true", "tru", "false", "fals", " 1 ", "-", "-0", "-01", "01", "1.", ".1", "1.5", "1.5.5",
	"1e", "1e+", "1e+5", "1E-05", "1e5.5", "+1", "--1", "0x1", "Infinity", `"`, `"a"`, `"a`, `'a'`, `"\u00e8"`, `"\u00e"`,
	`"\u00eg"`, `"\x"`, `"\`, `"\"`, "\"\t\"", "\"\x7f\"", "\"\x00\"", `"\ud800"`, "[]", "[", "]", "[,]", "[1,]", "[1,2]", "[1 2]", "[1,,2]",
	"{}", "{", "}", `{"a"}`, `{"a":}`, `{"a":1}`, `{"a":1,}`, `{,}`, `{a:1}`, `{"a" : 1 , "a" : [ { } ] }`, `{"a":1 "b":2}`, `{1:2}`,
	"1 1", "[] []", "/* */ 1", "\ufeff1", "\v1", "\u00a01", `[[[{"a":[1,"\ud83d\ude00",null,true,-1.5e-7]}]]]`,
}

func TestScannerAgreesWithEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, text := range scannerCases {
		_, err := scanJSON([]byte(text))
		if got, want := err == nil, json.Valid([]byte(text)); got != want {
			t.Errorf("%q: valid is %v, want %v (%v)", text, got, want, err)
		}
	}
}

func TestScannerBoundsDepth(t *testing.T) {
	t.Parallel()
	for _, unit := range [][2]string{{"[", "]"}, {`{"a":`, "}"}} {
		for depth, ok := range map[int]bool{maxDepth: true, maxDepth + 1: false, 1e6: false} {
			text := strings.Repeat(unit[0], depth) + "1" + strings.Repeat(unit[1], depth)
			if _, err := scanJSON([]byte(text)); (err == nil) != ok {
				t.Errorf("%d times %s: %v", depth, unit[0], err)
			}
		}
	}
}

func FuzzScanner(f *testing.F) {
	for _, text := range scannerCases {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		value, err := scanJSON(text)
		if err != nil && strings.Contains(fattorino.AsError(err).Msg, "nested deeper") {
			return
		}
		if got, want := err == nil, json.Valid(text) && utf8.Valid(text); got != want {
			t.Fatalf("valid is %v, want %v (%v)", got, want, err)
		}
		if err != nil {
			return
		}
		if trimmed := bytes.Trim(text, " \t\r\n"); !bytes.Equal(value, trimmed) {
			t.Fatalf("value %q, want %q", value, trimmed)
		}
		if value[0] == '"' {
			checkUnquote(t, value)
		}
	})
}

// checkUnquote compares unquote with encoding/json, which puts U+FFFD where
// unquote refuses.
func checkUnquote(t *testing.T, token []byte) {
	t.Helper()
	var want string
	if err := json.Unmarshal(token, &want); err != nil {
		t.Fatal(err)
	}
	got, ok := unquote(token)
	switch {
	case ok && string(got) != want:
		t.Fatalf("%s says %q, want %q", token, got, want)
	case !ok && !strings.Contains(want, "\ufffd"):
		t.Fatalf("%s is refused and says %q", token, want)
	}
}
