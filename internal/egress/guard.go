package egress

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A guard decides which addresses may be dialled. The deny list is that of the
// IANA special-purpose registries, kept by code.dny.dev/ssrf.
type guard struct {
	policy Policy
	ranges *ssrf.Guardian
}

func newGuard(p Policy) *guard {
	var allow4, allow6 []netip.Prefix
	if p.Dev {
		allow4 = append(allow4, netip.MustParsePrefix("127.0.0.0/8"))
		allow6 = append(allow6, netip.MustParsePrefix("::1/128"))
	}
	for _, prefix := range p.Allow {
		if prefix.Addr().Is4() {
			allow4 = append(allow4, prefix)
		} else {
			allow6 = append(allow6, prefix)
		}
	}
	// Azure's host agent answers on a public address from inside every machine.
	azure := netip.MustParsePrefix("168.63.129.16/32")
	return &guard{policy: p, ranges: ssrf.New(
		ssrf.WithAnyPort(),
		ssrf.WithAllowedV4Prefixes(allow4...),
		ssrf.WithAllowedV6Prefixes(allow6...),
		ssrf.WithDeniedV4Prefixes(azure),
	)}
}

// allowsAddr tells whether an address may be called, whatever the port. An
// IPv4 address inside an IPv6 one must be allowed as well.
func (g *guard) allowsAddr(addr netip.Addr) bool {
	if g.ranges.SafeAddr(addr) != nil {
		return false
	}
	inner, ok := embedded(addr)
	return !ok || g.ranges.SafeAddr(inner) == nil
}

// embedded gives the IPv4 address that an otherwise harmless IPv6 address
// leads to: by the NAT64 prefix (RFC 6052), which an operator can allow, or by
// an ISATAP interface identifier (RFC 5214, section 6.1), which any prefix can
// carry.
func embedded(addr netip.Addr) (netip.Addr, bool) {
	if !addr.Is6() {
		return netip.Addr{}, false
	}
	b := addr.As16()
	nat64 := netip.MustParsePrefix("64:ff9b::/96").Contains(addr)
	isatap := b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
	return netip.AddrFrom4([4]byte(b[12:])), nat64 || isatap
}

// allowsPort tells whether a port may be called.
func (g *guard) allowsPort(port uint16) bool {
	if len(g.policy.Ports) > 0 {
		return slices.Contains(g.policy.Ports, port)
	}
	return port != 0 && !blockedPort(port)
}

// isSelf tells whether this service itself listens at the address.
func (g *guard) isSelf(ap netip.AddrPort) bool {
	if g.policy.Dev {
		return false
	}
	return slices.ContainsFunc(g.policy.Self, func(own netip.AddrPort) bool {
		if own.Port() != ap.Port() {
			return false
		}
		return own.Addr().Unmap() == ap.Addr() || (own.Addr().IsUnspecified() && isLocal(ap.Addr()))
	})
}

// isLocal tells whether an address belongs to this machine. It asks the system
// each time, as addresses come and go.
func isLocal(addr netip.Addr) bool {
	if addr.IsLoopback() {
		return true
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return true // not known to be another machine's
	}
	return slices.ContainsFunc(all, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr() == addr
	})
}

// checkDial is the check of every connection attempt, as a
// [net.Dialer.ControlContext]: it sees the very address that the socket is
// about to connect to.
func (g *guard) checkDial(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	switch {
	case err != nil || !g.allowsAddr(ap.Addr()):
		return &failedError{failure: fattorino.FailedAddress, detail: "the sink's host has an address that may not be called"}
	case !g.allowsPort(ap.Port()):
		return &failedError{failure: fattorino.FailedAddress, detail: "the sink's port may not be called"}
	case g.isSelf(ap):
		return &failedError{failure: fattorino.FailedAddress, detail: "the sink is this service itself"}
	}
	return nil
}

// checkPlainDial is checkDial for connections without TLS, which may not leave
// the machine.
func (g *guard) checkPlainDial(ctx context.Context, network, address string, c syscall.RawConn) error {
	if ap, err := netip.ParseAddrPort(address); err != nil || !ap.Addr().IsLoopback() {
		return &failedError{failure: fattorino.FailedAddress, detail: "the sink's host has an address that may be called with https only"}
	}
	return g.checkDial(ctx, network, address, c)
}

// allowsHost tells whether a name may be called at all, before it is resolved.
func (g *guard) allowsHost(host string) bool {
	return g.policy.Dev || !slices.ContainsFunc(g.policy.SelfNames, sameName(strings.TrimSuffix(host, ".")))
}

// blockedPort tells the ports of well-known services that are not HTTP, so
// that a notification cannot be made to speak to one: the "bad ports" of the
// Fetch standard (section 2.9), and file sharing, remote desktops, databases
// and caches.
func blockedPort(port uint16) bool {
	switch port {
	case 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95,
		101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179,
		389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587,
		601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000,
		6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080:
		return true
	case 445, 3389, 5900, 1433, 1521, 3306, 5432, 6379, 11211, 27017:
		return true
	}
	return false
}
