package sign

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// InFile tells whether the master keys are kept in a file, where they can be
// added and removed; else they were given in the settings.
func (v *Vault) InFile() bool { return v.file != "" }

// MasterKeys gives the ids of the master keys, the current one first.
func (v *Vault) MasterKeys() []string { return slices.Clone(v.keys.Load().ids) }

// AddKey makes a master key and puts it first in the file. It seals from then
// on, and not before it is durable. It fails with Conflict where the keys were
// given in the settings.
func (v *Vault) AddKey() (id string, err error) {
	if !v.InFile() {
		return "", &fattorino.Error{
			Kind: fattorino.Conflict, Msg: "the master keys come from the settings, which are not ours to change",
			Fix: "put a new key first in FATTORINO_MASTER_KEYS (id:$(openssl rand -base64 32)), leave the others behind it, start again, and then re-seal",
		}
	}
	id, entry := newMasterKey()
	return id, v.change(func(lines []string) []string {
		at := slices.IndexFunc(lines, func(line string) bool { return len(entriesOf(line)) > 0 })
		return slices.Insert(lines, max(at, 0), entry+"\n")
	})
}

// RemoveKey takes a master key out of the file for good: what is sealed under
// it, here or in a backup, can be opened no more. It fails with NotFound where
// there is none of the id, and with Conflict for the current one and where the
// keys were given in the settings.
func (v *Vault) RemoveKey(id string) error {
	switch ids := v.MasterKeys(); {
	case !slices.Contains(ids, id):
		return &fattorino.Error{Kind: fattorino.NotFound, Msg: "there is no master key of this id", Fix: "see which there are: fattorino keys rotate-master --dry-run"}
	case id == ids[0]:
		return &fattorino.Error{Kind: fattorino.Conflict, Msg: "this is the current master key", Fix: "put another in its place first: fattorino keys rotate-master"}
	case !v.InFile():
		return &fattorino.Error{
			Kind: fattorino.Conflict, Msg: "the master keys come from the settings, which are not ours to change",
			Fix: "nothing is sealed under this key any more: take it out of FATTORINO_MASTER_KEYS",
		}
	}
	return v.change(func(lines []string) []string {
		var kept []string
		for _, line := range lines {
			entries := entriesOf(line)
			others := slices.DeleteFunc(slices.Clone(entries), func(entry string) bool { return strings.HasPrefix(entry, id+":") })
			switch {
			case len(others) == len(entries):
				kept = append(kept, line)
			case len(others) > 0:
				kept = append(kept, strings.Join(others, ",")+"\n")
			}
		}
		return kept
	})
}

// change writes the file anew, with its lines changed, and then puts in force
// what it holds: all in one step, whatever happens meanwhile. What an operator
// has changed in it by hand is kept.
func (v *Vault) change(f func(lines []string) []string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	before, err := readMasterKeys(v.file)
	if err != nil {
		return err
	}
	after := strings.Join(f(slices.Collect(strings.Lines(before))), "")
	keys, err := parseMasterKeys(after)
	if err != nil {
		return fmt.Errorf("master keys in %s: %w", v.file, err)
	}
	written, err := writeBeside(v.file, after)
	if err != nil {
		return fmt.Errorf("write master keys: %w", err)
	}
	if err := os.Rename(written, v.file); err != nil {
		return errors.Join(fmt.Errorf("write master keys: %w", err), os.Remove(written))
	}
	if err := syncFolder(filepath.Dir(v.file)); err != nil {
		return fmt.Errorf("write master keys: %w", err)
	}
	v.keys.Store(keys)
	return nil
}
