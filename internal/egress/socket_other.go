//go:build !unix

package egress

import (
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
// error that TLS takes for passing. It moves the deadline for reading.
func (s *socket) glance(b []byte) (int, error) {
	if err := s.SetReadDeadline(time.Now().Add(glance)); err != nil {
		return 0, err
	}
	return s.Read(b)
}

// canAsk tells that ask is not possible.
func (*socket) canAsk() bool { return false }

func (*socket) ask(_, _ []byte) (written, n int, err error) { return 0, 0, nil }
