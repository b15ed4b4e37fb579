package simulation_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// origin is the name by which the program asks for consent, and baseURL where
// sinks give it later.
const (
	origin  = "hooks.example"
	baseURL = "https://" + origin
)

// consentWithin is how long a sink may think about it (docs/states.md).
const consentWithin = 10 * time.Minute

// A reply is what a sink answers when it is asked for its consent (CloudEvents
// HTTP Web Hooks 1.0.2, section 4).
type reply struct {
	status  int
	allowed string // WebHook-Allowed-Origin
	rate    string // WebHook-Allowed-Rate
}

// consents tells whether a reply is consent, at once or later.
func (r reply) consents() (now, later bool) {
	_, err := strconv.ParseUint(r.rate, 10, 31)
	goodRate := r.rate == "" || r.rate == "*" || (err == nil && r.rate != "0")
	redirects := r.status/100 == 3
	now = (r.allowed == origin || r.allowed == "*") && goodRate && !redirects
	return now, r.allowed == "" && r.status/100 == 2
}

// perMinute reads a rate: 0 = any. Without one it is what was asked for.
func perMinute(rate, asked string) int {
	if rate == "" {
		rate = asked
	}
	n, _ := strconv.Atoi(rate) // 0 for "*"
	return n
}

// asked answers a request for consent.
func (s *sender) asked(ctx context.Context, r *fattorino.Request) *fattorino.Answer {
	a := &arrived{url: r.URL, challenge: true}
	s.history.add(s.life, a)
	nth := s.count("challenge " + r.URL)
	of := []any{r.URL, nth}
	answer := reply{status: http.StatusOK, allowed: origin, rate: pick(s.chance, []string{"", "*", "30", "120"}, "allowed rate", of...)}
	if !s.healed.Load() {
		answer = pick(s.chance, []reply{
			answer, answer, answer,
			{http.StatusMethodNotAllowed, "*", answer.rate},
			{status: http.StatusOK},
			{status: http.StatusNoContent},
			{status: http.StatusAccepted},
			{http.StatusOK, "other.example", ""},
			{http.StatusOK, origin, "many"},
			{http.StatusFound, origin, ""},
			{status: http.StatusNotFound},
		}, "reply", of...)
	}
	got := s.serve(ctx, answer.write, s.latency("challenge", r.URL, nth))
	now, later := answer.consents()
	came := got.Failure == ""
	rate := perMinute(answer.rate, field(r, "WebHook-Request-Rate"))
	s.history.add(s.life, &answered{arrival: a, answer: got, proof: now && came, later: later && came, rate: rate, cut: !came && context.Cause(ctx) == context.Canceled})
	if later {
		s.callBack(r.URL, field(r, "WebHook-Request-Callback"), nth)
	}
	return got
}

func (r reply) write() *fattorino.Answer {
	a := &fattorino.Answer{Status: r.status}
	for _, h := range []fattorino.Header{{Name: "WebHook-Allowed-Origin", Value: r.allowed}, {Name: "WebHook-Allowed-Rate", Value: r.rate}} {
		if h.Value != "" {
			a.Header = append(a.Header, h)
		}
	}
	return a
}

// callBack has a sink give its consent later, once or twice, to a URL that it
// was given.
func (s *sender) callBack(sink, callback string, nth int) {
	of := []any{sink, nth}
	thinks := s.chance.between(0, 30*time.Second, "thinks", of...)
	if s.chance.oneIn(3, "thinks long", of...) {
		thinks = s.chance.between(0, 2*consentWithin, "thinks", of...)
	}
	rate := perMinute(pick(s.chance, []string{"*", "30", "120"}, "late rate", of...), "")
	go func() {
		for range 1 + s.chance.draw(2, "again", of...) {
			pass(thinks)
			s.call(func(l *life) { l.consent(sink, callback, rate) })
		}
	}()
}

// consent takes the consent of a sink, as the API does.
func (l *life) consent(sink, callback string, rate int) {
	var subscription, round int64
	var key string
	path := strings.ReplaceAll(strings.TrimPrefix(callback, baseURL+"/v1/handshakes/"), "/", " ")
	if _, err := fmt.Sscan(path, &subscription, &round, &key); err != nil {
		l.Errorf("the callback %q: %v", callback, err)
		return
	}
	if !l.kit.native.CallbackKeyValid(subscription, round, key) {
		l.Errorf("the callback %q is not valid", callback)
	}
	l.history.add(l, &consented{subscription: subscription, round: round, url: sink, rate: rate})
	err := l.service.GrantByCallback(context.Background(), subscription, round, rate)
	l.ack(l, subscription, "consented to", err, func(s *fattorino.Subscription) bool { return s.State != fattorino.Unverified })
}

// consented holds what a sink has said to by itself: it counts for the round
// that it was asked in, and for a while.
func (c *checker) consented(x *consented) {
	s := c.subscriptions[x.subscription]
	switch {
	case s == nil || s.Sink != x.url || s.Handshake.Round != x.round:
	case c.entry.at.Sub(s.Handshake.AskedAt) > consentWithin:
		c.kit.met.add("consent too late")
	case s.State == fattorino.Unverified:
		c.kit.met.add("consent later")
		s.consents(x)
	case s.State == fattorino.Deleted && s.Before == fattorino.Unverified:
		s.offered, s.offeredAt = x, c.entry.at // it counts where the deletion is taken back in that moment
	}
}

// consents takes note of a consent that counts.
func (s *subscription) consents(x *consented) {
	s.proved[x.url] = true
	s.granted[x.url] = append(s.granted[x.url], x.rate)
}

// A pace holds a subscription to what its owner has chosen and its sink
// consented to: so many attempts in a minute, and as many at once as fall into
// a second.
type pace struct {
	perMinute int
	left      float64 // attempts that may be made now
	at        time.Time
}

// paceOf gives the pace of a subscription; 0 = any.
func paceOf(s *fattorino.Subscription) int {
	chosen, granted := s.Options.Rate, s.Handshake.Rate
	if chosen == 0 || granted == 0 {
		return chosen + granted
	}
	return min(chosen, granted)
}

// begin gives the pace anew.
func (p *pace) begin(perMinute int, now time.Time) {
	*p = pace{perMinute: perMinute, left: max(1, float64(perMinute/60)), at: now}
}

// spend takes one attempt at a time, and tells whether it may be made.
func (p *pace) spend(now time.Time) bool {
	if p.perMinute == 0 {
		return true
	}
	gained := now.Sub(p.at).Seconds() * float64(p.perMinute) / 60
	p.left = min(max(1, float64(p.perMinute/60)), p.left+gained) - 1
	p.at = now
	return p.left > -0.01
}
