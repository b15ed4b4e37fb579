package cloudevents

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// maxDepth bounds the nesting of arrays and objects in a JSON value, so that
// no text can exhaust the stack.
const maxDepth = 1000

// A scanner walks over JSON text (RFC 8259) and says where its values are. It
// accepts what encoding/json does, down to maxDepth, and makes nothing of
// what it reads: values keep their bytes. The text has to be valid UTF-8.
type scanner struct {
	text []byte
	at   int // the next byte
}

// scanJSON gives the JSON value that the text consists of, without the white
// space around it.
func scanJSON(text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return nil, notUTF8()
	}
	s := scanner{text: text}
	s.space()
	value, err := s.value(0)
	if err != nil {
		return nil, err
	}
	return value, s.end()
}

// notUTF8 says that a body that should be JSON cannot be.
func notUTF8() error {
	return &fattorino.Error{
		Kind: fattorino.Malformed,
		Msg:  "the body is not valid JSON: it is not valid UTF-8",
		Fix:  "Send the JSON in UTF-8.",
	}
}

// fail says what is wrong with the text at the next byte.
func (s *scanner) fail(what string) error {
	if s.at >= len(s.text) {
		what = "it ends too early"
	}
	return &fattorino.Error{
		Kind: fattorino.Malformed,
		Msg:  fmt.Sprintf("the body is not valid JSON: %s at byte %d", what, s.at),
		Fix:  "Send valid JSON, as RFC 8259 defines it.",
	}
}

// peek gives the next byte; 0, which can stand nowhere in JSON, at the end.
func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// take goes past the next byte where it is c.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

// space goes past white space.
func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\n', '\t', '\r':
			s.at++
		default:
			return
		}
	}
}

// end makes sure that nothing but white space follows.
func (s *scanner) end() error {
	s.space()
	if s.at < len(s.text) {
		return s.fail("unexpected text after the value")
	}
	return nil
}

// value goes past one value, which starts at the next byte, and gives its
// bytes. depth counts the arrays and objects that it is inside of.
func (s *scanner) value(depth int) ([]byte, error) {
	start := s.at
	var err error
	switch c := s.peek(); {
	case c == '"':
		err = s.string()
	case c == '-' || isDigit(c):
		err = s.number()
	case c == 't':
		err = s.word("true")
	case c == 'f':
		err = s.word("false")
	case c == 'n':
		err = s.word("null")
	case (c == '{' || c == '[') && depth >= maxDepth:
		err = s.fail("nested deeper than " + strconv.Itoa(maxDepth) + " levels")
	case c == '[':
		err = s.list(']', func() error {
			_, err := s.value(depth + 1)
			return err
		})
	case c == '{':
		err = s.list('}', func() error {
			_, _, err := s.member(depth + 1)
			return err
		})
	default:
		err = s.fail("expected a value")
	}
	return s.text[start:s.at], err
}

// list goes past an array or object, whose opening bracket is the next byte
// and whose closing one is end. item goes past each element or member.
func (s *scanner) list(end byte, item func() error) error {
	s.at++
	s.space()
	if s.take(end) {
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		s.space()
		if s.take(end) {
			return nil
		}
		if !s.take(',') {
			return s.fail("expected , or " + string(end))
		}
		s.space()
	}
}

// member goes past one member of an object and gives its name, quotes
// included, and its value.
func (s *scanner) member(depth int) (name, value []byte, err error) {
	start := s.at
	if s.peek() != '"' {
		return nil, nil, s.fail("expected a member's name in quotes")
	}
	if err := s.string(); err != nil {
		return nil, nil, err
	}
	name = s.text[start:s.at]
	s.space()
	if !s.take(':') {
		return nil, nil, s.fail("expected :")
	}
	s.space()
	value, err = s.value(depth)
	return name, value, err
}

// string goes past a string, from quote to quote.
func (s *scanner) string() error {
	s.at++
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		case c < ' ':
			return s.fail("unescaped control character in a string")
		default:
			s.at++
		}
	}
	return s.fail("")
}

// escape goes past an escape sequence of a string.
func (s *scanner) escape() error {
	s.at++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.at++
		return nil
	case 'u':
		s.at++
		for range 4 {
			if !isHex(s.peek()) {
				return s.fail("expected four hexadecimal digits")
			}
			s.at++
		}
		return nil
	}
	return s.fail("unknown escape in a string")
}

// number goes past a number.
func (s *scanner) number() error {
	s.take('-')
	if !s.take('0') && !s.digits() { // no further digit may follow a leading zero
		return s.fail("expected a digit")
	}
	if s.take('.') && !s.digits() {
		return s.fail("expected a digit")
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		if !s.digits() {
			return s.fail("expected a digit")
		}
	}
	return nil
}

// digits goes past digits; false where there is none.
func (s *scanner) digits() bool {
	start := s.at
	for isDigit(s.peek()) {
		s.at++
	}
	return s.at > start
}

// word goes past a literal name.
func (s *scanner) word(w string) error {
	for i := range len(w) {
		if !s.take(w[i]) {
			return s.fail("expected " + w)
		}
	}
	return nil
}

// unquote gives what a JSON string, quotes included, says; false where it
// holds half a surrogate pair, which is no character. The bytes may be those
// of token.
func unquote(token []byte) (text []byte, ok bool) {
	text = token[1 : len(token)-1]
	i := bytes.IndexByte(text, '\\')
	if i < 0 {
		return text, true
	}
	out := append(make([]byte, 0, len(text)), text[:i]...)
	for i < len(text) {
		if text[i] != '\\' {
			out = append(out, text[i])
			i++
			continue
		}
		c := text[i+1]
		i += 2
		if c != 'u' {
			out = append(out, unescaped(c))
			continue
		}
		r := hexRune(text[i : i+4])
		i += 4
		if utf16.IsSurrogate(r) {
			if i+6 > len(text) || text[i] != '\\' || text[i+1] != 'u' {
				return nil, false
			}
			if r = utf16.DecodeRune(r, hexRune(text[i+2:i+6])); r == utf8.RuneError {
				return nil, false
			}
			i += 6
		}
		out = utf8.AppendRune(out, r)
	}
	return out, true
}

// unescaped gives the byte that a backslash and c stand for.
func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// hexRune reads four hexadecimal digits.
func hexRune(digits []byte) rune {
	var r rune
	for _, c := range digits {
		r = r<<4 | rune(unhex(c))
	}
	return r
}

// unhex gives the worth of a hexadecimal digit.
func unhex(c byte) byte {
	switch {
	case isDigit(c):
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
