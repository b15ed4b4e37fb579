package ui

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Who may do what: the table of routes, row by row, with each role. It is
// written out once more, so that a change there is a decision here.
func TestEveryRouteIsForItsRolesAlone(t *testing.T) {
	t.Parallel()
	want := map[string]role{
		"GET /ui/static/{file...}": nobody, "GET /ui/sign-in": nobody, "POST /ui/sign-in": nobody, "GET /ui/sign-in/oidc": nobody, "GET /ui/sign-in/oidc/callback": nobody, "POST /ui/sign-out": nobody,
		"GET /ui/portal/{link}": nobody, "POST /ui/portal-end": nobody, "GET /ui/portal-logo/{logo}": nobody, "GET /ui/portal-theme/{file}": nobody,
		"POST /ui/preferences": nobody, "GET /ui/{$}": viewer, "GET /ui/password": viewer, "POST /ui/password": viewer,

		"GET /ui/companies/{company}/overview":                              viewer,
		"GET /ui/companies/{company}/subscriptions":                         viewer,
		"GET /ui/companies/{company}/subscriptions/new":                     operator,
		"POST /ui/companies/{company}/subscriptions/new":                    operator,
		"POST /ui/companies/{company}/subscriptions/preview":                operator,
		"GET /ui/companies/{company}/subscriptions/{subscription}":          viewer,
		"GET /ui/companies/{company}/subscriptions/{subscription}/edit":     operator,
		"POST /ui/companies/{company}/subscriptions/{subscription}/edit":    operator,
		"POST /ui/companies/{company}/subscriptions/{subscription}/verify":  operator,
		"POST /ui/companies/{company}/subscriptions/{subscription}/test":    operator,
		"POST /ui/companies/{company}/subscriptions/{subscription}/enable":  operator,
		"POST /ui/companies/{company}/subscriptions/{subscription}/disable": operator,
		"POST /ui/companies/{company}/subscriptions/{subscription}/rotate":  operator,
		"GET /ui/companies/{company}/subscriptions/{subscription}/delete":   operator,
		"POST /ui/companies/{company}/subscriptions/{subscription}/delete":  operator,
		"POST /ui/companies/{company}/subscriptions/{subscription}/restore": operator,

		"GET /ui/companies/{company}/deliveries":                    viewer,
		"GET /ui/companies/{company}/deliveries/resend":             operator,
		"POST /ui/companies/{company}/deliveries/resend":            operator,
		"POST /ui/companies/{company}/deliveries/resend/stop":       operator,
		"GET /ui/companies/{company}/deliveries/live":               viewer,
		"GET /ui/companies/{company}/deliveries/{delivery}":         viewer,
		"POST /ui/companies/{company}/deliveries/{delivery}/resend": operator,
		"GET /ui/companies/{company}/events":                        viewer,
		"GET /ui/companies/{company}/events/live":                   viewer,
		"GET /ui/companies/{company}/events/{seq}":                  viewer,

		"GET /ui/inspect": viewer, "POST /ui/inspect": operator, "GET /ui/inspect/{bin}": viewer, "GET /ui/inspect/{bin}/live": viewer, "POST /ui/inspect/{bin}/check": viewer,
		"POST /ui/inspect/{bin}/answer": operator, "POST /ui/inspect/{bin}/keys": operator, "POST /ui/inspect/{bin}/keys/clear": operator,
		"POST /ui/inspect/{bin}/clear": operator, "POST /ui/inspect/{bin}/delete": operator,
		"GET /ui/subscriptions": viewer, "GET /ui/companies": viewer, "POST /ui/companies": admin,
		"GET /ui/apps": viewer, "POST /ui/apps": admin,
		"GET /ui/tokens": admin, "POST /ui/tokens": admin, "POST /ui/tokens/{token}/revoke": admin,
		"GET /ui/catalogs": viewer, "GET /ui/keys": viewer, "POST /ui/keys/rotate": admin,
		"GET /ui/users": admin, "POST /ui/users": admin, "POST /ui/users/{name}": admin, "POST /ui/users/{name}/delete": admin,
		"GET /ui/settings": admin, "GET /ui/audit": admin,
	}
	f := start(t)
	if _, err := f.service.NameCompany(t.Context(), caller(0), 7, "Rossi"); err != nil {
		t.Fatal(err)
	}
	routes := f.ui.routes()
	if len(routes) != len(want) {
		t.Errorf("there are %d routes, and %d in this table", len(routes), len(want))
	}
	fill := strings.NewReplacer("{company}", "7", "{file...}", "app.css", "{$}", "", "{link}", "99", "{logo}", "99", "{file}", "99", "{name}", "someone", "{subscription}", "99", "{delivery}", "99", "{seq}", "99", "{token}", "99", "{bin}", "99")
	for _, r := range []role{nobody, viewer, operator, admin} {
		b := f.signedIn(r)
		for _, rt := range routes {
			needs, ok := want[rt.pattern]
			if !ok {
				t.Fatalf("the route %s is not in this table", rt.pattern)
			}
			if rt.pattern == "POST /ui/sign-out" || (r > nobody && strings.HasSuffix(rt.pattern, "/live")) {
				continue // the one would end the session, the other has no end
			}
			method, path, _ := strings.Cut(rt.pattern, " ")
			got := b.do(method, fill.Replace(path), url.Values{})
			refused := got.status == http.StatusForbidden ||
				(r == nobody && got.status == http.StatusSeeOther && strings.HasPrefix(got.header.Get("Location"), "/ui/sign-in"))
			if refused != (r < needs) {
				t.Errorf("%s as %s: got %d %s, want it %s", rt.pattern, r, got.status, got.header.Get("Location"), map[bool]string{true: "refused", false: "let through"}[r < needs])
			}
			if got.status == http.StatusInternalServerError {
				t.Errorf("%s as %s: got 500", rt.pattern, r)
			}
		}
	}
}

func TestEveryAnswerTellsTheBrowserWhatPagesMayDo(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, path := range []string{"/ui/sign-in", "/ui/companies", "/ui/static/app.css", "/ui/nothing"} {
		policy := f.browser().get(path).header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy %q lacks %s", path, policy, part)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy %q is not strict", path, policy)
		}
	}
}

func TestAFormFromAnotherSiteIsRefused(t *testing.T) {
	t.Parallel()
	f := start(t)
	b := f.signedIn(admin)
	form := url.Values{"name": {"Foreign"}}
	if got := b.do(http.MethodPost, "/ui/apps", form, "Sec-Fetch-Site", "cross-site"); got.status != http.StatusForbidden {
		t.Errorf("from another site: got %d, want 403", got.status)
	}
	if got := b.do(http.MethodPost, "/ui/apps", form, "Origin", "https://evil.example"); got.status != http.StatusForbidden {
		t.Errorf("from another origin: got %d, want 403", got.status)
	}
	apps, err := f.service.Apps(t.Context(), caller(0), 0, 10)
	if err != nil || len(apps) != 0 {
		t.Errorf("there are %d apps, %v; want none", len(apps), err)
	}
	if got := b.do(http.MethodPost, "/ui/apps", form, "Sec-Fetch-Site", "same-origin"); got.status != http.StatusSeeOther {
		t.Errorf("from these pages: got %d, want 303", got.status)
	}
}

func TestWhatIsNotThereIsSaidOnAPage(t *testing.T) {
	t.Parallel()
	b := start(t).signedIn(admin)
	for _, path := range []string{
		"/ui/nothing", "/ui/companies/7/subscriptions", "/ui/companies/x/events", "/ui/companies/-1/events", "/ui/companies/0/deliveries", "/ui/static/vendor/htmx.LICENSE",
	} {
		if got := b.get(path); got.status != http.StatusNotFound || !strings.Contains(got.body, "There is nothing here") {
			t.Errorf("%s: got %d, want 404 and a page", path, got.status)
		}
	}
}

func TestOfASinkNothingSecretIsShown(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		format     fattorino.Format
		sink, want string
	}{
		{"", "https://example.com/hooks", "https://example.com/hooks"},
		{"", "https://user:secret@example.com:8443/hooks?token=secret#secret", "https://example.com:8443/hooks?…"},
		{"slack", "https://hooks.slack.com/services/secret", "https://hooks.slack.com/…"},
		{"", "://", "…"},
		{"", "javascript:alert(1)", "…"},
	} {
		if got := shownSink(x.format, x.sink); got != x.want {
			t.Errorf("%s: got %s, want %s", x.sink, got, x.want)
		}
	}
}

func TestAScopeThatDoesNotExistIsRefusedInTheForm(t *testing.T) {
	t.Parallel()
	f := start(t)
	if _, err := f.service.CreateApp(t.Context(), caller(0), "Warehouse"); err != nil {
		t.Fatal(err)
	}
	b := f.signedIn(admin)
	got := b.post("/ui/tokens", url.Values{"kind": {"api"}, "app": {"1"}, "scopes": {"defacto:r, invoices:r"}})
	if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "there is no scope &#34;invoices:r&#34;: there are * for everything, and defacto:r;") ||
		!strings.Contains(got.body, `value="defacto:r, invoices:r"`) {
		t.Errorf("got %d: %s", got.status, got.body)
	}
	if got := b.post("/ui/tokens", url.Values{"kind": {"api"}, "app": {"1"}, "scopes": {"defacto:a"}}); got.status != http.StatusOK {
		t.Errorf("with one that exists: got %d, want 200", got.status)
	}
}
