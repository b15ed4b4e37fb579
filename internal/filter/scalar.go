package filter

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"
)

// maxExponent bounds the exponents of numbers, so that they can be added.
const maxExponent = 1_000_000_000

// scalarKind is the JSON type of a scalar.
type scalarKind uint8

const (
	nullScalar scalarKind = iota
	booleanScalar
	numberScalar
	stringScalar
)

// A scalar is a JSON value that is no object and no array, in a form in which
// equal values are ==. A number is ±0.text × 10^point, where text neither
// begins nor ends with 0; zero has no text.
type scalar struct {
	kind     scalarKind
	negative bool
	text     string
	point    int
}

// scalarOf reads a valid JSON value. ok is false where it is none, an object,
// an array, or a number whose exponent is out of bounds.
func scalarOf(raw []byte) (s scalar, ok bool) {
	if len(raw) == 0 {
		return s, false
	}
	switch raw[0] {
	case '{', '[':
		return s, false
	case 'n':
		return scalar{kind: nullScalar}, true
	case 't':
		return scalar{kind: booleanScalar, text: "true"}, true
	case 'f':
		return scalar{kind: booleanScalar, text: "false"}, true
	case '"':
		return scalar{kind: stringScalar, text: unquote(raw)}, true
	}
	return numberOf(raw)
}

// unquote gives what a valid JSON string says.
func unquote(raw []byte) string {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return string(inner) // it cannot be: the string is valid
	}
	return s
}

// numberOf reads a valid JSON number (RFC 8259, section 6), exactly.
func numberOf(raw []byte) (scalar, bool) {
	s := scalar{kind: numberScalar}
	mantissa, exponent := string(raw), ""
	if i := strings.IndexAny(mantissa, "eE"); i >= 0 {
		mantissa, exponent = mantissa[:i], mantissa[i+1:]
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	s.text = strings.TrimLeft(digits, "0")
	s.point = len(whole) - (len(digits) - len(s.text))
	s.text = strings.TrimRight(s.text, "0")
	if s.text == "" {
		return scalar{kind: numberScalar}, true
	}
	s.negative = negative
	n, ok := parseExponent(exponent)
	s.point += n
	return s, ok
}

func parseExponent(s string) (n int, ok bool) {
	digits := strings.TrimLeft(s, "+-")
	for i := range len(digits) {
		if n = 10*n + int(digits[i]-'0'); n > maxExponent {
			return 0, false
		}
	}
	if strings.HasPrefix(s, "-") {
		n = -n
	}
	return n, true
}

// compare gives the order of two numbers or two strings; ok is false where
// they are neither.
func (s *scalar) compare(other *scalar) (order int, ok bool) {
	switch {
	case s.kind != other.kind:
		return 0, false
	case s.kind == stringScalar:
		return strings.Compare(s.text, other.text), true
	case s.kind != numberScalar:
		return 0, false
	}
	if order = cmp.Compare(s.sign(), other.sign()); order != 0 {
		return order, true
	}
	if order = cmp.Compare(s.point, other.point); order == 0 {
		order = strings.Compare(s.text, other.text)
	}
	return order * s.sign(), true
}

// sign of a number: -1, 0 or 1.
func (s *scalar) sign() int {
	switch {
	case s.text == "":
		return 0
	case s.negative:
		return -1
	}
	return 1
}
