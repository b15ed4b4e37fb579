package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// checkCopy looks through the whole database where the folder is not the one
// that was last in use, but a copy. What was copied file by file while
// Fattorino was running has parts of different moments, which SQLite does not
// notice until it comes across them. It takes a while, so a folder is checked
// once.
func (s *Store) checkCopy(ctx context.Context, path string, log *slog.Logger) error {
	files, empty, err := identify(path)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if !empty && files != s.lock.files {
		ended := tellOfCheck(log, path)
		err := checkAll(ctx, s.write)
		ended(err)
		if err != nil {
			return &fattorino.Error{
				Kind: fattorino.Invalid, Msg: "the database is damaged, as one that was copied while Fattorino was running: " + err.Error(),
				Fix: `put a backup in its place with "fattorino restore", or a copy that was made while Fattorino was stopped`, Err: err,
			}
		}
	}
	s.lock.note(files)
	return nil
}

// tellEvery is the time between two lines of the log about a check.
const tellEvery = 10 * time.Second

// tellOfCheck logs that the database is looked through, again and again, until
// ended is called: who starts on a large copy waits for minutes.
func tellOfCheck(log *slog.Logger, path string) (ended func(error)) {
	if log == nil {
		return func(error) {}
	}
	size := int64(0)
	if info, err := os.Stat(path); err == nil {
		size = info.Size()
	}
	began := time.Now()
	seconds := func() float64 { return time.Since(began).Seconds() }
	log.Info("the data folder was copied or moved: looking through the whole database", "bytes", size)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticks := time.NewTicker(tellEvery)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
				log.Info("still looking through the database", "bytes", size, "seconds", seconds())
			case <-stop:
				return
			}
		}
	}()
	return func(err error) {
		close(stop)
		<-stopped
		if err == nil {
			log.Info("the database is whole", "seconds", seconds())
		}
	}
}

// identify tells one data folder from another, and whether its database is
// empty. Inodes last as long as the files, and a copy has others; devices are
// left out, for they change when a machine starts.
func identify(path string) (files string, empty bool, err error) {
	dir := filepath.Dir(path)
	for _, name := range []string{dir, filepath.Join(dir, "lock"), path} {
		info, err := os.Stat(name)
		if err != nil {
			return "", false, err
		}
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			files += fmt.Sprintf("%d.", sys.Ino)
		}
		empty = info.Size() == 0
	}
	return files, empty, nil
}

// checkAll has SQLite check its structures, and looks whether the history of
// each company is whole.
func checkAll(ctx context.Context, db *sql.DB) error {
	var found string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return errors.New(found)
	}
	var made bool
	err := db.QueryRowContext(ctx, `SELECT count(*) = 2 FROM sqlite_schema WHERE name IN ('companies', 'events')`).Scan(&made)
	if err != nil || !made {
		return err // it was copied before anything was in it
	}
	var torn int
	err = db.QueryRowContext(ctx, `
		SELECT count(*) FROM companies c
		JOIN (SELECT company, max(seq) AS last FROM events WHERE seq > 0 GROUP BY company) e ON e.company = c.id
		WHERE e.last - c.pruned_seq <> (SELECT count(*) FROM events k WHERE k.company = c.id AND k.seq > c.pruned_seq)
			AND e.last > c.pruned_seq`).Scan(&torn)
	if err == nil && torn > 0 {
		err = fmt.Errorf("the histories of %d companies are not whole", torn)
	}
	return err
}
