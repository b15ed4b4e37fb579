//go:build !unix

package egress

import (
	"cmp"
	"net"
	"time"
)

// glance is how long a socket waits where it cannot but wait.
const glance = time.Millisecond

// A socket reads and waits no longer than a glance.
type socket struct {
	net.Conn
	asked time.Time
}

func (s *socket) use(c net.Conn) { s.Conn = c }

// glance gives what has come, or [os.ErrDeadlineExceeded] where nothing has: an
// error that TLS takes for passing. The deadline for reading, which it moves, is
// as it was when it returns.
func (s *socket) glance(b []byte, deadline time.Time) (int, error) {
	if err := s.SetReadDeadline(time.Now().Add(glance)); err != nil {
		return 0, err
	}
	n, err := s.Read(b)
	return n, cmp.Or(err, s.SetReadDeadline(deadline))
}

// canAsk tells that ask is not possible.
func (*socket) canAsk() bool { return false }

func (*socket) ask(_, _ []byte) (written, n int, err error) { return 0, 0, nil }
