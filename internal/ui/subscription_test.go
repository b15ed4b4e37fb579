package ui

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// sink gives the URL of one that takes everything, and proves itself.
func (f *fixture) sink() string {
	f.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"challenge": r.Header.Get("Webhook-Challenge")})
	}))
	f.t.Cleanup(server.Close)
	return server.URL + "/hooks"
}

// app makes company 7 and an app, whose id it gives.
func (f *fixture) app() int64 {
	f.t.Helper()
	if _, err := f.service.NameCompany(f.t.Context(), caller(0), 7, "Rossi"); err != nil {
		f.t.Fatal(err)
	}
	app, err := f.service.CreateApp(f.t.Context(), caller(0), "Warehouse")
	if err != nil {
		f.t.Fatal(err)
	}
	return app.ID
}

// one gives the only subscription of company 7.
func (f *fixture) one() *fattorino.Subscription {
	f.t.Helper()
	all, err := f.service.Subscriptions(f.t.Context(), caller(0), 7, "")
	if err != nil || len(all) != 1 {
		f.t.Fatalf("there are %d subscriptions, %v; want 1", len(all), err)
	}
	return all[0]
}

const newPath = "/ui/companies/7/subscriptions/new"

// wholeForm is a form with everything that a native subscription can choose.
func wholeForm(app int64, sink string) url.Values {
	return url.Values{
		"contract": {"native"}, "app": {strconv.FormatInt(app, 10)}, "sink": {sink}, "name": {"ERP"}, "description": {"of the warehouse"},
		"types": {"invoice.paid", "invoice.created"}, "others": {"our.own\n\n customer.* \n"}, "format": {"structured"}, "signature": {"v1"}, "ordering": {"entity"},
		"handshake": {"challenge"}, "method": {"header"}, "rate": {"600"}, "concurrency": {"4"}, "timeout": {"7.5"}, "schedule": {"5, 300;1800"},
		"ends_at": {"2099-12-31T23:59:59Z"}, "thin": {"1"}, "headers": {"X-Tenant: 42\nAuthorization: Bearer topsecret"}, "filters": {`[{"prefix": {"source": "/shop"}}]`},
	}
}

func TestASubscriptionIsMadeAsTheFormSays(t *testing.T) {
	t.Parallel()
	f := start(t)
	app, sink, b := f.app(), f.sink(), f.signedIn(operator)
	got := b.post(newPath, wholeForm(app, sink))
	if got.status != http.StatusOK || !strings.Contains(got.body, "whsec_") {
		t.Fatalf("got %d, want 200 and the secret: %s", got.status, got.body)
	}
	sub := f.one()
	o := sub.Options
	said := fmt.Sprintln(sub.App, sub.Contract, sub.Sink == sink, sub.Types, sub.Format, sub.State, o.Name, o.Description, o.Signature, o.Ordering, o.Handshake,
		o.Rate, o.Concurrency, o.Timeout, o.Schedule, o.EndsAt.Year(), o.Thin, string(sub.Filters))
	want := fmt.Sprintln(app, "native", true, []string{"invoice.paid", "invoice.created", "our.own", "customer.*"}, "structured", "active", "ERP", "of the warehouse", "v1", "entity", "challenge",
		600, 4, "7.5s", "[5s 5m0s 30m0s]", 2099, true, `[{"prefix": {"source": "/shop"}}]`)
	if said != want {
		t.Errorf("got  %s\nwant %s", said, want)
	}
	shown := b.get(subscriptionPath(7, sub.ID)).body
	if !strings.Contains(shown, "Authorization, X-Tenant") && !strings.Contains(shown, "X-Tenant, Authorization") {
		t.Error("the page does not name the header fields")
	}
	if strings.Contains(shown, "topsecret") || strings.Contains(shown, "whsec_") {
		t.Error("the page shows a secret")
	}
}

func TestWhatIsLeftAloneInTheFormStaysAsItIs(t *testing.T) {
	t.Parallel()
	f := start(t)
	app, b := f.app(), f.signedIn(operator)
	b.post(newPath, wholeForm(app, f.sink()))
	before := f.one()
	meta := before.Options
	meta.Metadata = map[string]string{"team": "books"} // which the form does not show
	if _, _, err := f.service.ModifySubscription(t.Context(), caller(0), 7, "native", before.ID, fattorino.SubscriptionChange{Options: &meta}); err != nil {
		t.Fatal(err)
	}
	before = f.one()
	edit := subscriptionPath(7, before.ID) + "/edit"
	form := wholeForm(app, before.Sink)
	form.Set("others", "our.own\ncustomer.*")
	form.Del("headers")
	form.Set("name", "ERP, production")
	form.Set("seen", formOf(before).Seen)
	form.Set("signature", "none") // which cannot change
	form.Set("app", "99")
	if got := b.post(edit, form); got.status != http.StatusSeeOther {
		t.Fatalf("got %d, want 303: %s", got.status, got.body)
	}
	after := f.one()
	if after.Options.Name != "ERP, production" || after.App != app || after.Options.Signature != "v1" || after.Options.Metadata["team"] != "books" ||
		string(after.Options.Headers) != string(before.Options.Headers) || len(after.Secrets) != 1 || after.State != fattorino.Active {
		t.Errorf("got %+v", after)
	}
	// A form that was filled in before another change is refused, and shown again.
	form.Set("name", "Late")
	if got := b.post(edit, form); got.status != http.StatusConflict || !strings.Contains(got.body, `value="Late"`) || f.one().Options.Name == "Late" {
		t.Errorf("a stale form: got %d, want 409 and the form", got.status)
	}
	// Header fields go where that is wished.
	form.Set("seen", formOf(f.one()).Seen)
	form.Set("drop_headers", "1")
	if got := b.post(edit, form); got.status != http.StatusSeeOther || len(f.one().Options.Headers) != 0 {
		t.Errorf("got %d, want 303 and no header fields", got.status)
	}
}

func TestWhatIsWrongIsSaidInItsField(t *testing.T) {
	t.Parallel()
	f := start(t)
	app, sink, b := f.app(), f.sink(), f.signedIn(operator)
	for _, x := range []struct{ field, value, want string }{
		{"sink", "", "give the URL"},
		{"sink", "ftp://example.com", "sink"},
		{"app", "", "choose the app"},
		{"app", "99", "choose the app"},
		{"rate", "many", "not a positive whole number"},
		{"rate", "0", "not a positive whole number"},
		{"timeout", "NaN", "not a number of seconds"},
		{"timeout", "3600", "not within"},
		{"schedule", "5, soon", "not a number of seconds"},
		{"ends_at", "tomorrow", "not a time"},
		{"ends_at", "2001-01-01T00:00:00Z", "ended already"},
		{"headers", "topsecret", "not of the form"},
		{"headers", "Host: elsewhere", "Host"},
		{"filters", "[{]", "fault"},
		{"format", "morse", "morse"},
		{"signature", "rot13", "rot13"},
	} {
		form := wholeForm(app, sink)
		form.Set(x.field, x.value)
		got := b.post(newPath, form)
		if got.status != http.StatusUnprocessableEntity && got.status != http.StatusBadRequest {
			t.Errorf("%s %q: got %d, want 422", x.field, x.value, got.status)
		}
		if !strings.Contains(got.body, `class="fault"`) && !strings.Contains(got.body, `role="alert"`) {
			t.Errorf("%s %q: nothing is said to be wrong", x.field, x.value)
		}
		if !strings.Contains(strings.ToLower(got.body), strings.ToLower(x.want)) {
			t.Errorf("%s %q: the page does not say %q", x.field, x.value, x.want)
		}
		if x.field == "headers" && strings.Contains(strings.ReplaceAll(got.body, ">topsecret</textarea>", ""), "topsecret") {
			t.Error("a message quotes what may be a secret")
		}
	}
	if all, err := f.service.Subscriptions(t.Context(), caller(0), 7, ""); err != nil || len(all) != 0 {
		t.Errorf("there are %d subscriptions, %v; want none", len(all), err)
	}
}

// What is shown before a subscription is made is what its receiver then gets.
func TestThePreviewIsTheRequestThatIsSent(t *testing.T) {
	t.Parallel()
	f := start(t)
	app, b := f.app(), f.signedIn(operator)
	type sent struct {
		header http.Header
		body   string
	}
	got := make(chan sent, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is missing is seen below
		got <- sent{r.Header, string(body)}
	}))
	t.Cleanup(server.Close)
	form := url.Values{"contract": {"facturascripts"}, "app": {strconv.FormatInt(app, 10)}, "sink": {server.URL + "/hooks?token=secret"}, "types": {"invoice.paid"}}
	preview := b.post("/ui/companies/7/subscriptions/preview", form)
	if preview.status != http.StatusOK || strings.Contains(preview.body, "secret") || strings.Contains(preview.body, "<html") {
		t.Fatalf("the preview: %d %s", preview.status, preview.body)
	}
	b.post(newPath, form)
	if answer := b.post(subscriptionPath(7, f.one().ID)+"/test", url.Values{"type": {"invoice.paid"}}); answer.status != http.StatusSeeOther {
		t.Fatalf("the test: got %d, want 303: %s", answer.status, answer.body)
	}
	received := <-got
	for name := range received.header {
		if name != "Content-Length" && name != "Accept-Encoding" && // which the way out sets
			!strings.Contains(strings.ToLower(preview.body), strings.ToLower(name)) {
			t.Errorf("the receiver gets %s, which the preview does not show", name)
		}
	}
	var members map[string]any
	if err := json.Unmarshal([]byte(received.body), &members); err != nil {
		t.Fatal(err)
	}
	for name := range members {
		if !strings.Contains(preview.body, "&#34;"+name+"&#34;") {
			t.Errorf("the body has %s, which the preview does not show", name)
		}
	}
}

func TestTheListIsNarrowedByWhatItShows(t *testing.T) {
	t.Parallel()
	f := start(t)
	app, sink := f.app(), f.sink()
	for i := range pageSize + 10 {
		_, _, err := f.service.Subscribe(t.Context(), caller(app), fattorino.NewSubscription{
			Company: 7, Contract: "defacto", Sink: sink + "?token=topsecret", Types: []string{"Invoice.SUBMITTED"}, Options: fattorino.Options{Name: fmt.Sprint("Number ", i)},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	b := f.signedIn(viewer)
	for query, rows := range map[string]int{
		"": pageSize, "?after=50": 10, "?q=number+7": 1, "?q=SUBMITTED": pageSize, "?q=topsecret": 0, "?state=disabled": 0, "?contract=native": 0,
		"?app=1": pageSize, "?app=2": 0, "?state=active&contract=defacto&q=number+1": 11,
	} {
		got := b.get("/ui/companies/7/subscriptions" + query)
		if n := strings.Count(got.body, `class="row"`); got.status != http.StatusOK || n != rows {
			t.Errorf("%q: got %d with %d rows, want %d", query, got.status, n, rows)
		}
		if strings.Contains(strings.ReplaceAll(got.body, `value="topsecret"`, ""), "token=topsecret") {
			t.Errorf("%q: the list shows the query of a sink", query)
		}
	}
}

func TestThePreviewSignsNoToken(t *testing.T) {
	t.Parallel()
	r := &shownRequest{Header: []shownHeader{{Name: "Content-Type", Value: "application/x.y"}, {Name: "Authorization", Value: "Bearer head.claims.signature"}}}
	r.blunt()
	if r.Header[0].Value != "application/x.y" || r.Header[1].Value != "Bearer head.claims.…" {
		t.Errorf("got %v", r.Header)
	}
}
