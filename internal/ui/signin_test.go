package ui

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestAnAdminTokenSignsInAndNoOther(t *testing.T) {
	t.Parallel()
	f := start(t)
	app, err := f.service.CreateApp(t.Context(), caller(0), "Warehouse")
	if err != nil {
		t.Fatal(err)
	}
	_, api, err := f.service.CreateToken(t.Context(), caller(0), fattorino.Token{Kind: fattorino.APIToken, App: app.ID})
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]int{
		"": http.StatusUnauthorized, "wrong": http.StatusUnauthorized, api: http.StatusUnauthorized,
		adminSecret: http.StatusSeeOther, " " + adminSecret + "\n": http.StatusSeeOther,
	} {
		b := f.browser()
		if got := b.post("/ui/sign-in", url.Values{"secret": {secret}}); got.status != want {
			t.Errorf("a token of %d characters: got %d, want %d", len(secret), got.status, want)
		}
		if got := b.get("/ui/settings"); (got.status == http.StatusOK) != (want == http.StatusSeeOther) {
			t.Errorf("a token of %d characters: the settings answer %d", len(secret), got.status)
		}
	}
}

func TestASessionEndsWithItsToken(t *testing.T) {
	t.Parallel()
	f := start(t)
	token, secret, err := f.service.CreateToken(t.Context(), caller(0), fattorino.Token{Kind: fattorino.AdminToken})
	if err != nil {
		t.Fatal(err)
	}
	b := f.browser()
	b.post("/ui/sign-in", url.Values{"secret": {secret}})
	if got := b.get("/ui/settings"); got.status != http.StatusOK {
		t.Fatalf("before: got %d, want 200", got.status)
	}
	if err := f.service.RevokeToken(t.Context(), caller(0), token.ID); err != nil {
		t.Fatal(err)
	}
	if got := b.get("/ui/settings"); got.status != http.StatusSeeOther {
		t.Errorf("after it was revoked: got %d, want 303 to sign in", got.status)
	}
}

func TestASessionEndsWithItsPasswordAndUser(t *testing.T) {
	t.Parallel()
	f := start(t)
	b := f.signedIn(operator)
	if err := f.ui.accounts.changeUser(t.Context(), "operator", "", viewer); err != nil {
		t.Fatal(err)
	}
	if got := b.get("/ui/companies"); got.status != http.StatusOK || !strings.Contains(got.body, "Viewer") {
		t.Errorf("with another role: got %d, want 200 as viewer", got.status)
	}
	if err := f.ui.accounts.changeUser(t.Context(), "operator", "another good password", viewer); err != nil {
		t.Fatal(err)
	}
	if got := b.get("/ui/companies"); got.status != http.StatusSeeOther {
		t.Errorf("with another password: got %d, want 303 to sign in", got.status)
	}
	b = f.browser()
	b.post("/ui/sign-in", url.Values{"name": {"Operator"}, "secret": {"another good password"}})
	if got := b.get("/ui/companies"); got.status != http.StatusOK {
		t.Errorf("signed in again, the name in other case: got %d, want 200", got.status)
	}
	if err := f.ui.accounts.deleteUser(t.Context(), "operator"); err != nil {
		t.Fatal(err)
	}
	if got := b.get("/ui/companies"); got.status != http.StatusSeeOther {
		t.Errorf("without the user: got %d, want 303 to sign in", got.status)
	}
}

func TestASessionIsOverAfterItsTimeAndWhenSignedOut(t *testing.T) {
	t.Parallel()
	f := start(t)
	b := f.signedIn(viewer)
	secret := b.cookies[sessionCookie]
	if _, err := f.ui.accounts.session(t.Context(), secret, time.Now().Add(sessionHours*time.Hour-time.Minute)); err != nil {
		t.Errorf("a minute before its end: %v", err)
	}
	if _, err := f.ui.accounts.session(t.Context(), secret, time.Now().Add(sessionHours*time.Hour)); fattorino.KindOf(err) != fattorino.NotFound {
		t.Errorf("at its end: %v, want NotFound", err)
	}
	b.post("/ui/sign-out", nil)
	if _, err := f.ui.accounts.session(t.Context(), secret, time.Now()); fattorino.KindOf(err) != fattorino.NotFound {
		t.Errorf("signed out: %v, want NotFound", err)
	}
}

func TestSessionsAreKeptAsHashesAndSweptOut(t *testing.T) {
	t.Parallel()
	f := start(t)
	long := time.Now().Add(-48 * time.Hour)
	old, err := f.ui.accounts.openSession(t.Context(), session{User: "anna", OpenedAt: long, EndsAt: long.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	b := f.signedIn(viewer)
	documents, err := f.store.Documents(t.Context(), sessionKind, 0, "", 10)
	if err != nil || len(documents) != 1 {
		t.Fatalf("there are %d sessions, %v; want the new one alone", len(documents), err)
	}
	for _, secret := range []string{old, b.cookies[sessionCookie]} {
		if strings.Contains(documents[0].ID+string(documents[0].Body), secret) {
			t.Error("the store has the secret of a session")
		}
	}
}

func TestWhoGuessesIsSlowedDown(t *testing.T) {
	t.Parallel()
	f := start(t)
	b := f.browser()
	for range signInBurst {
		if got := b.post("/ui/sign-in", url.Values{"secret": {"wrong"}}); got.status != http.StatusUnauthorized {
			t.Fatalf("got %d, want 401", got.status)
		}
	}
	got := b.post("/ui/sign-in", url.Values{"secret": {adminSecret}})
	if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" {
		t.Errorf("after %d tries: got %d, Retry-After %q; want 429 with one", signInBurst, got.status, got.header.Get("Retry-After"))
	}
}

func TestAThrottleCountsAddressesAndNamesApart(t *testing.T) {
	t.Parallel()
	slow, now := newThrottle(), time.Now()
	for range signInBurst {
		if !slow.allow(now, "from here", "name anna") {
			t.Fatal("refused within the burst")
		}
	}
	if slow.allow(now, "from elsewhere", "name anna") || slow.allow(now, "from here", "name berta") {
		t.Error("want the name, and the address, used up")
	}
	if !slow.allow(now, "from far", "name clara") {
		t.Error("want another name from another address let through")
	}
	if !slow.allow(now.Add(signInEvery), "from far", "name anna") {
		t.Error("want one more after the time")
	}
}

func TestWhereSigningInLeadsIsOneOfThesePages(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"": "/ui/", "/ui/apps?x=1": "/ui/apps?x=1", "https://evil.example/": "/ui/", "//evil.example/": "/ui/", "/v1/apps": "/ui/",
		"/ui/\\evil": "/ui/", "/ui/\r\nX: y": "/ui/",
	} {
		if got := ownPath(next); got != want {
			t.Errorf("%q: got %q, want %q", next, got, want)
		}
	}
}

func TestTheCookieOfASessionIsForTheServerAlone(t *testing.T) {
	t.Parallel()
	for host, secure := range map[string]bool{"127.0.0.1:8480": false, "localhost:8480": false, "[::1]:8480": false, "hooks.example.com": true, "10.0.0.5:8480": true} {
		if got := !onLoopback(&http.Request{Host: host}); got != secure {
			t.Errorf("%s: secure %t, want %t", host, got, secure)
		}
	}
	f := start(t)
	got := f.browser().post("/ui/sign-in", url.Values{"secret": {adminSecret}}).header.Get("Set-Cookie")
	for _, part := range []string{"HttpOnly", "SameSite=Lax", "Path=/ui/", "Max-Age=43200"} {
		if !strings.Contains(got, part) {
			t.Errorf("the cookie lacks %s", part)
		}
	}
}

func TestPasswordsAreKeptAsArgon2id(t *testing.T) {
	t.Parallel()
	kept := hashPassword(password)
	if !strings.HasPrefix(kept, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(kept, password) {
		t.Errorf("it is kept as %s", kept)
	}
	if kept == hashPassword(password) {
		t.Error("two hashes of the same password are the same: there is no salt")
	}
	for tried, want := range map[string]bool{password: true, "": false, password + "x": false} {
		if passwordFits(kept, tried) != want {
			t.Errorf("%d characters fit: %t, want %t", len(tried), !want, want)
		}
	}
	// The vector of the reference implementation, argon2 command line:
	// echo -n password | argon2 somesalt -id -t 2 -k 65536 -p 1 -l 24.
	const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if !passwordFits(reference, "password") {
		t.Error("the hash of the reference implementation does not fit its password")
	}
	for _, broken := range []string{"", "x", "$argon2id$v=19$m=0,t=0,p=0$$", "$argon2i$v=19$m=19456,t=2,p=1$YQ$YQ", strings.Replace(kept, "$v=19", "$v=16", 1)} {
		if passwordFits(broken, password) {
			t.Errorf("%q fits", broken)
		}
	}
}
