package pgcluster

import (
	"bytes"
	"net"
	"sync"
)

// A Proxy stands between clients and a cluster, and breaks their connections
// when it is told to.
type Proxy struct {
	listener net.Listener
	socket   string
	running  sync.WaitGroup

	mu    sync.Mutex
	shut  bool // whoever comes is turned away
	armed bool
	to    Direction
	left  int    // bytes that still pass in the direction before everything is cut
	word  string // that does not pass to the server any more: everything is cut there, and shut
	conns map[net.Conn]bool
}

// Direction is where bytes go.
type Direction int

// The two directions.
const (
	ToServer Direction = iota
	ToClient
)

// NewProxy stands before the cluster.
func (c *Cluster) NewProxy() (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, socket: c.Socket(), conns: map[net.Conn]bool{}}
	p.running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.serve(client) })
		}
	})
	return p, nil
}

// Close cuts everything and lets nobody through any more.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.Cut()
	p.running.Wait()
	return err
}

// URL is where a database is reached through the proxy.
func (p *Proxy) URL(database string) string {
	return "postgres://postgres@" + p.listener.Addr().String() + "/" + database + "?sslmode=disable"
}

// Arm has every connection cut once so many bytes have passed in a direction.
// What of them has been read by then still arrives.
func (p *Proxy) Arm(to Direction, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.to, p.left = true, to, bytes
}

// Disarm tells whether everything was cut since Arm.
func (p *Proxy) Disarm() (cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	cut = !p.armed
	p.armed = false
	return cut
}

// ArmAt has every connection cut where a word goes to the server, and whoever
// comes turned away from then on.
func (p *Proxy) ArmAt(word string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.to, p.word = true, ToServer, word
}

// IsShut tells whether whoever comes is turned away.
func (p *Proxy) IsShut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shut
}

// Shut cuts every connection and turns away whoever comes; Open lets them
// through again.
func (p *Proxy) Shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
	p.cut()
}

// Open lets connections through.
func (p *Proxy) Open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = false
}

// Cut breaks every connection.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

// cut breaks every connection; the mutex is held.
func (p *Proxy) cut() {
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
	p.armed = false
}

func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("unix", p.socket)
	if err != nil {
		_ = client.Close()
		return
	}
	if !p.enter(client, server) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.carry(server, client, ToServer) })
	both.Go(func() { p.carry(client, server, ToClient) })
	both.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, client)
	delete(p.conns, server)
}

// enter notes a connection's both sides, or closes them where whoever comes is
// turned away.
func (p *Proxy) enter(client, server net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		_, _ = client.Close(), server.Close()
		return false
	}
	p.conns[client], p.conns[server] = true, true
	return true
}

func (p *Proxy) carry(dst, src net.Conn, to Direction) {
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
			p.Cut()
			return
		}
	}
}

// pass gives how many of the bytes go through, and whether all is cut then.
func (p *Proxy) pass(to Direction, data []byte) (pass int, cut bool) {
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
