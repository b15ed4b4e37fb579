package fattorino

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what an error means to the caller. Doors turn it into a status of
// their own protocol, in one table each.
type Kind uint8

// The kinds of error. The zero Kind is Internal: an error nobody classified is
// our fault, and its text is for the log only.
const (
	Internal        Kind = iota
	Malformed            // the request cannot be read at all
	Invalid              // it can be read, and breaks a rule
	Unauthenticated      // no token, or one that is unknown, expired or revoked
	Denied               // the token is good and does not allow this
	NotFound             // no such thing, or none that the caller may see
	Conflict             // it contradicts what is already there
	TooLarge             // it exceeds a size limit
	TooMany              // not now: a rate or count is exhausted
	Unavailable          // the store cannot write at the moment
	Gone                 // it was there and is kept no longer
	Stale                // it has changed since the caller read it
)

// An Error tells a caller what went wrong and what to do about it.
type Error struct {
	Kind Kind
	Code string // stable, machine-readable, as the door's protocol wants it; may be empty
	Msg  string // what happened, in one sentence
	Fix  string // what the caller can do; may be empty

	Faults     []Fault       // for Invalid: each broken rule with its place
	RetryAfter time.Duration // for TooMany and Unavailable: when to try again; 0 = not said
	Err        error         // the cause, for the log; never shown to a caller
}

// A Fault is one broken rule and the place of the value that breaks it.
type Fault struct {
	Field string // dotted path in the request, as "data.sink" or "events.3.source"
	Msg   string
}

// Error gives the text for the log, cause included.
func (e *Error) Error() string {
	s := e.Msg
	for _, f := range e.Faults {
		s += fmt.Sprintf("; %s: %s", f.Field, f.Msg)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a formatted message.
func Errorf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Msg: fmt.Sprintf(format, args...)}
}

// InvalidField makes an Invalid error with one fault.
func InvalidField(field, format string, args ...any) *Error {
	msg := fmt.Sprintf(format, args...)
	return &Error{Kind: Invalid, Msg: msg, Faults: []Fault{{Field: field, Msg: msg}}}
}

// AsError finds the Error in err's chain. What is no Error becomes an Internal
// one whose message says nothing of the cause.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: Internal, Msg: "internal error", Err: err}
}

// KindOf gives the Kind of err; Internal where it has none.
func KindOf(err error) Kind { return AsError(err).Kind }
