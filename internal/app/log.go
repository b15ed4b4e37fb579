package app

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

// flushAfter is how long a line of the log may wait to be written.
const flushAfter = 200 * time.Millisecond

// logBuffer is how many bytes of log wait at most.
const logBuffer = 64 << 10

// A lineWriter writes what it is given in few large writes: thousands of lines
// a second would else be as many system calls. Nothing waits longer than
// flushAfter, and nothing runs while there is nothing to write.
type lineWriter struct {
	mu     sync.Mutex
	buffer *bufio.Writer
	armed  bool // a flush is under way
}

func newLineWriter(w io.Writer) *lineWriter {
	return &lineWriter{buffer: bufio.NewWriterSize(w, logBuffer)}
}

// Write takes whole lines.
func (l *lineWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.armed {
		l.armed = true
		time.AfterFunc(flushAfter, func() { _ = l.Flush() }) // a log that cannot be written cannot be complained of
	}
	return l.buffer.Write(p)
}

// Flush writes what waits.
func (l *lineWriter) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = false
	return l.buffer.Flush()
}

// newLog makes the log that the settings ask for. text is the form that "auto"
// stands for.
func newLog(c *Config, w io.Writer, text bool) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo // Validate lets no other name pass
	}
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == logText || (c.LogFormat == logAuto && text) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// attemptMessage is the message of the engine's one line for each attempt.
const attemptMessage = "attempt"

// withoutAttempts is a log that leaves out the line for each attempt.
type withoutAttempts struct{ slog.Handler }

// Handle drops the line of an attempt.
func (h withoutAttempts) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == attemptMessage {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h withoutAttempts) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withoutAttempts{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h withoutAttempts) WithGroup(name string) slog.Handler {
	return withoutAttempts{h.Handler.WithGroup(name)}
}
