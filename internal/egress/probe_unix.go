//go:build unix

package egress

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// A prober reads from a socket without waiting.
type prober struct {
	socket syscall.RawConn // nil = not a socket
	once   func(fd uintptr) bool

	into []byte
	n    int
	err  error
}

func (p *prober) watch(c net.Conn) {
	if s, ok := c.(syscall.Conn); ok {
		p.socket, _ = s.SyscallConn() // nil on error
	}
	p.once = func(fd uintptr) bool {
		p.n, p.err = syscall.Read(int(fd), p.into)
		return true // whatever came of it: do not wait
	}
}

// read gives what has come, or [os.ErrDeadlineExceeded] where nothing has: an
// error that TLS takes for passing.
func (p *prober) read(b []byte) (int, error) {
	if p.socket == nil {
		return 0, io.ErrUnexpectedEOF // nothing is known, so that it is not used again
	}
	p.into = b
	err := p.socket.Read(p.once)
	p.into = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(p.err, syscall.EAGAIN):
		return 0, os.ErrDeadlineExceeded
	case p.err != nil:
		return 0, p.err
	case p.n == 0:
		return 0, io.EOF
	}
	return p.n, nil
}
