package ui

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/test/openid"
)

// anna is in the group that operates.
func anna() map[string]any {
	return map[string]any{"sub": "person-1", "preferred_username": "anna", "groups": []string{"staff", "operators"}}
}

// startWithIssuer gives pages on which one can sign in with a real provider.
func startWithIssuer(t *testing.T) (*fixture, *openid.Provider) {
	t.Helper()
	f, p := start(t), openid.Start()
	t.Cleanup(p.Close)
	p.Register(f.url + callbackPath)
	p.Knows(anna())
	f.useIssuer(t, p, "viewer:groups=staff", "operator:groups=operators", "admin:email=root@example.com")
	return f, p
}

func (f *fixture) useIssuer(t *testing.T, p *openid.Provider, roles ...string) {
	t.Helper()
	signIn, err := NewOpenID(OpenIDOptions{Issuer: p.URL, ClientID: p.ClientID, ClientSecret: p.ClientSecret, Roles: roles, BaseURL: f.url + "/"})
	if err != nil {
		t.Fatal(err)
	}
	f.ui.OpenID = signIn
}

// toIssuer begins to sign in, and gives the path that the issuer sends back to.
func (b *browser) toIssuer(path string) string {
	b.f.t.Helper()
	begun := b.get(path)
	if begun.status != http.StatusSeeOther {
		b.f.t.Fatalf("beginning to sign in: got %d", begun.status)
	}
	back := b.away(begun.header.Get("Location"))
	if back.status != http.StatusFound {
		b.f.t.Fatalf("the issuer answers %d %s", back.status, back.body)
	}
	path, ours := strings.CutPrefix(back.header.Get("Location"), b.f.url)
	if !ours {
		b.f.t.Fatal("the issuer sends elsewhere")
	}
	return path
}

// away makes a request to another site, without the cookies of this one.
func (b *browser) away(address string) page {
	b.f.t.Helper()
	stranger := &browser{f: &fixture{t: b.f.t}, client: b.client, cookies: map[string]string{}}
	return stranger.get(address)
}

func (b *browser) signInAtIssuer() page { return b.get(b.toIssuer("/ui/sign-in/oidc")) }

func TestWhoTheIssuerVouchesForSignsInWithTheRoleOfTheirGroup(t *testing.T) {
	t.Parallel()
	f, _ := startWithIssuer(t)
	b := f.browser()
	if got := b.get("/ui/sign-in"); !strings.Contains(got.body, "Single sign-on") {
		t.Error("the page to sign in does not offer it")
	}
	got := b.get(b.toIssuer("/ui/sign-in/oidc?next=" + url.QueryEscape("/ui/apps?x=1")))
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/ui/apps?x=1" {
		t.Fatalf("sent back by the issuer: got %d %s", got.status, got.header.Get("Location"))
	}
	if got := b.get("/ui/apps"); got.status != http.StatusOK || !strings.Contains(got.body, "anna") || !strings.Contains(got.body, "Operator") {
		t.Errorf("the pages: got %d, want 200 for anna as operator", got.status)
	}
	if got := b.post("/ui/apps", url.Values{"name": {"X"}}); got.status != http.StatusForbidden {
		t.Errorf("what an admin does: got %d, want 403", got.status)
	}
	if got := b.get("/ui/password"); got.status != http.StatusNotFound {
		t.Errorf("the page of the password: got %d, want 404", got.status)
	}
}

func TestAnIssuersNameIsNoUserOfThatName(t *testing.T) {
	t.Parallel()
	f, _ := startWithIssuer(t)
	if err := f.ui.accounts.addUser(t.Context(), "anna", password, admin); err != nil {
		t.Fatal(err)
	}
	b := f.browser()
	b.signInAtIssuer()
	if got := b.get("/ui/users"); got.status != http.StatusForbidden {
		t.Errorf("got %d, want 403: it is another anna who is admin", got.status)
	}
	if got := b.post("/ui/password", url.Values{"current": {password}, "password": {"taken over by another"}}); got.status != http.StatusNotFound {
		t.Errorf("the user's password: got %d, want 404", got.status)
	}
}

func TestWhatAnIDTokenMustHold(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]func(map[string]any){
		"the nonce of another attempt":   func(c map[string]any) { c["nonce"] = "another" },
		"no nonce":                       func(c map[string]any) { delete(c, "nonce") },
		"another audience":               func(c map[string]any) { c["aud"] = "another-client" },
		"several audiences, for another": func(c map[string]any) { c["aud"] = []string{"fattorino", "x"}; c["azp"] = "x" },
		"several audiences, for none":    func(c map[string]any) { c["aud"] = []string{"fattorino", "x"} },
		"it expired":                     func(c map[string]any) { c["exp"] = time.Now().Add(-time.Minute).Unix() },
		"no expiry":                      func(c map[string]any) { delete(c, "exp") },
		"another issuer":                 func(c map[string]any) { c["iss"] = "https://login.example.com" },
		"no subject":                     func(c map[string]any) { delete(c, "sub") },
		"an endless subject":             func(c map[string]any) { c["sub"] = strings.Repeat("x", 256) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, p := startWithIssuer(t)
			p.Lies(lie)
			b := f.browser()
			got := b.signInAtIssuer()
			if got.status != http.StatusUnauthorized || !strings.Contains(got.body, "did not confirm") || b.cookies[sessionCookie] != "" {
				t.Errorf("got %d, session %t; want 401 and none", got.status, b.cookies[sessionCookie] != "")
			}
			p.Lies(nil)
			if got := b.signInAtIssuer(); got.status != http.StatusSeeOther {
				t.Errorf("without the lie: got %d, want 303", got.status)
			}
		})
	}
}

func TestTheKeysOfAnIssuerMayChangeButNotBeForged(t *testing.T) {
	t.Parallel()
	f, p := startWithIssuer(t)
	f.browser().signInAtIssuer()
	p.Rotate()
	if got := f.browser().signInAtIssuer(); got.status != http.StatusSeeOther {
		t.Errorf("with a new key: got %d, want 303", got.status)
	}
	p.Forge()
	if got := f.browser().signInAtIssuer(); got.status != http.StatusUnauthorized {
		t.Errorf("with a key that is not published: got %d, want 401", got.status)
	}
}

func TestAnAnswerServesOnceAndInTheBrowserThatAskedForIt(t *testing.T) {
	t.Parallel()
	f, p := startWithIssuer(t)
	b := f.browser()
	back := b.toIssuer("/ui/sign-in/oidc")
	cookie := b.cookies[attemptCookie]

	stranger := f.browser()
	if got := stranger.get(back); got.status != http.StatusBadRequest || stranger.cookies[sessionCookie] != "" {
		t.Errorf("in a browser that asked for nothing: got %d, want 400", got.status)
	}
	stranger.toIssuer("/ui/sign-in/oidc")
	if got := stranger.get(back); got.status != http.StatusBadRequest || stranger.cookies[sessionCookie] != "" {
		t.Errorf("in a browser that asked for another: got %d, want 400", got.status)
	}
	if n := p.Asked("/token"); n != 0 {
		t.Errorf("the issuer was asked %d times for tokens, want never", n)
	}

	if got := b.get(back); got.status != http.StatusSeeOther {
		t.Fatalf("in its own browser: got %d, want 303", got.status)
	}
	session := b.cookies[sessionCookie]
	if got := b.get(back); got.status != http.StatusBadRequest {
		t.Errorf("a second time: got %d, want 400", got.status)
	}
	b.cookies[attemptCookie] = cookie
	if got := b.get(back); got.status != http.StatusUnauthorized || b.cookies[sessionCookie] != session {
		t.Errorf("a second time with the cookie of the first: got %d, want 401 and no new session", got.status)
	}
}

// A code that was stolen on its way serves nobody else: it is bound to the
// attempt by PKCE, and the state by the cookie.
func TestACodeServesForItsOwnAttemptAlone(t *testing.T) {
	t.Parallel()
	f, _ := startWithIssuer(t)
	thief, victim := f.browser(), f.browser()
	stolen, err := url.Parse(victim.toIssuer("/ui/sign-in/oidc"))
	if err != nil {
		t.Fatal(err)
	}
	own, err := url.Parse(thief.toIssuer("/ui/sign-in/oidc"))
	if err != nil {
		t.Fatal(err)
	}
	q := own.Query()
	q.Set("code", stolen.Query().Get("code"))
	if got := thief.get(own.Path + "?" + q.Encode()); got.status != http.StatusUnauthorized || thief.cookies[sessionCookie] != "" {
		t.Errorf("another's code: got %d, want 401", got.status)
	}
}

func TestWhatTheIssuerRefusesIsSaid(t *testing.T) {
	t.Parallel()
	f, _ := startWithIssuer(t)
	for name, change := range map[string]func(url.Values){
		"it was refused there": func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") },
		"a wrong code":         func(q url.Values) { q.Set("code", "wrong") },
		"another issuer":       func(q url.Values) { q.Set("iss", "https://login.example.com") },
	} {
		b := f.browser()
		back, err := url.Parse(b.toIssuer("/ui/sign-in/oidc"))
		if err != nil {
			t.Fatal(err)
		}
		q := back.Query()
		change(q)
		if got := b.get(back.Path + "?" + q.Encode()); got.status != http.StatusUnauthorized || b.cookies[sessionCookie] != "" {
			t.Errorf("%s: got %d, want 401", name, got.status)
		}
	}
}

func TestWhoHasNoRoleHereIsToldSo(t *testing.T) {
	t.Parallel()
	f, p := startWithIssuer(t)
	for name, claims := range map[string]map[string]any{
		"no claim":                         {"sub": "x", "name": "Berta"},
		"another group":                    {"sub": "x", "name": "Berta", "groups": []string{"guests"}},
		"a group that has it in its name":  {"sub": "x", "name": "Berta", "groups": "staff,operators"},
		"an address that nobody verified":  {"sub": "x", "name": "Berta", "email": "root@example.com"},
		"an address that is not verified":  {"sub": "x", "name": "Berta", "email": "root@example.com", "email_verified": false},
		"groups that are no list of texts": {"sub": "x", "name": "Berta", "groups": map[string]any{"staff": true}},
	} {
		p.Knows(claims)
		b := f.browser()
		got := b.signInAtIssuer()
		if got.status != http.StatusForbidden || !strings.Contains(got.body, "no role here") || b.cookies[sessionCookie] != "" {
			t.Errorf("%s: got %d, session %t; want 403 and none", name, got.status, b.cookies[sessionCookie] != "")
		}
	}
	p.Knows(map[string]any{"sub": "x", "email": "root@example.com", "email_verified": true})
	b := f.browser()
	b.signInAtIssuer()
	if got := b.get("/ui/settings"); got.status != http.StatusOK {
		t.Errorf("a verified address: the settings answer %d, want 200", got.status)
	}
	f.useIssuer(t, p)
	if got := f.browser().signInAtIssuer(); got.status != http.StatusForbidden {
		t.Errorf("where no role is set: got %d, want 403", got.status)
	}
}

func TestTheSettingsInForceSayWhatASessionMayDo(t *testing.T) {
	t.Parallel()
	f, p := startWithIssuer(t)
	b := f.browser()
	b.signInAtIssuer()
	for _, x := range []struct {
		roles      []string
		apps, bins int // to see the ones, and to make one of the others
	}{
		{[]string{"viewer:groups=staff", "operator:groups=operators"}, http.StatusOK, http.StatusSeeOther},
		{[]string{"viewer:groups=staff"}, http.StatusOK, http.StatusForbidden},
		{[]string{"admin:groups=admins"}, http.StatusSeeOther, http.StatusSeeOther}, // both to sign in
	} {
		f.useIssuer(t, p, x.roles...)
		if got := b.get("/ui/apps"); got.status != x.apps {
			t.Errorf("%v: the apps answer %d, want %d", x.roles, got.status, x.apps)
		}
		if got := b.post("/ui/inspect", nil); got.status != x.bins {
			t.Errorf("%v: making a bin answers %d, want %d", x.roles, got.status, x.bins)
		}
	}
	f.useIssuer(t, p, "operator:groups=operators")
	f.ui.OpenID.options.ClientID = "another"
	if got := b.get("/ui/apps"); got.status != http.StatusSeeOther {
		t.Errorf("with another client: got %d, want 303 to sign in", got.status)
	}
	f.ui.OpenID = nil
	if got := b.get("/ui/apps"); got.status != http.StatusSeeOther {
		t.Errorf("without an issuer: got %d, want 303 to sign in", got.status)
	}
	if got := b.get("/ui/sign-in/oidc"); got.status != http.StatusNotFound {
		t.Errorf("beginning without an issuer: got %d, want 404", got.status)
	}
}

func TestAfterTheIssuerOneGoesOnToThesePagesAlone(t *testing.T) {
	t.Parallel()
	f, _ := startWithIssuer(t)
	for _, next := range []string{"https://evil.example/", "//evil.example/", "/v1/apps", "/ui/\\evil", "javascript:alert(1)", "/ui/" + strings.Repeat("x", 2000)} {
		b := f.browser()
		got := b.get(b.toIssuer("/ui/sign-in/oidc?next=" + url.QueryEscape(next)))
		if got.status != http.StatusSeeOther || got.header.Get("Location") != "/ui/" {
			t.Errorf("%.40q: got %d to %.60q, want 303 to /ui/", next, got.status, got.header.Get("Location"))
		}
	}
}

// Who gives someone a session to sign in with knows nothing of the session that
// it becomes.
func TestSigningInTakesAnotherSession(t *testing.T) {
	t.Parallel()
	f, _ := startWithIssuer(t)
	for name, signIn := range map[string]func(*browser) page{
		"at the issuer": (*browser).signInAtIssuer,
		"with a token":  func(b *browser) page { return b.post("/ui/sign-in", url.Values{"secret": {adminSecret}}) },
	} {
		planted := f.signedIn(viewer).cookies[sessionCookie]
		b := f.browser()
		b.cookies[sessionCookie] = planted
		if got := signIn(b); got.status != http.StatusSeeOther || b.cookies[sessionCookie] == planted {
			t.Errorf("%s: got %d, the same session: %t", name, got.status, b.cookies[sessionCookie] == planted)
		}
		if _, err := f.ui.accounts.session(t.Context(), planted, time.Now()); fattorino.KindOf(err) != fattorino.NotFound {
			t.Errorf("%s: the session before is still there: %v", name, err)
		}
	}
}

func TestASessionOfAnIssuerEndsWithTheWorkingDayAndWhenSignedOut(t *testing.T) {
	t.Parallel()
	f, _ := startWithIssuer(t)
	b := f.browser()
	got := b.signInAtIssuer()
	if cookie := strings.Join(got.header["Set-Cookie"], "\n"); !strings.Contains(cookie, "Max-Age=28800") {
		t.Error("the cookie does not end after eight hours")
	}
	secret := b.cookies[sessionCookie]
	for after, want := range map[time.Duration]fattorino.Kind{openIDHours*time.Hour - time.Minute: 0, openIDHours * time.Hour: fattorino.NotFound} {
		_, err := f.ui.accounts.session(t.Context(), secret, time.Now().Add(after))
		if (err == nil) != (want == 0) {
			t.Errorf("after %v: %v", after, err)
		}
	}
	out := b.post("/ui/sign-out", nil)
	b.cookies[sessionCookie] = secret
	if got := out.header.Get("Location"); got != "/ui/sign-in?signed_out" {
		t.Errorf("signing out leads to %s", got)
	}
	if got := b.get("/ui/apps"); got.status != http.StatusSeeOther {
		t.Errorf("signed out: got %d, want 303 to sign in", got.status)
	}
}

// Whoever signs out of a session that an issuer vouched for is told that the one
// at the issuer goes on, and how to end it.
func TestWhoSignsOutIsLedToTheIssuer(t *testing.T) {
	t.Parallel()
	f, p := startWithIssuer(t)
	b := f.browser()
	b.signInAtIssuer()
	got := b.get(b.post("/ui/sign-out", nil).header.Get("Location"))
	want := p.URL + "/end?client_id=" + url.QueryEscape(p.ClientID) + "&amp;post_logout_redirect_uri=" + url.QueryEscape(f.url+"/ui/sign-in")
	if got.status != http.StatusOK || !strings.Contains(got.body, `href="`+want+`"`) {
		t.Errorf("signed out: %d, and the page does not lead to %s: %s", got.status, want, got.body)
	}
	// Nobody else is told so: who has a password, and who merely comes by.
	if got := f.signedIn(viewer).post("/ui/sign-out", nil).header.Get("Location"); got != "/ui/sign-in" {
		t.Errorf("who signed in with a password is led to %s", got)
	}
	if got := b.get("/ui/sign-in"); strings.Contains(got.body, p.URL+"/end") {
		t.Error("the page to sign in speaks of signing out")
	}
	// An issuer that is down, or has no such place, is no reason to fail.
	p.Fail(true)
	f.useIssuer(t, p, "viewer:groups=staff")
	if got := b.get("/ui/sign-in?signed_out"); got.status != http.StatusOK || strings.Contains(got.body, "/end?") {
		t.Errorf("while the issuer is down: %d", got.status)
	}
}

func TestWhileTheIssuerIsDownTokensGoOnWorking(t *testing.T) {
	t.Parallel()
	f, p := startWithIssuer(t)
	p.Fail(true)
	for range 3 {
		if got := f.browser().get("/ui/sign-in/oidc"); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "cannot be reached") {
			t.Errorf("at the issuer: got %d, want 503", got.status)
		}
	}
	if n := p.Asked("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("it was asked %d times, want once in a while", n)
	}
	if got := f.browser().post("/ui/sign-in", url.Values{"secret": {adminSecret}}); got.status != http.StatusSeeOther {
		t.Errorf("with a token: got %d, want 303", got.status)
	}
	p.Fail(false)
	f.ui.OpenID.failedAt = time.Now().Add(-issuerRest) // as if that had been a while ago
	b := f.browser()
	back := b.toIssuer("/ui/sign-in/oidc")
	p.Fail(true)
	if got := b.get(back); got.status != http.StatusServiceUnavailable {
		t.Errorf("down between: got %d, want 503", got.status)
	}
}

func TestAnIssuerIsHeldToBounds(t *testing.T) {
	t.Parallel()
	var answer func(http.ResponseWriter, *http.Request)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer server.Close()
	good := `{"issuer":"` + server.URL + `","authorization_endpoint":"` + server.URL + `","token_endpoint":"` + server.URL + `","jwks_uri":"` + server.URL + `"}`
	for name, how := range map[string]func(http.ResponseWriter, *http.Request){
		"": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(good)) },
		"an endless answer": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(good + strings.Repeat(" ", issuerBytes)))
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				_, _ = w.Write([]byte(good))
				return
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		},
		"another issuer": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"issuer":"https://login.example.com"}`))
		},
		"an endpoint that is not https": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"issuer":"` + server.URL + `","authorization_endpoint":"http://example.com/a","token_endpoint":"` + server.URL + `","jwks_uri":"` + server.URL + `"}`))
		},
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
	} {
		answer = how
		o, err := NewOpenID(OpenIDOptions{Issuer: server.URL, ClientID: "x"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = o.begin(t.Context(), "attempt")
		if name == "" && err != nil {
			t.Errorf("a good answer: %v", err)
		}
		if name != "" && (fattorino.KindOf(err) != fattorino.Unavailable || len(err.Error()) > 1000) {
			t.Errorf("%s: got %v, want Unavailable", name, err)
		}
	}
	if newIssuerClient().Timeout != issuerTimeout {
		t.Error("requests have no time limit")
	}
}

func TestWhoWaitsForTheIssuerMayGiveUp(t *testing.T) {
	t.Parallel()
	o, err := NewOpenID(OpenIDOptions{Issuer: "https://login.example.com", ClientID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	o.turn <- struct{}{} // someone else is asking
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.begin(ctx, "attempt"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestSigningInAtTheIssuerIsThrottled(t *testing.T) {
	t.Parallel()
	f, p := startWithIssuer(t)
	b := f.browser()
	back := b.toIssuer("/ui/sign-in/oidc")
	cookie := b.cookies[attemptCookie]
	for range signIns().Burst + 3 {
		b.cookies[attemptCookie] = cookie
		b.get(back)
	}
	if n := p.Asked("/token"); int64(n) > signIns().Burst {
		t.Errorf("the issuer was asked %d times for tokens, want at most %d", n, signIns().Burst)
	}
	throttled := false
	for range signIns().Burst + 3 {
		got := b.get("/ui/sign-in/oidc")
		throttled = throttled || (got.status == http.StatusTooManyRequests && got.header.Get("Retry-After") != "")
	}
	if !throttled {
		t.Errorf("%d beginnings are all let through", signIns().Burst+3)
	}
}

func TestTheLogHasNoSecretOfSigningIn(t *testing.T) {
	t.Parallel()
	f, p := startWithIssuer(t)
	var log strings.Builder
	f.ui.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p.Lies(func(c map[string]any) { c["aud"] = "another" })
	b := f.browser()
	back := b.toIssuer("/ui/sign-in/oidc")
	attempt, _, _ := strings.Cut(b.cookies[attemptCookie], ".")
	b.get(back)
	p.Lies(nil)
	b.cookies[attemptCookie] = attempt + ".L3VpLw"
	b.get(back)
	parsed, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "sign-in by OpenID Connect failed") || !strings.Contains(log.String(), "invalid_grant") {
		t.Errorf("the log does not say what failed: %s", log.String())
	}
	for _, secret := range []string{p.ClientSecret, attempt, derive(attempt, "verifier"), derive(attempt, "nonce"), parsed.Query().Get("code"), "eyJ"} {
		if strings.Contains(log.String(), secret) {
			t.Error("the log has a secret")
		}
	}
}

func TestIssuersAndRolesThatCannotBe(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"https://login.example.com": true, "https://login.example.com/realms/x/": true, "http://127.0.0.1:8080": true, "http://localhost/x": true, "https://10.0.0.1:8443/x": true,
		"": false, "login.example.com": false, "http://login.example.com": false, "https://": false, "https://a:b@login.example.com": false,
		"https://login.example.com/?a=b": false, "https://login.example.com/#a": false, "ftp://login.example.com": false,
	} {
		if err := CheckIssuer(text); (err == nil) != good {
			t.Errorf("issuer %q: %v", text, err)
		}
	}
	for text, good := range map[string]bool{
		"admin:groups=admins": true, "viewer:https://example.com/roles=a=b:c": true,
		"": false, "admin": false, "admin:groups": false, "admin:=x": false, "admin:groups=": false, "owner:groups=x": false, "nobody:groups=x": false,
	} {
		if err := CheckOpenIDRoles([]string{text}); (err == nil) != good {
			t.Errorf("role %q: %v", text, err)
		}
	}
	grants, err := parseGrants([]string{"viewer:https://example.com/roles=a=b:c"})
	if err != nil || grants[0].claim != "https://example.com/roles" || grants[0].value != "a=b:c" {
		t.Errorf("a claim that is a URL is read as %+v, %v", grants, err)
	}
}

func TestSecretsOfThePagesAreKeptFromOtherHandlers(t *testing.T) {
	t.Parallel()
	var seen string
	h := WithoutSecrets(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header.Get("Cookie") }))
	for sent, want := range map[string]string{
		"": "", "a=b; c=d": "a=b; c=d",
		"a=b; fattorino_session=secret; c=d":                               "a=b; c=d",
		"__Host-fattorino_session=secret; __Host-fattorino_openid=x; c=d":  "c=d",
		"fattorino_openid=secret; fattorino_theme=dark; other_session=xyz": "fattorino_theme=dark; other_session=xyz",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/inspect/x", nil)
		if sent != "" {
			r.Header.Set("Cookie", sent)
		}
		h.ServeHTTP(nil, r)
		if seen != want {
			t.Errorf("%q: the handler sees %q, want %q", sent, seen, want)
		}
	}
}

func TestEveryFormFromAnotherSiteIsRefused(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, rt := range f.ui.routes() {
		path, posted := strings.CutPrefix(rt.pattern, "POST ")
		if !posted {
			continue
		}
		got := f.browser().do(http.MethodPost, strings.NewReplacer("{", "", "}", "").Replace(path), url.Values{"secret": {adminSecret}}, "Sec-Fetch-Site", "cross-site")
		if got.status != http.StatusForbidden || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: got %d, want 403 and no cookie", rt.pattern, got.status)
		}
	}
}
