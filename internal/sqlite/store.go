// Package sqlite keeps everything in one SQLite file: the default store.
//
// There is one connection that writes, used by the engine's committer alone,
// and a pool that reads (WAL: readers never wait for the writer). Durable means
// durable: synchronous=FULL syncs the log at every commit.
package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options say where the store is.
type Options struct {
	Dir string // the data folder; made where it is not there
	// MaxPages bounds the file's size in pages of 4 KiB; 0 = the disk bounds it.
	MaxPages int
	// RecentIDs is for about how many of the newest events it is kept in memory
	// what their ids are; 0 = 32768.
	RecentIDs int
	Log       *slog.Logger // tells of what takes long; nil = nothing is told
}

// A Store keeps everything in one file. It implements [fattorino.Store].
type Store struct {
	lock  *lock
	write *sql.DB // one connection
	read  *sql.DB

	mu   sync.Mutex // the one writer
	hot  hot        // prepared statements of Commit
	ids  ids        // the last ids given, as committed
	seqs seqs

	unlisted []listing // of events since the last that is listed, all or not
	recent   recent
	written  bloom // the hashes that are in the table

	background sync.WaitGroup
	stop       context.CancelFunc // ends what is done in the background

	readers readers
	shared  shared
	untried untried
	ahead   ahead
}

// ids are the last ids given; listed is the last event that can be found by its
// type and entity in the lists, and row the greatest id of a delivery with a row.
type ids struct{ event, delivery, page, accepted, listed, row int64 }

var _ fattorino.Store = (*Store)(nil)

// Open opens the store of a data folder, making or migrating it where needed.
// It fails when another process has the folder open, naming it, when the folder
// was written by a newer version, and when it was moved away.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := makeDataFolder(o.Dir); err != nil {
		return nil, err
	}
	s, err := openLocked(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := refuseMoved(o.Dir); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// openLocked opens the store of a folder that is there.
func openLocked(ctx context.Context, o Options) (*Store, error) {
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{lock: lock, recent: recent{most: cmp.Or(o.RecentIDs, recentHashes)}, stop: func() {}}
	if err := s.open(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, o Options) (err error) {
	path := filepath.Join(o.Dir, databaseFile)
	writePragmas := []string{
		"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "foreign_keys(1)",
		"temp_store(MEMORY)", "cache_size(-6000)",
	}
	if o.MaxPages > 0 {
		writePragmas = append(writePragmas, "max_page_count("+strconv.Itoa(o.MaxPages)+")")
	}
	if err := ownOnly(path); err != nil {
		return err
	}
	layer, err := fileLayer()
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if s.write, err = sql.Open("sqlite", dsn(path, layer, writePragmas...)); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	s.write.SetMaxOpenConns(1)
	if err := s.checkCopy(ctx, path, o.Log); err != nil {
		return err
	}
	if err := migrate(ctx, s.write); err != nil {
		return err
	}
	if s.read, err = sql.Open("sqlite", dsn(path, "", "query_only(1)", "busy_timeout(5000)", "cache_size(-1000)")); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	const forLanes = 4 // connections that the lanes keep for themselves
	readers := forLanes + max(4, runtime.GOMAXPROCS(0))
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	if err := s.loadIDs(ctx); err != nil {
		return err
	}
	s.beginReadingWritten(o.Log)
	return nil
}

// beginReadingWritten reads the hashes in the table in the background: until it is
// done, each new event is looked for there.
func (s *Store) beginReadingWritten(log *slog.Logger) {
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.background.Go(func() {
		if err := s.readWritten(ctx); err != nil && ctx.Err() == nil && log != nil {
			log.Warn("the hashes of ids could not be read: publishing costs more until the next start", "error", err)
		}
	})
}

// ownOnly makes the file where it is not there, and keeps others from reading
// it, whatever the folder allows. SQLite gives the files beside it the same
// mode.
func ownOnly(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	return errors.Join(file.Chmod(0o600), file.Close())
}

// dsn names the file, the layer that it is read and written by (empty = the
// usual), and pragmas that every connection starts with: one set later, on the
// pool, would reach a single connection.
func dsn(path, layer string, pragmas ...string) string {
	query := url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}
	if layer != "" {
		query.Set("vfs", layer)
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query.Encode()}
	return u.String()
}

// migrate brings the schema to this version, and refuses a newer one.
func migrate(ctx context.Context, db *sql.DB) error {
	p, err := known(ctx, db)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", translate(err))
	}
	return nil
}

// known refuses a schema of a newer version, and gives what migrates others.
func known(ctx context.Context, db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return nil, fmt.Errorf("the database cannot be read; restore a backup if the file is damaged: %w", translate(err))
	}
	sources := p.ListSources()
	if newest := sources[len(sources)-1].Version; have > newest {
		return nil, fmt.Errorf("the data folder was written by a newer version of Fattorino (schema %d; this one knows up to %d): run that version, or restore a backup", have, newest)
	}
	return p, nil
}

func (s *Store) loadIDs(ctx context.Context) error {
	err := s.write.QueryRowContext(ctx, `SELECT
		max(event, (SELECT coalesce(max(key), 0) FROM events)),
		max(delivery, coalesce((SELECT first_delivery + deliveries - 1 FROM events ORDER BY key DESC LIMIT 1), 0)),
		max(page, (SELECT coalesce(max(page), 0) FROM attempts)), listed,
		(SELECT coalesce(max(id), 0) FROM deliveries) FROM ids`).
		Scan(&s.ids.event, &s.ids.delivery, &s.ids.page, &s.ids.listed, &s.ids.row)
	if err != nil {
		return fmt.Errorf("read ids: %w", err)
	}
	err = s.write.QueryRowContext(ctx, `SELECT accepted_at FROM events ORDER BY key DESC LIMIT 1`).Scan(&s.ids.accepted)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read ids: %w", err)
	}
	s.untried.forget(s.ids.delivery)
	return s.recent.load(ctx, s.write, s.ids.event)
}

// Close closes the file and gives the data folder free.
func (s *Store) Close() error {
	s.stop()
	s.background.Wait()
	var all []error
	if s.read != nil {
		all = append(all, s.readers.close(), s.read.Close())
	}
	if s.write != nil {
		s.mu.Lock()
		all = append(all, s.hot.close(), s.write.Close())
		s.mu.Unlock()
	}
	return errors.Join(append(all, s.lock.release())...)
}
