package egress

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Limits of what is taken from an answer.
const (
	maxHeader  = 64 << 10 // bytes of an answer's header, interim answers included, before it is given up
	keptHeader = 16 << 10 // bytes of names and values kept of it
	maxBody    = 64 << 10 // bytes read of an answer's body
	keptBody   = 4 << 10  // bytes kept of it where Options do not say
)

// idleTimeout is how long an unused connection is kept.
const idleTimeout = 90 * time.Second

// Options are the settings of a [Client]. Every zero value stands for the
// default given.
type Options struct {
	ConnectTimeout time.Duration  // for name, connection and TLS together; 5 s
	TotalTimeout   time.Duration  // for one exchange whose context has no deadline, the answer's body included; 10 s
	MaxIdlePerHost int            // unused connections kept for one host; 64
	MaxIdle        int            // unused connections kept in all; 2048
	KeepBody       int            // bytes kept of an answer's body, at most 64 KiB; 4 KiB
	RootCAs        *x509.CertPool // authorities to trust; the system's
	Resolver       *net.Resolver  // how names are looked up; the system's way
}

func (o Options) withDefaults() Options {
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 5 * time.Second
	}
	if o.TotalTimeout <= 0 {
		o.TotalTimeout = 10 * time.Second
	}
	if o.MaxIdlePerHost <= 0 {
		o.MaxIdlePerHost = 64
	}
	if o.MaxIdle <= 0 {
		o.MaxIdle = 2048
	}
	if o.KeepBody <= 0 {
		o.KeepBody = keptBody
	}
	o.KeepBody = min(o.KeepBody, maxBody)
	return o
}

// A Client makes HTTP exchanges with sinks. It is safe for concurrent use.
//
// It speaks HTTP/1.1 itself, in the goroutine that calls Send. Sinks that want
// HTTP/2 are left to net/http.
type Client struct {
	options   Options
	targets   targets
	dialer    *dialer
	pool      *pool
	exchanges sync.Pool // of *exchange
	watcher   watcher
	http2     *netHTTP
	wantHTTP2 *detours
}

// NewClient makes a client that calls what p allows.
func NewClient(p Policy, o Options) *Client {
	o = o.withDefaults()
	return &Client{
		options:   o,
		targets:   targets{policy: p},
		dialer:    newDialer(p, o, "http/1.1"),
		pool:      newPool(o.MaxIdlePerHost, o.MaxIdle),
		exchanges: sync.Pool{New: func() any { return newExchange() }},
		http2:     newNetHTTP(p, o),
		wantHTTP2: &detours{},
	}
}

// Close closes the connections that are not in use. Exchanges under way go on.
func (c *Client) Close() {
	c.pool.close()
	c.http2.Close()
}

// Send makes one exchange: it sends r and gives what came back, or why nothing
// did. It follows no redirect, and the sink sees the request once at most:
// what fails is the caller's to repeat.
//
// Header fields go out with the spelling and values of r, sorted by name. The
// host, the length and what concerns the connection are Send's own and ignored
// in r, but for "Connection: close". Accept-Encoding is identity where r has
// none, and no User-Agent is added.
//
// The exchange ends with ctx, or, where ctx has no deadline, after
// Options.TotalTimeout. Once a status line and header have come, the answer
// stands, whatever becomes of its body.
func (c *Client) Send(ctx context.Context, r *fattorino.Request) *fattorino.Answer {
	x, _ := c.exchanges.Get().(*exchange)
	x.begin(ctx, r, c.options.TotalTimeout)
	defer func() {
		x.end()
		c.exchanges.Put(x)
	}()

	h, err := c.exchange(ctx, x)
	if errors.Is(err, errWantsHTTP2) {
		return c.sendHTTP2(ctx, x)
	}
	a := &fattorino.Answer{}
	if err != nil {
		fail(a, exchangeFailure(ctx, err, x.conn != nil, x.answering()))
		x.breakOff()
		a.Timing = x.timing()
		return a
	}
	keep := x.take(a, h, c.options.KeepBody)
	if a.Timing = x.timing(); keep {
		c.pool.put(x.conn, x.start.Add(a.Timing.Total))
	}
	return a
}

// exchange sends the request of x and reads the head of its answer. It is
// sent on a connection that was kept, if there is one; where that turns out to
// be dead before a byte was written, it goes out on another as if nothing had
// happened.
func (c *Client) exchange(ctx context.Context, x *exchange) (head, error) {
	to, err := c.targets.read(x.request.URL, x.start)
	if err != nil {
		return head{}, err
	}
	if c.wantHTTP2.has(to.origin) {
		return head{}, errWantsHTTP2
	}
	if err := x.out.write(x.request, to); err != nil {
		return head{}, err
	}
	for ctx.Err() == nil {
		if err := c.connect(ctx, x, to); err != nil {
			return head{}, err
		}
		h, err := x.run(ctx, &c.watcher)
		if !errors.Is(err, errUnsent) {
			return h, err
		}
		x.breakOff()
	}
	return head{}, ctx.Err()
}

// connect gives x a connection: one that was kept, or a new one.
func (c *Client) connect(ctx context.Context, x *exchange, to target) error {
	if x.close = wantsClose(x.request.Header); !x.close {
		if x.conn = c.pool.take(to.origin); x.conn != nil {
			return nil
		}
	}
	ctx, cancel := context.WithDeadline(ctx, x.deadline)
	defer cancel()
	conn, err := c.dialer.dial(ctx, to)
	if refused, ok := errors.AsType[*failedError](err); ok && refused.alert {
		c.wantHTTP2.add(to.origin)
		return errWantsHTTP2
	}
	x.conn = conn
	return err
}

// sendHTTP2 makes the exchange in the time that is left.
func (c *Client) sendHTTP2(ctx context.Context, x *exchange) *fattorino.Answer {
	ctx, cancel := context.WithDeadline(ctx, x.deadline)
	defer cancel()
	a := c.http2.Send(ctx, x.request)
	a.Timing.Total = time.Since(x.start)
	return a
}
