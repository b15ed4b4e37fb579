package egress

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func newReader(text string) *answerReader { return readerAfter(&lastHead{}, text) }

// readerAfter reads an answer on a connection with a head before, when the first
// of it has come.
func readerAfter(last *lastHead, text string) *answerReader {
	from := bufio.NewReaderSize(strings.NewReader(text), 4<<10)
	_, _ = from.Peek(1)
	return &answerReader{from: from, last: last}
}

// Given the head of an answer, when it is read, then it tells where the body
// ends and whether the connection can be used again.
func TestHead(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, row := range map[string]struct {
		text string
		want head
	}{
		"no field":                          {ok, head{200, 1, -1, false, true, 0}},
		"a length":                          {ok + "Content-Length: 5\r\n", head{200, 1, 5, false, true, 0}},
		"space before the colon":            {ok + "Content-Length : 5\r\n", head{200, 1, 5, false, true, 0}},
		"the same length written otherwise": {ok + "content-length: 5\r\nContent-Length: 05\r\n", head{200, 1, 5, false, true, 0}},
		"chunks":                            {ok + "Transfer-Encoding: Chunked\r\n", head{200, 1, -1, true, true, 0}},
		"chunks and a length":               {ok + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", head{200, 1, -1, true, false, 0}},
		"closing":                           {ok + "Connection: keep-alive, close\r\n", head{200, 1, -1, false, false, 0}},
		"closing, said apart":               {ok + "Connection: keep-alive\r\nConnection:\tCLOSE \r\n", head{200, 1, -1, false, false, 0}},
		"closer is not close":               {ok + "Connection: closer\r\n", head{200, 1, -1, false, true, 0}},
		"HTTP/1.0":                          {"HTTP/1.0 200 OK\r\n", head{200, 0, -1, false, false, 0}},
		"HTTP/1.0 that keeps":               {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", head{200, 0, -1, false, true, 0}},
		"HTTP/1.0 knows no chunks":          {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", head{200, 0, 5, false, false, 0}},
		"HTTP/1.7":                          {"HTTP/1.7 200 OK\r\n", head{200, 1, -1, false, true, 0}},
		"how long it is kept":               {ok + "Keep-Alive: max=100, Timeout=5\r\n", head{200, 1, -1, false, true, 5 * time.Second}},
		"how long it is kept, not said":     {ok + "Keep-Alive: timeout, timeout=-1\r\n", head{200, 1, -1, false, true, 0}},
		"no reason":                         {"HTTP/1.1 200\r\n", head{200, 1, -1, false, true, 0}},
		"after an interim that closes":      {"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n" + ok, head{200, 1, -1, false, true, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := newReader(row.text + "\r\n").head()
			if err != nil || got != row.want {
				t.Errorf("head is %+v, %v; want %+v", got, err, row.want)
			}
		})
	}
}

// Given what is no HTTP/1 answer, when it is read, then it is refused.
func TestMalformedHead(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"HTTP/2":                 "HTTP/2.0 200 OK",
		"HTTP/1":                 "HTTP/1 200 OK",
		"no version":             "200 OK",
		"small letters":          "http/1.1 200 OK",
		"signed status":          "HTTP/1.1 +20 OK",
		"status of two digits":   "HTTP/1.1 20 OK",
		"status of letters":      "HTTP/1.1 2xx OK",
		"space in a name":        "HTTP/1.1 200 OK\r\nX A: 1",
		"tab in a name":          "HTTP/1.1 200 OK\r\nX\tA: 1",
		"signed length":          "HTTP/1.1 200 OK\r\nContent-Length: +5",
		"empty length":           "HTTP/1.1 200 OK\r\nContent-Length:",
		"folded length":          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n 6",
		"too many fields":        "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: 1\r\n", maxFields) + "A: 1",
		"too long, in two heads": "HTTP/1.1 100 Continue\r\nA: " + strings.Repeat("a", 40_000) + "\r\n\r\nHTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 40_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if h, err := newReader(text + "\r\n\r\n").head(); !errors.Is(err, errMalformed) {
				t.Errorf("head is %+v, error %v", h, err)
			}
		})
	}
}

// FuzzAnswer reads what a sink may send, and compares what it understands with
// net/http where both take it for an answer. Ours is stricter on purpose: it
// refuses a status with a sign, a version that is not 1.x, spaces inside a name,
// and more than maxFields fields. It is laxer in two things, which the
// standard allows: spaces before a colon are removed (net/http makes them part
// of the name), and the trailer, which nobody sees, is not looked at.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 No\r\n\r\n",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\nok",
		"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200\nA: b\n c\nX-\xff: \xff\n\nall of it",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nX-T: 1\r\n\r\nmore",
		"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nwelcome",
		"HTTP/1.1 200 OK\r\nContent-Length : 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		f.Add([]byte(text), false)
		f.Add([]byte(text), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, isHead bool) {
		method := "POST"
		if isHead {
			method = "HEAD"
		}
		ours := newReader(string(text))
		h, err := ours.head()
		if err != nil {
			return
		}
		header := ours.header()
		checkHeader(t, header)
		if statusFailure(h.status) != nil {
			return
		}
		body, truncated, ended := ours.body(h, method, maxBody)
		theirs := bufio.NewReader(strings.NewReader(string(text)))
		want, ok := readWithNetHTTP(theirs, method)
		if !ok {
			return
		}
		if h.status != want.StatusCode {
			t.Fatalf("status is %d, net/http reads %d", h.status, want.StatusCode)
		}
		if diff := cmp.Diff(visible(takeHeader(want.Header)), visible(header)); diff != "" {
			t.Errorf("header differs (-net/http +ours):\n%s", diff)
		}
		wantBody, err := io.ReadAll(want.Body)
		if err != nil && h.chunked {
			return // a trailer that net/http looks at
		}
		if string(body) != string(wantBody[:min(len(wantBody), maxBody)]) || truncated != (err != nil || len(wantBody) > maxBody) {
			t.Errorf("body is %q, truncated %v; net/http reads %q, %v", body, truncated, wantBody, err)
		}
		if left, wantLeft := rest(ours.from), rest(theirs); ended && left != wantLeft {
			t.Errorf("%q is left; net/http leaves %q", left, wantLeft)
		}
	})
}

// Given a connection on which a sink has answered, when it answers again, with
// the same head or another, then what is read is what would be read on a new
// connection.
func FuzzAnswerAfterAnother(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\nmore"
	const hints = "HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n"
	for _, pair := range [][2]string{
		{ok, ok},
		{ok, strings.Replace(ok, "ok", "no", 1)},
		{ok, strings.Replace(ok, "200", "500", 1)},
		{ok, ok[:30]},
		{ok[:len(ok)-2], ok},
		{hints + ok, hints + "HTTP/1.1 410 Gone\r\n\r\n"},
		{hints + "HTTP/1.1 410 Gone\r\n\r\n", hints + ok},
		{hints, hints + ok},
		{"HTTP/1.1 200 OK\nContent-Length: 6\n\nok\r\n\r\n", "HTTP/1.1 200 OK\nContent-Length: 6\n\nok\r\n\r\nHTTP/1.1 500 No\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", maxLast), "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", maxLast) + "\r\n\r\n"},
		{"HTTP/1.1 100 No\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 100 No\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n"},
		{chunked, chunked},
		{"HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"},
	} {
		f.Add([]byte(pair[0]), []byte(pair[1]))
	}
	f.Fuzz(func(t *testing.T, before, text []byte) {
		var last lastHead
		readWhole(readerAfter(&last, string(before)))
		got := readWhole(readerAfter(&last, string(text)))
		want := readWhole(newReader(string(text)))
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(wholeAnswer{}, head{})); diff != "" {
			t.Errorf("after %q it is read otherwise (-new connection +this one):\n%s", before, diff)
		}
		if again := readWhole(readerAfter(&last, string(text))); !cmp.Equal(want, again, cmp.AllowUnexported(wholeAnswer{}, head{})) {
			t.Errorf("the second time it is %+v, the first %+v", again, want)
		}
	})
}

type wholeAnswer struct {
	failed bool
	head   head
	header []fattorino.Header
	body   string
	cut    bool // its body
	ended  bool
	left   string
}

func readWhole(a *answerReader) wholeAnswer {
	h, err := a.head()
	if err != nil {
		return wholeAnswer{failed: true}
	}
	w := wholeAnswer{head: h, header: a.header()}
	body, truncated, ended := a.body(h, http.MethodPost, maxBody)
	w.body, w.cut, w.ended, w.left = string(body), truncated, ended, rest(a.from)
	return w
}

// Given a sink that says the same again, when its answer is read, then its head
// is the one that is known; and what is long is not kept.
func TestHeadThatIsKnown(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		text  string
		known bool
	}{
		"the same":            {"HTTP/1.1 200 OK\r\nDate: now\r\n\r\n", true},
		"after an interim":    {"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", false},
		"lines without CR":    {"HTTP/1.1 200 OK\nContent-Length: 4\n\n\r\n\r\n", false},
		"longer than is kept": {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", maxLast) + "\r\n\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var last lastHead
			first := readWhole(readerAfter(&last, row.text))
			a := readerAfter(&last, row.text)
			if second := readWhole(a); a.known != row.known || !cmp.Equal(first, second, cmp.AllowUnexported(wholeAnswer{}, head{})) {
				t.Errorf("known %v, %+v; first it was %+v", a.known, second, first)
			}
			if !row.known && (len(last.text) > 0 || last.header != nil) {
				t.Errorf("%q is kept", last.text)
			}
		})
	}
}

// readWithNetHTTP reads the final answer; false where net/http takes it for
// none, or takes a space for part of a name.
func readWithNetHTTP(r *bufio.Reader, method string) (*http.Response, bool) {
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return nil, false
		}
		for name, values := range resp.Header {
			if strings.Contains(name, " ") {
				return nil, false
			}
			for i, v := range values {
				values[i] = strings.TrimRight(v, " \t") // left by a folded line with nothing on it; no part of the value (RFC 9110, 5.5)
			}
		}
		if resp.StatusCode < 100 || resp.StatusCode >= 200 {
			return resp, true
		}
	}
}

// visible leaves out the fields that net/http removes, adds or changes.
func visible(header []fattorino.Header) []fattorino.Header {
	return slices.DeleteFunc(slices.Clone(header), func(f fattorino.Header) bool {
		return slices.Contains([]string{"Transfer-Encoding", "Trailer", "Connection", "Content-Length", "Cache-Control"}, f.Name)
	})
}

func checkHeader(t *testing.T, header []fattorino.Header) {
	t.Helper()
	size := 0
	for _, f := range header {
		size += len(f.Name) + len(f.Value)
		if !isToken(f.Name) || !utf8.ValidString(f.Value) {
			t.Errorf("field %q: %q", f.Name, f.Value)
		}
	}
	if size > 3*keptHeader { // as what is no UTF-8 becomes three bytes
		t.Errorf("%d bytes of header", size)
	}
	if !slices.IsSortedFunc(header, func(a, b fattorino.Header) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("header is not sorted: %v", header)
	}
}

func rest(r *bufio.Reader) string {
	b, err := io.ReadAll(r)
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(b)
}
