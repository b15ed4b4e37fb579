package fic

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Section 3: statuses and envelopes.
func TestRender_EveryKindOfError(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err        fattorino.Error
		status     int
		body       string
		retryAfter string
	}{
		{fattorino.Error{Kind: fattorino.Malformed, Msg: "m"}, 400, `{"error":{"message":"m","code":"BAD_REQUEST"}}`, ""},
		{fattorino.Error{Kind: fattorino.Unauthenticated, Msg: "m", Fix: "f"}, 401, `{"error":{"message":"m: f","code":"UNAUTHORIZED"}}`, ""},
		{fattorino.Error{Kind: fattorino.Denied, Msg: "m"}, 403, `{"error":{"message":"m","code":"NO_PERMISSION"}}`, ""},
		{fattorino.Error{Kind: fattorino.Denied, Code: "QUOTA_REACHED", Msg: "m", RetryAfter: time.Hour}, 403, `{"error":{"message":"m","code":"QUOTA_REACHED"}}`, "3600"},
		{fattorino.Error{Kind: fattorino.NotFound, Msg: "m"}, 404, `{"error":{"message":"m","code":"NOT_FOUND"}}`, ""},
		{fattorino.Error{Kind: fattorino.Gone, Msg: "m"}, 404, `{"error":{"message":"m","code":"NOT_FOUND"}}`, ""},
		{fattorino.Error{Kind: fattorino.Conflict, Msg: "m"}, 409, `{"error":{"message":"m","code":"CONFLICT"}}`, ""},
		{fattorino.Error{Kind: fattorino.TooLarge, Msg: "m"}, 413, `{"error":{"message":"m","code":"TOO_LARGE"}}`, ""},
		{fattorino.Error{Kind: fattorino.Invalid, Msg: "A <b> & c.", Fix: "Do."}, 422, `{"error":{"message":"A <b> & c. Do.","validation_result":null}}`, ""},
		{fattorino.Error{Kind: fattorino.Invalid, Msg: "m", Faults: []fattorino.Fault{
			{Field: "sink", Msg: "one"}, {Field: "data.types", Msg: "two"}, {Field: "data", Msg: "three"}, {Field: "sink", Msg: "four"}, {Field: "database", Msg: "five"},
		}}, 422, `{"error":{"message":"m","validation_result":{"data":["three"],"data.database":["five"],"data.sink":["one","four"],"data.types":["two"]}}}`, ""},
		{fattorino.Error{Kind: fattorino.TooMany, Msg: "m"}, 429, `{"error":{"message":"m","code":"TOO_MANY_REQUESTS"}}`, "60"},
		{fattorino.Error{Kind: fattorino.TooMany, Msg: "m", RetryAfter: 1001 * time.Millisecond}, 429, `{"error":{"message":"m","code":"TOO_MANY_REQUESTS"}}`, "2"},
		{fattorino.Error{Kind: fattorino.TooMany, Msg: "m", RetryAfter: time.Nanosecond}, 429, `{"error":{"message":"m","code":"TOO_MANY_REQUESTS"}}`, "1"},
		{fattorino.Error{Kind: fattorino.Unavailable, Msg: "m"}, 503, `{"error":{"message":"m","code":"UNAVAILABLE"}}`, "10"},
		{*fattorino.AsError(&json.SyntaxError{}), 500, `{"error":{"message":"internal error","code":"INTERNAL_ERROR"}}`, ""},
	} {
		w := httptest.NewRecorder()
		render(w, &tc.err)
		if w.Code != tc.status || w.Body.String() != tc.body+"\n" {
			t.Errorf("%+v is answered\n%d %swant\n%d %s", tc.err, w.Code, w.Body, tc.status, tc.body)
		}
		if got := w.Header().Get("Retry-After"); got != tc.retryAfter {
			t.Errorf("%+v has Retry-After %q, want %q", tc.err, got, tc.retryAfter)
		}
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("%+v has the content type %q", tc.err, got)
		}
	}
}

func TestA7_WarningsAreWordedAsDocumented(t *testing.T) {
	t.Parallel()
	refused := []fattorino.TypeRefusal{
		{Type: "x.y", Why: fattorino.UnknownType},
		{Type: prefix + "entities.clients.delete", Why: fattorino.TakenType},
		{Type: supplierFamily + "create", Why: fattorino.TakenType},
		{Type: ownFamily + "create", Why: fattorino.TakenType},
	}
	want := []string{
		"The 'x.y' event does not exist",
		"The 'it.fattureincloud.webhooks.entities.clients.delete' event is already registered for this application",
		"The 'it.fattureincloud.webhooks.issued_documents.self_supplier_invoices.create' event is already registered for this application",
		"The 'it.fattureincloud.webhooks.issued_documents.self_own_invoices.create' event is already registered for this application",
	}
	if diff := cmp.Diff(want, warnings(refused, vocabulary{})); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	old := []string{want[0], want[1], "The 'it.fattureincloud.webhooks.issued_documents.self_invoices.create' event is already registered for this application"}
	if diff := cmp.Diff(old, warnings(refused, vocabulary{oldSelfInvoices: true})); diff != "" {
		t.Errorf("warnings to an SDK that knows the old name (-want +got):\n%s", diff)
	}
	if got := warnings(nil, vocabulary{}); got != nil {
		t.Errorf("no refusals give %q, want none", got)
	}
}
