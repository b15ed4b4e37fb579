// Package pgcluster runs private PostgreSQL clusters for tests: as many as are
// wanted, each in a folder of its own, reached over a Unix socket in it and
// over nothing else. It uses the server's programs as Debian installs them and
// touches no cluster that is there already.
package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options say how a cluster is run.
type Options struct {
	// Durable has every commit synced to the disk, as in production. Without it
	// a test is faster; what it committed outlives the server, not the machine.
	Durable bool
	// Settings are further settings of the server, as max_connections.
	Settings map[string]string
}

// A Cluster is one PostgreSQL server with its data.
type Cluster struct {
	dir     string // data, log and socket
	bin     string
	options Options
	as      *syscall.Credential // whom the server runs as; nil = who runs the test
	guard   *exec.Cmd           // runs the server, and ends it should the test be killed
	alive   *os.File            // open as long as the test lives
	exited  chan struct{}       // closed when the server has ended
	ending  error               // how it did, once exited is closed
}

// startWithin bounds how long the server may take to answer: long, for a
// machine that is busy.
const startWithin = 2 * time.Minute

// New makes a cluster and starts it. Its error says what to install where
// PostgreSQL is missing.
func New(ctx context.Context, o Options) (_ *Cluster, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg") // short: a socket's path has 107 bytes at most
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, bin: bin, options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := c.giveAway(); err != nil {
		return nil, err
	}
	init := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "--pgdata="+c.data(), "--username=postgres",
		"--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	init.Dir, init.SysProcAttr = dir, &syscall.SysProcAttr{Credential: c.as}
	if out, err := init.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return c, c.Start(ctx)
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

// giveAway makes the folder that of another user where the test is run by
// root, whom PostgreSQL refuses to serve.
func (c *Cluster) giveAway() error {
	if os.Getuid() != 0 {
		return nil
	}
	other, err := user.Lookup("postgres")
	if err != nil {
		if other, err = user.Lookup("nobody"); err != nil {
			return fmt.Errorf("PostgreSQL does not run as root, and there is no other user to run it as: %w", err)
		}
	}
	uid, err := strconv.ParseUint(other.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(other.Gid, 10, 32)
	if err != nil {
		return err
	}
	c.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(c.dir, int(uid), int(gid))
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// Socket is the path of the Unix socket that the server listens on.
func (c *Cluster) Socket() string { return filepath.Join(c.dir, ".s.PGSQL.5432") }

// URL is where a database of the cluster is reached.
func (c *Cluster) URL(database string) string {
	u := url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: url.Values{"host": {c.dir}, "user": {"postgres"}}.Encode()}
	return u.String()
}

// Start starts a server that was stopped, and returns once it answers.
func (c *Cluster) Start(ctx context.Context) error {
	settings := map[string]string{
		"listen_addresses": "", "unix_socket_directories": c.dir, "max_connections": "50",
		"shared_buffers": "32MB", "logging_collector": "off", "log_min_messages": "fatal",
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
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the server has its own
	return c.run(ctx, args, log)
}

// guarded runs the server, and ends it when the other end of the pipe is gone.
const guarded = `"$@" 3<&- & server=$!; { cat <&3; kill -QUIT $server; } >/dev/null 2>&1 & wait $server`

func (c *Cluster) run(ctx context.Context, args []string, log *os.File) error {
	held, alive, err := os.Pipe()
	if err != nil {
		return err
	}
	defer held.Close()                                                                                                       //nolint:errcheck // the guard has its own
	guard := exec.Command("/bin/sh", append([]string{"-c", guarded, "guard", filepath.Join(c.bin, "postgres")}, args...)...) //nolint:noctx // it is ended by Stop, Kill and Close
	guard.Dir, guard.Stdout, guard.Stderr, guard.ExtraFiles = c.dir, log, log, []*os.File{held}
	guard.SysProcAttr = &syscall.SysProcAttr{Credential: c.as, Setpgid: true} // an interrupt of the test is not for the server
	if err := guard.Start(); err != nil {
		return errors.Join(err, alive.Close())
	}
	c.guard, c.alive, c.exited = guard, alive, make(chan struct{})
	go func(exited chan<- struct{}) {
		c.ending = guard.Wait()
		close(exited)
	}(c.exited)
	return c.await(ctx)
}

// await returns once the server answers.
func (c *Cluster) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := pgx.Connect(ctx, c.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-c.exited:
			log, _ := os.ReadFile(filepath.Join(c.dir, "log")) // as much as can be told
			return fmt.Errorf("the server ended: %v\n%s", c.ending, log)
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		case <-again.C:
		}
	}
}

// CreateDatabase makes an empty database.
func (c *Cluster) CreateDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	return errors.Join(err, conn.Close(ctx))
}

// Stop ends the server in order, cutting off its clients; the data stays.
func (c *Cluster) Stop() error { return c.end(syscall.SIGINT) }

// Kill ends the server as a power cut would; the data stays.
func (c *Cluster) Kill() error { return c.end(syscall.SIGQUIT) }

func (c *Cluster) end(how syscall.Signal) error {
	if c.guard == nil {
		return nil
	}
	pid, err := c.PID()
	if err == nil {
		err = syscall.Kill(pid, how)
	}
	if err != nil { // it did not get as far as that, or has ended
		err = c.alive.Close()
	}
	<-c.exited
	c.guard = nil
	_ = c.alive.Close() // it may be closed already
	return err
}

// Close stops the server and deletes everything.
func (c *Cluster) Close() error {
	return errors.Join(c.end(syscall.SIGQUIT), os.RemoveAll(c.dir))
}

// PID is the process of the server, whose children serve the connections.
func (c *Cluster) PID() (int, error) {
	text, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(first)
}
