package egress

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// pair gives both ends of a connection over loopback, ours as the dialer makes
// it.
func pair(t *testing.T) (ours *conn, theirs net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialer := newDialer(Policy{Dev: true}, Options{}.withDefaults())
	to, err := Policy{Dev: true}.target("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if ours, err = dialer.dial(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ours.cut)
	if theirs, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = theirs.Close() })
	if err := ours.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// Given a connection on which nothing happens, then it is quiet.
func TestQuiet(t *testing.T) {
	t.Parallel()
	ours, _ := pair(t)
	for range 3 {
		if !ours.quiet() {
			t.Fatal("the connection is not quiet")
		}
	}
}

// Given a connection that is kept, when the sink closes it or says something,
// then it is not quiet any more.
func TestNotQuiet(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(net.Conn) error{
		"closed": net.Conn.Close,
		"reset":  func(c net.Conn) error { _ = c.(*net.TCPConn).SetLinger(0); return c.Close() },
		"spoken": func(c net.Conn) error { _, err := c.Write([]byte("HTTP/1.1 200 OK\r\n")); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := pair(t)
			if err := act(theirs); err != nil {
				t.Fatal(err)
			}
			until(t, func() bool { return !ours.quiet() })
		})
	}
}

// Given a connection with TLS, when the sink sends what is meant for TLS alone,
// as session tickets are, then it stays quiet; until the sink closes it.
func TestQuietUnderTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	t.Cleanup(server.Close)
	authorities := x509.NewCertPool()
	authorities.AddCert(server.Certificate())
	dialer := newDialer(Policy{Dev: true}, Options{RootCAs: authorities}.withDefaults(), "http/1.1")
	sessions := &tickets{ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	dialer.tls.ClientSessionCache = sessions
	to, err := Policy{Dev: true}.target(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := dialer.dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.cut)
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool {
		if !c.quiet() {
			t.Fatal("the connection is not quiet")
		}
		return sessions.put.Load() > 0
	})
	server.CloseClientConnections()
	until(t, func() bool { return !c.quiet() })
}

// Given kept connections that the sink has closed, or on which it has spoken,
// when the next request is sent, then it goes out on a fresh one and is
// answered by what comes there.
func TestRequestsGoOutOnQuietConnectionsOnly(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(nil)
	t.Cleanup(server.Close)
	client := NewClient(Policy{Dev: true}, Options{})
	t.Cleanup(client.Close)
	to, err := client.targets.read(server.URL, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, act := range []func(net.Conn) error{
		net.Conn.Close,
		func(c net.Conn) error {
			_, err := c.Write([]byte("HTTP/1.1 200 Wrong\r\nContent-Length: 0\r\n\r\n"))
			return err
		},
	} {
		ours, theirs := pair(t)
		if err := act(theirs); err != nil {
			t.Fatal(err)
		}
		until(t, func() bool { return !ours.quiet() }) // this takes one byte of what was said, and leaves the rest
		ours.used, ours.origin = true, to.origin
		client.pool.put(ours, time.Now())
	}
	if a := client.Send(t.Context(), &fattorino.Request{Method: "POST", URL: server.URL, Body: []byte("{}")}); a.Status != 404 {
		t.Errorf("status is %d (%s), want the server's 404", a.Status, a.Detail)
	}
}

// Given a sink that has answered and gone before the request could be written,
// then its answer counts, and the connection is not kept.
func TestAnswerOfASinkThatHasGone(t *testing.T) {
	t.Parallel()
	x, _ := asking(t, gone(t, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), []byte("{}"))
	if h, err := x.run(t.Context(), &watcher{}); err != nil || h.status != 503 {
		t.Errorf("status is %d, error %v; want 503", h.status, err)
	} else if x.take(&fattorino.Answer{}, h, maxBody) {
		t.Error("the connection is kept")
	}
}

// Given a kept connection that ends between the last look at it and the request,
// then nothing was sent, whatever the sink said before it left, and the request
// is as it was, to go out on another.
func TestNothingSentToASinkThatHasGone(t *testing.T) {
	t.Parallel()
	x, request := asking(t, gone(t, "HTTP/1.1 408 Idle\r\nContent-Length: 0\r\n\r\n"), []byte("{}"))
	x.reused = true
	before := string(x.out.whole(request.Body))
	if _, err := x.converse(); !errors.Is(err, errUnsent) {
		t.Errorf("error %v, want that nothing was sent", err)
	}
	if after := string(x.out.whole(request.Body)); after != before {
		t.Errorf("the request has become %q", after)
	}
}

// asking gives an exchange that is about to send a request with the body.
func asking(t *testing.T, on *conn, body []byte) (*exchange, *fattorino.Request) {
	t.Helper()
	x := newExchange()
	request := &fattorino.Request{Method: "POST", Body: body}
	x.begin(t.Context(), request, time.Minute)
	if err := x.out.write(request, target{path: "/", field: "sink.example"}); err != nil {
		t.Fatal(err)
	}
	x.conn = on
	return x, request
}

// gone gives our end of a connection that the sink has reset, after it said
// something.
func gone(t *testing.T, said string) *conn {
	t.Helper()
	ours, theirs := pair(t)
	if _, err := theirs.Write([]byte(said)); err != nil {
		t.Fatal(err)
	}
	_ = theirs.(*net.TCPConn).SetLinger(0)
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { _, err := ours.Conn.Write([]byte{0}); return err != nil })
	return ours
}

// tickets counts the sessions that TLS keeps.
type tickets struct {
	tls.ClientSessionCache
	put atomic.Int64
}

func (s *tickets) Put(key string, state *tls.ClientSessionState) {
	s.put.Add(1)
	s.ClientSessionCache.Put(key, state)
}

// until waits for something that comes soon.
func until(t *testing.T, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !happened(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("it did not happen")
		}
	}
}
