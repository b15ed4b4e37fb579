package filter_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/filter"
)

func TestParseSQL_ErrorsSayWhereAndWhatIsExpected(t *testing.T) {
	t.Parallel()
	const (
		value    = "expected a value, as type, 'text', 5 or (…)"
		operator = "expected an operator or the end"
	)
	for _, test := range []struct {
		expression string
		pos        int
		msg        string
	}{
		// Known to make other parsers panic.
		{"a b", 2, operator + `, but found "b"`},
		{"1 +", 3, value + ", but the expression ends"},
		{"x IN ()", 6, value + `, but found ")"`},
		{"EXISTS", 6, "expected the name of an attribute, but the expression ends"},
		{`"x`, 0, `expected a closing " for the string that begins here`},
		{`0"`, 1, `expected a closing " for the string that begins here`},

		{"", 0, value + ", but the expression ends"},
		{"  ", 2, value + ", but the expression ends"},
		{"ABC(", 4, value + ", but the expression ends"},
		{"ABC(1", 5, "expected an operator, a comma or ), but the expression ends"},
		{"ABC(1,)", 6, value + `, but found ")"`},
		{"(1", 2, "expected an operator or ), but the expression ends"},
		{"(1 2)", 3, `expected an operator or ), but found "2"`},
		{"()", 1, value + `, but found ")"`},
		{"1)", 1, operator + `, but found ")"`},
		{"x LIKE 123", 7, `expected a string as pattern, but found "123"`},
		{"x LIKE", 6, "expected a string as pattern, but the expression ends"},
		{"x LIKE 'a' 'b'", 11, operator + `, but found "'b'"`},
		{"'it''s'", 4, operator + `, but found "'s'"; a quote in a string is written \'`},
		{`"a""b"`, 3, operator + `, but found "\"b\""; a quote in a string is written \"`},
		{`'a\'`, 0, "expected a closing ' for the string that begins here"},
		{`'a\`, 0, "expected a closing ' for the string that begins here"},
		{"x NOT 5", 6, `expected LIKE or IN, but found "5"`},
		{"x IN 5", 5, `expected ( and a list of values, but found "5"`},
		{"x IN (1", 7, "expected an operator, a comma or ), but the expression ends"},
		{"EXISTS 'x'", 7, `expected the name of an attribute, but found "'x'"`},
		{"EXISTS a_b", 7, "expected the name of an attribute, which has letters and digits only, or ( after that of a function"},
		{"a_b", 0, "expected the name of an attribute, which has letters and digits only, or ( after that of a function"},
		{"ABC1(2)", 0, "expected the name of a function, which has letters and _ only"},
		{"_A(2)", 0, "expected the name of a function, which has letters and _ only"},
		{"in", 0, value + `, but found "in"`},
		{"AND", 0, value + `, but found "AND"`},
		{"+ 5", 2, `expected a number right after +, but found "5"`},
		{"+a", 1, `expected a number right after +, but found "a"`},
		{"a ! b", 2, operator + `, but found "!"`},
		{"a é b", 2, operator + `, but found "é"`},
		{"a;", 1, operator + `, but found ";"`},
		{"a = 'x' \x00", 8, operator + `, but found "\x00"`},
		{"a \xff", 2, "expected UTF-8"},
		{"'\uFFFD' \xff", 6, "expected UTF-8"},
		{"2147483648", 0, "expected an integer from -2147483648 to 2147483647"},
		{"1 - -2147483649", 4, "expected an integer from -2147483648 to 2147483647"},
		{"99999999999999999999999999", 0, "expected an integer from -2147483648 to 2147483647"},
		{"a 'éééééééééééééééé'", 2, operator + `, but found "'ééééééééééé…"`},
	} {
		x, err := filter.ParseSQL(test.expression)
		e, ok := errors.AsType[*filter.Error](err)
		if !ok || x != nil {
			t.Errorf("%q: %v, %T", test.expression, x, err)
			continue
		}
		if e.Class != filter.ParseError || e.Pos != test.pos || e.Msg != test.msg {
			t.Errorf("%q:\n got %v\nwant parse error at byte %d: %s", test.expression, err, test.pos, test.msg)
		}
	}
}

func TestParseSQL_Limits(t *testing.T) {
	t.Parallel()
	const levels = 64
	nest := func(open, inner, closing string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(closing, n)
	}
	// Given expressions of every kind that nests
	for name, nested := range map[string]func(n int) string{
		"parentheses": func(n int) string { return nest("(", "1", ")", n) },
		"calls":       func(n int) string { return nest("ABS(", "1", ")", n) },
		"sets":        func(n int) string { return nest("1 IN (", "1", ")", n) },
		"not":         func(n int) string { return nest("NOT ", "true", "", n) },
		"minus":       func(n int) string { return nest("- ", "1", "", n) },
		"all of them": func(n int) string { return nest("- ABS(NOT (", "1", "))", n/4) },
	} {
		// when they are as deep as allowed, they are read and evaluated
		x, err := filter.ParseSQL(nested(levels))
		if err != nil {
			t.Errorf("%s, %d levels: %v", name, levels, err)
			continue
		}
		if _, err := x.Evaluate(invoice()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// and one level more is too much.
		_, err = filter.ParseSQL("(" + nested(levels) + ")")
		if e, ok := errors.AsType[*filter.Error](err); !ok || e.Msg != "expected at most 64 levels of nesting" {
			t.Errorf("%s, %d levels: %v", name, levels+1, err)
		}
	}

	// Given an expression as long as allowed, of one operator after the other
	long := "0" + strings.Repeat("+1", 4095) + " "
	if len(long) != 8<<10 {
		t.Fatal(len(long))
	}
	x, err := filter.ParseSQL(long)
	if err != nil {
		t.Fatal(err)
	}
	// when it is evaluated, it is what it should be
	if v, err := x.Evaluate(invoice()); err != nil || v.Int != 4095 {
		t.Errorf("%v, %v", v, err)
	}
	// and one byte more is too much.
	_, err = filter.ParseSQL(long + " ")
	if e, ok := errors.AsType[*filter.Error](err); !ok || e.Msg != "expected at most 8192 bytes" || e.Pos != 8192 {
		t.Error(err)
	}
}
