package sqlite

import (
	"errors"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// retryAfter is when a caller may try again to write to a store that could not.
const retryAfter = 5 * time.Second

// translate makes the store's errors mean something to the use cases: what
// the disk refuses is Unavailable, for it can be well again.
func translate(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
		sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return &fattorino.Error{
			Kind: fattorino.Unavailable, Msg: "nothing can be stored at the moment",
			Fix: "try again later; the operator finds the cause in the log", RetryAfter: retryAfter, Err: err,
		}
	}
	return err
}

// isDamage tells whether what the file has is no database, or a damaged one.
func isDamage(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB)
}

func notFound(what string, id int64) error {
	return fattorino.Errorf(fattorino.NotFound, "there is no %s %d", what, id)
}
