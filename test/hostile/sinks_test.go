package hostile_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A sink is a TCP server on this machine that counts what reaches it.
type sink struct {
	url             string
	conns, requests atomic.Int64
	closed          atomic.Int64  // connections that have ended
	ended           chan struct{} // closed with the test
}

// newSink starts a sink that calls handle for every connection, which ends when
// it returns. Address may be empty.
func newSink(t *testing.T, address string, handle func(p *peer)) *sink {
	t.Helper()
	if address == "" {
		address = "127.0.0.1"
	}
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	k := &sink{url: "http://" + l.Addr().String(), ended: make(chan struct{})}
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			k.conns.Add(1)
			mu.Lock()
			open[c] = true
			mu.Unlock()
			running.Go(func() {
				handle(&peer{Conn: c, in: bufio.NewReader(c), sink: k})
				_ = c.Close()
				k.closed.Add(1)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		close(k.ended)
		mu.Lock()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return k
}

// A peer is the sink's end of one connection.
type peer struct {
	net.Conn
	in   *bufio.Reader
	sink *sink
}

// request reads one; false when none comes.
func (p *peer) request() bool {
	r, err := http.ReadRequest(p.in)
	if err != nil {
		return false
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return false
	}
	p.sink.requests.Add(1)
	return true
}

// print writes text; false when the client has gone.
func (p *peer) print(text string) bool {
	_, err := io.WriteString(p.Conn, text)
	return err == nil
}

// hang waits until the client closes the connection.
func (p *peer) hang() { _, _ = io.Copy(io.Discard, p.in) }

// pause waits; false when the client closes the connection meanwhile.
func (p *peer) pause(d time.Duration) bool {
	_ = p.SetReadDeadline(time.Now().Add(d))
	_, err := p.in.Peek(1)
	_ = p.SetReadDeadline(time.Time{})
	timeout, ok := err.(net.Error) //nolint:errorlint // it is returned as it is
	return err == nil || ok && timeout.Timeout()
}

// says answers one request with a text and closes the connection.
func says(text string) func(*peer) {
	return func(p *peer) {
		if p.request() {
			p.print(text)
		}
	}
}

// begins answers one request with a start, and then with a piece again and
// again for as long as the client listens.
func begins(start, piece string, wait time.Duration) func(*peer) {
	return func(p *peer) {
		if !p.request() {
			return
		}
		for ok := p.print(start); ok; {
			ok = p.print(piece) && (wait == 0 || p.pause(wait))
		}
	}
}

const okay = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func gzipBomb() func(*peer) {
	var member bytes.Buffer
	w := gzip.NewWriter(&member)
	_, _ = w.Write(make([]byte, 1<<20)) // to memory
	_ = w.Close()
	return begins("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1000000000\r\n\r\n", member.String(), 0)
}

// switches says it changes the protocol, and then only listens.
func switches(p *peer) {
	if p.request() && p.print("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nwelcome") {
		p.hang()
	}
}

func resets(start string) func(*peer) {
	return func(p *peer) {
		if !p.request() {
			return
		}
		p.print(start)
		if c, ok := p.Conn.(*net.TCPConn); ok {
			_ = c.SetLinger(0)
		}
	}
}

// A delivered is what the log says of a delivery.
type delivered struct {
	Delivery struct {
		State    string
		Attempts int
	}
	Attempts []struct {
		Answer struct {
			Status    int
			Failure   string
			Detail    string
			Truncated bool
			Body      string
			BodyRaw   []byte `json:"body_base64"`
		}
	}
}

// attempted waits for the first attempt of a subscription's only delivery, and
// gives what the log says.
func (s *server) attempted(t *testing.T, token string, subscription int64) delivered {
	t.Helper()
	var d delivered
	written := eventually(func() bool {
		var page struct{ Deliveries []struct{ ID int64 } }
		s.must(t, "GET", fmt.Sprintf("/v1/companies/1/deliveries?subscription=%d", subscription), token, nil, http.StatusOK, &page)
		if len(page.Deliveries) != 1 {
			return false
		}
		d = delivered{}
		s.must(t, "GET", fmt.Sprintf("/v1/companies/1/deliveries/%d", page.Deliveries[0].ID), token, nil, http.StatusOK, &d)
		return len(d.Attempts) > 0
	})
	if !written {
		t.Fatal("no attempt was written")
	}
	return d
}

// once is a schedule that leaves time to look: one retry, in a week.
var once = []int{604800}

// The table of hostile endpoints (standards, section 4.6), all at once, against
// the whole program: what the log says of each attempt, how many connections
// and requests it took, and that nothing is left of it.
func TestHostileSinksAreLoggedAndLeaveNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, append(noHandshake, "--attempt-timeout", "3s", "--connect-timeout", "3s")...)
	token := s.token(t, "api")
	elsewhere := newSink(t, "", says(okay))
	type row struct {
		handle    func(*peer)
		status    int
		failure   string // empty = the status counts
		state     string // of the delivery; empty = pending, to be tried again
		truncated bool
		unread    bool // the request is not read
	}
	table := map[string]row{
		"slow header":             {handle: begins("HTTP/1.1 200 OK\r\nX-Slow: ", "a", 100*time.Millisecond), failure: "timeout"},
		"endless header":          {handle: begins("HTTP/1.1 200 OK\r\n", "X-More: "+strings.Repeat("a", 1000)+"\r\n", 0), failure: "protocol"},
		"endless interim answers": {handle: begins("", "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n", 0), failure: "protocol"},
		"drip body":               {handle: begins("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "a", 100*time.Millisecond), status: 200, state: "delivered", truncated: true},
		"endless chunked body":    {handle: begins("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "400\r\n"+strings.Repeat("a", 0x400)+"\r\n", 0), status: 200, state: "delivered", truncated: true},
		"gzip bomb":               {handle: gzipBomb(), status: 200, state: "delivered", truncated: true},
		"never reads":             {handle: func(p *peer) { <-p.sink.ended }, failure: "timeout", unread: true},
		"never answers": {handle: func(p *peer) {
			if p.request() {
				p.hang()
			}
		}, failure: "timeout"},
		"101":                          {handle: switches, failure: "protocol", status: 101},
		"status 999":                   {handle: says("HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n"), status: 999},
		"no reason phrase":             {handle: says("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), status: 200, state: "delivered"},
		"transfer encoding and length": {handle: says("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), status: 200, state: "delivered"},
		"HTTP/0.9":                     {handle: says("<html>hello</html>\n"), failure: "protocol"},
		"another protocol":             {handle: says("SSH-2.0-OpenSSH_9.2\r\n"), failure: "protocol"},
		"closes early":                 {handle: says(""), failure: "reset"},
		"resets early":                 {handle: resets(""), failure: "reset"},
		"closes mid-body":              {handle: says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it"), status: 200, state: "delivered", truncated: true},
		"resets mid-body":              {handle: resets("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it"), status: 200, state: "delivered", truncated: true},
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		table[fmt.Sprint("redirect ", status)] = row{
			handle: says(fmt.Sprintf("HTTP/1.1 %d Elsewhere\r\nLocation: %s/elsewhere\r\nContent-Length: 0\r\n\r\n", status, elsewhere.url)),
			status: status, state: "discarded",
		}
	}
	healthy := newSink(t, "", func(p *peer) {
		for p.request() && p.print(okay) {
		}
	})
	s.subscribe(t, token, map[string]any{"sink": healthy.url, "types": []string{"invoice.created"}})
	sinks, ids := map[string]*sink{}, map[string]int64{}
	for name, row := range table {
		sinks[name] = newSink(t, "", row.handle)
		ids[name], _ = s.subscribe(t, token, map[string]any{"sink": sinks[name].url + "/hook?key=s3cret", "types": []string{"invoice.created"}, "schedule": once})
	}
	memory, goroutines := s.memory(t), s.metric(t, "go_goroutines")

	s.must(t, "POST", "/v1/events", adminToken, event("to all"), http.StatusAccepted, nil)
	for name, row := range table {
		t.Run(name, func(t *testing.T) {
			d := s.attempted(t, token, ids[name])
			answer := d.Attempts[0].Answer
			if row.state == "" {
				row.state = "pending"
			}
			if answer.Status != row.status || answer.Failure != row.failure || answer.Truncated != row.truncated || d.Delivery.State != row.state || len(d.Attempts) != 1 {
				t.Errorf("logged as status %d, failure %q (%s), truncated %t, %s after %d attempts; want status %d, failure %q, truncated %t, %s after one",
					answer.Status, answer.Failure, answer.Detail, answer.Truncated, d.Delivery.State, len(d.Attempts), row.status, row.failure, row.truncated, row.state)
			}
			if kept := len(answer.Body) + len(answer.BodyRaw); kept > 4<<10 {
				t.Errorf("%d bytes of the answer are kept", kept)
			}
			want := int64(1)
			if row.unread {
				want = 0
			}
			if k := sinks[name]; k.conns.Load() != 1 || k.requests.Load() != want {
				t.Errorf("it took %d connections and %d requests, want 1 and %d", k.conns.Load(), k.requests.Load(), want)
			}
			if strings.Contains(answer.Detail, "127.0.0.1") || strings.Contains(answer.Detail, "s3cret") {
				t.Errorf("the detail tells too much: %s", answer.Detail)
			}
		})
	}
	if n := elsewhere.conns.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
	if k := sinks["101"]; !eventually(func() bool { return k.closed.Load() == 1 }) {
		t.Error("the connection of a 101 is kept open")
	}
	s.stillServes(t)
	if !eventually(func() bool { return healthy.requests.Load() >= 21 }) {
		t.Errorf("the healthy sink got %d of 21", healthy.requests.Load())
	}
	// Goroutines that wait on a hostile sink would still be there; 64 may wait
	// for the next attempt.
	if !eventually(func() bool { return s.metric(t, "go_goroutines") < goroutines+64+float64(len(table)) }) {
		t.Errorf("%v goroutines, %v before", s.metric(t, "go_goroutines"), goroutines)
	}
	if grown := s.memory(t) - memory; grown > 64<<20 {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
	if strings.Contains(s.Log.String(), "s3cret") {
		t.Error("the log tells the query of a sink")
	}
}

// What a sink that takes a second request of a connection and then closes it has
// got, and what the log says, are the same (section 4.6, last row).
func TestWhatASinkHasGotIsWhatTheLogSays(t *testing.T) {
	t.Parallel()
	s := serve(t, noHandshake...)
	token := s.token(t, "api")
	k := newSink(t, "", func(p *peer) {
		if p.request() && p.print(okay) {
			p.request()
		}
	})
	id, _ := s.subscribe(t, token, map[string]any{"sink": k.url, "types": []string{"invoice.created"}, "schedule": once, "concurrency": 1})
	const events = 10
	for i := range events {
		s.must(t, "POST", "/v1/events", adminToken, event(fmt.Sprint("e", i)), http.StatusAccepted, nil)
	}
	attempts := func() (n int) {
		var page struct{ Deliveries []struct{ Attempts int } }
		s.must(t, "GET", fmt.Sprintf("/v1/companies/1/deliveries?subscription=%d", id), token, nil, http.StatusOK, &page)
		for _, d := range page.Deliveries {
			n += d.Attempts
		}
		return n
	}
	if !eventually(func() bool { return attempts() >= events }) {
		t.Fatalf("%d attempts were written", attempts())
	}
	if got, logged := k.requests.Load(), attempts(); got != int64(logged) {
		t.Errorf("the sink got %d requests, and the log has %d attempts", got, logged)
	}
}

func TestSinksWithoutGoodTLSAreNotTrusted(t *testing.T) {
	t.Parallel()
	s := serve(t, noHandshake...)
	token := s.token(t, "api")
	for name, make := range map[string]func() *httptest.Server{
		"a certificate of nobody's": func() *httptest.Server { return httptest.NewTLSServer(http.NotFoundHandler()) },
		"TLS 1.1 at most": func() *httptest.Server {
			old := httptest.NewUnstartedServer(http.NotFoundHandler())
			old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11} //nolint:gosec // what is to be refused
			old.StartTLS()
			return old
		},
		"no TLS": func() *httptest.Server { return httptest.NewServer(http.NotFoundHandler()) },
	} {
		t.Run(name, func(t *testing.T) {
			server := make()
			t.Cleanup(server.Close)
			_, rest, _ := strings.Cut(server.URL, "://")
			id, _ := s.subscribe(t, token, map[string]any{"sink": "https://" + rest, "types": []string{"customer.created"}, "schedule": once})
			s.must(t, "POST", fmt.Sprintf("/v1/companies/1/subscriptions/%d/test", id), token, map[string]any{"type": "customer.created"}, http.StatusAccepted, nil)
			if a := s.attempted(t, token, id).Attempts[0].Answer; a.Failure != "tls" {
				t.Errorf("status %d, failure %q (%s); want tls", a.Status, a.Failure, a.Detail)
			}
		})
	}
}

// The table of URLs (section 4.4), and the addresses that must never be called
// (4.2, 4.3): refused where they are registered, by every door.
func TestSinksThatMustNotBeAreRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, append(noHandshake, "--dev=false")...)
	token := s.token(t, "api")
	_, port, _ := net.SplitHostPort(s.address)
	for _, sink := range []string{
		"http://example.com/", "https://127.1/", "https://0x7f.0.0.1/", "https://2130706433/", "https://0177.0.0.1/", "https://127.0.0.1./", "https://0/",
		"https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/", "https://localhost/", "https://a.localhost/", "https://erp.local/", "https://erp.internal/", "https://erp/",
		"https://[::ffff:7f00:1]/", "https://[0:0:0:0:0:ffff:127.0.0.1]/", "https://[::1%25lo]/", "https://[fe80::1%25eth0]/",
		"https://user:pw@example.com/", "https://example.com@127.0.0.1/", "https://127.0.0.1\\@example.com/", "https://127.0.0.1%2f@x.example/", "https://a\x00.example/", "https://a%00.example/",
		"https://example.com/#fragment", "https://127.0.0.1#@example.com/", "file:///etc/passwd", "gopher://example.com/", "unix:/run/x", "//example.com/", "https:///x",
		"https://example.com:0/", "https://example.com:99999/", "https://example.com:25/",
		"https://127.0.0.1/", "https://127.255.255.254/", "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://169.254.169.254/", "https://100.64.0.1/",
		"https://100.100.100.200/", "https://192.0.0.192/", "https://198.18.0.1/", "https://168.63.129.16/", "https://224.0.0.1/", "https://240.0.0.1/", "https://255.255.255.255/", "https://0.0.0.0/",
		"https://[::1]/", "https://[::]/", "https://[::127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::7f00:1]/", "https://[2002:7f00:1::1]/", "https://[2001::1]/",
		"https://[2001:db8::1]/", "https://[fc00::1]/", "https://[fd00:ec2::254]/", "https://[fe80::1]/", "https://[fec0::1]/", "https://[ff02::1]/", "https://[3fff::1]/", "https://[5f00::1]/", "https://[4000::1]/",
		s.url + "/v1/events", "https://127.0.0.1:" + port + "/",
	} {
		t.Run(sink, func(t *testing.T) {
			for path, wish := range map[string]any{
				"/v1/companies/1/subscriptions": map[string]any{"sink": sink, "types": []string{"invoice.created"}, "handshake": "none"},
				"/c/1/subscriptions":            map[string]any{"data": map[string]any{"sink": sink, "types": []string{"it.fattureincloud.webhooks.issued_documents.invoices.create"}}},
				"/webhooks":                     map[string]any{"to_url": sink, "event_types": []string{"Invoice.SUBMITTED"}},
			} {
				if a := s.call(t, "POST", path, token, wish); a.status != http.StatusUnprocessableEntity && a.status != http.StatusBadRequest {
					t.Errorf("%s answers %d: %s", path, a.status, a.body)
				}
			}
		})
	}
}

// A thousand sinks that take every request and never answer hold up nobody but
// themselves: the healthy one gets all its events while they hang. It runs by
// itself, for it takes all of a small machine.
func TestAThousandHangingSinksHoldUpNobodyElse(t *testing.T) {
	const hanging, events = 1000, 200
	s := serve(t, append(noHandshake, "--attempt-timeout", "60s", "--log-attempts=false")...)
	token := s.token(t, "api")
	healthy := newSink(t, "", func(p *peer) {
		for p.request() && p.print(okay) {
		}
	})
	s.subscribe(t, token, map[string]any{"sink": healthy.url, "types": []string{"invoice.created"}})
	var hung, gaveUp atomic.Int64
	for i := range hanging {
		k := newSink(t, fmt.Sprintf("127.0.%d.%d", 1+i/250, 1+i%250), func(p *peer) {
			if p.request() {
				hung.Add(1)
				p.hang()
				gaveUp.Add(1)
			}
		})
		s.subscribe(t, token, map[string]any{"sink": k.url, "types": []string{"invoice.created"}, "schedule": once})
	}
	before := s.memory(t)
	start := time.Now()
	for i := range events {
		s.must(t, "POST", "/v1/events", adminToken, event(fmt.Sprint("e", i)), http.StatusAccepted, nil)
	}
	published := time.Since(start)
	if !eventually(func() bool { return healthy.requests.Load() >= events }) {
		t.Errorf("the healthy sink got %d of %d while %d requests hang", healthy.requests.Load(), events, hung.Load())
	}
	if gaveUp.Load() > 0 {
		t.Error("the healthy sink had to wait until attempts at others were given up")
	}
	t.Logf("%d requests hang; %d events were published in %v and all delivered after %v; memory %d MiB, before %d MiB",
		hung.Load(), events, published, time.Since(start), s.memory(t)>>20, before>>20)
	s.stillServes(t)
	if grown := s.memory(t) - before; grown > 256<<20 {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
	s.Stop(t, os.Kill) // what hangs would be waited for
}
