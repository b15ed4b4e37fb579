// Package interop_test runs the program as it is delivered, and has other
// people's software talk to it: the official SDK of Fatture in Cloud, the
// CloudEvents SDKs for JavaScript and Go, and two libraries that verify tokens.
package interop_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/test/program"
)

// patience bounds every wait; nothing takes as long on any machine.
const patience = 30 * time.Second

// adminToken is what the servers of these tests are started with.
const adminToken = program.AdminToken

// issuer is what tokens say who they are from.
const issuer = "https://api-v2.fattureincloud.it"

var binary string // the program, as TestMain built it

func TestMain(m *testing.M) { os.Exit(program.Run(m, &binary)) }

// A server is the program serving on this machine with a data folder of its
// own.
type server struct {
	url string
}

// serve starts the program.
func serve(t *testing.T, flags ...string) *server {
	t.Helper()
	return &server{url: program.Serve(t, program.Options{Binary: binary, Flags: flags}).URL}
}

// follow gives what a program writes line by line, and a channel that is
// closed when all has been read.
func follow(r io.Reader) (lines <-chan string, done <-chan struct{}) {
	out, end := make(chan string), make(chan struct{})
	go func() {
		defer close(end)
		defer close(out)
		s := bufio.NewScanner(r)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			out <- s.Text()
		}
	}()
	return out, end
}

// next waits for the next line.
func next(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case line, ok := <-lines:
		if !ok {
			t.Fatal("the program has ended")
		}
		return line
	case <-time.After(patience):
		t.Fatal("the program says nothing")
	}
	return ""
}

// call makes a request of the API and decodes the answer into v; it fails
// where the status is another.
func (s *server) call(t *testing.T, method, path, token string, body any, want int, v any) {
	t.Helper()
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, &sent)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := ownClient().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != want {
		t.Fatalf("%s %s: status %d, want %d\n%s", method, path, answer.StatusCode, want, text)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%s %s: %v\n%s", method, path, err, text)
	}
}

// token makes a token of an app of its own.
func (s *server) token(t *testing.T, kind string, company int) string {
	t.Helper()
	wish := map[string]any{"kind": kind, "companies": []int{company}}
	if kind == "api" {
		var app struct{ ID int }
		s.call(t, http.MethodPost, "/v1/apps", adminToken, map[string]any{"name": t.Name()}, http.StatusCreated, &app)
		wish["app_id"], wish["scopes"] = app.ID, []string{"*"}
	}
	var made struct{ Token string }
	s.call(t, http.MethodPost, "/v1/tokens", adminToken, wish, http.StatusCreated, &made)
	return made.Token
}

// A subscription is one as the Fatture in Cloud door answers it.
type subscription struct {
	ID       string
	Sink     string
	Verified bool
	Types    []string
	Config   struct{ Mapping string }
}

// subscribe subscribes a sink, which must prove itself at once, to the creation
// of invoices.
func (s *server) subscribe(t *testing.T, token string, company int, sink, mapping string) subscription {
	t.Helper()
	var made struct{ Data subscription }
	s.call(t, http.MethodPost, fmt.Sprintf("/c/%d/subscriptions", company), token, map[string]any{"data": map[string]any{
		"sink": sink, "types": []string{"it.fattureincloud.webhooks.issued_documents.invoices.create"},
		"config": map[string]any{"mapping": mapping},
	}}, http.StatusOK, &made)
	if !made.Data.Verified {
		t.Fatalf("the sink %s is not verified", sink)
	}
	return made.Data
}

// publish publishes that an invoice was created.
func (s *server) publish(t *testing.T, token string, company int, id string, invoice int) {
	t.Helper()
	s.publishEvent(t, token, map[string]any{
		"specversion": "1.0", "id": id, "source": "https://erp.example/invoicing", "type": "invoice.created",
		"companyid": fmt.Sprint(company), "data": map[string]any{"id": invoice},
	}, http.StatusAccepted)
}

// publishEvent publishes an event in structured mode, and gives the answer.
func (s *server) publishEvent(t *testing.T, token string, event map[string]any, want int) string {
	t.Helper()
	body, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/events", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/cloudevents+json")
	answer, err := ownClient().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != want {
		t.Fatalf("publish: status %d, want %d, %v\n%s", answer.StatusCode, want, err, said)
	}
	return string(said)
}

// node makes a command of a script of this folder, with its settings as JSON.
// The test is skipped where there is no Node; in CI it fails.
func node(t *testing.T, script string, settings any) *exec.Cmd {
	t.Helper()
	needNode(t)
	argument, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "node", script, string(argument))
	command.Stderr = t.Output()
	return command
}

func needNode(t *testing.T) {
	t.Helper()
	const todo = `run "make setup", which installs Node 20 and the packages of test/interop`
	missing := ""
	if _, err := exec.LookPath("node"); err != nil {
		missing = "there is no Node here: " + todo
	} else if _, err := os.Stat("node_modules"); err != nil {
		missing = "the packages of test/interop are not installed: " + todo
	}
	switch {
	case missing == "":
	case os.Getenv("CI") == "true":
		t.Fatal(missing)
	default:
		t.Skip(missing)
	}
}

// answersOf runs a script and decodes what it prints into v.
func answersOf(t *testing.T, script string, settings, v any) {
	t.Helper()
	out, err := node(t, script, settings).Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	if err := json.Unmarshal(out, v); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// start runs a program beside the test, to its end, and gives what it prints.
func start(t *testing.T, command *exec.Cmd) <-chan string {
	t.Helper()
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines, read := follow(out)
	t.Cleanup(func() {
		_ = command.Process.Kill()
		for range lines { // what is still to be read
		}
		<-read
		_ = command.Wait() // it was killed
	})
	return lines
}

// freeURL gives the URL of a receiver on a port of this machine that was free
// a moment ago.
func freeURL(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u := url.URL{Scheme: "http", Host: l.Addr().String(), Path: "/"}
	return u.String()
}

// text shows a value in a failure.
func text(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
	return b.String()
}

// ownClient gives a client that shares no connections: any test server that is
// closed closes those of the default one, those of other tests included.
func ownClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}
