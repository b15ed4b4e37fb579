//go:build unix

package egress

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// A socket does what [net.Conn] does not: it reads without waiting, and it
// writes a request and waits for the answer in one go.
type socket struct {
	raw syscall.RawConn // nil = not a socket

	// The steps, made once.
	reads func(fd uintptr) bool
	asks  func(fd uintptr) bool

	into []byte
	n    int
	err  error

	request []byte
	asked   time.Time // when it was written; zero = not yet
	written int       // bytes of it
}

func (s *socket) use(c net.Conn) {
	if c, ok := c.(syscall.Conn); ok {
		s.raw, _ = c.SyscallConn() // nil on error
	}
	s.reads, s.asks = s.readOnce, s.writeThenRead
}

// readOnce reads what has come, and does not wait.
func (s *socket) readOnce(fd uintptr) bool {
	s.n, s.err = syscall.Read(int(fd), s.into)
	return true
}

// writeThenRead writes the request, and the next time, when there is something
// to read, reads it.
func (s *socket) writeThenRead(fd uintptr) bool {
	if s.asked.IsZero() {
		n, _ := syscall.Write(int(fd), s.request) // whoever writes the rest hears what is wrong
		s.written, s.asked = max(n, 0), time.Now()
		return s.written < len(s.request)
	}
	for again := true; again; again = errors.Is(s.err, syscall.EINTR) {
		s.n, s.err = syscall.Read(int(fd), s.into)
	}
	return !errors.Is(s.err, syscall.EAGAIN)
}

// glance gives what has come, or [os.ErrDeadlineExceeded] where nothing has: an
// error that TLS takes for passing. It does not wait.
func (s *socket) glance(b []byte, _ time.Time) (int, error) {
	if s.raw == nil {
		return 0, io.ErrUnexpectedEOF // nothing is known, so that it is not used again
	}
	s.into = b
	err := s.raw.Read(s.reads)
	s.into = nil
	if err == nil && errors.Is(s.err, syscall.EAGAIN) {
		err = os.ErrDeadlineExceeded
	}
	return s.came(err)
}

// canAsk tells whether ask is possible.
func (s *socket) canAsk() bool { return s.raw != nil }

// ask writes the request and waits for what comes, which it reads into b: with
// a system call less than one after the other, of which the first read is made
// before anything can have come. Where the system does not take the whole of
// the request, it reads nothing, and the rest is left to the caller.
func (s *socket) ask(request, b []byte) (written, n int, err error) {
	s.request, s.written, s.asked, s.into = request, 0, time.Time{}, b
	err = s.raw.Read(s.asks)
	s.request, s.into = nil, nil
	if err == nil && s.written < len(request) {
		return s.written, 0, nil
	}
	n, err = s.came(err)
	return s.written, n, err
}

// came gives what was read, unless err says why nothing could be.
func (s *socket) came(err error) (int, error) {
	switch {
	case err != nil:
		return 0, err
	case s.err != nil:
		return 0, s.err
	case s.n == 0:
		return 0, io.EOF
	}
	return s.n, nil
}
