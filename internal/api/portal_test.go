package api_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestPortalLinks(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.app("Warehouse")
	var made api.PortalLink
	f.do(call{method: "POST", path: "/v1/portal-links", token: adminSecret, body: `{"app_id": 1, "company": 7, "minutes": 5, "theme": {"name": "Rossi", "color": "#0a7d5a"}}`}).
		want(t, http.StatusCreated).decode(t, &made)
	text, ok := strings.CutPrefix(made.URL, f.url+"/ui/portal/")
	if left := time.Until(made.ExpiresAt); !ok || left > 5*time.Minute || left < time.Minute {
		t.Errorf("the link is at %s for %v", strings.TrimSuffix(made.URL, text), left)
	}
	link, err := f.portal.Open(t.Context(), text, time.Now())
	if err != nil || link.ID != made.ID || link.App != 1 || link.Company != 7 || link.Name != "Rossi" || link.Color != "0a7d5a" {
		t.Errorf("the link opens %+v, %v", link, err)
	}
	if strings.Contains(f.log.String(), text) {
		t.Error("the link is in the log")
	}

	// What is wrong is said by name; a logo may be as large as is allowed.
	for body, field := range map[string]string{
		`{"company": 7}`:                               "app_id",
		`{"app_id": 9, "company": 7}`:                  "app_id",
		`{"app_id": 1}`:                                "company",
		`{"app_id": 1, "company": 7, "minutes": 1441}`: "minutes",
		`{"app_id": 1, "company": 7, "minutes": -1}`:   "minutes",
		`{"app_id": 1, "company": 7, "scopes": ["x"]}`: "scopes",
		`{"app_id": 1, "company": 7, "theme": {"logo": "` + base64.StdEncoding.EncodeToString(make([]byte, 64<<10)) + `"}}`: "theme.logo",
	} {
		p := f.do(call{method: "POST", path: "/v1/portal-links", token: adminSecret, body: body}).problem(t, http.StatusUnprocessableEntity)
		if len(p.Errors) != 1 || p.Errors[0].Field != field {
			t.Errorf("%.60s: got %+v, want a fault of %s", body, p.Errors, field)
		}
	}

	// It can be withdrawn, by the operator alone.
	at := "/v1/portal-links/" + made.ID
	app := f.token(`{"kind": "api", "app_id": 1}`)
	f.do(call{method: "POST", path: "/v1/portal-links", token: app, body: `{"app_id": 1, "company": 7}`}).problem(t, http.StatusForbidden)
	f.do(call{method: "DELETE", path: at, token: app}).problem(t, http.StatusForbidden)
	f.do(call{method: "DELETE", path: at, token: adminSecret}).want(t, http.StatusNoContent)
	f.do(call{method: "DELETE", path: at, token: adminSecret}).problem(t, http.StatusNotFound)
	if _, err := f.portal.Open(t.Context(), text, time.Now()); fattorino.KindOf(err) != fattorino.NotFound {
		t.Errorf("withdrawn: %v", err)
	}
}
