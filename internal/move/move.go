// Package move brings everything of a data folder into a PostgreSQL database.
//
// What others know by a number or a name stays as it is: events by id and seq,
// subscriptions, apps, tokens, keys. Events and deliveries get new ids in the
// database, which say where they lie (decision 17). Rows are brought table by
// table in their order, some thousands in one transaction with a note of how far
// that is, so that a move that was cut off goes on from there. At the end the
// database is read from end to end, and must be what was brought.
package move

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/postgres"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// Options say what is moved where.
type Options struct {
	From string           // the data folder
	To   postgres.Options // the database
	Tell func(Progress)   // is told now and then how far it is; nil = nobody
}

// A Progress is how far the rows of a table are.
type Progress struct {
	Table     string
	Done, All int64 // rows; All is an estimate
	Checking  bool  // they are read again
}

// A Report says what was moved, or is to be.
type Report struct {
	Tables   []Moved
	Replaced int64 // texts with a character that PostgreSQL cannot keep, which was replaced
	Before   bool  // it had ended before
}

// Moved is how many rows a table has been brought.
type Moved struct {
	Table    string
	Rows     int64
	Checksum uint64 // of all rows, whatever their order
}

// Run moves a data folder into a database. Where that was begun before it goes
// on. It fails with Conflict where the folder is in use or was moved elsewhere,
// and where the database holds anything else. Until it has ended neither of them
// can be served.
func Run(ctx context.Context, o Options) (r Report, err error) { return run(ctx, o, mostRows) }

// run brings so many rows in one transaction at most.
func run(ctx context.Context, o Options, rows int) (r Report, err error) {
	m, err := open(ctx, o)
	if err != nil {
		return r, err
	}
	m.most = rows
	defer func() { err = errors.Join(err, m.close()) }()
	move, done, err := m.agree(ctx, o.To.URL)
	if err != nil || move.Done {
		return Report{Before: true}, err
	}
	if !done {
		if err := m.moveAll(ctx, move, &r); err != nil {
			return r, err
		}
	}
	r.Before = done
	move.Done = true
	return r, m.source.SetMove(move)
}

// mover is a move under way.
type mover struct {
	source *sqlite.Source
	target *postgres.Target
	tell   func(Progress)
	most   int // rows in one transaction

	base     int64   // ids given in the folder before its oldest event; see eventKey
	accepted []int64 // when the events of the rows in hand were
	replaced int64
}

func open(ctx context.Context, o Options) (*mover, error) {
	m := &mover{tell: o.Tell}
	if m.tell == nil {
		m.tell = func(Progress) {}
	}
	var err error
	if m.source, err = sqlite.OpenSource(ctx, o.From); err != nil {
		return nil, err
	}
	if m.target, err = postgres.OpenTarget(ctx, o.To); err != nil {
		return nil, errors.Join(err, m.source.Close())
	}
	return m, nil
}

func (m *mover) close() error {
	m.target.Close()
	return m.source.Close()
}

// agree finds out whether the folder and the database know of the same move, or
// of none: then it begins one. It reports done where all was brought already.
func (m *mover) agree(ctx context.Context, url string) (move sqlite.Move, done bool, err error) {
	move, err = m.source.Move()
	if err != nil {
		return move, false, err
	}
	state, err := m.target.Look(ctx)
	if err != nil {
		return move, false, err
	}
	if err := mayMove(move, state); err != nil || move.Done {
		return move, false, err
	}
	if state.ID != "" {
		return move, !state.Moving, nil
	}
	if move.ID == "" {
		move.ID = rand.Text()
	}
	move.To = url
	return move, false, m.source.SetMove(move)
}

// mayMove refuses a folder and a database that do not belong together.
func mayMove(move sqlite.Move, state postgres.MoveState) error {
	switch {
	case state.Holds != "":
		return &fattorino.Error{
			Kind: fattorino.Conflict, Msg: "the database holds other data: " + state.Holds,
			Fix: "make an empty database, and name that",
		}
	case move.Done && state.ID != move.ID:
		return &fattorino.Error{
			Kind: fattorino.Conflict, Msg: "the data folder was moved to " + move.To + " before",
			Fix: "serve that: whoever moves the folder again sends again what has been sent from there",
		}
	case state.ID != "" && state.ID != move.ID:
		return &fattorino.Error{
			Kind: fattorino.Conflict, Msg: "another data folder was moved into the database, or this one before it was served again",
			Fix: "make an empty database, and name that",
		}
	}
	return nil
}

// moveAll brings what is not there yet, and looks whether all is as it was
// brought.
func (m *mover) moveAll(ctx context.Context, move sqlite.Move, r *Report) error {
	if err := m.number(ctx); err != nil {
		return err
	}
	if err := m.target.Begin(ctx, move.ID); err != nil {
		return err
	}
	all := tables()
	for i := range all {
		if err := m.bring(ctx, &all[i]); err != nil {
			return fmt.Errorf("move %s: %w", all[i].name, err)
		}
	}
	for i := range all {
		moved, err := m.check(ctx, &all[i])
		if err != nil {
			return fmt.Errorf("check %s: %w", all[i].name, err)
		}
		r.Tables = append(r.Tables, moved)
	}
	r.Replaced = m.replaced
	last, err := m.lastIDs(ctx)
	if err != nil {
		return err
	}
	return m.target.End(ctx, last)
}

// number finds where the numbers of events begin.
func (m *mover) number(ctx context.Context) error {
	oldest, err := m.source.Number(ctx, `SELECT coalesce((SELECT key + first_delivery FROM events ORDER BY key LIMIT 1), 1)`)
	if err != nil {
		return err
	}
	newest, err := m.source.Number(ctx, `SELECT coalesce((SELECT key + first_delivery + deliveries FROM events ORDER BY key DESC LIMIT 1), 0)`)
	if err != nil {
		return err
	}
	m.base = oldest - 1
	if newest-m.base > postgres.LastNumber {
		return &fattorino.Error{
			Kind: fattorino.Invalid, Msg: fmt.Sprintf("the folder has kept %d events and deliveries: more than can be moved", newest-m.base),
			Fix: "serve it with a shorter retention for a while, so that the oldest go",
		}
	}
	return nil
}

func (m *mover) lastIDs(ctx context.Context) (last postgres.LastIDs, err error) {
	for table, id := range map[string]*int64{"apps": &last.App, "tokens": &last.Token, "subscriptions": &last.Subscription} {
		if *id, err = m.source.Number(ctx, `SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?), 0)`, table); err != nil {
			return last, err
		}
	}
	return last, nil
}
