package ui

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Whatever is in a request, the command says it to the shell as it is, and
// nothing in it is run. A real shell is asked.
func TestTheCommandForCurlIsReadByAShellAsItIsMeant(t *testing.T) {
	t.Parallel()
	r := &fattorino.Request{
		Method: "POST", URL: "https://example.com/hooks?token=secret",
		Header: []fattorino.Header{
			{Name: "Content-Type", Value: "application/json"},
			{Name: "X-Quote", Value: `it's "$HOME" $(touch /tmp/never) ` + "`id`"},
			{Name: "Authorization", Secret: true},
			{Name: "Content-Length", Value: "7"},
		},
		Body: []byte("{\"a\":\n 'x' \\ }"),
	}
	command := strings.Replace(curl("", r), "curl", `printf '%s\n--\n'`, 1)
	out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := []string{
		"-X", "POST", "https://example.com/hooks?…", "-H", "Content-Type: application/json",
		"-H", `X-Quote: it's "$HOME" $(touch /tmp/never) ` + "`id`", "-H", "Authorization: …", "--data-binary", "{\"a\":\n 'x' \\ }", "",
	}
	if diff := cmp.Diff(want, strings.Split(string(out), "\n--\n")); diff != "" {
		t.Errorf("the shell reads something else (-want +got):\n%s", diff)
	}
}

func TestAWaterfallShowsThePhasesThatHappened(t *testing.T) {
	t.Parallel()
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	for _, x := range []struct {
		name string
		t    fattorino.Timing
		want []phase
	}{
		{"nothing was measured", fattorino.Timing{}, nil},
		{"a new connection", fattorino.Timing{DNS: ms(10), Connect: ms(20), TLS: ms(30), FirstByte: ms(40), Total: ms(200)}, []phase{
			{"dns", 0, 50, "10 ms"}, {"connect", 50, 100, "20 ms"}, {"tls", 150, 150, "30 ms"}, {"wait", 300, 200, "40 ms"}, {"read", 500, 500, "100 ms"},
		}},
		{"a kept-alive connection", fattorino.Timing{FirstByte: ms(8), Total: ms(8)}, []phase{{"wait", 0, 1000, "8.0 ms"}}},
		{"what is too short to be seen", fattorino.Timing{FirstByte: ms(9999), Total: ms(10000)}, []phase{{"wait", 0, 999, "10.00 s"}, {"read", 994, 6, "1.0 ms"}}},
	} {
		if diff := cmp.Diff(x.want, waterfallOf(&language{Code: "en"}, x.t).Phases); diff != "" {
			t.Errorf("%s (-want +got):\n%s", x.name, diff)
		}
	}
}

func TestAPageIsRenewedWhenTheNextAttemptIsOver(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for wait, want := range map[time.Duration]int{0: 2, 10 * time.Second: 11, 30 * 24 * time.Hour: 3600, -time.Hour: 2} {
		if got := refreshAfter(&fattorino.Delivery{DueAt: now.Add(wait)}, now); got != want {
			t.Errorf("due in %v: renewed after %d s, want %d", wait, got, want)
		}
	}
	if got := refreshAfter(&fattorino.Delivery{}, now); got != 2 {
		t.Errorf("due at once: renewed after %d s, want 2", got)
	}
}
