package browser_test

import (
	"net/http"
	"testing"
)

// The operator finds a subscription among those of all companies, deletes it and
// takes that back; an integrator sees in a portal how their own deliveries go.
func TestSubscriptionsAreOverseenAndBroughtBack(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"yes", "no"} {
		t.Run("JavaScript: "+script, func(t *testing.T) {
			t.Parallel()
			s, to := serve(t), newSink(t)
			furnish(t, s, to)
			to.answers(http.StatusOK, "")
			s.call(t, "PUT", "/v1/companies/7", jsonType, map[string]any{"name": "Bianchi & figli"}, http.StatusOK)
			elsewhere := s.call(t, "POST", "/v1/tokens", jsonType, map[string]any{"kind": "api", "app_id": 1, "companies": []int{7}, "scopes": []string{"*"}}, http.StatusCreated)
			integrator := *s
			integrator.token = elsewhere["token"].(string)
			integrator.call(t, "POST", "/v1/companies/7/subscriptions", jsonType, map[string]any{"sink": to.url + "/other", "types": []string{"*"}, "name": "Ledger of another company"}, http.StatusCreated)
			link := s.call(t, "POST", "/v1/portal-links", jsonType, map[string]any{"app_id": 1, "company": 12345, "minutes": 60}, http.StatusCreated)
			drive(t, "oversee.mjs", map[string]string{"URL": s.url, "SCREENSHOTS": screenshots(t), "SCRIPT": script, "PORTAL": link["url"].(string)})
		})
	}
}
