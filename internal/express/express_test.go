package express_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/express"
)

// post is the head of a request that is taken over, but for its length.
const post = "POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"

func plain(body string) string {
	return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, len(body), body)
}

// echo answers with what it was asked. A request says itself how much of its
// body it wants to be read.
func echo(w http.ResponseWriter, r *http.Request) {
	var body []byte
	var err error
	switch r.Header.Get("X-Read") {
	case "nothing":
	case "a byte":
		body = make([]byte, 1)
		_, err = io.ReadFull(r.Body, body)
	default:
		body, err = io.ReadAll(r.Body)
	}
	if r.Header.Get("X-Last") != "" {
		w.Header().Set("Connection", "close")
	}
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprintf(w, "%s %s %s %s %q from %q, body %q of %d, %v", r.Method, r.RequestURI, r.URL, r.Proto, r.Host, r.RemoteAddr, body, r.ContentLength, err)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		_, _ = fmt.Fprintf(w, "\n%s: %q", name, r.Header[name])
	}
}

// A rig is a server with what takes connections over from it.
type rig struct {
	http    *http.Server
	express *express.Server
	states  chan http.ConnState // of connections that were taken over
}

const (
	head, body, write, idle = 10 * time.Second, time.Minute, 2 * time.Minute, 3 * time.Minute
)

// serve serves the listeners until the test ends.
func serve(t *testing.T, l net.Listener, h http.HandlerFunc) *rig {
	t.Helper()
	g := &rig{states: make(chan http.ConnState, 1000)}
	g.express = express.New(express.Config{
		Handler: h, Path: "/v1/events", Head: head, Body: body, Write: write, Idle: idle,
		Changed: func(_ net.Conn, state http.ConnState) { g.states <- state },
	})
	g.http = newHTTP(g.express)
	for _, l := range []net.Listener{l, g.express.Returned()} {
		go func() {
			if err := g.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		}()
	}
	t.Cleanup(func() { _, _ = g.http.Close(), g.express.Close() })
	return g
}

func newHTTP(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: head, ReadTimeout: body, WriteTimeout: write, IdleTimeout: idle,
		ErrorLog: log.New(io.Discard, "", 0),
	}
}

// pipes is a listener in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error { close(p); return nil }

func (pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// dial gives a connection to the listener.
func (p pipes) dial(t *testing.T) *client {
	t.Helper()
	ours, its := net.Pipe()
	p <- its
	t.Cleanup(func() { _ = ours.Close() })
	return &client{T: t, Conn: ours, in: bufio.NewReader(ours)}
}

type client struct {
	*testing.T
	net.Conn
	in *bufio.Reader
}

// send has the text sent as it is; a pipe takes it as fast as it is read.
func (c *client) send(text string) {
	go func() { _, _ = io.WriteString(c.Conn, text) }() // a connection that was cut off shows in its answers
}

// answer gives the next answer: its status and body, and whether it is the last.
func (c *client) answer() (status int, body string, last bool) {
	c.Helper()
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.Fatal(err)
	}
	defer r.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(r.Body)
	if err != nil {
		c.Fatal(err)
	}
	return r.StatusCode, string(text), r.Close
}

// mustEnd holds the connection to be at its end.
func (c *client) mustEnd() {
	c.Helper()
	if rest, err := io.ReadAll(c.in); len(rest) > 0 || err != nil {
		c.Errorf("the connection went on with %q, %v", rest, err)
	}
}

func TestAPublishersConnectionIsTakenOverAndGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Given a connection of plain requests, all alike but for their bodies,
		l := make(pipes)
		g := serve(t, l, echo)
		c := l.dial(t)
		for _, text := range []string{"one", "two", "number three", strings.Repeat("4", 100_000)} {
			c.send(plain(text))
			// when each is sent, then each is answered for what it is,
			if status, body, last := c.answer(); status != http.StatusAccepted || last || !strings.Contains(body, fmt.Sprintf("body %q of %d", text, len(text))) {
				t.Fatalf("%d %.200q, the last: %t", status, body, last)
			}
		}
		// and when something else is asked on it, net/http answers, and goes on
		// with what is plain again.
		for _, request := range []string{"GET /v1/events HTTP/1.1\r\nHost: b\r\n\r\n", plain("five"), "GET /v1/companies HTTP/1.1\r\nHost: b\r\n\r\n", plain("six")} {
			c.send(request)
			line, _, _ := strings.Cut(request, " HTTP")
			if _, body, _ := c.answer(); !strings.HasPrefix(body, line) {
				t.Errorf("%q was answered with %q", request, body)
			}
		}
		c.Close()
		synctest.Wait()
		want := []http.ConnState{
			http.StateIdle, http.StateActive, http.StateIdle, http.StateActive, http.StateIdle, http.StateActive, // up to the fourth
			http.StateIdle, http.StateActive, http.StateClosed, // the GET
			http.StateIdle, http.StateActive, http.StateClosed, // the fifth, and the second GET
			http.StateIdle, http.StateClosed, // the sixth
		}
		close(g.states)
		var got []http.ConnState
		for state := range g.states {
			got = append(got, state)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// A deepConn notes how deep in calls it is read from.
type deepConn struct {
	net.Conn
	depth *atomic.Int32
}

func (c deepConn) Read(p []byte) (int, error) {
	c.depth.Store(int32(runtime.Callers(0, make([]uintptr, 10_000))))
	return c.Conn.Read(p)
}

func TestAConnectionMayGoToAndFroForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Given a connection that net/http and we have given to each other,
		l, depth := make(pipes), &atomic.Int32{}
		serve(t, l, echo)
		ours, its := net.Pipe()
		l <- deepConn{its, depth}
		defer ours.Close() //nolint:errcheck // the test is over
		c := &client{T: t, Conn: ours, in: bufio.NewReader(ours)}
		there := func() int32 {
			for _, request := range []string{plain("ours"), "GET /v1/events HTTP/1.1\r\nHost: b\r\n\r\n"} {
				c.send(request)
				c.answer()
			}
			return depth.Load()
		}
		// when that goes on, then it is read from no deeper in calls than before.
		const calls = 50
		for range 2 * calls {
			if deep := there(); deep > calls {
				t.Fatalf("it is read from %d calls deep", deep)
			}
		}
	})
}

// Most answers on a connection are alike, and are told apart all the same.
func TestEachAnswerIsItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := make(pipes)
		serve(t, l, func(w http.ResponseWriter, r *http.Request) {
			wanted, _ := io.ReadAll(r.Body)
			status := http.StatusAccepted
			for field := range strings.SplitSeq(string(wanted), ";") {
				if name, value, _ := strings.Cut(field, "="); name == "Status" {
					status, _ = strconv.Atoi(value)
				} else {
					w.Header().Add(name, value)
				}
			}
			w.WriteHeader(status)
			_, _ = w.Write(wanted)
		})
		c := l.dial(t)
		begun := time.Now()
		for i, x := range []struct {
			wanted string
			status int
			header http.Header
		}{
			{"A=1", 202, http.Header{"A": {"1"}}},
			{"A=1", 202, http.Header{"A": {"1"}}},
			{"A=1;Status=503", 503, http.Header{"A": {"1"}}},
			{"A=2;Status=503", 503, http.Header{"A": {"2"}}},
			{"A=2;A=3", 202, http.Header{"A": {"2", "3"}}},
			{"A=2;B=3", 202, http.Header{"A": {"2"}, "B": {"3"}}},
			{"B=3", 202, http.Header{"B": {"3"}}},
			{"B=a\r\nC: b", 202, http.Header{"B": {"a  C: b"}}}, // as net/http writes it
			{"Content-Length=7", 202, http.Header{}},
			{"Date=today;B=3", 202, http.Header{"B": {"3"}, "Date": {"today"}}},
			{"B=3", 202, http.Header{"B": {"3"}}},
		} {
			c.send(plain(x.wanted))
			r, err := http.ReadResponse(c.in, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil || string(body) != x.wanted || r.StatusCode != x.status {
				t.Errorf("%q was answered with %d and %q, %v", x.wanted, r.StatusCode, body, err)
			}
			if x.header["Date"] == nil {
				x.header["Date"] = []string{begun.Add(time.Duration(i) * time.Second).UTC().Format(http.TimeFormat)}
			}
			x.header["Content-Length"] = []string{strconv.Itoa(len(x.wanted))}
			if diff := cmp.Diff(x.header, r.Header); diff != "" {
				t.Errorf("%q: %s", x.wanted, diff)
			}
			time.Sleep(time.Second)
		}
	})
}

func TestAShutdownLetsARequestEndAndNothingFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := make(pipes)
		released := make(chan struct{})
		g := serve(t, l, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Wait") != "" {
				<-released
			}
			echo(w, r)
		})
		// Given a connection that waits for nothing, and one with a request,
		idle, busy := l.dial(t), l.dial(t)
		for _, c := range []*client{idle, busy} {
			c.send(plain("first"))
			c.answer()
		}
		busy.send(strings.Replace(plain("second"), "\r\n", "\r\nX-Wait: yes\r\n", 1))
		synctest.Wait()

		// when the program stops,
		ended := make(chan error, 1)
		go func() { ended <- g.express.Shutdown(t.Context()) }()
		synctest.Wait()

		// then the one ends at once, and the other with its answer.
		idle.mustEnd()
		select {
		case err := <-ended:
			t.Fatalf("a request is under way, and the shutdown ended with %v", err)
		default:
		}
		close(released)
		if status, _, last := busy.answer(); status != http.StatusAccepted || !last {
			t.Errorf("the answer has status %d, the last: %t", status, last)
		}
		busy.mustEnd()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		// Nothing is taken over any more.
		after := l.dial(t)
		after.send(plain("third"))
		if status, _, _ := after.answer(); status != http.StatusAccepted {
			t.Errorf("net/http answers %d", status)
		}
	})
}

func TestAShutdownWaitsNoLongerThanItMay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := make(pipes)
		g := serve(t, l, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
		c := l.dial(t)
		c.send(post + "Content-Length: 10\r\n\r\nhalf")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := g.express.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the shutdown ended with %v", err)
		}
		if err := g.express.Close(); err != nil {
			t.Error(err)
		}
		c.mustEnd()
	})
}

func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		atOnce, slowly string        // sent after a first request
		after          time.Duration // the connection ends, within what it may stay below the limit
	}{
		"with nothing to say": {"", "", idle},
		"in the head":         {"", plain("late"), 4*time.Second + head}, // which begins with four bytes
		"in the body":         {post + "Content-Length: 1000\r\n\r\n", strings.Repeat("x", 1000), body},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				// Given a connection with a request behind it,
				l := make(pipes)
				serve(t, l, echo)
				client := l.dial(t)
				client.send(plain("first"))
				client.answer()

				// when what follows comes one byte a second,
				begun, sent := time.Now(), make(chan struct{})
				go func() {
					defer close(sent)
					_, err := io.WriteString(client.Conn, c.atOnce)
					for at := 0; at < len(c.slowly) && err == nil; at++ {
						time.Sleep(time.Second)
						_, err = io.WriteString(client.Conn, c.slowly[at:at+1])
					}
				}()
				_, _ = io.ReadAll(client.in)

				// then it is cut off when its time is over.
				if took := time.Since(begun); took > c.after || took < c.after*9/10 {
					t.Errorf("the connection was cut off after %v, not %v", took, c.after)
				}
				_ = client.Close()
				<-sent
			})
		})
	}
}

func TestAHandlerThatPanicsCutsOffItsConnectionAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := make(pipes)
		serve(t, l, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Abort") != "" {
				panic(http.ErrAbortHandler)
			}
			echo(w, r)
		})
		cut, other := l.dial(t), l.dial(t)
		for _, c := range []*client{cut, other} {
			c.send(plain("first"))
			c.answer()
		}
		cut.send(strings.Replace(plain("second"), "\r\n", "\r\nX-Abort: yes\r\n", 1))
		cut.mustEnd()
		other.send(plain("second"))
		if status, _, _ := other.answer(); status != http.StatusAccepted {
			t.Errorf("another connection was answered %d", status)
		}
	})
}

// FuzzAsNetHTTP sends the same bytes to a server of net/http alone and to one
// from which connections are taken over: nobody can tell the two apart.
func FuzzAsNetHTTP(f *testing.F) {
	for _, follow := range followers() {
		f.Add([]byte(plain("first") + follow))
		f.Add([]byte(follow))
	}
	e := express.New(express.Config{Handler: http.HandlerFunc(echo), Path: "/v1/events", Head: head, Body: body, Write: write, Idle: idle})
	// Sockets in the file system, as there are ports for a few hundred connections a second.
	dir := f.TempDir()
	alone, ours := filepath.Join(dir, "alone"), filepath.Join(dir, "ours")
	serveSocket(f, alone, newHTTP(http.HandlerFunc(echo)), nil)
	serveSocket(f, ours, newHTTP(e), e.Returned())
	f.Fuzz(func(t *testing.T, sent []byte) {
		want, got := converse(t, alone, sent), converse(t, ours, sent)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("to %q net/http (-) and we (+) answer\n%s", sent, diff)
		}
	})
}

// serveSocket serves a socket, and another listener if there is one.
func serveSocket(f *testing.F, path string, s *http.Server, also net.Listener) {
	f.Helper()
	l, err := net.Listen("unix", path) //nolint:noctx // it ends with the test
	if err != nil {
		f.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	if also != nil {
		go func() { _ = s.Serve(also) }()
	}
	f.Cleanup(func() { _ = s.Close() })
}

// followers are what may come on a connection after a plain request.
func followers() []string {
	length := func(text string) string { return strings.Replace(plain("hello"), "Content-Length: 5", text, 1) }
	field := func(text string) string { return strings.Replace(plain("hello"), "\r\n", "\r\n"+text+"\r\n", 1) }
	return []string{
		"", plain("second"), plain("second") + plain("third"), plain(""),
		length("Content-Length: 05"), length("Content-Length: +5"), length("Content-Length: 5, 5"), length("content-length: 5"),
		length("Content-Length: 5\r\nContent-Length: 5"), length("Content-Length: 5\r\nContent-Length: 6"), length("Content-Length:5"), length("Content-Length: 5 "),
		length("Content-Length: -5"), length("Content-Length: 999"), length("Content-Length: 5\r\n 5"), length("Content-Length : 5"),
		length("Transfer-Encoding: chunked") + "\r\n0\r\n\r\n", length("Content-Length: 5\r\nTransfer-Encoding: chunked"),
		field("X-Read: nothing") + plain("next"), field("X-Read: a byte") + plain("next"), field("X-Last: yes") + plain("next"),
		field("Connection: close") + plain("next"), field("Connection: keep-alive") + plain("next"), field("Expect: 100-continue"), field("Upgrade: h2c"),
		field("Host: b"), field("X: a\x00b"), field("X y: 1"), field("X: é"), field(" folded"), field("X: 1\r\n folded"), field(": none"),
		field("X: " + strings.Repeat("long", 2000)), field("X-Same: 1\r\nX-Same: 2") + field("X-Same: 1\r\nX-Same: 2"),
		strings.Replace(plain("hello"), "Host: a\r\n", "", 1), strings.Replace(plain("hello"), "Host: a", "Host: a b", 1),
		strings.Replace(plain("hello"), "/v1/events", "http://b/v1/events", 1), strings.Replace(plain("hello"), "/v1/events", "/v1/events?x=1", 1),
		strings.Replace(plain("hello"), "/v1/events", "/v1/%65vents", 1), strings.Replace(plain("hello"), "HTTP/1.1", "HTTP/1.0", 1),
		strings.Replace(plain("hello"), "HTTP/1.1", "HTTP/1.10", 1), strings.Replace(plain("hello"), "HTTP/1.1", "HTTP/2.0", 1), strings.Replace(plain("hello"), "POST", "post", 1),
		strings.ReplaceAll(plain("hello"), "\r\n", "\n"), strings.Replace(plain("hello"), "\r\n\r\n", "\n\n", 1), strings.Replace(plain("hello"), "\r\n\r\n", "\n\r\n", 1),
		"\r\n" + plain("hello"), "\n\n", "\r\n\r\n", "GET /v1/events HTTP/1.1\r\nHost: a\r\n\r\n" + plain("again"), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01 no HTTP",
		plain("half")[:len(post)+20], post, "POST", plain("second")[:len(plain("second"))-2],
	}
}

// converse sends all at once, and gives the answers up to the end of the
// connection, without what may differ.
func converse(t *testing.T, socket string, sent []byte) (answers []string) {
	t.Helper()
	c, err := net.Dial("unix", socket) //nolint:noctx // on this machine
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // read to its end
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = c.Write(sent)
		_ = c.(*net.UnixConn).CloseWrite()
	}()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%q keeps %s waiting", sent, socket)
			}
			return answers // an end, or a reset, which may hit before or after the last bytes
		}
		var text bytes.Buffer
		for _, name := range []string{"Date", "Content-Length"} { // net/http sends what is long in chunks
			r.Header.Del(name)
		}
		_, _ = fmt.Fprintln(&text, r.Status, r.Close)
		_ = r.Header.Write(&text)
		_, _ = io.Copy(&text, r.Body)
		_ = r.Body.Close()
		answers = append(answers, text.String())
	}
}
