package postgres

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// retryAfter is when a caller may try again to write to a database that could
// not.
const retryAfter = 2 * time.Second

// What the database says is told by SQLSTATE alone (PostgreSQL, appendix A):
// names of constraints and texts are not the same everywhere.
const (
	deadlock         = "40P01"
	serialization    = "40001"
	lockNotAvailable = "55P03"
	undefinedTable   = "42P01" // a partition is not there
	uniqueViolation  = "23505" // another transaction was first
	badText          = "22021" // as NUL, which text cannot hold
	leaseLost        = "FT001" // check_node
)

// sqlState gives the error's SQLSTATE; empty where the database said nothing.
func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// refused tells whether the database answered that it will not do what was
// asked, and nothing of the transaction remains. Any other error may have come
// after it was done.
func refused(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.SeverityUnlocalized == "ERROR" && !strings.HasPrefix(e.Code, "XX") && !strings.HasPrefix(e.Code, "08")
}

// passing tells whether the same may succeed when it is tried again at once:
// another transaction stood in the way.
func passing(err error) bool {
	switch sqlState(err) {
	case deadlock, serialization, uniqueViolation, undefinedTable:
		return true
	}
	return false
}

// translate makes the store's errors mean something to the use cases: a
// database that cannot be reached, or has no room, can be well again.
func translate(err error) error {
	if _, ok := errors.AsType[*fattorino.Error](err); ok || err == nil {
		return err
	}
	switch code := sqlState(err); {
	case code == badText:
		return &fattorino.Error{Kind: fattorino.Invalid, Msg: "a text has a character that cannot be kept (NUL)", Err: err}
	case code == leaseLost:
		return &fattorino.Error{Kind: fattorino.Conflict, Msg: "another node serves what this one did", Err: fattorino.ErrLeaseLost}
	case unwell(code) || unreachable(err) || errors.Is(err, errUnknown):
		return &fattorino.Error{
			Kind: fattorino.Unavailable, Msg: "nothing can be stored at the moment",
			Fix: "try again later; the operator finds the cause in the log", RetryAfter: retryAfter, Err: err,
		}
	}
	return err
}

// unwell tells whether the database refused something because of its own state
// and not because of what was asked.
func unwell(code string) bool {
	return slices.ContainsFunc([]string{
		"08",    // connection
		"25006", // a standby
		"40",    // rolled back
		"53",    // no room, no memory, too many connections
		"55",    // not in the state for it, as a lock that was not given in time
		"57",    // shut down, cancelled
		"58",    // of the machine
		"XX",    // of the server
	}, func(class string) bool { return strings.HasPrefix(code, class) })
}

// unreachable tells whether the way to the database is broken.
func unreachable(err error) bool {
	if _, network := errors.AsType[net.Error](err); network || pgconn.Timeout(err) {
		return true
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return connecting || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, pgconn.ErrConnClosed)
}

func notFound(what string, id int64) error {
	return fattorino.Errorf(fattorino.NotFound, "there is no %s %d", what, id)
}
