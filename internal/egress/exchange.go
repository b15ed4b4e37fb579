package egress

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// An exchange follows one request through net/http. The trace's functions can
// be called after the exchange has ended, so that its memory is never used
// again for another.
type exchange struct {
	trace httptrace.ClientTrace
	start time.Time

	conn   *conn // the connection that the request went to; nil = none yet
	reused bool  // an earlier exchange used it
	before int64 // bytes that it had written by then

	wrote     atomic.Int64 // when the request was written, in ns since start; 0 = not
	firstByte atomic.Int64 // when the answer began, likewise
}

func newExchange() *exchange {
	x := &exchange{start: time.Now()}
	x.trace.GotConn = x.gotConn
	x.trace.WroteRequest = func(httptrace.WroteRequestInfo) { x.wrote.Store(x.elapsed()) }
	x.trace.GotFirstResponseByte = func() { x.firstByte.Store(x.elapsed()) }
	return x
}

// traced gives a context whose request x follows.
func (x *exchange) traced(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &x.trace)
}

func (x *exchange) elapsed() int64 { return max(1, int64(time.Since(x.start))) }

// gotConn is called in Send's own goroutine.
func (x *exchange) gotConn(info httptrace.GotConnInfo) {
	x.conn, _ = info.Conn.(*conn) // the dialer makes no others
	x.reused = info.Reused
	x.before = x.conn.written.Load()
}

// unsent tells whether the request failed on a connection that an earlier
// exchange had used, and no byte of it went out.
func (x *exchange) unsent() bool {
	return x.conn != nil && x.reused && x.conn.written.Load() == x.before
}

// timing gives how long each phase took, up to now.
func (x *exchange) timing() fattorino.Timing {
	t := fattorino.Timing{Total: time.Since(x.start)}
	if x.conn != nil && !x.reused {
		t.DNS, t.Connect, t.TLS = x.conn.dns, x.conn.connect, x.conn.tls
	}
	if wrote, first := x.wrote.Load(), x.firstByte.Load(); wrote > 0 && first > 0 {
		t.FirstByte = time.Duration(max(0, first-wrote)) // an early answer took no time
	}
	return t
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
