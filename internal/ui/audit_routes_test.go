package ui

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// unaudited are the routes that take a form and leave nothing in the audit, and
// why.
func unaudited() map[string]string {
	const company = "/ui/companies/{company}/"
	return map[string]string{
		"POST /ui/preferences":                       "language and theme are cookies of the browser's own",
		"POST /ui/portal-end":                        "the browser forgets the link, which stays good",
		"POST " + company + "subscriptions/preview":  "a preview changes nothing",
		"POST /ui/inspect/{bin}/check":               "a check changes nothing",
		"POST " + company + "deliveries/resend/stop": "where no run is under way nothing is stopped; else StopResending notes it",
	}
}

// A deed of a table: what is posted, and what the audit then says.
type deedCase struct {
	pattern string // of the route
	path    string
	form    url.Values
	action  string
}

// Whatever changes something leaves an entry in the audit, or is in the list
// above with its reason: a new route is a decision here.
func TestWhatChangesSomethingIsInTheAudit(t *testing.T) {
	t.Parallel()
	f := start(t)
	b := f.signedIn(admin)
	h := f.holds("ledger", 0, 7)
	f.settled(h)
	token, _, err := f.service.CreateToken(t.Context(), caller(0), fattorino.Token{Kind: fattorino.PublishToken})
	if err != nil {
		t.Fatal(err)
	}
	made := b.post("/ui/inspect", nil)
	bin, _, _ := strings.Cut(made.header.Get("Location"), "?")
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	const sub = "/ui/companies/{company}/subscriptions/{subscription}"
	at := subscriptionPath(7, h.sub.ID)
	whole := wholeForm(h.app, f.sink())
	secret, _, _, err := f.ui.Contracts["native"].NewSecret("v1")
	if err != nil {
		t.Fatal(err)
	}
	signed := func(s *fattorino.Subscription) { s.Secrets = []fattorino.Secret{secret} }
	unverified := func(s *fattorino.Subscription) { s.State = fattorino.Unverified }
	edited := formOf(h.sub)
	edit := url.Values{
		"app": {number(h.app)}, "contract": {"native"}, "sink": {h.sub.Sink}, "name": {"changed"}, "types": {"invoice.paid"}, "seen": {edited.Seen},
	}
	steps := []deedCase{
		{"POST /ui/companies/{company}/subscriptions/new", newPath, whole, "subscription.create"},
		{"POST " + sub + "/edit", at + "/edit", edit, "subscription.change"},
		{"POST " + sub + "/disable", at + "/disable", nil, "subscription.disable"},
		{"POST " + sub + "/enable", at + "/enable", nil, "subscription.enable"},
		{"POST " + sub + "/test", at + "/test", url.Values{"type": {"invoice.paid"}}, "subscription.test"},
		{"POST " + sub + "/rotate", subscriptionPath(7, f.keeps(h, signed)) + "/rotate", url.Values{"overlap": {"1"}}, "subscription.rotate"},
		{"POST " + sub + "/delete", at + "/delete", nil, "subscription.delete"},
		{"POST " + sub + "/restore", at + "/restore", nil, "subscription.restore"},
		{"POST " + sub + "/verify", subscriptionPath(7, f.keeps(h, unverified)) + "/verify", nil, "subscription.verify"},
		{"POST /ui/companies/{company}/deliveries/{delivery}/resend", deliveryPath(7, h.delivery.ID) + "/resend", nil, "delivery.resend"},
		{"POST /ui/companies/{company}/deliveries/resend", "/ui/companies/7/deliveries/resend", nil, "delivery.resend_all"},
		{"POST /ui/inspect", "/ui/inspect", nil, "bin.make"},
		{"POST /ui/inspect/{bin}/answer", bin + "/answer", url.Values{"status": {"204"}, "delay": {"0"}, "fail": {"0"}, "fail_status": {"500"}}, "bin.answer"},
		{"POST /ui/inspect/{bin}/keys", bin + "/keys", url.Values{"key": {"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}}, "bin.key"},
		{"POST /ui/inspect/{bin}/keys/clear", bin + "/keys/clear", nil, "bin.keys_clear"},
		{"POST /ui/inspect/{bin}/clear", bin + "/clear", nil, "bin.clear"},
		{"POST /ui/inspect/{bin}/delete", bin + "/delete", nil, "bin.delete"},
		{"POST /ui/companies", "/ui/companies", url.Values{"id": {"7"}, "name": {"Rossi"}}, "company.name"},
		{"POST /ui/apps", "/ui/apps", url.Values{"name": {"Warehouse"}}, "app.create"},
		{"POST /ui/tokens", "/ui/tokens", url.Values{"kind": {"publish"}}, "token.create"},
		{"POST /ui/tokens/{token}/revoke", fmt.Sprintf("/ui/tokens/%d/revoke", token.ID), nil, "token.revoke"},
		{"POST /ui/keys/rotate", "/ui/keys/rotate", nil, "key.rotate"},
		{"POST /ui/users", "/ui/users", url.Values{"name": {"bruno"}, "password": {password}, "role": {"viewer"}}, "user.add"},
		{"POST /ui/users/{name}", "/ui/users/bruno", url.Values{"role": {"operator"}}, "user.change"},
		{"POST /ui/users/{name}/delete", "/ui/users/bruno/delete", nil, "user.delete"},
		{"POST /ui/password", "/ui/password", url.Values{"current": {password}, "password": {password + "!"}}, "user.password"},
		{"POST /ui/sign-in", "/ui/sign-in", url.Values{"name": {"admin"}, "secret": {password}}, "session.refuse"},
		{"POST /ui/sign-in", "/ui/sign-in", url.Values{"name": {"admin"}, "secret": {password + "!"}}, "session.open"},
		{"POST /ui/sign-out", "/ui/sign-out", nil, "session.close"},
		{"POST /ui/sign-in", "/ui/sign-in", url.Values{"secret": {adminSecret}}, "session.open"},
	}
	for _, rt := range f.ui.routes() {
		listed := slices.ContainsFunc(steps, func(c deedCase) bool { return c.pattern == rt.pattern })
		if strings.HasPrefix(rt.pattern, "POST ") && listed == (unaudited()[rt.pattern] != "") {
			t.Errorf("%s is to be in one of the two tables", rt.pattern)
		}
	}
	latest := func() (d fattorino.Deed) {
		found, _, err := f.service.Deeds(t.Context(), caller(0), fattorino.DeedQuery{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			d = *found[0]
		}
		return d
	}
	for _, step := range steps {
		before := latest()
		got := b.post(step.path, step.form)
		deed := latest()
		if step.action == "delivery.resend_all" { // which is noted as the run begins, a moment later
			for deed == before {
				deed = latest()
			}
		}
		if deed == before || deed.Action != step.action {
			t.Errorf("%s (%d to %q): the audit says %q, want %q", step.pattern, got.status, got.header.Get("Location"), deed.Action, step.action)
		}
		if strings.Contains(fmt.Sprint(deed), password) || strings.Contains(fmt.Sprint(deed), adminSecret) || strings.Contains(fmt.Sprint(deed), bin[len("/ui/inspect/"):]) {
			t.Errorf("%s: the audit holds a secret: %+v", step.pattern, deed)
		}
	}
	if d := latest(); d.By != "" || !strings.HasPrefix(d.Object, "network/127.0.0.1") {
		t.Errorf("of a sign-in with a token the audit says %+v", d)
	}
}

// keeps makes a subscription of the holding's app as it was not made by a form.
func (f *fixture) keeps(h holding, change func(*fattorino.Subscription)) int64 {
	f.t.Helper()
	s := &fattorino.Subscription{
		Company: h.company, App: h.app, Contract: "native", Sink: f.sink(), Types: []string{"invoice.paid"}, Format: fattorino.Structured,
		State: fattorino.Active, CreatedAt: time.Now(), UpdatedAt: time.Now(), Options: fattorino.Options{Handshake: "challenge"},
	}
	change(s)
	if err := f.ui.Store.Update(f.t.Context(), func(tx fattorino.Tx) error { return tx.PutSubscription(s) }); err != nil {
		f.t.Fatal(err)
	}
	return s.ID
}

// Who guesses at passwords is in the audit, by the name of the user where there
// is one, and does not fill it.
func TestRefusedSignInsAreInTheAudit(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.signedIn(viewer)
	f.ui.refusals.SetBurst(3)
	for _, name := range []string{"VIEWER", "my password in the wrong field", "viewer", "viewer"} {
		if got := f.browser().post("/ui/sign-in", url.Values{"name": {name}, "secret": {"wrong"}}); got.status != http.StatusUnauthorized {
			t.Fatalf("%s: got %d", name, got.status)
		}
	}
	deeds, _, err := f.service.Deeds(t.Context(), caller(0), fattorino.DeedQuery{Text: "session.refuse", Limit: 10})
	if err != nil || len(deeds) != 3 || deeds[0].By != "viewer" || deeds[1].By != "" || deeds[2].By != "viewer" {
		t.Errorf("the audit says %+v, %v; want three, the second without a name", deeds, err)
	}
}
