package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

const (
	created = "it.fattureincloud.webhooks.issued_documents.invoices.create"
	updated = "it.fattureincloud.webhooks.issued_documents.invoices.update"
)

// A subscriber is an app with a subscription to company 12345, under the
// contract of Fatture in Cloud, at a sink on loopback.
type subscriber struct {
	token        string
	subscription int64
}

// subscriber makes one; what its sink answers to notifications is up to answer.
func (f *fixture) subscriber(name string, answer http.HandlerFunc) subscriber {
	f.t.Helper()
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if challenge := r.Header.Get("x-fic-verification-challenge"); challenge != "" {
			_ = json.NewEncoder(w).Encode(map[string]string{"verification": challenge})
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		answer(w, r)
	}))
	f.t.Cleanup(sink.Close)
	s := subscriber{token: f.token(fmt.Sprintf(`{"kind":"api","app_id":%d,"companies":[12345],"scopes":["*"]}`, f.app(name)))}
	caller, err := f.service.Authenticate(f.t.Context(), s.token)
	if err != nil {
		f.t.Fatal(err)
	}
	sub, _, err := f.service.Subscribe(f.t.Context(), caller, fattorino.NewSubscription{
		Company: 12345, Contract: "fic", Sink: sink.URL + "/hook?key=hush", Types: []string{created, updated},
		Format: fattorino.Binary, Method: fattorino.ByHeader,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	if sub.State != fattorino.Active {
		f.t.Fatalf("the subscription is %s: %s", sub.State, sub.Handshake.Error)
	}
	s.subscription = sub.ID
	return s
}

// settled gives the deliveries that a query finds, once there are n of them and
// none is pending.
func (f *fixture) settled(token, query string, n int) []api.Delivery {
	f.t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		page := f.deliveries(token, query)
		pending := 0
		for _, d := range page.Deliveries {
			if d.State == api.Pending {
				pending++
			}
		}
		if len(page.Deliveries) == n && pending == 0 {
			return page.Deliveries
		}
		select {
		case <-tick.C:
		case <-deadline:
			f.t.Fatalf("%d deliveries of %d, %d of them pending", len(page.Deliveries), n, pending)
		}
	}
}

func (f *fixture) deliveries(token, query string) (page api.DeliveryPage) {
	f.t.Helper()
	f.do(call{method: "GET", path: "/v1/companies/12345/deliveries" + query, token: token}).want(f.t, http.StatusOK).decode(f.t, &page)
	return page
}

func ok(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }

func TestDeliveriesAreListed(t *testing.T) {
	t.Parallel()
	f := start(t)
	one := f.subscriber("one", ok)
	two := f.subscriber("two", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	f.publish(
		event("a", "invoice.created", `,"data":{"id":42}`),
		event("b", "invoice.paid", `,"data":{"id":42}`),
		event("c", "invoice.created", `,"data":{"id":7}`),
	)
	// Each subscription hears three events and its welcome.
	mine := f.settled(one.token, "", 4)
	f.settled(two.token, "", 4)

	newest := mine[0]
	if newest.Event.ID != "c" || newest.State != api.Delivered || newest.Status != 200 || newest.Attempts != 1 ||
		newest.Subscription != one.subscription || newest.SettledAt.IsZero() || newest.Event.Seq != 3 ||
		newest.Event.Entity != "invoice/7" || newest.Event.Common != "invoice.created" {
		t.Errorf("the newest delivery: %+v", newest)
	}
	if welcome := mine[3]; welcome.Event.Seq != 0 {
		t.Errorf("the oldest delivery is no welcome: %+v", welcome)
	}
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	for _, test := range []struct {
		query string
		n     int
	}{
		{"", 8},
		{fmt.Sprintf("?subscription=%d", one.subscription), 4},
		{fmt.Sprintf("?subscription=%d&subscription=%d", one.subscription, two.subscription), 8},
		{fmt.Sprintf("?subscription=%d,%d", one.subscription, two.subscription), 8},
		{"?subscription=999", 0},
		{"?state=delivered", 4},
		{"?state=discarded", 4},
		{"?state=pending", 0},
		{"?type=invoice.created", 4},
		{"?type=invoice.created,invoice.paid", 6},
		{"?entity=invoice/42", 4},
		{"?entity=invoice/42&state=delivered&type=invoice.paid", 1},
		{"?from=" + tomorrow, 0},
		{"?to=" + tomorrow, 8},
		{"?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00%2B01:00", 0},
	} {
		if got := f.deliveries(adminSecret, test.query); len(got.Deliveries) != test.n || got.Next != "" {
			t.Errorf("%s: %d deliveries and next %q, want %d and none", test.query, len(got.Deliveries), got.Next, test.n)
		}
	}
	for _, d := range f.deliveries(adminSecret, "?state=discarded").Deliveries {
		if d.Reason != fattorino.Refused || d.Status != 403 || d.FirstErrorAt.IsZero() {
			t.Errorf("a refused delivery: %+v", d)
		}
	}
}

func TestDeliveriesArePaged(t *testing.T) {
	t.Parallel()
	f := start(t)
	one := f.subscriber("one", ok)
	f.subscriber("two", ok)
	for i := range 9 {
		f.publish(event(strconv.Itoa(i), "invoice.created", ""))
	}
	all := f.settled(adminSecret, "?limit=100", 20)

	var walked []api.Delivery
	pages := 0
	for path := "/v1/companies/12345/deliveries?limit=6&type=invoice.created"; path != ""; pages++ {
		answer := f.do(call{method: "GET", path: path, token: adminSecret}).want(t, http.StatusOK)
		var page api.DeliveryPage
		answer.decode(t, &page)
		walked = append(walked, page.Deliveries...)
		link := answer.header.Get("Link")
		if (link == "") != (page.Next == "") {
			t.Errorf("Link %q and next %q do not agree", link, page.Next)
		}
		path, _ = strings.CutPrefix(strings.TrimSuffix(link, `>; rel="next"`), "<")
	}
	if pages != 3 || len(walked) != 18 {
		t.Fatalf("%d pages with %d deliveries, want 3 with 18", pages, len(walked))
	}
	for i, d := range walked {
		if d.ID != all[i].ID {
			t.Errorf("position %d: delivery %d, want %d", i, d.ID, all[i].ID)
		}
	}
	// An app pages through its own alone, whatever it asks for.
	if page := f.deliveries(one.token, "?limit=9&subscription=1,2"); len(page.Deliveries) != 9 || page.Next == "" || page.Deliveries[8].Subscription != one.subscription {
		t.Errorf("%d deliveries, next %q", len(page.Deliveries), page.Next)
	}
}

func TestADeliveryIsShownWithItsAttempts(t *testing.T) {
	t.Parallel()
	f := start(t)
	text, garbage := strings.Repeat("è", 3000), "\xff\xfe\x00"
	s := f.subscriber("one", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Trace", "abc")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, map[bool]string{true: "x" + text, false: garbage}[strings.HasSuffix(r.Header.Get("ce-type"), "create")])
	})
	f.publish(event("a", "invoice.created", `,"data":{"id":42}`), event("b", updated, `,"data":{"id":42}`))
	list := f.settled(s.token, "?type="+created+",invoice.created,"+updated, 2)

	show := func(id int64) (detail api.DeliveryDetail, raw string) {
		answer := f.do(call{method: "GET", path: fmt.Sprintf("/v1/companies/12345/deliveries/%d", id), token: s.token}).want(t, http.StatusOK)
		answer.decode(t, &detail)
		return detail, string(answer.body)
	}
	detail, raw := show(list[1].ID)
	if detail.Delivery.ID != list[1].ID || detail.Subscription.ID != s.subscription || detail.Subscription.Contract != "fic" ||
		detail.Subscription.State != "active" || len(detail.Attempts) != 1 {
		t.Fatalf("%+v", detail)
	}
	sent := strings.TrimSuffix(detail.Attempts[0].Request.URL, "?…")
	if strings.Contains(raw, "hush") || detail.Subscription.Sink != sent+"?…" || !strings.HasSuffix(sent, "/hook") {
		t.Errorf("the sink is shown as %q and %q", detail.Subscription.Sink, detail.Attempts[0].Request.URL)
	}
	attempt := detail.Attempts[0]
	if attempt.Number != 1 || attempt.StartedAt.IsZero() || attempt.Request.Method != http.MethodPost || !strings.Contains(attempt.Request.Body, `"ids":[42]`) {
		t.Errorf("the request: %+v", attempt.Request)
	}
	authorization := header(attempt.Request.Headers, "Authorization")
	if parts := strings.Split(authorization, "."); len(parts) != 3 || len(parts[2]) < 80 {
		t.Errorf("Authorization as sent: %q", authorization)
	}
	if a := attempt.Answer; a.Status != 418 || header(a.Headers, "X-Trace") != "abc" || !a.Truncated || a.Failure != "" {
		t.Errorf("the answer: %+v", a)
	}
	// 4096 bytes end in the middle of a character, which is left out.
	if want := ("x" + text)[:4095]; attempt.Answer.Body != want {
		t.Errorf("body of %d bytes, want %d", len(attempt.Answer.Body), len(want))
	}
	if attempt.Timing.TotalMs <= 0 || attempt.Timing.TotalMs < attempt.Timing.FirstByteMs {
		t.Errorf("timing %+v", attempt.Timing)
	}
	binary, raw := show(list[0].ID)
	if a := binary.Attempts[0].Answer; a.Body != "" || string(a.BodyBase64) != garbage || a.Truncated {
		t.Errorf("the answer that is no text: %+v", a)
	}
	if !strings.Contains(raw, base64.StdEncoding.EncodeToString([]byte(garbage))) {
		t.Errorf("no base64 in %s", raw)
	}
	if strings.Contains(f.log.String(), "hush") {
		t.Error("the query of the sink is in the log")
	}
}

func header(lines []api.HeaderLine, name string) string {
	for _, line := range lines {
		if strings.EqualFold(line.Name, name) {
			return line.Value
		}
	}
	return ""
}

func TestADeliveryIsSentAgain(t *testing.T) {
	t.Parallel()
	f := start(t)
	status := make(chan int, 10)
	s := f.subscriber("one", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("ce-type"), "welcome") {
			return
		}
		w.WriteHeader(<-status)
	})
	status <- http.StatusBadRequest
	f.publish(event("a", "invoice.created", ""))
	failed := f.settled(s.token, "?type=invoice.created", 1)[0]
	if failed.State != api.Discarded {
		t.Fatalf("%+v", failed)
	}
	path := fmt.Sprintf("/v1/companies/12345/deliveries/%d/resend", failed.ID)
	answer := f.do(call{method: "POST", path: path, token: s.token}).want(t, http.StatusAccepted)
	var again api.Delivery
	answer.decode(t, &again)
	if again.ID != failed.ID || again.State != api.Pending || again.DueAt.IsZero() || again.Reason != "" {
		t.Errorf("%+v", again)
	}
	// While it is on its way it cannot be sent a second time.
	p := f.do(call{method: "POST", path: path, token: s.token}).problem(t, http.StatusConflict)
	if p.Type != "/docs#error-conflict" || p.Fix == "" {
		t.Errorf("%+v", p)
	}
	status <- http.StatusOK
	if done := f.settled(s.token, "?type=invoice.created", 1)[0]; done.State != api.Delivered || done.Attempts != 2 {
		t.Errorf("%+v", done)
	}
}

func TestDeliveriesRefuse(t *testing.T) {
	t.Parallel()
	f := start(t)
	one, two := f.subscriber("one", ok), f.subscriber("two", ok)
	foreign := f.settled(two.token, "", 1)[0].ID
	base := "/v1/companies/12345/deliveries"
	for _, test := range []struct {
		name, method, path, token string
		status                    int
	}{
		{"another app's delivery is as good as none", "GET", fmt.Sprintf("%s/%d", base, foreign), one.token, 404},
		{"nor can it be sent again", "POST", fmt.Sprintf("%s/%d/resend", base, foreign), one.token, 404},
		{"under another company it is not there", "GET", fmt.Sprintf("/v1/companies/7/deliveries/%d", foreign), adminSecret, 404},
		{"a delivery that never was", "GET", base + "/999999", one.token, 404},
		{"a delivery that never was, sent again", "POST", base + "/999999/resend", one.token, 404},
		{"a company that the token does not reach", "GET", "/v1/companies/7/deliveries", one.token, 403},
		{"a token of kind publish", "GET", base, f.token(`{"kind":"publish"}`), 403},
		{"an id that is none", "GET", base + "/x", one.token, 400},
		{"an id of zero", "GET", base + "/0", one.token, 400},
	} {
		if answer := f.do(call{method: test.method, path: test.path, token: test.token}); answer.status != test.status {
			t.Errorf("%s: status %d, want %d; %s", test.name, answer.status, test.status, answer.body)
		}
	}
	for query, field := range map[string]string{
		"subscription=x":       "subscription",
		"subscription=1,":      "subscription",
		"subscription=-1":      "subscription",
		"state=queued":         "state",
		"entity=invoice":       "entity",
		"entity=invoice/1,2":   "entity",
		"from=yesterday":       "from",
		"to=2026-13-01T00:00Z": "to",
		"limit=0":              "limit",
		"cursor=abc":           "cursor",
		"cursor=-4":            "cursor",
		"page=2":               "page",
	} {
		p := f.get(base+"?"+query).problem(t, http.StatusBadRequest)
		if len(p.Errors) != 1 || p.Errors[0].Field != field {
			t.Errorf("%s: errors %v, want %s to be named", query, p.Errors, field)
		}
	}
}
