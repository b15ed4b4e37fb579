package crash_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A disk is a folder as a program sees it, and as it would be found after the
// power was lost: what was synced is there, and what was not may be or not.
//
// It is stricter than most file systems. The content of a file is kept where
// the file was synced, as far as it was written before that began. A name is
// kept where its folder was synced: that a new file was synced is not enough.
type disk struct {
	root  string // which is there from the start
	now   map[string]*node
	kept  map[string]*node
	named []*naming // not kept yet, in order

	calls  map[*call]bool   // that have not ended
	covers map[*call]func() // what is kept when a sync ends
	begun  map[*call]*change
}

// A node is a file, or a folder.
type node struct {
	folder  bool
	kept    []byte
	changes []*change // not kept yet, in order
}

// A change is a write, or where data is nil a new size.
type change struct {
	at   int64
	data []byte
	node *node
	done bool
}

// A naming gives nodes their names, or takes them away where the node is nil.
// It happens whole or not at all.
type naming struct{ to map[string]*node }

func newDisk(root string) *disk {
	return &disk{
		root: root, now: map[string]*node{}, kept: map[string]*node{},
		calls: map[*call]bool{}, covers: map[*call]func(){}, begun: map[*call]*change{},
	}
}

// holds tells whether the disk follows the file. What SQLite shares between
// processes is memory that happens to have a name: it is made anew from the
// log.
func (d *disk) holds(path string) bool {
	return strings.HasPrefix(path, d.root+"/") && !strings.HasSuffix(path, "-shm") && !strings.HasSuffix(path, "(deleted)")
}

// see takes a moment of the program's into account.
func (d *disk) see(m moment) error {
	if d.calls[m.call] = true; m.ends {
		delete(d.calls, m.call)
	}
	switch m.name {
	case "pwrite64", "write", "ftruncate":
		return d.seeChange(m)
	case "fsync", "fdatasync":
		d.seeSync(m)
		return nil
	}
	if !m.ends || !m.ok() {
		return nil
	}
	switch m.name {
	case "open":
		d.open(string(m.bytes(0)), m.args[1])
	case "openat":
		d.open(string(m.bytes(1)), m.args[2])
	case "mkdir", "mkdirat":
		path := string(m.bytes(len(m.args) - 2))
		d.name(map[string]*node{path: {folder: true}})
	case "unlink":
		d.name(map[string]*node{string(m.bytes(0)): nil})
	case "unlinkat":
		d.name(map[string]*node{string(m.bytes(1)): nil})
	case "linkat":
		d.name(map[string]*node{string(m.bytes(3)): d.now[string(m.bytes(1))]})
	case "rename":
		d.rename(string(m.bytes(0)), string(m.bytes(1)))
	case "renameat", "renameat2":
		d.rename(string(m.bytes(1)), string(m.bytes(3)))
	default:
		return d.seeOther(m)
	}
	return nil
}

// seeOther fails where something was done to a file that the disk cannot follow.
func (d *disk) seeOther(m moment) error {
	if m.name == "mmap" && (!strings.Contains(m.args[2], "PROT_WRITE") || !strings.Contains(m.args[3], "MAP_SHARED")) {
		return nil
	}
	for i := range m.args {
		if d.holds(m.file(i)) || d.holds(string(m.bytes(i))) {
			return fmt.Errorf("%s of %s%s: this is not followed", m.name, m.file(i), m.bytes(i))
		}
	}
	return nil
}

func (d *disk) open(path, flags string) {
	if !d.holds(path) {
		return
	}
	n := d.now[path]
	if n == nil && strings.Contains(flags, "O_CREAT") {
		d.name(map[string]*node{path: {}})
	}
	if n != nil && strings.Contains(flags, "O_TRUNC") {
		n.changes = append(n.changes, &change{node: n, done: true})
	}
}

func (d *disk) rename(from, to string) {
	d.name(map[string]*node{from: nil, to: d.now[from]})
}

func (d *disk) name(to map[string]*node) {
	for path := range to {
		if !d.holds(path) {
			delete(to, path)
		}
	}
	if len(to) > 0 {
		apply(d.now, to)
		d.named = append(d.named, &naming{to})
	}
}

func apply(names, to map[string]*node) {
	for path, n := range to {
		if n == nil {
			delete(names, path)
		} else {
			names[path] = n
		}
	}
}

func (d *disk) seeChange(m moment) error {
	path := m.file(0)
	if !d.holds(path) {
		return nil
	}
	if !m.ends {
		n := d.now[path]
		if n == nil {
			return fmt.Errorf("%s of %s, which was never made", m.name, path)
		}
		c := &change{node: n}
		var err error
		switch m.name {
		case "write": // of a new file, from its beginning to its end
			c.data, c.at = m.bytes(1), int64(len(n.view()))
		case "pwrite64":
			c.data = m.bytes(1)
			c.at, err = strconv.ParseInt(m.args[3], 10, 64)
		case "ftruncate":
			c.at, err = strconv.ParseInt(m.args[1], 10, 64)
		}
		n.changes = append(n.changes, c)
		d.begun[m.call] = c
		return err
	}
	c := d.begun[m.call]
	delete(d.begun, m.call)
	c.done = true
	if !m.ok() {
		c.drop()
	} else if c.data != nil {
		written, err := strconv.Atoi(m.result)
		c.data = c.data[:written]
		return err
	}
	return nil
}

// drop takes back a change that was not made.
func (c *change) drop() {
	c.node.changes = slices.DeleteFunc(c.node.changes, func(other *change) bool { return other == c })
}

// seeSync keeps, when a sync has ended, what had been done when it began.
func (d *disk) seeSync(m moment) {
	if m.ends {
		if cover := d.covers[m.call]; cover != nil && m.ok() {
			cover()
		}
		delete(d.covers, m.call)
		return
	}
	path := m.file(0)
	switch n := d.now[path]; {
	case path == d.root || (n != nil && n.folder):
		before := len(d.named)
		last := (*naming)(nil)
		if before > 0 {
			last = d.named[before-1]
		}
		d.covers[m.call] = func() { d.keepNames(path, last) }
	case n != nil:
		done := map[*change]bool{}
		for _, c := range n.changes {
			done[c] = c.done
		}
		d.covers[m.call] = func() { n.keep(done) }
	}
}

// keepNames keeps the names in a folder that were given up to the last.
func (d *disk) keepNames(folder string, last *naming) {
	if !slices.Contains(d.named, last) {
		return // another sync was faster
	}
	var left []*naming
	for i, given := range d.named {
		inside := false
		for path := range given.to {
			inside = inside || filepath.Dir(path) == folder
		}
		if inside {
			apply(d.kept, given.to)
		} else {
			left = append(left, given)
		}
		if given == last {
			d.named = append(left, d.named[i+1:]...)
			return
		}
	}
}

func (n *node) keep(which map[*change]bool) {
	n.changes = slices.DeleteFunc(n.changes, func(c *change) bool {
		if which[c] {
			n.kept = c.apply(n.kept)
		}
		return which[c]
	})
}

// apply makes the change to the content of a file.
func (c *change) apply(content []byte) []byte {
	end := c.at + int64(len(c.data))
	if missing := end - int64(len(content)); missing > 0 {
		content = append(content, make([]byte, missing)...)
	}
	if c.data == nil {
		return content[:c.at]
	}
	copy(content[c.at:], c.data)
	return content
}

// view is the content as programs see it.
func (n *node) view() []byte {
	content := bytes.Clone(n.kept)
	for _, c := range n.changes {
		content = c.apply(content)
	}
	return content
}

// settle is called when the program has ended, however that was: what it was
// doing at that moment was done or not, as the real files show. It fails where
// these are others than the disk has followed.
func (d *disk) settle() error {
	for c := range d.calls {
		if d.wasDone(c) {
			c.result = "0"
			if err := d.see(moment{c, true}); err != nil {
				return err
			}
		}
	}
	for _, c := range d.begun {
		for path, n := range d.now {
			if n != c.node {
				continue
			}
			found, _ := os.ReadFile(path)
			if c.done = bytes.Equal(found, n.view()); !c.done {
				c.drop()
			}
		}
	}
	clear(d.calls)
	clear(d.begun)
	clear(d.covers)
	var faults []error
	for path, n := range d.now {
		found, err := os.ReadFile(path)
		if !n.folder && (err != nil || !bytes.Equal(found, n.view())) {
			faults = append(faults, fmt.Errorf("%s is not what was followed: %d bytes, want %d, %w", path, len(found), len(n.view()), err))
		}
	}
	err := filepath.WalkDir(d.root, func(path string, _ fs.DirEntry, err error) error {
		if d.holds(path) && d.now[path] == nil {
			faults = append(faults, fmt.Errorf("%s is there and was not followed", path))
		}
		return err
	})
	return errors.Join(append(faults, err)...)
}

// wasDone tells whether a call that has no end gave or took a name.
func (d *disk) wasDone(c *call) bool {
	last := ""
	for i := range c.args {
		if path := string(c.bytes(i)); d.holds(path) {
			last = path
		}
	}
	if last == "" {
		return false
	}
	_, err := os.Lstat(last)
	switch c.name {
	case "open", "openat", "mkdir", "mkdirat", "linkat":
		return err == nil && d.now[last] == nil
	case "unlink", "unlinkat":
		return err != nil && d.now[last] != nil
	}
	return false
}

// A loss says what becomes of that which was not synced.
type loss struct {
	names  float64 // the share of the names that are kept, from the first one on
	data   float64 // how likely a sector of a write is kept
	sector int64   // bytes that are written whole or not at all
}

func (l loss) String() string {
	return fmt.Sprintf("%.0f%% of names, %.0f%% of sectors of %d bytes kept", l.names*100, l.data*100, l.sector)
}

// write makes the files under dir as they are found after a loss of power.
func (d *disk) write(dir string, l loss, random *rand.Rand) error {
	names := maps.Clone(d.kept)
	for _, given := range d.named[:int(l.names*float64(len(d.named)))] {
		apply(names, given.to)
	}
	for _, path := range slices.Sorted(maps.Keys(names)) {
		n, to := names[path], filepath.Join(dir, strings.TrimPrefix(path, d.root))
		if n.folder {
			if parent, err := os.Stat(filepath.Dir(to)); err == nil && parent.IsDir() {
				_ = os.Mkdir(to, 0o700)
			}
			continue
		}
		err := os.WriteFile(to, n.found(l, random), 0o600)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // its folder is lost, and it with it
			return err
		}
	}
	return nil
}

// found gives the content that is found after a loss of power.
func (n *node) found(l loss, random *rand.Rand) []byte {
	content := bytes.Clone(n.kept)
	for _, c := range n.changes {
		if c.data == nil {
			if random.Float64() < l.data {
				content = c.apply(content)
			}
			continue
		}
		for from := c.at; from < c.at+int64(len(c.data)); {
			to := min(c.at+int64(len(c.data)), (from/l.sector+1)*l.sector)
			if random.Float64() < l.data {
				piece := change{at: from, data: c.data[from-c.at : to-c.at]}
				content = piece.apply(content)
			}
			from = to
		}
	}
	return content
}
