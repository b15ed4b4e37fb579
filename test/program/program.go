// Package program builds the program as it is delivered, and runs it, for tests
// that see it from outside.
package program

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// AdminToken is the operator's of every server.
const AdminToken = "an-admin-token-for-tests"

// Patience bounds the wait for a server; nothing takes as long on any machine.
const Patience = time.Minute

// Run builds the program, says in binary where it is, and runs the tests: it is
// what TestMain is to do.
func Run(m *testing.M, binary *string) (code int) {
	dir, err := os.MkdirTemp("", "fattorino-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is below the system's temporary folder
	*binary = filepath.Join(dir, "fattorino")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", *binary, "github.com/fattorino-dev/fattorino/cmd/fattorino") //nolint:noctx // go test bounds it
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// Options say how a server is started.
type Options struct {
	Binary string
	Dir    string   // its data folder; empty = one of its own
	Env    []string // of its environment, besides PATH and the admin token
	Flags  []string // besides those that make it serve on this machine
}

// A Server is the program serving on this machine.
type Server struct {
	URL     string
	Dir     string
	Process *exec.Cmd
	Log     *Output

	once sync.Once
	read chan struct{} // closed when its log has ended
}

// Serve starts a server and waits until it says where it serves. It is stopped
// with the test, and must end well.
func Serve(t *testing.T, o Options) *Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	args := append([]string{"serve", "--dev", "--data", o.Dir, "--listen", "127.0.0.1:0", "--log-format", "json"}, o.Flags...)
	s := &Server{Dir: o.Dir, Log: &Output{}, read: make(chan struct{})}
	s.Process = exec.Command(o.Binary, args...) //nolint:noctx // it is ended with SIGTERM, as a supervisor would
	s.Process.Env = append([]string{"PATH=" + os.Getenv("PATH"), "FATTORINO_ADMIN_TOKEN=" + AdminToken}, o.Env...)
	stderr, err := s.Process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.Process.Stdout = s.Log
	if err := s.Process.Start(); err != nil {
		t.Fatal(err)
	}
	serving := make(chan string, 1)
	go func() {
		defer close(s.read)
		s.Log.follow(stderr, serving)
	}()
	t.Cleanup(func() { s.Stop(t, syscall.SIGTERM) })
	select {
	case s.URL = <-serving:
	case <-s.read:
		t.Fatalf("the program has ended:\n%s", s.Log.tail())
	case <-time.After(Patience):
		t.Fatalf("the program does not serve:\n%s", s.Log.tail())
	}
	return s
}

// Stop ends the server with a signal and waits until it has ended: well, unless
// it is killed. It may be called again.
func (s *Server) Stop(t *testing.T, signal os.Signal) {
	t.Helper()
	s.once.Do(func() {
		_ = s.Process.Process.Signal(signal) // it may have ended
		<-s.read
		if err := s.Process.Wait(); err != nil && signal != os.Kill {
			t.Errorf("the program did not end well: %v\n%s", err, s.Log.tail())
		}
	})
}

// An Output is all that a program has written.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String gives it all.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// tail gives the end, for a failure to show.
func (o *Output) tail() string {
	text := o.String()
	return text[max(0, len(text)-4000):]
}

// follow reads the program's log to its end, and tells where it serves.
func (o *Output) follow(r io.Reader, serving chan<- string) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		_, _ = o.Write(line) // a buffer takes everything
		var entry struct{ Msg, URL string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "serving" {
			serving <- entry.URL
		}
		if err != nil {
			return
		}
	}
}
