package egress

import (
	"strings"

	"golang.org/x/net/idna"
)

// Limits of a host name in its text form (RFC 1035, section 2.3.4).
const (
	maxNameLength  = 253
	maxLabelLength = 63
)

// lookupName gives a host as a resolver is asked for it: mapped to ASCII as
// net/http does (UTS 46, so that ①②⑦.⓪.⓪.① is found to be 127.0.0.1) and in
// lower case. It is false for what is no host name.
func lookupName(host string) (string, bool) {
	if !isASCII(host) {
		mapped, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", false
		}
		host = mapped
	}
	host = strings.ToLower(host)
	relative := strings.TrimSuffix(host, ".") // the dot of the root is no label's
	if len(relative) > maxNameLength {
		return "", false
	}
	for label := range strings.SplitSeq(relative, ".") {
		if !isLabel(label) {
			return "", false
		}
	}
	return host, true
}

// isLabel tells whether s can be one label of a host name. The underscore is
// no part of the standard but is in use.
func isLabel(s string) bool {
	if s == "" || len(s) > maxLabelLength || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// endsInNumber tells whether a name's last label is a number, decimal or
// hexadecimal: such a host is an IPv4 address to some resolvers, as 127.1 and
// 0x7f000001 are (WHATWG URL, "ends in a number").
func endsInNumber(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	digits := "0123456789"
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		last, digits = hex, "0123456789abcdef"
	}
	return strings.Trim(last, digits) == ""
}

// isInnerName tells the names that only resolve inside a network (RFC 6762 for
// .local, ICANN's reservation for .internal).
func isInnerName(name string) bool {
	return !strings.Contains(name, ".") ||
		strings.HasSuffix(name, ".local") || strings.HasSuffix(name, ".internal")
}

// sameName gives a function that tells whether a configured name is name.
func sameName(name string) func(string) bool {
	return func(own string) bool { return strings.EqualFold(strings.TrimSuffix(own, "."), name) }
}
