package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lock keeps a second process away from a data folder. It is the operating
// system's lock on an open file, so it ends with the process, however that
// ends.
type lock struct{ file *os.File }

func lockDir(dir string) (*lock, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder, _ := os.ReadFile(file.Name())
		_ = file.Close()
		return nil, fmt.Errorf("the data folder %s is in use by %s: stop it first, or choose another folder", dir, strings.TrimSpace(string(holder)))
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	note := fmt.Sprintf("process %d (since %s)\n", os.Getpid(), time.Now().Format(time.RFC3339))
	_ = file.Truncate(0) // the note helps the next one to say who; a full disk must not keep us from starting
	_, _ = file.WriteAt([]byte(note), 0)
	return &lock{file}, nil
}

func (l *lock) release() error { return l.file.Close() }
