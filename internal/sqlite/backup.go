package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// databaseFile is the database's name in a data folder, and in a backup.
const databaseFile = "fattorino.db"

// Progress is told now and then how many bytes of about how many are done.
type Progress func(done, all int64)

// Counts tell how much is in a database.
type Counts struct{ Companies, Subscriptions, Events, Deliveries int64 }

// Backup writes a copy of the data folder's database, as it is at one moment,
// into another folder, which must be there and have none. The server may run
// meanwhile: SQLite copies what one reading transaction sees. The copy is
// checked, and durable, when it returns; on an error there is none.
func Backup(ctx context.Context, data, folder string, p Progress) (c Counts, err error) {
	if err := refuseElsewhere(data); err != nil {
		return c, err
	}
	db, err := openThere(ctx, filepath.Join(data, databaseFile), "rw")
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	copied := filepath.Join(folder, databaseFile)
	if err := makeNew(copied); err != nil {
		return c, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(copied))
		}
	}()
	before, err := lastEvent(ctx, db)
	if err != nil {
		return c, err
	}
	if err := copyInto(ctx, db, copied, p); err != nil {
		return c, err
	}
	after, err := lastEvent(ctx, db)
	if err != nil {
		return c, err
	}
	return checkBackup(ctx, copied, before, after)
}

// Restore makes the database of a data folder from that of a backup, and
// refuses a folder that is in use or has one. ready is called before the
// database gets its name, with the folder locked.
func Restore(ctx context.Context, folder, data string, p Progress, ready func() error) (c Counts, err error) {
	from, to := filepath.Join(folder, databaseFile), filepath.Join(data, databaseFile)
	if err := checkAlone(ctx, from); err != nil {
		return c, err
	}
	if err := makeDataFolder(data); err != nil {
		return c, err
	}
	lock, err := lockDir(data)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return c, &fattorino.Error{
			Kind: fattorino.Conflict, Msg: fmt.Sprintf("there is a database in %s already", data),
			Fix: "restore into a new folder, or move what is in that one away", Err: err,
		}
	}
	partial := to + ".partial"
	if err := errors.Join(removeOld(partial), makeNew(partial)); err != nil {
		return c, err
	}
	if err := copyFile(ctx, from, partial, p); err != nil {
		return c, errors.Join(err, os.Remove(partial))
	}
	if c, err = checkBackup(ctx, partial, 0, 1<<63-1); err == nil {
		err = ready()
	}
	if err != nil {
		return c, errors.Join(err, os.Remove(partial))
	}
	return c, errors.Join(os.Rename(partial, to), syncFolder(data))
}

// openThere opens a database that is there and of no newer version.
func openThere(ctx context.Context, path, mode string) (*sql.DB, error) {
	if err := checkThere(path); err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: url.Values{"mode": {mode}, "_pragma": {"busy_timeout(5000)"}}.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := known(ctx, db); err != nil {
		if mode == "ro" && isDamage(err) {
			err = damaged(err)
		}
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func damaged(err error) error {
	return &fattorino.Error{
		Kind: fattorino.Invalid, Msg: "the copy is damaged: " + err.Error(),
		Fix: "look after the disk, and try again from another copy", Err: err,
	}
}

// refuseElsewhere refuses to back up a folder whose installation is in a
// PostgreSQL database, or may be.
func refuseElsewhere(data string) error {
	const withDump = "make the backup of a PostgreSQL database with its own tools, as pg_dump, and keep master.keys of the data folder beside: docs/postgresql.md, Backup"
	m, err := readMove(data)
	if err != nil {
		return err
	}
	if m.Done {
		return &fattorino.Error{
			Kind: fattorino.Conflict, Msg: fmt.Sprintf("the data folder %s was moved to %s: what is in it is out of date", data, m.To),
			Fix: withDump,
		}
	}
	if _, err := os.Stat(filepath.Join(data, databaseFile)); errors.Is(err, fs.ErrNotExist) {
		return &fattorino.Error{
			Kind: fattorino.NotFound, Msg: fmt.Sprintf("there is no database in %s", data),
			Fix: "name the folder that has " + databaseFile + " in it; " + withDump, Err: err,
		}
	}
	return nil
}

// checkThere fails where there is no database.
func checkThere(path string) error {
	_, err := os.Stat(path)
	if err != nil {
		err = &fattorino.Error{
			Kind: fattorino.NotFound, Msg: fmt.Sprintf("there is no database: %v", err),
			Fix: "name the folder that has " + databaseFile + " in it", Err: err,
		}
	}
	return err
}

// checkAlone refuses, as a backup, a database whose last changes are in a file
// beside it: a copy of a data folder.
func checkAlone(ctx context.Context, path string) error {
	if _, err := os.Stat(path + "-wal"); err == nil {
		return &fattorino.Error{
			Kind: fattorino.Invalid, Msg: filepath.Dir(path) + " is a data folder or a copy of one, and no backup",
			Fix: "start Fattorino on it, or make a backup of it first",
		}
	}
	db, err := openThere(ctx, path, "ro")
	if err != nil {
		return err
	}
	return db.Close()
}

// makeNew makes an empty file for its owner alone, and refuses one that is there.
func makeNew(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// removeOld removes what a restore that was cut off has left.
func removeOld(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// lastEvent gives the last id that was given to an event. It never decreases.
func lastEvent(ctx context.Context, db *sql.DB) (key int64, err error) {
	err = db.QueryRowContext(ctx, `SELECT max(event, (SELECT coalesce(max(key), 0) FROM events)) FROM ids`).Scan(&key)
	return key, translate(err)
}

// copyInto has SQLite copy a database into an empty file.
func copyInto(ctx context.Context, db *sql.DB, to string, p Progress) error {
	var all int64
	err := db.QueryRowContext(ctx, `SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size`).Scan(&all)
	if err != nil {
		return translate(err)
	}
	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { watchSize(to, all, p, ended) })
	_, err = db.ExecContext(ctx, `VACUUM INTO ?`, to)
	close(ended)
	watching.Wait()
	return translate(err)
}

// watchSize tells how a file grows.
func watchSize(path string, all int64, p Progress, ended <-chan struct{}) {
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case <-ended:
			return
		case <-look.C:
			if info, err := os.Stat(path); err == nil {
				p(min(info.Size(), all), all)
			}
		}
	}
}

// copyFile copies into a file that is there.
func copyFile(ctx context.Context, from, to string, p Progress) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was read
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	const atOnce = 64 << 20
	for done := int64(0); ; p(done, info.Size()) {
		n, err := io.CopyN(out, in, atOnce)
		done += n
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
}

// checkBackup looks through a whole copy, whose last event must be between two,
// and makes it durable.
func checkBackup(ctx context.Context, path string, before, after int64) (c Counts, err error) {
	db, err := openThere(ctx, path, "ro")
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := checkAll(ctx, db); err != nil {
		return c, damaged(err)
	}
	last, err := lastEvent(ctx, db)
	if err != nil {
		return c, err
	}
	if last < before || last > after {
		return c, fmt.Errorf("the copy ends with event %d, and should between %d and %d", last, before, after)
	}
	err = db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM companies), (SELECT count(*) FROM subscriptions),
		(SELECT count(*) FROM events), (SELECT coalesce(sum(deliveries), 0) FROM events)`).Scan(&c.Companies, &c.Subscriptions, &c.Events, &c.Deliveries)
	if err != nil {
		return c, translate(err)
	}
	file, err := os.Open(path)
	if err != nil {
		return c, err
	}
	return c, errors.Join(file.Sync(), file.Close(), syncFolder(filepath.Dir(path)))
}
