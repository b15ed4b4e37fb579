package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/app"
	"github.com/fattorino-dev/fattorino/test/openid"
)

// visitor is a browser that keeps cookies by hand and follows no redirect.
type visitor struct {
	t       *testing.T
	a       *app.App
	client  *http.Client
	cookies map[string]*http.Cookie
	host    string // that it believes to be at; empty = the server's
}

func newVisitor(t *testing.T, a *app.App, host string) *visitor {
	t.Helper()
	c := client(t)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &visitor{t, a, c, map[string]*http.Cookie{}, host}
}

func (v *visitor) do(method, path string, form url.Values) *http.Response {
	v.t.Helper()
	address := path
	if strings.HasPrefix(path, "/") {
		address = v.a.URL() + path
	}
	r, err := http.NewRequestWithContext(v.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	if strings.HasPrefix(path, "/") {
		r.Host = v.host
		for name, c := range v.cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: c.Value})
		}
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	if err := got.Body.Close(); err != nil {
		v.t.Fatal(err)
	}
	for _, c := range got.Cookies() {
		v.cookies[c.Name] = c
	}
	return got
}

// A browser that comes by the public URL is given cookies that no other host of
// the domain can set, and no script and no other site can use.
func TestOffThisMachineSecretsAreInHostCookies(t *testing.T) {
	t.Parallel()
	p := openid.Start()
	t.Cleanup(p.Close)
	const public = "https://hooks.example.com"
	p.Register(public + "/ui/sign-in/oidc/callback")
	p.Knows(map[string]any{"sub": "person-1", "name": "Anna", "roles": "ops"})
	c := testConfig(t)
	c.PublicURL, c.OIDCIssuer, c.OIDCClientID, c.OIDCClientSecret = public, p.URL, p.ClientID, p.ClientSecret
	c.OIDCRoles = []string{"admin:roles=ops"}
	a, written := start(t, c)
	v := newVisitor(t, a, "hooks.example.com")

	begun := v.do(http.MethodGet, "/ui/sign-in/oidc", nil)
	attempt := v.cookies["__Host-fattorino_openid"]
	back := v.do(http.MethodGet, begun.Header.Get("Location"), nil).Header.Get("Location")
	path, ours := strings.CutPrefix(back, public)
	if !ours || attempt == nil {
		t.Fatalf("sent back to %s, with the cookie of the attempt: %t", back, attempt != nil)
	}
	if got := v.do(http.MethodGet, path, nil); got.StatusCode != http.StatusSeeOther {
		t.Fatalf("signed in: got %d, want 303", got.StatusCode)
	}
	session := v.cookies["__Host-fattorino_session"]
	for name, c := range map[string]*http.Cookie{"the attempt": attempt, "the session": session} {
		if c == nil || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge <= 0 {
			t.Errorf("the cookie of %s is %+v", name, c)
		}
	}
	if got := v.do(http.MethodGet, "/ui/settings", nil); got.StatusCode != http.StatusOK {
		t.Errorf("the settings answer %d, want 200", got.StatusCode)
	}
	if v.cookies["__Host-fattorino_openid"].MaxAge >= 0 {
		t.Error("the cookie of the attempt stays")
	}
	if strings.Contains(written.String(), session.Value) || strings.Contains(written.String(), p.ClientSecret) {
		t.Error("the log has a secret")
	}

	tossed := newVisitor(t, a, "hooks.example.com")
	tossed.cookies["fattorino_session"] = session
	if got := tossed.do(http.MethodGet, "/ui/settings", nil); got.StatusCode != http.StatusSeeOther {
		t.Errorf("under the name without the prefix: got %d, want 303 to sign in", got.StatusCode)
	}
}

func TestTheServiceStartsAndSignsInWhileTheIssuerIsDown(t *testing.T) {
	t.Parallel()
	p := openid.Start()
	p.Close()
	c := testConfig(t)
	c.PublicURL, c.OIDCIssuer, c.OIDCClientID = "https://hooks.example.com", p.URL, "fattorino"
	a, _ := start(t, c)
	v := newVisitor(t, a, "")
	if got := v.do(http.MethodGet, "/ui/sign-in/oidc", nil); got.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("at the issuer: got %d, want 503", got.StatusCode)
	}
	if got := v.do(http.MethodPost, "/ui/sign-in", url.Values{"secret": {adminToken}}); got.StatusCode != http.StatusSeeOther {
		t.Errorf("with the token: got %d, want 303", got.StatusCode)
	}
}

// apiStatus calls the API with a token and gives the status.
func (v *visitor) apiStatus(token, method, path, body string) int {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.a.URL()+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	got, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	if err := got.Body.Close(); err != nil {
		v.t.Fatal(err)
	}
	return got.StatusCode
}

// The API makes the users who sign in to the pages, and ends their sessions.
func TestAUserWhoIsMadeByTheAPISignsIn(t *testing.T) {
	t.Parallel()
	a, _ := start(t, testConfig(t))
	v := newVisitor(t, a, "")
	made := v.apiStatus(adminToken, http.MethodPost, "/v1/users", `{"name":"anna","role":"viewer","password":"correct horse battery"}`)
	if made != http.StatusCreated {
		t.Fatalf("making anna: got %d, want 201", made)
	}
	signIn := func(password string) int {
		return v.do(http.MethodPost, "/ui/sign-in", url.Values{"name": {"anna"}, "secret": {password}}).StatusCode
	}
	if got := signIn("correct horse battery"); got != http.StatusSeeOther {
		t.Fatalf("signing in: got %d, want 303", got)
	}
	for _, step := range []struct {
		method, body string
		status       int
		page         string
		shows        int
	}{
		{http.MethodPatch, `{}`, http.StatusOK, "/ui/apps", http.StatusOK},
		{http.MethodPatch, `{"role":"owner"}`, http.StatusUnprocessableEntity, "/ui/settings", http.StatusForbidden},
		{http.MethodPatch, `{"password":"short"}`, http.StatusUnprocessableEntity, "/ui/settings", http.StatusForbidden},
		{http.MethodPatch, `{"role":"admin"}`, http.StatusOK, "/ui/settings", http.StatusOK},
		{http.MethodPatch, `{"password":"another horse battery"}`, http.StatusOK, "/ui/settings", http.StatusSeeOther},
	} {
		if got := v.apiStatus(adminToken, step.method, "/v1/users/anna", step.body); got != step.status {
			t.Errorf("%s %s: got %d, want %d", step.method, step.body, got, step.status)
		}
		if got := v.do(http.MethodGet, step.page, nil); got.StatusCode != step.shows {
			t.Errorf("after %s %s: %s answers %d, want %d", step.method, step.body, step.page, got.StatusCode, step.shows)
		}
	}
	if got := signIn("another horse battery"); got != http.StatusSeeOther {
		t.Errorf("with the new password: got %d, want 303", got)
	}
	if got := v.apiStatus(adminToken, http.MethodDelete, "/v1/users/anna", ""); got != http.StatusNoContent {
		t.Errorf("deleting anna: got %d, want 204", got)
	}
	if got := v.do(http.MethodGet, "/ui/apps", nil); got.StatusCode != http.StatusSeeOther {
		t.Errorf("deleted: got %d, want 303 to sign in", got.StatusCode)
	}
}

func TestUsersAreTheOperatorsAlone(t *testing.T) {
	t.Parallel()
	a, _ := start(t, testConfig(t))
	v := newVisitor(t, a, "")
	token := integrator(t, a)
	for _, call := range []struct{ method, path, body string }{
		{http.MethodGet, "/v1/users", ""},
		{http.MethodPost, "/v1/users", `{"name":"anna","role":"admin","password":"correct horse battery"}`},
		{http.MethodPatch, "/v1/users/anna", `{"role":"admin"}`},
		{http.MethodDelete, "/v1/users/anna", ""},
	} {
		if got := v.apiStatus(token, call.method, call.path, call.body); got != http.StatusForbidden {
			t.Errorf("%s %s as integrator: got %d, want 403", call.method, call.path, got)
		}
	}
}
