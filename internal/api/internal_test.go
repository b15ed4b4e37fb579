package api

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Every kind of error has a status of its own, which leads back to it, and a
// place on the page.
func TestProblemTable(t *testing.T) {
	t.Parallel()
	spec, err := parseDescription(openapiYAML)
	if err != nil {
		t.Fatal(err)
	}
	page, err := renderDocs(spec)
	if err != nil {
		t.Fatal(err)
	}
	for kind := fattorino.Internal; kind <= fattorino.Stale; kind++ {
		p := problemOf(kind)
		if got := kindOf(p.Status); got != kind {
			t.Errorf("kind %d has status %d, which leads to kind %d", kind, p.Status, got)
		}
		if p.Title == "" || !strings.Contains(string(page.html), ` id="error-`+p.Type+`"`) {
			t.Errorf("%q with the title %q is not explained at /docs", p.Type, p.Title)
		}
	}
	if got := problemOf(fattorino.Stale + 1); got.Status != 500 {
		t.Errorf("a kind nobody knows has status %d", got.Status)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind  fattorino.Kind
		after time.Duration
		want  string
	}{
		{fattorino.TooMany, 90 * time.Second, "90"},
		{fattorino.TooMany, 1500 * time.Millisecond, "2"}, // never too early
		{fattorino.TooMany, 0, "5"},
		{fattorino.Unavailable, 0, "5"},
		{fattorino.Conflict, time.Second, ""},
	} {
		w := httptest.NewRecorder()
		writeError(w, &fattorino.Error{Kind: test.kind, Msg: "x", RetryAfter: test.after})
		if got := w.Header().Get("Retry-After"); got != test.want {
			t.Errorf("kind %d after %v: Retry-After %q, want %q", test.kind, test.after, got, test.want)
		}
	}
}

func TestSinksAreShownWithoutSecrets(t *testing.T) {
	t.Parallel()
	for sink, want := range map[string]string{
		"https://example.com/hook":                    "https://example.com/hook",
		"https://example.com":                         "https://example.com",
		"https://example.com/hook?key=hush":           "https://example.com/hook?…",
		"https://example.com?key=hush":                "https://example.com?…",
		"https://example.com/#hush":                   "https://example.com/#…",
		"https://user:hush@example.com:8443/a@b?hush": "https://…@example.com:8443/a@b?…",
		"https://hush@x@example.com":                  "https://…@example.com",
		"no url?hush":                                 "no url?…",
		"":                                            "",
	} {
		if got := withoutSecrets(sink); got != want {
			t.Errorf("%q is shown as %q, want %q", sink, got, want)
		}
	}
}

// Who knows the path of a chat's webhook can write there.
func TestSinksOfChatsAreShownWithoutTheirPath(t *testing.T) {
	t.Parallel()
	for sink, want := range map[string]string{
		"https://example.com/services/hush":            "https://example.com/…",
		"https://example.com:443/hush/hush?sig=hush#x": "https://example.com:443/…",
		"https://example.com?sig=hush":                 "https://example.com/…",
		"https://example.com":                          "https://example.com/…",
		"https://user:hush@example.com/hush":           "https://…@example.com/…",
	} {
		for _, format := range []fattorino.Format{"slack", "teams", "discord"} {
			if got := shownSink(format, sink); got != want {
				t.Errorf("%q is shown as %q, want %q", sink, got, want)
			}
		}
		if got := shownSink(fattorino.Batched, sink); got != withoutSecrets(sink) {
			t.Errorf("%q is shown as %q where its path is no secret", sink, got)
		}
	}
}

func FuzzSinksAreShownWithoutSecrets(f *testing.F) {
	f.Add("https", "user:password", "example.com", "/a", "key=hush")
	f.Fuzz(func(t *testing.T, scheme, user, host, path, query string) {
		for _, s := range []string{scheme, user, host, path, query} {
			if strings.ContainsAny(s, "?#/@:") || strings.Contains(s, "hush") {
				return
			}
		}
		if got := withoutSecrets(scheme + "://" + user + "hush@" + host + "/" + path + "?hush" + query); strings.Contains(got, "hush") {
			t.Errorf("shown: %q", got)
		}
	})
}

func TestBodiesAreShownAsText(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, body string
		truncated  bool
		text       string
		raw        bool
	}{
		{"nothing", "", false, "", false},
		{"text", "può", false, "può", false},
		{"no text", "\xff\xfe", false, "", true},
		{"cut in a character of two bytes", "pu\xc3", true, "pu", false},
		{"cut in one of four", "pu\xf0\x9f\x98", true, "pu", false},
		{"cut behind one", "può", true, "può", false},
		{"ends in the middle without being cut", "pu\xc3", false, "", true},
		{"cut, and no text either", "\xff\xff\xff\xff", true, "", true},
		{"cut after nothing but the start of one", "\xe2", true, "", false},
	} {
		text, raw := showBody([]byte(test.body), test.truncated)
		if text != test.text || (raw != nil) != test.raw {
			t.Errorf("%s: %q and %q", test.name, text, raw)
		}
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "10": 10 * time.Second, "30s": 30 * time.Second, "1500ms": 1500 * time.Millisecond, "0.5": 500 * time.Millisecond,
	} {
		if got, err := parseWait(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"31", "30.001s", "-1", "1h", "s", "x", "1 s", "NaN", "1e1"} {
		if got, err := parseWait(text); fattorino.KindOf(err) != fattorino.Malformed {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestTheLinkKeepsTheFilters(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	linkNext(w, httptest.NewRequestWithContext(t.Context(), "GET", "/v1/x%20y?type=a&type=b&cursor=9&q=%3E", nil), "cursor", "7")
	if got, want := w.Header().Get("Link"), `</v1/x%20y?cursor=7&q=%3E&type=a&type=b>; rel="next"`; got != want {
		t.Errorf("Link %s, want %s", got, want)
	}
}

// Whatever the members and fields: the answer is JSON, holds seq and id first,
// and no more than was asked for.
func FuzzTrimmedEvents(f *testing.F) {
	f.Add("1", "type,data", `{"a":1}`, "ext", "value")
	f.Add("\"x\"", "data", `"è"`, "seq", "theirs")
	f.Add("1", "id,seq,,type", `null`, "id2", "")
	f.Fuzz(func(t *testing.T, id, fields, data, name, value string) {
		for _, c := range name {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
				return
			}
		}
		reserved := map[string]bool{"": true, "id": true, "source": true, "type": true, "specversion": true, "data": true, "subject": true, "time": true, "datacontenttype": true, "dataschema": true}
		if !json.Valid([]byte(data)) || id == "" || reserved[name] || !utf8.ValidString(id+fields+value) {
			return
		}
		e := &fattorino.Event{
			ID: id, Source: "/", Type: "t", Seq: 7, Data: []byte(data), Form: fattorino.JSONData,
			Extensions: map[string]any{name: value},
		}
		for _, list := range [][]string{nil, strings.Split(fields, ",")} {
			text, err := appendEvent(nil, e, list)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]json.RawMessage
			if err := json.Unmarshal(text, &got); err != nil || string(got["seq"]) != "7" {
				t.Fatalf("%v: %s", err, text)
			}
			for member := range got {
				asked := list == nil || strings.Contains(","+fields+",", ","+member+",")
				if !asked && member != "seq" && member != "id" {
					t.Errorf("%s was not asked for: %s", member, text)
				}
			}
		}
	})
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	got := string(markdown("One `a<b>` & two.\n\n- `x`\n- y\n\nThree.\n"))
	want := "<p>One <code>a&lt;b&gt;</code> &amp; two.</p><ul><li><code>x</code></li><li>y</li></ul><p>Three.</p>"
	if got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

func TestExamplesKeepOrderAndDigits(t *testing.T) {
	t.Parallel()
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(`{b: 12.50, a: ['1', true, {}], c: "è \"x\""}`), &node); err != nil {
		t.Fatal(err)
	}
	got, err := example(*node.Content[0])
	want := "{\n  \"b\": 12.50,\n  \"a\": [\n    \"1\",\n    true,\n    {}\n  ],\n  \"c\": \"è \\\"x\\\"\"\n}"
	if err != nil || got != want {
		t.Errorf("\ngot  %s, %v\nwant %s", got, err, want)
	}
}

// The page is made when the program starts: what it cannot show must be found
// here.
func TestDescriptionsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no YAML":                        "\t",
		"paths that are a list":          "paths: []",
		"a parameter that leads nowhere": "paths: {/x: {parameters: [{$ref: '#/components/parameters/No'}]}}",
		"a header that leads nowhere":    "paths: {/x: {get: {responses: {'200': {headers: {X: {$ref: '#/components/headers/No'}}}}}}}",
	} {
		if _, err := parseDescription(text); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	spec, err := parseDescription("components: {responses: {Odd: {description: odd}}}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := renderDocs(spec); err == nil {
		t.Error("an error without an example is accepted")
	}
}
