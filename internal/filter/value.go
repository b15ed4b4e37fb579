package filter

import (
	"math"
	"strconv"
)

// Type is one of the three types of CESQL (1.0.0, section 3.1).
type Type uint8

// The types. Boolean is first, as the type of an expression is Boolean where
// nothing else is known of it (section 3.2).
const (
	Boolean Type = iota
	Integer
	String
)

// String gives the name that the specification uses.
func (t Type) String() string {
	switch t {
	case Integer:
		return "Integer"
	case String:
		return "String"
	}
	return "Boolean"
}

// A Value is what an expression evaluates to. Only the field of its Type is
// set, so that values of the same type can be compared with ==. The zero Value
// is false.
type Value struct {
	Type Type
	Bool bool
	Int  int32
	Text string
}

func boolean(b bool) Value  { return Value{Bool: b} }
func integer(n int32) Value { return Value{Type: Integer, Int: n} }
func text(s string) Value   { return Value{Type: String, Text: s} }

// cast gives v as a value of type t, by the table of section 3.7. Where there
// is none, ok is false and the value is the zero value of t.
func (v Value) cast(t Type) (cast Value, ok bool) {
	if v.Type == t {
		return v, true
	}
	switch t {
	case String:
		return text(v.String()), true
	case Integer:
		if v.Type == String {
			n, ok := parseInteger(v.Text)
			return integer(n), ok
		}
		if v.Bool {
			return integer(1), true
		}
		return integer(0), true
	}
	if v.Type == Integer {
		return boolean(v.Int != 0), true
	}
	switch {
	case isWord(v.Text, "TRUE"):
		return boolean(true), true
	case isWord(v.Text, "FALSE"):
		return boolean(false), true
	}
	return Value{}, false
}

// String gives the value as the language casts it to a String.
func (v Value) String() string {
	switch v.Type {
	case String:
		return v.Text
	case Integer:
		return strconv.Itoa(int(v.Int))
	}
	return strconv.FormatBool(v.Bool)
}

// parseInteger reads a 32-bit integer in base 10, with or without a sign. It
// makes no garbage of what is none, as package strconv does.
func parseInteger(s string) (int32, bool) {
	digits := s
	negative := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		negative, digits = s[0] == '-', s[1:]
	}
	if digits == "" {
		return 0, false
	}
	n := int64(0)
	for i := range len(digits) {
		if !isDigit(digits[i]) {
			return 0, false
		}
		if n = 10*n + int64(digits[i]-'0'); n > -math.MinInt32 {
			return 0, false
		}
	}
	if negative {
		n = -n
	}
	return int32(n), n <= math.MaxInt32
}

// isWord tells whether s is the upper-case ASCII word, in letters of any case.
func isWord(s, word string) bool {
	if len(s) != len(word) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
