package app_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"github.com/fattorino-dev/fattorino/internal/app"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAnAppServesWhatIsOnItsListOfRoutes(t *testing.T) {
	t.Parallel()
	a, _ := start(t, testConfig(t))
	for _, x := range []struct {
		path   string
		status int
		kind   string // content type
	}{
		{"/", http.StatusOK, "text/html; charset=utf-8"},
		{"/ui/sign-in", http.StatusOK, "text/html; charset=utf-8"},
		{"/healthz", http.StatusOK, "text/plain; charset=utf-8"},
		{"/readyz", http.StatusOK, "text/plain; charset=utf-8"},
		{"/metrics", http.StatusOK, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"},
		{"/docs", http.StatusOK, "text/html; charset=utf-8"},
		{"/openapi.yaml", http.StatusOK, "application/yaml"},
		{"/.well-known/jwks.json", http.StatusOK, "application/jwk-set+json"},
		{"/v1/keys/fic", http.StatusOK, "application/json"},
		{"/v1/apps", http.StatusUnauthorized, "application/problem+json"},
		{"/c/1/subscriptions", http.StatusUnauthorized, "application/json"},
		{"/c/1/else", http.StatusNotFound, "application/json"},
		{"/else", http.StatusNotFound, "application/problem+json"},
	} {
		got := do(t, a, "GET", x.path, "", "")
		if got.status != x.status || got.header.Get("Content-Type") != x.kind {
			t.Errorf("GET %s: got %d %q, want %d %q", x.path, got.status, got.header.Get("Content-Type"), x.status, x.kind)
		}
		for _, name := range []string{"Content-Security-Policy", "X-Frame-Options", "Referrer-Policy"} {
			if got.header.Get(name) == "" {
				t.Errorf("GET %s: the header %s is missing", x.path, name)
			}
		}
		if got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("GET %s: browsers may guess its content type", x.path)
		}
	}
}

func TestStopMayBeCalledTwiceAndGivesTheAddressFree(t *testing.T) {
	t.Parallel()
	a, log := start(t, testConfig(t))
	stop(t, a)
	stop(t, a)
	if c, err := net.Dial("tcp", a.Addr().String()); err == nil {
		c.Close()
		t.Error("the address is still served")
	}
	if !strings.Contains(log.String(), `"msg":"stopped"`) {
		t.Error("the log was not written to its end")
	}
}

func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	a, err := app.New(t.Context(), app.Options{Config: testConfig(t), Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	stop(t, a)
}

func TestAnAddressInUseIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	first, _ := start(t, testConfig(t))
	c := testConfig(t)
	c.Listen = first.Addr().String()
	_, err := app.New(t.Context(), app.Options{Config: c, Log: io.Discard})
	refused, ok := errors.AsType[*fattorino.Error](err)
	if !ok || refused.Kind != fattorino.Conflict || refused.Fix == "" {
		t.Errorf("got %v, want to be told that the address is in use", err)
	}
}

func TestADataFolderInUseIsRefused(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	first, _ := start(t, c)
	second, err := app.New(t.Context(), app.Options{Config: c, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Start(t.Context()); err == nil {
		t.Error("two apps serve one data folder")
	}
	// Start has stopped what it had started, and the first app is not disturbed.
	if c, err := net.Dial("tcp", second.Addr().String()); err == nil {
		c.Close()
		t.Error("the second app still holds its address")
	}
	do(t, first, "GET", "/readyz", "", "").want(t, http.StatusOK)
	stop(t, second)
}

func TestTheDataFolderIsForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.Data += "/made/here"
	start(t, c)
	info, err := os.Stat(c.Data)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v %v, want mode 0700", info.Mode(), err)
	}
}

func TestTheFirstAdminTokenIsMadeOnceAndNeverLogged(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.AdminToken, c.LogLevel = "", "debug"
	a, log := start(t, c)
	secret := a.FirstAdminToken()
	if secret == "" {
		t.Fatal("there is no first token")
	}
	do(t, a, "GET", "/v1/apps", secret, "").want(t, http.StatusOK)
	do(t, a, "GET", "/v1/apps?secret="+secret, secret, "")
	stop(t, a)
	if text := log.String(); strings.Contains(text, secret) || !strings.Contains(text, `"path":"/v1/apps"`) {
		t.Error("the log shows the token, or no request")
	}

	again, _ := start(t, c)
	if again.FirstAdminToken() != "" {
		t.Error("a second start made another token")
	}
	do(t, again, "GET", "/v1/apps", secret, "").want(t, http.StatusOK)
}

func TestALongPollIsAnsweredWhenTheAppStops(t *testing.T) {
	t.Parallel()
	a, _ := start(t, testConfig(t))
	do(t, a, "POST", "/v1/events", adminToken, event("1")).want(t, http.StatusAccepted)
	polls, c := make(chan answer, 1), client(t)
	poll := request(t, a, "GET", "/v1/companies/1/events?after=1&wait=30", adminToken, http.NoBody)
	go func() { polls <- send(t, c, poll) }()
	awaitRequests(t, a, 1)

	started := time.Now()
	stop(t, a)
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("stopping took %v: it waited for the poll", took)
	}
	got := (<-polls).want(t, http.StatusOK)
	if page := read[struct {
		Events []any
		Next   int64
	}](t, got); len(page.Events) != 0 || page.Next != 1 {
		t.Errorf("got %s", got.body)
	}
}

func TestRequestsUnderWayAreFinishedWhenTheAppStops(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	a, _ := start(t, c)
	body, rest := io.Pipe()
	answers, web := make(chan answer, 1), client(t)
	publish := request(t, a, "POST", "/v1/events", adminToken, body)
	go func() { answers <- send(t, web, publish) }()
	text := event("slow")
	if _, err := io.WriteString(rest, text[:20]); err != nil {
		t.Fatal(err)
	}
	awaitRequests(t, a, 1)

	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop(t, a)
	}()
	for dial := true; dial; { // until no request is taken any more
		connection, err := net.Dial("tcp", a.Addr().String())
		if dial = err == nil; dial {
			connection.Close()
		}
	}
	if _, err := io.WriteString(rest, text[20:]); err != nil {
		t.Fatal(err)
	}
	rest.Close()
	(<-answers).want(t, http.StatusAccepted)
	<-stopped

	again, _ := start(t, c)
	if got := do(t, again, "GET", "/v1/companies/1/events?after=0", adminToken, "").body; !strings.Contains(got, `"slow"`) {
		t.Errorf("what was accepted is gone: %s", got)
	}
}

// awaitRequests waits until the app has as many requests under way.
func awaitRequests(t *testing.T, a *app.App, n int) {
	t.Helper()
	want := fmt.Sprintf("\nfattorino_http_requests_in_flight %d\n", n+1) // the question is one itself
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(do(t, a, "GET", "/metrics", "", "").body, want) {
		if time.Now().After(deadline) {
			t.Fatal("the request does not get through")
		}
	}
}

func TestTheMetricsFollowTheConventionsOfPrometheus(t *testing.T) {
	t.Parallel()
	a, _ := start(t, testConfig(t))
	do(t, a, "POST", "/v1/events", adminToken, event("1")).want(t, http.StatusAccepted)
	text := do(t, a, "GET", "/metrics", "", "").want(t, http.StatusOK).body
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, name := range []string{"fattorino_events_accepted_total 1", "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestTheSigningKeyOutlivesARestart(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.MasterKeys = "m1:" + masterKey(1)
	type published struct{ Kid string }
	type set struct{ Keys []published }

	a, _ := start(t, c)
	first := read[published](t, do(t, a, "GET", "/v1/keys/fic", "", "").want(t, http.StatusOK))
	do(t, a, "POST", "/v1/keys/fic/rotate", adminToken, "").want(t, http.StatusOK)
	second := read[published](t, do(t, a, "GET", "/v1/keys/fic", "", ""))
	stop(t, a)
	if first == second {
		t.Fatal("the key was not rotated")
	}

	again, _ := start(t, c)
	if got := read[published](t, do(t, again, "GET", "/v1/keys/fic", "", "")); got != second {
		t.Errorf("the key is %s after the restart, and was %s", got.Kid, second.Kid)
	}
	keys := read[set](t, do(t, again, "GET", "/.well-known/jwks.json", "", ""))
	if len(keys.Keys) != 2 || keys.Keys[0] != second || keys.Keys[1] != first {
		t.Errorf("the key set holds %v, want %s and %s", keys.Keys, second.Kid, first.Kid)
	}
	do(t, again, "POST", "/v1/keys/else/rotate", adminToken, "").want(t, http.StatusNotFound)
	do(t, again, "GET", "/v1/keys/else", "", "").want(t, http.StatusNotFound)
	stop(t, again)

	c.MasterKeys = "m2:" + masterKey(2) // m1 is forgotten
	lost, err := app.New(t.Context(), app.Options{Config: c, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := lost.Start(t.Context()); err == nil || !strings.Contains(err.Error(), `"m1"`) {
		t.Errorf("got %v, want to be told which master key is missing", err)
	}
	stop(t, lost)
}

// masterKey gives a master key; it is no secret.
func masterKey(n byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{n}, 32))
}

func TestStartIsEndedByItsContext(t *testing.T) {
	t.Parallel()
	a, err := app.New(t.Context(), app.Options{Config: testConfig(t), Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Start(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's end", err)
	}
	stop(t, a)
}

func TestWhatIsNotForProductionIsSaidInTheLog(t *testing.T) {
	t.Parallel()
	loose := testConfig(t)
	loose.Sandbox, loose.AllowNoHandshake, loose.AdminToken = true, true, "short"
	strict := testConfig(t)
	strict.Dev = false
	for _, x := range []struct {
		config app.Config
		want   int
	}{{loose, 4}, {strict, 0}} {
		a, written := start(t, x.config)
		stop(t, a) // so that all of it is written
		if n := strings.Count(written.String(), `"level":"WARN"`); n != x.want {
			t.Errorf("%d warnings, want %d:\n%s", n, x.want, written)
		}
	}
}

// The SDKs decode JSON alone: a path that has lost a part is no redirect.
func TestAPathThatIsNotInItsShortestFormLeadsNowhere(t *testing.T) {
	a, _ := start(t, testConfig(t))
	for _, path := range []string{"/c//subscriptions", "/c/1//subscriptions", "/v1//apps", "//v1/apps", "/c/1/../2/subscriptions"} {
		got := do(t, a, "GET", path, adminToken, "")
		if kind := got.header.Get("Content-Type"); got.status != 404 || !strings.Contains(kind, "json") {
			t.Errorf("%s: %d %s, want a 404 in JSON", path, got.status, kind)
		}
	}
	if got := do(t, a, "GET", "/v1/apps", adminToken, ""); got.status != 200 {
		t.Errorf("/v1/apps: %d", got.status)
	}
}

// New master keys cannot open what the old ones have sealed: none are made
// beside a database that has secrets in it.
func TestLostMasterKeysAreNotReplaced(t *testing.T) {
	c := testConfig(t)
	first, _ := start(t, c)
	stop(t, first)
	file := filepath.Join(c.Data, "master.keys")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), app.Options{Config: c, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "master keys are missing") {
		t.Errorf("start: %v, want it to say that the master keys are missing", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("new master keys were made")
	}
}

// The database holds what was published, and hashes of tokens.
func TestTheDatabaseIsForItsOwnerAloneWhateverTheFolderAllows(t *testing.T) {
	c := testConfig(t)
	if err := os.Chmod(c.Data, 0o755); err != nil {
		t.Fatal(err)
	}
	start(t, c)
	files, err := filepath.Glob(filepath.Join(c.Data, "fattorino.db*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("files %v, %v; want the database and its log", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want 0600", file, info.Mode(), err)
		}
	}
}
