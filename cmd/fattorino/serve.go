package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/alecthomas/kong"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// serveCommand runs the service.
type serveCommand struct{ settingFlags }

// Help is what --help adds.
func (*serveCommand) Help() string {
	return `Each setting is a flag, an environment variable and a key of the file given with
--config (log-level, FATTORINO_LOG_LEVEL, log_level); the first that gives it
counts. Four are no flags, for arguments can be read by other users of the machine:
FATTORINO_ADMIN_TOKEN, the operator's token, FATTORINO_MASTER_KEYS, which encrypt
the secrets in the database, FATTORINO_DATABASE_PASSWORD and
FATTORINO_OIDC_CLIENT_SECRET.

It stops at SIGTERM or SIGINT, when what is under way has ended; a second signal
ends it at once.

Example:

    fattorino serve --data /var/lib/fattorino --listen 127.0.0.1:8480`
}

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context, parsed *kong.Context, env *environment) error {
	s, err := c.load(parsed, env.getenv)
	if err != nil {
		return err
	}
	// net/http writes to the standard logger what a sink sends unasked on an idle
	// connection, in the sink's own words.
	log.SetOutput(io.Discard)
	if env.getenv("GOGC") == "" {
		collectLess()
	}
	a, err := app.New(ctx, app.Options{
		Config: s.Config, Log: env.stderr, LogText: isTerminal(env.stderr), Warnings: misspelt(os.Environ()),
	})
	if err != nil {
		return err
	}
	if err := a.Start(ctx); err != nil {
		if errors.Is(err, context.Canceled) {
			return nil // told to stop before it had started
		}
		return err
	}
	showFirstToken(env.stdout, a.FirstAdminToken())
	return waitAndStop(ctx, a)
}

// waitAndStop lets the app run until ctx ends or it fails, and stops it.
func waitAndStop(ctx context.Context, a *app.App) error {
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-a.Failed():
	}
	stopped := a.Stop(context.WithoutCancel(ctx)) // ctx is over, and stopping takes its time
	if failed != nil {
		return fmt.Errorf("the server failed: %w", failed)
	}
	return stopped
}

// showFirstToken shows the token that was made at the first start.
func showFirstToken(w io.Writer, token string) {
	if token == "" {
		return
	}
	_, _ = fmt.Fprintf(w, `
This is the admin token. It was made at this first start and is shown only now:

    %s

Keep it in a safe place. To use one of your own, set FATTORINO_ADMIN_TOKEN.

`, token)
}
