//go:build unix

package egress

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"syscall"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Given a request that the system does not take, as the sink has not read what
// came before, then it goes out while the answer is awaited.
func TestRequestThatTheSystemDoesNotTake(t *testing.T) {
	t.Parallel()
	ours, theirs := pair(t)
	before := fill(t, ours)
	x, request := asking(t, ours, bytes.Repeat([]byte("x"), shortBody))
	got := make(chan []byte, 1)
	go func() {
		_, _ = io.CopyN(io.Discard, theirs, before) // what is missing shows
		r, err := http.ReadRequest(bufio.NewReader(theirs))
		if err != nil {
			close(got)
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, _ = theirs.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
		got <- body
	}()
	if h, err := x.run(t.Context(), &watcher{}); err != nil || h.status != 200 {
		t.Fatalf("status %d, error %v", h.status, err)
	}
	if !bytes.Equal(<-got, request.Body) {
		t.Error("the body came otherwise")
	}
	if !x.take(&fattorino.Answer{}, head{status: 200, keep: true}, maxBody) {
		t.Error("the connection is not kept")
	}
}

// fill writes until the system takes no more, and tells how much it took.
func fill(t *testing.T, c *conn) (written int64) {
	t.Helper()
	piece := make([]byte, 64<<10)
	err := c.socket.raw.Write(func(fd uintptr) bool {
		for {
			n, err := syscall.Write(int(fd), piece)
			if err != nil {
				return true
			}
			written += int64(n)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return written
}
