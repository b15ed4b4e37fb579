//go:build !unix

package egress

import (
	"net"
	"time"
)

// glance is how long a prober waits where it cannot but wait.
const glance = time.Millisecond

// A prober reads from a socket, and waits no longer than a glance.
type prober struct{ socket net.Conn }

func (p *prober) watch(c net.Conn) { p.socket = c }

// read gives what has come, or [os.ErrDeadlineExceeded] where nothing has: an
// error that TLS takes for passing. It moves the deadline for reading.
func (p *prober) read(b []byte) (int, error) {
	if err := p.socket.SetReadDeadline(time.Now().Add(glance)); err != nil {
		return 0, err
	}
	return p.socket.Read(b)
}
