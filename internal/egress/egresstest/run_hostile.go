package egresstest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

const (
	interim = "HTTP/1.1 100 Continue\r\n\r\n"
	chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
)

// hostile is the table of section 4.6.
func (s suite) hostile(t *testing.T) {
	type row struct {
		name  string
		start func(testing.TB) *Server
		slow  bool // the server is to run into the total timeout
		want  func(*testing.T, *fattorino.Answer)
	}
	status := func(want int) func(*testing.T, *fattorino.Answer) {
		return func(t *testing.T, a *fattorino.Answer) { wantStatus(t, a, want) }
	}
	failure := func(want fattorino.Failure) func(*testing.T, *fattorino.Answer) {
		return func(t *testing.T, a *fattorino.Answer) { wantFailure(t, a, want) }
	}
	cut := func(t *testing.T, a *fattorino.Answer) { // a 200 stands without its whole body
		wantStatus(t, a, 200)
		if !a.Truncated || len(a.Body) == 0 {
			t.Errorf("truncated is %v with %d bytes kept; want true with some", a.Truncated, len(a.Body))
		}
	}
	text := func(answer string) func(testing.TB) *Server {
		return func(t testing.TB) *Server { return AnswersOnce(t, answer) }
	}
	table := []row{
		{"slow header", SlowHeader, true, failure(fattorino.FailedTimeout)},
		{"endless header", EndlessHeader, false, failure(fattorino.FailedProtocol)},
		{"endless interim answers", EndlessInterim, false, failure(fattorino.FailedProtocol)},
		{"drip body", DripBody, true, cut},
		{"endless chunked body", EndlessBody, false, cut},
		{"gzip bomb", GzipBomb, false, cut},
		{"never reads", NeverReads, true, failure(fattorino.FailedTimeout)},
		{"never answers", NeverAnswers, true, failure(fattorino.FailedTimeout)},
		{"status 999", text("HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n"), false, status(999)},
		{"status 99", text("HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n"), false, status(99)},
		{"status 000", text("HTTP/1.1 000 What\r\nContent-Length: 0\r\n\r\n"), false, failure(fattorino.FailedProtocol)},
		{"no reason phrase", text("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), false, status(200)},
		{"transfer encoding and length", text("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" +
			"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), false, status(200)},
		{"HTTP/0.9", text("<html>hello</html>\n"), false, failure(fattorino.FailedProtocol)},
		{"another protocol", text("SSH-2.0-OpenSSH_9.2\r\n"), false, failure(fattorino.FailedProtocol)},
		{"broken header", text("HTTP/1.1 200 OK\r\nno colon\r\n\r\n"), false, failure(fattorino.FailedProtocol)},
		{"header cut short", text("HTTP/1.1 200 OK\r\nServer: x\r\n"), false, failure(fattorino.FailedReset)},
		{"closes early", func(t testing.TB) *Server { return ClosesEarly(t, false) }, false, failure(fattorino.FailedReset)},
		{"resets early", func(t testing.TB) *Server { return ClosesEarly(t, true) }, false, failure(fattorino.FailedReset)},
		{"closes mid-body", func(t testing.TB) *Server { return BreaksBody(t, false) }, false, cut},
		{"resets mid-body", func(t testing.TB) *Server { return BreaksBody(t, true) }, false, cut},
		{"slow status line", func(t testing.TB) *Server { return begins(t, "", "H", pace) }, true, failure(fattorino.FailedTimeout)},
		{"slow interim answers", func(t testing.TB) *Server { return begins(t, "", interim, pace) }, true, failure(fattorino.FailedTimeout)},
		{"slow trailer", func(t testing.TB) *Server { return begins(t, chunked+"2\r\nok\r\n0\r\n", "X-Slow: a\r\n", pace) }, true, cut},
		{"endless trailer", func(t testing.TB) *Server { return begins(t, chunked+"2\r\nok\r\n0\r\n", "X-More: a\r\n", 0) }, false, cut},
		{"endless chunk extension", func(t testing.TB) *Server { return begins(t, chunked+"2\r\nok\r\n2;a=", "a", 0) }, false, cut},
		{"one field that is too long", text("HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("a", 70_000) + "\r\nContent-Length: 0\r\n\r\n"), false, failure(fattorino.FailedProtocol)},
		{"one long field", text("HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("a", 60_000) + "\r\nContent-Length: 0\r\n\r\n"), false, status(200)},
		{"a thousand interim answers", text(strings.Repeat(interim, 1000) + okAnswer), false, status(200)},
		{"closes after an interim answer", text(interim), false, failure(fattorino.FailedReset)},
		{"interim answer and no HTTP", text(interim + "hello\r\n"), false, failure(fattorino.FailedProtocol)},
		{"chunk size beyond all bounds", text(chunked + "2\r\nok\r\nfffffffffffffffff\r\nok\r\n0\r\n\r\n"), false, cut},
		{"negative chunk size", text(chunked + "2\r\nok\r\n-2\r\nok\r\n0\r\n\r\n"), false, cut},
		{"chunk longer than it says", text(chunked + "2\r\nokok\r\n0\r\n\r\n"), false, cut},
		{"chunks without end", text(chunked + "2\r\nok\r\n"), false, cut},
		{"trailer without end", text(chunked + "2\r\nok\r\n0\r\nX-A: 1\r\n"), false, cut},
		{"two lengths", text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"), false, failure(fattorino.FailedProtocol)},
		{"the same length twice", text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"), false, status(200)},
		{"a list of lengths", text("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"), false, failure(fattorino.FailedProtocol)},
		{"negative length", text("HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"), false, failure(fattorino.FailedProtocol)},
		{"length beyond all bounds", text("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok"), false, failure(fattorino.FailedProtocol)},
		{"a coding that was not asked for", text("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), false, failure(fattorino.FailedProtocol)},
		{"two transfer codings", text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), false, failure(fattorino.FailedProtocol)},
		{"NUL in a value", text("HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 0\r\n\r\n"), false, failure(fattorino.FailedProtocol)},
		{"CR in a value", text("HTTP/1.1 200 OK\r\nX-A: a\rX-B: b\r\nContent-Length: 0\r\n\r\n"), false, failure(fattorino.FailedProtocol)},
		{"no name", text("HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 0\r\n\r\n"), false, failure(fattorino.FailedProtocol)},
		{"header that begins folded", text("HTTP/1.1 200 OK\r\n X-A: a\r\nContent-Length: 0\r\n\r\n"), false, failure(fattorino.FailedProtocol)},
		{"folded field", text("HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 0\r\n\r\n"), false, status(200)},
		{"lines that end in LF", text("HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), false, status(200)},
		{"status with four digits", text("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"), false, failure(fattorino.FailedProtocol)},
		{"broken chunk", text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n"), false, cut},
	}
	for _, r := range table {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			server := r.start(t)
			o := egress.Options{}
			if r.slow {
				o.TotalTimeout = short
			}
			a := send(t, s.sender(t, o), post(server.URL))
			r.want(t, a)
			wantCount(t, "connections", server.Conns(), 1)
			if r.slow && a.Timing.Total < short {
				t.Errorf("gave up after %v, want %v", a.Timing.Total, short)
			}
		})
	}
	t.Run("large request never read", s.largeRequestStuck)
	t.Run("large request answered before it is read", s.answeredEarly)
	t.Run("101 switching protocols", s.switching)
	t.Run("N5 redirects", s.redirects)
	t.Run("gzip bomb stays packed", s.gzipBomb)
}

func (s suite) largeRequestStuck(t *testing.T) {
	t.Parallel()
	r := post(NeverReads(t).URL)
	r.Body = make([]byte, 32<<20)
	wantFailure(t, send(t, s.sender(t, egress.Options{TotalTimeout: short}), r), fattorino.FailedTimeout)
}

// A sink may answer before it has read a request, and read no more of it.
func (s suite) answeredEarly(t *testing.T) {
	t.Parallel()
	server := RefusesEarly(t, false)
	r := post(server.URL)
	r.Body = make([]byte, 32<<20)
	c := s.sender(t, egress.Options{})
	for range 2 {
		wantStatus(t, send(t, c, r), 413)
	}
	wantCount(t, "connections", server.Conns(), 2)
}

// The body of a 101 is another protocol, and reading it is bound by no
// deadline (F5): the client closes the connection at once.
func (s suite) switching(t *testing.T) {
	t.Parallel()
	server, closed := Switches(t)
	a := send(t, s.sender(t, egress.Options{}), post(server.URL))
	wantFailure(t, a, fattorino.FailedProtocol)
	if a.Status != 101 || len(a.Body) != 0 {
		t.Errorf("status is %d with %d bytes of body, want 101 with none", a.Status, len(a.Body))
	}
	select {
	case <-closed:
	case <-time.After(long / 2):
		t.Error("the connection was left open")
	}
}

func (s suite) redirects(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			target := OK(t)
			server := Redirects(t, status, target.URL+"/elsewhere")
			a := send(t, s.sender(t, egress.Options{}), post(server.URL))
			wantStatus(t, a, status)
			wantCount(t, "requests", server.Requests(), 1)
			wantCount(t, "connections at the target", target.Conns(), 0)
			if location := field(a, "Location"); location != target.URL+"/elsewhere" {
				t.Errorf("Location is %q", location)
			}
		})
	}
}

func (s suite) gzipBomb(t *testing.T) {
	t.Parallel()
	a := send(t, s.sender(t, egress.Options{}), post(GzipBomb(t).URL))
	if len(a.Body) != 4096 || !bytes.HasPrefix(a.Body, []byte{0x1f, 0x8b}) {
		t.Errorf("%d bytes kept, beginning % x; want 4096 of gzip", len(a.Body), a.Body[:min(2, len(a.Body))])
	}
}

// field gives the first value of an answer's field.
func field(a *fattorino.Answer, name string) string {
	for _, f := range a.Header {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}
