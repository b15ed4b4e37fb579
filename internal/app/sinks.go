package app

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/egress"
)

// policy gives the rules of the way out. The settings have been validated;
// self is where the server listens.
func (c *Config) policy(self netip.AddrPort) (egress.Policy, error) {
	networks, err := parseNetworks(c.AllowNetworks)
	if err != nil {
		return egress.Policy{}, err
	}
	ports, err := parsePorts(c.SinkPorts)
	if err != nil {
		return egress.Policy{}, err
	}
	return egress.Policy{
		Dev: c.Dev, Allow: networks, Ports: ports, Self: []netip.AddrPort{self}, SelfNames: c.PublicNames,
	}, nil
}

func parseNetworks(list []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range list {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network such as 10.1.0.0/16", text)
		}
		networks = append(networks, network)
	}
	return networks, nil
}

func parsePorts(list []string) ([]uint16, error) {
	var ports []uint16
	for _, text := range list {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return nil, fmt.Errorf("%q is not a port from 1 to 65535", text)
		}
		ports = append(ports, uint16(port))
	}
	return ports, nil
}

// rootCAs gives the authorities that may sign sinks' certificates: those of
// the system, and those of the file where one is given.
func rootCAs(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // nil is the system's authorities
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's authorities: %w", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("the file %s holds no certificate in PEM", file)
	}
	return pool, nil
}

// hostPatterns are the hosts whose sinks need no handshake.
type hostPatterns struct {
	hosts    map[string]bool
	suffixes []string // as ".example.com"
}

// parseHostPatterns reads hosts, as erp.example.com or 10.1.2.3, and patterns,
// as *.example.com, which stands for every name below example.com and not for
// itself.
func parseHostPatterns(list []string) (hostPatterns, error) {
	p := hostPatterns{hosts: map[string]bool{}}
	for _, text := range list {
		below, wild := strings.CutPrefix(strings.ToLower(text), "*.")
		if _, err := netip.ParseAddr(below); (err != nil || wild) && !isHostName(below) {
			return p, fmt.Errorf("%q is not a host such as erp.example.com or *.example.com", text)
		}
		if wild {
			p.suffixes = append(p.suffixes, "."+below)
			continue
		}
		p.hosts[below] = true
	}
	return p, nil
}

// match tells whether the sink is at one of the hosts.
func (p hostPatterns) match(sink string) bool {
	u, err := url.Parse(sink)
	if err != nil {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if p.hosts[host] {
		return true
	}
	for _, suffix := range p.suffixes {
		if strings.HasSuffix(host, suffix) && len(host) > len(suffix) {
			return true
		}
	}
	return false
}

// isHostName tells whether s can be a host name in ASCII (RFC 1123, section
// 2.1; underscores are in use).
func isHostName(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return false
		}
	}
	return true
}
