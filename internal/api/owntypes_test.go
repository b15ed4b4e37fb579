package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

const payoutType = "/v1/catalogs/native/types/acme.payout.sent"

// put is a PUT with the admin token.
func (f *fixture) put(path, body string) reply {
	f.t.Helper()
	return f.do(call{method: "PUT", path: path, token: adminSecret, body: body})
}

// payout is an event of the operator's own type.
func payout(id, data string) string {
	return `{"specversion":"1.0","id":"` + id + `","source":"/bank","type":"acme.payout.sent","companyid":"12345","data":` + data + `}`
}

func TestTheOperatorAddsATypeToTheNativeCatalog(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.get(payoutType).problem(t, http.StatusNotFound)

	var made, again, listed api.TypeDetail
	f.put(payoutType, `{"description":"A payout was sent.","schema":{"type":"object","required":["id"]}}`).want(t, http.StatusCreated).decode(t, &made)
	if made.Name != "acme.payout.sent" || !made.Own || string(made.Schema) != `{"type":"object","required":["id"]}` || made.CreatedAt.IsZero() {
		t.Errorf("made %+v", made)
	}
	f.put(payoutType, `{"description":"A payout was sent.","common":"invoice.paid","deprecated":"use acme.transfer.sent","schema":null}`).want(t, http.StatusOK).decode(t, &again)
	if !cmp.Equal(again.Common, []string{"invoice.paid"}) || again.Schema != nil || !again.CreatedAt.Equal(made.CreatedAt) {
		t.Errorf("put again %+v", again)
	}
	reader := f.token(`{"kind":"api","app_id":` + fmt.Sprint(f.app("reader")) + `}`)
	f.do(call{method: "GET", path: payoutType, token: reader}).want(t, http.StatusOK).decode(t, &listed)
	if diff := cmp.Diff(again, listed); diff != "" {
		t.Errorf("as it is read (-put +read):\n%s", diff)
	}

	var catalog api.Catalog
	f.do(call{method: "GET", path: "/v1/catalogs/native"}).want(t, http.StatusOK).decode(t, &catalog)
	last := catalog.Types[len(catalog.Types)-1]
	want := api.EventType{
		Name: "acme.payout.sent", Own: true, Description: "A payout was sent.", Common: []string{"invoice.paid"}, Scopes: []string{},
		Deprecated: "use acme.transfer.sent",
	}
	if diff := cmp.Diff(want, last); diff != "" {
		t.Errorf("in the catalog (-want +got):\n%s", diff)
	}

	f.do(call{method: "DELETE", path: payoutType, token: adminSecret}).want(t, http.StatusNoContent)
	f.do(call{method: "DELETE", path: payoutType, token: adminSecret}).problem(t, http.StatusNotFound)
	f.get(payoutType).problem(t, http.StatusNotFound)
	f.get("/v1/catalogs/native/types/invoice.paid").want(t, http.StatusOK)
}

func TestDataThatDoesNotMatchItsSchemaIsRefusedWithJSONPointers(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put(payoutType, `{"schema":{"type":"object","required":["id"],"properties":{"lines":{"items":{"properties":{"total":{"type":"number"}}}}}}}`).want(t, http.StatusCreated)
	batch := "[" + payout("a", `{"id":1}`) + "," + payout("b", `{"lines":[{"total":1},{"total":"1"}]}`) + "]"
	p := f.do(call{
		method: "POST", path: "/v1/events", token: adminSecret, body: batch,
		header: map[string]string{"Content-Type": "application/cloudevents-batch+json"},
	}).problem(t, http.StatusUnprocessableEntity)
	var places []string
	for _, e := range p.Errors {
		places = append(places, e.Field)
	}
	if diff := cmp.Diff([]string{"events.1.data", "events.1.data/lines/1/total"}, places); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
	f.publish(payout("a", `{"id":1}`))
}

func TestPublishingAndSubscribingToADeprecatedTypeWarns(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put(payoutType, `{"deprecated":"use acme.transfer.sent"}`).want(t, http.StatusCreated)
	const warning = `the type "acme.payout.sent" is deprecated: use acme.transfer.sent`

	answer := f.do(call{method: "POST", path: "/v1/events", token: adminSecret, body: payout("a", `{}`), header: structured}).want(t, http.StatusAccepted)
	var receipts api.Receipts
	answer.decode(t, &receipts)
	if len(receipts.Events) != 1 || !strings.Contains(string(answer.body), `is deprecated: use acme.transfer.sent`) {
		t.Errorf("receipts %s", answer.body)
	}
	token := f.token(`{"kind":"api","scopes":["*"],"app_id":` + fmt.Sprint(f.app("reader")) + `}`)
	f.put("/v1/catalogs/native/groups/acme.payouts", `{"types":["acme.payout.sent","invoice.paid"]}`).want(t, http.StatusCreated)
	var sub api.SubscriptionWithSecret
	f.do(call{
		method: "POST", path: "/v1/companies/12345/subscriptions", token: token,
		body: `{"sink":"http://127.0.0.1:18080/hook","types":["acme.payouts"],"handshake":"none"}`,
	}).want(t, http.StatusCreated).decode(t, &sub)
	if !cmp.Equal(sub.Types, []string{"acme.payout.sent", "invoice.paid"}) || !cmp.Equal(sub.Warnings, []string{warning}) {
		t.Errorf("types %q, warnings %q", sub.Types, sub.Warnings)
	}
}

func TestGroupsOfTheOperator(t *testing.T) {
	t.Parallel()
	f := start(t)
	const group = "/v1/catalogs/native/groups/acme.all"
	f.get(group).problem(t, http.StatusNotFound)
	f.put(group, `{"types":["acme.payout.sent"]}`).problem(t, http.StatusUnprocessableEntity)
	f.put(payoutType, `{}`).want(t, http.StatusCreated)
	f.put(group, `{"types":["acme.payout.sent"]}`).want(t, http.StatusCreated)
	f.put(group, `{"types":["acme.payout.sent","invoice.paid"]}`).want(t, http.StatusOK)
	var shown api.TypeGroup
	f.get(group).want(t, http.StatusOK).decode(t, &shown)
	if !cmp.Equal(shown, api.TypeGroup{Name: "acme.all", Types: []string{"acme.payout.sent", "invoice.paid"}}) {
		t.Errorf("group %+v", shown)
	}
	f.do(call{method: "DELETE", path: payoutType, token: adminSecret}).problem(t, http.StatusConflict)
	f.do(call{method: "DELETE", path: group, token: adminSecret}).want(t, http.StatusNoContent)
	f.do(call{method: "DELETE", path: group, token: adminSecret}).problem(t, http.StatusNotFound)
}

func TestADryRunOfATypeChangesNothing(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put(payoutType+"?dry_run=true", `{"common":"invoice.paid"}`).want(t, http.StatusOK)
	f.put(payoutType+"?dry_run=true", `{"schema":{"type":"money"}}`).problem(t, http.StatusUnprocessableEntity)
	f.put("/v1/catalogs/native/groups/g?dry_run=true", `{"types":["invoice.paid"]}`).want(t, http.StatusOK)
	f.get(payoutType).problem(t, http.StatusNotFound)
	f.get("/v1/catalogs/native/groups/g").problem(t, http.StatusNotFound)
	f.put(payoutType+"?dry_run=maybe", `{}`).problem(t, http.StatusBadRequest)
}

func TestASchemaIsTriedOnStoredEvents(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.publish(payout("a", `{"id":1}`), payout("b", `{"total":"x"}`))
	try := func(body string) reply {
		return f.do(call{method: "POST", path: payoutType + "/dry-run", token: adminSecret, body: body})
	}
	var found api.DryRunAnswer
	try(`{"schema":{"required":["id"]}}`).want(t, http.StatusOK).decode(t, &found)
	if found.Checked != 2 || found.Failed != 1 || len(found.Faults) != 1 {
		t.Fatalf("found %+v", found)
	}
	if e := found.Faults[0]; e.Company != 12345 || e.Seq != 2 || e.ID != "b" || len(e.Errors) != 1 || e.Errors[0].Field != "data" {
		t.Errorf("fault %+v", e)
	}
	try(`{"schema":{"required":["id"]},"last":1}`).want(t, http.StatusOK).decode(t, &found)
	if found.Checked != 1 {
		t.Errorf("checked %d, want the last alone", found.Checked)
	}
	for _, bad := range []string{`{}`, `{"schema":null}`, `{"schema":7}`, `{"schema":{},"last":0}`, `{"schema":{},"last":10001}`, `{"schema":{"$ref":"https://a.example/"}}`} {
		p := try(bad).problem(t, http.StatusUnprocessableEntity)
		if len(p.Errors) == 0 {
			t.Errorf("%s: no fault is told of: %+v", bad, p)
		}
	}
}

func TestTypesAreTheOperatorsToChange(t *testing.T) {
	t.Parallel()
	f := start(t)
	reader := f.token(`{"kind":"api","app_id":` + fmt.Sprint(f.app("reader")) + `}`)
	for _, c := range []call{
		{method: "PUT", path: payoutType, body: `{}`},
		{method: "DELETE", path: payoutType},
		{method: "POST", path: payoutType + "/dry-run", body: `{"schema":true}`},
		{method: "PUT", path: "/v1/catalogs/native/groups/g", body: `{"types":["invoice.paid"]}`},
		{method: "DELETE", path: "/v1/catalogs/native/groups/g"},
	} {
		c.token = reader
		f.do(c).problem(t, http.StatusForbidden)
		c.token = ""
		f.do(c).problem(t, http.StatusUnauthorized)
	}
	f.do(call{method: "GET", path: payoutType}).problem(t, http.StatusUnauthorized)
	f.put(payoutType, `{"schema":{},"more":1}`).problem(t, http.StatusUnprocessableEntity)
	f.put(payoutType, `{"schema":"`+strings.Repeat("x", 600<<10)+`"}`).problem(t, http.StatusRequestEntityTooLarge)
	f.put("/v1/catalogs/native/types/acme%20a", `{}`).problem(t, http.StatusUnprocessableEntity)
	f.put("/v1/catalogs/native/types/com.vendor.*", `{}`).problem(t, http.StatusUnprocessableEntity)
	f.put("/v1/catalogs/native/types/it.fattureincloud.webhooks.cashbook.create", `{}`).problem(t, http.StatusConflict)
}

func TestTheClientPutsTypesAndGroups(t *testing.T) {
	t.Parallel()
	f := start(t)
	client := api.NewClient(f.url, adminSecret, nil)
	ctx := t.Context()
	const name = "acme.payout.sent"
	if _, err := client.PutType(ctx, name, api.NewType{Schema: []byte(`{"required":["id"]}`)}, true); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Type(ctx, name); fattorino.KindOf(err) != fattorino.NotFound {
		t.Fatalf("after a dry run: %v, want NotFound", err)
	}
	put, err := client.PutType(ctx, name, api.NewType{Schema: []byte(`{"required":["id"]}`)}, false)
	if err != nil || string(put.Schema) != `{"required":["id"]}` {
		t.Fatalf("put %+v, %v", put, err)
	}
	if g, err := client.PutGroup(ctx, "acme.all", api.NewGroup{Types: []string{name}}, false); err != nil || g.Name != "acme.all" {
		t.Fatalf("group %+v, %v", g, err)
	}
	catalogs, err := client.Catalogs(ctx)
	if err != nil || len(catalogs) < 2 {
		t.Fatalf("%d catalogs, %v", len(catalogs), err)
	}
	if found, err := client.DryRunSchema(ctx, name, api.DryRunRequest{}); err != nil || found.Checked != 0 {
		t.Fatalf("dry run %+v, %v", found, err)
	}
	if err := client.DeleteGroup(ctx, "acme.all"); err != nil {
		t.Fatal(err)
	}
	if err := client.DeleteType(ctx, name); err != nil {
		t.Fatal(err)
	}
}
