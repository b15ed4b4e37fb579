package ui

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/inspect"
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
	seen := until(read, "</details>")
	if !strings.Contains(seen, "event: request") || !strings.Contains(seen, "event: detail") || !strings.Contains(seen, "Challenge") || !strings.Contains(seen, "The bin has proved itself") {
		t.Errorf("the challenge arrived as %s", seen)
	}
	if got := b.post(subscriptionPath(7, sub.ID)+"/test", url.Values{"type": {"invoice.paid"}}); got.status != http.StatusSeeOther {
		t.Fatalf("test: got %d", got.status)
	}
	seen = until(read, "</details>")
	if !strings.Contains(seen, "invoice.paid") || !strings.Contains(seen, "Signature not checked") {
		t.Errorf("the test arrived as %s", seen)
	}
	if got := b.post(path+"/keys", url.Values{"key": {secret}}); got.status != http.StatusSeeOther {
		t.Fatalf("key: got %d", got.status)
	}
	page := b.get(path).body
	if !strings.Contains(page, "Signature valid") || strings.Contains(page, "not checked<") || strings.Contains(page, secret) {
		t.Errorf("with the secret: %s", page)
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
	if got := b.get(path + "/live?after=x"); got.status != http.StatusUnprocessableEntity {
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
	live := until(read, "</details>")
	for name, text := range map[string]string{"the page": b.get(path).body, "the stream": live} {
		if strings.Contains(text, "<script>alert") || !strings.Contains(text, "&lt;script&gt;alert(1)&lt;/script&gt;") {
			t.Errorf("%s: %s", name, text)
		}
	}
}
