package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// startService starts the service and gives what its clients need to know.
func startService(t *testing.T) (env map[string]string) {
	t.Helper()
	config := app.Default()
	config.Data, config.Listen, config.AdminToken = t.TempDir(), "127.0.0.1:0", scriptAdminToken
	a, err := app.New(t.Context(), app.Options{Config: config, Log: io.Discard})
	if err == nil {
		err = a.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return map[string]string{"FATTORINO_URL": a.URL(), "FATTORINO_ADMIN_TOKEN": scriptAdminToken}
}

// manyEvents gives events 1 to n, one a line.
func manyEvents(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"specversion":"1.0","id":"%d","source":"urn:many","type":"invoice.created","companyid":"1"}`+"\n", i+1)
	}
	return b.String()
}

func TestAFileOfManyEventsIsSentInBatches(t *testing.T) {
	t.Parallel()
	env := startService(t)
	code, stdout, stderr := runMain(t, env, strings.NewReader(manyEvents(2*sendEvents+1)), "send", "-")
	if code != 0 || stdout != "accepted 1001 events\n" || stderr != "" {
		t.Errorf("got %d %q %q", code, stdout, stderr)
	}
}

func TestAFileThatFailsInTheMiddleTellsHowFarItCame(t *testing.T) {
	t.Parallel()
	env := startService(t)
	text := manyEvents(sendEvents) + "{}"
	code, _, stderr := runMain(t, env, strings.NewReader(text), "send", "-")
	if code != 2 || !strings.HasPrefix(stderr, "500 events had been accepted before this") || !strings.Contains(stderr, "event 501 is no CloudEvent") {
		t.Errorf("got %d %q", code, stderr)
	}
	// Corrected, the whole file can be sent again.
	code, stdout, _ := runMain(t, env, strings.NewReader(manyEvents(sendEvents+1)), "send", "-")
	if code != 0 || stdout != "accepted 501 events\n" {
		t.Errorf("got %d %q", code, stdout)
	}
	code, stdout, _ = runMain(t, env, strings.NewReader(manyEvents(1)), "send", "-")
	if code != 0 || stdout != "accepted 1: company 1, seq 1\n" {
		t.Errorf("got %d %q", code, stdout)
	}
}

func FuzzEventReader(f *testing.F) {
	f.Add(manyEvents(3))
	f.Add("[" + strings.TrimSpace(manyEvents(1)) + "]")
	f.Add(" [] ")
	f.Add("{}")
	f.Fuzz(func(t *testing.T, text string) {
		r := newEventReader(strings.NewReader(text))
		for n := 0; ; {
			batch, err := r.next()
			if err != nil {
				return
			}
			if n += len(batch); len(batch) == 0 || n != r.read {
				t.Fatalf("a batch of %d events, %d in all, %d counted", len(batch), n, r.read)
			}
		}
	})
}
