package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A Source is a data folder that is moved elsewhere. Where it was opened by
// [OpenSource] nobody else has it open, so everything in it stays as it is.
type Source struct {
	dir  string
	read *sql.DB
	io.Closer
}

// OpenSource opens a data folder with a database in it. It fails where another
// process has it open, naming it.
func OpenSource(ctx context.Context, dir string) (*Source, error) {
	if err := checkThere(filepath.Join(dir, databaseFile)); err != nil {
		return nil, err
	}
	store, err := openLocked(ctx, Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	return &Source{dir, store.read, store}, nil
}

// LookAtSource opens a data folder to be read alone, beside a process that may
// be serving it. The schema may be an older one.
func LookAtSource(ctx context.Context, dir string) (*Source, error) {
	db, err := openThere(ctx, filepath.Join(dir, databaseFile), "rw")
	if err != nil {
		return nil, err
	}
	return &Source{dir, db, db}, nil
}

// InUse tells who has the folder open; empty = nobody.
func (s *Source) InUse() (who string, err error) {
	lock, err := lockDir(s.dir)
	if busy, ok := errors.AsType[*busyError](err); ok {
		return busy.holder, nil
	}
	if err != nil {
		return "", err
	}
	return "", lock.release()
}

// Each calls f with each row of a query: int64, string, []byte or nil by
// column. Until the query has ended, f may make others.
func (s *Source) Each(ctx context.Context, f func(row []any) error, query string, args ...any) error {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return translate(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says what is wrong
	columns, err := rows.Columns()
	if err != nil {
		return translate(err)
	}
	for rows.Next() {
		row, dest := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			dest[i] = &row[i]
		}
		if err := rows.Scan(dest...); err != nil {
			return translate(err)
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return translate(rows.Err())
}

// Deliveries gives those of an event as they stand, in the order of their ids,
// without the event.
func (s *Source) Deliveries(ctx context.Context, event int64) ([]*fattorino.Delivery, error) {
	q := source{ctx, s}
	refs, err := ofEvent(q, event)
	if err != nil || len(refs) == 0 {
		return nil, translate(err)
	}
	all, err := standingOf(q, refs)
	return all, translate(err)
}

// EventAt gives the key of the first event that has the delivery or one with a
// greater id; 0 = there is none.
func (s *Source) EventAt(ctx context.Context, delivery int64) (int64, error) {
	key, err := eventAt(source{ctx, s}, delivery)
	return key, translate(err)
}

// DataOf gives the data of an event; nil where it has none, or is not there.
func (s *Source) DataOf(ctx context.Context, event int64) ([]byte, error) {
	data, err := dataOf(source{ctx, s}, event)
	return data, translate(err)
}

// LastUpTo gives the subscription's last delivery with an id up to the one given,
// and the key of its event; 0 = there is none.
func (s *Source) LastUpTo(ctx context.Context, subscription, id int64) (delivery, event int64, err error) {
	found, err := laneDown(source{ctx, s}, subscription, span{0, id + 1}, 1)
	if err != nil || len(found) == 0 {
		return 0, 0, translate(err)
	}
	return found[0].id, found[0].event, nil
}

// source is a Source that implements [querier].
type source struct {
	ctx context.Context //nolint:containedctx // it lives as long as a call
	*Source
}

func (s source) query(columns int, f func(row []driver.Value) error, query string, args ...driver.Value) error {
	rows, err := s.read.QueryContext(s.ctx, query, anys(args)...)
	return eachRow(rows, err, columns, f)
}

// Number reads one number.
func (s *Source) Number(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = s.read.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, translate(err)
}

// A Move is where a data folder is moved to, as a file in the folder tells. As
// long as that is there the folder is not served.
type Move struct {
	ID   string `json:"id"` // of the move, drawn when it was begun
	To   string `json:"to"` // the database, for people
	Done bool   `json:"done"`
}

// moveFile is its name.
const moveFile = "moved.json"

// Move tells where the folder is moved to; the zero Move where it is not.
func (s *Source) Move() (Move, error) { return readMove(s.dir) }

// SetMove notes where the folder is moved to, durably.
func (s *Source) SetMove(m Move) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, moveFile)
	file, err := os.OpenFile(path+".partial", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return errors.Join(os.Rename(path+".partial", path), syncFolder(s.dir))
}

// LeftBehind tells whether a folder holds a database that was not moved away.
func LeftBehind(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, databaseFile))
	m, unread := readMove(dir)
	return err == nil && (unread != nil || !m.Done)
}

func readMove(dir string) (m Move, err error) {
	text, err := os.ReadFile(filepath.Join(dir, moveFile))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return m, fmt.Errorf("%s: %w", moveFile, err)
	}
	return m, nil
}

// refuseMoved refuses a folder that was moved away: what it holds is sent from
// where it is now.
func refuseMoved(dir string) error {
	m, err := readMove(dir)
	if err != nil || m == (Move{}) {
		return err
	}
	file := filepath.Join(dir, moveFile)
	if !m.Done {
		return &fattorino.Error{
			Kind: fattorino.Conflict, Msg: fmt.Sprintf("the data folder %s is being moved to %s", dir, m.To),
			Fix: "begin fattorino migrate-data again, which goes on; or give the move up: delete " + file + " and make that database anew",
		}
	}
	return &fattorino.Error{
		Kind: fattorino.Conflict, Msg: fmt.Sprintf("the data folder %s was moved to %s", dir, m.To),
		Fix: "serve that: --database " + m.To + "; only to go back to how it was before the move, and never beside the other, delete " + file,
	}
}
