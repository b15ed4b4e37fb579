package ui

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/portal"
)

// shows reads on until an event has all the texts, and gives its data.
func shows(t *testing.T, read func() string, texts ...string) string {
	t.Helper()
	for range 100 {
		name, data := event(read)
		if name != "deliveries" {
			t.Fatalf("got the event %s: %s", name, data)
		}
		missing := 0
		for _, text := range texts {
			if !strings.Contains(data, text) {
				missing++
			}
		}
		if missing == 0 {
			return data
		}
	}
	t.Fatalf("no event shows %q", texts)
	return ""
}

// row is how a row of a delivery begins.
func row(id int64, state string) string {
	return fmt.Sprintf(`id="delivery-%d" data-order="%d" data-mark="%s `, id, id, state)
}

func TestTheListOfDeliveriesRenewsItself(t *testing.T) {
	t.Parallel()
	f := start(t)
	works := f.refused()
	b := f.signedIn(operator)
	page := b.get("/ui/companies/7/deliveries?state=discarded&entity=invoice/42").body
	if !strings.Contains(page, `data-live="/ui/companies/7/deliveries/live?entity=invoice%2F42&amp;state=discarded"`) || !strings.Contains(page, "data-live-pause") {
		t.Errorf("the list does not renew itself within its filter: %s", page)
	}
	if page := b.get("/ui/companies/7/deliveries?before=5").body; strings.Contains(page, "data-live=") {
		t.Error("an older page renews itself")
	}

	all, _ := b.lines("/ui/companies/7/deliveries/live?", "")
	failed, _ := b.lines("/ui/companies/7/deliveries/live?state=discarded", "")
	if name, data := event(all); name != "deliveries" || data != "<tbody></tbody>" {
		t.Errorf("of nothing comes %s: %s", name, data)
	}
	f.publish("invoice.paid", 1, 1)
	f.until(t, "discarded", 1)
	shows(t, all, row(1, "discarded"), "415")
	shows(t, failed, row(1, "discarded"))

	works.Store(true)
	f.publish("invoice.paid", 2, 2)
	data := shows(t, all, row(2, "delivered"), `data-mark="discarded refused 415 1 `)
	if strings.Index(data, `id="delivery-2"`) > strings.Index(data, `id="delivery-1"`) {
		t.Error("the newest is not the first")
	}
	if at := strings.Index(data, `id="delivery-1"`); !strings.HasPrefix(data[at+strings.Index(data[at:], ">"):], "></tr>") {
		t.Errorf("a row that has not changed is sent again: %s", data)
	}
	if got := b.post("/ui/companies/7/deliveries/1/resend", nil); got.status != http.StatusSeeOther {
		t.Fatalf("got %d, want 303", got.status)
	}
	shows(t, all, row(1, "delivered"), row(2, "delivered"))
	// What no longer fits the filter leaves the list.
	if data := shows(t, failed, "<tbody>"); strings.Contains(data, "<tr") {
		t.Errorf("what was delivered is still among what failed: %s", data)
	}

	for path, want := range map[string]int{"state=nonsense": 422, "type=invoice.*": 422, "from=x": 422, "type=never.heard": 200} {
		if _, status := b.lines("/ui/companies/7/deliveries/live?"+path, ""); status != want {
			t.Errorf("%s: got %d, want %d", path, status, want)
		}
	}
}

func TestThePortalsListOfDeliveriesIsItsOwn(t *testing.T) {
	t.Parallel()
	f := start(t)
	mine := f.holds("mineword", 0, 7)
	neighbour := f.holds("neighbourword", 0, 7)
	_, text := f.link(portal.Wish{App: mine.app, Company: 7})
	b := f.comesBy(text)
	read, status := b.lines("/ui/companies/7/deliveries/live?", "")
	if status != http.StatusOK {
		t.Fatalf("got %d, want 200", status)
	}
	f.publish("invoice.paid", 1, 1)
	data := shows(t, read, "mineword", "<tr")
	if strings.Contains(data, neighbour.word) || strings.Contains(data, fmt.Sprintf(`id="delivery-%d"`, neighbour.delivery.ID)) {
		t.Errorf("it shows the neighbour's: %s", data)
	}
	if _, status := b.lines("/ui/companies/8/deliveries/live?", ""); status != http.StatusNotFound {
		t.Errorf("of another company: got %d, want 404", status)
	}
}
