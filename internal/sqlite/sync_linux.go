package sqlite

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// The layers between SQLite and its files: its own, and on top of that one
// which syncs with fdatasync (POSIX.1-2017) and leaves all else to it. Written is
// then what is needed to read the file again, its size included, and not when it
// was changed, which is a write in another place and, where the file system has
// a journal, a commit of it. SQLite does so itself where it is compiled to,
// which this one is not.
const (
	unixLayer     = "unix"
	datasyncLayer = "fattorino-datasync"
)

// A file is one as SQLite has it, in memory that it asked for. The first of it is
// what its own layer sees.
type file struct {
	lib.TunixFile
	methods lib.Tsqlite3_io_methods
	syncs   uintptr // its own way, which syncs the folder of a new file too
}

// fileLayer gives the name of the layer to open a file with that is synced often.
func fileLayer() (string, error) {
	tls := libc.NewTLS()
	defer tls.Close()
	if known, err := findLayer(tls, datasyncLayer); err != nil || known != nil {
		return datasyncLayer, err
	}
	below, err := findLayer(tls, unixLayer)
	if err != nil {
		return "", err
	}
	if below == nil {
		return "", errors.New("SQLite has no layer for files of Unix")
	}
	layer := libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(*below))) // for as long as the program runs
	name, err := libc.CString(datasyncLayer)
	if layer == 0 || err != nil {
		return "", errors.Join(errors.New("no memory for a layer of files"), err)
	}
	l := at[lib.Tsqlite3_vfs](layer)
	*l = *below
	l.FzName, l.FpNext = name, 0
	l.FszOsFile = int32(unsafe.Sizeof(file{}))
	l.FxOpen = pointerTo(openFile)
	if code := lib.Xsqlite3_vfs_register(tls, layer, 0); code != lib.SQLITE_OK {
		return "", fmt.Errorf("SQLite does not take a layer of files: code %d", code)
	}
	return datasyncLayer, nil
}

// findLayer gives a layer by its name; nil = there is none.
func findLayer(tls *libc.TLS, name string) (*lib.Tsqlite3_vfs, error) {
	text, err := libc.CString(name)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(tls, text)
	return at[lib.Tsqlite3_vfs](lib.Xsqlite3_vfs_find(tls, text)), nil
}

// openFile has SQLite's own layer open a file, and puts syncFile in its way.
func openFile(tls *libc.TLS, layer, name, id uintptr, flags int32, outFlags uintptr) int32 {
	below, err := findLayer(tls, unixLayer)
	if err != nil {
		return lib.SQLITE_NOMEM
	}
	open := function[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](below.FxOpen)
	if code := open(tls, layer, name, id, flags, outFlags); code != lib.SQLITE_OK {
		return code
	}
	f := at[file](id)
	f.methods = *at[lib.Tsqlite3_io_methods](f.FpMethod)
	f.syncs, f.methods.FxSync = f.methods.FxSync, pointerTo(syncFile)
	f.FpMethod = id + unsafe.Offsetof(f.methods)
	return lib.SQLITE_OK
}

// syncFile makes durable what was written. An error stays one: the system tells
// of it once, and a second try would succeed without what was lost.
func syncFile(tls *libc.TLS, id uintptr, flags int32) int32 {
	f := at[file](id)
	if f.FctrlFlags&lib.UNIXFILE_DIRSYNC != 0 {
		return function[func(*libc.TLS, uintptr, int32) int32](f.syncs)(tls, id, flags)
	}
	err := syscall.Fdatasync(int(f.Fh))
	for errors.Is(err, syscall.EINTR) {
		err = syscall.Fdatasync(int(f.Fh))
	}
	if err != nil {
		errno, _ := errors.AsType[syscall.Errno](err)
		f.FlastErrno = int32(errno)
		return lib.SQLITE_IOERR_FSYNC
	}
	return lib.SQLITE_OK
}

// at gives what lies in memory that is not Go's.
func at[T any](p uintptr) *T {
	return *(**T)(unsafe.Pointer(&p)) //nolint:gosec // SQLite is a translation from C: its structs lie in memory that it manages itself
}

// pointerTo gives a function, which is no closure, as SQLite holds one.
func pointerTo[F any](f F) uintptr {
	return *(*uintptr)(unsafe.Pointer(&f)) //nolint:gosec // as the translation has them: the code never moves
}

// function gives one that SQLite holds.
func function[F any](p uintptr) F {
	return *(*F)(unsafe.Pointer(&p)) //nolint:gosec // the reverse of pointerTo
}
