package app

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file of types, and one of templates, is read or refused, and never a panic:
// an operator's slip must not keep the program from saying so.
func FuzzFiles(f *testing.F) {
	for _, seed := range []string{
		"", "types:\n  acme.x:\n    description: a\n    schema: {type: object}\ngroups:\n  acme.all: [acme.x]\n",
		"types: [", "types: {a: {schema: {1: 2}}}", "slack:\n  '*': hello\n", "a: &a [*a]", "? {a: b}\n: c", "\xff", "- !!binary x", "types: {a: {<<: {description: b}}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "file.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		types, _, err := readTypes(path)
		if err != nil && types != nil {
			t.Errorf("types %v beside the error %v", types, err)
		}
		templates, err := readTemplates(path)
		if err != nil && templates != nil {
			t.Errorf("templates %v beside the error %v", templates, err)
		}
	})
}

// A pattern of hosts matches nothing but its host, or what is below it; and a
// sink that names an address is no name below anything.
func FuzzHostPatterns(f *testing.F) {
	f.Add("*.example.com", "https://a.example.com/")
	f.Add("erp.example.com", "https://ERP.example.com.:8443/x")
	f.Add("10.1.2.3", "https://10.1.2.3/")
	f.Add("*.3", "https://10.1.2.3/")
	f.Add("::1", "https://[::1]/")
	f.Fuzz(func(t *testing.T, pattern, sink string) {
		p, err := parseHostPatterns([]string{pattern})
		if err != nil || !p.match(sink) {
			return
		}
		bare := strings.ToLower(strings.TrimPrefix(pattern, "*."))
		if !strings.Contains(strings.ToLower(sink), bare) {
			t.Errorf("%q matches %q", pattern, sink)
		}
	})
}

// Networks that are allowed are those that were written.
func FuzzNetworks(f *testing.F) {
	f.Add("10.0.0.0/8", "10.1.2.3")
	f.Add("::ffff:10.0.0.0/104", "10.1.2.3")
	f.Add("10.0.0.1/8", "11.0.0.1")
	f.Add("0.0.0.0/0", "127.0.0.1")
	f.Fuzz(func(t *testing.T, network, address string) {
		networks, err := parseNetworks([]string{network})
		if err != nil {
			return
		}
		if len(networks) != 1 || !networks[0].IsValid() {
			t.Errorf("%q gives %v", network, networks)
		}
		if ip, err := netip.ParseAddr(address); err == nil && networks[0].Contains(ip) && ip.Is4() != networks[0].Addr().Is4() {
			t.Errorf("%q contains %s, of the other kind", network, ip)
		}
	})
}
