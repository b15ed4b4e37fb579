package ui

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// publish publishes events of the type to company 7.
func (f *fixture) publish(typ string, from, to int) {
	f.t.Helper()
	var events []*fattorino.Event
	for i := from; i <= to; i++ {
		events = append(events, &fattorino.Event{
			ID: fmt.Sprint("event-", i), Source: "/shop", Type: typ, Subject: fmt.Sprint("invoice/", i), Extensions: map[string]any{"companyid": "7"},
		})
	}
	if _, err := f.service.Publish(f.t.Context(), caller(0), events); err != nil {
		f.t.Fatal(err)
	}
}

func seqs(list []*fattorino.Event) (all []int64) {
	for _, e := range list {
		all = append(all, e.Seq)
	}
	return all
}

func TestEventsAreListedNewestFirstPageByPage(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.publish("invoice.created", 1, 1200)
	f.publish("invoice.paid", 1201, 1201)

	// The newest first,
	list, reached, err := f.ui.newestEvents(t.Context(), &visit{Company: 7}, 1202, eventSearch{})
	if err != nil || list[0].Seq != 1201 || list[1].Seq != 1200 || reached > 1201-pageSize {
		t.Errorf("the first page begins with %v and reaches back to %d, %v", seqs(list[:2]), reached, err)
	}
	// the next page from where the first ended,
	if list, _, err = f.ui.newestEvents(t.Context(), &visit{Company: 7}, 100, eventSearch{}); err != nil || list[0].Seq != 99 || list[len(list)-1].Seq != 1 {
		t.Errorf("before 100: from %d to %d, %v", list[0].Seq, list[len(list)-1].Seq, err)
	}
	// of one type those alone, however far back,
	f.publish("product.created", 1202, 2400)
	if list, reached, err = f.ui.newestEvents(t.Context(), &visit{Company: 7}, 2401, eventSearch{typ: "invoice.paid"}); err != nil || len(list) != 1 || list[0].Seq != 1201 || reached != 1 {
		t.Errorf("of a type: %v, back to %d, %v", seqs(list), reached, err)
	}
	// and nothing where there is nothing.
	if list, reached, err = f.ui.newestEvents(t.Context(), &visit{Company: 7}, 1, eventSearch{}); err != nil || len(list) != 0 || reached != 1 {
		t.Errorf("before the first: %v, back to %d, %v", seqs(list), reached, err)
	}
	got := f.signedIn(viewer).get("/ui/companies/7/events")
	if got.status != http.StatusOK || strings.Count(got.body, `class="row"`) != pageSize || !strings.Contains(got.body, "?before=2351") {
		t.Errorf("the page: %d, %d rows; want %d and the next from 2351", got.status, strings.Count(got.body, `class="row"`), pageSize)
	}
}

func TestOfEventsThatArePrunedTheRestIsListed(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.publish("invoice.created", 1, 600)
	if err := f.store.Update(t.Context(), func(tx fattorino.Tx) error {
		_, _, err := tx.Prune(time.Now().Add(time.Hour), 0, 300)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	list, reached, err := f.ui.newestEvents(t.Context(), &visit{Company: 7}, 400, eventSearch{})
	if err != nil || len(list) != 99 || list[0].Seq != 399 || list[98].Seq != 301 || reached != 1 {
		t.Errorf("got %d events, back to %d, %v; want 399 to 301", len(list), reached, err)
	}
	if got := f.signedIn(viewer).get("/ui/companies/7/events/5"); got.status != http.StatusGone && got.status != http.StatusNotFound {
		t.Errorf("the page of a pruned event: got %d, want 404 or 410", got.status)
	}
}

func TestAnEventsPageShowsItsPath(t *testing.T) {
	t.Parallel()
	f := start(t)
	app := f.app()
	for name, wish := range map[string]fattorino.NewSubscription{
		"Own type":  {Contract: "defacto", Types: []string{"Invoice.SUBMITTED"}},
		"Other":     {Contract: "defacto", Types: []string{"Invoice.PAID"}},
		"Filtering": {Contract: "native", Types: []string{"*"}, Filters: []byte(`[{"exact":{"source":"<b>elsewhere</b>"}}]`)},
	} {
		wish.Company, wish.Sink, wish.Options.Name = 7, f.sink(), name
		if _, _, err := f.service.Subscribe(t.Context(), caller(app), wish); err != nil {
			t.Fatal(name, err)
		}
	}
	f.publish("Invoice.SUBMITTED", 1, 100) // in one commit
	got := f.signedIn(viewer).get("/ui/companies/7/events/42")
	if got.status != http.StatusOK {
		t.Fatalf("got %d: %s", got.status, got.body)
	}
	heard, others, ok := strings.Cut(got.body, "Not heard by")
	if !ok || !strings.Contains(heard, "Own type") || !strings.Contains(heard, "Its type is chosen: <code>Invoice.SUBMITTED") || strings.Count(heard, `href="/ui/companies/7/deliveries/`) != 1 {
		t.Errorf("who heard it: %s", heard)
	}
	for _, text := range []string{"Other", "None of its types matches.", "Filtering", "One of its filters does not let the event pass:", "&lt;b&gt;elsewhere"} {
		if !strings.Contains(others, text) {
			t.Errorf("%q is not said of who did not hear it: %s", text, others)
		}
	}
}
