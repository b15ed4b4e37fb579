package egress

import (
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A requestWriter puts requests into the form of the wire. Its memory is used
// again.
type requestWriter struct {
	text   []byte
	fields []*fattorino.Header // of one request, sorted
	plain  fattorino.Header    // the field that asks for a body as it is
}

// write puts a request's line and header into w.text, with the blank line that
// ends it (RFC 9112, sections 2 and 3).
func (w *requestWriter) write(r *fattorino.Request, to target) error {
	method := r.Method
	if method == "" {
		method = "GET"
	}
	if !isToken(method) || method == "CONNECT" {
		return unwritable()
	}
	b := append(append(w.text[:0], method...), ' ')
	b = append(append(b, to.path...), " HTTP/1.1\r\nHost: "...)
	b = append(b, to.field...)
	if len(r.Body) > 0 || method == "POST" || method == "PUT" || method == "PATCH" { // RFC 9110, section 8.6
		b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), int64(len(r.Body)), 10)
	}
	if wantsClose(r.Header) {
		b = append(b, "\r\nConnection: close"...)
	}
	var err error
	w.text, err = w.writeFields(append(b, "\r\n"...), r.Header)
	return err
}

// shortBody is up to how many bytes a body is copied, to go out with its header
// in one write.
const shortBody = 16 << 10

// send sends what was written last, and the body.
func (w *requestWriter) send(to io.Writer, body []byte) error {
	if len(body) <= shortBody {
		_, err := to.Write(w.whole(body))
		return err
	}
	_, err := to.Write(w.text)
	if err == nil {
		_, err = to.Write(body)
	}
	return err
}

// whole gives what was written last with the body, which is short.
func (w *requestWriter) whole(body []byte) []byte {
	head := len(w.text)
	w.text = append(w.text, body...)
	whole := w.text
	w.text = whole[:head] // it may have to go out once more
	return whole
}

// writeFields appends the fields that are the caller's to set, sorted by name.
func (w *requestWriter) writeFields(b []byte, header []fattorino.Header) ([]byte, error) {
	w.fields = w.fields[:0]
	encoding := false
	for i := range header {
		f := &header[i]
		if ownField(f.Name) {
			continue
		}
		if !isToken(f.Name) || !httpguts.ValidHeaderFieldValue(f.Value) {
			return b, unwritable()
		}
		encoding = encoding || strings.EqualFold(f.Name, "Accept-Encoding")
		w.fields = append(w.fields, f)
	}
	if !encoding {
		w.plain = fattorino.Header{Name: "Accept-Encoding", Value: "identity"}
		w.fields = append(w.fields, &w.plain)
	}
	slices.SortStableFunc(w.fields, func(a, b *fattorino.Header) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range w.fields {
		b = append(append(b, f.Name...), ": "...)
		b = append(append(b, strings.Trim(f.Value, " \t")...), "\r\n"...)
	}
	clear(w.fields) // they belong to the caller
	return append(b, "\r\n"...), nil
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

// isToken tells whether s can be a method or the name of a field (RFC 9110,
// section 5.6.2).
func isToken[T string | []byte](s T) bool {
	for i := range len(s) {
		if !httpguts.IsTokenRune(rune(s[i])) {
			return false
		}
	}
	return len(s) > 0
}
