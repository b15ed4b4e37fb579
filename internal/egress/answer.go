package egress

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// errMalformed is what came from the sink and is no HTTP answer, or one with
// too large a header.
var errMalformed = errors.New("no HTTP answer")

// An answerReader reads answers (RFC 9112, sections 4 to 7). Its memory is
// used again.
type answerReader struct {
	from   *bufio.Reader
	last   *lastHead // of the connection
	known  bool      // the head is that one
	left   int       // bytes that the header may still have
	text   []byte    // names and values of the fields
	fields []field   // where they lie in text
	long   []byte    // a line that is longer than the buffer of from
	sized  io.LimitedReader
	piece  [pieceSize]byte
}

// maxFields is how many fields a header may have.
const maxFields = 1000

// A lastHead is what the answer before had before its body. A sink that answers
// often says the same again, byte for byte, until its clock goes on by a second:
// what is known is not read again.
type lastHead struct {
	text   []byte // as it came, with the blank line; empty = none
	head   head
	header []fattorino.Header // of each answer with this head
}

// maxLast is how long a head may be to be kept, in bytes: every connection has
// one.
const maxLast = 512

// begins tells whether what came begins with the head before.
func (l *lastHead) begins(came []byte) bool { return len(l.text) > 0 && bytes.HasPrefix(came, l.text) }

// note keeps the head that came begins with, if it is there to its end.
func (l *lastHead) note(came []byte) {
	end := bytes.Index(came[:min(len(came), maxLast)], []byte("\r\n\r\n"))
	l.text, l.header = l.text[:0], nil
	if end >= 0 {
		l.text = append(l.text, came[:end+4]...)
	}
}

// A field is a header field: text[name:colon] is its name in the canonical
// form (Content-Type), text[colon:end] its value.
type field struct{ name, colon, end int }

// A head is what stands before an answer's body, as far as it tells where the
// body ends and what becomes of the connection.
type head struct {
	status  int
	version byte  // 0 or 1, of HTTP/1.0 or HTTP/1.1
	length  int64 // Content-Length; -1 = none
	chunked bool
	keep    bool // the connection can be used again
	// patience is for how long the sink says that it keeps the connection
	// without a request; 0 = it does not say.
	patience time.Duration
}

// final tells whether the answer to the request has come. What comes before it
// is an interim answer; after 101 nothing that is HTTP can come any more.
func (h head) final() bool { return h.status < 100 || h.status >= 200 || h.status == 101 }

// head reads up to the body of the final answer. Interim answers are passed
// over, and count for the header's limit.
func (a *answerReader) head() (head, error) {
	came, _ := a.from.Peek(a.from.Buffered()) // which is there
	a.left = maxHeader
	if a.known = a.last.begins(came); a.known {
		a.left -= len(a.last.text)
		_, err := a.from.Discard(len(a.last.text))
		return a.last.head, err
	}
	a.last.note(came)
	h, err := a.oneHead()
	if noted := len(came) - a.from.Buffered(); err != nil || !h.final() || noted != len(a.last.text) {
		a.last.text = a.last.text[:0] // it is something else, or ends in another way
	}
	a.last.head = h
	for err == nil && !h.final() {
		h, err = a.oneHead()
	}
	return h, err
}

func (a *answerReader) oneHead() (head, error) {
	line, err := a.line()
	if err != nil {
		return head{}, err
	}
	h, err := parseStatusLine(line)
	if err != nil {
		return head{}, err
	}
	if err := a.readFields(); err != nil {
		return head{}, err
	}
	return h, a.framing(&h)
}

// line reads a line of the header and gives it without its end, which is CRLF
// or LF alone (RFC 9112, section 2.2). It is valid until the next read.
func (a *answerReader) line() ([]byte, error) {
	line, err := a.from.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		a.long = a.long[:0]
		for errors.Is(err, bufio.ErrBufferFull) && len(a.long) <= a.left {
			a.long = append(a.long, line...)
			line, err = a.from.ReadSlice('\n')
		}
		a.long = append(a.long, line...)
		line = a.long
	}
	if a.left -= len(line); a.left < 0 {
		return nil, errMalformed
	}
	if errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'}), nil
}

// parseStatusLine reads "HTTP/1.1 200 OK" (RFC 9112, section 4). The reason
// may be missing, and the space before it with it.
func parseStatusLine(line []byte) (head, error) {
	version, rest, ok := bytes.Cut(line, []byte{' '})
	if !ok || len(version) != len("HTTP/1.1") || string(version[:7]) != "HTTP/1." || !isDigit(version[7]) {
		return head{}, errMalformed
	}
	code, _, _ := bytes.Cut(bytes.TrimLeft(rest, " "), []byte{' '})
	if len(code) != 3 || !isDigit(code[0]) || !isDigit(code[1]) || !isDigit(code[2]) {
		return head{}, errMalformed
	}
	h := head{
		status:  int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0'),
		version: min(version[7]-'0', 1), // a later minor version is read as the highest known (RFC 9110, section 2.5)
	}
	return h, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// readFields reads the header fields up to the blank line.
func (a *answerReader) readFields() error {
	a.text, a.fields = a.text[:0], a.fields[:0]
	for {
		line, err := a.line()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			a.trimFolded()
			return nil
		}
		if err := a.addField(line); err != nil {
			return err
		}
	}
}

// addField takes one line of the header: a field, or more of the value of the
// last one, in the obsolete form that a client reads as a space (RFC 9112,
// section 5.2). Spaces before the colon, which the same section 5.1 forbids
// but has removed from answers, are removed.
func (a *answerReader) addField(line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		if len(a.fields) == 0 {
			return errMalformed
		}
		last := &a.fields[len(a.fields)-1]
		if last.end > last.colon { // no value begins with a space
			a.text = append(a.text, ' ')
		}
		return a.addValue(last, line)
	}
	name, value, ok := bytes.Cut(line, []byte{':'})
	name = bytes.TrimRight(name, " \t")
	if !ok || !isToken(name) || len(a.fields) == maxFields {
		return errMalformed
	}
	start := len(a.text)
	upper := true
	for _, c := range name {
		a.text = append(a.text, canonical(c, upper))
		upper = c == '-'
	}
	a.fields = append(a.fields, field{start, len(a.text), len(a.text)})
	return a.addValue(&a.fields[len(a.fields)-1], value)
}

// trimFolded takes off the spaces that lines with nothing on them have left at
// the end of values (RFC 9110, section 5.5).
func (a *answerReader) trimFolded() {
	for i := range a.fields {
		f := &a.fields[i]
		f.end = f.colon + len(bytes.TrimRight(a.text[f.colon:f.end], " "))
	}
}

// addValue appends to a field's value, which is the last in the text.
func (a *answerReader) addValue(f *field, value []byte) error {
	value = bytes.Trim(value, " \t")
	for _, c := range value {
		if (c < ' ' && c != '\t') || c == 0x7f {
			return errMalformed
		}
	}
	a.text = append(a.text, value...)
	f.end = len(a.text)
	return nil
}

// canonical gives one letter of a name in the form of names: Content-Type.
func canonical(c byte, upper bool) byte {
	switch {
	case upper && 'a' <= c && c <= 'z':
		return c - 'a' + 'A'
	case !upper && 'A' <= c && c <= 'Z':
		return c - 'A' + 'a'
	}
	return c
}

// framing fills in what the fields say of the body's end and the connection
// (RFC 9112, sections 6 and 9.3). What two readers could understand
// differently is malformed, or the connection is not used again.
func (a *answerReader) framing(h *head) error {
	h.length, h.keep = -1, h.version == 1
	coded, closes := false, false
	for _, f := range a.fields {
		value := a.text[f.colon:f.end]
		switch string(a.text[f.name:f.colon]) {
		case "Content-Length":
			n, ok := parseLength(value)
			if !ok || (h.length >= 0 && h.length != n) {
				return errMalformed
			}
			h.length = n
		case "Transfer-Encoding":
			if h.version == 1 && (coded || !bytes.EqualFold(value, []byte("chunked"))) {
				return errMalformed // no other coding was asked for
			}
			coded = true
		case "Connection":
			closes = closes || hasToken(value, "close")
			h.keep = h.keep || hasToken(value, "keep-alive")
		case "Keep-Alive":
			h.patience = parsePatience(value)
		}
	}
	h.chunked = coded && h.version == 1 // HTTP/1.0 knows no such field
	if closes || (coded && (h.length >= 0 || h.version == 0)) {
		h.keep = false
	}
	if h.chunked {
		h.length = -1
	}
	return nil
}

// parseLength reads a Content-Length: digits alone, and not too many.
func parseLength(value []byte) (int64, bool) {
	if len(value) == 0 || len(value) > 18 {
		return 0, false
	}
	n := int64(0)
	for _, c := range value {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// parsePatience reads the seconds in "timeout=5, max=100" (RFC 2068, section
// 19.7.1.1), as Node.js and Apache send it.
func parsePatience(value []byte) time.Duration {
	for item := range bytes.SplitSeq(value, []byte{','}) {
		name, text, _ := bytes.Cut(bytes.Trim(item, " \t"), []byte{'='})
		if n, ok := parseLength(text); ok && bytes.EqualFold(name, []byte("timeout")) {
			return time.Duration(min(n, 3600)) * time.Second
		}
	}
	return 0
}

// hasToken tells whether a list of tokens has the given one.
func hasToken(list []byte, token string) bool {
	for item := range bytes.SplitSeq(list, []byte{','}) {
		if bytes.EqualFold(bytes.Trim(item, " \t"), []byte(token)) {
			return true
		}
	}
	return false
}

// header gives the fields sorted by name, as far as they fit into keptHeader
// bytes, in valid UTF-8. Answers can have it in common.
func (a *answerReader) header() []fattorino.Header {
	if a.known {
		return a.last.header
	}
	header := a.newHeader()
	if len(a.last.text) > 0 {
		a.last.header = header
	}
	return header
}

func (a *answerReader) newHeader() []fattorino.Header {
	slices.SortStableFunc(a.fields, func(f, g field) int {
		return bytes.Compare(a.text[f.name:f.colon], a.text[g.name:g.colon])
	})
	size, kept := 0, 0
	for _, f := range a.fields {
		if size+f.end-f.name > keptHeader {
			break
		}
		size += f.end - f.name
		kept++
	}
	var text strings.Builder // one string for all
	text.Grow(size)
	for _, f := range a.fields[:kept] {
		text.Write(a.text[f.name:f.end])
	}
	all, valid := text.String(), utf8.ValidString(text.String())
	header := make([]fattorino.Header, kept)
	for i, f := range a.fields[:kept] {
		name, value := all[:f.colon-f.name], all[f.colon-f.name:f.end-f.name]
		all = all[len(name)+len(value):]
		if !valid {
			value = strings.ToValidUTF8(value, "\uFFFD")
		}
		header[i] = fattorino.Header{Name: name, Value: value}
	}
	return header
}
