package interop_test

import (
	"strings"
	"testing"
)

// The tutorial of Defacto, played against the sandbox by a client that knows
// Defacto alone.
func TestTheTutorialOfDefactoCanBePlayed(t *testing.T) {
	t.Parallel()
	s := serve(t, "--sandbox")
	var got struct {
		URL   string
		Steps map[string]struct {
			Status int
			Type   string
			Body   map[string]any
		}
		Heard []struct {
			URL     string
			Headers map[string]any
			Body    map[string]any
		}
	}
	answersOf(t, "defacto.mjs", map[string]any{"base": s.url, "token": s.token(t, "api", 9)}, &got)

	for step, want := range map[string]int{
		"hello": 200, "webhook": 201, "invoice": 201, "verified": 200, "draft": 201, "incomplete": 422, "completed": 200,
		"submitted": 200, "again": 402, "deleted": 200, "gone": 404, "firstPage": 200, "renamed": 200, "wildcard": 422,
		"removed": 204, "removedAgain": 404,
	} {
		answer := got.Steps[step]
		if answer.Status != want {
			t.Errorf("%s: status %d, want %d: %s", step, answer.Status, want, text(answer.Body))
		}
		if want >= 400 && (answer.Type != "application/problem+json" || answer.Body["title"] == "") {
			t.Errorf("%s: the error is %s %s", step, answer.Type, text(answer.Body))
		}
	}
	if v := got.Steps["verified"].Body; v["status"] != "VERIFIED" || v["is_draft"] != false {
		t.Errorf("the invoice is %s", text(v))
	}
	if p := got.Steps["firstPage"].Body; p["count"] != 1.0 || p["next_page"] != nil {
		t.Errorf("the page is %s", text(p))
	}
	if w := got.Steps["renamed"].Body; w["name"] != "Live" || w["to_url"] != got.URL {
		t.Errorf("the webhook is %s", text(w))
	}

	// Invoices on their way are told of side by side, and one after the other
	// here, where each step waits for what is heard.
	if len(got.Heard) != 5 {
		t.Fatalf("heard %s", text(got.Heard))
	}
	seen := map[any]bool{}
	for i, want := range []struct{ typ, status, id string }{
		{"Invoice.SUBMITTED", "SUBMITTED", "invoice"},
		{"Invoice.VERIFIED", "VERIFIED", "invoice"},
		{"Invoice.SUBMITTED", "SUBMITTED", "draft"},
		{"Invoice.TO_EDIT", "TO_EDIT", "draft"},
		{"Invoice.DELETED", "DELETED", "draft"},
	} {
		n := got.Heard[i]
		state, _ := n.Body["entity_state"].(map[string]any)
		if n.Body["event_type"] != want.typ || n.Body["status"] != want.status || n.Body["entity_type"] != "invoice" ||
			n.Body["id"] != got.Steps[want.id].Body["id"] || state["status"] != want.status {
			t.Errorf("%d: heard %s, want %s", i, text(n.Body), want.typ)
		}
		if !strings.HasSuffix(got.URL, n.URL) {
			t.Errorf("%d: it came to %s", i, n.URL)
		}
		if id := n.Headers["webhook-id"]; id == nil || seen[id] {
			t.Errorf("%d: its delivery has the id %v", i, id)
		}
		seen[n.Headers["webhook-id"]] = true
		if n.Headers["authorization"] != nil || n.Headers["webhook-signature"] != nil {
			t.Errorf("%d: it is signed", i)
		}
	}
}
