package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/app"
	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

func TestAnAppOnPostgreSQLGoesOnAfterARestartAndAfterAnOutage(t *testing.T) {
	t.Parallel()
	cluster, err := pgcluster.New(t.Context(), pgcluster.Options{Durable: true}) // for it is killed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	c := testConfig(t)
	a, _ := start(t, c)
	stop(t, a)
	c.Database = cluster.URL("postgres")
	a, log := start(t, c)
	sink := newSubscriber(t)
	subscribe(t, a, integrator(t, a), sink.url).want(t, http.StatusOK)
	publish := func(id string, status int) answer {
		t.Helper()
		return do(t, a, "POST", "/v1/events", adminToken, event(id)).want(t, status)
	}
	wantSeq := func(x answer, seq string) {
		t.Helper()
		if !strings.Contains(x.body, `"seq":`+seq+`}`) {
			t.Errorf("got %s, want seq %s", x.body, seq)
		}
		sink.next(t)
	}
	wantSeq(publish("before", http.StatusAccepted), "1")

	// What was subscribed to is so after a restart of the app.
	stop(t, a)
	for _, text := range []string{`"database":"` + c.Database, "a database of its own, from which nothing is sent"} {
		if !strings.Contains(log.String(), text) {
			t.Errorf("the log does not say %q: %s", text, log)
		}
	}
	a, _ = start(t, c)
	wantSeq(publish("after a restart", http.StatusAccepted), "2")

	// Without its database the app takes nothing, and says when to try again;
	if err := cluster.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := publish("during", http.StatusServiceUnavailable).header.Get("Retry-After"); got == "" {
		t.Error("Retry-After is missing")
	}
	do(t, a, "GET", "/readyz", "", "").want(t, http.StatusServiceUnavailable)
	// with it again it goes on, by itself.
	if err := cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, a)
	wantSeq(publish("during", http.StatusAccepted), "3")
}

func awaitReady(t *testing.T, a *app.App) {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for range again.C {
		if do(t, a, "GET", "/readyz", "", "").status == http.StatusOK {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal("it does not get ready")
		}
	}
}

func TestAPasswordInTheURLOfTheDatabaseIsRefusedAndNotQuoted(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"postgres://user:canary@host/name", "postgres://host/name?password=canary", "postgres://host/name?sslkey=k&sslpassword=canary", "postgres://user:canary@[host/name"} {
		c := testConfig(t)
		c.Database = url
		if err := c.Validate(); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want a refusal that does not quote the password", url, err)
		}
	}
}
