package app

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/fattorino-dev/fattorino/internal/postgres"
)

// takeLease waits until this process may serve the database alone; until then
// the app stands by.
func (a *App) takeLease(ctx context.Context, o postgres.Options) (*postgres.Lease, error) {
	lease, err := postgres.TakeLease(ctx, o, processName(), a.log, func(holder string) {
		a.gate.standBy(true)
		a.log.Info("standing by: another process serves the database", "holder", holder)
	})
	if err != nil {
		return nil, err
	}
	a.gate.standBy(false)
	a.lease = lease
	a.onStop("lease of the database", 2*time.Second, lease.Release)
	go a.watchLease(lease)
	return lease, nil
}

// watchLease ends the app when another process serves the database. It could
// wait for the lease and go on, but what it has in memory, as subscriptions and
// what is to be sent next, is not what is in the database any more; a start
// reads all of that, and is what is known to work.
func (a *App) watchLease(lease *postgres.Lease) {
	select {
	case err := <-lease.Lost():
		a.leaseLost.Store(true)
		select {
		case a.failed <- err:
		case <-a.stopping.Done():
		}
	case <-a.stopping.Done():
	}
}

// held says when this process may send; nil where nobody else could.
func (a *App) held() func() <-chan struct{} {
	if a.lease == nil {
		return nil
	}
	return a.lease.Held
}

// stopEngine lets attempts under way end, but where the lease is another's, who
// makes them too, and what they bring cannot be written.
func (a *App) stopEngine(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if a.leaseLost.Load() {
		cancel()
	}
	return a.engine.Stop(ctx)
}

// processName tells people which process it is.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "a machine without a name"
	}
	return fmt.Sprintf("process %d on %s", os.Getpid(), host)
}
