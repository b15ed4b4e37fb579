package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// unaudited are the operations of the API that change nothing of the
// operator's, and why they leave nothing in the audit.
func unaudited() map[string]string {
	const consent = "a sink's consent: its outcome is in the state of the subscription"
	return map[string]string{
		"POST /v1/events": "events are a log of their own",
		"POST /v1/handshakes/{subscription}/{round}/{key}": consent,
		"POST /v1/catalogs/native/types/{type}/dry-run":    "it tries a schema and changes nothing",
	}
}

// A deed is one operation, called rightly, and what the audit then says.
type deed struct {
	operation string // method and path as openapi.yaml has them
	path      string // as it is called, {made} being the id in the answer before; empty = the same
	body      string
	action    string
	token     string // empty = the operator's
}

// Whatever changes something by the API leaves an entry in the audit, or is in
// the list above with its reason: a new operation is a decision here.
func TestWhatChangesSomethingByTheAPIIsInTheAudit(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.AllowNoHandshake = true
	a, _ := start(t, c)
	token := integrator(t, a)
	sink := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(sink.Close)
	first := read[struct {
		Keys []string `json:"master_keys"`
	}](t, do(t, a, http.MethodGet, "/v1/master-keys", adminToken, "")).Keys[0]
	const subs = "/v1/companies/{company}/subscriptions"
	sub, at := subs+"/{subscription}", "/v1/companies/1/subscriptions/2"
	silent := fmt.Sprintf(`{"sink":%q,"types":["invoice.paid"]}`, sink.URL+"/silent") // which answers no challenge
	do(t, a, http.MethodPost, "/v1/companies/1/subscriptions", token, silent).want(t, http.StatusCreated)
	steps := []deed{
		{"POST " + subs, "/v1/companies/1/subscriptions", fmt.Sprintf(`{"sink":%q,"types":["invoice.paid"],"handshake":"none"}`, sink.URL), "subscription.create", token},
		{"PATCH " + sub, at, `{"name":"x"}`, "subscription.change", token},
		{"POST " + sub + "/disable", at + "/disable", "", "subscription.disable", token},
		{"POST " + sub + "/enable", at + "/enable", "", "subscription.enable", token},
		{"POST " + sub + "/test", at + "/test", `{"type":"invoice.paid"}`, "subscription.test", token},
		{"POST " + sub + "/rotate", at + "/rotate", "", "subscription.rotate", token},
		{"DELETE " + sub, at, "", "subscription.delete", token},
		{"POST " + sub + "/restore", at + "/restore", "", "subscription.restore", token},
		{"POST /v1/companies/{company}/deliveries/{delivery}/resend", "/v1/companies/1/deliveries/1/resend", "", "delivery.resend", token},
		{"PUT /v1/companies/{company}", "/v1/companies/1", `{"name":"Rossi"}`, "company.name", ""},
		{"POST /v1/apps", "", `{"name":"Other"}`, "app.create", ""},
		{"POST /v1/tokens", "", `{"kind":"publish"}`, "token.create", ""},
		{"DELETE /v1/tokens/{token}", "/v1/tokens/2", "", "token.revoke", ""},
		{"POST /v1/bins", "", `{}`, "bin.make", ""},
		{"PUT /v1/bins/{bin}/answer", "/v1/bins/{made}/answer", `{"status":204}`, "bin.answer", ""},
		{"DELETE /v1/bins/{bin}/requests", "/v1/bins/{made}/requests", "", "bin.clear", ""},
		{"DELETE /v1/bins/{bin}", "/v1/bins/{made}", "", "bin.delete", ""},
		{"POST /v1/portal-links", "", `{"app_id":1,"company":1}`, "portal_link.make", ""},
		{"DELETE /v1/portal-links/{link}", "/v1/portal-links/{made}", "", "portal_link.withdraw", ""},
		{"PUT /v1/catalogs/native/types/{type}", "/v1/catalogs/native/types/our.own", `{"description":"Ours."}`, "type.put", ""},
		{"DELETE /v1/catalogs/native/types/{type}", "/v1/catalogs/native/types/our.own", "", "type.delete", ""},
		{"PUT /v1/catalogs/native/groups/{group}", "/v1/catalogs/native/groups/our.all", `{"types":["invoice.paid"]}`, "group.put", ""},
		{"DELETE /v1/catalogs/native/groups/{group}", "/v1/catalogs/native/groups/our.all", "", "group.delete", ""},
		{"POST /v1/keys/{key}/rotate", "/v1/keys/fic/rotate", "", "key.rotate", ""},
		{"POST /v1/master-keys", "", "", "master_key.add", ""},
		{"POST /v1/master-keys/reseal", "", `{}`, "master_key.reseal", ""},
		{"DELETE /v1/master-keys/{master_key}", "/v1/master-keys/" + first, "", "master_key.remove", ""},
		{"POST /v1/users", "", `{"name":"bruno","password":"correct horse battery","role":"viewer"}`, "user.add", ""},
		{"PATCH /v1/users/{user}", "/v1/users/bruno", `{"role":"operator"}`, "user.change", ""},
		{"DELETE /v1/users/{user}", "/v1/users/bruno", "", "user.delete", ""},
		{"POST " + sub + "/verify", "/v1/companies/1/subscriptions/1/verify", "", "subscription.verify", token},
		// Doors of other contracts go through the same use cases.
		{"POST /c/{company_id}/subscriptions", "/c/1/subscriptions", fmt.Sprintf(`{"data":{"sink":%q,"types":["it.fattureincloud.webhooks.issued_documents.invoices.create"]}}`, sink.URL), "subscription.create", token},
	}
	for _, operation := range operations(t, a) {
		listed := slices.ContainsFunc(steps, func(d deed) bool { return d.operation == operation })
		if listed == (unaudited()[operation] != "") {
			t.Errorf("%s is to be in one of the two tables", operation)
		}
	}
	reader := newVisitor(t, a, "")
	reader.do(http.MethodPost, "/ui/sign-in", url.Values{"secret": {adminToken}})
	said := func(action string) int {
		t.Helper()
		r := request(t, a, http.MethodGet, "/ui/audit?q="+action, "", nil)
		for name, cookie := range reader.cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: cookie.Value})
		}
		return strings.Count(send(t, client(t), r).want(t, http.StatusOK).body, "<code>"+action+"</code>")
	}
	made := struct{ ID any }{}
	for _, step := range steps {
		method, path, _ := strings.Cut(step.operation, " ")
		if step.path != "" {
			path = strings.Replace(step.path, "{made}", fmt.Sprint(made.ID), 1)
		}
		if step.token == "" {
			step.token = adminToken
		}
		before := said(step.action)
		got := do(t, a, method, path, step.token, step.body)
		for step.action == "delivery.resend" && got.status == http.StatusConflict { // it is still on its way
			got = do(t, a, method, path, step.token, step.body)
		}
		_ = json.Unmarshal([]byte(got.body), &made) // not every answer is an object
		if after := said(step.action); got.status >= 300 || after != before+1 {
			t.Errorf("%s: got %d %s, and %s is %d times in the audit after %d", step.operation, got.status, got.body, step.action, after, before)
		}
	}
}

// operations gives those of openapi.yaml that are no mere readings, with method
// and path.
func operations(t *testing.T, a *app.App) (all []string) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(do(t, a, http.MethodGet, "/openapi.yaml", "", "").want(t, http.StatusOK).body))
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			if method != http.MethodGet && method != http.MethodHead {
				all = append(all, method+" "+path)
			}
		}
	}
	return all
}
