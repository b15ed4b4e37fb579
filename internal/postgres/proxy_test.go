package postgres_test

import (
	"bytes"
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
	shut  bool // whoever comes is turned away
	armed bool
	to    direction
	left  int    // bytes that still pass in the direction before everything is cut
	word  string // that does not pass to the server any more: everything is cut there, and shut
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

// cutAt has every connection cut where a word goes to the server, and whoever
// comes turned away from then on.
func (p *proxy) cutAt(word string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.to, p.word = true, toServer, word
}

// isCut tells whether that has happened.
func (p *proxy) isCut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shut
}

// open lets connections through again.
func (p *proxy) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = false
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
	if p.isCut() {
		_ = client.Close()
		return
	}
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
		pass, cut := p.pass(to, buf[:n])
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

// pass gives how many of the bytes go through, and whether all is cut then.
func (p *proxy) pass(to direction, data []byte) (pass int, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.armed || p.to != to:
		return len(data), false
	case p.word != "":
		if !bytes.Contains(data, []byte(p.word)) {
			return len(data), false
		}
		p.armed, p.word, p.shut = false, "", true
		return 0, true
	case p.left > len(data):
		p.left -= len(data)
		return len(data), false
	}
	p.armed = false
	return p.left, true
}
