package app

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
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

// alone fails where other nodes serve the database: what is sealed with a key that
// is in the folder of this one alone they could not read.
func (a *App) alone(ctx context.Context) error {
	if a.node == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, refreshWithin)
	defer cancel()
	members, err := a.node.Members(ctx)
	if err != nil || len(members) < 2 {
		return err
	}
	return &fattorino.Error{
		Kind: fattorino.Conflict, Msg: fmt.Sprintf("%d nodes serve the database, and a key made here would be in the data folder of one of them alone", len(members)),
		Fix: "add the new key to each node's master keys by hand, first behind the others and then in front of them, as docs/postgresql.md says; then seal anew",
	}
}

// nodes are the processes that share the store, as the API knows them.
type nodes struct{ *App }

var _ api.Nodes = nodes{}

// List implements [api.Nodes].
func (n nodes) List(ctx context.Context) (list api.NodeList, err error) {
	if n.node == nil {
		return api.NodeList{Nodes: []api.Node{{Name: processName(), Since: n.since.UTC(), Parts: []int{0}, This: true}}, Parts: 1}, nil
	}
	members, err := n.node.Members(ctx)
	list = api.NodeList{Nodes: []api.Node{}, Parts: n.shared.Parts()}
	for _, m := range members {
		list.Nodes = append(list.Nodes, api.Node{Name: m.Name, Since: m.Since.UTC(), Leaving: m.Leaving, Parts: m.Parts, This: m.This})
	}
	return list, err
}
