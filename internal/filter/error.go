package filter

import "fmt"

// ErrorClass is one of the error types that CESQL has (1.0.0, section 3.3).
type ErrorClass uint8

// The classes of error.
const (
	GenericError            ErrorClass = iota // none of the others
	ParseError                                // the expression is not in the language
	MathError                                 // division by zero, or a result beyond 32 bits
	CastError                                 // a value has no counterpart in the type that is needed
	MissingAttributeError                     // the event has no attribute of that name
	MissingFunctionError                      // there is no function of that name and number of arguments
	FunctionEvaluationError                   // a function cannot work with its arguments
)

// String names the class.
func (c ErrorClass) String() string {
	switch c {
	case ParseError:
		return "parse error"
	case MathError:
		return "math error"
	case CastError:
		return "cast error"
	case MissingAttributeError:
		return "missing attribute"
	case MissingFunctionError:
		return "missing function"
	case FunctionEvaluationError:
		return "function evaluation error"
	}
	return "error"
}

// An Error tells what is wrong with an expression, or what went wrong when it
// was evaluated, and where. It quotes the expression at most, never the event.
type Error struct {
	Class ErrorClass
	Pos   int    // offset in the expression, in bytes from 0
	Msg   string // what is wrong; of a ParseError, what was expected
}

// Error gives class, place and message.
func (e *Error) Error() string {
	return fmt.Sprintf("%s at byte %d: %s", e.Class, e.Pos, e.Msg)
}

func failure(class ErrorClass, pos int, format string, args ...any) *Error {
	return &Error{Class: class, Pos: pos, Msg: fmt.Sprintf(format, args...)}
}
