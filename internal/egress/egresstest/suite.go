package egresstest

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A Sender is a client that calls sinks; [egress.Client] is one.
type Sender interface {
	Send(ctx context.Context, r *fattorino.Request) *fattorino.Answer
	Close()
}

// Make makes the client under test.
type Make func(egress.Policy, egress.Options) Sender

// Timeouts of the suite: short is given where a server is too slow by
// intention, and long bounds what must not come near it.
const (
	short = 250 * time.Millisecond
	long  = 20 * time.Second
)

// Run proves that a client keeps the rules of sections 4.2 to 4.6 of the
// standards: it reaches no address that the policy refuses, sends each request
// once, and gets away from every hostile server in time. It must be called
// from a test that is not parallel.
func Run(t *testing.T, newSender Make) {
	s := suite{newSender}
	t.Run("N6 proxies of the environment", s.proxies) // first: net/http reads the environment once
	t.Run("hostile servers", s.hostile)
	t.Run("addresses", s.addresses)
	t.Run("names", s.names)
	t.Run("tls", s.tls)
	t.Run("wire", s.wire)
	t.Run("answers", s.answers)
	t.Run("connections", s.connections)
}

type suite struct{ make Make }

// secret stands in every place of a request that can hold one; it must be in
// no answer's detail.
const secret = "s3cret"

// post gives a notification to a server's URL.
func post(url string) *fattorino.Request {
	return &fattorino.Request{
		Method: "POST", URL: url + "/hook/" + secret + "?key=" + secret,
		Header: []fattorino.Header{
			{Name: "Content-Type", Value: "application/json"},
			{Name: "Authorization", Value: "Bearer " + secret},
		},
		Body: []byte(`{"id":42}`),
	}
}

// sender makes a client that may call loopback.
func (s suite) sender(t *testing.T, o egress.Options) Sender {
	t.Helper()
	return s.with(t, egress.Policy{Dev: true}, o)
}

// with makes a client that ends with the test.
func (s suite) with(t *testing.T, p egress.Policy, o egress.Options) Sender {
	t.Helper()
	if o.TotalTimeout == 0 {
		o.TotalTimeout = long
	}
	c := s.make(p, o)
	t.Cleanup(c.Close)
	return c
}

// send makes an exchange and checks what holds for every answer: it came in
// time, it has a failure or a status, and its detail gives nothing away (N9).
func send(t *testing.T, c Sender, r *fattorino.Request) *fattorino.Answer {
	t.Helper()
	start := time.Now()
	a := c.Send(t.Context(), r)
	if took := time.Since(start); took > long/2 {
		t.Errorf("the exchange took %v", took)
	}
	if (a.Failure == "") != (a.Detail == "") {
		t.Errorf("failure is %q and detail %q; want both or neither", a.Failure, a.Detail)
	}
	if a.Failure == "" && a.Status == 0 {
		t.Error("there is neither a failure nor a status")
	}
	authority, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.URL, "http://"), "https://"), "/")
	_, port, err := net.SplitHostPort(authority)
	if err != nil {
		port = "none"
	}
	for _, word := range []string{secret, port, "127.0", "::1", "169.254", "10.0", Host} {
		if strings.Contains(a.Detail, word) {
			t.Errorf("detail %q gives away %q", a.Detail, word)
		}
	}
	if a.Timing.Total <= 0 {
		t.Errorf("total time is %v", a.Timing.Total)
	}
	return a
}

// wantFailure checks the class of an exchange that brought no answer.
func wantFailure(t *testing.T, a *fattorino.Answer, want fattorino.Failure) {
	t.Helper()
	if a.Failure != want {
		t.Errorf("failure is %q (%s), status %d; want %q", a.Failure, a.Detail, a.Status, want)
	}
}

// wantStatus checks an exchange that brought an answer.
func wantStatus(t *testing.T, a *fattorino.Answer, want int) {
	t.Helper()
	if a.Failure != "" || a.Status != want {
		t.Errorf("status is %d, failure %q (%s); want status %d", a.Status, a.Failure, a.Detail, want)
	}
}

// wantCount checks a server's count.
func wantCount(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("the server counted %d %s, want %d", got, what, want)
	}
}

// onLoopback is the policy of an operator whose own network is loopback, for
// servers that stand for public ones.
func onLoopback() egress.Policy {
	return egress.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
}
