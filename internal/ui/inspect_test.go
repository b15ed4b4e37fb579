package ui

import (
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/inspect"
	"github.com/fattorino-dev/fattorino/internal/portal"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// makeBin makes a bin, and gives its page and its address.
func (b *browser) makeBin() (path, address string) {
	b.f.t.Helper()
	got := b.post("/ui/inspect", url.Values{"name": {"ERP test"}})
	path, _, _ = strings.Cut(got.header.Get("Location"), "?")
	if got.status != http.StatusSeeOther || !strings.HasPrefix(path, "/ui/inspect/") {
		b.f.t.Fatalf("got %d to %s, want a bin", got.status, path)
	}
	return path, inspect.Path + strings.TrimPrefix(path, "/ui/inspect/")
}

// until reads a stream as far as a line with the text.
func until(read func() string, text string) (all string) {
	for line := read(); ; line = read() {
		if all += line + "\n"; strings.Contains(line, text) {
			return all
		}
	}
}

func TestABinShowsASubscriptionFromChallengeToSignature(t *testing.T) {
	t.Parallel()
	f := start(t)
	app, b := f.app(), f.signedIn(operator)
	path, address := b.makeBin()
	if page := b.get(path).body; !strings.Contains(page, f.url+address) || !strings.Contains(page, "Waiting for the first request") || strings.Contains(page, "does not send to this address") {
		t.Errorf("an empty bin: %s", page)
	}
	read, status := b.lines(path+"/live?after=0", "")
	if status != http.StatusOK {
		t.Fatalf("live: got %d, want 200", status)
	}
	form := wholeForm(app, f.url+address)
	form.Del("thin")
	form.Del("filters")
	made := b.post(newPath, form)
	_, rest, found := strings.Cut(made.body, "whsec_")
	if !found {
		t.Fatalf("got %d, want a subscription: %s", made.status, made.body)
	}
	written, _, _ := strings.Cut("whsec_"+rest, "<")
	secret := html.UnescapeString(written) // a plus is written as a reference
	sub := f.one()
	if sub.State != fattorino.Active {
		t.Fatalf("the subscription is %s, want it verified by the bin", sub.State)
	}
	seen := until(read, "Copy as curl")
	if !strings.Contains(seen, "event: request") || !strings.Contains(seen, "event: detail") || !strings.Contains(seen, "Challenge") || !strings.Contains(seen, "The bin has proved itself") {
		t.Errorf("the challenge arrived as %s", seen)
	}
	if got := b.post(subscriptionPath(7, sub.ID)+"/test", url.Values{"type": {"invoice.paid"}}); got.status != http.StatusSeeOther {
		t.Fatalf("test: got %d", got.status)
	}
	seen = until(read, "Copy as curl")
	page := b.get(path).body
	for what, text := range map[string]string{"live": seen, "the page": page} {
		if !strings.Contains(text, "invoice.paid") || !strings.Contains(text, "Signature valid") || strings.Contains(text, strings.TrimPrefix(secret, "whsec_")) {
			t.Errorf("%s: the test arrived as %s", what, text)
		}
		for _, part := range []string{"The comparison", "signed at the time", "def verify_v1", subscriptionPath(7, sub.ID)} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: the check lacks %q", what, part)
			}
		}
	}
	if page := b.get(path + "?request=1").body; !strings.Contains(page, "The bin has proved itself") || !strings.Contains(page, `aria-current="true"`) || strings.Contains(page, "sse-connect") {
		t.Errorf("the challenge: %s", page)
	}
}

func TestABinAnswersAsItsFormSays(t *testing.T) {
	t.Parallel()
	f := start(t)
	b := f.signedIn(operator)
	path, address := b.makeBin()
	form := url.Values{"status": {"202"}, "delay": {"0"}, "fail": {"1"}, "fail_status": {"503"}, "header": {"Retry-After: 3\nX-Request-Id: 7"}, "body": {"{\"a\":\r\n1}"}}
	if got := b.post(path+"/answer", form); got.status != http.StatusSeeOther {
		t.Fatalf("got %d: %s", got.status, got.body)
	}
	if got := f.browser().do(http.MethodPost, address, nil); got.status != http.StatusServiceUnavailable {
		t.Errorf("the first: got %d, want 503", got.status)
	}
	got := f.browser().do(http.MethodPost, address+"/more", nil)
	if got.status != http.StatusAccepted || got.body != "{\"a\":\n1}" || got.header.Get("Retry-After") != "3" || got.header.Get("X-Request-Id") != "7" {
		t.Errorf("the next: got %d %q %v", got.status, got.body, got.header)
	}
	page := b.get(path).body
	for _, want := range []string{`value="202"`, "Retry-After: 3\nX-Request-Id: 7", "It failed on purpose.", "/more"} {
		if !strings.Contains(page, want) && !strings.Contains(b.get(path+"?request=1").body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	// What is wrong is said in its place, and nothing that was written is lost.
	form.Set("status", "99")
	form.Set("header", "Set-Cookie: a=b")
	form.Set("delay", "31")
	form.Set("body", "kept <b>")
	if got := b.post(path+"/answer", form); got.status != http.StatusUnprocessableEntity || strings.Count(got.body, `class="fault"`) != 3 || !strings.Contains(got.body, "kept &lt;b&gt;") {
		t.Errorf("faults: got %d: %s", got.status, got.body)
	}
	form.Set("fail", "many")
	if got := b.post(path+"/answer", form); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "not a positive whole number") {
		t.Errorf("no number: got %d", got.status)
	}
	if got := b.post(path+"/keys", url.Values{"key": {"topsecret"}}); got.status != http.StatusUnprocessableEntity || strings.Contains(got.body, "topsecret") {
		t.Errorf("no key: got %d", got.status)
	}
}

// What another service has sent is checked with the key that someone enters,
// this once: it is kept nowhere, and on no page.
func TestWhatAnotherServiceSentIsCheckedWithAKeyThatIsEntered(t *testing.T) {
	t.Parallel()
	f := start(t)
	b := f.signedIn(viewer)
	path, address := f.signedIn(operator).makeBin()
	for _, x := range []struct{ what, path string }{{"somebody else's bin", path}, {"no bin", "/ui/inspect/none"}} {
		if got := b.post(x.path+"/check", url.Values{"request": {"1"}, "check": {"x"}}); got.status != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", x.what, got.status)
		}
	}
	b = f.signedIn(operator)
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	key, err := sign.ParseHMACSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"type":"order.paid","data":{}}`
	now := time.Now().Unix()
	signature, err := key.AppendSignature(nil, "msg_1", now, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Webhook-Id": "msg_1", "Webhook-Timestamp": strconv.FormatInt(now, 10), "Webhook-Signature": string(signature)} {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	page := b.get(path).body
	for _, part := range []string{"Signature not checked", "The sender’s key is not known here", `action="` + path + `/check#detail"`, "cannot be told"} {
		if !strings.Contains(page, part) {
			t.Errorf("without the key the page lacks %q", part)
		}
	}
	form := url.Values{"request": {"1"}, "check": {secret}}
	got := b.post(path+"/check", form)
	if got.status != http.StatusOK || !strings.Contains(got.body, "Signature valid") || !strings.Contains(got.body, "entered for this check") || strings.Contains(got.body, "MfKQ9r8G") {
		t.Errorf("with the key: got %d: %s", got.status, got.body)
	}
	if page := b.get(path).body; !strings.Contains(page, "Signature not checked") || strings.Contains(page, "entered for this check") {
		t.Error("the key was kept")
	}
	form.Set("check", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx")
	if got := b.post(path+"/check", form); got.status != http.StatusOK || !strings.Contains(got.body, "Signature invalid") {
		t.Errorf("with another key: got %d", got.status)
	}
	form.Set("check", "topsecret")
	if got := b.post(path+"/check", form); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "this is neither a secret") || strings.Contains(got.body, "topsecret") {
		t.Errorf("no key: got %d", got.status)
	}
	for _, number := range []string{"", "0", "-1", "x", "99"} {
		if got := b.post(path+"/check", url.Values{"request": {number}, "check": {secret}}); got.status != http.StatusNotFound {
			t.Errorf("request %q: got %d, want 404", number, got.status)
		}
	}
}

// The address of a bin comes into the form of a subscription by one click, and
// nothing else that was written there is lost.
func TestABinIsChosenAsTheSinkOfASubscription(t *testing.T) {
	t.Parallel()
	f := start(t)
	app, b := f.app(), f.signedIn(operator)
	path, address := b.makeBin()
	id := strings.TrimPrefix(path, "/ui/inspect/")
	if page := b.get(newPath + "?contract=native").body; !strings.Contains(page, `name="bin" value="`+id+`"`) || !strings.Contains(page, `name="bin" value="new"`) {
		t.Errorf("the form: %s", page)
	}
	form := wholeForm(app, "https://written.example")
	form.Set("description", "kept as it was")
	form.Set("bin", id)
	got := b.post(newPath, form)
	if got.status != http.StatusOK || !strings.Contains(got.body, `value="`+f.url+address+`"`) || !strings.Contains(got.body, "kept as it was") || strings.Contains(got.body, "written.example") {
		t.Errorf("a bin: got %d: %s", got.status, got.body)
	}
	form.Set("bin", "new")
	form.Set("name", strings.Repeat("é", 80))
	if got := b.post(newPath, form); got.status != http.StatusOK || !strings.Contains(got.body, `value="`+f.url+inspect.Path) || strings.Contains(got.body, `value="`+f.url+address+`"`) {
		t.Errorf("a new bin: got %d: %s", got.status, got.body)
	}
	if list := b.get("/ui/inspect").body; strings.Count(list, `class="card" href="/ui/inspect/`) != 2 {
		t.Errorf("the bins: %s", list)
	}
	form.Set("bin", "99")
	if got := b.post(newPath, form); got.status != http.StatusNotFound {
		t.Errorf("no bin: got %d, want 404", got.status)
	}
	if all, err := f.service.Subscriptions(t.Context(), caller(0), 7, ""); err != nil || len(all) != 0 {
		t.Errorf("there are %d subscriptions, %v; want none", len(all), err)
	}
	form.Set("bin", "new")
	for range 18 {
		b.post(newPath, form)
	}
	if got := b.post(newPath, form); got.status != http.StatusTooManyRequests || !strings.Contains(got.body, "as many bins as there may be") || !strings.Contains(got.body, "kept as it was") {
		t.Errorf("too many bins: got %d", got.status)
	}
	// When it is changed, too.
	form.Del("bin")
	form.Set("name", "")
	form.Set("sink", f.sink())
	if got := b.post(newPath, form); got.status != http.StatusOK {
		t.Fatalf("got %d: %s", got.status, got.body)
	}
	sub := f.one()
	edit := url.Values{"contract": {"native"}, "sink": {sub.Sink}, "types": sub.Types, "seen": {formOf(sub).Seen}, "bin": {id}}
	if got := b.post(subscriptionPath(7, sub.ID)+"/edit", edit); got.status != http.StatusOK || !strings.Contains(got.body, `value="`+f.url+address+`"`) {
		t.Errorf("edit: got %d", got.status)
	}
	if now := f.one(); now.Sink != sub.Sink {
		t.Errorf("the sink has become %s", now.Sink)
	}
}

// Somebody else's bin is none.
func TestABinIsOfWhoMadeIt(t *testing.T) {
	t.Parallel()
	f := start(t)
	path, address := f.signedIn(operator).makeBin()
	f.browser().do(http.MethodPost, address, nil)
	token := f.browser()
	if got := token.post("/ui/sign-in", url.Values{"secret": {adminSecret}}); got.status != http.StatusSeeOther {
		t.Fatalf("sign in: got %d", got.status)
	}
	for name, other := range map[string]*browser{"an administrator": f.signedIn(admin), "the admin token": token} {
		for _, page := range []string{path, path + "/live?after=0", path + "?request=1"} {
			if got := other.get(page); got.status != http.StatusNotFound {
				t.Errorf("%s at %s: got %d, want 404", name, page, got.status)
			}
		}
		for _, action := range []string{"/answer", "/keys", "/keys/clear", "/clear", "/delete"} {
			if got := other.post(path+action, url.Values{"status": {"200"}, "fail_status": {"500"}, "key": {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}); got.status != http.StatusNotFound {
				t.Errorf("%s at %s: got %d, want 404", name, action, got.status)
			}
		}
		if list := other.get("/ui/inspect").body; !strings.Contains(list, "No bins yet") {
			t.Errorf("%s sees bins of others", name)
		}
	}
	own, _ := token.makeBin()
	again := f.browser()
	again.post("/ui/sign-in", url.Values{"secret": {adminSecret}})
	if got := again.get(own); got.status != http.StatusOK {
		t.Errorf("the token's bin in another browser of its own: got %d, want 200", got.status)
	}
	// A user made anew under the same name is another.
	if err := f.ui.accounts.deleteUser(t.Context(), "operator"); err != nil {
		t.Fatal(err)
	}
	if got := f.signedIn(operator).get(path); got.status != http.StatusNotFound {
		t.Errorf("a user made anew: got %d, want 404", got.status)
	}
}

func TestBinsAreListedClearedAndDeleted(t *testing.T) {
	t.Parallel()
	f := start(t)
	b := f.signedIn(operator)
	path, address := b.makeBin()
	for range 53 {
		f.browser().do(http.MethodPost, address, nil)
	}
	if list := b.get("/ui/inspect").body; !strings.Contains(list, "ERP test") || !strings.Contains(list, "<strong>53</strong>") || !strings.Contains(list, f.url+address) {
		t.Errorf("the list: %s", list)
	}
	page := b.get(path).body
	if rows := strings.Count(page, `<li id="request-`); rows != 50 || !strings.Contains(page, "?before=4") {
		t.Errorf("the page shows %d rows", rows)
	}
	if page := b.get(path + "?before=4").body; !strings.Contains(page, "request=3#") || strings.Contains(page, "request=4#") {
		t.Error("the next page does not go on from where the first ended")
	}
	if got := b.post(path+"/clear", nil); got.status != http.StatusSeeOther || !strings.Contains(b.get(path).body, "Waiting for the first request") {
		t.Errorf("clear: got %d", got.status)
	}
	if got := b.post(path+"/delete", nil); got.status != http.StatusSeeOther || b.get(path).status != http.StatusNotFound {
		t.Errorf("delete: got %d", got.status)
	}
	if got := b.post("/ui/inspect", url.Values{"name": {strings.Repeat("x", 200)}}); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "more than 100 bytes") {
		t.Errorf("a long name: got %d", got.status)
	}
	other, _ := b.makeBin()
	if got := b.get(other + "/live?after=x"); got.status != http.StatusUnprocessableEntity {
		t.Errorf("live after no number: got %d", got.status)
	}
}

// Where this service would not send, the page says so, and what can be done.
func TestABinSaysWhyThisServiceDoesNotSendToIt(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.service.CheckSink = func(string) error {
		return &fattorino.Error{Kind: fattorino.Invalid, Msg: "The sink is this service itself."}
	}
	b := f.signedIn(operator)
	path, _ := b.makeBin()
	if page := b.get(path).body; !strings.Contains(page, "The sink is this service itself.") || !strings.Contains(page, "public_url") {
		t.Errorf("the page: %s", page)
	}
}

// Where no address is set, the page shows the one that the browser has, and says
// that it is no more than that; behind a proxy with TLS it is https.
func TestABinSaysWhereItsAddressIsFrom(t *testing.T) {
	t.Parallel()
	f := start(t)
	at := func(host string) string {
		r := httptest.NewRequest(http.MethodGet, "/ui/inspect/1", http.NoBody)
		r.Host = host
		v := f.ui.preferred(r)
		w := httptest.NewRecorder()
		if err := f.ui.showBin(w, r, v, http.StatusOK, &inspect.Bin{ID: "1", First: 1, Next: 1}, &binView{}); err != nil {
			t.Fatal(err)
		}
		return w.Body.String()
	}
	const said = "set public_url"
	if page := at("127.0.0.1:8480"); !strings.Contains(page, "http://127.0.0.1:8480/inspect/1") || strings.Contains(page, said) {
		t.Errorf("on this machine: %s", page)
	}
	if page := at("hooks.example.com"); !strings.Contains(page, "https://hooks.example.com/inspect/1") || !strings.Contains(page, said) {
		t.Errorf("behind a proxy: %s", page)
	}
	f.ui.Bins.BaseURL = "https://set.example.com"
	if page := at("hooks.example.com"); !strings.Contains(page, "https://set.example.com/inspect/1") || strings.Contains(page, said) {
		t.Errorf("where it is set: %s", page)
	}
}

// Nothing that is sent to a bin becomes markup on its page.
func TestWhatIsSentToABinStaysText(t *testing.T) {
	t.Parallel()
	f := start(t)
	b := f.signedIn(operator)
	path, address := b.makeBin()
	read, _ := b.lines(path+"/live?after=0", "")
	const hostile = `<script>alert(1)</script>`
	f.browser().do(http.MethodPost, address+"/"+url.PathEscape(hostile)+"?"+url.QueryEscape(hostile)+"="+url.QueryEscape(hostile),
		url.Values{"x": {hostile}}, "Ce-Specversion", "1.0", "Ce-Type", hostile, "Webhook-Id", hostile, "X-Hostile", hostile)
	live := until(read, "Copy as curl")
	for name, text := range map[string]string{"the page": b.get(path).body, "the stream": live} {
		if strings.Contains(text, "<script>alert") || !strings.Contains(text, "&lt;script&gt;alert(1)&lt;/script&gt;") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// With a link an integrator has bins of their own: whoever comes for the same
// app, company and scopes sees them, and nobody else. What their subscription
// sends there is checked with its secret; that of somebody else's subscription
// is not lent.
func TestAPortalHasBinsOfItsOwn(t *testing.T) {
	t.Parallel()
	f := start(t)
	app := f.app()
	other, err := f.service.CreateApp(t.Context(), caller(0), "Other")
	if err != nil {
		t.Fatal(err)
	}
	open := func(w portal.Wish) *browser {
		_, text := f.link(w)
		return f.comesBy(text)
	}
	b := open(portal.Wish{App: app, Company: 7})
	path, address := b.makeBin()
	form := wholeForm(app, "https://written.example")
	form.Set("bin", strings.TrimPrefix(path, "/ui/inspect/"))
	if got := b.post(newPath, form); got.status != http.StatusOK || !strings.Contains(got.body, `value="`+f.url+address+`"`) {
		t.Fatalf("the bin as sink: got %d: %s", got.status, got.body)
	}
	form = wholeForm(app, f.url+address)
	form.Del("thin")
	form.Del("filters")
	if got := b.post(newPath, form); got.status != http.StatusOK {
		t.Fatalf("got %d: %s", got.status, got.body)
	}
	sub := f.one()
	b.post(subscriptionPath(7, sub.ID)+"/test", url.Values{"type": {"invoice.paid"}})
	f.arrived(path, 2)
	if page := b.get(path).body; !strings.Contains(page, "Signature valid") || !strings.Contains(page, subscriptionPath(7, sub.ID)) {
		t.Errorf("the test: %s", page)
	}
	foreign, _, err := f.service.Subscribe(t.Context(), caller(other.ID), fattorino.NewSubscription{
		Company: 7, Contract: "native", Sink: f.url + address + "/other", Types: []string{"invoice.paid"}, Method: fattorino.ByHeader, Secrets: sub.Secrets,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.service.SendTest(t.Context(), caller(other.ID), 7, "native", foreign.ID, &fattorino.Event{ID: "1", Source: "/t", Type: "invoice.paid", Company: 7}); err != nil {
		t.Fatal(err)
	}
	f.arrived(path, 4)
	if page := b.get(path).body; !strings.Contains(page, "Signature not checked") || !strings.Contains(page, "The sender’s key is not known here") || strings.Contains(page, subscriptionPath(7, foreign.ID)) {
		t.Errorf("from another app: %s", page)
	}
	if got := open(portal.Wish{App: app, Company: 7}).get(path); got.status != http.StatusOK {
		t.Errorf("by another link for the same: got %d, want 200", got.status)
	}
	for what, w := range map[string]portal.Wish{
		"another app": {App: other.ID, Company: 7}, "another company": {App: app, Company: 8}, "other scopes": {App: app, Company: 7, Scopes: []string{"issued_documents.invoices:r"}},
	} {
		if got := open(w).get(path); got.status != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", what, got.status)
		}
	}
	if got := f.signedIn(admin).get(path); got.status != http.StatusNotFound {
		t.Errorf("the operator: got %d, want 404", got.status)
	}
	for range 4 {
		b.makeBin()
	}
	if got := b.post("/ui/inspect", nil); got.status != http.StatusTooManyRequests || !strings.Contains(got.body, "as many bins as there may be") {
		t.Errorf("a sixth: got %d", got.status)
	}
}

// arrived waits until the bin has that many requests.
func (f *fixture) arrived(path string, n int64) {
	f.t.Helper()
	id := strings.TrimPrefix(path, "/ui/inspect/")
	for {
		change := f.ui.Bins.Arrival(id)
		d, err := f.store.Document(f.t.Context(), "inspect_bin", 0, id)
		if err != nil {
			f.t.Fatal(err)
		}
		var bin inspect.Bin
		if err := json.Unmarshal(d.Body, &bin); err != nil {
			f.t.Fatal(err)
		}
		if bin.Kept() >= n {
			return
		}
		<-change
	}
}
