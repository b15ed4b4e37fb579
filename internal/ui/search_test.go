package ui

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestEventsAreFoundByIDEntityAndTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	event := &fattorino.Event{ID: "ev-1", Seq: 42, Entity: fattorino.Entity{Type: "invoice", IDs: []string{"7"}}, Accepted: at}
	for _, x := range []struct {
		filter eventFilter
		want   bool
	}{
		{eventFilter{}, true},
		{eventFilter{ID: "ev-1"}, true},
		{eventFilter{ID: "42"}, true},
		{eventFilter{ID: "ev-"}, false},
		{eventFilter{Entity: "invoice/7"}, true},
		{eventFilter{Entity: "invoice/70"}, false},
		{eventFilter{From: "2026-03-01T12:00"}, true},
		{eventFilter{From: "2026-03-01T12:01"}, false},
		{eventFilter{To: "2026-03-01T12:01"}, true},
		{eventFilter{To: "2026-03-01T12:00"}, false},
		{eventFilter{ID: "ev-1", Entity: "invoice/8"}, false},
	} {
		faults := formFaults{}
		passes, _ := x.filter.match(faults)
		if got := passes(event); got != x.want || len(faults) > 0 {
			t.Errorf("%+v: got %t, %v, want %t", x.filter, got, faults, x.want)
		}
	}
	f := start(t)
	f.publish("invoice.paid", 1, 120)
	b := f.signedIn(viewer)
	for query, want := range map[string]int{"id=event-7": 1, "id=7": 1, "id=nothing": 0, "from=2099-01-01": 0, "to=2000-01-01": 0, "from=2000-01-01": pageSize} {
		page := b.get("/ui/companies/7/events?" + query)
		if rows := strings.Count(page.body, `class="row"`); page.status != http.StatusOK || rows != want {
			t.Errorf("%s: got %d, %d rows; want %d", query, page.status, rows, want)
		}
		if strings.Contains(page.body, "data-live=") {
			t.Errorf("%s: the list renews itself, as if it were not narrowed", query)
		}
	}
	if page := b.get("/ui/companies/7/events?type=invoice.paid"); !strings.Contains(page.body, "data-live=") {
		t.Error("of a type the list does not renew itself")
	}
	if page := b.get("/ui/companies/7/events?from=soon"); page.status != http.StatusUnprocessableEntity || !strings.Contains(page.body, "is not a time") {
		t.Errorf("no time: got %d", page.status)
	}
}

// A search that begins at a time looks no further back.
func TestASearchEndsWhereItsTimeBegins(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.publish("invoice.paid", 1, 1200)
	looked := 0
	search := eventSearch{from: time.Now().Add(time.Hour), match: func(*fattorino.Event) bool { looked++; return false }}
	list, reached, err := f.ui.newestEvents(t.Context(), &visit{Company: 7}, 1201, search)
	if err != nil || len(list) != 0 || reached != 1 || looked != searchWindow {
		t.Errorf("got %d events, back to %d, %v, and %d were looked at; want %d", len(list), reached, err, looked, searchWindow)
	}
}

func TestDeliveriesAreFoundByNumberEventAndAnswer(t *testing.T) {
	t.Parallel()
	answered := &fattorino.Delivery{ID: 205, Event: &fattorino.Event{ID: "ev-1"}, Status: 503, Attempts: 2}
	silent := &fattorino.Delivery{ID: 206, Event: &fattorino.Event{ID: "ev-2"}, Attempts: 1}
	fresh := &fattorino.Delivery{ID: 207, Event: &fattorino.Event{ID: "ev-2"}}
	for _, x := range []struct {
		filter                  deliveryFilter
		answered, silent, fresh bool
	}{
		{deliveryFilter{ID: "205"}, true, false, false},
		{deliveryFilter{ID: "ev-2"}, false, true, true},
		{deliveryFilter{Answer: "503"}, true, false, false},
		{deliveryFilter{Answer: "5xx"}, true, false, false},
		{deliveryFilter{Answer: "5XX"}, true, false, false},
		{deliveryFilter{Answer: "500"}, false, false, false},
		{deliveryFilter{Answer: "4xx"}, false, false, false},
		{deliveryFilter{Answer: "none"}, false, true, false},
		{deliveryFilter{Answer: "none", ID: "205"}, false, false, false},
	} {
		faults := formFaults{}
		passes := x.filter.match(faults)
		if passes(answered) != x.answered || passes(silent) != x.silent || passes(fresh) != x.fresh || len(faults) > 0 {
			t.Errorf("%+v: got %t %t %t, %v", x.filter, passes(answered), passes(silent), passes(fresh), faults)
		}
	}
	for _, wrong := range []string{"x", "0", "99", "600", "6xx", "0xx", "-1", "5x", "50xx"} {
		faults := formFaults{}
		if (&deliveryFilter{Answer: wrong}).match(faults); faults["answer"] == "" {
			t.Errorf("%q is taken for an answer", wrong)
		}
	}
	if (&deliveryFilter{State: "delivered", Type: "invoice.paid"}).match(formFaults{}) != nil {
		t.Error("what the store looks up is looked for here")
	}
}

// The list shows what is found, says that the run to send again does not know
// of it by not offering it, and goes on where a search has ended.
func TestTheListOfDeliveriesIsSearched(t *testing.T) {
	t.Parallel()
	f := start(t)
	h := f.holds("searched", 0, 7)
	f.settled(h)
	b := f.signedIn(operator)
	get := func(query url.Values) page { return b.get("/ui/companies/7/deliveries?" + query.Encode()) }
	for _, x := range []struct {
		query url.Values
		want  int
	}{
		{url.Values{"id": {"searched"}}, 1},
		{url.Values{"answer": {"200"}}, 1},
		{url.Values{"answer": {"2xx"}, "state": {"delivered"}}, 1},
		{url.Values{"answer": {"5xx"}}, 0},
		{url.Values{"id": {"other"}}, 0},
	} {
		got := get(x.query)
		if rows := strings.Count(got.body, `<tr id="delivery-`); got.status != http.StatusOK || rows != x.want || strings.Contains(got.body, "data-live=") || strings.Contains(got.body, "deliveries/resend") {
			t.Errorf("%v: got %d, %d rows; want %d, neither live nor to be sent again", x.query, got.status, rows, x.want)
		}
	}
	if got := get(url.Values{"answer": {"soon"}}); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "neither a status") {
		t.Errorf("no answer: got %d", got.status)
	}
	if got := b.get("/ui/companies/7/deliveries/live?answer=5xx"); got.status != http.StatusUnprocessableEntity {
		t.Errorf("live: got %d, want 422", got.status)
	}
}

// A search goes no further than its windows, and says where it has ended.
func TestASearchOfDeliveriesGoesOn(t *testing.T) {
	t.Parallel()
	f := start(t)
	h := f.holds("searched", 0, 7)
	f.settled(h)
	f.publish("invoice.paid", 1, searchWindow+20)
	v := &visit{Company: 7}
	list, reached, err := f.ui.findDeliveries(context.WithoutCancel(t.Context()), v, fattorino.DeliveryQuery{}, func(*fattorino.Delivery) bool { return true })
	if err != nil || len(list) <= pageSize || reached == 0 || list[len(list)-1].ID != reached {
		t.Errorf("got %d deliveries, back to %d, %v; want the first window and where it ends", len(list), reached, err)
	}
	rest, reached, err := f.ui.findDeliveries(t.Context(), v, fattorino.DeliveryQuery{Before: reached}, func(d *fattorino.Delivery) bool { return d.ID == h.delivery.ID })
	if err != nil || len(rest) != 1 || reached != 0 {
		t.Errorf("then %d deliveries, back to %d, %v; want the oldest, and no more", len(rest), reached, err)
	}
}
