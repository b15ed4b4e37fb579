package main

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheDemoTellsTheWholeStory(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := runMain(t, nil, nil, "demo", "--once")
	steps, want := strings.Count(stdout, "✓ "), 0
	for _, c := range (&demo{}).story() {
		want += len(c.steps)
		if !strings.Contains(stdout, "\n\n"+c.heading+"\n") {
			t.Errorf("there is no heading %q", c.heading)
		}
	}
	if code != 0 || steps != want || !strings.Contains(stdout, "Every step held.") {
		t.Fatalf("got %d with %d steps:\n%s%s", code, steps, stdout, stderr)
	}
	for _, line := range []string{
		"answered 500", "5 notifications for 9 events",
		// One event, in the words of three contracts.
		`{"data":{"ids":[51]}}`,
		`"event":"invoice.paid",`,
		`"type":"invoice.paid",`,
		// The sandbox's invoice.
		`"event_type":"Invoice.SUBMITTED","entity_state":{"id":`,
		`"event_type":"Invoice.VERIFIED","entity_state":{"id":`,
		"invoice.created                                   invoice/42  delivered  2         200",
	} {
		if !strings.Contains(stdout, line) {
			t.Errorf("the story lacks %q:\n%s", line, stdout)
		}
	}
	if strings.Contains(stdout, "\x1b") || strings.Contains(stdout, "\r") {
		t.Error("there are colours, and nobody looks")
	}
	for _, secret := range []string{"fattorino_", "whsec_", "secret="} {
		if strings.Contains(stdout, secret) {
			t.Errorf("%s… is shown", secret)
		}
	}
	if stderr != "" {
		t.Errorf("there is an error: %s", stderr)
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
	shown := stdout.await(t, "What the subscribers receive from here on:")
	// The lines work as they are pasted.
	if !strings.Contains(shown, "/ui/inspect/") {
		t.Errorf("the address of the bin is not shown:\n%s", shown)
	}
	for line, want := range map[string]int{"/v1/events -H": http.StatusAccepted, "/invoices -H": http.StatusCreated} {
		paste(t, shown, line, want)
	}
	for _, heard := range []string{"/c/12345/subscriptions", "?contract=facturascripts'", "?contract=native'", "/deliveries?limit=5'", "/events?after=0&wait=10'"} {
		if !strings.Contains(paste(t, shown, heard, http.StatusOK), `"id":`) {
			t.Errorf("%s: nothing is listed", heard)
		}
	}
	// Those who subscribed received it.
	for _, heard := range []string{
		"Fatture in Cloud  issued_documents.invoices.update   id 99 ", "FacturaScripts    invoice.paid                       id 99 ",
		"native            invoice.paid                       id 99 ", "Defacto           Invoice.SUBMITTED", "Defacto           Invoice.VERIFIED",
	} {
		stdout.await(t, heard)
	}
	interrupt()
	if code := <-ended; code != 0 || stderr.String() != "" {
		t.Errorf("got %d %s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(data, "fattorino.db")); err != nil {
		t.Errorf("the data was not kept: %v", err)
	}
}

// paste does what the shell would do with the line of curl that holds the text,
// and gives the answer.
func paste(t *testing.T, shown, text string, want int) string {
	t.Helper()
	var line string
	for one := range strings.Lines(shown) {
		if strings.HasPrefix(one, "curl ") && strings.Contains(one, text) {
			line = one
		}
	}
	method, body := http.MethodGet, between(line, "-d '", "'")
	if body != "" {
		method = http.MethodPost
	}
	url := strings.Trim(strings.Fields(strings.TrimPrefix(line, "curl -s ") + " .")[0], "'")
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+between(line, "Authorization: Bearer ", "'"))
	r.Header.Set("Content-Type", cmp.Or(between(line, "Content-Type: ", "'"), "application/x-www-form-urlencoded")) // curl's own
	response, err := (&http.Client{}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != want {
		t.Errorf("%s: got %d %s %v, want %d", text, response.StatusCode, answer, err, want)
	}
	return string(answer)
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
