package api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/api"
)

func TestPathsAndMethodsThatAreNotThere(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, test := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/v1", 404, ""},
		{"GET", "/v1/", 404, ""},
		{"GET", "/v1/nothing", 404, ""},
		{"GET", "/v1/apps/", 404, ""},
		{"POST", "/v1/companies/1/events/2", 404, ""},
		{"GET", "/v2/events", 404, ""},
		{"DELETE", "/v1/apps", 405, "GET, HEAD, POST"},
		{"GET", "/v1/events", 405, "POST"},
		{"PATCH", "/v1/companies/12345", 405, "GET, HEAD, PUT"},
		{"OPTIONS", "/v1/tokens/4", 405, "DELETE"},
		{"POST", "/openapi.yaml", 405, "GET, HEAD"},
	} {
		_, answer := f.exchange(call{method: test.method, path: test.path})
		p := answer.problem(t, test.status)
		if got := answer.header.Get("Allow"); got != test.allow {
			t.Errorf("%s %s: Allow %q, want %q", test.method, test.path, got, test.allow)
		}
		if p.Detail == "" || p.Fix == "" {
			t.Errorf("%s %s: %+v", test.method, test.path, p)
		}
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	f := start(t)
	for path, cache := range map[string]string{
		"/v1/apps":               "no-store", // what a token gives
		"/v1/apps?limit=x":       "no-store",
		"/v1/nothing":            "no-store",
		"/v1/catalogs":           "",
		"/v1/keys/fic":           "public, max-age=300",
		"/v1/keys/nobody":        "no-store",
		"/.well-known/jwks.json": "public, max-age=300",
	} {
		_, answer := f.exchange(call{method: "GET", path: path, token: adminSecret})
		if got := answer.header.Get("Cache-Control"); got != cache {
			t.Errorf("%s: Cache-Control %q, want %q", path, got, cache)
		}
		if got := answer.header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: X-Content-Type-Options %q", path, got)
		}
	}
	_, head := f.exchange(call{method: "HEAD", path: "/v1/apps", token: adminSecret})
	if head.status != http.StatusOK || len(head.body) != 0 {
		t.Errorf("HEAD: status %d, body %q", head.status, head.body)
	}
}

func TestUnknownQueryParametersAreNamed(t *testing.T) {
	t.Parallel()
	f := start(t)
	p := f.get("/v1/apps?page=2&afterwards=1&limit=5").problem(t, http.StatusBadRequest)
	if len(p.Errors) != 2 || p.Errors[0].Field != "afterwards" || p.Errors[1].Field != "page" || p.Fix != "this operation takes after, limit" {
		t.Errorf("%+v", p)
	}
	p = f.do(call{method: "POST", path: "/v1/apps?dry_run=1", token: adminSecret, body: `{"name":"x"}`}).problem(t, http.StatusBadRequest)
	if p.Fix != "this operation takes no query parameters" {
		t.Errorf("%+v", p)
	}
}

// lostKeys are keys that cannot be read any more.
type lostKeys struct{ api.Keys }

func (lostKeys) PublicKey(string) (api.PublicKey, error) {
	return api.PublicKey{}, errors.New("open /var/lib/keys: permission denied")
}

// The cause of an error that is the server's own goes to the log alone.
func TestInternalErrorsSayNothing(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *api.Config) { c.Keys = lostKeys{c.Keys} })
	answer := f.do(call{method: "GET", path: "/v1/keys/fic"})
	p := answer.problem(t, http.StatusInternalServerError)
	if p.Detail != "internal error" || p.Type != "/docs#error-internal" || strings.Contains(string(answer.body), "/var/lib") {
		t.Errorf("%s", answer.body)
	}
	if log := f.log.String(); !strings.Contains(log, "permission denied") || !strings.Contains(log, "GET /v1/keys/{key}") {
		t.Errorf("the log does not hold cause and route: %s", log)
	}
}

func TestTheDescriptionIsServed(t *testing.T) {
	t.Parallel()
	f := start(t)
	yaml := f.do(call{method: "GET", path: "/openapi.yaml"}).want(t, http.StatusOK)
	if !strings.HasPrefix(string(yaml.body), "openapi: 3.1") {
		t.Errorf("%.80s", yaml.body)
	}
}

// A problem's type leads to the place on the page that explains it.
func TestDocs(t *testing.T) {
	t.Parallel()
	f := start(t)
	answer := f.do(call{method: "GET", path: "/docs"}).want(t, http.StatusOK)
	page := string(answer.body)
	policy := answer.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	for _, foreign := range []string{"<script", "<link", "<img", "<iframe", " style=", "@import", "url(", "src="} {
		if strings.Contains(page, foreign) {
			t.Errorf("the page has %q", foreign)
		}
	}
	ids := map[string]int{}
	for _, part := range strings.Split(page, ` id="`)[1:] {
		id, _, _ := strings.Cut(part, `"`)
		ids[id]++
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("id %s is there %d times", id, n)
		}
	}
	for _, part := range strings.Split(page, `href="#`)[1:] {
		if id, _, _ := strings.Cut(part, `"`); ids[id] == 0 {
			t.Errorf("a link leads to #%s, which is not there", id)
		}
	}
	for path, item := range f.spec.doc.Paths.Map() {
		for _, op := range item.Operations() {
			if ids[op.OperationID] != 1 || !strings.Contains(page, "<code>"+path+"</code>") {
				t.Errorf("%s %s is not on the page", op.OperationID, path)
			}
		}
	}
	for _, url := range []string{"/v1/apps?x=1", "/v1/nothing", "/v1/companies/1"} {
		_, answer := f.exchange(call{method: "GET", path: url})
		var p api.Problem
		answer.decode(t, &p)
		if place, ok := strings.CutPrefix(p.Type, "/docs#"); !ok || ids[place] != 1 {
			t.Errorf("the problem %s leads nowhere", p.Type)
		}
	}
}
