package app

import (
	"net/netip"
	"testing"
)

func TestHostPatterns(t *testing.T) {
	t.Parallel()
	p, err := parseHostPatterns([]string{"erp.example.com", "*.Example.org", "10.1.2.3", "fd00::1"})
	if err != nil {
		t.Fatal(err)
	}
	for sink, want := range map[string]bool{
		"https://erp.example.com/hook":        true,
		"https://ERP.example.com.:8443/?a=b":  true,
		"https://a.example.org/":              true,
		"https://a.b.example.org/":            true,
		"https://10.1.2.3/":                   true,
		"https://[fd00::1]/":                  true,
		"https://example.org/":                false,
		"https://badexample.org/":             false,
		"https://example.com/":                false,
		"https://x.erp.example.com/":          false,
		"https://erp.example.com.evil.test/":  false,
		"https://evil.test/?erp.example.com":  false,
		"https://evil.test/a.example.org":     false,
		"https://.example.org/":               false,
		"::not a URL":                         false,
		"https://evil.test#https://10.1.2.3/": false,
	} {
		if got := p.match(sink); got != want {
			t.Errorf("%s: got %v", sink, got)
		}
	}
}

func TestOwnNetworksCanBeAllowed(t *testing.T) {
	t.Parallel()
	c := Default()
	c.AllowNetworks = []string{"10.1.0.0/16"}
	p, err := c.policy(netip.MustParseAddrPort("10.1.0.1:443"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckSink("https://10.1.2.3/"); err != nil {
		t.Errorf("a sink in an own network is refused: %v", err)
	}
	for _, sink := range []string{"https://10.2.2.3/", "https://10.1.0.1/"} {
		if p.CheckSink(sink) == nil {
			t.Errorf("%s is allowed, which is another network, or the service itself", sink)
		}
	}
}
