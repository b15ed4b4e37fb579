package app

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// connections bounds how many connections of clients are open. One more than
// the limit takes the place of that which has waited longest for a request: an
// own client opens another when it next has something to say, and whoever opens
// connections to hold them drives out its own first. Where none waits, the new
// one is closed.
type connections struct {
	limit int

	mu      sync.Mutex
	open    map[net.Conn]*list.Element // its place among those that wait; nil while it has a request
	waiting *list.List                 // of net.Conn: those without a request, that which waits longest first
}

func newConnections(limit int) *connections {
	return &connections{limit: limit, open: map[net.Conn]*list.Element{}, waiting: list.New()}
}

// changed is the ConnState of [http.Server], and of what takes connections over
// from it.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if excess := c.note(conn, state); excess != nil {
		_ = excess.Close() // its own goroutine finds out
	}
}

// note keeps the books, and gives the connection that has to go; nil for none.
func (c *connections) note(conn net.Conn, state http.ConnState) (excess net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateHijacked {
		return nil // who took it over tells of it from now on
	}
	place, known := c.open[conn]
	if !known && state != http.StateNew {
		return nil // it had to go already
	}
	if place != nil {
		c.waiting.Remove(place)
	}
	switch state {
	case http.StateNew:
		if len(c.open) >= c.limit {
			if excess = c.dropOldest(); excess == nil {
				return conn
			}
		}
		c.open[conn] = c.waiting.PushBack(conn)
	case http.StateIdle:
		c.open[conn] = c.waiting.PushBack(conn)
	case http.StateActive:
		c.open[conn] = nil
	case http.StateClosed:
		delete(c.open, conn)
	}
	return excess
}

// dropOldest forgets the connection that has waited longest, and gives it; nil
// where none waits.
func (c *connections) dropOldest() net.Conn {
	front := c.waiting.Front()
	if front == nil {
		return nil
	}
	conn, _ := c.waiting.Remove(front).(net.Conn) // it holds no other
	delete(c.open, conn)
	return conn
}
