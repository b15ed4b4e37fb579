package filter

import (
	"math"
	"strings"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// maxText bounds the strings that functions make, in bytes.
const maxText = 16 << 10

// function is a built-in function (section 3.5).
type function uint8

const (
	noFunction function = iota
	length
	concat
	concatWS
	lower
	upper
	trim
	leftPart
	rightPart
	substring
	absolute
	toInteger
	toBoolean
	toString
)

// functionOf finds the function of that name, in letters of any case, which
// takes that many arguments.
func functionOf(name string, args int) function {
	for _, f := range [...]struct {
		name        string
		least, most int
		function    function
	}{
		{"LENGTH", 1, 1, length},
		{"CONCAT", 0, maxExpression, concat},
		{"CONCAT_WS", 1, maxExpression, concatWS},
		{"LOWER", 1, 1, lower},
		{"UPPER", 1, 1, upper},
		{"TRIM", 1, 1, trim},
		{"LEFT", 2, 2, leftPart},
		{"RIGHT", 2, 2, rightPart},
		{"SUBSTRING", 2, 3, substring},
		{"ABS", 1, 1, absolute},
		{"INT", 1, 1, toInteger},
		{"BOOL", 1, 1, toBoolean},
		{"STRING", 1, 1, toString},
	} {
		if isWord(name, f.name) && f.least <= args && args <= f.most {
			return f.function
		}
	}
	return noFunction
}

// A callNode is the invocation of a function.
type callNode struct {
	function function
	args     []node
	pos      int
	missing  *Error // set with noFunction
}

func (n *callNode) eval(e *fattorino.Event) (Value, *Error) {
	switch n.function {
	case noFunction:
		return Value{}, n.missing
	case toBoolean:
		return evalAs(n.args[0], e, Boolean, n.pos)
	case toInteger:
		return evalAs(n.args[0], e, Integer, n.pos)
	case absolute:
		return n.absolute(e)
	case concat:
		return n.join("", n.args, e)
	}
	// The first argument of all others is a String.
	s, err := evalAs(n.args[0], e, String, n.pos)
	if err != nil && n.function == length {
		return integer(0), err
	}
	if err != nil {
		return s, err
	}
	switch n.function {
	case length:
		return integer(int32(utf8.RuneCountInString(s.Text))), nil
	case lower:
		return text(strings.ToLower(s.Text)), nil
	case upper:
		return text(strings.ToUpper(s.Text)), nil
	case trim:
		return text(strings.TrimSpace(s.Text)), nil
	case concatWS:
		return n.join(s.Text, n.args[1:], e)
	case leftPart, rightPart:
		return n.side(s.Text, e)
	case substring:
		return n.substring(s.Text, e)
	}
	return s, nil // toString
}

// fails is an error of the function, with the value that goes with it.
func (n *callNode) fails(v Value, msg string) (Value, *Error) {
	return v, failure(FunctionEvaluationError, n.pos, "%s", msg)
}

func (n *callNode) absolute(e *fattorino.Event) (Value, *Error) {
	v, err := evalAs(n.args[0], e, Integer, n.pos)
	switch {
	case err != nil:
		return v, err
	case v.Int == math.MinInt32:
		return integer(math.MaxInt32), failure(MathError, n.pos, "the result is beyond 32 bits")
	case v.Int < 0:
		return integer(-v.Int), nil
	}
	return v, nil
}

// join is CONCAT, and CONCAT_WS with a delimiter.
func (n *callNode) join(delimiter string, parts []node, e *fattorino.Event) (Value, *Error) {
	var b strings.Builder
	for i, part := range parts {
		v, err := evalAs(part, e, String, n.pos)
		if err != nil {
			return text(""), err
		}
		if i > 0 {
			b.WriteString(delimiter)
		}
		b.WriteString(v.Text)
		if b.Len() > maxText {
			return n.fails(text(""), "the string becomes too long")
		}
	}
	return text(b.String()), nil
}

// side is LEFT and RIGHT.
func (n *callNode) side(s string, e *fattorino.Event) (Value, *Error) {
	count, err := evalAs(n.args[1], e, Integer, n.pos)
	if err != nil {
		return text(""), err
	}
	if count.Int < 0 {
		return n.fails(text(s), "the number of characters is negative")
	}
	size := utf8.RuneCountInString(s)
	switch {
	case int(count.Int) >= size:
		return text(s), nil
	case n.function == leftPart:
		return text(s[:offset(s, int(count.Int))]), nil
	}
	return text(s[offset(s, size-int(count.Int)):]), nil
}

// substring is SUBSTRING with and without a length.
func (n *callNode) substring(s string, e *fattorino.Event) (Value, *Error) {
	position, err := evalAs(n.args[1], e, Integer, n.pos)
	if err != nil {
		return text(""), err
	}
	count := integer(math.MaxInt32)
	if len(n.args) == 3 {
		if count, err = evalAs(n.args[2], e, Integer, n.pos); err != nil {
			return text(""), err
		}
	}
	from, size := int(position.Int), utf8.RuneCountInString(s)
	switch {
	case count.Int < 0:
		return n.fails(text(""), "the length is negative")
	case from < -size || size < from:
		return n.fails(text(""), "the position is beyond the string")
	case from == 0:
		return text(""), nil
	case from < 0:
		from += size
	default:
		from--
	}
	s = s[offset(s, from):]
	if int(count.Int) < size-from {
		s = s[:offset(s, int(count.Int))]
	}
	return text(s), nil
}

// offset gives where the character of that index begins.
func offset(s string, index int) int {
	at := 0
	for ; index > 0; index-- {
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return at
}
