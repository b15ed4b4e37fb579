package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// keysFile is the name of the master keys in a data folder, and in a backup.
const keysFile = "master.keys"

// A Backup says what is in a backup.
type Backup struct {
	sqlite.Counts
	Keys bool // the master keys too
}

// MakeBackup copies the data folder's database, as it is at one moment, and its
// master keys if they are wanted, into a new folder. The server may run
// meanwhile. The folder gets its name when all in it is checked and durable.
func MakeBackup(ctx context.Context, data, folder string, keys bool, p sqlite.Progress) (b Backup, err error) {
	folder = filepath.Clean(folder)
	if _, err := os.Lstat(folder); !errors.Is(err, fs.ErrNotExist) {
		return b, &fattorino.Error{
			Kind: fattorino.Conflict, Msg: folder + " is there already",
			Fix: "name a folder that is not", Err: err,
		}
	}
	partial, err := os.MkdirTemp(filepath.Dir(folder), filepath.Base(folder)+".partial-")
	if err != nil {
		return b, &fattorino.Error{Kind: fattorino.Invalid, Msg: fmt.Sprintf("cannot make the folder: %v", err), Fix: "name one that can be made", Err: err}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(partial))
		}
	}()
	if b.Counts, err = sqlite.Backup(ctx, data, partial, p); err != nil {
		return b, err
	}
	// After the database: a key that is newer does no harm, one that is missing does.
	if keys {
		if b.Keys, err = copyKeys(data, partial); err != nil {
			return b, err
		}
	}
	return b, errors.Join(os.Rename(partial, folder), syncFolder(filepath.Dir(folder)))
}

// RestoreBackup makes a data folder from a backup. It refuses a folder that is
// in use, or that has a database or other master keys already.
func RestoreBackup(ctx context.Context, folder, data string, p sqlite.Progress) (b Backup, err error) {
	b.Counts, err = sqlite.Restore(ctx, folder, data, p, func() (err error) {
		b.Keys, err = copyKeys(folder, data)
		return err
	})
	return b, err
}

// copyKeys copies the master keys from one folder to another, where there are
// some; they may be there already.
func copyKeys(from, to string) (copied bool, err error) {
	keys, err := os.ReadFile(filepath.Join(from, keysFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	path := filepath.Join(to, keysFile)
	there, err := os.ReadFile(path)
	switch {
	case err == nil && bytes.Equal(there, keys):
		return true, nil
	case err == nil:
		return false, &fattorino.Error{
			Kind: fattorino.Conflict, Msg: "there are other master keys in " + to + " already",
			Fix: "restore into a new folder, or move that file away",
		}
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return false, err
	}
	_, err = file.Write(keys)
	return true, errors.Join(err, file.Sync(), file.Close(), syncFolder(to))
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
