package subscriptions

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func newCatalog(t testing.TB) *fattorino.Catalog {
	t.Helper()
	c, err := fattorino.NewCatalog("native", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Open = true
	return c
}

// A source is told from filters of the client, however alike, and comes out as
// it went in.
func TestSourceIsKeptBesideFilters(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	for _, tc := range []struct {
		name, filters string
		source        *string
	}{
		{"neither", `[]`, nil},
		{"source", `[]`, text("/erp?a=<b>&c")},
		{"filter", `[{"exact":{"source":"/erp"}}]`, nil},
		{"both", `[{"exact":{"source":"/erp"}},{"sql":"a < 'b'"}]`, text("/erp")},
		{"all with two", `[{"all":[{"exact":{"source":"/erp"}},{"exact":{"source":"/erp"}}]}]`, nil},
		{"all with another attribute", `[{"all":[{"exact":{"source":"/erp","type":"a"}}]}]`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var list []json.RawMessage
			if err := json.Unmarshal([]byte(tc.filters), &list); err != nil {
				t.Fatal(err)
			}
			kept, err := joinSource(list, tc.source)
			if err != nil {
				t.Fatal(err)
			}
			source, filters, err := splitSource(kept)
			if err != nil {
				t.Fatal(err)
			}
			var got []json.RawMessage
			if filters != nil {
				if err := json.Unmarshal(filters, &got); err != nil {
					t.Fatal(err)
				}
			}
			if len(got) != len(list) || (tc.source == nil) != (source == "") || (tc.source != nil && *tc.source != source) {
				t.Errorf("source %q, filters %s", source, filters)
			}
		})
	}
}

// Fields that were not made by this door are shown by their names alone.
func TestFieldsOfTheNativeAPIAreShownByName(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]*credential{
		"ApiKey 123":       nil,
		"Basic !":          nil,
		"Basic YQ==":       nil, // no colon
		"Basic YTpiOmM=":   {CredentialType: plainCredential, Identifier: "a"},
		"Bearer something": {CredentialType: accessToken, TokenType: "bearer"},
	} {
		shown, headers := showFields([]fattorino.Header{{Name: "X-A", Value: "1"}, {Name: "authorization", Value: value}}, "")
		if diff := cmp.Diff(want, shown); diff != "" {
			t.Errorf("%s: %s", value, diff)
		}
		wantHeaders := map[string]string{"X-A": ""}
		if want == nil {
			wantHeaders["authorization"] = ""
		}
		if diff := cmp.Diff(wantHeaders, headers); diff != "" {
			t.Errorf("%s: %s", value, diff)
		}
	}
}

// Of a sink nothing secret is left, and what is left is none.
func TestWithoutQuery(t *testing.T) {
	t.Parallel()
	for sink, want := range map[string]string{
		"https://a.example":                 "https://a.example",
		"https://a.example/in":              "https://a.example/in",
		"https://a.example/in?key=v#f":      "https://a.example/in?…",
		"https://a.example?key=v":           "https://a.example?…",
		"https://me:pw@a.example/@x?a=b/c":  "https://…@a.example/@x?…",
		"https://a.example/#https://b?c@d/": "https://a.example/#…",
	} {
		if got := withoutQuery(sink); got != want {
			t.Errorf("%s: %s, want %s", sink, got, want)
		}
	}
}

// Whatever is sent in is either refused in the caller's terms, or keeps the
// rules.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"protocol":"HTTP","sink":"https://a.example"}`,
		`{"id":1,"protocol":"HTTP","sink":"https://a.example/?a=b","source":"/erp","types":["a","b.*"],"filters":[{"exact":{"type":"a"}}],"config":{"company":"1","rate":600,"thin":true,"secret":null}}`,
		`{"protocol":"HTTP","sink":"https://a.example","sinkCredential":{"credentialType":"ACCESSTOKEN","accessToken":"a","accesstokenexpiresutc":"2030-01-01T00:00:00Z"}}`,
		`{"protocol":"HTTP","sink":"https://a.example","sinkcredential":{"credentialtype":"PLAIN","identifier":"a","secret":"b"},"protocolsettings":{"headers":{"X-A":"b"},"method":"POST"}}`,
		`null`, `[]`, `{"config":{"":{}}}`, `{"filters":null,"types":null}`,
	} {
		f.Add([]byte(seed))
	}
	catalog := newCatalog(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		w, err := parse(text, catalog)
		if err != nil {
			if kind := fattorino.KindOf(err); kind != fattorino.Malformed && kind != fattorino.Invalid {
				t.Fatalf("refused with kind %d: %v", kind, err)
			}
			return
		}
		if w.sink == "" || len(w.types) == 0 || w.company < 0 || w.rate < 0 {
			t.Fatalf("taken as good: %+v", w)
		}
		source, filters, err := splitSource(w.filters)
		if err != nil {
			t.Fatal(err)
		}
		var list []json.RawMessage
		if filters != nil && json.Unmarshal(filters, &list) != nil {
			t.Fatalf("filters %s", filters)
		}
		var again *string
		if source != "" {
			again = &source
		}
		if kept, err := joinSource(list, again); err != nil || string(kept) != string(w.filters) {
			t.Fatalf("kept %s, then %s (%v)", w.filters, kept, err)
		}
		fields, err := w.fields(nil)
		if err != nil {
			if fattorino.KindOf(err) != fattorino.Invalid {
				t.Fatal(err)
			}
			return
		}
		showFields(fields, "")
	})
}
