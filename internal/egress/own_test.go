package egress_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/egress/egresstest"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// What net/http leaves to chance, our own HTTP/1.1 does not.

func newClient(t *testing.T, o egress.Options) *egress.Client {
	t.Helper()
	client := egress.NewClient(egress.Policy{Dev: true}, o)
	t.Cleanup(client.Close)
	return client
}

func notify(url string) *fattorino.Request {
	return &fattorino.Request{Method: "POST", URL: url, Body: []byte("{}")}
}

// Given a sink that sends more than its answer, when the next request goes out,
// then it goes out on another connection, and what was too much is no answer to
// it.
func TestWhatFollowsAnAnswerIsNoAnswer(t *testing.T) {
	t.Parallel()
	const second = "HTTP/1.1 500 Second\r\nContent-Length: 0\r\n\r\n"
	for name, row := range map[string]struct {
		answer string
		status int
	}{
		"after a length":      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + second, 200},
		"after chunks":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second, 200},
		"after 204":           {"HTTP/1.1 204 No Content\r\n\r\n" + second, 204},
		"the body of a 204":   {"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", 204},
		"the chunks of a 204": {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204},
		"chunks and a length": {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := egresstest.Answers(t, row.answer)
			client := newClient(t, egress.Options{})
			for range 3 {
				if a := client.Send(t.Context(), notify(server.URL)); a.Status != row.status {
					t.Errorf("status is %d (%s), want %d", a.Status, a.Detail, row.status)
				}
			}
			if server.Conns() != 3 {
				t.Errorf("%d connections for 3 requests, want 3", server.Conns())
			}
		})
	}
}

// Given a sink that answers and resets the connection without having read the
// request, then its answer counts, however long the request.
func TestEarlyAnswerSurvivesAReset(t *testing.T) {
	t.Parallel()
	for _, size := range []int{2, 60_000, 32 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			server := egresstest.RefusesEarly(t, true)
			client := newClient(t, egress.Options{})
			r := notify(server.URL)
			r.Body = make([]byte, size)
			for range 20 {
				if a := client.Send(t.Context(), r); a.Status != 413 {
					t.Errorf("status is %d (%s), want 413", a.Status, a.Detail)
				}
			}
		})
	}
}

// Given a sink that says how long it keeps a connection, then none is used when
// that time is almost over.
func TestConnectionIsNotUsedWhenTheSinkIsAboutToCloseIt(t *testing.T) {
	t.Parallel()
	for patience, want := range map[int]int{1: 3, 600: 1} {
		server := egresstest.Answers(t, fmt.Sprintf("HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=%d\r\n\r\n", patience))
		client := newClient(t, egress.Options{})
		for range 3 {
			if a := client.Send(t.Context(), notify(server.URL)); a.Status != 204 {
				t.Fatalf("status is %d (%s)", a.Status, a.Detail)
			}
		}
		if server.Conns() != want {
			t.Errorf("%d connections for 3 requests to a sink that keeps them for %d s, want %d", server.Conns(), patience, want)
		}
	}
}

// Given a long request that the sink reads before it answers, then the
// connection is kept.
func TestConnectionIsKeptAfterALongRequest(t *testing.T) {
	t.Parallel()
	server := egresstest.OK(t)
	client := newClient(t, egress.Options{})
	r := notify(server.URL)
	r.Body = make([]byte, 8<<20)
	for range 3 {
		if a := client.Send(t.Context(), r); a.Status != 200 {
			t.Fatalf("status is %d (%s)", a.Status, a.Detail)
		}
	}
	if server.Conns() != 1 {
		t.Errorf("%d connections for 3 requests, want 1", server.Conns())
	}
}

// Given a sink with HTTP/2, then HTTP/1.1 is spoken where it can be.
func TestHTTP2IsSpokenToThoseAlone(t *testing.T) {
	t.Parallel()
	authority := egresstest.NewAuthority(t)
	resolver := egresstest.Names(t, egresstest.Zone{egresstest.Addrs("127.0.0.1")}, "")
	client := newClient(t, egress.Options{RootCAs: authority.Pool, Resolver: resolver})
	both, _ := egresstest.HTTP2(t, authority, "h2", "http/1.1")
	alone, _ := egresstest.HTTP2(t, authority, "h2")
	for range 2 {
		for port, want := range map[uint16]string{both.Port(): "HTTP/1.1", alone.Port(): "HTTP/2.0"} {
			a := client.Send(t.Context(), notify(fmt.Sprintf("https://%s:%d", egresstest.Host, port)))
			if string(a.Body) != want {
				t.Errorf("the sink was spoken to in %q, want %s (%s)", a.Body, want, a.Detail)
			}
		}
	}
}

// Given a connection that is kept, then each exchange on it has its own time:
// neither the end of an earlier one's, nor what that had left.
func TestEachExchangeOfAConnectionHasItsOwnTime(t *testing.T) {
	t.Parallel()
	server := egresstest.Serve(t, func(p *egresstest.Peer) {
		for n := 1; ; n++ {
			if _, ok := p.ReadRequest(); !ok {
				return
			}
			if n == 2 {
				p.Pause(500 * time.Millisecond) // until the first would have ended
				_ = p.SetReadDeadline(time.Time{})
			}
			if n < 4 {
				p.Print("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		}
	})
	client := newClient(t, egress.Options{TotalTimeout: time.Minute})
	brief := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	for n, ctx := range []context.Context{brief(), t.Context(), t.Context()} {
		if a := client.Send(ctx, notify(server.URL)); a.Status != 200 {
			t.Fatalf("exchange %d: status is %d (%s)", n+1, a.Status, a.Detail)
		}
	}
	a := client.Send(brief(), notify(server.URL))
	if a.Failure != fattorino.FailedTimeout || a.Timing.Total > 30*time.Second {
		t.Errorf("failure is %q (%s) after %v", a.Failure, a.Detail, a.Timing.Total)
	}
	if server.Conns() != 1 {
		t.Errorf("%d connections, want 1", server.Conns())
	}
}

// Given a context that ends while the sink is silent, then so does the
// exchange.
func TestExchangeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"a short request": 2, "a long one": 32 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			server := egresstest.Serve(t, func(p *egresstest.Peer) {
				if _, err := p.Read(make([]byte, 1)); err == nil {
					cancel()
				}
				<-t.Context().Done() // and the rest is not read
			})
			r := notify(server.URL)
			r.Body = make([]byte, size)
			client := newClient(t, egress.Options{TotalTimeout: time.Minute})
			a := client.Send(ctx, r)
			if a.Failure != fattorino.FailedTimeout || a.Timing.Total > 30*time.Second {
				t.Errorf("failure is %q (%s) after %v", a.Failure, a.Detail, a.Timing.Total)
			}
		})
	}
}

// Given a context that has ended, then nothing is sent.
func TestNothingIsSentForAnEndedContext(t *testing.T) {
	t.Parallel()
	server := egresstest.OK(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a := newClient(t, egress.Options{}).Send(ctx, notify(server.URL)); a.Failure != fattorino.FailedTimeout {
		t.Errorf("failure is %q, status %d", a.Failure, a.Status)
	}
	if server.Conns() != 0 {
		t.Error("the sink was connected to")
	}
}

// Given exchanges that wait for their answers, then none has a
// goroutine beside the one that called Send.
func TestExchangesNeedNoGoroutines(t *testing.T) {
	const exchanges = 50
	reached, answer := make(chan struct{}), make(chan struct{})
	server := egresstest.Serve(t, func(p *egresstest.Peer) {
		if _, ok := p.ReadRequest(); ok {
			reached <- struct{}{}
			<-answer
			p.Print("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	client := newClient(t, egress.Options{})
	before := runtime.NumGoroutine()
	done := make(chan int)
	for range exchanges {
		go func() { done <- client.Send(t.Context(), notify(server.URL)).Status }()
		<-reached
	}
	// For each exchange: its caller, and the server that it waits for.
	if more := runtime.NumGoroutine() - before; more > 2*exchanges {
		t.Errorf("%d goroutines for %d exchanges, want %d", more, exchanges, 2*exchanges)
	}
	close(answer)
	for range exchanges {
		if status := <-done; status != 200 {
			t.Errorf("status is %d", status)
		}
	}
}
