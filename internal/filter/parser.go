package filter

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Limits of an expression, so that none exhausts the stack.
const (
	maxExpression = 8 << 10 // bytes
	maxNesting    = 64      // parentheses, calls, sets and unary operators inside one another
)

// An Expression is a compiled CESQL expression. It is safe for concurrent use.
type Expression struct {
	root    node
	missing *Error // the first call of a function that there is not
}

// ParseSQL compiles a CESQL 1.0.0 expression of at most 8 KiB and 64 levels of
// nesting. Errors are of type [*Error] and class [ParseError].
func ParseSQL(expression string) (*Expression, error) {
	if len(expression) > maxExpression {
		return nil, failure(ParseError, maxExpression, "expected at most %d bytes", maxExpression)
	}
	for i, r := range expression {
		if r == utf8.RuneError && !strings.HasPrefix(expression[i:], "\uFFFD") {
			return nil, failure(ParseError, i, "expected UTF-8")
		}
	}
	p := parser{lexer: lexer{source: expression}}
	p.advance()
	root := p.binary(1)
	if p.err == nil && p.token.kind != end {
		p.expected("an operator or the end")
	}
	if p.err != nil {
		return nil, p.err
	}
	return &Expression{root: root, missing: p.missing}, nil
}

// Evaluate gives the value of the expression for the event. It fails fast: an
// error, of type [*Error], is the first that occurs, and comes with the value
// that section 3 of the specification gives it, mostly the zero value of the
// type of the expression.
func (x *Expression) Evaluate(e *fattorino.Event) (Value, error) {
	v, err := x.root.eval(e)
	if err != nil {
		return v, err // apart, for a nil *Error in an error is not nil
	}
	return v, nil
}

// A parser reads an expression by recursive descent, operators by their
// precedence (section 3.6). After an error the rest of the expression is an
// end that never ends, so that all loops do.
type parser struct {
	lexer   lexer
	token   token // the next one, not yet taken
	depth   int
	err     *Error
	missing *Error
}

func (p *parser) fail(pos int, format string, args ...any) {
	if p.err == nil {
		p.err = failure(ParseError, pos, format, args...)
	}
	p.token = token{kind: end, pos: pos, end: pos}
}

// advance takes the next token.
func (p *parser) advance() token {
	taken := p.token
	if p.err != nil {
		return taken
	}
	next, err := p.lexer.next()
	if err != nil {
		p.fail(err.Pos, "%s", err.Msg)
		return taken
	}
	p.token = next
	return taken
}

// expected fails at the next token, which is not what the language wants.
func (p *parser) expected(what string) {
	t := p.token
	if t.kind == end {
		p.fail(t.pos, "expected %s, but the expression ends", what)
		return
	}
	source, hint := p.lexer.source, ""
	if t.kind == quoted && t.pos > 0 && source[t.pos-1] == source[t.pos] {
		hint = `; a quote in a string is written \` + source[t.pos:t.pos+1]
	}
	p.fail(t.pos, "expected %s, but found %s%s", what, strconv.Quote(shorten(source[t.pos:t.end])), hint)
}

// shorten gives what an error quotes of a long text.
func shorten(s string) string {
	const most = 24
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// expect takes a token of the kind.
func (p *parser) expect(k kind, what string) {
	if p.token.kind != k {
		p.expected(what)
		return
	}
	p.advance()
}

// enter goes one level deeper; leave comes back.
func (p *parser) enter(pos int) {
	if p.depth++; p.depth > maxNesting {
		p.fail(pos, "expected at most %d levels of nesting", maxNesting)
	}
}

func (p *parser) leave() { p.depth-- }

// precedence of a binary operator; 0 for what is none. Higher binds tighter.
func precedence(k kind) int {
	switch k {
	case and, or, xor:
		return 1
	case equal, unequal, less, lessOrEqual, greater, greaterOrEqual:
		return 2
	case plus, minus:
		return 3
	case star, slash, percent:
		return 4
	}
	return 0
}

// binary reads operands joined by operators of that precedence or higher, from
// left to right.
func (p *parser) binary(lowest int) node {
	left := p.postfix()
	for {
		level := precedence(p.token.kind)
		if level == 0 || level < lowest {
			return left
		}
		op := p.advance()
		right := p.binary(level + 1)
		both := operands{left: left, right: right, pos: op.pos}
		switch level {
		case 1:
			left = &logicNode{operands: both, op: op.kind}
		case 2:
			if op.kind == equal || op.kind == unequal {
				left = &equalNode{operands: both, negated: op.kind == unequal}
			} else {
				left = &orderNode{operands: both, op: op.kind}
			}
		default:
			left = &mathNode{operands: both, op: op.kind}
		}
	}
}

// postfix reads an operand and the LIKE and IN that follow it.
func (p *parser) postfix() node {
	x := p.unary()
	for {
		pos, negated := p.token.pos, false
		if p.token.kind == not {
			p.advance()
			negated = true
		}
		switch {
		case p.token.kind == like:
			p.advance()
			if p.token.kind != quoted {
				p.expected("a string as pattern")
				return x
			}
			x = &likeNode{operand: x, pattern: compilePattern(p.advance().text), negated: negated}
		case p.token.kind == in:
			p.advance()
			p.expect(opening, "( and a list of values")
			x = &inNode{operand: x, set: p.list(pos), negated: negated, pos: pos}
		case negated:
			p.expected("LIKE or IN")
			return x
		default:
			return x
		}
	}
}

// list reads one or more expressions, and the parenthesis that closes them.
func (p *parser) list(pos int) []node {
	p.enter(pos)
	defer p.leave()
	var items []node
	for {
		items = append(items, p.binary(1))
		if p.token.kind != comma {
			p.expect(closing, "an operator, a comma or )")
			return items
		}
		p.advance()
	}
}

// unary reads NOT, the minus sign and what they are applied to.
func (p *parser) unary() node {
	t := p.token
	switch t.kind {
	case not:
		p.advance()
		p.enter(t.pos)
		defer p.leave()
		return &notNode{operand: p.unary(), pos: t.pos}
	case plus, minus:
		p.advance()
		if p.token.kind == number && p.token.pos == t.end {
			return p.number(t.text, t.pos)
		}
		if t.kind == plus {
			p.expected("a number right after +")
			return nil
		}
		p.enter(t.pos)
		defer p.leave()
		return &negateNode{operand: p.unary(), pos: t.pos}
	}
	return p.primary()
}

// number reads an integer literal whose sign has been read.
func (p *parser) number(sign string, pos int) node {
	n, ok := parseInteger(sign + p.token.text)
	if !ok {
		p.fail(pos, "expected an integer from -2147483648 to 2147483647")
		return nil
	}
	p.advance()
	return literal{integer(n)}
}

// primary reads an operand without operators.
func (p *parser) primary() node {
	t := p.token
	switch t.kind {
	case number:
		return p.number("", t.pos)
	case quoted:
		p.advance()
		return literal{text(t.text)}
	case yes, no:
		p.advance()
		return literal{boolean(t.kind == yes)}
	case opening:
		p.advance()
		p.enter(t.pos)
		defer p.leave()
		x := p.binary(1)
		p.expect(closing, "an operator or )")
		return x
	case exists:
		p.advance()
		if p.token.kind != name && p.token.kind != number {
			p.expected("the name of an attribute")
			return nil
		}
		return existsNode{p.attribute(p.advance())}
	case name:
		p.advance()
		if p.token.kind == opening {
			return p.call(t)
		}
		a := p.attribute(t)
		return &attributeNode{attribute: a, missing: failure(MissingAttributeError, t.pos, "the event has no attribute %s", a.name)}
	}
	p.expected("a value, as type, 'text', 5 or (…)")
	return nil
}

// attribute reads the name of an attribute.
func (p *parser) attribute(t token) attribute {
	if strings.Contains(t.text, "_") {
		p.fail(t.pos, "expected the name of an attribute, which has letters and digits only, or ( after that of a function")
	}
	return attributeOf(strings.ToLower(t.text))
}

// arguments tells their number.
func arguments(n int) string {
	if n == 1 {
		return "1 argument"
	}
	return strconv.Itoa(n) + " arguments"
}

// call reads the arguments of a function whose name has been read.
func (p *parser) call(t token) node {
	if !isLetter(t.text[0]) || strings.ContainsAny(t.text, "0123456789") {
		p.fail(t.pos, "expected the name of a function, which has letters and _ only")
		return nil
	}
	p.advance()
	var args []node
	if p.token.kind == closing {
		p.advance()
	} else {
		args = p.list(t.pos)
	}
	c := &callNode{function: functionOf(t.text, len(args)), args: args, pos: t.pos}
	if c.function == noFunction {
		c.missing = failure(MissingFunctionError, t.pos, "there is no function %s that takes %s",
			shorten(strings.ToUpper(t.text)), arguments(len(args)))
		if p.missing == nil {
			p.missing = c.missing
		}
	}
	return c
}
