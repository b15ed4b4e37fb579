package filter

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// maxDepth bounds the nesting of data, as ingest does.
const maxDepth = 1000

// pointers holds the JSON Pointers of a filter as a tree, so that one pass
// over an event's data finds the values of all.
type pointers struct {
	root  *branch
	count int // slots in use
}

// A branch is a place in data that is pointed at, or leads to one that is.
type branch struct {
	slot     int                // -1: no pointer ends here
	children map[string]*branch // by reference token: name of a member or index
}

func newPointers() *pointers { return &pointers{root: &branch{slot: -1}} }

// add takes a pointer in and gives the slot of its value.
func (p *pointers) add(tokens []string) int {
	at := p.root
	for _, token := range tokens {
		next := at.children[token]
		if next == nil {
			next = &branch{slot: -1}
			if at.children == nil {
				at.children = map[string]*branch{}
			}
			at.children[token] = next
		}
		at = next
	}
	if at.slot < 0 {
		at.slot = p.count
		p.count++
	}
	return at.slot
}

// parsePointer reads the reference tokens of a JSON Pointer (RFC 6901).
func parsePointer(s string) (tokens []string, ok bool) {
	if s == "" {
		return nil, true
	}
	if s[0] != '/' {
		return nil, false
	}
	unescaper := strings.NewReplacer("~1", "/", "~0", "~")
	for token := range strings.SplitSeq(s[1:], "/") {
		for i := range len(token) {
			if token[i] == '~' && (i+1 == len(token) || token[i+1] != '0' && token[i+1] != '1') {
				return nil, false
			}
		}
		tokens = append(tokens, unescaper.Replace(token))
	}
	return tokens, true
}

// A document is the JSON data of an event, read when first asked for.
type document struct {
	event    *fattorino.Event
	pointers *pointers
	read     bool
	values   [][]byte // by slot; nil where the event has no JSON data
}

// value gives the JSON of the value in a slot, nil where there is none. ok is
// false where the event has no JSON data at all.
func (d *document) value(slot int) (raw []byte, ok bool) {
	if !d.read {
		d.read = true
		d.find()
	}
	if d.values == nil {
		return nil, false
	}
	return d.values[slot], true
}

func (d *document) find() {
	if d.event.Form != fattorino.JSONData {
		return
	}
	f := finder{data: d.event.Data, values: make([][]byte, d.pointers.count)}
	if f.value(d.pointers.root, 0) && f.space() == 0 && f.pos == len(f.data) {
		d.values = f.values
	}
}

// A finder reads JSON (RFC 8259) and keeps the values that are pointed at. It
// checks all of it, as half a value could be taken for another.
type finder struct {
	data   []byte
	pos    int
	values [][]byte
}

// space skips white space and gives the byte after it; 0 at the end.
func (f *finder) space() byte {
	for ; f.pos < len(f.data); f.pos++ {
		switch c := f.data[f.pos]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// value reads a value, which is at the branch; nil where nothing is pointed at.
func (f *finder) value(at *branch, depth int) bool {
	c := f.space()
	start, ok := f.pos, false
	switch c {
	case '{', '[':
		if depth < maxDepth {
			ok = f.container(c, at, depth)
		}
	case '"':
		_, ok = f.string()
	case 't':
		ok = f.word("true")
	case 'f':
		ok = f.word("false")
	case 'n':
		ok = f.word("null")
	default:
		ok = f.number()
	}
	if ok && at != nil && at.slot >= 0 {
		f.values[at.slot] = f.data[start:f.pos]
	}
	return ok
}

// container reads an object or an array.
func (f *finder) container(open byte, at *branch, depth int) bool {
	closing := open + 2 // in ASCII, that of both
	f.pos++
	if f.space() == closing {
		f.pos++
		return true
	}
	for index := 0; ; index++ {
		child, ok := (*branch)(nil), true
		if open == '{' {
			child, ok = f.member(at)
		} else if at != nil && at.children != nil {
			var digits [20]byte
			child = at.children[string(strconv.AppendInt(digits[:0], int64(index), 10))]
		}
		if !ok || !f.value(child, depth+1) {
			return false
		}
		c := f.space()
		f.pos++
		if c == closing {
			return true
		}
		if c != ',' {
			return false
		}
	}
}

// member reads the name of a member and the colon, and gives its branch. What
// an earlier member of that name had is forgotten.
func (f *finder) member(at *branch) (*branch, bool) {
	if f.space() != '"' {
		return nil, false
	}
	raw, ok := f.string()
	if !ok || f.space() != ':' {
		return nil, false
	}
	f.pos++
	if at == nil || at.children == nil {
		return nil, true
	}
	var child *branch
	if bytes.IndexByte(raw, '\\') < 0 {
		child = at.children[string(raw[1:len(raw)-1])]
	} else {
		child = at.children[unquote(raw)]
	}
	f.forget(child)
	return child, true
}

func (f *finder) forget(at *branch) {
	if at == nil {
		return
	}
	if at.slot >= 0 {
		f.values[at.slot] = nil
	}
	for _, child := range at.children {
		f.forget(child)
	}
}

func (f *finder) word(w string) bool {
	if string(f.data[f.pos:min(len(f.data), f.pos+len(w))]) != w {
		return false
	}
	f.pos += len(w)
	return true
}

// string reads a string and gives it with its quotes.
func (f *finder) string() (raw []byte, ok bool) {
	start := f.pos
	for f.pos++; f.pos < len(f.data); f.pos++ {
		switch c := f.data[f.pos]; {
		case c == '"':
			f.pos++
			return f.data[start:f.pos], true
		case c < ' ':
			return nil, false
		case c == '\\':
			if f.pos++; !f.escape() {
				return nil, false
			}
		}
	}
	return nil, false
}

// escape checks what follows a backslash, and ends at the last byte of it.
func (f *finder) escape() bool {
	if f.pos == len(f.data) {
		return false
	}
	if f.data[f.pos] != 'u' {
		return strings.IndexByte(`"\/bfnrt`, f.data[f.pos]) >= 0
	}
	for range 4 {
		if f.pos++; f.pos == len(f.data) {
			return false
		}
		if c := f.data[f.pos]; !isDigit(c) && (c|0x20 < 'a' || 'f' < c|0x20) {
			return false
		}
	}
	return true
}

func (f *finder) number() bool {
	f.skip('-')
	if !f.skip('0') && !f.digits() {
		return false
	}
	if f.skip('.') && !f.digits() {
		return false
	}
	if f.skip('e') || f.skip('E') {
		_ = f.skip('+') || f.skip('-')
		return f.digits()
	}
	return true
}

// skip goes over c where it is next.
func (f *finder) skip(c byte) bool {
	if f.pos == len(f.data) || f.data[f.pos] != c {
		return false
	}
	f.pos++
	return true
}

// digits goes over at least one digit.
func (f *finder) digits() bool {
	start := f.pos
	for f.pos < len(f.data) && isDigit(f.data[f.pos]) {
		f.pos++
	}
	return f.pos > start
}
