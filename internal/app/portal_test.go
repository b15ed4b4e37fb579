package app

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// Whoever reads the log must not come by a portal link.
func TestTheLogHidesThePathsThatAreSecret(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/ui/portal/4GQXJ7.1768467600.secret": "/ui/portal/…",
		"/v1/handshakes/secret":               "/v1/handshakes/…",
		"/ui/companies/7/events":              "/ui/companies/7/events",
		"/v1/portal-links/4GQXJ7":             "/v1/portal-links/4GQXJ7",
	} {
		if got := shownPath(httptest.NewRequest("GET", path, nil)); got != want {
			t.Errorf("%s: the log shows %s, want %s", path, got, want)
		}
	}
}

func TestOriginsThatMayFramePortalsAreChecked(t *testing.T) {
	t.Parallel()
	c := Default()
	c.PortalFrameAncestors = []string{"https://app.example.com", "http://localhost:3000"}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.PortalFrameAncestors = append(c.PortalFrameAncestors, "https://app.example.com; script-src *")
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "portal_frame_ancestors: ") {
		t.Errorf("got %v, want the setting to be refused", err)
	}
}
