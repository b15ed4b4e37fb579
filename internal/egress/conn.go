package egress

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// A conn is one connection to a sink. What is written to it goes to its
// stream: the connection itself, or TLS on it.
type conn struct {
	net.Conn
	origin  origin
	stream  net.Conn
	written atomic.Int64 // bytes that went out, those of TLS included

	dns, connect, tls time.Duration // how long it took to make

	// For the one exchange that has the connection, or for the pool.
	used    bool      // an exchange has used it
	bound   time.Time // its deadline; zero = another holds for writing
	until   time.Time // when the sink is about to close it; zero = not known
	probing bool      // Read does not wait
	socket  socket
	byte    [1]byte // what quiet reads into
	unsaid  []byte  // a request that goes out when its answer is read for
	failed  error   // why it could not be written to its end
	last    lastHead

	idle idle // the pool's
}

func newConn(socket net.Conn) *conn {
	c := &conn{Conn: socket}
	c.socket.use(socket)
	return c
}

// Read reads what has come, and waits for it but for when it is probing.
func (c *conn) Read(b []byte) (int, error) {
	switch {
	case c.probing:
		return c.socket.glance(b, c.bound)
	case c.unsaid != nil:
		return c.readAnswer(b)
	}
	return c.Conn.Read(b)
}

// canAsk tells whether a request that is left unsaid goes out with the first
// read for its answer. TLS writes what it wants when it wants.
func (c *conn) canAsk() bool { return c.stream == net.Conn(c) && c.socket.canAsk() }

// readAnswer says what is unsaid and reads the first of what is answered. The
// sink may have answered before it had read the request to its end.
func (c *conn) readAnswer(b []byte) (int, error) {
	request := c.unsaid
	c.unsaid = nil
	written, n, err := c.socket.ask(request, b)
	c.written.Add(int64(written))
	if err != nil || written == len(request) {
		return n, err
	}
	if _, c.failed = c.Write(request[written:]); isTimeout(c.failed) {
		return 0, c.failed
	}
	return c.Conn.Read(b)
}

// Write writes b and counts what went out.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}

// lateness is how much longer than its time an exchange may take: for so long a
// connection's deadline serves the exchanges after it too, which come thousands
// in a second.
const lateness = 50 * time.Millisecond

// endBy sets the deadline of an exchange.
func (c *conn) endBy(deadline time.Time) error {
	if late := c.bound.Sub(deadline); 0 <= late && late <= lateness {
		return nil
	}
	c.bound = deadline.Add(lateness)
	return c.SetDeadline(c.bound)
}

// farewell is how long the last words of TLS may take.
const farewell = 100 * time.Millisecond

// SetWriteDeadline sets a deadline for writing, of a short time at most:
// crypto/tls calls it before its last words alone, and would wait seconds for
// a sink that does not read them.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if latest := time.Now().Add(farewell); t.After(latest) {
		t = latest
	}
	c.bound = time.Time{}
	return c.Conn.SetWriteDeadline(t)
}

// haste is how long before a sink would close an idle connection it is not
// used any more, so that no request crosses with the end.
const haste = time.Second

// keepFor notes how long the sink keeps the connection from now on; 0 = not
// known.
func (c *conn) keepFor(patience time.Duration) {
	c.until = time.Time{}
	if patience > 0 {
		c.until = time.Now().Add(patience - haste)
	}
}

// expired tells whether the sink is about to close the connection.
func (c *conn) expired() bool { return !c.until.IsZero() && !time.Now().Before(c.until) }

// quiet tells whether a connection that was kept is as it was left: the sink
// has not closed it, and has sent nothing that no request asked for, which
// would be taken for the answer to the next one. It does not wait. The
// connection's deadline must lie ahead.
func (c *conn) quiet() bool {
	c.probing = true
	n, err := c.stream.Read(c.byte[:]) // TLS takes what is meant for it alone
	c.probing = false
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// abort makes whoever reads or writes give up.
func (c *conn) abort() { _ = c.SetDeadline(time.Unix(1, 0)) } // else it ends at its deadline

// close ends a connection in an orderly way, on which an exchange came to its
// end.
func (c *conn) close() { _ = c.stream.Close() } // nobody waits for what it says

// cut ends a connection at once, whatever is under way on it.
func (c *conn) cut() { _ = c.Conn.Close() }
