package egresstest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// records starts a server that answers 200 and hands over what it read.
func records(t *testing.T) (*Server, <-chan *Message) {
	t.Helper()
	got := make(chan *Message, 10)
	return Serve(t, func(p *Peer) {
		for {
			m, ok := p.ReadRequest()
			if !ok {
				return
			}
			got <- m
			if !p.Print(okAnswer) {
				return
			}
		}
	}), got
}

// wire checks what goes out, byte for byte.
func (s suite) wire(t *testing.T) {
	t.Run("a notification", func(t *testing.T) {
		t.Parallel()
		server, got := records(t)
		r := &fattorino.Request{
			Method: "POST", URL: server.URL + "/a%2Fb/c?x=1&y=%20",
			Header: []fattorino.Header{
				{Name: "webhook-id", Value: "msg_1"},
				{Name: "Ce-Id", Value: "1:2"},
				{Name: "X-FIC-Signature", Value: "abc=="},
				{Name: "X-Two", Value: "1"},
				{Name: "X-Two", Value: "2"},
				{Name: "Content-Type", Value: "application/json"},
			},
			Body: []byte(`{"id":42}`),
		}
		wantStatus(t, send(t, s.sender(t, egress.Options{}), r), 200)
		want := &Message{
			Line: "POST /a%2Fb/c?x=1&y=%20 HTTP/1.1",
			Fields: []string{
				"Accept-Encoding: identity", "Ce-Id: 1:2", "Content-Length: 9", "Content-Type: application/json",
				"Host: " + server.Addr.String(), "X-FIC-Signature: abc==", "X-Two: 1", "X-Two: 2", "webhook-id: msg_1",
			},
			Body: []byte(`{"id":42}`),
		}
		checkMessage(t, <-got, want)
	})
	t.Run("what the request may and may not set", func(t *testing.T) {
		t.Parallel()
		server, got := records(t)
		r := post(server.URL)
		r.Header = []fattorino.Header{
			{Name: "User-Agent", Value: "Fattorino"},
			{Name: "accept-encoding", Value: "br"},
			{Name: "Host", Value: "evil.example"},
			{Name: "host", Value: "evil.example"},
			{Name: "Content-Length", Value: "1"},
			{Name: "content-length", Value: "1"},
			{Name: "Transfer-Encoding", Value: "chunked"},
			{Name: "connection", Value: "upgrade"},
			{Name: "Upgrade", Value: "x"},
			{Name: "Expect", Value: "100-continue"},
			{Name: "TE", Value: "trailers"},
			{Name: "Keep-Alive", Value: "1"},
			{Name: "Trailer", Value: "X"},
			{Name: "Proxy-Connection", Value: "close"},
		}
		wantStatus(t, send(t, s.sender(t, egress.Options{}), r), 200)
		checkMessage(t, <-got, &Message{
			Line:   "POST /hook/" + secret + "?key=" + secret + " HTTP/1.1",
			Fields: []string{"Content-Length: 9", "Host: " + server.Addr.String(), "User-Agent: Fattorino", "accept-encoding: br"},
			Body:   r.Body,
		})
	})
	t.Run("a large body", func(t *testing.T) {
		t.Parallel()
		server, got := records(t)
		r := post(server.URL)
		r.Body = []byte(strings.Repeat("0123456789", 100_000))
		wantStatus(t, send(t, s.sender(t, egress.Options{}), r), 200)
		if m := <-got; string(m.Body) != string(r.Body) {
			t.Errorf("%d bytes of body came, not those %d sent", len(m.Body), len(r.Body))
		}
	})
	for _, method := range []string{"GET", "OPTIONS"} {
		t.Run(method+" without body", func(t *testing.T) {
			t.Parallel()
			server, got := records(t)
			wantStatus(t, send(t, s.sender(t, egress.Options{}), &fattorino.Request{Method: method, URL: server.URL}), 200)
			if m := <-got; m.Line != method+" / HTTP/1.1" || len(m.Body) != 0 {
				t.Errorf("got %q with %d bytes of body", m.Line, len(m.Body))
			}
		})
	}
	t.Run("what is no HTTP is not sent", func(t *testing.T) {
		t.Parallel()
		server := OK(t)
		for name, change := range map[string]func(*fattorino.Request){
			"CRLF in a value":   func(r *fattorino.Request) { r.Header[0].Value = "a\r\nX-Other: b" },
			"space in a name":   func(r *fattorino.Request) { r.Header[0].Name = "X Other" },
			"space in a method": func(r *fattorino.Request) { r.Method = "GET /" },
			"no URL":            func(r *fattorino.Request) { r.URL = "::" + secret },
			"control in a URL":  func(r *fattorino.Request) { r.URL += "\n" + secret },
		} {
			r := post(server.URL)
			change(r)
			if a := send(t, s.sender(t, egress.Options{}), r); a.Failure != fattorino.FailedProtocol {
				t.Errorf("%s: failure is %q (%s)", name, a.Failure, a.Detail)
			}
		}
		wantCount(t, "requests", server.Requests(), 0)
	})
}

func checkMessage(t *testing.T, got, want *Message) {
	t.Helper()
	slices.Sort(got.Fields)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request differs (-want +got):\n%s", diff)
	}
}

// answers checks what is kept of an answer.
func (s suite) answers(t *testing.T) {
	for name, row := range map[string]struct {
		size, keep, kept int
		truncated        bool
	}{
		"no body":                       {0, 0, 0, false},
		"a short body":                  {2, 0, 2, false},
		"as much as is kept":            {4096, 0, 4096, false},
		"one byte more":                 {4097, 0, 4096, true},
		"as much as is read":            {65536, 65536, 65536, false},
		"one byte more than is read":    {65537, 65536, 65536, true},
		"more is asked than is allowed": {100_000, 100_000, 65536, true},
	} {
		text := strings.Repeat("a", row.size)
		chunks := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", row.size, text)
		if row.size == 0 {
			chunks = "0\r\n\r\n"
		}
		for form, answer := range map[string]string{
			"with a length": fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", row.size, text),
			"in chunks":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
			"until close":   "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + text,
		} {
			t.Run(name+" "+form, func(t *testing.T) {
				t.Parallel()
				a := send(t, s.sender(t, egress.Options{KeepBody: row.keep}), post(AnswersOnce(t, answer).URL))
				wantStatus(t, a, 200)
				if len(a.Body) != row.kept || a.Truncated != row.truncated {
					t.Errorf("%d bytes kept, truncated %v; want %d, %v", len(a.Body), a.Truncated, row.kept, row.truncated)
				}
			})
		}
	}
	t.Run("header sorted and valid UTF-8", func(t *testing.T) {
		t.Parallel()
		server := Answers(t, "HTTP/1.1 204 No Content\r\nX-B: 2\r\nX-A: 1\r\nX-B: 3\r\nRetry-After: 5\r\nX-C: a\xffb\r\n\r\n")
		a := send(t, s.sender(t, egress.Options{}), post(server.URL))
		wantStatus(t, a, 204)
		want := []fattorino.Header{
			{Name: "Retry-After", Value: "5"},
			{Name: "X-A", Value: "1"},
			{Name: "X-B", Value: "2"},
			{Name: "X-B", Value: "3"},
			{Name: "X-C", Value: "a\uFFFDb"},
		}
		if diff := cmp.Diff(want, a.Header); diff != "" {
			t.Errorf("header differs (-want +got):\n%s", diff)
		}
	})
	t.Run("header kept within bounds", func(t *testing.T) {
		t.Parallel()
		server := Answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"+
			strings.Repeat("X-Many: "+strings.Repeat("a", 994)+"\r\n", 40)+"\r\n")
		a := send(t, s.sender(t, egress.Options{}), post(server.URL))
		size := 0
		for _, f := range a.Header {
			size += len(f.Name) + len(f.Value)
		}
		if size > 16<<10 || size < 15<<10 {
			t.Errorf("%d bytes of header kept, want almost 16384", size)
		}
	})
	for name, answer := range map[string]string{
		"chunk extensions are passed over": chunked + "2;a=\"b\"\r\nok\r\n0;c\r\n\r\n",
		"a trailer is passed over":         chunked + "2\r\nok\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n",
		"many chunks":                      chunked + "1\r\no\r\n01\r\nk\r\n000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := Answers(t, answer)
			c := s.sender(t, egress.Options{})
			for range 3 {
				a := send(t, c, post(server.URL))
				wantStatus(t, a, 200)
				if string(a.Body) != "ok" || a.Truncated {
					t.Errorf("body is %q, truncated %v; want all of %q", a.Body, a.Truncated, "ok")
				}
			}
			wantCount(t, "connections", server.Conns(), 1)
		})
	}
	t.Run("interim answers are passed over", func(t *testing.T) {
		t.Parallel()
		server := Answers(t, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"+okAnswer)
		wantStatus(t, send(t, s.sender(t, egress.Options{}), post(server.URL)), 200)
	})
}

// connections checks how connections are used: again where possible, and never
// to send a request twice (F10).
func (s suite) connections(t *testing.T) {
	t.Run("kept alive", s.keptAlive)
	t.Run("closed by Close", s.closes)
	for name, row := range map[string]struct {
		answer string
		conns  int
	}{
		"HTTP/1.1":                       {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1},
		"HTTP/1.1 that closes":           {"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n", 3},
		"HTTP/1.0":                       {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 3},
		"HTTP/1.0 that keeps":            {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", 1},
		"204":                            {"HTTP/1.1 204 No Content\r\n\r\n", 1},
		"304 with the length of another": {"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", 1},
		"a body that is too long":        {fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", 70_000, strings.Repeat("a", 70_000)), 3},
	} {
		t.Run("kept after "+name, func(t *testing.T) {
			t.Parallel()
			server := Answers(t, row.answer)
			c := s.sender(t, egress.Options{})
			for range 3 {
				if a := send(t, c, post(server.URL)); a.Failure != "" {
					t.Errorf("failure is %q (%s)", a.Failure, a.Detail)
				}
			}
			wantCount(t, "connections", server.Conns(), row.conns)
		})
	}
	for name, change := range map[string]func(*fattorino.Request){
		"POST":                      func(*fattorino.Request) {},
		"POST with Idempotency-Key": func(r *fattorino.Request) { r.Header[0] = fattorino.Header{Name: "Idempotency-Key", Value: "1"} },
		"PUT":                       func(r *fattorino.Request) { r.Method = "PUT" },
		"GET":                       func(r *fattorino.Request) { r.Method, r.Body = "GET", nil },
		"OPTIONS":                   func(r *fattorino.Request) { r.Method, r.Body = "OPTIONS", nil },
		"POST without body": func(r *fattorino.Request) {
			r.Header[0], r.Body = fattorino.Header{Name: "Idempotency-Key", Value: "1"}, nil
		},
	} {
		t.Run("F10 read and then closed, "+name, func(t *testing.T) {
			t.Parallel()
			server := ClosesOnSecond(t)
			c := s.sender(t, egress.Options{})
			wantStatus(t, send(t, c, post(server.URL)), 200)
			r := post(server.URL)
			change(r)
			a := send(t, c, r)
			if r.Body != nil { // on the connection just used
				wantFailure(t, a, fattorino.FailedReset)
			}
			wantCount(t, "requests", server.Requests(), 2)
		})
	}
	t.Run("F10 idle connection closed by the server", func(t *testing.T) {
		t.Parallel()
		server := ClosesIdle(t)
		c := s.sender(t, egress.Options{})
		answered := 0
		const sends = 300
		for range sends {
			if a := send(t, c, post(server.URL)); a.Failure == "" {
				answered++
			} else {
				wantFailure(t, a, fattorino.FailedReset) // it went out in the moment of closing
			}
		}
		// A request that met a closing connection was not read: no more, and no
		// fewer, were read than answered.
		wantCount(t, "requests", server.Requests(), answered)
		if answered < sends/2 {
			t.Errorf("only %d of %d requests were answered", answered, sends)
		}
	})
	t.Run("nothing listens", func(t *testing.T) {
		t.Parallel()
		wantFailure(t, send(t, s.sender(t, egress.Options{}), post(Refuses(t))), fattorino.FailedConnect)
	})
	t.Run("the caller's deadline", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), short)
		defer cancel()
		wantFailure(t, s.sender(t, egress.Options{}).Send(ctx, post(NeverAnswers(t).URL)), fattorino.FailedTimeout)
	})
	t.Run("the caller gives up", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		server := Serve(t, func(p *Peer) {
			p.ReadRequest()
			cancel()
			p.AwaitClose()
		})
		wantFailure(t, s.sender(t, egress.Options{}).Send(ctx, post(server.URL)), fattorino.FailedTimeout)
	})
	t.Run("many at once", s.concurrent)
}

func (s suite) keptAlive(t *testing.T) {
	t.Parallel()
	server := Answers(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", 20_000, strings.Repeat("a", 20_000)))
	c := s.sender(t, egress.Options{})
	for i := range 5 {
		a := send(t, c, post(server.URL))
		wantStatus(t, a, 200)
		if connected := a.Timing.Connect > 0; connected != (i == 0) {
			t.Errorf("exchange %d: timing is %+v; only the first makes a connection", i, a.Timing)
		}
		if a.Timing.FirstByte <= 0 || a.Timing.FirstByte > a.Timing.Total {
			t.Errorf("exchange %d: timing is %+v", i, a.Timing)
		}
	}
	wantCount(t, "connections", server.Conns(), 1)
}

func (s suite) closes(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	server := Serve(t, func(p *Peer) {
		answerAll(p, okAnswer)
		close(closed)
	})
	c := s.sender(t, egress.Options{})
	wantStatus(t, send(t, c, post(server.URL)), 200)
	c.Close()
	select {
	case <-closed:
	case <-time.After(long / 2):
		t.Error("the idle connection is still open")
	}
}

func (s suite) concurrent(t *testing.T) {
	t.Parallel()
	server := OK(t)
	c := s.sender(t, egress.Options{})
	const senders, each = 16, 40
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for range each {
				if a := c.Send(t.Context(), post(server.URL)); a.Status != 200 || string(a.Body) != "ok" {
					t.Errorf("status is %d, body %q, failure %q", a.Status, a.Body, a.Failure)
				}
			}
		})
	}
	all.Wait()
	wantCount(t, "requests", server.Requests(), senders*each)
	if server.Conns() > 4*senders { // some are made while another is being given back
		t.Errorf("%d connections for %d at a time", server.Conns(), senders)
	}
}
