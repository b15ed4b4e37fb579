package egress

import (
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

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
	path   string // path and query, as a request's first line has them (RFC 9112, section 3.2.1)
	field  string // the value of Host (RFC 9110, section 7.2)
}

// Limits of what is remembered of targets: some 3 MB in all. URLs can hold
// secrets, which do not stay for long after they were used last.
const (
	maxTargets     = 4096
	longestTarget  = 256 // bytes of its URL
	targetsKeptFor = 10 * time.Minute
)

// targets reads sinks' URLs, and remembers how: the same ones are called again
// and again. It is safe for concurrent use.
type targets struct {
	policy Policy

	mu    sync.RWMutex
	known map[string]target
	until time.Time // when they are forgotten
}

// read gives the target of a sink's URL.
func (t *targets) read(sink string, now time.Time) (target, error) {
	t.mu.RLock()
	to, found := t.known[sink]
	found = found && now.Before(t.until)
	t.mu.RUnlock()
	if found {
		return to, nil
	}
	to, err := t.policy.target(sink)
	if err == nil && len(sink) <= longestTarget {
		t.remember(sink, to, now)
	}
	return to, err
}

// remember remembers a target, in the place of another where there are too many.
func (t *targets) remember(sink string, to target, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !now.Before(t.until) {
		t.known, t.until = map[string]target{}, now.Add(targetsKeptFor)
	}
	makeRoom(t.known, maxTargets)
	t.known[sink] = to
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
	path := u.RequestURI()
	if strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return target{}, unwritable()
	}
	return target{origin: origin{u.Scheme, u.Host}, url: u, path: path, field: field}, nil
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
