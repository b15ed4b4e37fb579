package main

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// dataFlag names the data folder as the server does.
type dataFlag struct {
	ConfigFile string `name:"config" placeholder:"FILE" help:"YAML file with settings, as of serve."`
	Data       string `placeholder:"DIR" help:"The data folder, as of serve. Not set: as the settings say, or data."`
}

// folder gives the data folder, and refuses where the settings say that
// everything is in PostgreSQL.
func (f *dataFlag) folder(env *environment) (string, error) {
	s := &settings{Config: app.Default(), origin: map[string]string{}}
	if file := cmp.Or(f.ConfigFile, env.getenv(variable("config"))); file != "" {
		if err := s.readFile(file); err != nil {
			return "", err
		}
	}
	place := s.origin["database"]
	if env.getenv(variable("database")) != "" {
		place = variable("database")
	}
	if place != "" {
		return "", &usageError{
			msg: "everything is in PostgreSQL: a database is set in " + place,
			fix: "back up and restore with its own tools, as pg_dump and pg_restore, and keep master.keys of the data folder beside: docs/postgresql.md, Backup",
		}
	}
	return cmp.Or(f.Data, env.getenv(variable("data")), s.Data), nil
}

// backupCommand makes a backup.
type backupCommand struct {
	dataFlag
	WithoutKeys bool   `help:"Leave the master keys out: without them nobody can read the secrets in the backup, nor can you."`
	Folder      string `arg:"" help:"Folder to make, which must not be there."`
}

// Help is what --help adds.
func (*backupCommand) Help() string {
	return `Copies the database in the data folder, as it is at one moment, and master.keys beside
it. The server may run meanwhile. The copy is checked from end to end; the folder gets
its name when all in it is on the disk.

Whoever has the backup has the secrets in it: keep it as safe as the data folder, or
leave the keys out and keep a copy of them elsewhere.

Example:

    fattorino backup --data /var/lib/fattorino /backup/fattorino-$(date +%F)`
}

// Run makes the backup and says what is in it.
func (c *backupCommand) Run(ctx context.Context, env *environment) error {
	data, err := c.folder(env)
	if err != nil {
		return err
	}
	b, err := app.MakeBackup(ctx, data, c.Folder, !c.WithoutKeys, showProgress(env.stderr))
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(env.stdout, "backup of %s made and checked: %s\n", data, describe(b))
	if b.Keys {
		_, _ = fmt.Fprintln(env.stdout, "it holds the master keys: whoever has it can read the secrets in it")
	} else {
		_, _ = fmt.Fprintln(env.stdout, "it does not hold the master keys: keep a copy of them elsewhere, for without them the secrets in it are lost")
	}
	return nil
}

// restoreCommand makes a data folder from a backup.
type restoreCommand struct {
	dataFlag
	Folder string `arg:"" help:"The backup."`
}

// Help is what --help adds.
func (*restoreCommand) Help() string {
	return `Makes a data folder from a backup. It refuses one that is in use or that has a database
already, and a backup that is damaged or of a newer version.

What was published since the backup is not in it, and what was still to be sent then is
sent again.

Example:

    fattorino restore --data /var/lib/fattorino /backup/fattorino-2026-03-01`
}

// Run restores the backup and says what was in it.
func (c *restoreCommand) Run(ctx context.Context, env *environment) error {
	data, err := c.folder(env)
	if err != nil {
		return err
	}
	b, err := app.RestoreBackup(ctx, c.Folder, data, showProgress(env.stderr))
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(env.stdout, "restored to %s and checked: %s\n", data, describe(b))
	if !b.Keys {
		_, _ = fmt.Fprintln(env.stdout, "the backup does not hold the master keys: put master.keys into the folder, or give FATTORINO_MASTER_KEYS, before the start")
	}
	return nil
}

func describe(b app.Backup) string {
	return fmt.Sprintf("%d companies, %d subscriptions, %d events, %d deliveries", b.Companies, b.Subscriptions, b.Events, b.Deliveries)
}

// showProgress says how far a copy is.
func showProgress(w io.Writer) func(done, all int64) {
	return func(done, all int64) {
		_, _ = fmt.Fprintf(w, "copied %d of about %d MB\n", done/1e6, all/1e6)
	}
}
