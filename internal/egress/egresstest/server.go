// Package egresstest holds real servers that behave badly, and the suite of
// what a client that calls strangers must make of them. Every client of the
// program that sends to sinks has to pass [Run].
package egresstest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Server is a TCP server on loopback that counts what reaches it. It ends
// with its test.
type Server struct {
	// URL is the server's base URL with a literal address and no path.
	URL string
	// Addr is where it listens.
	Addr netip.AddrPort

	listener net.Listener
	handle   func(*Peer)
	requests atomic.Int64
	conns    atomic.Int64
	running  sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]struct{} // nil once the server has ended
}

// Serve starts a server that calls handle for every connection and closes the
// connection when it returns.
func Serve(t testing.TB, handle func(*Peer)) *Server {
	t.Helper()
	return serve(t, "127.0.0.1:0", "http", handle)
}

// ServeTLS is Serve with TLS. handle is called before the handshake.
func ServeTLS(t testing.TB, config *tls.Config, handle func(*Peer)) *Server {
	t.Helper()
	return serve(t, "127.0.0.1:0", "https", func(p *Peer) {
		secured := tls.Server(p.Conn, config)
		handle(&Peer{Conn: secured, r: bufio.NewReader(secured), server: p.server})
	})
}

func serve(t testing.TB, addr, scheme string, handle func(*Peer)) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		URL:  scheme + "://" + listener.Addr().String(),
		Addr: netip.MustParseAddrPort(listener.Addr().String()),

		listener: listener, handle: handle, open: map[net.Conn]struct{}{},
	}
	s.running.Go(s.accept)
	t.Cleanup(s.stop)
	return s
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.open == nil {
			s.mu.Unlock()
			_ = c.Close()
			return
		}
		s.open[c] = struct{}{}
		s.conns.Add(1)
		s.running.Go(func() {
			s.handle(&Peer{Conn: c, r: bufio.NewReader(c), server: s})
			_ = c.Close()
			s.mu.Lock()
			delete(s.open, c)
			s.mu.Unlock()
		})
		s.mu.Unlock()
	}
}

// stop ends the server and waits for its handlers.
func (s *Server) stop() {
	_ = s.listener.Close()
	s.mu.Lock()
	for c := range s.open {
		_ = c.Close()
	}
	s.open = nil
	s.mu.Unlock()
	s.running.Wait()
}

// Requests is how many requests have been read in full.
func (s *Server) Requests() int { return int(s.requests.Load()) }

// Conns is how many connections have been accepted.
func (s *Server) Conns() int { return int(s.conns.Load()) }

// A Peer is the server's end of one connection.
type Peer struct {
	net.Conn
	r      *bufio.Reader
	server *Server
}

// A Message is a request as it came over the wire.
type Message struct {
	Line   string   // the request line
	Fields []string // the header's lines, in the order and spelling sent
	Body   []byte
}

// ReadRequest reads the next request whose body has a Content-Length; false
// when none comes.
func (p *Peer) ReadRequest() (*Message, bool) {
	m := &Message{}
	length := 0
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			return nil, false
		}
		line = strings.TrimSuffix(line, "\r\n")
		if line == "" {
			break
		}
		if m.Line == "" {
			m.Line = line
			continue
		}
		m.Fields = append(m.Fields, line)
		if value, ok := strings.CutPrefix(strings.ToLower(line), "content-length: "); ok {
			length, _ = strconv.Atoi(value) // anything else would be a fault that the body shows
		}
	}
	m.Body = make([]byte, length)
	if _, err := io.ReadFull(p.r, m.Body); err != nil {
		return nil, false
	}
	p.server.requests.Add(1)
	return m, true
}

// Print writes text as it is; false when the client has gone.
func (p *Peer) Print(text string) bool {
	_, err := io.WriteString(p.Conn, text)
	return err == nil
}

// Pause waits; false when the client closes the connection meanwhile.
func (p *Peer) Pause(d time.Duration) bool {
	if err := p.SetReadDeadline(time.Now().Add(d)); err != nil {
		return false
	}
	_, err := p.r.Peek(1)
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded)
}

// AwaitClose waits until the client closes the connection or the server ends.
func (p *Peer) AwaitClose() { _, _ = io.Copy(io.Discard, p.r) }

// Reset makes the connection's close a TCP reset. It has no effect under TLS.
func (p *Peer) Reset() {
	if c, ok := p.Conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0) // without it the close is an orderly one, and the test says so
	}
}
