package app

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// hardened serves a handler as an app does; logged ends it and gives its log.
func hardened(t *testing.T, h http.HandlerFunc) (url string, logged func() string) {
	t.Helper()
	log := &bytes.Buffer{}
	a := &App{
		log:     slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		metrics: newMetrics(prometheus.NewRegistry()),
	}
	server := httptest.NewServer(a.harden(h))
	t.Cleanup(server.Close)
	return server.URL, func() string {
		server.Close() // waits for the handlers
		return log.String()
	}
}

func get(t *testing.T, url string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/path?secret=in-query", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer in-header")
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

func TestAPanicIsAnAnswer500AndALineOfLog(t *testing.T) {
	t.Parallel()
	url, logged := hardened(t, func(http.ResponseWriter, *http.Request) { panic("oh") })
	response, body, err := get(t, url)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusInternalServerError || response.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d %s", response.StatusCode, response.Header)
	}
	if !strings.Contains(body, `"status":500`) || strings.Contains(body, "oh") {
		t.Errorf("got %s, want a problem that does not show the cause", body)
	}
	if text := logged(); !strings.Contains(text, `"panic":"oh"`) || !strings.Contains(text, "middleware_test.go") {
		t.Errorf("the log does not tell of it: %s", text)
	}
}

func TestAPanicInTheMiddleOfAnAnswerCutsItOff(t *testing.T) {
	t.Parallel()
	for _, cause := range []any{"oh", http.ErrAbortHandler} {
		url, logged := hardened(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(cause)
		})
		if _, body, err := get(t, url); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("panic(%v): half an answer passes for a whole one: %q %v", cause, body, err)
		}
		if text := logged(); strings.Contains(text, "panic") != (cause != http.ErrAbortHandler) {
			t.Errorf("panic(%v): logged %s", cause, text)
		}
	}
}

func TestTheAccessLogShowsWhatIsNoSecret(t *testing.T) {
	t.Parallel()
	url, logged := hardened(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	if _, _, err := get(t, url); err != nil {
		t.Fatal(err)
	}
	text := logged()
	if !strings.Contains(text, `"path":"/path","status":418`) {
		t.Errorf("got %s", text)
	}
	for _, secret := range []string{"in-query", "in-header", "Bearer"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log shows %s: %s", secret, text)
		}
	}
}
