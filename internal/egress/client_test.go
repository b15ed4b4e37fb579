package egress_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/egress/egresstest"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A Client keeps every rule for programs that call strangers.
func TestClient(t *testing.T) {
	egresstest.Run(t, func(p egress.Policy, o egress.Options) egresstest.Sender {
		return egress.NewClient(p, o)
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
	client := egress.NewClient(egress.Policy{Dev: true}, egress.Options{})
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

// BenchmarkSend is the hot path: many exchanges at once with one sink that
// answers 200. BenchmarkNetHTTP makes the same exchanges with net/http alone.
func BenchmarkSend(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(receive))
	b.Cleanup(server.Close)
	client := egress.NewClient(egress.Policy{Dev: true}, egress.Options{})
	b.Cleanup(client.Close)
	ctx, request := b.Context(), notification(server.URL)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if a := client.Send(ctx, request); a.Status != http.StatusOK {
				b.Errorf("status %d, %s", a.Status, a.Detail)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "exchanges/s")
}

func BenchmarkNetHTTP(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(receive))
	b.Cleanup(server.Close)
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	b.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	ctx, request := b.Context(), notification(server.URL)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := post(ctx, client, request); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "exchanges/s")
}

// receive is a sink that takes a notification as sinks do.
func receive(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // a broken request shows at the client
	_, _ = io.WriteString(w, "ok")
}

func notification(url string) *fattorino.Request {
	return &fattorino.Request{
		Method: http.MethodPost, URL: url + "/hook?key=1",
		Header: []fattorino.Header{
			{Name: "Content-Type", Value: "application/json"},
			{Name: "Authorization", Value: "Bearer " + strings.Repeat("a", 400)},
			{Name: "Ce-Id", Value: "1:3f1d2a52-6b7b-4b8e-9a66-0b7f3f9d1c11"},
			{Name: "Ce-Type", Value: "it.fattureincloud.webhooks.issued_documents.invoices.create"},
			{Name: "Ce-Source", Value: "https://api-v2.fattureincloud.it"},
			{Name: "Ce-Time", Value: "2026-01-01T00:00:00Z"},
			{Name: "Ce-Subject", Value: "company:12345"},
			{Name: "Ce-Specversion", Value: "1.0"},
		},
		Body: []byte(`{"data":{"ids":[12345]}}`),
	}
}

// post is what a plain user of net/http would write.
func post(ctx context.Context, client *http.Client, r *fattorino.Request) error {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, strings.NewReader(string(r.Body)))
	if err != nil {
		return err
	}
	for _, f := range r.Header {
		req.Header.Set(f.Name, f.Value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return err
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
