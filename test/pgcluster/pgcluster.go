// Package pgcluster runs private PostgreSQL clusters for tests: as many as are
// wanted, each in a folder of its own, reached over a Unix socket in it and,
// where that is asked for, over TCP on this machine. There may be a standby of
// a cluster, a [Bouncer] before it, and a [Proxy] that breaks connections. It
// uses the programs as Debian installs them and touches no cluster that is
// there already.
package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// Options say how a cluster is run.
type Options struct {
	// Durable has every commit synced to the disk, as in production. Without it
	// a test is faster; what it committed outlives the server, not the machine.
	Durable bool
	// Settings are further settings of the server, as max_connections.
	Settings map[string]string
	// TCP has the server listen on 127.0.0.1 too, at a port of its own.
	TCP bool
	// Files are put into the folder of the data, which paths in settings begin in:
	// certificates, or a pg_hba.conf in place of the one that trusts everybody.
	Files map[string][]byte
}

// A Cluster is one PostgreSQL server with its data.
type Cluster struct {
	dir     string // data, log and socket
	bin     string
	port    string // part of the socket's name too
	options Options
	as      *syscall.Credential // whom the server runs as; nil = who runs the test
	server  *process            // nil = it is stopped
}

// New makes a cluster and starts it. Its error says what to install where
// PostgreSQL is missing.
func New(ctx context.Context, o Options) (*Cluster, error) {
	return start(ctx, o, func(c *Cluster) error {
		err := c.command(ctx, "initdb", "--pgdata="+c.data(), "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
		if err != nil {
			return err
		}
		return c.addFiles()
	})
}

// NewStandby makes a standby of the cluster with the same options, and starts
// it. It follows as fast as it can; a setting of the cluster has it wait for
// the standby at each commit.
func (c *Cluster) NewStandby(ctx context.Context) (*Cluster, error) {
	return start(ctx, c.options, func(standby *Cluster) error {
		// The source is a socket: whom the cluster trusts over TCP is another matter.
		return standby.command(ctx, "pg_basebackup", "--pgdata="+standby.data(), "--host="+c.dir, "--port="+c.port, "--username=postgres",
			"--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync")
	})
}

// start makes a folder, has the data put into it, and starts the server.
func start(ctx context.Context, o Options, fill func(*Cluster) error) (*Cluster, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	port := "5432"
	if o.TCP {
		if port, err = freePort(); err != nil {
			return nil, err
		}
	}
	dir, as, err := newDir()
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, bin: bin, port: port, options: o, as: as}
	if err = fill(c); err == nil {
		err = c.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// freePort finds a TCP port that nobody listens on.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// command runs one of the programs that come with the server, as its user.
func (c *Cluster) command(ctx context.Context, name string, args ...string) error {
	command := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...)
	command.Dir, command.SysProcAttr = c.dir, &syscall.SysProcAttr{Credential: c.as}
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// addFiles puts the files of the options into the folder of the data.
func (c *Cluster) addFiles() error {
	for name, content := range c.options.Files {
		if err := writeAs(c.as, filepath.Join(c.data(), name), content); err != nil {
			return err
		}
	}
	return nil
}

// programs finds the folder of the server's programs: the newest version of
// those that Debian has installed side by side, or that of the path.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(newest), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("PostgreSQL is missing, which this test runs: make setup, or on Debian or Ubuntu: sudo apt-get install postgresql-15")
	}
	return filepath.Dir(path), nil
}

func version(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb)))) // a name that is no number comes last
	return n
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// Socket is the path of the Unix socket that the server listens on.
func (c *Cluster) Socket() string { return filepath.Join(c.dir, ".s.PGSQL."+c.port) }

// Address is where the server listens on TCP, with Options.TCP.
func (c *Cluster) Address() string { return net.JoinHostPort("127.0.0.1", c.port) }

// URL is where a database of the cluster is reached.
func (c *Cluster) URL(database string) string {
	u := url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: url.Values{"host": {c.dir}, "port": {c.port}, "user": {"postgres"}}.Encode()}
	return u.String()
}

// Start starts a server that was stopped, and returns once it answers.
func (c *Cluster) Start(ctx context.Context) error {
	settings := map[string]string{
		"listen_addresses": "", "port": c.port, "unix_socket_directories": c.dir, "max_connections": "50",
		"shared_buffers": "32MB", "logging_collector": "off", "log_min_messages": "fatal",
	}
	if c.options.TCP {
		settings["listen_addresses"] = "127.0.0.1"
	}
	if !c.options.Durable {
		settings["fsync"], settings["synchronous_commit"], settings["full_page_writes"] = "off", "off", "off"
	}
	args := []string{"-D", c.data()}
	for _, all := range []map[string]string{settings, c.options.Settings} {
		for name, value := range all {
			args = append(args, "-c", name+"="+value)
		}
	}
	server, err := startProcess(c.dir, c.as, filepath.Join(c.bin, "postgres"), args...)
	if err != nil {
		return err
	}
	c.server = server
	return server.await(ctx, func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, c.URL("postgres"))
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
}

// CreateDatabase makes an empty database.
func (c *Cluster) CreateDatabase(ctx context.Context, name string) error {
	return c.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
}

// Exec runs statements, each on its own, in the database postgres.
func (c *Cluster) Exec(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return err
	}
	for _, s := range statements {
		if _, err = conn.Exec(ctx, s); err != nil {
			break
		}
	}
	return errors.Join(err, conn.Close(ctx))
}

// Promote has a standby take the place of its primary, and returns once it can
// be written to.
func (c *Cluster) Promote(ctx context.Context) error { return c.Exec(ctx, `SELECT pg_promote()`) }

// Stop ends the server in order, cutting off its clients; the data stays.
func (c *Cluster) Stop() error { return c.end(syscall.SIGINT) }

// Kill ends the server as a power cut would; the data stays.
func (c *Cluster) Kill() error { return c.end(syscall.SIGQUIT) }

func (c *Cluster) end(how syscall.Signal) error {
	if c.server == nil {
		return nil
	}
	defer func() { c.server = nil }()
	return c.server.end(how)
}

// Close stops the server and deletes everything.
func (c *Cluster) Close() error {
	return errors.Join(c.end(syscall.SIGQUIT), os.RemoveAll(c.dir))
}

// PID is the process of the server, whose children serve the connections.
func (c *Cluster) PID() (int, error) { return c.server.pid() }
