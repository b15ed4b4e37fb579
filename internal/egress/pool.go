package egress

import (
	"sync"
	"time"
)

// A pool keeps connections that no exchange uses, and closes them when they
// have been idle for too long or are too many. It is safe for concurrent use,
// and needs no goroutine.
type pool struct {
	perHost, total int

	mu             sync.Mutex
	stacks         map[origin]*stack // those that hold any
	newest, oldest *conn             // of all, linked by idle.newer and idle.older
	count          int
	sweeper        *time.Timer // closes the oldest when its time is up; nil = none is kept
	closed         bool
}

// A stack holds the idle connections of one origin. The one used last is on
// top: it is the likeliest to be open still, and what is not needed grows old.
type stack struct {
	top   *conn
	count int
}

// idle is what the pool knows of a connection that it keeps.
type idle struct {
	since        time.Time
	newer, older *conn
	stack        *stack
	below        *conn // in the stack
}

func newPool(perHost, total int) *pool {
	return &pool{perHost: perHost, total: total, stacks: map[origin]*stack{}}
}

// take gives the connection to o that was used last, and keeps it no longer;
// nil if there is none.
func (p *pool) take(o origin) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stacks[o]
	if s == nil {
		return nil
	}
	c := s.top
	p.remove(c)
	return c
}

// put keeps a connection from now on, in the place of the oldest where there are
// too many in all. Where there are too many to its origin, or the pool is closed,
// it closes it.
func (p *pool) put(c *conn, now time.Time) {
	if old := p.add(c, now); old != nil {
		old.close()
	}
}

// add is put without the closing: it gives the connection to close, if any.
func (p *pool) add(c *conn, now time.Time) (old *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stacks[c.origin]
	if p.closed || (s != nil && s.count >= p.perHost) {
		return c
	}
	if p.count >= p.total {
		old = p.oldest
		p.remove(old)
		s = p.stacks[c.origin] // gone, where that was its last
	}
	if s == nil {
		s = &stack{}
		p.stacks[c.origin] = s
	}
	c.idle = idle{since: now, older: p.newest, stack: s, below: s.top}
	s.top, s.count = c, s.count+1
	if p.newest != nil {
		p.newest.idle.newer = c
	} else {
		p.oldest = c
	}
	p.newest = c
	p.count++
	if p.sweeper == nil {
		p.sweeper = time.AfterFunc(idleTimeout, p.sweep)
	}
	return old
}

// remove takes a connection out of every list.
func (p *pool) remove(c *conn) {
	if c.idle.newer != nil {
		c.idle.newer.idle.older = c.idle.older
	} else {
		p.newest = c.idle.older
	}
	if c.idle.older != nil {
		c.idle.older.idle.newer = c.idle.newer
	} else {
		p.oldest = c.idle.newer
	}
	p.count--
	s := c.idle.stack
	if s.top == c {
		s.top = c.idle.below
	} else {
		above := s.top
		for above.idle.below != c {
			above = above.idle.below
		}
		above.idle.below = c.idle.below
	}
	if s.count--; s.count == 0 {
		delete(p.stacks, c.origin)
	}
	c.idle = idle{}
}

// sweep closes what has been idle for too long.
func (p *pool) sweep() {
	for _, c := range p.expired() {
		c.close()
	}
}

// expired gives the connections whose time is up, and keeps them no longer.
func (p *pool) expired() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	var old []*conn
	for p.oldest != nil {
		left := idleTimeout - time.Since(p.oldest.idle.since)
		if left > 0 {
			p.sweeper.Reset(left)
			return old
		}
		old = append(old, p.oldest)
		p.remove(p.oldest)
	}
	p.sweeper = nil
	return old
}

// close closes what is kept. Nothing is kept any more.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	if p.sweeper != nil {
		p.sweeper.Stop()
	}
	var old []*conn
	for p.oldest != nil {
		old = append(old, p.oldest)
		p.remove(p.oldest)
	}
	p.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}
