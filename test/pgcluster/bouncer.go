package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// A Bouncer is a PgBouncer in transaction mode before a cluster, listening on
// 127.0.0.1.
type Bouncer struct {
	dir, program, address string
	as                    *syscall.Credential
	server                *process // nil = it is stopped
}

// settingsOfBouncer are few connections to the server for many clients, so that
// transactions of one client go over several. Every user is let in, and is
// postgres on the other side.
const settingsOfBouncer = `[databases]
* = host=%s port=%s user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
server_lifetime = 1
log_connections = 0
log_disconnections = 0
`

// NewBouncer starts a PgBouncer before the cluster. Its error says what to
// install where PgBouncer is missing. There may be further settings, a line
// each, as max_prepared_statements.
func (c *Cluster) NewBouncer(ctx context.Context, settings string) (*Bouncer, error) {
	program, err := findBouncer()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, as, err := newDir()
	if err != nil {
		return nil, err
	}
	b := &Bouncer{dir: dir, program: program, address: "127.0.0.1:" + port, as: as}
	err = writeAs(as, b.settings(), fmt.Appendf(nil, settingsOfBouncer+settings, c.dir, c.port, port))
	if err == nil {
		err = b.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// findBouncer finds PgBouncer, which Debian keeps where only root's path leads.
func findBouncer() (string, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("PgBouncer is missing, which this test runs: make setup, or on Debian or Ubuntu: sudo apt-get install pgbouncer")
}

func (b *Bouncer) settings() string { return filepath.Join(b.dir, "pgbouncer.ini") }

// URL is where a database of the cluster is reached through the PgBouncer, by
// clients that prepare no statements, as a PgBouncer before 1.21 needs them.
func (b *Bouncer) URL(database string) string {
	u := url.URL{Scheme: "postgres", Host: b.address, User: url.User("postgres"), Path: "/" + database}
	u.RawQuery = url.Values{"sslmode": {"disable"}, "default_query_exec_mode": {"exec"}}.Encode()
	return u.String()
}

// Start starts a PgBouncer that was stopped, and returns once it answers.
func (b *Bouncer) Start(ctx context.Context) error {
	server, err := startProcess(b.dir, b.as, b.program, b.settings())
	if err != nil {
		return err
	}
	b.server = server
	return server.await(ctx, func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, b.URL("postgres"))
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
}

// Kill ends the PgBouncer at once, and with it every connection through it.
func (b *Bouncer) Kill() error {
	if b.server == nil {
		return nil
	}
	defer func() { b.server = nil }()
	return b.server.end(syscall.SIGKILL)
}

// Close ends the PgBouncer and deletes what it needed.
func (b *Bouncer) Close() error { return errors.Join(b.Kill(), os.RemoveAll(b.dir)) }
