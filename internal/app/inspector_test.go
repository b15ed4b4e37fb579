package app_test

import (
	"net/http"
	"strings"
	"testing"
)

// Where bins receive, nobody needs to sign in, and nothing is a page of this
// origin; where they are shown, somebody must.
func TestBinsAreServedApartFromThePages(t *testing.T) {
	t.Parallel()
	a, _ := start(t, testConfig(t))
	c := client(t)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	got := send(t, c, request(t, a, http.MethodGet, "/inspect", "", http.NoBody))
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/ui/inspect" {
		t.Errorf("/inspect: got %d to %s", got.status, got.header.Get("Location"))
	}
	got = send(t, c, request(t, a, http.MethodGet, "/ui/inspect", "", http.NoBody))
	if got.status != http.StatusSeeOther || !strings.HasPrefix(got.header.Get("Location"), "/ui/sign-in") {
		t.Errorf("/ui/inspect: got %d to %s", got.status, got.header.Get("Location"))
	}
	for _, path := range []string{"/inspect/NOSUCHBIN", "/inspect/NOSUCHBIN/below/it"} {
		got := send(t, c, request(t, a, http.MethodPost, path, adminToken, strings.NewReader("x")))
		policy := got.header.Values("Content-Security-Policy")
		if got.status != http.StatusNotFound || len(policy) != 1 || !strings.HasPrefix(policy[0], "sandbox;") || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: got %d %v %s", path, got.status, policy, got.header.Get("Content-Type"))
		}
	}
}
