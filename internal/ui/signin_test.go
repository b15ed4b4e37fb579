package ui

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
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
	for range signIns().Burst {
		if got := b.post("/ui/sign-in", url.Values{"secret": {"wrong"}}); got.status != http.StatusUnauthorized {
			t.Fatalf("got %d, want 401", got.status)
		}
	}
	got := b.post("/ui/sign-in", url.Values{"secret": {adminSecret}})
	if wait, err := strconv.Atoi(got.header.Get("Retry-After")); got.status != http.StatusTooManyRequests || err != nil || wait < 1 || wait > 10 {
		t.Errorf("after %d tries: got %d, Retry-After %q; want 429 with up to 10 s", signIns().Burst, got.status, got.header.Get("Retry-After"))
	}
}

// openThrottles gives those of two nodes, and what they keep in the store.
func openThrottles(t *testing.T) (one, two *throttle, kept func() []*fattorino.Document) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return newThrottle(store), newThrottle(store), func() []*fattorino.Document {
		list, err := store.Documents(t.Context(), triesKind, 0, "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
}

// wantWait fails where another wait is asked for; 0 = the try is taken.
func (t *throttle) wantWait(tb testing.TB, want time.Duration, keys ...string) {
	tb.Helper()
	if got, err := t.take(tb.Context(), keys...); err != nil || got != want {
		tb.Errorf("%v: wait %v, %v; want %v", keys, got, err, want)
	}
}

func TestAThrottleCountsAddressesAndNamesApartAndForAllNodes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Given that all tries of an address and a name were taken, at two nodes,
		one, two, _ := openThrottles(t)
		for range signIns().Burst / 2 {
			one.wantWait(t, 0, "from here", "name anna")
			two.wantWait(t, 0, "from here", "name anna")
		}
		// then neither of them, nor one that starts later, takes one more
		every := signIns().Every
		for _, node := range []*throttle{one, two, newThrottle(one.write)} {
			node.wantWait(t, every, "from elsewhere", "name anna")
			node.wantWait(t, every, "from here", "name berta")
			// but for others,
			node.wantWait(t, 0, "from far", "name clara")
		}
		// until the time has come, and then for one alone.
		time.Sleep(every - time.Second)
		two.wantWait(t, time.Second, "from far", "name anna")
		time.Sleep(time.Second)
		two.wantWait(t, 0, "from far", "name anna")
		one.wantWait(t, every, "from far", "name anna")
		// What was refused has taken nothing of another key.
		for range signIns().Burst {
			one.wantWait(t, 0, "from elsewhere", "name berta")
		}
	})
}

func TestWhatIsTriedDoesNotFillTheStoreAndCannotBeReadThere(t *testing.T) {
	t.Parallel()
	one, _, kept := openThrottles(t)
	ids := map[string]bool{}
	for i := range 200_000 {
		ids[triesID(fmt.Sprintf("name guess-%d", i))] = true
	}
	if len(ids) > 1<<16 {
		t.Errorf("200,000 names are counted in %d places, want 65,536 at most", len(ids))
	}
	one.wantWait(t, 0, "from 192.0.2.7", "name a password by mistake")
	list := kept()
	if len(list) != 2 {
		t.Fatalf("%d places, want 2", len(list))
	}
	for _, d := range list {
		if text := d.ID + string(d.Body); len(d.ID) != 4 || strings.Contains(text, "mistake") || strings.Contains(text, "192.0.2.7") {
			t.Errorf("kept: %q %q", d.ID, d.Body)
		}
	}
}

func TestWhoGoesOnGuessingDoesNotKeepTheStoreBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, _, _ := openThrottles(t)
		store := &countedStore{Updater: one.write}
		one.write = store
		for range signIns().Burst {
			one.wantWait(t, 0, "from here")
		}
		for range 100 {
			one.wantWait(t, signIns().Every, "from here")
		}
		if want := signIns().Burst + 1; store.updates != want {
			t.Errorf("%d updates, want %d", store.updates, want)
		}
	})
}

// countedStore counts how often a store is written to.
type countedStore struct {
	Updater
	updates int64
}

func (s *countedStore) Update(ctx context.Context, f func(fattorino.Tx) error) error {
	s.updates++
	return s.Updater.Update(ctx, f)
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
