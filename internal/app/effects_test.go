package app_test

import (
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// Each setting is tested by what it does, not by where it is stored.

func TestAttemptsAreLoggedUnlessTheyAreNotToBe(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{true, false} {
		c := testConfig(t)
		c.LogAttempts = on
		a, log := start(t, c)
		sink := newSubscriber(t)
		subscribe(t, a, integrator(t, a), sink.url).want(t, http.StatusOK)
		sink.next(t) // the welcome
		stop(t, a)
		if got := strings.Contains(log.String(), `"msg":"attempt"`); got != on {
			t.Errorf("log_attempts %v: an attempt is logged: %v", on, got)
		}
		if !strings.Contains(log.String(), `"msg":"handshake"`) {
			t.Errorf("log_attempts %v: the rest of the engine's log is missing", on)
		}
	}
}

func TestTheLogShowsNoTokenAndNoSinkPath(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.LogLevel, c.MasterKeys = "debug", "m1:"+masterKey(1)
	a, log := start(t, c)
	sink := newSubscriber(t)
	token := integrator(t, a)
	subscribe(t, a, token, sink.url+"?key=sink-secret").want(t, http.StatusOK)
	welcome := sink.next(t)
	stop(t, a)
	for _, secret := range []string{
		adminToken, token, masterKey(1), "sink-secret", "Bearer", strings.TrimPrefix(welcome.header.Get("Authorization"), "Bearer "),
	} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log shows %q", secret)
		}
	}
}

func TestTheSettingsOfFattureInCloudReachTheSink(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.FICIssuer, c.FICUserAgent, c.FICConnection = "https://erp.example.com", "ERP/1", "close"
	a, _ := start(t, c)
	sink := newSubscriber(t)
	subscribe(t, a, integrator(t, a), sink.url).want(t, http.StatusOK)
	welcome := sink.next(t).header
	if welcome.Get("Ce-Source") != "https://erp.example.com" || welcome.Get("User-Agent") != "ERP/1" || welcome.Get("Connection") != "close" {
		t.Errorf("the sink got %v", welcome)
	}
}

func TestAnExemptSinkIsNotChallenged(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.ExemptSinks = []string{"127.0.0.1"}
	a, _ := start(t, c)
	sink := newSubscriber(t)
	got := subscribe(t, a, integrator(t, a), sink.url).want(t, http.StatusOK)
	if !strings.Contains(got.body, `"verified":true`) {
		t.Errorf("the subscription is not verified: %s", got.body)
	}
	sink.next(t)
	if len(sink.challenges) != 0 {
		t.Error("the sink was challenged")
	}
}

func TestASinkThatMayNotBeCalledIsRefused(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name string
		set  func(*app.Config)
		sink string
	}{
		{"this machine", func(*app.Config) {}, "https://127.0.0.1/"},
		{"plain http", func(*app.Config) {}, "http://example.com/"},
		{"an inner network", func(*app.Config) {}, "https://10.1.2.3/"},
		{"a port that is not listed", func(c *app.Config) { c.SinkPorts = []string{"443"} }, "https://example.com:8443/"},
		{"the service's own name", func(c *app.Config) { c.PublicNames = []string{"hooks.example.com"} }, "https://hooks.example.com/"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			c := testConfig(t)
			c.Dev = false
			x.set(&c)
			a, _ := start(t, c)
			subscribe(t, a, integrator(t, a), x.sink).want(t, http.StatusUnprocessableEntity)
		})
	}
}

func TestASinkSignedByAnOwnAuthorityIsTrusted(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"verification": r.Header.Get("X-Fic-Verification-Challenge")})
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	authority := filepath.Join(t.TempDir(), "authority.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(authority, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, verified := range map[string]string{"": `"verified":false`, authority: `"verified":true`} {
		c := testConfig(t)
		c.SinkCAFile = file
		a, _ := start(t, c)
		got := subscribe(t, a, integrator(t, a), server.URL).want(t, http.StatusOK)
		if !strings.Contains(got.body, verified) {
			t.Errorf("sink_ca_file %q: got %s, want %s", file, got.body, verified)
		}
	}
}

func TestASinkThatHangsIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(end) })
	c := testConfig(t)
	c.ConnectTimeout, c.AttemptTimeout = app.Duration(100*time.Millisecond), app.Duration(200*time.Millisecond)
	a, log := start(t, c)
	token, started := integrator(t, a), time.Now()
	subscribe(t, a, token, server.URL).want(t, http.StatusOK) // answered once the outcome is known, or after 2 s
	if took := time.Since(started); took > 1500*time.Millisecond {
		t.Errorf("the sink was given %v", took)
	}
	stop(t, a)
	if !strings.Contains(log.String(), "did not answer in time") {
		t.Errorf("the handshake was not given up: %s", log)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.SubscriptionLimit, c.FICShortQuota = 1, 3
	c.MaxEventBytes, c.MaxBatchEvents = 200, 1
	c.ExemptSinks = []string{"127.0.0.1"}
	a, _ := start(t, c)
	token, sink := integrator(t, a), newSubscriber(t)

	do(t, a, "POST", "/v1/events", adminToken, event(strings.Repeat("x", 200))).want(t, http.StatusRequestEntityTooLarge)
	batch := request(t, a, "POST", "/v1/events", adminToken, strings.NewReader("["+event("1")+","+event("2")+"]"))
	batch.Header.Set("Content-Type", "application/cloudevents-batch+json")
	send(t, client(t), batch).want(t, http.StatusRequestEntityTooLarge)

	subscribe(t, a, token, sink.url).want(t, http.StatusOK)
	second := subscribe(t, a, token, sink.url+"/else").want(t, http.StatusUnprocessableEntity)
	if !strings.Contains(second.body, "limit") {
		t.Errorf("got %s, want to be told of the limit", second.body)
	}
	do(t, a, "GET", "/c/1/subscriptions", token, "").want(t, http.StatusOK)
	do(t, a, "GET", "/c/1/subscriptions", token, "").want(t, http.StatusTooManyRequests)
}
