package ui

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestAllThatFailedInASelectionIsSentAgain(t *testing.T) {
	t.Parallel()
	f := start(t)
	works := f.refused()
	f.publish("invoice.paid", 1, 3)
	f.until(t, "discarded", 3)
	works.Store(true)

	b := f.signedIn(operator)
	list := b.get("/ui/companies/7/deliveries?type=invoice.paid&before=999")
	if !strings.Contains(list.body, `href="/ui/companies/7/deliveries/resend?type=invoice.paid"`) {
		t.Errorf("the list does not lead to the page: %s", list.body)
	}
	asked := b.get("/ui/companies/7/deliveries/resend?type=invoice.paid")
	if asked.status != http.StatusOK || !strings.Contains(asked.body, "sent again: <strong>3</strong>") || !strings.Contains(asked.body, `name="before" value="`) {
		t.Fatalf("got %d: %s", asked.status, asked.body)
	}
	none := b.get("/ui/companies/7/deliveries/resend?type=invoice.created")
	if !strings.Contains(none.body, "Nothing in it has failed.") {
		t.Errorf("of another type something is found: %s", none.body)
	}
	_, before, _ := strings.Cut(asked.body, `name="before" value="`)
	before, _, _ = strings.Cut(before, `"`)
	form := url.Values{"type": {"invoice.paid"}, "before": {before}}
	if got := b.post("/ui/companies/7/deliveries/resend", form); got.status != http.StatusSeeOther {
		t.Fatalf("got %d: %s", got.status, got.body)
	}
	f.until(t, "delivered", 3)
	page := b.get("/ui/companies/7/deliveries/resend")
	for _, text := range []string{"3 / 3", "operator", "<h2>Done</h2>", "Nothing in it has failed."} {
		if !strings.Contains(page.body, text) {
			t.Errorf("the page does not say %q: %s", text, page.body)
		}
	}
	if got := b.post("/ui/companies/7/deliveries/resend/stop", nil); got.status != http.StatusSeeOther {
		t.Errorf("to stop what is over: got %d, want 303", got.status)
	}
	if got := b.get("/ui/companies/7/deliveries/resend?from=nonsense"); got.status != http.StatusUnprocessableEntity {
		t.Errorf("a selection that cannot be read: got %d, want 422", got.status)
	}
}

// until waits until so many deliveries of company 7 are in the state.
func (f *fixture) until(t *testing.T, state string, n int) {
	t.Helper()
	want, _ := fattorino.ParseDeliveryState(state)
	for timeout := time.After(time.Minute); ; {
		list, err := f.service.Deliveries(t.Context(), caller(0), 7, fattorino.DeliveryQuery{State: &want, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == n {
			return
		}
		select {
		case <-timeout:
			t.Fatalf("%d are %s, want %d", len(list), state, n)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
