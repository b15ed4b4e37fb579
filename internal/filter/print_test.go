package filter

import (
	"fmt"
	"strings"
	"testing"
)

// printed writes a part of an expression with a pair of parentheses around
// every operation, so that tests can see what belongs to what.
func printed(n node) string {
	switch n := n.(type) {
	case literal:
		if n.value.Type == String {
			return quote(n.value.Text)
		}
		return n.value.String()
	case *attributeNode:
		return n.attribute.name
	case existsNode:
		return "(EXISTS " + n.attribute.name + ")"
	case *notNode:
		return "(NOT " + printed(n.operand) + ")"
	case *negateNode:
		return "(- " + printed(n.operand) + ")"
	case *logicNode:
		return n.print(n.op)
	case *orderNode:
		return n.print(n.op)
	case *mathNode:
		return n.print(n.op)
	case *equalNode:
		if n.negated {
			return n.print(unequal)
		}
		return n.print(equal)
	case *likeNode:
		return fmt.Sprintf("(%s %sLIKE %s)", printed(n.operand), notBefore(n.negated), quote(printedPattern(n.pattern)))
	case *inNode:
		return fmt.Sprintf("(%s %sIN (%s))", printed(n.operand), notBefore(n.negated), printedAll(n.set))
	case *callNode:
		return fmt.Sprintf("%s(%s)", functionName(n), printedAll(n.args))
	}
	panic(fmt.Sprintf("%T", n))
}

func (o *operands) print(op kind) string {
	symbol := map[kind]string{
		and: "AND", or: "OR", xor: "XOR", equal: "=", unequal: "!=", less: "<", lessOrEqual: "<=",
		greater: ">", greaterOrEqual: ">=", plus: "+", minus: "-", star: "*", slash: "/", percent: "%",
	}[op]
	return "(" + printed(o.left) + " " + symbol + " " + printed(o.right) + ")"
}

func printedAll(nodes []node) string {
	var all []string
	for _, n := range nodes {
		all = append(all, printed(n))
	}
	return strings.Join(all, ", ")
}

func notBefore(negated bool) string {
	if negated {
		return "NOT "
	}
	return ""
}

// functionName finds a name that leads to the function again.
func functionName(n *callNode) string {
	if n.function == noFunction {
		return "NO_SUCH_FUNCTION"
	}
	for _, name := range []string{
		"LENGTH", "CONCAT", "CONCAT_WS", "LOWER", "UPPER", "TRIM", "LEFT", "RIGHT", "SUBSTRING", "ABS", "INT", "BOOL", "STRING",
	} {
		if functionOf(name, len(n.args)) == n.function {
			return name
		}
	}
	panic(n.function)
}

// quote writes a string literal of either delimiter. One of both does: a
// literal with a backslash before ' was written in ", and the other way round.
func quote(s string) string {
	for _, delimiter := range []string{"'", `"`} {
		q := delimiter + strings.ReplaceAll(s, delimiter, `\`+delimiter) + delimiter
		l := lexer{source: q}
		if t, err := l.next(); err == nil && t.end == len(q) && t.text == s {
			return q
		}
	}
	panic("no literal says " + s)
}

func printedPattern(p pattern) string {
	var segments []string
	for _, g := range p {
		var b strings.Builder
		for _, piece := range g.pieces {
			b.WriteString(strings.Repeat("_", piece.skip))
			b.WriteString(strings.NewReplacer("%", `\%`, "_", `\_`).Replace(piece.literal))
		}
		segments = append(segments, b.String())
	}
	return strings.Join(segments, "%")
}

// Section 3.6 of the specification.
func TestParseSQL_Precedence(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ expression, want string }{
		{"1 + 2 * 3", "(1 + (2 * 3))"},
		{"(1 + 2) * 3", "((1 + 2) * 3)"},
		{"8 / 4 % 3 * 2", "(((8 / 4) % 3) * 2)"},
		{"1 - 2 + 3", "((1 - 2) + 3)"},
		{"1-2", "(1 - 2)"},
		{"1 -2", "(1 - 2)"},
		{"1 - -2", "(1 - -2)"},
		{"a-1", "(a - 1)"},
		{"+5 + +6", "(5 + 6)"},
		{"--10", "(- -10)"},
		{"- 10", "(- 10)"},
		{"-'10'", "(- '10')"},
		{"-2147483648", "-2147483648"},
		{"-1st", "(- 1st)"},
		{"1 < 2 + 3", "(1 < (2 + 3))"},
		{"1 = 1 = true", "((1 = 1) = true)"},
		{"a <> b", "(a != b)"},
		{"a >= 1 AND b <= 2 XOR c > 3 OR d < 4", "((((a >= 1) AND (b <= 2)) XOR (c > 3)) OR (d < 4))"},
		{"a OR b AND c", "((a OR b) AND c)"},
		{"false AND false OR true", "((false AND false) OR true)"},
		{"NOT a = b", "((NOT a) = b)"},
		{"NOT a LIKE 'x'", "((NOT a) LIKE 'x')"},
		{"NOT NOT a", "(NOT (NOT a))"},
		{"-a LIKE '-%'", "((- a) LIKE '-%')"},
		{"NOT EXISTS a AND b", "((NOT (EXISTS a)) AND b)"},
		{"EXISTS a LIKE 'tr%'", "((EXISTS a) LIKE 'tr%')"},
		{"EXISTS 123", "(EXISTS 123)"},
		{"a LIKE 'x' IN (true, false)", "((a LIKE 'x') IN (true, false))"},
		{"a NOT IN (1) NOT LIKE 'x'", "((a NOT IN (1)) NOT LIKE 'x')"},
		{"a = b LIKE 'x'", "(a = (b LIKE 'x'))"},
		{"2 * a IN (1, 2 + 3)", "(2 * (a IN (1, (2 + 3))))"},
		{"concat ( a , upper(b) )", "CONCAT(a, UPPER(b))"},
		{"CONCAT()", "CONCAT()"},
		{"Subject Like '%a\\%\\_b_'", `(subject LIKE '%a\%\_b_')`},
		{`'it\'s' = "it\"s"`, `('it\'s' = 'it"s')`},
		{`'a\\' = "\'"`, `('a\\' = "\'")`},
		{"\ttrue\r\nxor\nFALSE ", "(true XOR false)"},
		{"id=source", "(id = source)"},
		{"((((a))))", "a"},
		{"LIKED = inner", "(liked = inner)"},
	} {
		x, err := ParseSQL(test.expression)
		if err != nil {
			t.Errorf("%s: %v", test.expression, err)
			continue
		}
		got := printed(x.root)
		if got != test.want {
			t.Errorf("%s is read as %s, want %s", test.expression, got, test.want)
		}
		if again, err := ParseSQL(got); err != nil || printed(again.root) != got {
			t.Errorf("%s does not come back: %v", got, err)
		}
	}
}
