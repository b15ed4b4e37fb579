package egress

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
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
type Client struct {
	policy  Policy
	options Options
	pooled  *http.Transport
	fresh   *http.Transport // a connection for each exchange
	buffers sync.Pool       // of *[]byte, Options.KeepBody long
}

// NewClient makes a client that calls what p allows.
func NewClient(p Policy, o Options) *Client {
	o = o.withDefaults()
	d := newDialer(p, o)
	c := &Client{policy: p, options: o, pooled: newTransport(d, o), fresh: newTransport(d, o)}
	c.fresh.DisableKeepAlives = true
	c.buffers.New = func() any {
		b := make([]byte, o.KeepBody)
		return &b
	}
	return c
}

// newTransport makes a transport that speaks HTTP/1.1 only, through no proxy
// whatever the environment says, and decompresses nothing.
func newTransport(d *dialer, o Options) *http.Transport {
	var http1 http.Protocols
	http1.SetHTTP1(true)
	return &http.Transport{
		DialContext:            d.dialPlain,
		DialTLSContext:         d.dialTLS,
		Protocols:              &http1,
		DisableCompression:     true,
		MaxIdleConns:           o.MaxIdle,
		MaxIdleConnsPerHost:    o.MaxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
	}
}

// Close closes the connections that are not in use. Exchanges under way go on.
func (c *Client) Close() {
	c.pooled.CloseIdleConnections()
	c.fresh.CloseIdleConnections()
}

// Send makes one exchange: it sends r and gives what came back, or why nothing
// did. It follows no redirect, and the sink sees the request once at most:
// what fails is the caller's to repeat.
//
// Header fields go out with the spelling and values of r, sorted by name. The
// host, the length and what concerns the connection are Send's own and ignored
// in r, but for "Connection: close". Accept-Encoding is identity where r has none, and no User-Agent is
// added.
//
// The exchange ends with ctx, or, where ctx has no deadline, after
// Options.TotalTimeout. Once a status line
// and header have come, the answer stands, whatever becomes of its body.
func (c *Client) Send(ctx context.Context, r *fattorino.Request) *fattorino.Answer {
	x := newExchange()
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.options.TotalTimeout)
		defer cancel()
	}
	a := &fattorino.Answer{}
	resp, err := c.roundTrip(x.traced(ctx), x, r)
	if err != nil {
		failed := exchangeFailure(ctx, err, x.conn != nil, x.firstByte.Load() != 0)
		a.Failure, a.Detail = failed.failure, failed.detail
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
func (c *Client) roundTrip(ctx context.Context, x *exchange, r *fattorino.Request) (*http.Response, error) {
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

func (c *Client) newRequest(ctx context.Context, r *fattorino.Request) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, nil)
	if err != nil { // its text repeats the URL, so it is not passed on
		return nil, &failedError{fattorino.FailedProtocol, "the request cannot be written as HTTP"}
	}
	if req.URL.Scheme != "https" && (req.URL.Scheme != "http" || !c.policy.Dev) {
		return nil, &failedError{fattorino.FailedAddress, "the sink is not an https URL"}
	}
	if len(r.Body) > 0 {
		// net/http sends header and body in one write only for readers that it
		// knows, of which this is one.
		req.Body = io.NopCloser(bytes.NewReader(r.Body))
		req.ContentLength = int64(len(r.Body))
	}
	req.Header = wireHeader(r.Header)
	return req, nil
}

// wireHeader gives the header in net/http's form, spelling kept.
func wireHeader(fields []fattorino.Header) http.Header {
	h := make(http.Header, len(fields)+2)
	values := make([]string, len(fields)+1) // one array for all
	encoding, agent := false, false
	for i, f := range fields {
		if ownField(f.Name) {
			continue
		}
		encoding = encoding || strings.EqualFold(f.Name, "Accept-Encoding")
		agent = agent || f.Name == "User-Agent"
		if earlier, ok := h[f.Name]; ok {
			h[f.Name] = append(earlier, f.Value)
			continue
		}
		values[i] = f.Value
		h[f.Name] = values[i : i+1 : i+1]
	}
	if !encoding {
		values[len(fields)] = "identity"
		h["Accept-Encoding"] = values[len(fields):]
	}
	if !agent {
		h["User-Agent"] = nil // net/http adds its own where the key is absent
	}
	return h
}

// wantsClose tells whether the request asks for a connection of its own, that
// is closed after it (RFC 9112, section 9.6).
func wantsClose(fields []fattorino.Header) bool {
	return slices.ContainsFunc(fields, func(f fattorino.Header) bool {
		return strings.EqualFold(f.Name, "Connection") && strings.EqualFold(f.Value, "close")
	})
}

// ownField tells the fields that frame the message or concern the connection
// (RFC 9110, sections 7.2, 7.6.1, 8.6 and 10.1.1), which only the client can
// know.
func ownField(name string) bool {
	switch len(name) { // cheaper than to compare with each
	case 2:
		return strings.EqualFold(name, "TE")
	case 4:
		return strings.EqualFold(name, "Host")
	case 6:
		return strings.EqualFold(name, "Expect")
	case 7:
		return strings.EqualFold(name, "Trailer") || strings.EqualFold(name, "Upgrade")
	case 10:
		return strings.EqualFold(name, "Connection") || strings.EqualFold(name, "Keep-Alive")
	case 14:
		return strings.EqualFold(name, "Content-Length")
	case 16:
		return strings.EqualFold(name, "Proxy-Connection")
	case 17:
		return strings.EqualFold(name, "Transfer-Encoding")
	}
	return false
}

// take fills a from an answer and ends the exchange.
func (c *Client) take(a *fattorino.Answer, resp *http.Response) {
	defer func() { _ = resp.Body.Close() }() // says nothing that reading has not said
	a.Status = resp.StatusCode
	a.Header = takeHeader(resp.Header)
	switch {
	case resp.StatusCode == 0:
		a.Failure, a.Detail = fattorino.FailedProtocol, "the sink answered with status 000"
	case resp.StatusCode >= 100 && resp.StatusCode < 200:
		// Nothing follows an interim answer but another protocol, and reading
		// that would outlast every deadline (golang/go#44988).
		a.Failure, a.Detail = fattorino.FailedProtocol, "the sink answered with an interim status only"
	default:
		a.Body, a.Truncated = c.takeBody(resp.Body)
	}
}

// takeBody reads a body so far that its connection can be used again, within
// bounds, and gives its beginning. truncated tells that there was more, or
// that the rest did not come.
func (c *Client) takeBody(body io.Reader) (kept []byte, truncated bool) {
	if body == http.NoBody {
		return nil, false
	}
	pooled, _ := c.buffers.Get().(*[]byte)
	defer c.buffers.Put(pooled)
	buffer := *pooled
	n, err := fill(buffer, body)
	if n > 0 {
		kept = bytes.Clone(buffer[:n])
	}
	// One read goes past the limit, to find the end of a body just as long.
	for read := n; err == nil && read <= maxBody; read += n {
		n, err = fill(buffer, body)
		truncated = truncated || n > 0
	}
	return kept, truncated || !errors.Is(err, io.EOF)
}

// fill reads until b is full or an error comes. Unlike [io.ReadFull] it leaves
// the error as it is, so that an early end can be told from the end.
func fill(b []byte, r io.Reader) (int, error) {
	n := 0
	for n < len(b) {
		m, err := r.Read(b[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
