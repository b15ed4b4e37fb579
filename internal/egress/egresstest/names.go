package egresstest

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Host is the name under which tests give their servers a certificate and an
// address.
const Host = "hook.example.com"

// A Zone answers for every name: with the n-th of its lists of addresses to
// the n-th question of a kind (A or AAAA), and with the last one ever after.
type Zone [][]netip.Addr

// Names starts a DNS server on loopback and gives a resolver that asks no
// other. Answers have a TTL of 0. If alias is not empty, every name is an
// alias (CNAME) of it.
func Names(t testing.TB, zone Zone, alias string) *net.Resolver {
	t.Helper()
	var mu sync.Mutex
	asked := map[uint16]int{}
	return startDNS(t, func(question dns.Question) []dns.RR {
		mu.Lock()
		list := zone[min(asked[question.Qtype], len(zone)-1)]
		asked[question.Qtype]++
		mu.Unlock()
		owner := question.Name
		var records []dns.RR
		if alias != "" {
			head := dns.RR_Header{Name: owner, Rrtype: dns.TypeCNAME, Class: dns.ClassINET}
			owner = dns.Fqdn(alias)
			records = append(records, &dns.CNAME{Hdr: head, Target: owner})
		}
		head := dns.RR_Header{Name: owner, Rrtype: question.Qtype, Class: dns.ClassINET}
		for _, addr := range list {
			switch {
			case question.Qtype == dns.TypeA && addr.Is4():
				records = append(records, &dns.A{Hdr: head, A: addr.AsSlice()})
			case question.Qtype == dns.TypeAAAA && addr.Is6():
				records = append(records, &dns.AAAA{Hdr: head, AAAA: addr.AsSlice()})
			}
		}
		return records
	})
}

// NoNames starts a DNS server that knows no name and gives its resolver.
func NoNames(t testing.TB) *net.Resolver {
	t.Helper()
	return startDNS(t, nil)
}

// SilentNames starts a DNS server that never answers and gives its resolver.
func SilentNames(t testing.TB) *net.Resolver {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// A look-up goes on after whoever asked for it has given up; it is to end
	// with the test.
	ctx, end := context.WithCancel(context.Background())
	var mu sync.Mutex
	var conns []net.Conn
	t.Cleanup(func() {
		end()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range conns {
			_ = c.Close() // nothing is to come from it
		}
		_ = socket.Close() // likewise
	})
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		c, err := (&net.Dialer{}).DialContext(ctx, "udp", socket.LocalAddr().String())
		if err == nil {
			conns = append(conns, c)
		}
		return c, err
	}}
}

// Addrs parses addresses.
func Addrs(texts ...string) []netip.Addr {
	list := make([]netip.Addr, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParseAddr(text)
	}
	return list
}

// startDNS starts a server that answers with what find gives, or NXDOMAIN
// where there is no find.
func startDNS(t testing.TB, find func(dns.Question) []dns.RR) *net.Resolver {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	server := &dns.Server{
		PacketConn:        socket,
		NotifyStartedFunc: func() { close(started) },
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
			answer := new(dns.Msg)
			answer.SetReply(question)
			if find == nil {
				answer.SetRcode(question, dns.RcodeNameError)
			} else {
				answer.Answer = find(question.Question[0])
			}
			_ = w.WriteMsg(answer) // a resolver that hears nothing fails the test
		}),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		if err := server.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", socket.LocalAddr().String())
	}}
}
