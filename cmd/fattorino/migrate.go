package main

import (
	"context"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// migrateCommand brings the tables of a database to this version.
type migrateCommand struct {
	settingFlags
	DryRun bool `help:"Print the statements that would be run, and run none."`
	Citus  bool `help:"Spread the tables over the machines of Citus too."`
	Shards int  `placeholder:"32" help:"How many pieces they are spread in, with --citus. It cannot be changed here once they are."`
}

// Help is what --help adds.
func (*migrateCommand) Help() string {
	return `Makes the tables of the PostgreSQL database that the settings name, or brings them to this
version. Every start of serve does the same; the command is for who wants to see it first,
or do it apart. One process migrates at a time. The file of a data folder is migrated by
serve alone.

With --citus the tables that grow are spread by part, and small ones copied to every
machine, once they are made and before anything is in them: docs/scaling.md.

Examples:

    fattorino migrate --database postgres://fattorino@db.example.com/fattorino --dry-run
    fattorino migrate --database postgres://fattorino@coordinator.example.com/fattorino --citus`
}

// Run migrates, or says what that would do.
func (c *migrateCommand) Run(ctx context.Context, parsed *kong.Context, env *environment) error {
	s, err := c.load(parsed, env.getenv)
	if err != nil {
		return err
	}
	switch {
	case s.Database == "":
		return &usageError{msg: "no database is named", fix: "name one with --database, or FATTORINO_DATABASE; the file of a data folder is migrated when serve starts"}
	case c.Shards < 0 || (c.Shards > 0 && !c.Citus):
		return &usageError{msg: "--shards goes with --citus, and is a number above 0", fix: `see "fattorino migrate --help"`}
	}
	o := app.MigrateOptions{Citus: c.Citus, Shards: c.Shards}
	if c.DryRun {
		p, err := app.PlanMigrate(ctx, s.Config, o)
		if err == nil {
			c.show(env, p)
		}
		return err
	}
	p, err := app.Migrate(ctx, s.Config, o)
	if err != nil {
		return err
	}
	for _, m := range p.Migrations {
		_, _ = fmt.Fprintf(env.stdout, "applied %s\n", m.Name)
	}
	for _, statement := range p.Distribute {
		_, _ = fmt.Fprintf(env.stdout, "ran %s\n", statement)
	}
	_, _ = fmt.Fprintf(env.stdout, "the database has schema %d\n", p.Newest)
	return nil
}

// show prints what would be run, as SQL.
func (c *migrateCommand) show(env *environment, p app.MigratePlan) {
	_, _ = fmt.Fprintf(env.stdout, "-- The database has schema %d, this version %d.\n", p.Version, p.Newest)
	for _, m := range p.Migrations {
		_, _ = fmt.Fprintf(env.stdout, "\n-- %s\n%s", m.Name, m.SQL)
	}
	if len(p.Distribute) > 0 {
		_, _ = fmt.Fprintln(env.stdout)
	}
	for _, statement := range p.Distribute {
		_, _ = fmt.Fprintf(env.stdout, "%s;\n", statement)
	}
	if c.Citus && !p.Citus {
		_, _ = fmt.Fprintln(env.stderr, "the database has no extension citus: without it nothing of this would be run")
	}
}
