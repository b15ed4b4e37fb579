package filter

import (
	"math"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A node is a part of a compiled expression. With an error, eval gives the
// value that goes with it: the zero value of the type of the part, unless the
// specification wants another.
type node interface {
	eval(e *fattorino.Event) (Value, *Error)
}

// evalAs evaluates n and casts the value to a type.
func evalAs(n node, e *fattorino.Event, t Type, pos int) (Value, *Error) {
	v, err := n.eval(e)
	if err != nil {
		return Value{Type: t}, err
	}
	if v.Type == t {
		return v, nil
	}
	return castAt(pos, v, t)
}

// castAt casts for the operator or function at pos.
func castAt(pos int, v Value, t Type) (Value, *Error) {
	cast, ok := v.cast(t)
	if !ok {
		return Value{Type: t}, failure(CastError, pos, "this %s is no %s", v.Type, t)
	}
	return cast, nil
}

type literal struct{ value Value }

func (n literal) eval(*fattorino.Event) (Value, *Error) { return n.value, nil }

type attributeNode struct {
	attribute attribute
	missing   *Error
}

func (n *attributeNode) eval(e *fattorino.Event) (Value, *Error) {
	v, found := n.attribute.in(e)
	switch found {
	case absent:
		return Value{}, n.missing
	case alien:
		return Value{}, failure(GenericError, n.missing.Pos, "the attribute %s is of no CloudEvents type", n.attribute.name)
	}
	return v, nil
}

type existsNode struct{ attribute attribute }

func (n existsNode) eval(e *fattorino.Event) (Value, *Error) {
	_, found := n.attribute.in(e)
	return boolean(found != absent), nil
}

type notNode struct {
	operand node
	pos     int
}

func (n *notNode) eval(e *fattorino.Event) (Value, *Error) {
	v, err := evalAs(n.operand, e, Boolean, n.pos)
	if err != nil {
		return Value{}, err
	}
	return boolean(!v.Bool), nil
}

type negateNode struct {
	operand node
	pos     int
}

func (n *negateNode) eval(e *fattorino.Event) (Value, *Error) {
	v, err := evalAs(n.operand, e, Integer, n.pos)
	if err != nil {
		return integer(0), err
	}
	return fitting(-int64(v.Int), n.pos)
}

// fitting makes an Integer of a result.
func fitting(n int64, pos int) (Value, *Error) {
	if n < math.MinInt32 || math.MaxInt32 < n {
		return integer(0), failure(MathError, pos, "the result is beyond 32 bits")
	}
	return integer(int32(n)), nil
}

// operands of a binary operator.
type operands struct {
	left, right node
	pos         int // of the operator
}

// eval evaluates both, left before right.
func (o *operands) eval(e *fattorino.Event) (left, right Value, err *Error) {
	if left, err = o.left.eval(e); err != nil {
		return left, right, err
	}
	right, err = o.right.eval(e)
	return left, right, err
}

// integers evaluates both and casts them to Integer.
func (o *operands) integers(e *fattorino.Event) (left, right int64, err *Error) {
	x, y, err := o.eval(e)
	if err != nil {
		return 0, 0, err
	}
	if x, err = castAt(o.pos, x, Integer); err != nil {
		return 0, 0, err
	}
	if y, err = castAt(o.pos, y, Integer); err != nil {
		return 0, 0, err
	}
	return int64(x.Int), int64(y.Int), nil
}

type logicNode struct {
	operands
	op kind
}

func (n *logicNode) eval(e *fattorino.Event) (Value, *Error) {
	left, err := evalAs(n.left, e, Boolean, n.pos)
	if err != nil {
		return Value{}, err
	}
	if n.op == and && !left.Bool || n.op == or && left.Bool {
		return left, nil
	}
	right, err := evalAs(n.right, e, Boolean, n.pos)
	if err != nil {
		return Value{}, err
	}
	if n.op == xor {
		return boolean(left.Bool != right.Bool), nil
	}
	return right, nil
}

type equalNode struct {
	operands
	negated bool
}

// eval compares as the type of the right operand (section 3.7).
func (n *equalNode) eval(e *fattorino.Event) (Value, *Error) {
	left, right, err := n.operands.eval(e)
	if err != nil {
		return Value{}, err
	}
	if left.Type != right.Type {
		if left, err = castAt(n.pos, left, right.Type); err != nil {
			return Value{}, err
		}
	}
	return boolean((left == right) != n.negated), nil
}

type orderNode struct {
	operands
	op kind
}

func (n *orderNode) eval(e *fattorino.Event) (Value, *Error) {
	x, y, err := n.integers(e)
	if err != nil {
		return Value{}, err
	}
	switch n.op {
	case less:
		return boolean(x < y), nil
	case lessOrEqual:
		return boolean(x <= y), nil
	case greater:
		return boolean(x > y), nil
	}
	return boolean(x >= y), nil
}

type mathNode struct {
	operands
	op kind
}

func (n *mathNode) eval(e *fattorino.Event) (Value, *Error) {
	x, y, err := n.integers(e)
	if err != nil {
		return integer(0), err
	}
	switch n.op {
	case plus:
		return fitting(x+y, n.pos)
	case minus:
		return fitting(x-y, n.pos)
	case star:
		return fitting(x*y, n.pos)
	}
	if y == 0 {
		return integer(0), failure(MathError, n.pos, "division by zero")
	}
	if n.op == slash {
		return fitting(x/y, n.pos)
	}
	return fitting(x%y, n.pos)
}

type likeNode struct {
	operand node
	pattern pattern
	negated bool
}

func (n *likeNode) eval(e *fattorino.Event) (Value, *Error) {
	v, err := n.operand.eval(e)
	if err != nil {
		return Value{}, err
	}
	return boolean(n.pattern.match(v.String()) != n.negated), nil
}

type inNode struct {
	operand node
	set     []node
	negated bool
	pos     int
}

// eval compares as the type of the left operand (section 3.4.5).
func (n *inNode) eval(e *fattorino.Event) (Value, *Error) {
	v, err := n.operand.eval(e)
	if err != nil {
		return Value{}, err
	}
	for _, item := range n.set {
		x, err := evalAs(item, e, v.Type, n.pos)
		if err != nil {
			return Value{}, err
		}
		if x == v {
			return boolean(!n.negated), nil
		}
	}
	return boolean(n.negated), nil
}
