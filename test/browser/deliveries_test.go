package browser_test

import (
	"net/http"
	"testing"
)

// What was sent can be followed, understood and sent again: by the operator, and
// by an integrator who comes by a link.
func TestDeliveriesAreFollowedCheckedAndSentAgain(t *testing.T) {
	t.Parallel()
	s, to := serve(t), newSink(t)
	s.call(t, "PUT", "/v1/companies/12345", jsonType, map[string]any{"name": "Rossi Costruzioni"}, http.StatusOK)
	s.call(t, "POST", "/v1/apps", jsonType, map[string]any{"name": "Warehouse"}, http.StatusCreated)
	token := s.call(t, "POST", "/v1/tokens", jsonType, map[string]any{"kind": "api", "app_id": 1, "companies": []int{12345}, "scopes": []string{"*"}}, http.StatusCreated)
	integrator := *s
	integrator.token = token["token"].(string)
	made := integrator.call(t, "POST", "/v1/companies/12345/subscriptions", jsonType, map[string]any{
		"sink": to.url + "/erp?token=topsecret", "types": []string{"invoice.paid"}, "name": "Warehouse, production",
	}, http.StatusCreated)
	link := s.call(t, "POST", "/v1/portal-links", jsonType, map[string]any{"app_id": 1, "company": 12345, "minutes": 60}, http.StatusCreated)
	drive(t, "deliveries.mjs", map[string]string{
		"URL": s.url, "SINK": to.url, "SCREENSHOTS": screenshots(t), "SECRET": made["secret"].(string), "PORTAL": link["url"].(string),
	})
}
