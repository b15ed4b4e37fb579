package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

// build builds the server.
func build(ctx context.Context) (path string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "fattorino-bench")
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(dir, "fattorino")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, "./cmd/fattorino")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, func() { _ = os.RemoveAll(dir) }, nil
}

const adminToken = "bench-admin-token-0123456789"

// server is the program under measurement, in a process and folder of its own.
type server struct {
	address string
	binary  string
	given   []string // arguments of the case
	args    []string // and all of them
	cmd     *exec.Cmd
	exited  chan struct{} // closed when the process has ended
	dir     string
	http    *http.Client

	database *pgcluster.Cluster // nil = it keeps everything in its folder
	others   []*server          // processes on the same database, which share the load and the figures of this one
}

// start starts a server on an empty folder, with further arguments.
func (b *bench) start(ctx context.Context, args ...string) (*server, error) {
	s, err := b.prepare(args...)
	if err != nil {
		return nil, err
	}
	if err := s.launch(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// prepare gives a server that is not running, its folder empty.
func (b *bench) prepare(args ...string) (*server, error) {
	dir, err := os.MkdirTemp("", "fattorino-bench-data")
	if err != nil {
		return nil, err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := free.Addr().String()
	_ = free.Close()
	s := &server{address: address, binary: b.binary, dir: dir, given: args, http: &http.Client{
		Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxIdleConns: 64},
	}}
	s.args = slices.Concat([]string{"serve", "--dev", "--data", dir, "--listen", address, "--log-level", "error", "--allow-no-handshake"}, args)
	return s, nil
}

// launch starts the process and waits until it serves.
func (s *server) launch(ctx context.Context) error {
	s.cmd = exec.CommandContext(ctx, s.binary, s.args...)
	s.cmd.Env = append(os.Environ(), "FATTORINO_ADMIN_TOKEN="+adminToken)
	s.cmd.Stderr = os.Stderr
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.exited = make(chan struct{})
	go func() {
		_ = s.cmd.Wait() // it says itself what is wrong
		close(s.exited)
	}()
	for {
		if r, err := s.http.Get("http://" + s.address + "/readyz"); err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.exited:
			return errors.New("the server ended before it was ready")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// readiness gives what the server says to whether it is ready.
func (s *server) readiness() (string, error) {
	r, err := s.http.Get("http://" + s.address + "/readyz")
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return string(text), err
}

// restart ends the process, starts it again on the same folder, and tells how
// long it took until it served.
func (s *server) restart(ctx context.Context) (time.Duration, error) {
	s.end()
	begun := time.Now()
	err := s.launch(ctx)
	return time.Since(begun), err
}

// halt has the process do nothing until goOn.
func (s *server) halt() error { return s.cmd.Process.Signal(syscall.SIGSTOP) }

func (s *server) goOn() error { return s.cmd.Process.Signal(syscall.SIGCONT) }

// end ends the process; its folder stays.
func (s *server) end() {
	s.http.CloseIdleConnections()
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	<-s.exited
}

// stop ends the process and those beside it, and deletes what they kept.
func (s *server) stop() {
	for _, other := range s.others {
		other.stop()
	}
	if s.exited != nil {
		s.end()
	}
	_ = os.RemoveAll(s.dir)
	if s.database != nil {
		_ = s.database.Close()
	}
}

// all gives the server and those beside it.
func (s *server) all() []*server { return append([]*server{s}, s.others...) }

// cpu gives the processor time that the servers have taken.
func (s *server) cpu() (total time.Duration) {
	for _, one := range s.all() {
		total += processCPU(one.cmd.Process.Pid)
	}
	return total
}

// peak gives the greatest resident memory of the servers together, in MiB.
func (s *server) peak() (total float64) {
	for _, one := range s.all() {
		total += processMemory(one.cmd.Process.Pid, "VmHWM")
	}
	return total
}

// call makes one JSON request, and decodes the answer where out is not nil.
func (s *server) call(method, path, token string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequest(method, "http://"+s.address+path, body)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
