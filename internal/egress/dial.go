package egress

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A dialer makes connections to sinks. Name, connection and TLS together take
// no longer than its timeout.
type dialer struct {
	guard   *guard
	secure  net.Dialer // for connections that TLS will run on
	plain   net.Dialer // for plain ones
	tls     *tls.Config
	timeout time.Duration
}

// newDialer makes a dialer that offers the given protocols of HTTP, by their
// names in TLS (RFC 7301, section 6).
func newDialer(p Policy, o Options, protocols ...string) *dialer {
	g := newGuard(p)
	return &dialer{
		guard:   g,
		secure:  net.Dialer{Resolver: o.Resolver, ControlContext: g.checkDial},
		plain:   net.Dialer{Resolver: o.Resolver, ControlContext: g.checkPlainDial},
		timeout: o.ConnectTimeout,
		tls: &tls.Config{
			MinVersion: tls.VersionTLS12,
			RootCAs:    o.RootCAs,
			NextProtos: protocols,
			// A sink that closed its idle connection is not made to prove
			// itself by a full handshake again.
			ClientSessionCache: tls.NewLRUClientSessionCache(sessionsKept),
		},
	}
}

// sessionsKept is how many sinks' TLS sessions are remembered.
const sessionsKept = 512

// dial makes a connection for a target.
func (d *dialer) dial(ctx context.Context, to target) (*conn, error) {
	way := d.dialPlain
	if to.origin.scheme == "https" {
		way = d.dialTLS
	}
	stream, err := way(ctx, "tcp", to.address())
	if err != nil {
		return nil, err
	}
	c := connOf(stream)
	c.stream, c.origin = stream, to.origin
	return c, nil
}

// dialPlain makes a connection without TLS, a *conn; it has the form of
// [http.Transport.DialContext].
func (d *dialer) dialPlain(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	c, err := d.connect(ctx, &d.plain, network, addr)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// dialTLS makes a connection and secures it: it gives a [*tls.Conn] on a
// *conn. It has the form of [http.Transport.DialTLSContext].
func (d *dialer) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	c, err := d.connect(ctx, &d.secure, network, addr)
	if err != nil {
		return nil, err
	}
	config := d.tls.Clone()
	config.ServerName, _, _ = net.SplitHostPort(addr) // connect has split it before
	start := time.Now()
	secured := tls.Client(c, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		c.cut() // nothing was sent that a clean end could save
		return nil, tlsFailure(err)
	}
	c.tls = time.Since(start)
	return secured, nil
}

func (d *dialer) connect(ctx context.Context, via *net.Dialer, network, addr string) (*conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, connectFailure(err)
	}
	if !d.guard.allowsHost(host) {
		return nil, &failedError{failure: fattorino.FailedAddress, detail: "the sink is this service itself"}
	}
	start := time.Now()
	var dns time.Duration
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone: func(httptrace.DNSDoneInfo) { dns = time.Since(start) },
	})
	socket, err := via.DialContext(ctx, network, addr)
	if err != nil {
		return nil, connectFailure(err)
	}
	c := newConn(socket)
	c.dns, c.connect = dns, time.Since(start)-dns
	return c, nil
}
