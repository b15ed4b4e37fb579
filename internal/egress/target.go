package egress

import (
	"net"
	"net/url"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/idna"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// An origin is what connections are kept for: a scheme and a host with its
// port, as the URL has them.
type origin struct{ scheme, host string }

// A target is where a request goes.
type target struct {
	origin origin
	url    *url.URL
	field  string // the value of Host (RFC 9110, section 7.2)
}

// target reads a sink's URL.
func (p Policy) target(sink string) (target, error) {
	u, err := url.Parse(sink)
	if err != nil { // its text repeats the URL, so it is not passed on
		return target{}, unwritable()
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !p.Dev) {
		return target{}, &failedError{failure: fattorino.FailedAddress, detail: "the sink is not an https URL"}
	}
	field, err := httpguts.PunycodeHostPort(u.Host)
	if err != nil || u.Host == "" || !httpguts.ValidHostHeader(field) {
		return target{}, unwritable()
	}
	return target{origin: origin{u.Scheme, u.Host}, url: u, field: field}, nil
}

// address gives host and port to dial, with the host as it is looked up.
func (t target) address() string {
	host, port := t.url.Hostname(), t.url.Port()
	if !isASCII(host) {
		if mapped, err := idna.Lookup.ToASCII(host); err == nil {
			host = mapped // else no resolver knows it
		}
	}
	if port == "" {
		port = "443"
		if t.origin.scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(host, port)
}
