package ui

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/inspect"
	"github.com/fattorino-dev/fattorino/internal/portal"
)

// holding is what an app has at a company: its names hold a word of its own, by
// which pages that show any of it are found out.
type holding struct {
	app, company int64
	word         string
	sub          *fattorino.Subscription
	gone         *fattorino.Subscription // deleted a moment ago
	delivery     *fattorino.Delivery
	bin          string // id of one of its portal's bins, to which a request has come
}

// holds makes an app's subscription to a company, with a delivery.
func (f *fixture) holds(word string, app, company int64) holding {
	f.t.Helper()
	if app == 0 {
		made, err := f.service.CreateApp(f.t.Context(), caller(0), "app of "+word)
		if err != nil {
			f.t.Fatal(err)
		}
		app = made.ID
	}
	subscribe := func() *fattorino.Subscription {
		sub, _, err := f.service.Subscribe(f.t.Context(), caller(app), fattorino.NewSubscription{
			Company: company, Contract: "native", Sink: f.sink() + "/" + word, Types: []string{"invoice.paid"}, Method: fattorino.ByHeader,
			Options: fattorino.Options{Name: word},
		})
		if err != nil {
			f.t.Fatal(err)
		}
		return sub
	}
	gone, sub := subscribe(), subscribe()
	if err := f.service.DeleteSubscription(f.t.Context(), caller(0), company, "native", gone.ID); err != nil {
		f.t.Fatal(err)
	}
	event := &fattorino.Event{ID: word, Source: "/test", Type: "invoice.paid", Company: company}
	d, err := f.service.SendTest(f.t.Context(), caller(app), company, "native", sub.ID, event)
	if err != nil {
		f.t.Fatal(err)
	}
	bin, err := f.ui.Bins.Create(f.t.Context(), inspect.PortalOwner(app, company, []string{"*"}), "bin of "+word)
	if err != nil {
		f.t.Fatal(err)
	}
	f.browser().do(http.MethodPost, inspect.Path+bin.ID+"/"+word, nil)
	return holding{app: app, company: company, word: word, sub: sub, gone: gone, delivery: d, bin: bin.ID}
}

// link makes a portal link.
func (f *fixture) link(w portal.Wish) (*portal.Link, string) {
	f.t.Helper()
	link, text, err := f.ui.Portal.Make(f.t.Context(), w)
	if err != nil {
		f.t.Fatal(err)
	}
	return link, text
}

// comesBy gives a browser in which the link was opened.
func (f *fixture) comesBy(text string) *browser {
	f.t.Helper()
	b := f.browser()
	if got := b.get("/ui/portal/" + text); got.status != http.StatusSeeOther {
		f.t.Fatalf("the link opens with %d, want 303", got.status)
	}
	return b
}

// everything says how all stands that a page could change.
func (f *fixture) everything(held ...holding) string {
	f.t.Helper()
	var all strings.Builder
	for _, h := range held {
		sub, err := f.service.Subscription(f.t.Context(), caller(0), h.company, "", h.sub.ID)
		if err != nil {
			f.t.Fatalf("the subscription of %s: %v", h.word, err)
		}
		list, err := f.service.Deliveries(f.t.Context(), caller(0), h.company, fattorino.DeliveryQuery{Subscriptions: []int64{sub.ID}, Limit: 100})
		if err != nil {
			f.t.Fatal(err)
		}
		own, err := f.service.Subscriptions(f.t.Context(), &fattorino.Token{Kind: fattorino.APIToken, App: h.app, Scopes: []string{"*"}}, h.company, "")
		if err != nil {
			f.t.Fatal(err)
		}
		bins, err := f.ui.Bins.List(f.t.Context(), inspect.PortalOwner(h.app, h.company, []string{"*"}))
		if err != nil {
			f.t.Fatal(err)
		}
		for _, bin := range bins {
			fmt.Fprintln(&all, h.word, *bin)
		}
		fmt.Fprintln(&all, h.word, sub.State, sub.Options.Name, sub.Sink, sub.UpdatedAt.UnixMicro(), len(sub.Secrets), len(list), len(own))
	}
	apps, err := f.service.Apps(f.t.Context(), caller(0), 0, 100)
	if err != nil {
		f.t.Fatal(err)
	}
	tokens, err := f.service.Tokens(f.t.Context(), caller(0), 0, 100)
	if err != nil {
		f.t.Fatal(err)
	}
	users, err := f.ui.accounts.users(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	fmt.Fprintln(&all, len(apps), len(tokens), len(users))
	return all.String()
}

// settled waits until the delivery is, so that nothing changes of itself.
func (f *fixture) settled(h holding) {
	f.t.Helper()
	for {
		d, _, _, err := f.service.Delivery(f.t.Context(), caller(0), h.company, h.delivery.ID)
		if err != nil {
			f.t.Fatal(err)
		}
		if d.State == fattorino.Delivered {
			return
		}
	}
}

// Every page and every action, with each link that is not the right one: what
// belongs to others is not there, and nothing of it changes.
func TestAPortalLinkFindsNothingOfOthers(t *testing.T) {
	t.Parallel()
	f := start(t)
	mine := f.holds("mineword", 0, 7)
	neighbour := f.holds("neighbourword", 0, 7) // another app at the same company
	elsewhere := f.holds("elsewhereword", mine.app, 8)
	f.publish("invoice.paid", 1, 1) // which is the company's: seq 1
	for _, h := range []holding{mine, neighbour, elsewhere} {
		f.settled(h)
	}
	if err := f.ui.accounts.addUser(t.Context(), "someone", password, viewer); err != nil {
		t.Fatal(err)
	}
	_, right := f.link(portal.Wish{App: mine.app, Company: 7})
	_, ofNeighbour := f.link(portal.Wish{App: neighbour.app, Company: 7})
	_, ofElsewhere := f.link(portal.Wish{App: mine.app, Company: 8})
	withdrawn, gone := f.link(portal.Wish{App: mine.app, Company: 7})
	if err := f.ui.Portal.Withdraw(t.Context(), withdrawn.ID); err != nil {
		t.Fatal(err)
	}
	last := map[bool]string{true: "B", false: "A"}[strings.HasSuffix(right, "A")]
	cookie := func(text string) *browser {
		b := f.browser()
		b.cookies[portalCookie] = text
		return b
	}
	shut := map[string]bool{"tampered with": true, "withdrawn": true, "none": true, "another end": true}
	own := map[string]holding{"of another app": neighbour, "of another company": elsewhere} // which it may change
	for name, b := range map[string]*browser{
		"of another app":     f.comesBy(ofNeighbour),
		"of another company": f.comesBy(ofElsewhere),
		"tampered with":      cookie(right[:len(right)-1] + last),
		"another end":        cookie(laterEnd(t, right)),
		"withdrawn":          cookie(gone),
		"none":               cookie("x"),
	} {
		others := slices.DeleteFunc([]holding{mine, neighbour, elsewhere}, func(h holding) bool { return h.word == own[name].word })
		before := f.everything(others...)
		for _, rt := range f.ui.routes() {
			endless := name == "of another app" && (strings.HasSuffix(rt.pattern, "/events/live") || strings.HasSuffix(rt.pattern, "/deliveries/live")) // of what it may hear
			if endless || rt.pattern == "POST /ui/portal-end" || strings.HasPrefix(rt.pattern, "GET /ui/static") {
				continue
			}
			got := f.try(b, rt, mine)
			if strings.Contains(got.body, mine.word) {
				t.Errorf("a link %s, %s: what is another's is shown", name, rt.pattern)
			}
			if rt.role == nobody {
				continue
			}
			over := strings.Contains(got.body, "This page is closed")
			if shut[name] && (got.status != http.StatusGone || !over) {
				t.Errorf("a link %s, %s: got %d, want 410 and that the page is closed", name, rt.pattern, got.status)
			}
			if strings.Contains(rt.pattern, "{bin}") && got.status != http.StatusNotFound && !shut[name] {
				t.Errorf("a link %s, %s: got %d, want 404", name, rt.pattern, got.status)
			}
			if !shut[name] && got.status == http.StatusOK && (name == "of another company" || strings.Contains(rt.pattern, "{subscription}") || strings.Contains(rt.pattern, "{delivery}") || strings.Contains(rt.pattern, "{bin}")) && rt.pattern != "GET /ui/inspect" {
				t.Errorf("a link %s, %s: got 200", name, rt.pattern)
			}
		}
		if got := b.get(subscriptionPath(mine.company, mine.gone.ID)); strings.Contains(got.body, mine.word) || strings.Contains(got.body, "/restore") {
			t.Errorf("a link %s, %d: what was another's is shown", name, got.status)
		}
		if diff := cmp.Diff(before, f.everything(others...)); diff != "" {
			t.Errorf("a link %s has changed something (-before +after):\n%s", name, diff)
		}
	}
}

// laterEnd gives the text of a link with an hour more.
func laterEnd(t *testing.T, text string) string {
	t.Helper()
	parts := strings.Split(text, ".")
	end, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	parts[1] = strconv.FormatInt(end+3600, 10)
	return strings.Join(parts, ".")
}

// try goes to a route, with the ids of what is held in its path and in the form.
func (f *fixture) try(b *browser, rt route, h holding) page {
	f.t.Helper()
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	fill := strings.NewReplacer("{company}", number(h.company), "{subscription}", number(h.sub.ID), "{delivery}", number(h.delivery.ID), "{seq}", "1",
		"{token}", "1", "{name}", "someone", "{bin}", h.bin, "{$}", "", "{link}", "x", "{logo}", "x", "{file}", "x")
	method, path, _ := strings.Cut(rt.pattern, " ")
	form := url.Values{
		"app": {number(h.app)}, "contract": {"native"}, "sink": {"http://127.0.0.1:9/moved"}, "name": {"changed"}, "types": {"invoice.paid"}, "type": {"invoice.paid"},
		"overlap": {"1"}, "id": {number(h.company)}, "kind": {"admin"}, "role": {"admin"}, "password": {password}, "subscription": {number(h.sub.ID)},
		"delivery": {number(h.delivery.ID)}, "state": {"delivered"}, "company": {number(h.company)}, "seen": {formOf(h.sub).Seen},
		"request": {"1"}, "check": {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "key": {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "status": {"204"}, "fail_status": {"500"},
	}
	if strings.HasSuffix(path, "/restore") {
		path = strings.Replace(path, "{subscription}", number(h.gone.ID), 1)
	}
	path = fill.Replace(path)
	if method == http.MethodGet {
		path += "?subscription=" + number(h.sub.ID) + "&app=" + number(h.app)
	}
	return b.do(method, path, form)
}

// With the right link there are the pages of what is one's own, and no other:
// neither of the neighbour, nor of another company, nor of the operator.
func TestAPortalHasItsOwnPagesAlone(t *testing.T) {
	t.Parallel()
	f := start(t)
	mine := f.holds("mineword", 0, 7)
	neighbour := f.holds("neighbourword", 0, 7)
	elsewhere := f.holds("elsewhereword", mine.app, 8)
	f.publish("invoice.paid", 1, 1)
	for _, h := range []holding{mine, neighbour, elsewhere} {
		f.settled(h)
	}
	_, text := f.link(portal.Wish{App: mine.app, Company: 7})
	b := f.comesBy(text)
	others := f.everything(neighbour, elsewhere)
	shown := 0
	for _, rt := range f.ui.routes() {
		if rt.role == nobody || strings.HasSuffix(rt.pattern, "/live") || rt.pattern == "POST /ui/inspect/{bin}/delete" || rt.pattern == "POST /ui/companies/{company}/subscriptions/{subscription}/delete" {
			continue
		}
		got := f.try(b, rt, mine)
		for _, word := range []string{neighbour.word, elsewhere.word} {
			if strings.Contains(got.body, word) {
				t.Errorf("%s shows %s", rt.pattern, word)
			}
		}
		open := slices.Contains(openToPortals(), rt.pattern) || rt.pattern == "GET /ui/{$}"
		if missing := got.status == http.StatusNotFound; missing == open {
			t.Errorf("%s: got %d, and open to portals is %t", rt.pattern, got.status, open)
		}
		if strings.Contains(got.body, mine.word) {
			shown++
		}
	}
	if shown < 5 {
		t.Errorf("what is one's own is on %d pages, want 5 or more", shown)
	}
	if diff := cmp.Diff(others, f.everything(neighbour, elsewhere)); diff != "" {
		t.Errorf("what is others' has changed (-before +after):\n%s", diff)
	}
	for _, path := range []string{"/ui/nothing", "/ui/tokens", "/ui/companies/8/subscriptions", "/ui/companies/07/events"} {
		if got := b.get(path); got.status != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, got.status)
		}
	}
	if got := b.get("/ui/"); got.header.Get("Location") != "/ui/companies/7/subscriptions" {
		t.Errorf("the first page leads to %q", got.header.Get("Location"))
	}
}

// An integrator does everything by themselves that an app may do.
func TestWithALinkAnIntegratorDoesEverything(t *testing.T) {
	t.Parallel()
	f := start(t)
	app := f.app()
	_, text := f.link(portal.Wish{App: app, Company: 7})
	b, form := f.comesBy(text), wholeForm(app, f.sink())
	if got := b.post(newPath, form); got.status != http.StatusOK || !strings.Contains(got.body, "whsec_") {
		t.Fatalf("a new subscription: got %d: %s", got.status, got.body)
	}
	sub := f.one()
	if sub.App != app || sub.State != fattorino.Active {
		t.Errorf("it is of app %d and %s, want app %d and active", sub.App, sub.State, app)
	}
	at := subscriptionPath(7, sub.ID)
	for _, step := range []struct {
		action string
		form   url.Values
		want   string
	}{
		{"/disable", nil, "done=disabled"},
		{"/enable", nil, "done=enabled"},
		{"/test", url.Values{"type": {"invoice.paid"}}, "done=tested"},
		{"/rotate", url.Values{"overlap": {"1"}}, ""},
		{"/delete", nil, "deleted=" + strconv.FormatInt(sub.ID, 10)},
		{"/restore", nil, "done=restored"},
		{"/delete", nil, "deleted="},
	} {
		got := b.post(at+step.action, step.form)
		if done := strings.Contains(got.header.Get("Location"), step.want) && got.status == http.StatusSeeOther; !done && (step.want != "" || got.status != http.StatusOK) {
			t.Errorf("%s: got %d to %q", step.action, got.status, got.header.Get("Location"))
		}
	}
	if all, err := f.service.Subscriptions(t.Context(), caller(0), 7, ""); err != nil || len(all) != 0 {
		t.Errorf("there are %d subscriptions, %v; want none", len(all), err)
	}
	// A subscription in the name of another app cannot be made.
	other, err := f.service.CreateApp(t.Context(), caller(0), "Other")
	if err != nil {
		t.Fatal(err)
	}
	form.Set("app", strconv.FormatInt(other.ID, 10))
	if got := b.post(newPath, form); got.status != http.StatusUnprocessableEntity {
		t.Errorf("in the name of another app: got %d, want 422", got.status)
	}
}

// The scopes of a link hold as those of a token.
func TestALinkHearsWhatItsScopesReach(t *testing.T) {
	t.Parallel()
	f := start(t)
	app := f.app()
	_, text := f.link(portal.Wish{App: app, Company: 7, Scopes: []string{}})
	form := wholeForm(app, f.sink())
	api := &fattorino.Token{Kind: fattorino.APIToken, App: app, Companies: []int64{7}}
	f.publish("invoice.paid", 1, 1)
	events, _, err := f.service.Pull(t.Context(), api, fattorino.EventQuery{Company: 7, Limit: 10}, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := f.comesBy(text)
	if shown := strings.Contains(b.get("/ui/companies/7/events").body, "event-1"); shown != (len(events) == 1) {
		t.Errorf("the event is shown: %t; a token without scopes hears %d", shown, len(events))
	}
	_, _, err = f.service.Subscribe(t.Context(), api, fattorino.NewSubscription{Company: 7, Contract: "native", Sink: form.Get("sink"), Types: []string{"invoice.paid"}, Method: fattorino.ByHeader})
	got := b.post(newPath, form)
	if refused := got.status == http.StatusForbidden; refused != (fattorino.KindOf(err) == fattorino.Denied) {
		t.Errorf("the page answers %d, the use case %v", got.status, err)
	}
}

func TestASessionOfAPortalEndsWithItsLink(t *testing.T) {
	t.Parallel()
	f := start(t)
	app := f.app()
	link, text := f.link(portal.Wish{App: app, Company: 7, Minutes: 1})
	if _, err := f.ui.Portal.Open(t.Context(), text, link.EndsAt.Add(-time.Second)); err != nil {
		t.Errorf("before its end: %v", err)
	}
	if _, err := f.ui.Portal.Open(t.Context(), text, link.EndsAt); fattorino.KindOf(err) != fattorino.NotFound {
		t.Errorf("at its end: got %v, want NotFound", err)
	}
	// Several browsers may open it, and each can end for itself.
	b, other := f.comesBy(text), f.comesBy(text)
	if got := b.post("/ui/portal-end", nil); got.status != http.StatusGone || b.cookies[portalCookie] != "" {
		t.Errorf("the end: got %d, and the cookie is %q", got.status, b.cookies[portalCookie])
	}
	if got := other.get("/ui/companies/7/subscriptions"); got.status != http.StatusOK {
		t.Errorf("another browser: got %d, want 200", got.status)
	}
	if err := f.ui.Portal.Withdraw(t.Context(), link.ID); err != nil {
		t.Fatal(err)
	}
	if got := other.get("/ui/companies/7/subscriptions"); got.status != http.StatusGone {
		t.Errorf("withdrawn: got %d, want 410", got.status)
	}
}

// Who is signed in as operator and opens a link sees what the integrator sees.
func TestALinkGoesBeforeASessionOfTheOperator(t *testing.T) {
	t.Parallel()
	f := start(t)
	app := f.app()
	_, text := f.link(portal.Wish{App: app, Company: 7})
	b := f.signedIn(admin)
	b.get("/ui/portal/" + text)
	if got := b.get("/ui/tokens"); got.status != http.StatusNotFound {
		t.Errorf("with a link: got %d, want 404", got.status)
	}
	b.post("/ui/portal-end", nil)
	if got := b.get("/ui/tokens"); got.status != http.StatusOK {
		t.Errorf("after its end: got %d, want 200", got.status)
	}
}

func TestPortalsAloneCanBeFramedByTheOriginsOfTheList(t *testing.T) {
	t.Parallel()
	f := start(t)
	app := f.app()
	_, text := f.link(portal.Wish{App: app, Company: 7})
	b := f.browser()
	opened := b.get("/ui/portal/" + text)
	set := opened.header.Get("Set-Cookie")
	for _, part := range []string{"HttpOnly", "Secure", "SameSite=None", "Partitioned", "Path=/ui/"} {
		if !strings.Contains(set, part) {
			t.Errorf("the cookie %q lacks %s", strings.Replace(set, text, "…", 1), part)
		}
	}
	for _, got := range []page{opened, b.get("/ui/companies/7/subscriptions"), b.get("/ui/nothing"), b.get("/ui/portal/wrong")} {
		if policy := got.header.Get("Content-Security-Policy"); !strings.HasSuffix(policy, "frame-ancestors https://app.example.com") {
			t.Errorf("a portal's page (%d): the policy is %q", got.status, policy)
		}
	}
	for _, path := range []string{"/ui/companies", "/ui/sign-in", "/ui/companies/7/subscriptions"} {
		if policy := f.signedIn(admin).get(path).header.Get("Content-Security-Policy"); !strings.HasSuffix(policy, "frame-ancestors 'none'") {
			t.Errorf("%s, no portal: the policy is %q", path, policy)
		}
	}
	form := url.Values{"name": {"Foreign"}}
	if got := b.do(http.MethodPost, newPath, form, "Sec-Fetch-Site", "cross-site"); got.status != http.StatusForbidden {
		t.Errorf("a form of the page around it: got %d, want 403", got.status)
	}
}

func TestOriginsThatMayFrame(t *testing.T) {
	t.Parallel()
	for origin, good := range map[string]bool{
		"https://app.example.com": true, "https://app.example.com:8443": true, "http://localhost:3000": true, "http://127.0.0.1:3000": true, "http://[::1]:3000": true,
		"": false, "*": false, "https:": false, "https://": false, "app.example.com": false, "http://app.example.com": false, "https://app.example.com/": false,
		"https://app.example.com/x": false, "https://*.example.com": false, "https://a@example.com": false, "https://a;script-src": false, "https://a b": false,
		"'self'": false, "https://a'b": false, "data:": false,
	} {
		if err := CheckFrameAncestor(origin); (err == nil) != good {
			t.Errorf("%q: got %v, want it taken: %t", origin, err, good)
		}
	}
}

func TestAPortalLooksAsTheOperatorWishes(t *testing.T) {
	t.Parallel()
	f := start(t)
	app := f.app()
	var logo bytes.Buffer
	if err := png.Encode(&logo, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	link, text := f.link(portal.Wish{App: app, Company: 7, Theme: portal.Theme{Name: "Rossi <Cloud>", Color: "#0A7D5A", Logo: logo.Bytes()}})
	b := f.comesBy(text)
	body := b.get("/ui/companies/7/subscriptions").body
	for _, part := range []string{"/ui/inspect", "Rossi &lt;Cloud&gt;", "/ui/portal-theme/0a7d5a.css", "/ui/portal-logo/" + link.Logo, "/ui/portal-end"} {
		if !strings.Contains(body, part) {
			t.Errorf("the page lacks %s", part)
		}
	}
	for _, part := range []string{"Fattorino", "/ui/apps", "/ui/companies\"", "sign-out"} {
		if strings.Contains(body, part) {
			t.Errorf("the page has %s", part)
		}
	}
	if got := b.get("/ui/portal-logo/" + link.Logo); got.header.Get("Content-Type") != "image/png" || got.body != logo.String() {
		t.Errorf("the logo comes as %s, %d bytes", got.header.Get("Content-Type"), len(got.body))
	}
	if got := f.signedIn(admin).get("/ui/portal-logo/" + link.Logo); got.status != http.StatusNotFound {
		t.Errorf("the logo for others: got %d, want 404", got.status)
	}
	if got := b.get("/ui/portal-theme/0a7d5a.css"); !strings.Contains(got.body, "--accent:") || got.header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("the style is %s: %s", got.header.Get("Content-Type"), got.body)
	}
	for _, wrong := range []string{"0a7d5a", "0a7d5.css", "red.css", "0a7d5a00.css"} {
		if got := b.get("/ui/portal-theme/" + wrong); got.status != http.StatusNotFound {
			t.Errorf("the style %s: got %d, want 404", wrong, got.status)
		}
	}
}

// Whatever colour is wished, text can be read: 4.5 to 1 (WCAG 2.2, 1.4.3).
func TestEveryColourIsMadeReadable(t *testing.T) {
	t.Parallel()
	for r := 0; r <= 255; r += 51 {
		for g := 0; g <= 255; g += 51 {
			for b := 0; b <= 255; b += 51 {
				c := color{uint8(r), uint8(g), uint8(b)}
				light, dark := accents(c)
				for what, pair := range map[string][2]color{
					"text, light": {light.text, lightest}, "text on what is sunk, light": {light.text, lightSunk}, "text on its tint, light": {light.text, light.tint},
					"a button, light": {white, light.fill}, "a button, dark": {white, dark.fill},
					"text, dark": {dark.text, darkest}, "text on what is sunk, dark": {dark.text, darkSunk}, "text on its tint, dark": {dark.text, dark.tint},
				} {
					if got := contrast(pair[0], pair[1]); got < 4.5 {
						t.Errorf("%v, %s: the contrast is %.2f", c, what, got)
					}
				}
			}
		}
	}
	if light, _ := accents(color{0x4c, 0x46, 0xc7}); light.text != (color{0x4c, 0x46, 0xc7}) {
		t.Errorf("a colour that is readable has become %v", light.text)
	}
	if got := contrast(black, white); got < 20.99 || got > 21.01 {
		t.Errorf("black on white: %.2f, want 21", got)
	}
	style, err := staticFiles.ReadFile("static/app.css")
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]color{"surface": {lightest, darkest}, "sunken": {lightSunk, darkSunk}} {
		if line := fmt.Sprintf("--%s: light-dark(%s, %s);", name, pair[0], pair[1]); !strings.Contains(string(style), line) {
			t.Errorf("app.css lacks %s: the grounds here are others", line)
		}
	}
}
