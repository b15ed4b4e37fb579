package egress_test

import (
	"net/http/httptrace"
	"runtime"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/egress/egresstest"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Both clients keep every rule for programs that call strangers.
func TestClient(t *testing.T) {
	egresstest.Run(t, func(p egress.Policy, o egress.Options) egresstest.Sender {
		return egress.NewClient(p, o)
	})
}

func TestNetHTTP(t *testing.T) {
	egresstest.Run(t, func(p egress.Policy, o egress.Options) egresstest.Sender {
		return egress.NewNetHTTP(p, o)
	})
}

// A server may close an idle connection at the very moment that it is chosen
// for the next request. As nothing of the request was sent, it goes out on a
// fresh connection, and the sink sees it once.
func TestIdleConnectionClosedBeforeTheRequestIsWritten(t *testing.T) {
	t.Parallel()
	hangUp := make(chan struct{}, 1)
	server := egresstest.Serve(t, func(p *egresstest.Peer) {
		if _, ok := p.ReadRequest(); ok {
			p.Print("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			<-hangUp
		}
	})
	client := egress.NewNetHTTP(egress.Policy{Dev: true}, egress.Options{})
	t.Cleanup(client.Close)
	request := &fattorino.Request{Method: "POST", URL: server.URL, Body: []byte("{}")}
	if a := client.Send(t.Context(), request); a.Status != 200 {
		t.Fatalf("the first request failed: %s", a.Detail)
	}
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		hangUp <- struct{}{} // for the old connection, then for the fresh one
		if info.Reused {
			awaitClosed(t, info)
		}
	}})
	if a := client.Send(ctx, request); a.Status != 200 {
		t.Errorf("the second request failed: %s", a.Detail)
	}
	if server.Requests() != 2 || server.Conns() != 2 {
		t.Errorf("the server read %d requests on %d connections, want 2 on 2", server.Requests(), server.Conns())
	}
}

// awaitClosed waits until net/http has noticed that the peer is gone, and has
// closed its end.
func awaitClosed(t *testing.T, info httptrace.GotConnInfo) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	for info.Conn.SetWriteDeadline(time.Time{}) == nil {
		if time.Now().After(end) {
			t.Error("the connection is still open")
			return
		}
		runtime.Gosched()
	}
}

// A contract may ask for a connection of its own for each request.
func TestConnectionCloseIsSentAndKept(t *testing.T) {
	t.Parallel()
	server := egresstest.Serve(t, func(p *egresstest.Peer) {
		for {
			r, ok := p.ReadRequest()
			if !ok {
				return
			}
			if !slices.Contains(r.Fields, "Connection: close") {
				t.Error("the request does not say Connection: close")
			}
			p.Print("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	client := egress.NewClient(egress.Policy{Dev: true}, egress.Options{})
	t.Cleanup(client.Close)
	request := &fattorino.Request{
		Method: "POST", URL: server.URL, Body: []byte("{}"),
		Header: []fattorino.Header{{Name: "Connection", Value: "close"}},
	}
	for range 3 {
		if a := client.Send(t.Context(), request); a.Status != 200 {
			t.Fatalf("the request failed: %s", a.Detail)
		}
	}
	if server.Conns() != 3 {
		t.Errorf("%d connections for 3 requests, want 3", server.Conns())
	}
}
