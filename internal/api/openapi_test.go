package api_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

func TestDescriptionIsValid(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	err = doc.Validate(t.Context(),
		openapi3.EnableExamplesValidation(), openapi3.EnableSchemaDefaultsValidation(), openapi3.EnableSchemaFormatValidation())
	if err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI[:3] != "3.1" {
		t.Errorf("openapi %s, want 3.1", doc.OpenAPI)
	}
	if strings.Contains(string(text), "x-go-") {
		t.Error("what concerns Go alone belongs in overlay.yaml")
	}
}

// Whoever reads the description must find what each operation can answer.
func TestDescriptionIsComplete(t *testing.T) {
	t.Parallel()
	for path, item := range loadSpec(t).doc.Paths.Map() {
		for method, op := range item.Operations() {
			at := method + " " + path
			if op.Summary == "" || op.Description == "" || len(op.Tags) != 1 || op.OperationID == "" {
				t.Errorf("%s lacks a summary, a description, one tag or an operationId", at)
			}
			public := op.Security != nil
			for _, status := range []string{"401", "403", "500"} {
				if !public && op.Responses.Value(status) == nil {
					t.Errorf("%s needs a token and does not describe %s", at, status)
				}
			}
			if public && op.Responses.Value("401") != nil {
				t.Errorf("%s is public and describes 401", at)
			}
			if op.RequestBody != nil && op.Responses.Value("413") == nil {
				t.Errorf("%s takes a body and does not describe 413", at)
			}
			for status, r := range op.Responses.Map() {
				for mediaType, m := range r.Value.Content {
					if strings.HasSuffix(mediaType, "json") && m.Example == nil && len(m.Examples) == 0 {
						t.Errorf("%s: %s has no example", at, status)
					}
				}
			}
		}
	}
}

// Every operation that needs a token answers 401 without a good one, as the
// first thing: nothing of the request is looked at before.
func TestEveryOperationNeedsAToken(t *testing.T) {
	t.Parallel()
	f := start(t)
	tested := 0
	for path, item := range f.spec.doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.Security != nil {
				continue
			}
			path := regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "1")
			for _, token := range []string{"", "wrong", strings.Repeat("x", 5000)} {
				answer := f.do(call{method: method, path: path, token: token})
				answer.problem(t, http.StatusUnauthorized)
				want := `Bearer realm="fattorino"`
				if token != "" {
					want += `, error="invalid_token"`
				}
				if got := answer.header.Get("WWW-Authenticate"); got != want {
					t.Errorf("%s %s: WWW-Authenticate %q, want %q", method, path, got, want)
				}
			}
			tested++
		}
	}
	if tested < 14 {
		t.Errorf("only %d operations needed a token", tested)
	}
}

// Every public operation answers without a token, and refuses unknown query
// parameters like the others.
func TestEveryPublicOperationAnswers(t *testing.T) {
	t.Parallel()
	f := start(t)
	for path, item := range f.spec.doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.Security == nil || op.Tags[0] == "Health" { // health is served elsewhere
				continue
			}
			path := strings.NewReplacer("{contract}", "fic", "{key}", "fic", "{subscription}", "1", "{round}", "1").Replace(path)
			if op.Tags[0] == "Subscriptions" { // a key is needed there, which has tests of its own
				f.do(call{method: method, path: path}).problem(t, http.StatusNotFound)
			} else {
				f.do(call{method: method, path: path}).want(t, http.StatusOK)
			}
			p := f.do(call{method: method, path: path + "?pretty=1"}).problem(t, http.StatusBadRequest)
			if len(p.Errors) != 1 || p.Errors[0].Field != "pretty" {
				t.Errorf("%s: errors %v, want pretty to be named", path, p.Errors)
			}
		}
	}
}

// What all other tests rely on: an answer that is not as described is found
// out.
func TestTheCheckOfAnswersFindsFaults(t *testing.T) {
	t.Parallel()
	s := loadSpec(t)
	json := http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}
	const good = `{"id":1,"name":"x","created_at":"2026-01-15T08:00:00Z"}`
	for name, answer := range map[string]reply{
		"":                           {201, json, []byte(good)},
		"a member too many":          {201, json, []byte(`{"id":1,"name":"x","created_at":"2026-01-15T08:00:00Z","more":1}`)},
		"a member missing":           {201, json, []byte(`{"id":1,"name":"x"}`)},
		"a member of another type":   {201, json, []byte(`{"id":"1","name":"x","created_at":"2026-01-15T08:00:00Z"}`)},
		"null where nothing belongs": {201, json, []byte(`{"id":1,"name":null,"created_at":"2026-01-15T08:00:00Z"}`)},
		"a time that is none":        {201, json, []byte(`{"id":1,"name":"x","created_at":"yesterday"}`)},
		"a status not described":     {202, json, []byte(good)},
		"another media type":         {201, http.Header{"Content-Type": {"text/plain"}}, []byte(good)},
		"an error without its type":  {422, http.Header{"Content-Type": {"application/problem+json"}}, []byte(`{"title":"x","status":422,"detail":"x"}`)},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/v1/apps", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if err := s.validate(r, answer, `{"name":"x"}`); (err == nil) != (name == "") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
