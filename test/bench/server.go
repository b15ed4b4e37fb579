package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
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

// server is the program under measurement, in a process and folder of its own.
type server struct {
	url   string
	admin string
	cmd   *exec.Cmd
	dir   string
	http  *http.Client
}

func startServer(ctx context.Context, binary string) (*server, error) {
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
	s := &server{url: "http://" + address, admin: "bench-admin-token-0123456789", dir: dir, http: &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxIdleConns: 256},
	}}
	s.cmd = exec.CommandContext(ctx, binary, "serve", "--dev", "--data", dir, "--listen", address, "--log-level", "warn")
	s.cmd.Env = append(os.Environ(), "FATTORINO_ADMIN_TOKEN="+s.admin)
	s.cmd.Stderr = os.Stderr
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for range 100 {
		if r, err := s.http.Get(s.url + "/readyz"); err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return s, nil
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.stop()
	return nil, fmt.Errorf("the server did not get ready")
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
	_ = os.RemoveAll(s.dir)
}

// call makes one JSON request.
func (s *server) call(method, path, token string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
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
	return json.Unmarshal(text, out)
}

// subscribe makes n subscriptions of n apps to company 1 at the sink.
func (s *server) subscribe(n int, sink string) error {
	for i := range n {
		var app struct{ ID int64 }
		if err := s.call("POST", "/v1/apps", s.admin, map[string]any{"name": fmt.Sprint("bench ", i)}, &app); err != nil {
			return err
		}
		var token struct{ Token string }
		if err := s.call("POST", "/v1/tokens", s.admin, map[string]any{"kind": "api", "app_id": app.ID, "scopes": []string{"*"}}, &token); err != nil {
			return err
		}
		var made struct{ Data struct{ Verified bool } }
		wish := map[string]any{"data": map[string]any{"sink": fmt.Sprintf("%s/%d", sink, i), "types": []string{eventType}}}
		if err := s.call("POST", "/c/1/subscriptions", token.Token, wish, &made); err != nil {
			return err
		}
		if !made.Data.Verified {
			return fmt.Errorf("subscription %d is not verified", i)
		}
	}
	return nil
}

// cpu gives the processor time the server has used so far.
func (s *server) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond // clock ticks of 1/100 s
}

// peak gives the server's greatest resident memory, in MiB.
func (s *server) peak() float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kib / 1024
		}
	}
	return 0
}

// load gives the machine's load average of the last minute.
func load() float64 {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	value, _ := strconv.ParseFloat(first, 64)
	return value
}
