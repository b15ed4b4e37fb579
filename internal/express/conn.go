package express

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
)

// headBytes is how long the head of a plain request may be.
const headBytes = 4 << 10

// What a connection is doing.
const (
	busy    = iota // with a request
	resting        // it has none
	ended          // by a shutdown, while it had none
)

// A conn is a connection that was taken over.
type conn struct {
	net.Conn
	server *Server
	known  net.Conn // as which it was taken over, and others know it
	from   *begunConn
	in     *bufio.Reader // of from
	last   frame         // of the last head
	remote string
	ctx    context.Context //nolint:containedctx // of its requests; ends with it
	cancel context.CancelFunc
	out    response

	doing   atomic.Int32
	readBy  time.Time // the deadlines in force
	writeBy time.Time
	goesOn  bool // with net/http
}

func newConn(s *Server, known net.Conn, buffered *bufio.Reader, remote string) *conn {
	begun, _ := buffered.Peek(buffered.Buffered())
	socket := known
	if before, ok := known.(*begunConn); ok { // it was given back, and may be again
		socket, begun = before.Conn, slices.Concat(begun, before.begun)
	}
	from := &begunConn{Conn: socket, begun: begun}
	ctx, cancel := context.WithCancel(context.Background())
	return &conn{
		Conn: socket, server: s, known: known, remote: remote, ctx: ctx, cancel: cancel,
		from: from, in: bufio.NewReaderSize(from, headBytes), out: response{header: http.Header{}},
	}
}

// A begunConn is a connection of which something was read already.
type begunConn struct {
	net.Conn
	begun []byte
}

// Read implements [net.Conn].
func (c *begunConn) Read(p []byte) (int, error) {
	if len(c.begun) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.begun)
	if c.begun = c.begun[n:]; len(c.begun) == 0 {
		c.begun = nil
	}
	return n, nil
}

// serve answers the request, whose body is still to be read, and those after it.
func (c *conn) serve(r *http.Request) {
	defer c.end()
	for r != nil && c.answer(r) {
		r = c.next()
	}
}

// end leaves the connection: to net/http, as if nothing had been read of the
// request that came last, or to nobody.
func (c *conn) end() {
	c.cancel()
	c.server.Changed(c.known, http.StateClosed) // given back, it comes anew
	if !c.goesOn || c.SetDeadline(time.Time{}) != nil {
		_ = c.Close() // whatever it says, nobody is left to be told
		return
	}
	unread, _ := c.in.Peek(c.in.Buffered())
	c.server.back.give(&begunConn{Conn: c.Conn, begun: slices.Concat(unread, c.from.begun)})
}

// stop ends a connection without a request; one with a request ends after it.
func (c *conn) stop() {
	if c.doing.CompareAndSwap(resting, ended) {
		_ = c.Close() // its loop finds out
	}
}

// next waits for the next request, and gives its head; nil where the connection
// is at its end, or given back.
func (c *conn) next() *http.Request {
	c.server.Changed(c.known, http.StateIdle)
	if c.within(c.server.Idle) != nil || !c.doing.CompareAndSwap(busy, resting) {
		return nil
	}
	if c.server.stopping.Load() {
		return nil
	}
	begun, err := c.in.Peek(4) // as net/http, which lets fewer pass for an end
	if !c.doing.CompareAndSwap(resting, busy) || err != nil {
		return nil
	}
	c.server.Changed(c.known, http.StateActive)
	// Old clients end the body of a POST with an empty line (RFC 9112, section 2.2).
	_, _ = c.in.Discard(len(begun) - len(bytes.TrimLeft(begun, "\r\n")))
	head, err := c.head()
	if err != nil {
		return nil
	}
	r := c.read(head)
	if r == nil {
		c.goesOn = true
		return nil
	}
	_, _ = c.in.Discard(len(head)) // it is there
	return r
}

// head waits for the head of a request, and gives it with the empty line at its
// end; nothing where it does not begin as plain ones do, is longer, or does not
// end.
func (c *conn) head() ([]byte, error) {
	for timed := false; ; timed = true {
		begun, _ := c.in.Peek(c.in.Buffered())
		if end := endOfHead(begun); end > 0 {
			return begun[:end], nil
		}
		if len(begun) == headBytes || !c.server.beginsPlain(begun) {
			return nil, nil
		}
		if !timed { // once: a byte now and then gains no time
			if err := c.within(c.server.Head); err != nil {
				return nil, err
			}
		}
		switch _, err := c.in.Peek(len(begun) + 1); {
		case err == io.EOF: //nolint:errorlint // bufio wraps none
			return nil, nil
		case err != nil:
			return nil, err
		}
	}
}

// within sets the time for what is to be read next. Where the one in force is
// shorter by a little it stays, as setting it costs more than many a reading.
func (c *conn) within(d time.Duration) error {
	by := time.Now().Add(d)
	if sooner := by.Sub(c.readBy); sooner >= 0 && sooner < d/32 {
		return nil
	}
	c.readBy = by
	return c.SetReadDeadline(by)
}

// answer serves a request; false where nothing may follow it.
func (c *conn) answer(r *http.Request) bool {
	body := &body{in: c.in, left: r.ContentLength}
	if int64(c.in.Buffered()) < body.left && c.within(c.server.Body) != nil {
		return false
	}
	r.Body = body
	c.out.reset()
	c.server.Handler.ServeHTTP(&c.out, r) // a panic is net/http's to recover from: this is its goroutine
	last := c.server.stopping.Load() || c.out.isLast()
	if !body.broken {
		// As net/http: what the handler has left is read before the answer is
		// written, for a client that reads nothing until it has sent all.
		_, _ = io.Copy(io.Discard, body)
		last = last || body.broken
	}
	return c.send(last) == nil && !body.broken && !last
}

// send sends the answer.
func (c *conn) send(last bool) error {
	now := time.Now()
	if c.writeBy.Sub(now) < c.server.Write/2 {
		c.writeBy = now.Add(c.server.Write)
		if err := c.SetWriteDeadline(c.writeBy); err != nil {
			return err
		}
	}
	_, err := c.Write(c.out.bytes(now, last))
	return err
}

// A body is as many of the bytes that come in as a request has said.
type body struct {
	in     io.Reader
	left   int64
	broken bool // it has not come whole
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.in.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if b.broken = err != nil && b.left > 0; b.broken && errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close implements [io.Closer].
func (*body) Close() error { return nil }
