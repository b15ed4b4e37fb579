package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is the real program, running by itself.
type process struct {
	cmd    *exec.Cmd
	url    string
	stdout output
	stderr output
	ended  chan error
}

// startProcess starts "fattorino serve" on the folder.
func startProcess(t *testing.T, data string, env ...string) *process {
	t.Helper()
	p := &process{ended: make(chan error, 1)}
	p.cmd = exec.CommandContext(t.Context(), "fattorino", "serve", "--dev", "--data", data, "--listen", "127.0.0.1:0")
	p.cmd.Env = append(append(os.Environ(), raceVariable+"="+raceOptions), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	for line := range strings.Lines(p.stderr.await(t, `"msg":"serving"`)) {
		var entry struct{ Msg, URL string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "serving" {
			p.url = entry.URL
		}
	}
	return p
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// end waits for the process's end.
func (p *process) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.ended:
		return err
	case <-time.After(30 * time.Second):
		t.Fatalf("it does not end:\n%s", &p.stderr)
		return nil
	}
}

// request makes a request in the background.
func (p *process) request(t *testing.T, method, path string, body io.Reader) <-chan string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+scriptAdminToken)
	r.Header.Set("Content-Type", "application/cloudevents+json")
	answers := make(chan string, 1)
	go func() {
		response, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
		if err != nil {
			answers <- err.Error()
			return
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		answers <- fmt.Sprint(response.StatusCode, " ", string(text), errors.Join(err))
	}()
	return answers
}

// awaitInFlight waits until the process has as many requests under way.
func (p *process) awaitInFlight(t *testing.T, n int) {
	t.Helper()
	want := fmt.Sprintf("\nfattorino_http_requests_in_flight %d\n", n+1) // the question is one itself
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(<-p.request(t, "GET", "/metrics", http.NoBody), want); {
		if time.Now().After(deadline) {
			t.Fatal("the requests do not get through")
		}
	}
}

func TestSIGTERMFinishesWhatIsUnderWayAndExitsWithZero(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	admin := "FATTORINO_ADMIN_TOKEN=" + scriptAdminToken
	p := startProcess(t, data, admin)
	body, rest := io.Pipe()
	publish := p.request(t, "POST", "/v1/events", body)
	poll := p.request(t, "GET", "/v1/companies/2/events?after=0&wait=30", http.NoBody)
	event := `{"specversion":"1.0","id":"slow","source":"urn:x","type":"invoice.created","companyid":"1"}`
	if _, err := io.WriteString(rest, event[:10]); err != nil {
		t.Fatal(err)
	}
	p.awaitInFlight(t, 2)

	p.signal(t, syscall.SIGTERM)
	p.stderr.await(t, `"msg":"stopping"`)
	if got := <-poll; !strings.HasPrefix(got, `200 {"events":[]`) {
		t.Errorf("the long poll was answered with %s", got)
	}
	for listening := true; listening; {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if listening = err == nil; listening {
			c.Close()
		}
	}
	if _, err := io.WriteString(rest, event[10:]); err != nil {
		t.Fatal(err)
	}
	rest.Close()
	if got := <-publish; !strings.HasPrefix(got, "202 ") {
		t.Errorf("the event under way was answered with %s", got)
	}
	if err := p.end(t); err != nil {
		t.Errorf("it exited with %v:\n%s", err, &p.stderr)
	}
	if log := p.stderr.String(); !strings.HasSuffix(log, `"msg":"stopped"}`+"\n") || strings.Contains(log, scriptAdminToken) {
		t.Errorf("the log is not whole, or shows a token:\n%s", log)
	}

	again := startProcess(t, data, admin)
	if got := <-again.request(t, "GET", "/v1/companies/1/events?after=0", http.NoBody); !strings.Contains(got, `"slow"`) {
		t.Errorf("the accepted event is gone: %s", got)
	}
	again.signal(t, syscall.SIGINT)
	if err := again.end(t); err != nil {
		t.Errorf("SIGINT: it exited with %v", err)
	}
}

func TestASecondSignalEndsItAtOnce(t *testing.T) {
	t.Parallel()
	p := startProcess(t, t.TempDir(), "FATTORINO_ADMIN_TOKEN="+scriptAdminToken)
	body, rest := io.Pipe()
	defer rest.Close()
	p.request(t, "POST", "/v1/events", body) // which is never sent to its end
	if _, err := io.WriteString(rest, "{"); err != nil {
		t.Fatal(err)
	}
	p.awaitInFlight(t, 1)
	p.signal(t, syscall.SIGTERM)
	p.stderr.await(t, `"msg":"stopping"`)
	started := time.Now()
	p.signal(t, syscall.SIGTERM)
	var exit *exec.ExitError
	if err := p.end(t); !errors.As(err, &exit) || time.Since(started) > 5*time.Second {
		t.Errorf("it ended with %v after %v", err, time.Since(started))
	}
}

func TestTheFirstAdminTokenIsShownOnceOnStandardOutput(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	first := startProcess(t, data)
	shown := first.stdout.await(t, "set FATTORINO_ADMIN_TOKEN")
	token := "fattorino_admin_" + between(shown, "fattorino_admin_", "\n")
	env := map[string]string{"FATTORINO_URL": first.url, "FATTORINO_TOKEN": token}
	if code, _, stderr := runMain(t, env, nil, "app", "list"); code != 0 {
		t.Errorf("the token does not work: %s", stderr)
	}
	first.signal(t, syscall.SIGTERM)
	if err := first.end(t); err != nil {
		t.Error(err)
	}
	if strings.Contains(first.stderr.String(), token) {
		t.Error("the log shows the token")
	}

	second := startProcess(t, data)
	second.signal(t, syscall.SIGTERM)
	if err := second.end(t); err != nil || second.stdout.String() != "" {
		t.Errorf("got %v, and on standard output %q", err, &second.stdout)
	}
}

func TestASecondProcessOnTheSameFolderIsRefused(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := startProcess(t, data)
	code, _, stderr := runMain(t, nil, nil, "serve", "--data", data, "--listen", "127.0.0.1:0", "--log-level", "error")
	if want := fmt.Sprintf("is in use by process %d", p.cmd.Process.Pid); code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("got %d %s", code, stderr)
	}
	code, _, stderr = runMain(t, nil, nil, "serve", "--data", t.TempDir(), "--listen", strings.TrimPrefix(p.url, "http://"))
	if code != 1 || !strings.Contains(stderr, "is in use by another program\n  to do: stop that program") {
		t.Errorf("got %d %s", code, stderr)
	}
}
