package app

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestARequestThatDoesNotEndIsCutOff(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	listener, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &App{log: slog.New(slog.NewTextHandler(&log, nil)), listener: listener, failed: make(chan error, 1)}
	begun := make(chan struct{})
	a.server = newServer(a.log, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		_, _ = io.Copy(io.Discard, r.Body)
	}), newConnections(10))
	go a.serve()
	client, err := net.Dial("tcp", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := io.WriteString(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegin"); err != nil {
		t.Fatal(err)
	}
	<-begun

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := a.finishRequests(ctx); err != nil {
		t.Errorf("cutting off is no error of ours: %v", err)
	}
	if answer, err := io.ReadAll(client); len(answer) > 0 {
		t.Errorf("the request was answered with %q, and then %v", answer, err)
	}
	if !strings.Contains(log.String(), "cut off") {
		t.Error("nothing in the log tells of it")
	}
}

func TestAServerThatFailsSaysSo(t *testing.T) {
	t.Parallel()
	listener, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &App{listener: listener, failed: make(chan error, 1)}
	a.server = newServer(slog.New(slog.DiscardHandler), http.NotFoundHandler(), newConnections(10))
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	a.serve()
	if err := <-a.Failed(); err == nil {
		t.Error("the server ended without a reason")
	}
}
