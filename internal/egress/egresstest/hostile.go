package egresstest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// pace is the time between two pieces of an answer that a server draws out.
const pace = 20 * time.Millisecond

// Answers starts a server that answers every request with the text, as it is,
// and keeps the connection.
func Answers(t testing.TB, text string) *Server {
	t.Helper()
	return Serve(t, func(p *Peer) { answerAll(p, text) })
}

func answerAll(p *Peer, text string) {
	for {
		if _, ok := p.ReadRequest(); !ok || !p.Print(text) {
			return
		}
	}
}

// AnswersOnce starts a server that answers with the text and then closes the
// connection.
func AnswersOnce(t testing.TB, text string) *Server {
	t.Helper()
	return Serve(t, func(p *Peer) {
		if _, ok := p.ReadRequest(); ok {
			p.Print(text)
		}
	})
}

// OK starts a server that answers 200 with a short body.
func OK(t testing.TB) *Server {
	t.Helper()
	return Answers(t, okAnswer)
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// Redirects starts a server that sends every request elsewhere.
func Redirects(t testing.TB, status int, location string) *Server {
	t.Helper()
	return Answers(t, fmt.Sprintf("HTTP/1.1 %d %s\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
		status, http.StatusText(status), location))
}

// GzipBomb starts a server whose body of 1 MB unpacks to 1 GB.
func GzipBomb(t testing.TB) *Server {
	t.Helper()
	var member bytes.Buffer
	w := gzip.NewWriter(&member)
	if _, err := w.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	const members = 1024 // a gzip stream may be many put together
	return Serve(t, func(p *Peer) {
		if _, ok := p.ReadRequest(); !ok {
			return
		}
		p.Print(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n",
			members*member.Len()))
		for range members {
			if _, err := p.Write(member.Bytes()); err != nil {
				return
			}
		}
	})
}

// begins starts a server that answers each request with start, and then with
// piece again and again until the client has had enough.
func begins(t testing.TB, start, piece string, wait time.Duration) *Server {
	t.Helper()
	return Serve(t, func(p *Peer) {
		if _, ok := p.ReadRequest(); !ok {
			return
		}
		for ok := p.Print(start); ok; {
			ok = p.Print(piece) && (wait == 0 || p.Pause(wait))
		}
	})
}

// SlowHeader starts a server that sends its header a byte at a time, for ever.
func SlowHeader(t testing.TB) *Server {
	t.Helper()
	return begins(t, "HTTP/1.1 200 OK\r\nX-Slow: ", "a", pace)
}

// EndlessHeader starts a server that sends header fields for ever.
func EndlessHeader(t testing.TB) *Server {
	t.Helper()
	return begins(t, "HTTP/1.1 200 OK\r\n", "X-More: "+strings.Repeat("a", 1000)+"\r\n", 0)
}

// EndlessInterim starts a server that sends interim answers for ever.
func EndlessInterim(t testing.TB) *Server {
	t.Helper()
	return begins(t, "", "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n", 0)
}

// DripBody starts a server that answers 200 at once and sends its body a byte
// at a time.
func DripBody(t testing.TB) *Server {
	t.Helper()
	return begins(t, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "a", pace)
}

// EndlessBody starts a server that sends chunks for ever.
func EndlessBody(t testing.TB) *Server {
	t.Helper()
	return begins(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"400\r\n"+strings.Repeat("a", 0x400)+"\r\n", 0)
}

// NeverReads starts a server that accepts connections and reads nothing. Its
// receive buffer is small, so that a large request gets stuck.
func NeverReads(t testing.TB) *Server {
	t.Helper()
	ended := make(chan struct{})
	s := Serve(t, func(p *Peer) {
		if c, ok := p.Conn.(*net.TCPConn); ok {
			_ = c.SetReadBuffer(4096) // else the request must be larger to get stuck
		}
		<-ended
	})
	t.Cleanup(func() { close(ended) }) // before the server's own cleanup
	return s
}

// NeverAnswers starts a server that reads requests and says nothing.
func NeverAnswers(t testing.TB) *Server {
	t.Helper()
	return Serve(t, func(p *Peer) {
		if _, ok := p.ReadRequest(); ok {
			p.AwaitClose()
		}
	})
}

// Switches starts a server that answers 101 and keeps the connection open. The
// channel is closed when the client closes it.
func Switches(t testing.TB) (*Server, <-chan struct{}) {
	t.Helper()
	closed := make(chan struct{})
	return Serve(t, func(p *Peer) {
		if _, ok := p.ReadRequest(); ok {
			p.Print("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nwelcome")
			p.AwaitClose()
			close(closed)
		}
	}), closed
}

// RefusesEarly starts a server that reads a piece of a request, answers 413 and
// reads no more. It keeps the connection, or closes it by a TCP reset.
func RefusesEarly(t testing.TB, reset bool) *Server {
	t.Helper()
	ended := make(chan struct{})
	s := Serve(t, func(p *Peer) {
		if c, ok := p.Conn.(*net.TCPConn); ok {
			_ = c.SetReadBuffer(4096) // else the request must be larger to get stuck
		}
		if _, err := p.r.Peek(1); err != nil {
			return
		}
		p.Print("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		if reset {
			p.Reset()
			return
		}
		<-ended
	})
	t.Cleanup(func() { close(ended) }) // before the server's own cleanup
	return s
}

// ClosesEarly starts a server that reads a request and closes the connection;
// by a TCP reset if asked.
func ClosesEarly(t testing.TB, reset bool) *Server {
	t.Helper()
	return Serve(t, func(p *Peer) {
		if _, ok := p.ReadRequest(); ok && reset {
			p.Reset()
		}
	})
}

// BreaksBody starts a server that promises more body than it sends before it
// closes the connection; by a TCP reset if asked (Linux still hands over what
// came before one).
func BreaksBody(t testing.TB, reset bool) *Server {
	t.Helper()
	return Serve(t, func(p *Peer) {
		if _, ok := p.ReadRequest(); !ok {
			return
		}
		p.Print("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it")
		if reset {
			p.Reset()
		}
	})
}

// ClosesOnSecond starts a server that answers the first request of each
// connection, reads the second one in full, and closes the connection.
func ClosesOnSecond(t testing.TB) *Server {
	t.Helper()
	return Serve(t, func(p *Peer) {
		if _, ok := p.ReadRequest(); ok && p.Print(okAnswer) {
			p.ReadRequest()
		}
	})
}

// ClosesIdle starts a server that closes each connection after its first
// answer without having said so.
func ClosesIdle(t testing.TB) *Server {
	t.Helper()
	return AnswersOnce(t, okAnswer)
}

// Refuses gives the URL of a port on which nothing listens any more.
func Refuses(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return "http://" + l.Addr().String()
}
