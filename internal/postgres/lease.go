package postgres

import (
	"context"
	_ "embed" // for lease.sql
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// How a lease is kept. One whose holder has died is taken over within leaseFor
// and lookEvery.
const (
	leaseFor   = 4 * time.Second
	leaseSpare = time.Second // by which the holder thinks it shorter, lest it still sends when another begins
	renewEvery = time.Second
	lookEvery  = 250 * time.Millisecond
	askWithin  = 2 * time.Second // one statement
)

// A Lease is the right to serve a database alone. It is a row of the database
// that its holder renews, not a lock of a session, which would be lost behind
// PgBouncer. Whoever holds it uses it in two ways: [Options].Lease has every
// transaction fail that is not the holder's, and [Lease.Held] says when to send.
type Lease struct {
	pool    *pgxpool.Pool
	log     *slog.Logger
	epoch   int64
	stop    context.CancelFunc
	running sync.WaitGroup
	lost    chan error

	mu    sync.Mutex
	sure  time.Time     // until when nobody else can have it, by this machine's clock
	again chan struct{} // closed when sure is later
}

//go:embed lease.sql
var makeLease string

// checkLease fails the transaction of a holder that is none any more.
const checkLease = `SELECT check_lease($1)`

// TakeLease takes the lease of the database, and waits where another has it:
// standBy is told who. The holder's name is for people. It fails where the
// database cannot be used, but while it waits only with ctx.
func TakeLease(ctx context.Context, o Options, holder string, log *slog.Logger, standBy func(holder string)) (*Lease, error) {
	pool, err := connect(ctx, o, 2) // one to ask with while another is given up
	if err != nil {
		return nil, cannotStart(err)
	}
	l := &Lease{pool: pool, log: log, lost: make(chan error, 1), again: make(chan struct{})}
	if _, err = pool.Exec(ctx, makeLease); err == nil {
		err = l.take(ctx, holder, standBy)
	}
	if err != nil {
		pool.Close()
		return nil, cannotStart(err)
	}
	background, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	l.running.Go(func() { l.keep(background) })
	return l, nil
}

// take returns once the lease is ours.
func (l *Lease) take(ctx context.Context, holder string, standBy func(string)) error {
	told := "" // who standBy was told of
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		other, err := l.tryTake(ctx, holder)
		switch {
		case err == nil && other == "":
			return nil
		case err == nil && other != told:
			told = other
			standBy(other)
		case err != nil && told == "":
			return err
		case err != nil && ctx.Err() == nil:
			l.log.Debug("the lease of the database cannot be read", "error", err)
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tryTake takes the lease if it has run out, and tells else whose it is.
func (l *Lease) tryTake(ctx context.Context, holder string) (other string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	asked := time.Now()
	err = l.pool.QueryRow(ctx, `UPDATE lease SET epoch = epoch + 1, holder = $1, until = clock_timestamp() + $2
		WHERE until <= clock_timestamp() RETURNING epoch`, holder, leaseFor).Scan(&l.epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return l.holder(ctx)
	}
	if err == nil {
		l.extend(asked)
	}
	return "", err
}

func (l *Lease) holder(ctx context.Context) (name string, err error) {
	err = l.pool.QueryRow(ctx, `SELECT holder FROM lease`).Scan(&name)
	return name, err
}

// extend notes that the database was asked to prolong the lease, and did.
func (l *Lease) extend(asked time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sure = asked.Add(leaseFor - leaseSpare)
	close(l.again)
	l.again = make(chan struct{})
}

// end has the lease held no more.
func (l *Lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sure = time.Time{}
}

// Held gives a channel that is closed where the lease is held for certain, and
// that is closed once it is held again where it is not. After [Lease.Lost] it
// never is.
func (l *Lease) Held() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.sure) {
		return always
	}
	return l.again
}

// always is closed.
var always = func() chan struct{} { c := make(chan struct{}); close(c); return c }() //nolint:gochecknoglobals // it never changes

// Lost gives an error when another has taken the lease over: what its former
// holder knows of the database is out of date then, and stays so.
func (l *Lease) Lost() <-chan error { return l.lost }

// keep renews the lease until ctx ends or another has taken it over. Where it
// cannot for a while, but nobody else did, the lease is as good as before:
// nothing was written meanwhile.
func (l *Lease) keep(ctx context.Context) {
	renew := time.NewTicker(renewEvery)
	defer renew.Stop()
	paused := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-renew.C:
		}
		other, err := l.renew(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case other != "":
			l.end()
			l.lost <- &fattorino.Error{
				Kind: fattorino.Conflict, Msg: "another process serves the database now: " + other,
				Fix: "start this one again: it stands by until that one ends",
			}
			return
		case err != nil && !paused && !l.sureAt(time.Now()):
			l.log.Error("the lease of the database cannot be renewed: nothing is sent until it is", "error", err)
			paused = true
		case err == nil && paused:
			l.log.Info("the lease of the database is renewed: sending goes on")
			paused = false
		}
	}
}

func (l *Lease) sureAt(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Before(l.sure)
}

// renew prolongs the lease, and tells whose it is where it is not ours.
func (l *Lease) renew(ctx context.Context) (other string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	asked := time.Now()
	done, err := l.pool.Exec(ctx, `UPDATE lease SET until = clock_timestamp() + $2 WHERE epoch = $1`, l.epoch, leaseFor)
	if err != nil {
		return "", err
	}
	if done.RowsAffected() == 0 {
		return l.holder(ctx)
	}
	l.extend(asked)
	return "", nil
}

// Release hands the lease to whoever waits for it.
func (l *Lease) Release(ctx context.Context) error {
	l.stop()
	l.running.Wait()
	defer l.pool.Close()
	const release = `UPDATE lease SET until = clock_timestamp() WHERE epoch = $1`
	_, err := l.pool.Exec(ctx, release, l.epoch)
	if err != nil { // by a connection that an outage has broken, as it may be
		_, err = l.pool.Exec(ctx, release, l.epoch)
	}
	if err != nil {
		return fmt.Errorf("it runs out by itself: %w", err)
	}
	return nil
}
