package egress

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A conn knows how long it took to make and how much was written to it.
type conn struct {
	net.Conn
	written atomic.Int64

	dns, connect, tls time.Duration
}

// Write writes b and counts what went out.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}

// A dialer makes connections to sinks. Name, connection and TLS together take
// no longer than its timeout.
type dialer struct {
	guard   *guard
	secure  net.Dialer // for connections that TLS will run on
	plain   net.Dialer // for plain ones
	tls     *tls.Config
	timeout time.Duration
}

func newDialer(p Policy, o Options) *dialer {
	g := newGuard(p)
	return &dialer{
		guard:   g,
		secure:  net.Dialer{Resolver: o.Resolver, ControlContext: g.checkDial},
		plain:   net.Dialer{Resolver: o.Resolver, ControlContext: g.checkPlainDial},
		timeout: o.ConnectTimeout,
		tls: &tls.Config{
			MinVersion: tls.VersionTLS12,
			RootCAs:    o.RootCAs,
			NextProtos: []string{"http/1.1"},
			// A sink that closed its idle connection is not made to prove
			// itself by a full handshake again.
			ClientSessionCache: tls.NewLRUClientSessionCache(sessionsKept),
		},
	}
}

// sessionsKept is how many sinks' TLS sessions are remembered.
const sessionsKept = 512

// dialPlain makes a connection without TLS; it has the form of
// [http.Transport.DialContext].
func (d *dialer) dialPlain(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	c, err := d.dial(ctx, &d.plain, network, addr)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// dialTLS makes a connection and secures it; it has the form of
// [http.Transport.DialTLSContext].
func (d *dialer) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	c, err := d.dial(ctx, &d.secure, network, addr)
	if err != nil {
		return nil, err
	}
	config := d.tls.Clone()
	config.ServerName, _, _ = net.SplitHostPort(addr) // dial has split it before
	start := time.Now()
	secured := tls.Client(c.Conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = c.Close() // nothing was sent that a clean end could save
		return nil, tlsFailure(err)
	}
	c.Conn, c.tls = secured, time.Since(start)
	return c, nil
}

func (d *dialer) dial(ctx context.Context, via *net.Dialer, network, addr string) (*conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, connectFailure(err)
	}
	if !d.guard.allowsHost(host) {
		return nil, &failedError{fattorino.FailedAddress, "the sink is this service itself"}
	}
	c := &conn{}
	start := time.Now()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone: func(httptrace.DNSDoneInfo) { c.dns = time.Since(start) },
	})
	c.Conn, err = via.DialContext(ctx, network, addr)
	if err != nil {
		return nil, connectFailure(err)
	}
	c.connect = time.Since(start) - c.dns
	return c, nil
}
