package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// output is where the program writes to in a test, while the test looks.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed at the next write
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await waits until the text is there, and gives all of it.
func (o *output) await(t *testing.T, text string) string {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		o.mu.Lock()
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		all, changed := o.text.String(), o.changed
		o.mu.Unlock()
		if strings.Contains(all, text) {
			return all
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%q does not come:\n%s", text, all)
		}
	}
}
