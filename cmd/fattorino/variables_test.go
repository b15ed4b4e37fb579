package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestVariablesThatAreNoneOfOursAreToldByName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ environ, want string }{
		{"FATTORINO_LOGLEVEL=debug", "FATTORINO_LOGLEVEL is not known and does nothing: did you mean FATTORINO_LOG_LEVEL?"},
		{"FATTORINO_ADMINTOKEN=secret", "FATTORINO_ADMINTOKEN is not known and does nothing: did you mean FATTORINO_ADMIN_TOKEN?"},
		{"FATTORINO_COLOUR_OF_THE_BIKE=red", "FATTORINO_COLOUR_OF_THE_BIKE is not known and does nothing"},
	} {
		got := misspelt([]string{"PATH=/bin", c.environ, "FATTORINO=1"})
		if want := []string{"the environment variable " + c.want}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.environ, got, want)
		}
	}
}

func TestVariablesOfOursAndOfKubernetesAreNotTold(t *testing.T) {
	t.Parallel()
	got := misspelt([]string{
		"FATTORINO_LOG_LEVEL=debug", "FATTORINO_ADMIN_TOKEN=x", "FATTORINO_MASTER_KEYS=x", "FATTORINO_CONFIG=x", "FATTORINO_URL=x", "FATTORINO_TOKEN=x",
		"FATTORINO_SERVICE_HOST=10.0.0.1", "FATTORINO_SERVICE_PORT=8480", "FATTORINO_SERVICE_PORT_HTTP=8480", "FATTORINO_PORT=tcp://10.0.0.1:8480",
		"FATTORINO_PORT_8480_TCP=tcp://10.0.0.1:8480", "FATTORINO_PORT_8480_TCP_ADDR=10.0.0.1", "FATTORINO_WEB_SERVICE_HOST=10.0.0.1", "FATTORINO_WEB_PORT_80_TCP_PROTO=tcp",
	})
	if len(got) > 0 {
		t.Errorf("%q", got)
	}
}

func TestAMisspeltVariableIsLoggedWithoutItsValue(t *testing.T) {
	t.Parallel()
	p := startProcess(t, t.TempDir(), "FATTORINO_ADMIN_TOKENS=not-to-be-seen")
	log := p.stderr.await(t, "FATTORINO_ADMIN_TOKENS is not known")
	if !strings.Contains(log, "did you mean FATTORINO_ADMIN_TOKEN?") || strings.Contains(log, "not-to-be-seen") {
		t.Errorf("the log is:\n%s", log)
	}
}

func TestAStartThatFailsIsNoStop(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	startProcess(t, data)
	cmd := exec.CommandContext(t.Context(), "fattorino", "serve", "--dev", "--data", data, "--listen", "127.0.0.1:0")
	cmd.Env = append(cmd.Environ(), raceVariable+"="+raceOptions)
	log, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(log), "in use") || strings.Contains(string(log), `"stopp`) {
		t.Errorf("a second start on the folder ended with %v and said:\n%s", err, log)
	}
}
