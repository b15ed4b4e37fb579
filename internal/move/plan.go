package move

import (
	"context"
	"errors"

	"github.com/fattorino-dev/fattorino/internal/postgres"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// A Plan is what [Run] would do.
type Plan struct {
	Tables  []Moved // how many rows there are, without checksums; those of the log of attempts about
	InUse   string  // by whom the folder is in use now; empty = nobody
	Begun   bool    // a move between the two was begun before, and goes on
	Refused error   // why it would not be done; nil = it would
}

// Look counts what there is to move, and looks whether it can be. It changes
// nothing. The folder may be in use.
func Look(ctx context.Context, o Options) (p Plan, err error) {
	source, err := sqlite.LookAtSource(ctx, o.From)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := postgres.OpenTarget(ctx, o.To)
	if err != nil {
		return p, err
	}
	defer target.Close()
	if p.InUse, err = source.InUse(); err != nil {
		return p, err
	}
	move, err := source.Move()
	if err != nil {
		return p, err
	}
	state, err := target.Look(ctx)
	if err != nil {
		return p, err
	}
	p.Begun, p.Refused = state.Moving, mayMove(move, state)
	for _, t := range tables() {
		n, err := source.Number(ctx, t.counting())
		if err != nil {
			return p, err
		}
		p.Tables = append(p.Tables, Moved{Table: t.name, Rows: n})
	}
	return p, nil
}
