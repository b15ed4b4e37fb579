package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// How often a transaction is tried before the database counts as unwell. That
// another was in the way, or a connection was not good any more, is no reason to
// refuse anything; where nobody knows whether it was committed, it is worth the
// wait to find out.
const (
	triesPassing = 8
	triesUnwell  = 3
	triesUnsure  = 10
	firstPause   = 20 * time.Millisecond // doubles each time
	tryWithin    = 10 * time.Second
	waitAtMost   = 5 * time.Second // before giving up on a database that is unwell
)

// errUnknown says that nobody could find out whether a transaction was
// committed, so that it must not be run again.
var errUnknown = errors.New("the outcome of the transaction is unknown")

// retry runs a transaction until it succeeds, is refused for good, or has been
// tried often enough. unsure tells whether an earlier try may have succeeded.
func retry(ctx context.Context, try func(context.Context) error, unsure func() bool) error {
	started := time.Now()
	for n := 1; ; n++ {
		bounded, cancel := context.WithTimeout(ctx, tryWithin)
		err := try(bounded)
		cancel()
		result := translate(err)
		tries := 1
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errUnknown):
		case unsure():
			tries = triesUnsure
		case passing(err):
			tries = triesPassing
		case fattorino.KindOf(result) == fattorino.Unavailable && time.Since(started) < waitAtMost:
			tries = triesUnwell
		}
		if n >= tries {
			return result
		}
		select {
		case <-time.After(firstPause << (n - 1)):
		case <-ctx.Done():
			return result
		}
	}
}

// A transactionName is what a transaction can be asked for by later: its number,
// which a server may give again when it was not on the disk, or not at the
// standby that is the server now, and since when the server runs.
type transactionName struct{ xid, server string }

const nameTransaction = `SELECT pg_current_xact_id()::text, extract(epoch FROM pg_postmaster_start_time())::text`

// inTheFuture is SQLSTATE of a number that the server has not come to.
const inTheFuture = "22023"

// committed tells what became of a transaction whose connection broke while it
// was being committed. It waits for one that is still under way.
func committed(ctx context.Context, pool *pgxpool.Pool, name transactionName) (done bool, err error) {
	err = retry(ctx, func(ctx context.Context) error {
		look := time.NewTicker(firstPause)
		defer look.Stop()
		for {
			status, same, err := name.status(ctx, pool)
			switch {
			case err != nil:
				return err
			case status == "committed" && !same:
				return errUnknown // it may be another transaction
			case status != "in progress" || !same:
				done = status == "committed"
				return nil
			}
			select {
			case <-look.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}, func() bool { return true })
	return done, err
}

// status gives what the server says of the number, empty where it knows
// nothing, and whether it is the same server and was not started anew.
func (n transactionName) status(ctx context.Context, pool *pgxpool.Pool) (status string, same bool, err error) {
	var now string
	err = pool.QueryRow(ctx, `SELECT coalesce(pg_xact_status($1::xid8), ''), extract(epoch FROM pg_postmaster_start_time())::text`, n.xid).Scan(&status, &now)
	if sqlState(err) == inTheFuture {
		return "", false, nil
	}
	return status, now == n.server, err
}
