package app

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// writes counts what reaches the end of the log.
type writes struct {
	mu    sync.Mutex
	count int
	text  bytes.Buffer
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
	return w.text.Write(p)
}

func (w *writes) state() (count int, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count, w.text.String()
}

func TestLinesWaitAShortWhileAndAreWrittenTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		end := &writes{}
		l := newLineWriter(end)
		for range 1000 {
			_, _ = l.Write([]byte("line\n"))
		}
		time.Sleep(flushAfter - time.Nanosecond)
		synctest.Wait()
		if n, _ := end.state(); n != 0 {
			t.Errorf("%d writes were made at once", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n, text := end.state(); n != 1 || strings.Count(text, "line\n") != 1000 {
			t.Errorf("%d writes with %d lines, want one with all", n, strings.Count(text, "\n"))
		}

		_, _ = l.Write([]byte("later\n"))
		time.Sleep(flushAfter)
		synctest.Wait()
		if _, text := end.state(); !strings.HasSuffix(text, "later\n") {
			t.Error("a line after a pause was not written")
		}
	})
}

func TestFlushWritesAtOnce(t *testing.T) {
	t.Parallel()
	end := &writes{}
	l := newLineWriter(end)
	_, _ = l.Write([]byte("line\n"))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, text := end.state(); text != "line\n" {
		t.Errorf("got %q", text)
	}
}

func TestTheLogHasTheFormAndLevelThatAreSet(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		format   string
		terminal bool
		begins   string
	}{
		{logAuto, true, "time="}, {logAuto, false, `{"time":`}, {logText, false, "time="}, {logJSON, true, `{"time":`},
	} {
		c := Default()
		c.LogFormat, c.LogLevel = x.format, "warn"
		var text bytes.Buffer
		log := newLog(&c, &text, x.terminal)
		log.Info("too much")
		log.Warn("enough")
		if got := text.String(); !strings.HasPrefix(got, x.begins) || strings.Contains(got, "too much") || !strings.Contains(got, "enough") {
			t.Errorf("%s on a terminal %v: got %s", x.format, x.terminal, got)
		}
	}
}
