package browser_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const jsonType = "application/json"

// hostile is what would be markup, or script, on a page that lets it.
const hostile = `<script>window.hostile=1</script><img src=x onerror="window.hostile=1">'"&</textarea></pre>`

// furnish fills a server with what pages can show, the hostile included.
func furnish(t *testing.T, s *server, to *sink) {
	t.Helper()
	s.call(t, "PUT", "/v1/companies/12345", jsonType, map[string]any{"name": "Rossi Costruzioni"}, http.StatusOK)
	for _, name := range []string{"Warehouse", hostile} {
		s.call(t, "POST", "/v1/apps", jsonType, map[string]any{"name": name}, http.StatusCreated)
	}
	s.call(t, "POST", "/v1/tokens", jsonType, map[string]any{"kind": "publish", "scopes": []string{"*"}}, http.StatusCreated)
	token := s.call(t, "POST", "/v1/tokens", jsonType, map[string]any{"kind": "api", "app_id": 1, "companies": []int{12345}, "scopes": []string{"*"}}, http.StatusCreated)
	s.subscribe(t, token["token"].(string), map[string]any{"sink": to.url + "/erp", "types": []string{"invoice.created", "invoice.paid", "customer.updated"}, "name": "ERP, production"})
	s.subscribe(t, token["token"].(string), map[string]any{"sink": to.url + "/books?token=secret", "types": []string{"invoice.paid"}, "contract": "facturascripts"})
	s.subscribe(t, token["token"].(string), map[string]any{"sink": to.url + "/hostile", "types": []string{"*"}, "name": hostile[:60], "description": hostile, "format": "structured"})
	s.subscribe(t, token["token"].(string), map[string]any{"sink": to.url + "/down", "types": []string{"product.updated"}, "name": "Shop that is down"})
	for i, typ := range []string{"invoice.created", "invoice.paid", "customer.updated", "product.created"} {
		s.publish(t, fmt.Sprint("event-", i), typ, "/shop", "invoice/42", map[string]any{"id": 42, "total": 122.5, "customer": "Bianchi & figli"})
	}
	to.answers(http.StatusTeapot, hostile)
	s.publish(t, hostile, "javascript:alert(1)//"+"<script>", "javascript:alert(1)", "a/<b>", map[string]any{"text": hostile})
	to.answers(http.StatusInternalServerError, "not now")
	s.publish(t, "event-last", "invoice.paid", "/shop", "invoice/43", map[string]any{"id": 43})
}

func (s *server) subscribe(t *testing.T, token string, wish map[string]any) {
	t.Helper()
	as := *s
	as.token = token
	as.call(t, "POST", "/v1/companies/12345/subscriptions", jsonType, wish, http.StatusCreated)
}

// publish publishes an event and waits until every subscription that hears it
// has been asked once.
func (s *server) publish(t *testing.T, id, typ, source, subject string, data any) {
	t.Helper()
	s.call(t, "POST", "/v1/events", "application/cloudevents+json", map[string]any{
		"specversion": "1.0", "id": id, "source": source, "type": typ, "subject": subject, "companyid": "12345", "time": "2026-11-20T10:00:00Z", "data": data,
	}, http.StatusAccepted)
	for deadline := time.Now().Add(patience); ; {
		page := s.call(t, "GET", "/v1/companies/12345/deliveries?limit=100", jsonType, "", http.StatusOK)
		if allAttempted(page["deliveries"].([]any)) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the deliveries are not attempted")
		}
	}
}

func allAttempted(deliveries []any) bool {
	for _, d := range deliveries {
		if d.(map[string]any)["attempts"].(float64) == 0 {
			return false
		}
	}
	return true
}

// screenshots gives the folder that they are left in.
func screenshots(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../dist/screenshots")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Each page is sound for everyone: no fault that axe calls serious, no request
// to another origin, no error in the console, nothing hostile that came to
// life, no part that is wider than the screen.
func TestEveryPageInLightInDarkAndOnAPhone(t *testing.T) {
	t.Parallel()
	s, to := serve(t), newSink(t)
	furnish(t, s, to)
	drive(t, "pages.mjs", map[string]string{"URL": s.url, "SCREENSHOTS": screenshots(t)})
}

func TestTheFlowsOfTheManagementUI(t *testing.T) {
	t.Parallel()
	s, to := serve(t), newSink(t)
	drive(t, "flows.mjs", map[string]string{"URL": s.url, "SINK": to.url, "SCRIPT": "yes"})
}

func TestWhatChangesStateWorksWithoutJavaScript(t *testing.T) {
	t.Parallel()
	s, to := serve(t), newSink(t)
	drive(t, "flows.mjs", map[string]string{"URL": s.url, "SINK": to.url, "SCRIPT": "no"})
}

func TestTheInspectorShowsWhatArrives(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.call(t, "PUT", "/v1/companies/12345", jsonType, map[string]any{"name": "Rossi Costruzioni"}, http.StatusOK)
	s.call(t, "POST", "/v1/apps", jsonType, map[string]any{"name": "Warehouse"}, http.StatusCreated)
	drive(t, "inspect.mjs", map[string]string{"URL": s.url, "SCREENSHOTS": screenshots(t)})
}
