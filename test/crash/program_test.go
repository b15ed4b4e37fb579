package crash_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

const admin = "crash-test-admin-token-0123456789"

// program is the real binary on a data folder of its own.
type program struct {
	binary, dir, address string
	flags                []string // of its own, besides those that every test has
	environment          []string // as NAME=value, the same
	under                []string // the command that it runs under, as strace; it must keep the process id
	http                 *http.Client
	cmd                  *exec.Cmd
	ended                chan struct{} // closed when the process has ended
	log                  logBuffer
}

func newProgram(t *testing.T, binary, dir string, flags ...string) *program {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// Connections of its own: any test server that is closed closes those of the
	// default transport.
	connections := &http.Transport{MaxIdleConnsPerHost: 64}
	p := &program{
		binary: binary, dir: dir, address: free.Addr().String(), flags: flags,
		http: &http.Client{Transport: connections, Timeout: patience},
	}
	_ = free.Close()
	t.Cleanup(func() {
		p.end(syscall.SIGKILL)
		connections.CloseIdleConnections()
	})
	return p
}

func (p *program) url(path string) string { return "http://" + p.address + path }

// begin starts the process and does not wait for it to get ready.
func (p *program) begin() error {
	args := append([]string(nil), p.under...)
	args = append(args, p.binary, "serve", "--dev", "--data", p.dir, "--listen", p.address, "--log-level", "warn",
		"--attempt-timeout", "60s", "--allow-no-handshake", "--subscription-limit", "100000")
	args = append(args, p.flags...)
	cmd, ended := exec.Command(args[0], args[1:]...), make(chan struct{})
	cmd.Env = append(append(os.Environ(), "FATTORINO_ADMIN_TOKEN="+admin), p.environment...)
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.ended = cmd, ended
	go func() {
		_ = cmd.Wait() // end tells how it ended
		close(ended)
	}()
	return nil
}

// ready waits until the program serves.
func (p *program) ready() error {
	serves := false
	eventually(func() bool {
		select {
		case <-p.ended:
			return true
		default:
		}
		r, err := p.http.Get(p.url("/readyz"))
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		serves = r.StatusCode == http.StatusOK
		return serves
	})
	if !serves {
		return fmt.Errorf("the program does not get ready:\n%s", p.log.String())
	}
	return nil
}

func (p *program) start(t *testing.T) {
	t.Helper()
	if err := errors.Join(p.begin(), p.ready()); err != nil {
		t.Fatal(err)
	}
}

// end sends a signal, and waits for the process to end.
func (p *program) end(signal syscall.Signal) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(signal) // it may have ended
	<-p.ended
	p.http.CloseIdleConnections()
}

func (p *program) kill() { p.end(syscall.SIGKILL) }

// stop stops the program as a supervisor does.
func (p *program) stop() error {
	p.end(syscall.SIGTERM)
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("graceful stop: %v\n%s", p.cmd.ProcessState, p.log.String())
	}
	return nil
}

// call makes one JSON request that must succeed.
func (p *program) call(method, path, token string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequest(method, p.url(path), body)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := p.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return &refusal{answer.StatusCode, fmt.Sprintf("%s %s: %s: %s", method, path, answer.Status, text)}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// refusal is an answer that is no success.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// token makes a token of an app of its own, for some companies or all.
func (p *program) token(t *testing.T, companies ...int) string {
	t.Helper()
	var app struct{ ID int64 }
	if err := p.call("POST", "/v1/apps", admin, map[string]any{"name": "crash"}, &app); err != nil {
		t.Fatal(err)
	}
	var made struct{ Token string }
	wish := map[string]any{"kind": "api", "app_id": app.ID, "companies": append([]int{}, companies...), "scopes": []string{"*"}}
	if err := p.call("POST", "/v1/tokens", admin, wish, &made); err != nil {
		t.Fatal(err)
	}
	return made.Token
}

// A pulled event is one as the history tells it.
type pulled struct {
	ID  string `json:"id"`
	Seq int64  `json:"seq"`
}

// history pulls the events of a company. It fails where there is a gap, or an
// event twice.
func (p *program) history(company int) ([]pulled, error) {
	var all []pulled
	seen := map[string]int64{}
	for after := int64(0); ; {
		var page struct {
			Events []pulled `json:"events"`
		}
		if err := p.call("GET", fmt.Sprintf("/v1/companies/%d/events?limit=1000&after=%d", company, after), admin, nil, &page); err != nil {
			return nil, err
		}
		if len(page.Events) == 0 {
			return all, nil
		}
		for _, e := range page.Events {
			if after++; e.Seq != after {
				return nil, fmt.Errorf("seq %d follows %d: there is a gap", e.Seq, after-1)
			}
			if seen[e.ID] != 0 {
				return nil, fmt.Errorf("event %s is stored twice, at %d and %d", e.ID, seen[e.ID], e.Seq)
			}
			seen[e.ID] = e.Seq
		}
		all = append(all, page.Events...)
	}
}

// checkHistory checks that every accepted event of the company is there, with
// the seq that its publisher was told.
func (p *program) checkHistory(company int, accepted []event) error {
	all, err := p.history(company)
	if err != nil {
		return err
	}
	at := make(map[string]int64, len(all))
	for _, e := range all {
		at[e.ID] = e.Seq
	}
	var faults []error
	for _, e := range accepted {
		if e.company == company && at[e.id()] != e.seq {
			faults = append(faults, fmt.Errorf("event %s was accepted with seq %d and is stored at %d", e.id(), e.seq, at[e.id()]))
		}
	}
	return errors.Join(faults...)
}

// logBuffer keeps what the program says.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// pause lets the time pass in which the program works.
func pause(d time.Duration) { <-time.After(d) }
