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
// ends. The file tells who holds it, and which files were the folder's when it
// was last in use: a copy of the folder has others.
type lock struct {
	file  *os.File
	files string // as the file tells; empty = not known
}

// busyError says who has a data folder open.
type busyError struct{ dir, holder string }

func (e *busyError) Error() string {
	return fmt.Sprintf("the data folder %s is in use by %s: stop it first, or choose another folder", e.dir, e.holder)
}

const filesNote = "files "

func lockDir(dir string) (*lock, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	text, _ := os.ReadFile(file.Name())
	holder, files, _ := strings.Cut(string(text), "\n")
	if errors.Is(err, syscall.EWOULDBLOCK) {
		_ = file.Close()
		return nil, &busyError{dir, holder}
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	l := &lock{file: file, files: strings.TrimSpace(strings.TrimPrefix(files, filesNote))}
	l.note(l.files)
	return l, nil
}

// note writes who holds the lock, and the folder's files. It helps the next
// one: a full disk must not keep us from starting.
func (l *lock) note(files string) {
	text := fmt.Sprintf("process %d (since %s)\n%s%s\n", os.Getpid(), time.Now().Format(time.RFC3339), filesNote, files)
	_ = l.file.Truncate(0)
	_, _ = l.file.WriteAt([]byte(text), 0)
	_ = l.file.Sync()
}

func (l *lock) release() error { return l.file.Close() }
