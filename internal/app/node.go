package app

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/fattorino-dev/fattorino/internal/postgres"
)

// joinNodes makes this process one of those that share the database.
func (a *App) joinNodes(ctx context.Context, o postgres.Options, store *postgres.Store) (err error) {
	if a.node, err = postgres.Join(ctx, o, store, processName(), a.log); err != nil {
		return err
	}
	a.shared = store
	a.onStop("leases", 2*time.Second, a.node.Close)
	a.metrics.parts(a.registry, a.node.Parts)
	return nil
}

// startNode has it take its share of the work. When it stops it hands that over
// before the engine ends.
func (a *App) startNode(ctx context.Context, keys *keyring) {
	if a.node == nil {
		return
	}
	a.node.Start(ctx, a.engine, func() { a.refresh(keys) })
	a.onStop("hand-over", handOverWithin, func(ctx context.Context) error {
		if err := a.node.Leave(ctx); err != nil {
			a.log.Warn("not everything could be handed over", "error", err) // the rest is, when the engine has ended
		}
		return nil
	})
}

// handOverWithin is longer than an attempt takes, which has to end first.
const handOverWithin = 12 * time.Second

// refreshWithin bounds the reading of what belongs to no company.
const refreshWithin = 5 * time.Second

// refresh reads what another process may have changed: which tokens are revoked,
// the signing keys, the operator's event types.
func (a *App) refresh(keys *keyring) {
	ctx, cancel := context.WithTimeout(a.stopping, refreshWithin)
	defer cancel()
	a.service.ForgetTokens()
	if err := a.service.LoadOwnTypes(ctx); err != nil {
		a.refreshAgain(keys, err)
		return
	}
	if err := keys.reload(ctx); err != nil {
		a.refreshAgain(keys, err)
	}
}

func (a *App) refreshAgain(keys *keyring, err error) {
	if a.stopping.Err() != nil {
		return
	}
	a.log.Error("what another process has changed could not be read: trying again", "error", err)
	time.AfterFunc(refreshWithin, func() { a.refresh(keys) })
}

// held says when this process may send; nil where nobody else could.
func (a *App) held() func() <-chan struct{} {
	if a.node == nil {
		return nil
	}
	return a.node.Held
}

// processName tells people which process it is.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "a machine without a name"
	}
	return fmt.Sprintf("process %d on %s", os.Getpid(), host)
}
