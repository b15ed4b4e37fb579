package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// How often a node looks at how the parts stand where nobody nudges it: seldom
// where notifications reach it, for one could be lost; often where they cannot.
const (
	scanListening = time.Second
	scanDeaf      = 200 * time.Millisecond
	scanPause     = 5 * time.Millisecond // between two scans at least
	listenCheck   = 30 * time.Second     // how often it is looked whether the connection that listens is alive
)

// watch tells what has changed in the database, whoever did it.
func (n *Node) watch(ctx context.Context) {
	known, version := map[int]fattorino.Standing{}, int64(-1)
	wait := time.NewTimer(scanDeaf)
	defer wait.Stop()
	for {
		select {
		case <-n.scan:
		case <-wait.C:
		case <-ctx.Done():
			return
		}
		standings, now, err := n.standings(ctx)
		if err != nil {
			n.log.Debug("how the parts stand cannot be read", "error", err)
		}
		var moved []fattorino.Standing
		for _, at := range standings {
			if known[at.Part] != at {
				known[at.Part] = at
				moved = append(moved, at)
			}
		}
		if len(moved) > 0 {
			n.serving.Heard(moved)
		}
		if err == nil && now != version {
			version = now
			n.changed()
		}
		select {
		case <-time.After(scanPause):
		case <-ctx.Done():
		}
		wait.Reset(n.scanEvery())
	}
}

func (n *Node) scanEvery() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listening {
		return scanListening
	}
	return scanDeaf
}

// standings tells how the parts stand, and the version of what belongs to no
// company.
func (n *Node) standings(ctx context.Context) (all []fattorino.Standing, version int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	var b pgx.Batch
	b.Queue(selectStandings).Query(func(rows pgx.Rows) (err error) {
		all, err = collect(rows, nil, func(r record.Row) (fattorino.Standing, error) { return n.layout.scanStanding(r) })
		return err
	})
	b.Queue(`SELECT version FROM installation`).QueryRow(func(r pgx.Row) error { return r.Scan(&version) })
	return all, version, n.pool.SendBatch(ctx, &b).Close()
}

// listen has the node look as soon as others nudge it. That takes a session of
// its own: behind a pooler, which gives sessions to others in between, there is
// none, and the node looks by itself, often.
func (n *Node) listen(ctx context.Context) {
	for ctx.Err() == nil {
		conn, err := pgx.ConnectConfig(ctx, n.hearsAt.Copy())
		if err == nil {
			var own bool
			if own, err = ownSession(ctx, conn); err == nil && !own {
				n.log.Info("no notifications come through a connection pooler: the node looks for news by itself; database_listen is the way past it", "every", scanDeaf)
				_ = conn.Close(ctx)
				return
			}
			if err == nil {
				err = n.hear(ctx, conn)
			}
			_ = conn.Close(context.WithoutCancel(ctx)) // it is broken, or not needed any more
		}
		n.setListening(false)
		if ctx.Err() == nil {
			n.log.Debug("notifications do not come: looking often", "error", err)
		}
		select {
		case <-time.After(scanListening):
		case <-ctx.Done():
		}
	}
}

// ownSession tells whether the connection is to the database itself: a pooler
// makes up the number of the server's process.
func ownSession(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var pid uint32
	err := conn.QueryRow(ctx, `SELECT pg_backend_pid()`, pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	return pid == conn.PgConn().PID(), err
}

// hear listens until the connection breaks.
func (n *Node) hear(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, `LISTEN `+nudge); err != nil {
		return err
	}
	n.setListening(true)
	signal(n.scan) // what came before
	for {
		bounded, cancel := context.WithTimeout(ctx, listenCheck)
		heard, err := conn.WaitForNotification(bounded)
		silent := bounded.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil && heard.Payload == aboutLeases:
			signal(n.look)
		case err == nil:
			signal(n.scan)
		case silent:
			err = conn.Ping(ctx)
		}
		if err != nil {
			return err
		}
	}
}

func (n *Node) setListening(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listening = on
}
