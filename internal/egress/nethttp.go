package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A netHTTP makes exchanges with [http.Transport], for the sinks that this
// package's own HTTP/1.1 cannot speak to: those that want HTTP/2.
type netHTTP struct {
	policy  Policy
	options Options
	pooled  *http.Transport
	fresh   *http.Transport // a connection for each exchange
}

func newNetHTTP(p Policy, o Options) *netHTTP {
	d := newDialer(p, o, "h2", "http/1.1")
	c := &netHTTP{policy: p, options: o, pooled: newTransport(d, o), fresh: newTransport(d, o)}
	c.fresh.DisableKeepAlives = true
	return c
}

// newTransport makes a transport that goes through no proxy whatever the
// environment says, and decompresses nothing.
func newTransport(d *dialer, o Options) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Transport{
		DialContext:            d.dialPlain,
		DialTLSContext:         d.dialTLS,
		Protocols:              &protocols,
		DisableCompression:     true,
		MaxIdleConns:           o.MaxIdle,
		MaxIdleConnsPerHost:    o.MaxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
	}
}

// Close closes the connections that are not in use.
func (c *netHTTP) Close() {
	c.pooled.CloseIdleConnections()
	c.fresh.CloseIdleConnections()
}

// Send makes one exchange, on the terms of [Client.Send].
func (c *netHTTP) Send(ctx context.Context, r *fattorino.Request) *fattorino.Answer {
	x := newTrace()
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.options.TotalTimeout)
		defer cancel()
	}
	a := &fattorino.Answer{}
	resp, err := c.roundTrip(x.traced(ctx), x, r)
	if err != nil {
		fail(a, exchangeFailure(ctx, err, x.conn != nil, x.firstByte.Load() != 0))
	} else {
		c.take(a, resp)
	}
	a.Timing = x.timing()
	return a
}

// roundTrip sends r and reads the answer's status line and header.
//
// net/http repeats a request of its own accord when a kept-alive connection
// breaks, if the request has no body, or has one that can be read again and an
// Idempotency-Key. Nothing here may be sent twice: bodies are given in a form
// that can be read once, and requests without one get a fresh connection, on
// which net/http never repeats.
func (c *netHTTP) roundTrip(ctx context.Context, x *trace, r *fattorino.Request) (*http.Response, error) {
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	if len(r.Body) == 0 || wantsClose(r.Header) {
		return c.fresh.RoundTrip(req)
	}
	resp, err := c.pooled.RoundTrip(req)
	if err == nil || ctx.Err() != nil || !x.unsent() {
		return resp, err
	}
	// The sink closed the idle connection before a byte of the request was
	// written, so that it can go out on another as if nothing had happened.
	if req, err = c.newRequest(ctx, r); err != nil {
		return nil, err
	}
	return c.fresh.RoundTrip(req)
}

func (c *netHTTP) newRequest(ctx context.Context, r *fattorino.Request) (*http.Request, error) {
	if _, err := c.policy.target(r.URL); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, nil)
	if err != nil { // its text repeats the URL, so it is not passed on
		return nil, unwritable()
	}
	if len(r.Body) > 0 {
		// net/http sends header and body in one write only for readers that it
		// knows, of which this is one.
		req.Body = io.NopCloser(bytes.NewReader(r.Body))
		req.ContentLength = int64(len(r.Body))
	}
	req.Header = netHeader(r.Header)
	return req, nil
}

// netHeader gives the header in net/http's form, spelling kept.
func netHeader(fields []fattorino.Header) http.Header {
	h := make(http.Header, len(fields)+2)
	encoding, agent := false, false
	for _, f := range fields {
		if ownField(f.Name) {
			continue
		}
		encoding = encoding || strings.EqualFold(f.Name, "Accept-Encoding")
		agent = agent || f.Name == "User-Agent"
		h[f.Name] = append(h[f.Name], f.Value)
	}
	if !encoding {
		h["Accept-Encoding"] = []string{"identity"}
	}
	if !agent {
		h["User-Agent"] = nil // net/http adds its own where the key is absent
	}
	return h
}

// take fills a from an answer and ends the exchange.
func (c *netHTTP) take(a *fattorino.Answer, resp *http.Response) {
	defer func() { _ = resp.Body.Close() }() // says nothing that reading has not said
	a.Status = resp.StatusCode
	a.Header = takeHeader(resp.Header)
	if failed := statusFailure(a.Status); failed != nil {
		fail(a, failed)
		return
	}
	a.Body, a.Truncated, _ = takeBody(resp.Body, make([]byte, pieceSize), c.options.KeepBody)
}

// takeHeader gives an answer's fields sorted by name, as far as they fit into
// keptHeader bytes, in valid UTF-8.
func takeHeader(h http.Header) []fattorino.Header {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	fields := make([]fattorino.Header, 0, len(h))
	size := 0
	for _, name := range names {
		for _, value := range h[name] {
			if size += len(name) + len(value); size > keptHeader {
				return fields
			}
			fields = append(fields, fattorino.Header{Name: name, Value: strings.ToValidUTF8(value, "\uFFFD")})
		}
	}
	return fields
}

// A trace follows one request through net/http. Its functions can be called
// after the exchange has ended, so that its memory is never used again for
// another.
type trace struct {
	hooks httptrace.ClientTrace
	start time.Time

	conn   *conn // the connection that the request went to; nil = none yet
	reused bool  // an earlier exchange used it
	before int64 // bytes that it had written by then

	wrote     atomic.Int64 // when the request was written, in ns since start; 0 = not
	firstByte atomic.Int64 // when the answer began, likewise
}

func newTrace() *trace {
	x := &trace{start: time.Now()}
	x.hooks.GotConn = x.gotConn
	x.hooks.WroteRequest = func(httptrace.WroteRequestInfo) { x.wrote.Store(x.elapsed()) }
	x.hooks.GotFirstResponseByte = func() { x.firstByte.Store(x.elapsed()) }
	return x
}

// traced gives a context whose request x follows.
func (x *trace) traced(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &x.hooks)
}

func (x *trace) elapsed() int64 { return max(1, int64(time.Since(x.start))) }

// gotConn is called in Send's own goroutine.
func (x *trace) gotConn(info httptrace.GotConnInfo) {
	x.conn = connOf(info.Conn)
	x.reused = info.Reused
	x.before = x.conn.written.Load()
}

// connOf gives what the dialer made: a *conn, or TLS on one.
func connOf(c net.Conn) *conn {
	if secured, ok := c.(*tls.Conn); ok {
		c = secured.NetConn()
	}
	made, _ := c.(*conn) // the dialer makes no others
	return made
}

// unsent tells whether the request failed on a connection that an earlier
// exchange had used, and no byte of it went out.
func (x *trace) unsent() bool {
	return x.conn != nil && x.reused && x.conn.written.Load() == x.before
}

// timing gives how long each phase took, up to now.
func (x *trace) timing() fattorino.Timing {
	t := fattorino.Timing{Total: time.Since(x.start)}
	if x.conn != nil && !x.reused {
		t.DNS, t.Connect, t.TLS = x.conn.dns, x.conn.connect, x.conn.tls
	}
	if wrote, first := x.wrote.Load(), x.firstByte.Load(); wrote > 0 && first > 0 {
		t.FirstByte = time.Duration(max(0, first-wrote)) // an early answer took no time
	}
	return t
}
