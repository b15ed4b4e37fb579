package filter_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	peersql "github.com/cloudevents/sdk-go/sql/v2"
	peererrors "github.com/cloudevents/sdk-go/sql/v2/errors"
	peerparser "github.com/cloudevents/sdk-go/sql/v2/parser"
	sdk "github.com/cloudevents/sdk-go/v2"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/filter"
)

// The official Go SDK as peer. Its parser panics on some input, which is
// recovered here.

func peerParse(expression string) (x peersql.Expression, err error) {
	defer func() {
		if r := recover(); r != nil {
			x, err = nil, fmt.Errorf("panic: %v", r)
		}
	}()
	return peerparser.Parse(expression)
}

func peerEvaluate(x peersql.Expression, e sdk.Event) (v any, err error, panicked bool) { //nolint:revive // an error with its value, and whether there is neither
	defer func() {
		if r := recover(); r != nil {
			panicked = true
		}
	}()
	v, err = x.Evaluate(e)
	return v, err, false
}

// peerClass gives the class of the peer's error in the words of the test kit.
func peerClass(err error) string {
	switch {
	case err == nil:
		return ""
	case peererrors.IsMathError(err):
		return "math"
	case peererrors.IsCastError(err):
		return "cast"
	case peererrors.IsMissingAttributeError(err):
		return "missingAttribute"
	case peererrors.IsMissingFunctionError(err):
		return "missingFunction"
	case peererrors.IsFunctionEvaluationError(err):
		return "functionEvaluation"
	}
	return "generic"
}

// peerEvent is the same event for both.
func peerEvent() (ours *fattorino.Event, theirs sdk.Event) {
	ours = &fattorino.Event{
		ID: "12", Source: "/erp", Type: "invoice.paid", Subject: "true",
		Extensions: map[string]any{"flag": true, "count": int32(7), "name": "abcab", "empty": ""},
	}
	theirs = sdk.NewEvent()
	theirs.SetID(ours.ID)
	theirs.SetSource(ours.Source)
	theirs.SetType(ours.Type)
	theirs.SetSubject(ours.Subject)
	for name, value := range ours.Extensions {
		theirs.SetExtension(name, value)
	}
	return ours, theirs
}

// A generator writes random expressions that both read alike. Left out is
// where the peer departs from the specification: joining AND, OR and XOR
// without parentheses (it reads them from the right), signs without a space
// before numbers, characters beyond ASCII, LIKE of texts with % and \, negative
// lengths, and results beyond 32 bits (it wraps around).
type generator struct{ random *rand.Rand }

func (g *generator) one(of ...string) string { return of[g.random.IntN(len(of))] }

func (g *generator) expression(depth int) string {
	if depth == 0 {
		return g.operand()
	}
	x := func() string { return g.expression(depth - 1) }
	switch g.random.IntN(12) {
	case 0:
		return "(" + x() + ")"
	case 1:
		return g.one("NOT ", "not ", "- ") + x()
	case 2:
		return x() + g.one(" * ", " / ", " % ") + x()
	case 3:
		return x() + g.one(" + ", " - ") + x()
	case 4:
		return x() + g.one(" = ", " != ", " <> ", " < ", " <= ", " > ", " >= ") + x()
	case 5, 6:
		return "((" + x() + ")" + g.one(" AND ", " or ", " XOR ") + "(" + x() + "))"
	case 7:
		return x() + g.one(" LIKE ", " NOT LIKE ") + g.one("'a%'", "'%a%b'", "'_b%'", "''", "'%'", "'1_'", `"t%e"`, "'__c%a_'", "'%7%'")
	case 8:
		return x() + g.one(" IN ", " NOT IN ") + "(" + x() + ", " + x() + ")"
	case 9:
		return g.one("EXISTS ", "NOT EXISTS ") + g.one("id", "subject", "time", "flag", "missing", "empty")
	}
	return g.call(x)
}

func (g *generator) call(x func() string) string {
	switch g.random.IntN(4) {
	case 0:
		return g.one("LENGTH", "LOWER", "UPPER", "TRIM", "ABS", "INT", "BOOL", "STRING", "NOSUCH", "int") + "(" + x() + ")"
	case 1:
		return g.one("CONCAT", "CONCAT_WS", "NO_SUCH") + "(" + x() + ", " + x() + ", " + x() + ")"
	case 2:
		return g.one("LEFT", "RIGHT", "SUBSTRING") + "(" + x() + ", " + x() + ")"
	}
	return "SUBSTRING(" + x() + ", " + x() + ", " + g.one("0", "1", "3", "true") + ")"
}

func (g *generator) operand() string {
	return g.one("0", "1", "2", "-3", "10", "+4", "true", "FALSE", "''", "'a'", `"abc"`, "' a '", "'7'", "'True'", "'-2'",
		"id", "type", "Subject", "flag", "count", "name", "empty", "missing")
}

func TestEvaluate_AgreesWithTheOfficialSDK(t *testing.T) {
	t.Parallel()
	g := generator{rand.New(rand.NewPCG(3, 4))}
	ours, theirs := peerEvent()
	seen, values := map[string]int{}, map[any]int{}
	for range 6_000 {
		expression := g.expression(1 + g.random.IntN(4))
		x, err := filter.ParseSQL(expression)
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		peer, err := peerParse(expression)
		if err != nil {
			t.Fatalf("%s: the peer: %v", expression, err)
		}
		got, err := x.Evaluate(ours)
		class := classOf(t, err)
		peerGot, peerErr, panicked := peerEvaluate(peer, theirs)
		if panicked || class == "math" && peerClass(peerErr) != "math" {
			seen["departure"]++ // of the peer, which wraps around
			continue
		}
		if peerClass(peerErr) != class {
			t.Fatalf("%s: %v, the peer: %v", expression, err, peerErr)
		}
		seen[class]++
		values[got.Type]++
		if !sameValue(got, peerGot, peerErr) {
			t.Fatalf("%s = %#v, the peer: %#v", expression, got, peerGot)
		}
	}
	for _, class := range []string{"", "math", "cast", "missingAttribute", "missingFunction", "functionEvaluation"} {
		if seen[class] < 20 {
			t.Errorf("only %d expressions with the error %q", seen[class], class)
		}
	}
	if seen["departure"] > 300 || len(values) != 3 {
		t.Errorf("%v, %v", seen, values)
	}
}

// sameValue compares with what the peer gives, which after a failed cast is
// not always the zero value that the specification wants.
func sameValue(v filter.Value, peer any, peerErr error) bool {
	if peererrors.IsCastError(peerErr) {
		return v == filter.Value{Type: v.Type}
	}
	switch peer := peer.(type) {
	case bool:
		return v == filter.Value{Type: filter.Boolean, Bool: peer}
	case int: // its zero value of an Integer
		return v == filter.Value{Type: filter.Integer, Int: int32(peer)}
	case int32:
		return v == filter.Value{Type: filter.Integer, Int: peer}
	case string:
		return v == filter.Value{Type: filter.String, Text: peer}
	}
	return false
}

// Most of these make the peer panic.
func TestParseSQL_BrokenExpressionsAreRefusedWithTheirPlace(t *testing.T) {
	t.Parallel()
	g := generator{rand.New(rand.NewPCG(5, 6))}
	refused := 0
	for range 3_000 {
		// Given an expression that a slip of the hand has cut or broken
		expression := g.expression(2)
		at := g.random.IntN(len(expression))
		switch g.random.IntN(3) {
		case 0:
			expression = expression[:at]
		case 1:
			expression = expression[:at] + g.one("(", ")", "'", `"`, ",", " NOT ", "=", "!", "#") + expression[at:]
		case 2:
			expression = expression[:at] + expression[at+1:]
		}
		x, err := filter.ParseSQL(expression)
		if err != nil {
			refused++
			if e, ok := errors.AsType[*filter.Error](err); !ok || e.Class != filter.ParseError || e.Pos < 0 || e.Pos > len(expression) {
				t.Fatalf("%s: %#v", expression, err)
			}
			continue
		}
		// when it can be read all the same, it can be evaluated.
		_, err = x.Evaluate(invoice())
		classOf(t, err)
	}
	if refused < 500 {
		t.Errorf("only %d were refused", refused)
	}
}
