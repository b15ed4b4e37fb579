package egress

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// kept makes a connection to an origin and tells whether it is open.
func kept(t *testing.T, o origin) (c *conn, open func() bool) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close() })
	c = newConn(ours)
	c.stream, c.origin = c, o
	return c, func() bool { return c.SetReadDeadline(time.Time{}) == nil }
}

var (
	one = origin{"https", "one.example"}
	two = origin{"https", "two.example"}
)

// Given connections to two origins, when one is taken, then it is of the
// origin asked for, and the one used last.
func TestPoolGivesTheConnectionUsedLast(t *testing.T) {
	t.Parallel()
	p := newPool(10, 10)
	t.Cleanup(p.close)
	a, _ := kept(t, one)
	b, _ := kept(t, one)
	c, _ := kept(t, two)
	p.put(a, time.Now())
	p.put(b, time.Now())
	p.put(c, time.Now())
	for i, want := range []*conn{b, a, nil} {
		if got := p.take(one); got != want {
			t.Errorf("take %d gives %p, want %p", i, got, want)
		}
	}
	if p.take(two) != c || p.count != 0 || len(p.stacks) != 0 || p.oldest != nil || p.newest != nil {
		t.Errorf("the pool is not empty: %+v", p)
	}
}

// Given as many connections to an origin as are kept, when one more comes, then
// it is closed.
func TestPoolKeepsSoManyOfOneOrigin(t *testing.T) {
	t.Parallel()
	p := newPool(1, 10)
	t.Cleanup(p.close)
	a, aOpen := kept(t, one)
	b, bOpen := kept(t, one)
	p.put(a, time.Now())
	p.put(b, time.Now())
	if !aOpen() || bOpen() || p.take(one) != a {
		t.Error("want the first kept and the second closed")
	}
}

// Given as many connections as are kept in all, when one more comes, then the
// oldest makes room, wherever it stands.
func TestPoolKeepsSoManyInAll(t *testing.T) {
	t.Parallel()
	p := newPool(10, 3)
	t.Cleanup(p.close)
	a, aOpen := kept(t, one)
	b, _ := kept(t, one)
	c, _ := kept(t, two)
	d, _ := kept(t, one)
	p.put(a, time.Now())
	p.put(b, time.Now())
	p.put(c, time.Now())
	p.put(d, time.Now())
	if aOpen() {
		t.Error("the oldest is still open")
	}
	if p.take(one) != d || p.take(one) != b || p.take(one) != nil || p.take(two) != c {
		t.Error("others are kept than b, c and d")
	}
}

// Given connections that are idle, when the idle time of one is up, then it is
// closed, and no other.
func TestPoolClosesWhatIsIdleForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(10, 10)
		a, aOpen := kept(t, one)
		b, bOpen := kept(t, one)
		p.put(a, time.Now())
		time.Sleep(idleTimeout / 2)
		p.put(b, time.Now())
		time.Sleep(idleTimeout/2 + time.Nanosecond)
		synctest.Wait()
		if aOpen() || !bOpen() {
			t.Error("want the older closed and the newer open")
		}
		time.Sleep(idleTimeout / 2)
		synctest.Wait()
		if bOpen() || p.take(one) != nil {
			t.Error("the newer is kept for longer than it should")
		}
		c, cOpen := kept(t, one) // the timer starts anew
		p.put(c, time.Now())
		time.Sleep(idleTimeout + time.Nanosecond)
		synctest.Wait()
		if cOpen() {
			t.Error("a later one is kept for ever")
		}
	})
}

// Given a closed pool, when a connection comes, then it is closed as those
// were that the pool had.
func TestPoolClosed(t *testing.T) {
	t.Parallel()
	p := newPool(10, 10)
	a, aOpen := kept(t, one)
	b, bOpen := kept(t, one)
	p.put(a, time.Now())
	p.close()
	p.put(b, time.Now())
	if aOpen() || bOpen() || p.take(one) != nil {
		t.Error("a connection is still open or kept")
	}
}

// Given an origin that wants HTTP/2, when ten minutes have passed, then
// HTTP/1.1 is tried again.
func TestDetoursEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &detours{}
		d.add(one)
		time.Sleep(detourTime - time.Nanosecond)
		if !d.has(one) || d.has(two) {
			t.Error("want the one origin and no other")
		}
		time.Sleep(time.Nanosecond)
		if d.has(one) {
			t.Error("the origin is remembered for longer than it should")
		}
	})
}

// Given more origins than are remembered, then memory does not grow.
func TestDetoursAreBounded(t *testing.T) {
	t.Parallel()
	d := &detours{}
	for i := range 3 * maxDetours {
		d.add(origin{"https", string(rune(i))})
	}
	if last := (origin{"https", string(rune(3*maxDetours - 1))}); len(d.until) > maxDetours || !d.has(last) {
		t.Errorf("%d are remembered, the last one: %v", len(d.until), d.has(last))
	}
}
