package crash_test

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// tracer is the command that has every call recorded which the program makes
// to write, to name and to sync files, in the order of what happened. It stays
// beside the program, which keeps its process id.
func tracer(file string) []string {
	return []string{
		"strace", "-D", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "100000000", "-e", "signal=none", "-o", file,
		"-e", "trace=open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate," +
			"fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,symlink,symlinkat," +
			"mmap,sendfile,copy_file_range,splice,io_uring_setup",
		"--",
	}
}

// A call is one system call. Its arguments are as strace shows them.
type call struct {
	name   string
	args   []string
	result string // once it has ended; empty where the process ended before
}

// A moment is the beginning or the end of a call. What a call does happens
// between the two.
type moment struct {
	*call
	ends bool
}

// readTrace reads what strace has written of one process.
func readTrace(r io.Reader) ([]moment, error) {
	var moments []moment
	open := map[string]*call{} // by thread
	lines := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return moments, nil // a line that was cut off is of a process that was
		}
		if err != nil {
			return nil, err
		}
		thread, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		rest = strings.TrimLeft(rest, " ")
		switch {
		case strings.HasPrefix(rest, "+++"), strings.HasPrefix(rest, "---"):
		case strings.HasPrefix(rest, "<... "):
			c := open[thread]
			if c == nil {
				return nil, fmt.Errorf("trace: %.80s: nothing was begun", line)
			}
			delete(open, thread)
			_, c.result, _ = strings.Cut(rest, " = ")
			if c.ended() {
				moments = append(moments, moment{c, true})
			}
		default:
			c, begun, err := parseCall(rest)
			if err != nil {
				return nil, err
			}
			if begun && !c.known() {
				continue
			}
			moments = append(moments, moment{c, false})
			if begun {
				open[thread] = c
			} else if c.ended() {
				moments = append(moments, moment{c, true})
			}
		}
	}
}

// parseCall reads "name(arguments) = result", or "name(arguments <unfinished ...>".
// All text in it is in hexadecimal, so that nothing in it is taken for more.
func parseCall(s string) (c *call, begun bool, err error) {
	name, rest, ok := strings.Cut(s, "(")
	if !ok {
		return nil, false, fmt.Errorf("trace: %.80s: this is no call", s)
	}
	c = &call{name: name}
	args, begun := strings.CutSuffix(rest, " <unfinished ...>")
	if !begun { // strace let go of a process that was about to end
		args, begun = strings.CutSuffix(rest, " <detached ...>")
	}
	if !begun {
		args, c.result, ok = strings.Cut(rest, " = ")
		args = strings.TrimSuffix(strings.TrimRight(args, " "), ")")
		begun = !ok // the process was killed while strace looked at it
	}
	c.args = strings.Split(args, ", ")
	return c, begun, nil
}

// known tells whether strace saw all that the call was to do. It does not see
// all of what a process begins at the moment in which it is killed.
func (c *call) known() bool {
	switch c.name {
	case "pwrite64":
		return len(c.args) == 4 && c.whole()
	case "write":
		return len(c.args) == 3 && c.whole()
	case "mkdirat", "unlinkat":
		return len(c.args) == 3
	case "openat":
		return len(c.args) >= 3
	case "ftruncate", "open":
		return len(c.args) >= 2
	case "linkat":
		return len(c.args) == 5
	}
	return true
}

// whole tells whether strace saw all the bytes that the call was to write.
func (c *call) whole() bool { return strconv.Itoa(len(c.bytes(1))) == c.args[2] }

// ended tells whether the call has ended before its process did. Of a process
// that is killed as a call of it ends strace cannot read the result, and shows ?
// or an error that has no name.
func (c *call) ended() bool {
	return c.result != "" && !strings.HasPrefix(c.result, "?") && !strings.HasPrefix(c.result, "-1 (errno ")
}

// ok tells whether the call succeeded.
func (c *call) ok() bool { return c.ended() && !strings.HasPrefix(c.result, "-1") }

// file gives the path of the file that the argument is a descriptor of, as
// 9</data/fattorino.db>.
func (c *call) file(arg int) string {
	_, path, ok := strings.Cut(c.args[arg], "<")
	if !ok {
		return ""
	}
	path, rest, _ := strings.Cut(path, ">")
	return string(unhex(path)) + rest // rest is "(deleted)" of a file that has no name any more
}

// bytes gives a text argument.
func (c *call) bytes(arg int) []byte {
	return unhex(strings.TrimSuffix(strings.TrimPrefix(c.args[arg], `"`), `"`))
}

// unhex reads \x41\x42….
func unhex(s string) []byte {
	b := make([]byte, 0, len(s)/4)
	for len(s) >= 4 && s[0] == '\\' && s[1] == 'x' {
		var one [1]byte
		if _, err := hex.Decode(one[:], []byte(s[2:4])); err != nil {
			break
		}
		b = append(b, one[0])
		s = s[4:]
	}
	return b
}
