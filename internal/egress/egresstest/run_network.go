package egresstest

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// addresses checks that what the policy refuses is not dialled, however it is
// written in the URL (sections 4.2 to 4.4).
func (s suite) addresses(t *testing.T) {
	for _, host := range []string{
		"127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
		"168.63.129.16", "0.0.0.0", "224.0.0.1", "255.255.255.255",
		"[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::1]",
		"[fc00::1]", "[fe80::1]", "[fe80::1%25lo]", "[ff02::1]", "[fd00:ec2::254]",
		"[2001:4860::5efe:127.0.0.1]", "localhost", "①②⑦.⓪.⓪.①", "127。0。0。1",
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			needIPv6(t, host)
			a := send(t, s.with(t, egress.Policy{}, egress.Options{TotalTimeout: 2 * time.Second}), post("https://"+host))
			wantFailure(t, a, fattorino.FailedAddress)
		})
	}
	for _, host := range []string{"127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1", "127.0.0.1.", "0"} {
		t.Run("malformed "+host, func(t *testing.T) {
			t.Parallel()
			server := OK(t)
			c := s.sender(t, egress.Options{Resolver: NoNames(t), TotalTimeout: 2 * time.Second})
			a := send(t, c, post(fmt.Sprintf("http://%s:%d", host, server.Addr.Port())))
			if a.Failure == "" {
				t.Errorf("the sink answered %d", a.Status)
			}
			wantCount(t, "connections", server.Conns(), 0)
		})
	}
	t.Run("dev allows loopback only", func(t *testing.T) {
		t.Parallel()
		c := s.sender(t, egress.Options{TotalTimeout: 2 * time.Second})
		wantFailure(t, send(t, c, post("https://10.0.0.1")), fattorino.FailedAddress)
		wantFailure(t, send(t, c, post("http://10.0.0.1")), fattorino.FailedAddress)
		wantFailure(t, send(t, c, post("http://8.8.8.8")), fattorino.FailedAddress)
	})
	t.Run("http without dev", func(t *testing.T) {
		t.Parallel()
		server := OK(t)
		wantFailure(t, send(t, s.with(t, onLoopback(), egress.Options{}), post(server.URL)), fattorino.FailedAddress)
		wantCount(t, "connections", server.Conns(), 0)
	})
	t.Run("blocked port", func(t *testing.T) {
		t.Parallel()
		wantFailure(t, send(t, s.sender(t, egress.Options{}), post("http://127.0.0.1:25")), fattorino.FailedAddress)
	})
	t.Run("N7 self", s.self)
}

// N7: the service does not call itself.
func (s suite) self(t *testing.T) {
	t.Parallel()
	authority := NewAuthority(t)
	server := authority.Serve(t, nil)
	port := server.Addr.Port()
	resolver := Names(t, Zone{Addrs("127.0.0.1")}, "")
	url := fmt.Sprintf("https://%s:%d", Host, port)
	for name, change := range map[string]func(*egress.Policy){
		"its address":        func(p *egress.Policy) { p.Self = []netip.AddrPort{server.Addr} },
		"every address":      func(p *egress.Policy) { p.Self = []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), port)} },
		"every IPv6 as well": func(p *egress.Policy) { p.Self = []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Unspecified(), port)} },
		"its name":           func(p *egress.Policy) { p.SelfNames = []string{"Hook.Example.com"} },
	} {
		p := onLoopback()
		change(&p)
		o := egress.Options{RootCAs: authority.Pool, Resolver: resolver}
		if a := send(t, s.with(t, p, o), post(url)); a.Failure != fattorino.FailedAddress {
			t.Errorf("%s: failure is %q (%s), status %d", name, a.Failure, a.Detail, a.Status)
		}
		wantCount(t, "connections", server.Conns(), 0)
	}
	p := onLoopback()
	p.Self = []netip.AddrPort{netip.AddrPortFrom(server.Addr.Addr(), port+1), netip.MustParseAddrPort("127.0.0.9:443")}
	wantStatus(t, send(t, s.with(t, p, egress.Options{RootCAs: authority.Pool, Resolver: resolver}), post(url)), 200)
}

// names checks that the addresses behind a name are judged when they are
// dialled (section 4.5).
func (s suite) names(t *testing.T) {
	t.Run("N1 rebinding", s.rebinding)
	t.Run("N2 public and private", s.mixed)
	for name, zone := range map[string]Zone{
		"N3 NAT64":   {Addrs("64:ff9b::7f00:1")},
		"N3 6to4":    {Addrs("2002:7f00:1::1")},
		"N3 mapped":  {Addrs("::ffff:127.0.0.1")},
		"N3 private": {Addrs("10.0.0.1", "fd00::1")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needIPv6(t, "[::1]")
			o := egress.Options{Resolver: Names(t, zone, ""), TotalTimeout: 2 * time.Second}
			wantFailure(t, send(t, s.with(t, egress.Policy{}, o), post("https://"+Host)), fattorino.FailedAddress)
		})
	}
	t.Run("N4 alias of a metadata name", func(t *testing.T) {
		t.Parallel()
		o := egress.Options{Resolver: Names(t, Zone{Addrs("169.254.169.254")}, "metadata.google.internal"), TotalTimeout: 2 * time.Second}
		wantFailure(t, send(t, s.with(t, egress.Policy{}, o), post("https://"+Host)), fattorino.FailedAddress)
	})
	t.Run("no such name", func(t *testing.T) {
		t.Parallel()
		c := s.with(t, egress.Policy{}, egress.Options{Resolver: NoNames(t)})
		wantFailure(t, send(t, c, post("https://"+Host)), fattorino.FailedDNS)
	})
	t.Run("no address", func(t *testing.T) {
		t.Parallel()
		c := s.with(t, egress.Policy{}, egress.Options{Resolver: Names(t, Zone{nil}, "")})
		wantFailure(t, send(t, c, post("https://"+Host)), fattorino.FailedDNS)
	})
	t.Run("silent name server", func(t *testing.T) {
		t.Parallel()
		c := s.with(t, egress.Policy{}, egress.Options{Resolver: SilentNames(t), ConnectTimeout: short})
		wantFailure(t, send(t, c, post("https://"+Host)), fattorino.FailedDNS)
	})
}

// N6: a proxy named in the environment is not used.
func (s suite) proxies(t *testing.T) {
	proxy := OK(t)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	authority := NewAuthority(t)
	server := authority.Serve(t, nil)
	c := s.with(t, onLoopback(), egress.Options{RootCAs: authority.Pool, Resolver: Names(t, Zone{Addrs("127.0.0.1")}, "")})
	wantStatus(t, send(t, c, post(fmt.Sprintf("https://%s:%d", Host, server.Addr.Port()))), 200)
	wantCount(t, "connections at the proxy", proxy.Conns(), 0)
}

// N1: a name that is public when the sink is registered and loopback when it
// is called.
func (s suite) rebinding(t *testing.T) {
	t.Parallel()
	authority := NewAuthority(t)
	server := authority.Serve(t, nil)
	resolver := Names(t, Zone{Addrs("8.8.8.8"), Addrs("127.0.0.1")}, "")
	url := fmt.Sprintf("https://%s:%d", Host, server.Addr.Port())

	if err := (egress.Policy{}).CheckSink(url); err != nil {
		t.Fatal(err)
	}
	first, err := resolver.LookupNetIP(t.Context(), "ip4", Host)
	if err != nil || len(first) != 1 || first[0] != netip.MustParseAddr("8.8.8.8") {
		t.Fatalf("the first look-up gives %v, %v", first, err)
	}
	c := s.with(t, egress.Policy{}, egress.Options{RootCAs: authority.Pool, Resolver: resolver})
	wantFailure(t, send(t, c, post(url)), fattorino.FailedAddress)
	wantCount(t, "connections", server.Conns(), 0)
}

// N2: of several addresses only those that are allowed are dialled, wherever
// they stand. 127.0.0.1 stands for a public address here.
func (s suite) mixed(t *testing.T) {
	t.Parallel()
	authority := NewAuthority(t)
	server := authority.Serve(t, nil)
	inner := serve(t, fmt.Sprintf("127.0.0.2:%d", server.Addr.Port()), "https", func(p *Peer) { p.AwaitClose() })
	url := fmt.Sprintf("https://%s:%d", Host, server.Addr.Port())
	for _, list := range [][]string{{"127.0.0.2", "127.0.0.1"}, {"127.0.0.1", "127.0.0.2"}} {
		c := s.with(t, onLoopback(), egress.Options{RootCAs: authority.Pool, Resolver: Names(t, Zone{Addrs(list...)}, "")})
		wantStatus(t, send(t, c, post(url)), 200)
	}
	wantCount(t, "connections", server.Conns(), 2)
	wantCount(t, "connections at the inner address", inner.Conns(), 0)
}

// tls checks N10 to N12: whom the client trusts with a notification.
func (s suite) tls(t *testing.T) {
	authority := NewAuthority(t)
	hour := time.Now().Add(time.Hour)
	certificate := func(c tls.Certificate) func(*tls.Config) {
		return func(config *tls.Config) { config.Certificates = []tls.Certificate{c} }
	}
	version := func(v uint16) func(*tls.Config) {
		return func(config *tls.Config) { config.MinVersion, config.MaxVersion = v, v }
	}
	for name, row := range map[string]struct {
		change func(*tls.Config)
		want   fattorino.Failure
	}{
		"good":               {nil, ""},
		"N10 TLS 1.0":        {version(tls.VersionTLS10), fattorino.FailedTLS},
		"N10 TLS 1.1":        {version(tls.VersionTLS11), fattorino.FailedTLS},
		"N10 TLS 1.2":        {version(tls.VersionTLS12), ""},
		"N10 TLS 1.3":        {version(tls.VersionTLS13), ""},
		"N10 self-signed":    {certificate(SelfSigned(t, Host)), fattorino.FailedTLS},
		"N10 wrong host":     {certificate(authority.Certificate(t, "other.example.com", hour)), fattorino.FailedTLS},
		"N10 expired":        {certificate(authority.Certificate(t, Host, time.Now().Add(-time.Minute))), fattorino.FailedTLS},
		"N10 not yet valid":  {certificate(authority.Certificate(t, Host, hour.Add(8*time.Hour))), fattorino.FailedTLS},
		"N10 unknown issuer": {certificate(NewAuthority(t).Certificate(t, Host, hour)), fattorino.FailedTLS},
		"N11 wants a client certificate": {func(c *tls.Config) {
			c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, authority.Pool
		}, fattorino.FailedTLS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := authority.Serve(t, row.change)
			c := s.with(t, onLoopback(), egress.Options{RootCAs: authority.Pool, Resolver: Names(t, Zone{Addrs("127.0.0.1")}, "")})
			a := send(t, c, post(fmt.Sprintf("https://%s:%d", Host, server.Addr.Port())))
			if row.want != "" {
				wantFailure(t, a, row.want)
				wantCount(t, "requests", server.Requests(), 0)
				return
			}
			wantStatus(t, a, 200) // from a server that reads HTTP/1.1 only
			if a.Timing.DNS <= 0 || a.Timing.Connect <= 0 || a.Timing.TLS <= 0 {
				t.Errorf("timing is %+v, want DNS, Connect and TLS", a.Timing)
			}
		})
	}
	for name, protocols := range map[string][]string{
		"N12 HTTP/2 offered": {"h2", "http/1.1"},
		"N12 HTTP/2 alone":   {"h2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, requests := HTTP2(t, authority, protocols...)
			c := s.with(t, onLoopback(), egress.Options{RootCAs: authority.Pool, Resolver: Names(t, Zone{Addrs("127.0.0.1")}, "")})
			for range 3 {
				wantStatus(t, send(t, c, post(fmt.Sprintf("https://%s:%d", Host, server.Port()))), 200)
			}
			wantCount(t, "requests", int(requests.Load()), 3)
		})
	}
	t.Run("authorities are the system's by default", func(t *testing.T) {
		t.Parallel()
		server := authority.Serve(t, certificate(authority.Certificate(t, "127.0.0.1", hour)))
		wantFailure(t, send(t, s.sender(t, egress.Options{}), post(server.URL)), fattorino.FailedTLS)
	})
	t.Run("no TLS at all", func(t *testing.T) {
		t.Parallel()
		greets := Serve(t, func(p *Peer) { p.Print("220 mail.example.com ESMTP\r\n"); p.AwaitClose() })
		closes := Serve(t, func(*Peer) {})
		for _, server := range []*Server{greets, closes} {
			a := send(t, s.sender(t, egress.Options{}), post(fmt.Sprintf("https://%s", server.Addr)))
			wantFailure(t, a, fattorino.FailedTLS)
		}
	})
	t.Run("silent handshake", func(t *testing.T) {
		t.Parallel()
		server := NeverReads(t)
		for _, o := range []egress.Options{{ConnectTimeout: short}, {TotalTimeout: short}} {
			a := send(t, s.sender(t, o), post(fmt.Sprintf("https://%s", server.Addr)))
			wantFailure(t, a, fattorino.FailedTimeout)
		}
	})
}

// needIPv6 skips a test of an IPv6 address where the machine has no such
// sockets to check.
func needIPv6(t *testing.T, host string) {
	t.Helper()
	if host[0] != '[' {
		return
	}
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6")
	}
	_ = l.Close() // it served its purpose
}
