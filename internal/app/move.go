package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/move"
	"github.com/fattorino-dev/fattorino/internal/postgres"
)

// A DataMove says what is to be moved where.
type DataMove struct {
	From     string // the data folder
	To       string // the URL of the database
	Password string // of its user; empty = as PostgreSQL's clients find it
}

// MoveProgress is how far a move is.
type MoveProgress = move.Progress

// MovePlan is what a move would do.
type MovePlan = move.Plan

// MoveReport is what a move has done.
type MoveReport = move.Report

// MoveData moves a data folder into a database, or goes on with that. The URL is
// a [SettingError] where it cannot be used.
func MoveData(ctx context.Context, d DataMove, tell func(MoveProgress)) (r MoveReport, err error) {
	o, err := d.options(tell)
	if err != nil {
		return r, err
	}
	r, err = move.Run(ctx, o)
	return r, sayMore(err)
}

// PlanMoveData counts what there is to move, and changes nothing.
func PlanMoveData(ctx context.Context, d DataMove) (p MovePlan, err error) {
	o, err := d.options(nil)
	if err != nil {
		return p, err
	}
	p, err = move.Look(ctx, o)
	return p, sayMore(err)
}

func (d DataMove) options(tell func(MoveProgress)) (move.Options, error) {
	if err := postgres.CheckURL(d.To); err != nil {
		return move.Options{}, &SettingError{Key: "to", Problem: err.Error()}
	}
	return move.Options{From: d.From, To: postgres.Options{URL: d.To, Password: d.Password}, Tell: tell}, nil
}

// sayMore tells an operator at a terminal the cause, which a server tells its log
// alone; and that what was cut off goes on.
func sayMore(err error) error {
	if errors.Is(err, context.Canceled) {
		return &fattorino.Error{Kind: fattorino.Unavailable, Msg: "it was stopped", Fix: "begin it again: it goes on from there", Err: err}
	}
	if e, ok := errors.AsType[*fattorino.Error](err); ok && e.Kind == fattorino.Unavailable {
		return &fattorino.Error{
			Kind: e.Kind, Msg: fmt.Sprintf("the database cannot be used: %v", errors.Unwrap(e)),
			Fix: "when it can be, begin again", Err: err,
		}
	}
	return err
}
