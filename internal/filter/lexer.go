package filter

import (
	"strings"
	"unicode/utf8"
)

// kind is what a token is.
type kind uint8

const (
	end kind = iota
	number
	quoted
	name // of an attribute or a function
	and
	or
	xor
	not
	like
	exists
	in
	yes
	no
	opening // parenthesis
	closing
	comma
	equal
	unequal
	less
	lessOrEqual
	greater
	greaterOrEqual
	plus
	minus
	star
	slash
	percent
	unknown // no token of the language
)

// A token is a piece of an expression.
type token struct {
	kind kind
	pos  int
	text string // as written; of a quoted string, what is in it
	end  int    // offset of what follows
}

// A lexer cuts an expression into tokens (section 2).
type lexer struct {
	source string
	pos    int
}

// next gives the next token; of kind end at the end, for ever. An error is one
// of spelling.
func (l *lexer) next() (token, *Error) {
	for l.pos < len(l.source) && strings.IndexByte(" \t\r\n", l.source[l.pos]) >= 0 {
		l.pos++
	}
	if l.pos == len(l.source) {
		return token{kind: end, pos: l.pos, end: l.pos}, nil
	}
	c := l.source[l.pos]
	switch {
	case c == '\'' || c == '"':
		return l.quoted(c)
	case isNameByte(c):
		return l.word(), nil
	}
	return l.symbol(), nil
}

func isNameByte(c byte) bool { return isLetter(c) || isDigit(c) || c == '_' }

// take gives the next n bytes as a token.
func (l *lexer) take(k kind, n int) token {
	t := token{kind: k, pos: l.pos, text: l.source[l.pos : l.pos+n], end: l.pos + n}
	l.pos += n
	return t
}

// quoted reads a string literal. A backslash escapes the delimiter; it stays
// before any other character, as LIKE patterns need it.
func (l *lexer) quoted(delimiter byte) (token, *Error) {
	start := l.pos
	escaped := false
	for i := start + 1; i < len(l.source); i++ {
		switch l.source[i] {
		case '\\':
			i++
			escaped = escaped || i < len(l.source) && l.source[i] == delimiter
		case delimiter:
			t := l.take(quoted, i+1-start)
			t.text = t.text[1 : len(t.text)-1]
			if escaped {
				t.text = unescape(t.text, delimiter)
			}
			return t, nil
		}
	}
	return token{}, failure(ParseError, start, "expected a closing %c for the string that begins here", delimiter)
}

func unescape(s string, delimiter byte) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			if i++; s[i] != delimiter {
				b = append(b, '\\')
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// word reads a keyword, a name or a number without sign.
func (l *lexer) word() token {
	n := 1
	for l.pos+n < len(l.source) && isNameByte(l.source[l.pos+n]) {
		n++
	}
	t := l.take(name, n)
	if strings.Trim(t.text, "0123456789") == "" {
		t.kind = number
	} else if k, ok := keyword(t.text); ok {
		t.kind = k
	}
	return t
}

func keyword(s string) (kind, bool) {
	for _, k := range [...]struct {
		word string
		kind kind
	}{
		{"AND", and},
		{"OR", or},
		{"XOR", xor},
		{"NOT", not},
		{"LIKE", like},
		{"EXISTS", exists},
		{"IN", in},
		{"TRUE", yes},
		{"FALSE", no},
	} {
		if isWord(s, k.word) {
			return k.kind, true
		}
	}
	return name, false
}

// symbol reads an operator or a bracket, the longest first.
func (l *lexer) symbol() token {
	for _, s := range [...]struct {
		text string
		kind kind
	}{
		{"<=", lessOrEqual},
		{">=", greaterOrEqual},
		{"<>", unequal},
		{"!=", unequal},
		{"=", equal},
		{"<", less},
		{">", greater},
		{"+", plus},
		{"-", minus},
		{"*", star},
		{"/", slash},
		{"%", percent},
		{"(", opening},
		{")", closing},
		{",", comma},
	} {
		if strings.HasPrefix(l.source[l.pos:], s.text) {
			return l.take(s.kind, len(s.text))
		}
	}
	_, size := utf8.DecodeRuneInString(l.source[l.pos:])
	return l.take(unknown, size)
}
