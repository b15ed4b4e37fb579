// Package express serves the requests that a publisher sends one after the
// other on a kept connection, with a third of the work that net/http has with
// each. It takes a connection over from net/http at the first such request, and
// gives it back, with every byte that it has not used, at the first that is not
// as plain. What is not plain is net/http's to read, to answer and to refuse:
// nothing here is more lenient than it, as nothing here decides.
package express

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A Config says what a [Server] serves and how long it waits.
type Config struct {
	Handler http.Handler // serves every request, on whichever connection
	Path    string       // POST requests to it are taken over; nothing else is
	// Changed is told of connections that were taken over what the ConnState of
	// [http.Server] is told of others; nil = nobody is.
	Changed func(net.Conn, http.ConnState)
	Idle    time.Duration // how long a connection is kept without a request
	Head    time.Duration // how long the head of a request may take
	Body    time.Duration // how long the body of a request may take
	Write   time.Duration // how long writing an answer may take, at least half of it
}

// A Server is a handler for [http.Server], which also serves the connections it
// takes over. Its Returned must be served by that server too.
type Server struct {
	Config
	back  *returned
	loops sync.WaitGroup

	mu       sync.Mutex
	conns    map[*conn]bool
	stopping atomic.Bool // set under mu
}

// New makes a Server.
func New(c Config) *Server {
	if c.Changed == nil {
		c.Changed = func(net.Conn, http.ConnState) {}
	}
	return &Server{Config: c, conns: map[*conn]bool{}, back: newReturned()}
}

// Returned gives the listener of connections that are given back to net/http.
func (s *Server) Returned() net.Listener { return s.back }

// ServeHTTP serves the request, and, where it is a plain one to the path, those
// that follow on its connection.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.plain(r) {
		s.Handler.ServeHTTP(w, r)
		return
	}
	if c := s.takeOver(w, r); c != nil {
		defer s.left(c)
		c.serve(r)
		return
	}
	s.Handler.ServeHTTP(w, r)
}

// takeOver takes the connection of a request from net/http; nil where it stays.
func (s *Server) takeOver(w http.ResponseWriter, r *http.Request) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return nil
	}
	hijacked, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil // a recorder of a test, say
	}
	c := newConn(s, hijacked, buffered.Reader, r.RemoteAddr)
	s.conns[c] = true
	s.loops.Add(1)
	return c
}

// left forgets a connection that has ended or was given back.
func (s *Server) left(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.loops.Done()
}

// Shutdown ends connections without a request at once and the others after
// their answer, and waits for these. It gives the context's error where they
// take longer. It takes nothing over from then on.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopping.Store(true)
	for c := range s.conns {
		c.stop()
	}
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() { s.loops.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close cuts off every connection.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping.Store(true)
	var all []error
	for c := range s.conns {
		all = append(all, c.Close())
	}
	return errors.Join(append(all, s.back.Close())...)
}

// returned is the listener of connections that are given back.
type returned struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newReturned() *returned {
	return &returned{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// give hands a connection to whoever serves the listener. Nobody does once it is
// closed.
func (r *returned) give(c net.Conn) {
	select {
	case r.conns <- c:
	case <-r.closed:
		_ = c.Close()
	}
}

// Accept implements [net.Listener].
func (r *returned) Accept() (net.Conn, error) {
	select {
	case c := <-r.conns:
		return c, nil
	case <-r.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (r *returned) Close() error {
	r.once.Do(func() { close(r.closed) })
	return nil
}

// Addr implements [net.Listener].
func (r *returned) Addr() net.Addr { return &net.UnixAddr{Name: "returned", Net: "returned"} }
