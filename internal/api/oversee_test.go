package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestTheOperatorListsTheSubscriptionsOfAllCompanies(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, rival := f.integrator("Warehouse"), f.integrator("Rival")
	sink := newSink(t)
	first := me.subscribe(sink, `["invoice.paid"]`, `,"name":"Ledger"`)
	second := rival.subscribe(sink, `["invoice.paid"]`, `,"name":"Archive"`)
	vendor := f.subscriber("Vendor", func(http.ResponseWriter, *http.Request) {})
	elsewhere := &fattorino.Subscription{Company: 7, Contract: "native", State: fattorino.Disabled, Sink: "https://user:hush@host.example/x?key=hush", Types: []string{"invoice.paid"}, Format: fattorino.Structured, CreatedAt: time.Now(), UpdatedAt: time.Now()}
	if err := f.store.Update(t.Context(), func(tx fattorino.Tx) error { return tx.PutSubscription(elsewhere) }); err != nil {
		t.Fatal(err)
	}
	all := []int64{first.ID, second.ID, vendor.subscription, elsewhere.ID}
	list := func(query string) (ids []int64, next int64) {
		t.Helper()
		answer := f.get("/v1/subscriptions"+query).want(t, http.StatusOK)
		if strings.Contains(string(answer.body), "hush") {
			t.Errorf("%s shows a secret: %s", query, answer.body)
		}
		var page api.SubscriptionPage
		answer.decode(t, &page)
		for _, s := range page.Subscriptions {
			ids = append(ids, s.ID)
		}
		return ids, page.Next
	}
	for query, want := range map[string][]int64{
		"":                                     all,
		"?company=7":                           {elsewhere.ID},
		fmt.Sprintf("?app_id=%d", first.AppID): {first.ID},
		"?contract=fic":                        {vendor.subscription},
		"?state=disabled":                      {elsewhere.ID},
		"?search=LEDGER":                       {first.ID},
		"?search=host.example":                 {elsewhere.ID},
		"?search=hush":                         nil,
	} {
		if got, _ := list(query); !cmp.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	var paged []int64
	for after := int64(0); ; {
		page, next := list(fmt.Sprintf("?limit=3&after=%d", after))
		paged = append(paged, page...)
		if after = next; next == 0 {
			break
		}
	}
	if !cmp.Equal(paged, all) {
		t.Errorf("page by page: %v, want %v", paged, all)
	}
	for query, status := range map[string]int{"?state=deleted": 422, "?company=-1": 400, "?app_id=x": 400, "?limit=0": 400, "?after=-1": 400, "?name=x": 400} {
		f.get("/v1/subscriptions"+query).problem(t, status)
	}
	for _, token := range []string{me.token, f.token(`{"kind":"publish"}`)} {
		f.do(call{method: "GET", path: "/v1/subscriptions", token: token}).problem(t, http.StatusForbidden)
	}
}

func TestADeletionIsTakenBack(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, rival, sink := f.integrator("Warehouse"), f.integrator("Rival"), newSink(t)
	made := me.subscribe(sink, `["invoice.paid"]`, "")
	path := fmt.Sprintf("/%d", made.ID)
	me.ask("POST", path+"/restore", "").problem(t, http.StatusNotFound) // it is there
	me.ask("DELETE", path, "").want(t, http.StatusNoContent)
	rival.ask("POST", path+"/restore", "").problem(t, http.StatusNotFound)
	var back api.Subscription
	answer := me.ask("POST", path+"/restore", "").want(t, http.StatusOK)
	answer.decode(t, &back)
	if back.ID != made.ID || back.State != fattorino.Active || answer.header.Get("ETag") == "" {
		t.Errorf("restored: %+v", back)
	}
	me.ask("POST", path+"/test", `{"type":"invoice.paid"}`).want(t, http.StatusAccepted)

	// Under a contract in which one alone may hold a type, another may hold it now.
	vendor := f.subscriber("Vendor", func(http.ResponseWriter, *http.Request) {})
	caller, err := f.service.Authenticate(t.Context(), vendor.token)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.service.DeleteSubscription(t.Context(), caller, 12345, "fic", vendor.subscription); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.service.Subscribe(t.Context(), caller, fattorino.NewSubscription{
		Company: 12345, Contract: "fic", Sink: sink.url + "/other", Types: []string{created}, Format: fattorino.Binary, Method: fattorino.ByHeader,
	}); err != nil {
		t.Fatal(err)
	}
	p := f.do(call{method: "POST", path: fmt.Sprintf("%s/%d/restore", subscriptions, vendor.subscription), token: vendor.token}).problem(t, http.StatusConflict)
	if !strings.Contains(p.Detail, created) || strings.Contains(p.Detail, updated) {
		t.Errorf("the types that are taken: %s", p.Detail)
	}
}

func TestStatisticsTellWhatBecameOfDeliveries(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, rival, sink := f.integrator("Warehouse"), f.integrator("Rival"), newSink(t)
	mine, theirs := me.subscribe(sink, `["invoice.paid"]`, ""), rival.subscribe(sink, `["invoice.paid"]`, "")
	hour := time.Now().UTC().Truncate(time.Hour)
	fast := fattorino.Counts{Delivered: 3, Failed: 1, Discarded: 1}
	for range 4 {
		fast.Latency.Add(30 * time.Millisecond)
	}
	tally := func(subscription int64, at time.Time, c fattorino.Counts) fattorino.Tally {
		return fattorino.Tally{Company: 12345, Subscription: subscription, At: at, Counts: c}
	}
	lost := fattorino.Counts{Failed: 2}
	if err := f.store.Commit(t.Context(), &fattorino.Batch{Now: time.Now(), Tallies: []fattorino.Tally{
		tally(mine.ID, hour.Add(-50*time.Minute), fast), tally(theirs.ID, hour.Add(-10*time.Minute), lost),
		tally(0, hour.Add(-50*time.Minute), fast), tally(0, hour.Add(-10*time.Minute), lost),
	}}); err != nil {
		t.Fatal(err)
	}
	const path = "/v1/companies/12345/statistics"
	read := func(token, query string) (got api.Statistics) {
		t.Helper()
		f.do(call{method: "GET", path: path + query, token: token}).want(t, http.StatusOK).decode(t, &got)
		return got
	}
	last := "?from=" + hour.Add(-time.Hour).Format(time.RFC3339) + "&to=" + hour.Format(time.RFC3339) + "&step=1800"
	got := read(adminSecret, last)
	if got.Step != 1800 || len(got.Steps) != 2 || !got.From.Equal(hour.Add(-time.Hour)) || !got.To.Equal(hour) {
		t.Fatalf("the range: %+v", got)
	}
	if a, b := got.Steps[0], got.Steps[1]; a.Delivered != 3 || *a.SuccessRate != 0.75 || a.P50Ms < 25 || a.P50Ms > 50 || b.Failed != 2 || *b.SuccessRate != 0 || b.P50Ms != 0 {
		t.Errorf("step by step: %+v", got.Steps)
	}
	if got.Total.Delivered != 3 || got.Total.Failed != 3 || got.Total.Discarded != 1 || *got.Total.SuccessRate != 0.5 {
		t.Errorf("in all: %+v", got.Total)
	}
	for name, sum := range map[string]struct {
		token, query string
		failed       int64
	}{
		"an app":                      {me.token, last, 1},
		"its rival":                   {rival.token, last, 2},
		"of one, to the operator":     {adminSecret, last + fmt.Sprintf("&subscription=%d", theirs.ID), 2},
		"of one, to its app":          {me.token, last + fmt.Sprintf("&subscription=%d", mine.ID), 1},
		"two days ago, hour by hour":  {adminSecret, "?from=" + hour.Add(-100*time.Hour).Format(time.RFC3339), 3},
		"of a subscription past, too": {adminSecret, last + fmt.Sprintf("&subscription=%d", mine.ID), 1},
	} {
		got := read(sum.token, sum.query)
		if got.Total.Failed != sum.failed {
			t.Errorf("%s: %d failed, want %d", name, got.Total.Failed, sum.failed)
		}
	}
	if got := read(adminSecret, "?from="+hour.Add(-100*time.Hour).Format(time.RFC3339)); got.Step%3600 != 0 || len(got.Steps) > 61 {
		t.Errorf("a range of days has %d steps of %d seconds", len(got.Steps), got.Step)
	}
	if got := read(me.token, ""); got.Step != 60 || got.To.Sub(got.From) != time.Hour || len(got.Steps) < 60 {
		t.Errorf("where nothing is said: %d steps of %d seconds, %v", len(got.Steps), got.Step, got.To.Sub(got.From))
	}

	// What waits while a subscription is disabled is its backlog.
	me.ask("POST", fmt.Sprintf("/%d/disable", mine.ID), "").want(t, http.StatusOK)
	f.publish(`{"specversion":"1.0","id":"e1","source":"/erp","type":"invoice.paid","subject":"company:12345"}`)
	for query, want := range map[string]int{"": 1, fmt.Sprintf("?subscription=%d", mine.ID): 1} {
		if got := read(me.token, query).Backlog; got.Deliveries != want || got.More || got.OldestAt.IsZero() {
			t.Errorf("the backlog%s: %+v, want %d", query, got, want)
		}
	}
	me.ask("DELETE", fmt.Sprintf("/%d", mine.ID), "").want(t, http.StatusNoContent)
	if got := read(me.token, last+fmt.Sprintf("&subscription=%d", mine.ID)); got.Total.Delivered != 3 || got.Backlog != (api.Backlog{}) {
		t.Errorf("of one that is gone: %+v, %+v", got.Total, got.Backlog)
	}

	for query, status := range map[string]int{
		"?step=90": 422, "?step=60&from=2020-01-01T00:00:00Z": 422, "?from=2030-01-01T00:00:00Z&to=2029-01-01T00:00:00Z": 422,
		"?subscription=999": 404, "?subscription=-1": 400, "?from=yesterday": 400, "?range=1h": 400,
		fmt.Sprintf("?subscription=%d", theirs.ID): 404,
	} {
		f.do(call{method: "GET", path: path + query, token: me.token}).problem(t, status)
	}
	f.do(call{method: "GET", path: path, token: f.token(`{"kind":"publish"}`)}).problem(t, http.StatusForbidden)
	f.do(call{method: "GET", path: "/v1/companies/7/statistics", token: me.token}).problem(t, http.StatusForbidden)
}
