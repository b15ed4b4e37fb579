package api

import (
	"net/http/httptest"
	"testing"
)

// A link to the pages begins with an address under which they work.
func TestALinkIsMadeForBrowsers(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ public, host, want string }{
		{"https://hooks.example.com/", "10.0.0.1:8480", "https://hooks.example.com"},
		{"", "localhost:8480", "http://localhost:8480"},
		{"", "127.0.0.1:8480", "http://127.0.0.1:8480"},
		{"", "[::1]:8480", "http://[::1]:8480"},
		{"", "localhost", "http://localhost"},
		{"", "hooks.example.com", "https://hooks.example.com"},
		{"", "10.0.0.1:8480", "https://10.0.0.1:8480"},
		{"", "localhost.example.com", "https://localhost.example.com"},
	} {
		r := httptest.NewRequest("POST", "/v1/portal-links", nil)
		r.Host = x.host
		if got := (&server{Config: Config{PublicURL: x.public}}).base(r); got != x.want {
			t.Errorf("asked at %s, with the public URL %q: %s, want %s", x.host, x.public, got, x.want)
		}
	}
}
