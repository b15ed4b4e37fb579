package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a server that ends with the test that runs it, however that
// ends.
type process struct {
	dir    string
	guard  *exec.Cmd     // runs the server, and ends it should the test be killed
	alive  *os.File      // open as long as the test lives
	exited chan struct{} // closed when the server has ended
	ending error         // how it did, once exited is closed
}

// startWithin bounds how long a server may take to answer: long, for a machine
// that is busy.
const startWithin = 2 * time.Minute

// guarded runs the server, and ends it at once when the other end of the pipe is
// gone: PostgreSQL by the first signal, PgBouncer, which the shell has ignore
// that one, by the second.
const guarded = `"$@" 3<&- & server=$!; echo $server >pid; { cat <&3; kill -QUIT $server; kill -TERM $server; } >/dev/null 2>&1 & wait $server`

// startProcess starts a server in a folder, where its log is. It returns at
// once.
func startProcess(dir string, as *syscall.Credential, program string, args ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()                                               //nolint:errcheck // the server has its own
	if err := os.RemoveAll(filepath.Join(dir, "pid")); err != nil { // of the one before
		return nil, err
	}
	held, alive, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer held.Close()                                                                              //nolint:errcheck // the guard has its own
	guard := exec.Command("/bin/sh", append([]string{"-c", guarded, "guard", program}, args...)...) //nolint:noctx // it is ended by end
	guard.Dir, guard.Stdout, guard.Stderr, guard.ExtraFiles = dir, log, log, []*os.File{held}
	guard.SysProcAttr = &syscall.SysProcAttr{Credential: as, Setpgid: true} // an interrupt of the test is not for the server
	if err := guard.Start(); err != nil {
		return nil, errors.Join(err, alive.Close())
	}
	p := &process{dir: dir, guard: guard, alive: alive, exited: make(chan struct{})}
	go func() {
		p.ending = guard.Wait()
		close(p.exited)
	}()
	return p, nil
}

// await returns once the server answers.
func (p *process) await(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			log, _ := os.ReadFile(filepath.Join(p.dir, "log")) // as much as can be told
			return fmt.Errorf("the server ended: %v\n%s", p.ending, log)
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		case <-again.C:
		}
	}
}

// end sends a signal, and waits for the server to end.
func (p *process) end(how syscall.Signal) error {
	pid, err := p.pid()
	if err == nil {
		err = syscall.Kill(pid, how)
	}
	if err != nil { // it did not get as far as that, or has ended
		err = p.alive.Close()
	}
	<-p.exited
	_ = p.alive.Close() // it may be closed already
	return err
}

func (p *process) pid() (int, error) {
	text, err := os.ReadFile(filepath.Join(p.dir, "pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// newDir makes a folder, that of another user where the test is run by root,
// whom neither PostgreSQL nor PgBouncer serves.
func newDir() (dir string, as *syscall.Credential, err error) {
	if os.Getuid() == 0 {
		if as, err = unprivileged(); err != nil {
			return "", nil, err
		}
	}
	if dir, err = os.MkdirTemp("", "pg"); err != nil { // short: a socket's path has 107 bytes at most
		return "", nil, err
	}
	return dir, as, giveTo(as, dir)
}

func unprivileged() (*syscall.Credential, error) {
	other, err := user.Lookup("postgres")
	if err != nil {
		if other, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no other user to run it as: %w", err)
		}
	}
	uid, err := strconv.ParseUint(other.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(other.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func giveTo(as *syscall.Credential, path string) error {
	if as == nil {
		return nil
	}
	return os.Chown(path, int(as.Uid), int(as.Gid))
}

// writeAs writes a file that its user alone can read.
func writeAs(as *syscall.Credential, path string, content []byte) error {
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	return giveTo(as, path)
}
