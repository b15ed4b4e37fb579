package httpjson_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// order is a body like those of the APIs.
type order struct {
	Name     string            `json:"name"`
	Count    int32             `json:"count"`
	Urgent   bool              `json:"urgent"`
	Types    []string          `json:"types"`
	Labels   map[string]string `json:"labels"`
	Data     details           `json:"data"`
	Due      time.Time         `json:"due"`
	Optional *int64            `json:"optional"`
}

type details struct {
	Sink string `json:"sink"`
}

// decode reads a body as a door does, from a request with its length.
func decode(body string, limit int64) (order, error) {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/", strings.NewReader(body))
	var v order
	err := httpjson.Decode(httptest.NewRecorder(), r, limit, &v)
	return v, err
}

func TestDecodeTakesWhatIsUnderstood(t *testing.T) {
	t.Parallel()
	one := int64(1)
	for body, want := range map[string]order{
		`{}`:                           {},
		"\r\n\t {\"name\":\"a\"} \n\n": {Name: "a"},
		`{"name":"àè€😀","count":-2147483648,"urgent":true}`:          {Name: "àè€😀", Count: -2147483648, Urgent: true},
		`{"types":["a","b"],"data":{"sink":"x"},"labels":{"k":"v"}}`: {Types: []string{"a", "b"}, Data: details{"x"}, Labels: map[string]string{"k": "v"}},
		`{"types":null,"optional":null}`:                             {},
		`{"optional":1}`:                                             {Optional: &one},
		`{"name":"\u00e0\n"}`:                                        {Name: "à\n"},
		`null`:                                                       {}, // as some SDKs send where there is no body
	} {
		got, err := decode(body, 1000)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

func TestDecodeSaysWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	const malformed, invalid = fattorino.Malformed, fattorino.Invalid
	for _, tt := range []struct {
		name, body string
		kind       fattorino.Kind
		says       string // part of the message
		field      string // of the fault; empty = none
	}{
		// What is no JSON.
		{"nothing", "", malformed, "the body is empty", ""},
		{"white space", " \r\n\t", malformed, "the body is empty", ""},
		{"a form", "name=a&count=1", malformed, "not valid JSON at byte", ""},
		{"an end that does not come", `{"name":"a"`, malformed, "ends in the middle", ""},
		{"a text that does not end", `{"name":"a`, malformed, "ends in the middle", ""},
		{"a comma too many", `{"name":"a",}`, malformed, "not valid JSON at byte 13", ""},
		{"single quotes", `{'name':'a'}`, malformed, "not valid JSON at byte 2", ""},
		{"a comment", `{"name":"a"} // as agreed`, malformed, "something after the JSON value", ""},
		{"a number that is none", `{"count":01}`, malformed, "not valid JSON", ""},
		{"a control character in a text", "{\"name\":\"a\nb\"}", malformed, "not valid JSON", ""},
		{"a byte order mark", "\ufeff{}", malformed, "not valid JSON at byte 1", ""},
		{"another encoding", "{\"name\":\"\xe0\"}", malformed, "not valid UTF-8", ""},
		{"another encoding in a name", "{\"n\xe0me\":1}", malformed, "not valid UTF-8", ""},
		{"half a character at the end", "{}\xc3", malformed, "not valid UTF-8", ""},
		{"nesting without end", strings.Repeat(`{"data":`, 20_000), malformed, "not valid JSON", ""},

		// What comes after.
		{"two values", `{"name":"a"}{"name":"b"}`, malformed, "something after the JSON value", ""},
		{"a bracket too many", `{"name":"a"}}`, malformed, "something after the JSON value", ""},
		{"text after the value", `{} ok`, malformed, "something after the JSON value", ""},

		// What comes twice.
		{"a member twice", `{"name":"a","name":"b"}`, malformed, `the member "name" comes twice in one object`, ""},
		{"a member twice, alike", `{"name":"a","name":"a"}`, malformed, "comes twice", ""},
		{"a member twice, once escaped", `{"name":"a","n\u0061me":"b"}`, malformed, "comes twice", ""},
		{"a member twice, once null", `{"name":null,"name":"b"}`, malformed, "comes twice", ""},
		{"a member twice within", `{"data":{"sink":"x","sink":"y"}}`, malformed, `"sink" comes twice`, ""},
		{"a member twice that is an object", `{"data":{"sink":"x"},"data":{}}`, malformed, `"data" comes twice`, ""},

		// What has no place.
		{"an unknown field", `{"name":"a","title":"b"}`, invalid, `unknown field "title"`, ""},
		{"an unknown field within", `{"data":{"sinc":"x"}}`, invalid, `unknown field "sinc"`, ""},
		{"an unknown field of value null", `{"title":null}`, invalid, `unknown field "title"`, ""},

		// What has another type.
		{"a text for a number", `{"count":"5"}`, invalid, "a JSON string", "count"},
		{"a number for a text", `{"name":5}`, invalid, "a JSON number", "name"},
		{"a fraction for an integer", `{"count":1.5}`, invalid, "a JSON number 1.5", "count"},
		{"a number that is too large", `{"count":2147483648}`, invalid, "a JSON number 2147483648", "count"},
		{"a number for a boolean", `{"urgent":1}`, invalid, "a JSON number", "urgent"},
		{"a text for a list", `{"types":"a"}`, invalid, "a JSON string", "types"},
		{"a number in a list of texts", `{"types":["a",5]}`, invalid, "a JSON number", "types"},
		{"a list for an object", `{"data":[]}`, invalid, "a JSON array", "data"},
		{"a number within an object", `{"data":{"sink":5}}`, invalid, "a JSON number", "data.sink"},
		{"a list for the body", `[]`, invalid, "a JSON array", "body"},
		{"a text for the body", `"{}"`, invalid, "a JSON string", "body"},
		{"a text that is no time", `{"due":"tomorrow"}`, invalid, "is not understood", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := decode(tt.body, 1<<20)
			e := fattorino.AsError(err)
			if err == nil || e.Kind != tt.kind || !strings.Contains(e.Msg, tt.says) {
				t.Fatalf("%v, want kind %d saying %q", err, tt.kind, tt.says)
			}
			if tt.field == "" {
				if len(e.Faults) != 0 {
					t.Errorf("faults %v, want none", e.Faults)
				}
				return
			}
			if len(e.Faults) != 1 || e.Faults[0].Field != tt.field {
				t.Errorf("faults %v, want one at %s", e.Faults, tt.field)
			}
		})
	}
}

// read sends a body over a real connection, with its length told or not, and
// gives what ReadBody made of it.
func read(t *testing.T, body io.Reader, limit int64) (got []byte, err error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err = httpjson.ReadBody(w, r, limit)
	}))
	defer server.Close()
	request, failed := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
	if failed != nil {
		t.Fatal(failed)
	}
	response, failed := server.Client().Do(request)
	if failed != nil {
		t.Fatal(failed)
	}
	response.Body.Close() //nolint:errcheck // it is empty
	return got, err
}

func TestABodyHasALimit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		size     int
		tooLarge bool
	}{{0, false}, {1, false}, {99, false}, {100, false}, {101, true}, {5000, true}} {
		for _, lengthTold := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d bytes of 100, length told %t", tt.size, lengthTold), func(t *testing.T) {
				t.Parallel()
				want := strings.Repeat("x", tt.size)
				var body io.Reader = strings.NewReader(want)
				if !lengthTold {
					body = io.MultiReader(body) // whose length the client does not know: sent in chunks
				}
				got, err := read(t, body, 100)
				if !tt.tooLarge {
					if err != nil || string(got) != want {
						t.Errorf("%d bytes, %v; want all", len(got), err)
					}
					return
				}
				e := fattorino.AsError(err)
				if err == nil || e.Kind != fattorino.TooLarge || e.Msg != "the request body has more than 100 bytes" || got != nil {
					t.Errorf("%d bytes, %v; want TooLarge", len(got), err)
				}
			})
		}
	}
}

func TestABodyThatIsTooLargeIsNotDecoded(t *testing.T) {
	t.Parallel()
	const body = `{"name":"a"}`
	if _, err := decode(body, int64(len(body))); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	v, err := decode(body+" ", int64(len(body)))
	if fattorino.KindOf(err) != fattorino.TooLarge || v.Name != "" {
		t.Errorf("one byte more: %v, %+v; want TooLarge and nothing read", err, v)
	}
}

func TestABodyThatBreaksOffIsTheCallersAffair(t *testing.T) {
	t.Parallel()
	broken := io.MultiReader(strings.NewReader(`{"name":`), &failing{})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", broken)
	_, err := httpjson.ReadBody(httptest.NewRecorder(), r, 1000)
	e := fattorino.AsError(err)
	if err == nil || e.Kind != fattorino.Malformed || !errors.Is(e, io.ErrUnexpectedEOF) || strings.Contains(e.Msg, "EOF") {
		t.Errorf("%v, want Malformed, with the cause for the log", err)
	}
}

// failing is a connection that breaks.
type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{``, `{}`, `null`, `{"name":"a","data":{"sink":"x"}}`, `{"types":[1]}`, `[`, "\xff", `{} x`, `{"due":"2026-03-01T12:00:00Z"}`} {
		f.Add(seed)
	}
	const limit = 200
	f.Fuzz(func(t *testing.T, body string) {
		_, err := decode(body, limit)
		kind := fattorino.KindOf(err)
		switch {
		case len(body) > limit:
			if kind != fattorino.TooLarge {
				t.Errorf("%d bytes: %v, want TooLarge", len(body), err)
			}
		case err != nil && kind != fattorino.Malformed && kind != fattorino.Invalid:
			t.Errorf("%q: %v of kind %d: a body is never our own fault", body, err, kind)
		}
	})
}

// render is a door's envelope.
func render(w http.ResponseWriter, e *fattorino.Error) {
	w.WriteHeader(map[fattorino.Kind]int{fattorino.Internal: 500, fattorino.NotFound: 404, fattorino.Unavailable: 503}[e.Kind])
	_, _ = io.WriteString(w, e.Msg)
}

func TestHandleRendersErrorsAndLogsOurOwn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		err    error
		status int
		body   string
		logged string // part of the log; empty = nothing is logged
	}{
		{"none", nil, 200, "done", ""},
		{"the caller's", fattorino.Errorf(fattorino.NotFound, "there is no such thing"), 404, "there is no such thing", ""},
		{"the caller's, wrapped", fmt.Errorf("door: %w", fattorino.Errorf(fattorino.NotFound, "there is no such thing")), 404, "there is no such thing", ""},
		{"the store's, which is logged where it happens", &fattorino.Error{Kind: fattorino.Unavailable, Msg: "not now", Err: errors.New("disk full")}, 503, "not now", ""},
		{"our own", errors.New("no such table: events"), 500, "internal error", "no such table: events"},
		{"our own, told as such", &fattorino.Error{Msg: "it went wrong", Err: errors.New("no such table")}, 500, "it went wrong", "no such table"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			mux := http.NewServeMux()
			mux.Handle("POST /things/{id}", httpjson.Handle(slog.New(slog.NewTextHandler(&log, nil)), render,
				func(w http.ResponseWriter, _ *http.Request) error {
					if tt.err == nil {
						_, _ = io.WriteString(w, "done")
					}
					return tt.err
				}))
			answer := httptest.NewRecorder()
			mux.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/things/5?key=secret", nil))

			if answer.Code != tt.status || answer.Body.String() != tt.body {
				t.Errorf("answered %d %q, want %d %q", answer.Code, answer.Body, tt.status, tt.body)
			}
			if tt.logged == "" {
				if log.Len() > 0 {
					t.Errorf("logged %s", &log)
				}
				return
			}
			// The log names the route, and nothing of the URL, which can hold secrets.
			for _, part := range []string{tt.logged, "level=ERROR", "method=POST", `route="POST /things/{id}"`} {
				if !strings.Contains(log.String(), part) {
					t.Errorf("logged %s, want %s in it", &log, part)
				}
			}
			if strings.Contains(log.String(), "secret") {
				t.Errorf("logged the query: %s", &log)
			}
		})
	}
}

func TestWriteAnswersWithJSON(t *testing.T) {
	t.Parallel()
	answer := httptest.NewRecorder()
	if err := httpjson.Write(answer, http.StatusCreated, map[string]any{"sink": "https://a.example/?a=1&b=<2>"}); err != nil {
		t.Fatal(err)
	}
	// URLs are shown as they are, and not escaped as for HTML.
	if got, want := answer.Body.String(), `{"sink":"https://a.example/?a=1&b=<2>"}`+"\n"; got != want {
		t.Errorf("body %q, want %q", got, want)
	}
	if answer.Code != http.StatusCreated || answer.Header().Get("Content-Type") != "application/json" {
		t.Errorf("status %d, content type %q", answer.Code, answer.Header().Get("Content-Type"))
	}

	answer = httptest.NewRecorder()
	if err := httpjson.WriteAs(answer, http.StatusOK, "application/problem+json", []string{}); err != nil {
		t.Fatal(err)
	}
	if answer.Body.String() != "[]\n" || answer.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("body %q, content type %q", answer.Body, answer.Header().Get("Content-Type"))
	}
}

func TestWhatCannotBeEncodedIsNotHalfWritten(t *testing.T) {
	t.Parallel()
	answer := httptest.NewRecorder()
	// The trouble comes after much that could be written.
	v := []any{strings.Repeat("x", 100_000), func() {}}
	h := httpjson.Handle(slog.New(slog.DiscardHandler), render, func(w http.ResponseWriter, _ *http.Request) error {
		return httpjson.Write(w, http.StatusOK, v)
	})
	h.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if answer.Code != http.StatusInternalServerError || answer.Body.String() != "internal error" || answer.Header().Get("Content-Type") == "application/json" {
		t.Errorf("answered %d, %q, %d bytes; want the error and nothing else", answer.Code, answer.Header().Get("Content-Type"), answer.Body.Len())
	}
}
