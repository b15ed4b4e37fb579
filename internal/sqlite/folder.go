package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// makeDataFolder makes the data folder, for its owner alone, where it is not
// there, and makes its name durable: what is accepted is not lost because the
// folder around it is.
func makeDataFolder(dir string) error {
	if err := makeFolder(filepath.Clean(dir)); err != nil {
		return &fattorino.Error{
			Kind: fattorino.Invalid, Msg: fmt.Sprintf("cannot make the data folder: %v", err),
			Fix: "set data to a folder that can be written to", Err: err,
		}
	}
	return nil
}

func makeFolder(dir string) error {
	parent := filepath.Dir(dir)
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := makeFolder(parent); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		// The start that made it may have been cut off before this. An older folder
		// need not be in one that we may read.
		_ = syncFolder(parent)
		return onlyFolder(dir)
	}
	if err != nil {
		return err
	}
	return syncFolder(parent)
}

// onlyFolder fails where something else has the folder's name.
func onlyFolder(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "mkdir", Path: dir, Err: errors.New("it is not a folder")}
	}
	return err
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
