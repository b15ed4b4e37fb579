package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// The exit codes.
const (
	exitFailed = 1 // something did not work
	exitUsage  = 2 // the command line or a setting is wrong
)

// A usageError is a mistake on the command line or in a setting.
type usageError struct {
	msg string // what is wrong
	fix string // what to do about it
}

func (e *usageError) Error() string { return e.msg }

// badUsage explains what kong refused.
func badUsage(err error) error {
	help := "fattorino --help"
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context != nil {
		if node := parse.Context.Selected(); node != nil {
			help = node.FullPath() + " --help"
		}
	}
	return &usageError{msg: err.Error(), fix: fmt.Sprintf("see %q", help)}
}

// report says on one line what went wrong and on one what to do about it, and
// gives the exit code.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	code, msg, fix := exitFailed, err.Error(), ""
	if usage, ok := errors.AsType[*usageError](err); ok {
		code, fix = exitUsage, usage.fix
	} else if e, ok := errors.AsType[*fattorino.Error](err); ok {
		msg, fix = explain(e), e.Fix
	}
	_, _ = fmt.Fprintln(stderr, "fattorino:", oneLine(msg))
	if fix != "" {
		_, _ = fmt.Fprintln(stderr, "  to do:", oneLine(fix))
	}
	return code
}

// explain gives an error's message with every fault that it names.
func explain(e *fattorino.Error) string {
	msg := e.Msg
	for _, f := range e.Faults {
		if f.Msg != e.Msg {
			msg += "; " + f.Field + ": " + f.Msg
		}
	}
	return msg
}

// oneLine joins the lines of a text. What stands there twice is said once: a
// database is tried with TLS and without, for instance.
func oneLine(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.ReplaceAll(strings.Join(lines, "; "), ":; ", ": ")
}
