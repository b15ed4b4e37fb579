package egress_test

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/idna"

	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/egress/egresstest"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// denied is the deny list of section 4.2 of the standards, written down a
// second time on purpose. IPv6 is what lies outside of 2000::/3, and holes in
// that.
func denied() []netip.Prefix {
	var list []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
		"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
		"192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
		"::/3", "4000::/2", "8000::/1",
		"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
		// Inside ::/3, 4000::/2 and 8000::/1, and named one by one all the same.
		"::/128", "::1/128", "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64",
		"100:0:0:1::/64", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	} {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func isDenied(addr netip.Addr) bool {
	return slices.ContainsFunc(denied(), func(p netip.Prefix) bool { return p.Contains(addr) })
}

// last gives the highest address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

func sinkAt(addr netip.Addr) string {
	if addr.Is6() {
		return "https://[" + addr.String() + "]/hook"
	}
	return "https://" + addr.String() + "/hook"
}

// refused fails the test unless err is a refusal fit to be shown.
func refused(t *testing.T, sink string, err error) {
	t.Helper()
	e, ok := errors.AsType[*fattorino.Error](err)
	if !ok || e.Kind != fattorino.Invalid {
		t.Errorf("%.80q: error is %v, want one of kind Invalid", sink, err)
		return
	}
	if e.Msg == "" || e.Fix == "" {
		t.Errorf("%.80q: message %q and fix %q, want both", sink, e.Msg, e.Fix)
	}
	if strings.Contains(e.Error()+e.Fix, "s3cret") {
		t.Errorf("%.80q: %q, %q gives the secret away", sink, e.Error(), e.Fix)
	}
}

// 4.2: the first and the last address of every range are refused, at
// registration and at connect time; their neighbours are what their own range
// says.
func TestDenyList(t *testing.T) {
	t.Parallel()
	client := egress.NewClient(egress.Policy{}, egress.Options{TotalTimeout: 2 * time.Second})
	t.Cleanup(client.Close)
	for _, prefix := range denied() {
		t.Run(prefix.String(), func(t *testing.T) {
			t.Parallel()
			for _, addr := range []netip.Addr{prefix.Addr(), last(prefix)} {
				refused(t, sinkAt(addr), (egress.Policy{}).CheckSink(sinkAt(addr)))
				r := &fattorino.Request{Method: "POST", URL: sinkAt(addr), Body: []byte("{}")}
				if a := client.Send(t.Context(), r); a.Failure != fattorino.FailedAddress {
					t.Errorf("%v: failure is %q (%s), want address", addr, a.Failure, a.Detail)
				}
			}
			for _, addr := range []netip.Addr{prefix.Addr().Prev(), last(prefix).Next()} {
				if !addr.IsValid() || isDenied(addr) {
					continue
				}
				if err := (egress.Policy{}).CheckSink(sinkAt(addr)); err != nil {
					t.Errorf("%v lies just outside and is refused: %v", addr, err)
				}
			}
		})
	}
}

// 4.3.
func TestAddressTable(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
		"169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1",
		"198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
		"0.0.0.0", "0.1.2.3", "168.63.129.16", "169.254.170.2",
		"::1", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "100::1", "2001::1", "2001:db8::1",
		"2002:7f00:1::1", "2002:a00:1::", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "ff02::1",
		"::127.0.0.1", "64:ff9b:1::7f00:1", "100:0:0:1::1", "3fff::1", "5f00::1", "fec0::1", "4000::1",
		"2620:4f:8000::1", "::ffff:8.8.8.8", "2001:4860::5efe:10.0.0.1", "2001:4860::200:5efe:10.0.0.1",
	} {
		sink := sinkAt(netip.MustParseAddr(text))
		refused(t, sink, (egress.Policy{}).CheckSink(sink))
	}
	for _, text := range []string{
		"172.32.0.1", "8.8.8.8", "2606:4700::1111", "2001:4860:4860::8888", "2001:4860::5efe:8.8.8.8",
	} {
		sink := sinkAt(netip.MustParseAddr(text))
		if err := (egress.Policy{}).CheckSink(sink); err != nil {
			t.Errorf("%s is refused: %v", sink, err)
		}
	}
}

// 4.4 and the rest of the URL policy of 4.1.
func TestURLTable(t *testing.T) {
	t.Parallel()
	for rule, row := range map[string]struct {
		says  string // part of the message; the loopback ones have several
		sinks []string
	}{
		"numeric hosts": {"malformed IPv4", []string{
			"https://127.1/", "https://0x7f.0.0.1/", "https://2130706433/", "https://0177.0.0.1/", "https://127.0.0.1./",
			"https://0/", "https://0x7f000001/", "https://0x/", "https://1.2.3.4.5/", "https://example.com.1/",
			"https://256.1.1.1/", "https://example.0xA/", "https://8.8.8.08/", "https://8.8.8.8./",
		}},
		"IDNA to a refused host": {"", []string{
			"https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/", "https://ｌｏｃａｌｈｏｓｔ/", "https://１２７.1/", "https://%E2%91%A0.1/",
		}},
		"loopback":   {"", []string{"https://localhost/", "https://LOCALHOST./", "https://a.localhost/", "https://[::ffff:7f00:1]/", "https://[0:0:0:0:0:ffff:127.0.0.1]/"}},
		"zones":      {"zone", []string{"https://[::1%25lo]/", "https://[fe80::1%25eth0]/", "https://[2606:4700::1111%25eth0]/"}},
		"user names": {"user name", []string{"https://user:pw@127.0.0.1/", "https://example.com@127.0.0.1/", "https://s3cret@example.com/", "https://@example.com/", "https://127.0.0.1%2f@x/"}},
		"parser differences": {"", []string{
			`https://127.0.0.1\@example.com/s3cret`, `https://example.com/?\s3cret`, "https://example.com/\x00", "https://exa\tmple.com/",
			"https://example.com/\r\n", " https://example.com/", "https://example.com/a b", "https://%00example.com/",
			"https://example.com/\x7f", "https://example.com/?\xffs3cret", "https://exa%25mple.com/",
		}},
		"fragments": {"fragment", []string{"https://127.0.0.1#@example.com/", "https://example.com/#s3cret", "https://example.com/?a#"}},
		"no host or scheme": {"", []string{
			"", "file:///etc/passwd", "gopher://example.com/", "unix:/run/x.sock", "//example.com/", "https:///x", "https://?s3cret",
			"example.com/hook", "https:example.com", "https://:443/", "ftp://example.com/", "https://[]/", "https://example.com:-1/", "https://./", "https://a..b/",
		}},
		"http":          {"https", []string{"http://example.com/", "HTTP://example.com/", "http://localhost/", "http://8.8.8.8/"}},
		"ports":         {"port", []string{"https://example.com:0/", "https://example.com:65536/", "https://example.com:99999/", "https://example.com:/", "https://example.com:25/", "https://8.8.8.8:22/", "https://example.com:6379/"}},
		"inner names":   {"inner network", []string{"https://printer.local/", "https://metadata.google.internal/", "https://intranet/", "https://db.INTERNAL./"}},
		"lengths":       {"", []string{"https://example.com/" + strings.Repeat("a", 1981), "https://" + strings.Repeat("a", 64) + ".com/", "https://" + strings.Repeat("a.", 130) + "com/"}},
		"host spelling": {"", []string{"https://exa$mple.com/", "https://-a.com/", "https://a-.com/", "https://a,b.com/", "https://[8.8.8.8]/", "https://[2606:4700::1111/", "https://\u202eexample.com/"}},
		"not ASCII":     {"outside ASCII", []string{"https://example.com/caffè", "https://example.com/?è=s3cret"}},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			for _, sink := range row.sinks {
				err := (egress.Policy{}).CheckSink(sink)
				refused(t, sink, err)
				if e := fattorino.AsError(err); !strings.Contains(e.Msg, row.says) {
					t.Errorf("%.80q: message is %q, want it to speak of %q", sink, e.Msg, row.says)
				}
			}
		})
	}
	t.Run("allowed", func(t *testing.T) {
		t.Parallel()
		for _, sink := range []string{
			"https://example.com", "https://example.com/", "https://example.com./", "HTTPS://Example.COM:443/a%2Fb?x=1&y={z}",
			"https://example.com:8443/hook", "https://example.com:3000/", "https://example.com?a=b", "https://8.8.8.8:65535/",
			"https://[2606:4700::1111]:8443/", "https://bücher.example/", "https://example。com/", "https://xn--bcher-kva.example/",
			"https://my_app.example.com/", "https://3com.com/", "https://example.0xz/", "https://a.b-c.d/@x",
			"https://example.com/" + strings.Repeat("a", 1980),
		} {
			if err := (egress.Policy{}).CheckSink(sink); err != nil {
				t.Errorf("%.80q is refused: %v", sink, err)
			}
		}
	})
}

func TestPolicyOptions(t *testing.T) {
	t.Parallel()
	inner := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd12::/16")}
	nat64 := []netip.Prefix{netip.MustParsePrefix("64:ff9b::/96")}
	self := egress.Policy{Self: []netip.AddrPort{netip.MustParseAddrPort("8.8.8.8:8443")}, SelfNames: []string{"Hooks.example.com."}}
	selfDev := self
	selfDev.Dev = true
	for name, row := range map[string]struct {
		policy     egress.Policy
		good, evil []string
	}{
		"dev": {
			egress.Policy{Dev: true},
			[]string{
				"http://localhost:8080/", "http://127.0.0.1:8080/", "http://127.9.9.9/", "http://[::1]:8080/", "https://localhost/",
				"https://[::1]/", "https://example.com/",
			},
			[]string{
				"http://example.com/", "http://10.0.0.1/", "https://10.0.0.1/", "https://[fe80::1]/", "http://a.localhost/", "http://[::ffff:127.0.0.1]/",
				"http://8.8.8.8/", "http://localhost:25/", "https://printer.local/", "http://127.1/", "ftp://localhost/",
			},
		},
		"allowed networks": {
			egress.Policy{Allow: inner},
			[]string{"https://10.1.2.3/", "https://[fd12::1]/", "https://erp.internal/", "https://erp/", "https://example.com/"},
			[]string{"https://10.2.0.1/", "https://[fd13::1]/", "http://10.1.2.3/", "https://127.0.0.1/", "https://localhost/", "https://[::ffff:10.1.2.3]/"},
		},
		"allowed NAT64": {
			egress.Policy{Allow: nat64},
			[]string{"https://[64:ff9b::8.8.8.8]/"},
			[]string{"https://[64:ff9b::7f00:1]/", "https://[64:ff9b::10.1.2.3]/", "https://[64:ff9b:1::8.8.8.8]/"},
		},
		"allowed NAT64 and the network behind it": {
			egress.Policy{Allow: append(nat64, inner...)},
			[]string{"https://[64:ff9b::10.1.2.3]/"},
			[]string{"https://[64:ff9b::10.2.2.3]/"},
		},
		"ports": {
			egress.Policy{Ports: []uint16{443, 8443}},
			[]string{"https://example.com/", "https://example.com:8443/"},
			[]string{"https://example.com:8444/"},
		},
		"self": {
			self,
			[]string{"https://8.8.8.8/", "https://8.8.4.4:8443/", "https://www.hooks.example.com/"},
			[]string{"https://8.8.8.8:8443/", "https://hooks.example.com/", "https://HOOKS.example.com.:8443/s3cret"},
		},
		"self in dev": {selfDev, []string{"https://8.8.8.8:8443/", "https://hooks.example.com/"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, sink := range row.good {
				if err := row.policy.CheckSink(sink); err != nil {
					t.Errorf("%s is refused: %v", sink, err)
				}
			}
			for _, sink := range row.evil {
				refused(t, sink, row.policy.CheckSink(sink))
			}
		})
	}
}

// N1: what was public when it was registered is judged again when it is
// dialled; the guard and the registration agree on every allowed network.
func TestAllowedNetworkAtConnect(t *testing.T) {
	t.Parallel()
	authority := egresstest.NewAuthority(t)
	server := authority.Serve(t, nil)
	resolver := egresstest.Names(t, egresstest.Zone{egresstest.Addrs("127.0.0.1")}, "")
	sink := "https://" + egresstest.Host + ":" + strconv.Itoa(int(server.Addr.Port()))
	for prefix, want := range map[string]fattorino.Failure{"127.0.0.1/32": "", "127.0.0.2/32": fattorino.FailedAddress} {
		p := egress.Policy{Allow: []netip.Prefix{netip.MustParsePrefix(prefix)}}
		client := egress.NewClient(p, egress.Options{RootCAs: authority.Pool, Resolver: resolver})
		t.Cleanup(client.Close)
		a := client.Send(context.Background(), &fattorino.Request{Method: "POST", URL: sink, Body: []byte("{}")})
		if a.Failure != want {
			t.Errorf("with %s allowed: failure is %q (%s), want %q", prefix, a.Failure, a.Detail, want)
		}
	}
}

// Whatever passes can be dialled, is https, and names no refused address.
func FuzzCheckSink(f *testing.F) {
	for _, sink := range []string{
		"https://example.com/a?b=c", "http://localhost:8080/", "https://[2606:4700::1111]:8443/", "https://①②⑦.⓪.⓪.①/",
		"https://127.1/", "https://user@example.com/", "https://example.com:99999/#x", "https://[fe80::1%25eth0]/", "https://bücher.example./",
		"https://%E2%91%A0.example/", `https://a\b/`, "https://0x7f.1/", "https://xn--a/", "https://a.local", "//x", ":",
	} {
		f.Add(sink)
	}
	f.Fuzz(func(t *testing.T, sink string) {
		for _, dev := range []bool{false, true} {
			err := egress.Policy{Dev: dev}.CheckSink(sink)
			if err != nil {
				if e, ok := errors.AsType[*fattorino.Error](err); !ok || e.Kind != fattorino.Invalid || e.Fix == "" {
					t.Fatalf("%q: error is %#v", sink, err)
				}
				continue
			}
			checkPassed(t, sink, dev)
		}
	})
}

// checkPassed checks a sink that passed, by other means than the policy's.
func checkPassed(t *testing.T, sink string, dev bool) {
	t.Helper()
	u, err := url.Parse(sink)
	if err != nil || len(sink) > egress.MaxSinkLength || u.User != nil || u.Fragment != "" {
		t.Fatalf("%q passed: %v", sink, err)
	}
	host, err := idna.Punycode.ToASCII(strings.TrimSuffix(u.Hostname(), "."))
	if mapped, e := idna.Lookup.ToASCII(host); e == nil {
		host = mapped
	}
	if err != nil || host == "" || strings.ContainsAny(host, "%@/\\ ") {
		t.Fatalf("%q passed with host %q", sink, host)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			t.Fatalf("%q passed with port %q", sink, port)
		}
	}
	addr, err := netip.ParseAddr(host)
	loopback := host == "localhost" || (err == nil && addr.IsLoopback())
	switch {
	case loopback && dev:
	case loopback || u.Scheme != "https":
		t.Fatalf("%q passed", sink)
	case err == nil && strings.HasSuffix(u.Host, "."):
		t.Fatalf("%q passed", sink)
	case err == nil && (isDenied(addr) || addr.Zone() != ""):
		t.Fatalf("%q passed, address %v is denied", sink, addr)
	case err != nil && !strings.Contains(host, "."):
		t.Fatalf("%q passed, with one label", sink)
	}
}
