// Package egress is the only way out of the program: it judges the URLs that
// subscribers register as sinks, and makes one HTTP exchange with one of them
// at a time, on the terms of a process that calls strangers from inside
// somebody's network.
//
// Two checks keep that network closed. [Policy.CheckSink] refuses at
// registration what can never be right, so that the subscriber is told. The
// guard refuses at connect time, on every dial and after name resolution, what
// must not be reached; only that one is relied on, because a name can resolve
// to another address a second later.
package egress

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// MaxSinkLength is how long a sink may be, in bytes.
const MaxSinkLength = 2000

// A Policy says what may be called. The zero Policy allows https to public
// addresses on any port but the blocked ones. It is not changed once in use.
type Policy struct {
	// Dev is for work on one machine: it allows loopback addresses, the name
	// localhost, plain http to either, and calls to the service itself. Other
	// private addresses stay refused.
	Dev bool
	// Allow holds the operator's own networks, which may be called though they
	// are not public. Where it holds any, names of inner networks (one label,
	// .local, .internal) can be registered; their addresses are still checked
	// at connect time. Where it holds the NAT64 prefix 64:ff9b::/96, the IPv4
	// address inside is checked as well.
	Allow []netip.Prefix
	// Ports, where not empty, holds the only ports that may be called.
	Ports []uint16
	// Self holds the addresses that this service listens on, which are refused
	// because a notification to them would be a loop. An unspecified address
	// (0.0.0.0 or ::) stands for every address of this machine.
	Self []netip.AddrPort
	// SelfNames holds the public host names of this service, refused for the
	// same reason on any port.
	SelfNames []string
}

// CheckSink judges a URL that somebody wants to register as a sink. It returns
// nil or a [*fattorino.Error] of kind Invalid, which says what is wrong and
// what to do; path and query, which can hold secrets, are never part of it.
//
// A sink is an https URL with a host name or a public address, written so that
// no two parsers can read it differently: without user name, fragment, zone,
// spaces, control characters or backslashes, and ASCII outside the host. It
// resolves no names.
func (p Policy) CheckSink(raw string) error {
	u, err := parseSink(raw)
	if err != nil {
		return err
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !p.Dev) {
		return invalid("Give a URL that begins with https://.", "The sink is not an https URL.")
	}
	port, err := p.checkPort(u)
	if err != nil {
		return err
	}
	host, err := p.checkHost(u, port)
	if err != nil {
		return err
	}
	if u.Scheme == "http" && !isLoopback(host) {
		return invalid("Use https, or a sink on localhost.", "The sink is an http URL outside this machine.")
	}
	return nil
}

// invalid makes the error of a refused sink.
func invalid(fix, format string, args ...any) error {
	return &fattorino.Error{Kind: fattorino.Invalid, Msg: fmt.Sprintf(format, args...), Fix: fix}
}

// parseSink checks everything about a URL that needs no policy.
func parseSink(raw string) (*url.URL, error) {
	const form = "Give a full URL such as https://example.com/hooks."
	switch {
	case raw == "":
		return nil, invalid(form, "The sink is empty.")
	case len(raw) > MaxSinkLength:
		return nil, invalid("Shorten the URL.", "The sink is longer than %d characters.", MaxSinkLength)
	case !utf8.ValidString(raw) || strings.ContainsFunc(raw, forbiddenRune):
		return nil, invalid("Percent-encode these characters.",
			"The sink holds a space, a backslash or a control character.")
	case strings.Contains(raw, "#"):
		return nil, invalid("Leave out the # and what follows it.",
			"The sink has a fragment, which is never sent.")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil: // its text repeats the URL, so it is not passed on
		return nil, invalid(form, "The sink is not a valid URL.")
	case u.Scheme == "" || u.Opaque != "" || u.Hostname() == "":
		return nil, invalid(form, "The sink has no scheme or no host.")
	case u.User != nil:
		return nil, invalid("Leave out what stands before the @; put a secret in the path or query.",
			"The sink holds a user name or password.")
	case !isASCII(afterHost(raw)):
		return nil, invalid("Percent-encode these characters.",
			"The sink has characters outside ASCII after the host.")
	}
	return u, nil
}

// afterHost gives path and query as they were written.
func afterHost(raw string) string {
	_, rest, _ := strings.Cut(raw, "//")
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		return rest[i:]
	}
	return ""
}

// forbiddenRune tells the characters that URL parsers are known to disagree
// on.
func forbiddenRune(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' }

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// checkPort gives the port that the URL leads to.
func (p Policy) checkPort(u *url.URL) (uint16, error) {
	text := u.Port()
	if text == "" {
		if strings.HasSuffix(u.Host, ":") {
			return 0, invalid("Leave out the colon or put a number after it.", "The sink's port is empty.")
		}
		text = "443"
		if u.Scheme == "http" {
			text = "80"
		}
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, invalid("Give a port from 1 to 65535.", "The sink's port is out of range.")
	}
	port := uint16(n)
	if !newGuard(p).allowsPort(port) {
		fix := "Use 443 or another port that serves HTTP."
		if len(p.Ports) > 0 {
			fix = "Use one of the ports that the operator allows."
		}
		return 0, invalid(fix, "The sink's port %d may not be called.", port)
	}
	return port, nil
}

// isLoopback tells whether a host is this machine by definition.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}

// checkHost gives the host as it will be looked up or dialled.
func (p Policy) checkHost(u *url.URL, port uint16) (string, error) {
	if strings.HasPrefix(u.Host, "[") {
		addr, err := netip.ParseAddr(u.Hostname())
		switch {
		case err != nil || !addr.Is6():
			return "", invalid("Put a complete IPv6 address in the brackets.", "The sink's host is not an IPv6 address.")
		case addr.Zone() != "":
			return "", invalid("Leave out the zone.", "The sink's address has a zone, which means something on one machine only.")
		case addr.Is4In6():
			return "", invalid("Write the IPv4 address itself.", "The sink's host is an IPv4 address inside an IPv6 one.")
		}
		return addr.String(), p.checkAddr(addr, port)
	}
	host, ok := lookupName(u.Hostname())
	if !ok {
		return "", invalid("Check the host's spelling.", "The sink's host is not a valid host name.")
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return host, p.checkAddr(addr, port)
	}
	host = strings.TrimSuffix(host, ".")
	return host, p.checkName(host)
}

// checkAddr judges a literal address.
func (p Policy) checkAddr(addr netip.Addr, port uint16) error {
	g := newGuard(p)
	if !g.allowsAddr(addr) {
		return invalid("Use a public address, or ask the operator to allow this network.",
			"The sink's address is private or reserved.")
	}
	if g.isSelf(netip.AddrPortFrom(addr, port)) {
		return invalid("Give the URL of the receiver.", "The sink is this service itself.")
	}
	return nil
}

// checkName judges a host name in lower-case ASCII without the root's dot.
func (p Policy) checkName(name string) error {
	const public = "Use a name that resolves on the public internet."
	switch {
	case endsInNumber(name):
		return invalid("Write an IPv4 address as four decimal numbers.", "The sink's host is a malformed IPv4 address.")
	case name == "localhost" && p.Dev:
		return nil
	case name == "localhost" || strings.HasSuffix(name, ".localhost"):
		return invalid(public, "The sink's host is a name of the local machine.")
	case !p.Dev && slices.ContainsFunc(p.SelfNames, sameName(name)):
		return invalid("Give the URL of the receiver.", "The sink is this service itself.")
	case len(p.Allow) == 0 && isInnerName(name):
		return invalid(public, "The sink's host is a name of an inner network.")
	}
	return nil
}
