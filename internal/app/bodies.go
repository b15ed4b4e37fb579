package app

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// bodies bounds the bytes of request bodies that are held at a time in all.
// What was read of a body counts until its request has been answered, so that
// the events that wait to be written are bounded too.
type bodies struct {
	limit int64
	held  atomic.Int64
}

// bound has every body that next reads counted.
func (b *bodies) bound(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		counted := &countedBody{ReadCloser: r.Body, bodies: b, told: r.ContentLength}
		defer func() { b.held.Add(-counted.read) }()
		bounded := *r // a handler should not change the request it was given
		bounded.Body = counted
		next.ServeHTTP(w, &bounded)
	})
}

// A countedBody is a request's body that can be read as long as there is room.
type countedBody struct {
	io.ReadCloser
	bodies *bodies
	told   int64 // its length as the client told it; -1 = it did not
	read   int64
}

// Read fails with Unavailable where there is no room for more. Before anything
// is read the length that was told has to fit, so that a client that asks first
// (RFC 9110, section 10.1.1) sends nothing in vain; but what has not come takes
// no room from others.
func (c *countedBody) Read(p []byte) (int, error) {
	if c.read == 0 && c.bodies.held.Load()+c.told > c.bodies.limit {
		return 0, errNoRoom()
	}
	n, err := c.ReadCloser.Read(p)
	c.read += int64(n)
	if c.bodies.held.Add(int64(n)) > c.bodies.limit {
		return 0, errNoRoom()
	}
	return n, err
}

func errNoRoom() error {
	return &fattorino.Error{
		Kind: fattorino.Unavailable, Msg: "more requests come in than can be held at the moment",
		Fix: "try again", RetryAfter: time.Second,
	}
}
