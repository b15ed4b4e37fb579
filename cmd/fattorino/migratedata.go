package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// migrateDataCommand moves a data folder into a database.
type migrateDataCommand struct {
	From   string `required:"" placeholder:"DIR" help:"The data folder. Nobody may be serving it."`
	To     string `required:"" placeholder:"URL" help:"An empty PostgreSQL database, as postgres://user@host:5432/name?sslmode=verify-full."`
	DryRun bool   `help:"Count what there is to move, and look whether it can be, without changing anything. The folder may be in use."`
}

// Help is what --help adds.
func (*migrateDataCommand) Help() string {
	return `Moves everything in a data folder into an empty PostgreSQL database: events with their id
and seq, deliveries and attempts, what is still to be sent and when, subscriptions, apps,
tokens, keys, users and all the rest. Stop the server first, and serve the database
afterwards with the same master keys, which stay where they are.

It can be stopped at any moment and begun again: it goes on from where it was. At the end
the database is read from end to end and compared. Until then neither the folder nor the
database can be served; after it the folder cannot, unless the file moved.json in it is
deleted, to go back. Nothing else in the folder is changed.

The password of the database is FATTORINO_DATABASE_PASSWORD, or is found as PostgreSQL's
own clients find it. What changes for those who look: docs/postgresql.md.

Example:

    fattorino migrate-data --from /var/lib/fattorino --to postgres://fattorino@db.example.com/fattorino`
}

// Run moves, or counts.
func (c *migrateDataCommand) Run(ctx context.Context, env *environment) error {
	d := app.DataMove{From: c.From, To: c.To, Password: env.getenv(variable("database_password"))}
	if c.DryRun {
		return badTarget(c.count(ctx, d, env))
	}
	report, err := app.MoveData(ctx, d, showMoving(env.stderr))
	if err != nil {
		return badTarget(err)
	}
	if report.Before {
		_, _ = fmt.Fprintf(env.stdout, "%s was moved before: nothing is left to do\n", c.From)
		return nil
	}
	rows := [][]string{{"TABLE", "ROWS", "CHECKSUM"}}
	for _, m := range report.Tables {
		rows = append(rows, []string{m.Table, strconv.FormatInt(m.Rows, 10), fmt.Sprintf("%016x", m.Checksum)})
	}
	if err := table(env.stdout, rows); err != nil {
		return err
	}
	if report.Replaced > 0 {
		_, _ = fmt.Fprintf(env.stdout, "%d texts had a character that PostgreSQL cannot keep: U+FFFD stands in its place\n", report.Replaced)
	}
	_, _ = fmt.Fprintf(env.stdout, "moved and checked; serve it with the same master keys:\n\n    fattorino serve --data %s --database '%s'\n", c.From, c.To)
	return nil
}

// badTarget makes a mistake in the URL one of the command line.
func badTarget(err error) error {
	if wrong, ok := errors.AsType[*app.SettingError](err); ok {
		return &usageError{msg: "--" + wrong.Error(), fix: `see "fattorino migrate-data --help"`}
	}
	return err
}

// count says what there is to move.
func (c *migrateDataCommand) count(ctx context.Context, d app.DataMove, env *environment) error {
	p, err := app.PlanMoveData(ctx, d)
	if err != nil {
		return err
	}
	rows := [][]string{{"TABLE", "ROWS"}}
	for _, m := range p.Tables {
		rows = append(rows, []string{m.Table, strconv.FormatInt(m.Rows, 10)})
	}
	if err := table(env.stdout, rows); err != nil {
		return err
	}
	if p.Begun {
		_, _ = fmt.Fprintln(env.stdout, "the move was begun before: it would go on")
	}
	if p.InUse != "" {
		_, _ = fmt.Fprintf(env.stdout, "%s is in use by %s: stop it before the move\n", c.From, p.InUse)
	}
	if p.Refused == nil {
		_, _ = fmt.Fprintln(env.stdout, "nothing was changed")
	}
	return p.Refused
}

// showMoving says how far a move is, when a table is done and now and then.
func showMoving(w io.Writer) func(app.MoveProgress) {
	const every = time.Second
	var last time.Time
	return func(p app.MoveProgress) {
		if now := time.Now(); now.Sub(last) >= every || p.Done >= p.All {
			last = now
			what := "moved"
			if p.Checking {
				what = "checked"
			}
			_, _ = fmt.Fprintf(w, "%s %d of %d rows of %s\n", what, p.Done, p.All, p.Table)
		}
	}
}
