package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheDemoTellsTheWholeStory(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := runMain(t, nil, nil, "demo", "--once")
	steps := strings.Count(stdout, "✓ ")
	if code != 0 || steps != len((&demo{}).story()) || !strings.Contains(stdout, "Every step held.") {
		t.Fatalf("got %d with %d steps:\n%s%s", code, steps, stdout, stderr)
	}
	for _, line := range []string{
		"answered 500", "5 notifications for 9 events",
		"invoice.created                                   invoice/42  delivered  2         200",
	} {
		if !strings.Contains(stdout, line) {
			t.Errorf("the story lacks %q:\n%s", line, stdout)
		}
	}
	if strings.Contains(stdout, "\x1b") || strings.Contains(stdout, "\r") {
		t.Error("there are colours, and nobody looks")
	}
	if strings.Contains(stdout, "fattorino_") || stderr != "" {
		t.Errorf("a token is shown, or an error: %s", stderr)
	}
}

func TestTheDemoStaysUpUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	data := t.TempDir()
	stdout, stderr := &output{}, &output{}
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"demo", "--data", data}, func(string) string { return "" }, nil, stdout, stderr)
	}()
	published := between(stdout.await(t, "What the subscriber receives from here on:"), "curl -s ", "What the subscriber")
	// The first line to paste works as it is.
	url := strings.Fields(published)[0]
	token := between(published, "Authorization: Bearer ", "'")
	body := between(published, "-d '", "'")
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", between(published, "Content-Type: ", "'"))
	response, err := (&http.Client{}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		t.Errorf("publishing by hand: got %d", response.StatusCode)
	}
	stdout.await(t, "id 99 ") // the subscriber received it
	interrupt()
	if code := <-ended; code != 0 || stderr.String() != "" {
		t.Errorf("got %d %s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(data, "fattorino.db")); err != nil {
		t.Errorf("the data was not kept: %v", err)
	}
}

// between gives the text between two others; empty where they are not there.
func between(text, from, to string) string {
	_, rest, ok := strings.Cut(text, from)
	found, _, ended := strings.Cut(rest, to)
	if !ok || !ended {
		return ""
	}
	return found
}

func TestTheDemoSaysWhatFailed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := runMain(t, nil, nil, "demo", "--once", "--data", file)
	if code != 1 || !strings.Contains(stdout, "✗ the service is up\n    cannot make the data folder") || !strings.Contains(stderr, "a step of the demo failed") {
		t.Errorf("got %d %s%s", code, stdout, stderr)
	}
}

func TestTheDemosSubscriberRefusesWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{url: "http://sink/", key: &key.PublicKey, changed: make(chan struct{})}
	encode := base64.RawURLEncoding.EncodeToString
	unsigned := encode([]byte(`{"alg":"ES256"}`)) + "." + encode([]byte(`{"aud":["http://sink/"],"exp":9999999999}`)) + "."
	for _, token := range []string{"", "x", "a.b.c", unsigned, unsigned + encode(make([]byte, 64))} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(`{"data":{"ids":[1]}}`))
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("X-Fic-Verification-Challenge", "c")
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != http.StatusUnauthorized {
				t.Errorf("%s with token %q: got %d", method, token, w.Code)
			}
		}
	}
}
