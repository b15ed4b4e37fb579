// Package postgres keeps everything in a PostgreSQL database, which several
// nodes may share.
//
// Everything of a company lies in its part, and a statement of the hot path
// names one part: see the first migration. Whoever publishes or changes
// subscriptions in a part holds its row until the transaction ends. So seq has
// no gaps, and what a reader has passed never changes, however many nodes write.
//
// Nothing is kept in a session between transactions, so that connections may go
// through PgBouncer in transaction mode.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options say where the store is.
type Options struct {
	// URL is where the database is reached, as [CheckURL] takes it.
	URL string
	// Password is the user's; empty = that of the environment or of the password
	// file, as PostgreSQL's own clients find it.
	Password string
	// Listen is where a node hears the others, of the same form: the database
	// itself, where the URL is that of a pooler; empty = the URL.
	Listen string
	// Parts is how many parts a new database has, at most 1024; 0 = 64. A
	// database that is there keeps the number it was made with.
	Parts int
}

// CheckURL tells what is wrong with the URL of a database: it is of the form
// postgres://user@host:5432/name, with parameters as PostgreSQL documents them
// (section 34.1.2), sslmode among them, and pool_max_conns. It has no password,
// because it is shown and logged.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return errors.New("it is not of the form postgres://user@host:5432/name?sslmode=verify-full") // without the cause, which quotes it
	}
	if _, inside := u.User.Password(); inside || u.Query().Has("password") {
		return errors.New("it has a password in it, and is shown in places where that must not be: give the password as database_password")
	}
	if u.Query().Has("sslpassword") {
		return errors.New("it has the password of a key in it, and is shown in places where that must not be: give a key without one, in a file that this user alone can read")
	}
	if _, err := pgxpool.ParseConfig(text); err != nil {
		return fmt.Errorf("it cannot be used: %w", err)
	}
	return nil
}

// defaultParts is how many parts a new database has.
const (
	defaultParts = 64
	maxParts     = 1024
)

// minConns is how many connections there must be room for: that which holds the
// lock while another migrates, and some to read with while one commits.
const minConns = 4

// connectTimeout is how long a connection may take to be made, unless the URL
// says otherwise (connect_timeout).
const connectTimeout = 3 * time.Second

// A Store keeps everything in one database. It implements [fattorino.Store].
type Store struct {
	pool   *pgxpool.Pool
	layout layout
	spread spread
	days   days

	mu       sync.Mutex
	accepted int64 // when the last event of this node was accepted; see [Store.accept]

	nudges chan struct{} // one, where others are to be nudged

	stopping context.CancelFunc
	running  sync.WaitGroup
}

var _ fattorino.Store = (*Store)(nil)

// Open connects to the database and makes or migrates its tables where needed.
// It fails when the database was written by a newer version.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Parts == 0 {
		o.Parts = defaultParts
	}
	if o.Parts < 1 || o.Parts > maxParts {
		return nil, fmt.Errorf("%d parts: there must be at least 1 and at most %d", o.Parts, maxParts)
	}
	pool, err := connect(ctx, o, minConns)
	if err != nil {
		return nil, cannotStart(err)
	}
	s := &Store{pool: pool, nudges: make(chan struct{}, 1)}
	if err := s.prepare(ctx, o.Parts); err != nil {
		pool.Close()
		return nil, cannotStart(err)
	}
	if err := errors.Join(s.readMove(ctx), s.readSpread(ctx)); err != nil {
		pool.Close()
		return nil, cannotStart(err)
	}
	background, cancel := context.WithCancel(context.Background())
	s.stopping = cancel
	s.running.Go(func() { s.keepDays(background) })
	s.running.Go(func() { s.keepNudging(background) })
	return s, nil
}

// connect makes a pool of connections with room for so many at least. None is
// made before it is needed.
func connect(ctx context.Context, o Options, least int32) (*pgxpool.Pool, error) {
	config, err := configOf(o.URL, o.Password)
	if err != nil {
		return nil, err
	}
	config.MaxConns = max(config.MaxConns, least)
	return pgxpool.NewWithConfig(ctx, config)
}

// configOf says how to connect to the database at the URL.
func configOf(url, password string) (*pgxpool.Config, error) {
	if err := CheckURL(url); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	if password != "" {
		config.ConnConfig.Password = password
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	return config, nil
}

// migrationLock is the key of the advisory lock under which one node migrates
// at a time.
const migrationLock = 7205759403792793601

// prepare makes the tables what this version needs. The lock ends with its
// transaction, which is idle meanwhile: a lock of a session would be lost
// behind PgBouncer.
func (s *Store) prepare(ctx context.Context, parts int) error {
	return s.prepareWith(ctx, parts, func(context.Context) error { return nil })
}

// prepareWith calls made once the tables are made, before there is anything in
// them.
func (s *Store) prepareWith(ctx context.Context, parts int, made func(context.Context) error) error {
	return pgx.BeginFunc(ctx, s.pool, func(lock pgx.Tx) error {
		if _, err := lock.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(migrationLock)); err != nil {
			return err
		}
		if err := s.migrate(ctx); err != nil {
			return err
		}
		if err := made(ctx); err != nil {
			return err
		}
		if err := s.divide(ctx, parts); err != nil {
			return err
		}
		return s.days.ahead(ctx, s.pool, time.Now())
	})
}

// migrate brings the schema to this version, and refuses a newer one.
func (s *Store) migrate(ctx context.Context) (err error) {
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("the database cannot be read: %w", err)
	}
	sources := p.ListSources()
	if newest := sources[len(sources)-1].Version; have > newest {
		return tooNew(have, newest)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func tooNew(have, newest int64) error {
	return fmt.Errorf("the database was written by a newer version of Fattorino (schema %d; this one knows up to %d): run that version, or restore a backup", have, newest)
}

// divide gives a new database its parts, and reads how many there are.
func (s *Store) divide(ctx context.Context, parts int) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		made, err := tx.Exec(ctx, `INSERT INTO installation VALUES (true, $1) ON CONFLICT DO NOTHING`, parts)
		if err != nil {
			return err
		}
		if made.RowsAffected() == 1 {
			for _, table := range []string{"parts", "leases"} {
				if _, err := tx.Exec(ctx, `INSERT INTO `+table+` (part) SELECT generate_series(0, $1::int - 1)`, parts); err != nil {
					return err
				}
			}
		}
		return tx.QueryRow(ctx, `SELECT parts FROM installation`).Scan(&s.layout.parts)
	})
}

// Close ends what runs and closes the connections.
func (s *Store) Close() error {
	s.stopping()
	s.running.Wait()
	s.pool.Close()
	return nil
}

// accept gives when events that were committed at now were accepted: not before
// any that this node or, as its part tells, another accepted earlier. No two
// commits of a node have the same time.
func (s *Store) accept(now, part int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted = max(now, part, s.accepted+1)
	return s.accepted
}

// optional gives NULL for the zero time.
func optional(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	us := record.Micros(t)
	return &us
}
