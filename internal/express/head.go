package express

import (
	"bufio"
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// mostBody is how long the body of a plain request may be: as much as net/http
// would read of one that its handler has left alone.
const mostBody = 256 << 10

// plain tells whether a request, as net/http has read it, is one of those that
// are served here: POST to the path under HTTP/1.1, with a body whose length is
// told, and nothing that changes how the connection goes on.
func (s *Server) plain(r *http.Request) bool {
	switch {
	case r.Method != http.MethodPost || r.RequestURI != s.Path || r.Proto != "HTTP/1.1" || r.TLS != nil:
		return false
	case r.ContentLength <= 0 || r.ContentLength > mostBody || len(r.TransferEncoding) > 0 || r.Close:
		return false
	}
	for _, name := range []string{"Connection", "Expect", "Te", "Trailer", "Transfer-Encoding", "Upgrade"} {
		if r.Header[name] != nil {
			return false
		}
	}
	return true
}

// beginsPlain tells whether a head that begins so can be that of a plain request.
func (s *Server) beginsPlain(begun []byte) bool {
	line := "POST " + s.Path + " HTTP/1.1"
	n := min(len(begun), len(line))
	return string(begun[:n]) == line[:n]
}

// endOfHead gives where the head of a request ends, after its empty line; 0
// where it does not end yet. A line may end in a line feed alone (RFC 9112,
// section 2.2).
func endOfHead(b []byte) int {
	for from := 0; ; {
		at := bytes.IndexByte(b[from:], '\n')
		if at < 0 {
			return 0
		}
		from += at + 1
		switch rest := b[from:]; {
		case bytes.HasPrefix(rest, []byte("\n")):
			return from + 1
		case bytes.HasPrefix(rest, []byte("\r\n")):
			return from + 2
		}
	}
}

// A frame is a head without the digits of its Content-Length, which is all that
// differs from request to request of most publishers.
type frame struct {
	before, after []byte
	request       *http.Request // that it stands for
}

// read gives the request of a head; nil where it is not plain.
func (c *conn) read(head []byte) *http.Request {
	if r := c.last.again(head); r != nil {
		return r
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil || !c.server.plain(r) || !valid(r) {
		return nil
	}
	r.RemoteAddr = c.remote
	r = r.WithContext(c.ctx)
	c.last = newFrame(head, r)
	one := *r
	return &one
}

// valid holds a request to what net/http's server demands beyond what
// [http.ReadRequest] does.
func valid(r *http.Request) bool {
	if r.Host == "" || !httpguts.ValidHostHeader(r.Host) {
		return false
	}
	for name, values := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return false
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return false
			}
		}
	}
	return true
}

// newFrame gives the frame of a head; an empty one where that does not tell its
// length in the one plain way.
func newFrame(head []byte, r *http.Request) frame {
	const field = "\r\nContent-Length: "
	told := r.Header["Content-Length"]
	if len(told) != 1 || told[0] != strconv.FormatInt(r.ContentLength, 10) {
		return frame{}
	}
	before, after, ok := strings.Cut(string(head), field+told[0]+"\r\n")
	if !ok || strings.Contains(strings.ToLower(before+after), strings.ToLower(field[:len(field)-2])) {
		return frame{}
	}
	return frame{before: []byte(before + field), after: []byte("\r\n" + after), request: r}
}

// again gives the request of a head that is the last one but for its length; nil
// where it is not.
func (f *frame) again(head []byte) *http.Request {
	if f.request == nil || !bytes.HasPrefix(head, f.before) || !bytes.HasSuffix(head, f.after) {
		return nil
	}
	digits := head[len(f.before):]
	if len(digits) < len(f.after) {
		return nil // the two overlap
	}
	digits = digits[:len(digits)-len(f.after)]
	length := plainNumber(digits)
	if length <= 0 || length > mostBody {
		return nil
	}
	r := *f.request
	if r.ContentLength != length {
		r.Header = r.Header.Clone()
		r.Header["Content-Length"] = []string{string(digits)}
		r.ContentLength = length
		f.request.Header, f.request.ContentLength = r.Header, length
	}
	return &r
}

// plainNumber gives a number in as few decimal digits as there can be; 0 for
// anything else.
func plainNumber(digits []byte) (n int64) {
	if len(digits) == 0 || len(digits) > 7 || digits[0] == '0' {
		return 0
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0
		}
		n = n*10 + int64(d-'0')
	}
	return n
}
