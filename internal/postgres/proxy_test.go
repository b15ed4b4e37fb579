package postgres_test

import (
	"net"
	"sync"
	"testing"
)

// A proxy stands between a store and its database, and breaks connections when
// it is told to.
type proxy struct {
	listener net.Listener
	socket   string

	mu    sync.Mutex
	armed bool
	to    direction
	left  int // bytes that still pass in the direction before everything is cut
	conns map[net.Conn]bool
}

type direction int

const (
	toServer direction = iota
	toClient
)

// newProxy stands before the Unix socket of a server.
func newProxy(t *testing.T, socket string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, socket: socket, conns: map[net.Conn]bool{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		p.cut()
		p.mu.Unlock()
		running.Wait()
	})
	return p
}

// url is where the database is reached through the proxy.
func (p *proxy) url(database string) string {
	return "postgres://postgres@" + p.listener.Addr().String() + "/" + database + "?sslmode=disable"
}

// arm has every connection cut once so many bytes have passed in a direction.
// What of them has been read by then still arrives.
func (p *proxy) arm(to direction, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.to, p.left = true, to, bytes
}

// disarm tells whether everything was cut since arm.
func (p *proxy) disarm() (cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	cut = !p.armed
	p.armed = false
	return cut
}

// cut breaks every connection; the mutex is held.
func (p *proxy) cut() {
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
	p.armed = false
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("unix", p.socket)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.carry(server, client, toServer) })
	both.Go(func() { p.carry(client, server, toClient) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

func (p *proxy) carry(dst, src net.Conn, to direction) {
	defer dst.Close() //nolint:errcheck // it may be closed already
	defer src.Close() //nolint:errcheck // it may be closed already
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if err != nil {
			return
		}
		pass, cut := p.pass(to, n)
		if _, err := dst.Write(buf[:pass]); err != nil {
			return
		}
		if cut {
			p.mu.Lock()
			p.cut()
			p.mu.Unlock()
			return
		}
	}
}

// pass gives how many of n bytes go through, and whether all is cut then.
func (p *proxy) pass(to direction, n int) (pass int, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.armed || p.to != to {
		return n, false
	}
	if p.left > n {
		p.left -= n
		return n, false
	}
	p.armed = false
	return p.left, true
}
