package filter

import (
	"strings"
	"unicode/utf8"
)

// A pattern is a compiled LIKE pattern (section 3.4.3): the segments between
// its % signs. Matching never goes back over a segment that has been found, so
// it takes time in proportion to text times pattern at most.
type pattern []segment

// A segment matches a fixed number of characters.
type segment struct {
	pieces []piece
	count  int // characters
}

// A piece is any skip characters, then the literal.
type piece struct {
	skip    int
	literal string
}

// compilePattern reads a pattern. A backslash that escapes neither % nor _ is
// itself.
func compilePattern(s string) pattern {
	var p pattern
	var current segment
	var literal []byte
	skip := 0
	flush := func() {
		if skip > 0 || len(literal) > 0 {
			current.pieces = append(current.pieces, piece{skip, string(literal)})
			current.count += skip + utf8.RuneCount(literal)
		}
		skip, literal = 0, nil
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			flush()
			p = append(p, current)
			current = segment{}
		case c == '_':
			if len(literal) > 0 {
				flush()
			}
			skip++
		case c == '\\' && i+1 < len(s) && (s[i+1] == '%' || s[i+1] == '_'):
			i++
			literal = append(literal, s[i])
		default:
			literal = append(literal, c)
		}
	}
	flush()
	return append(p, current)
}

// match tells whether all of s is as the pattern says.
func (p pattern) match(s string) bool {
	rest, ok := p[0].trim(s)
	last := len(p) - 1
	if !ok || last == 0 {
		return ok && rest == ""
	}
	for _, segment := range p[1:last] {
		if rest, ok = segment.find(rest); !ok {
			return false
		}
	}
	return p[last].ends(rest)
}

// trim gives what of s follows the segment, where s begins with it.
func (g *segment) trim(s string) (rest string, ok bool) {
	for i := range g.pieces {
		for range g.pieces[i].skip {
			_, size := utf8.DecodeRuneInString(s)
			if size == 0 {
				return "", false
			}
			s = s[size:]
		}
		if s, ok = strings.CutPrefix(s, g.pieces[i].literal); !ok {
			return "", false
		}
	}
	return s, true
}

// find gives what of s follows the first place where the segment is.
func (g *segment) find(s string) (rest string, ok bool) {
	if len(g.pieces) == 1 && g.pieces[0].skip == 0 {
		_, rest, ok = strings.Cut(s, g.pieces[0].literal)
		return rest, ok
	}
	for {
		if rest, ok = g.trim(s); ok || s == "" {
			return rest, ok
		}
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
	}
}

// ends tells whether s ends with the segment.
func (g *segment) ends(s string) bool {
	if len(g.pieces) == 1 && g.pieces[0].skip == 0 {
		return strings.HasSuffix(s, g.pieces[0].literal)
	}
	at := len(s)
	for range g.count {
		_, size := utf8.DecodeLastRuneInString(s[:at])
		if size == 0 {
			return false
		}
		at -= size
	}
	rest, ok := g.trim(s[at:])
	return ok && rest == ""
}
