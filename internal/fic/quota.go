package fic

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Quotas are the limits on API calls; 0 = no limit. The operator may want none
// of them: they protect a service that is shared by strangers.
type Quotas struct {
	Hourly  int64 // calls of one app on one company in a clock hour
	Monthly int64 // calls of one app on one company in a calendar month of Italy
	Short   int64 // calls on one company, of whatever app, in any five minutes
}

// PublishedQuotas are those of Fatture in Cloud.
func PublishedQuotas() Quotas { return Quotas{Hourly: 1000, Monthly: 40000, Short: 300} }

// shortSpan is the span in which Quotas.Short calls are allowed.
const shortSpan = 5 * time.Minute

// maxRemembered bounds the companies, and the pairs of app and company, that a
// gate remembers.
const maxRemembered = 10_000

// A gate holds calls to the quotas. The calls of the hour and of the month are
// counted in the store, so that neither a restart nor a second node forgets
// them; those of the last five minutes in memory.
type gate struct {
	quotas Quotas
	count  func(ctx context.Context, counter string, start time.Time) (int64, error)
	rome   *time.Location
	opened time.Time

	mu     sync.Mutex
	recent map[int64]*recentCalls // by company
	used   map[consumer]usage     // what the store counted last; may be forgotten at any time
}

// consumer is whose calls are counted together.
type consumer struct{ company, app int64 }

// usage is the calls of a consumer in the hour and the month of the last one.
type usage struct{ hour, month window }

// window is the calls from start up to end.
type window struct {
	start, end time.Time
	calls      int64
}

func newGate(q Quotas, count func(context.Context, string, time.Time) (int64, error)) (*gate, error) {
	rome, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		return nil, fmt.Errorf("fic: quotas: %w", err)
	}
	return &gate{
		quotas: q, count: count, rome: rome, opened: time.Now(),
		recent: map[int64]*recentCalls{}, used: map[consumer]usage{},
	}, nil
}

// pass counts a call and sets the RateLimit headers of its answer. It fails
// beyond a quota: with TooMany for the short one, else with Denied and a time
// to wait, by which a client tells a quota from a lack of permission.
//
// A call that is known to be one too many is not counted in the store: calls
// without end must not become writes without end.
func (g *gate) pass(ctx context.Context, h http.Header, company, app int64) error {
	if g.quotas == (Quotas{}) {
		return nil
	}
	who, now := consumer{company, app}, time.Now()
	u, wait := g.enter(who, now)
	if wait > 0 {
		g.setHeaders(h, u)
		return &fattorino.Error{
			Kind: fattorino.TooMany, Code: codeQuota,
			Msg: fmt.Sprintf("company %d has had %d calls in five minutes, which is the limit", company, g.quotas.Short),
			Fix: "wait for the time given in Retry-After", RetryAfter: wait,
		}
	}
	next := u
	next.hour.calls++
	next.month.calls++
	if err := g.exceeded(next, now); err != nil {
		g.setHeaders(h, u)
		return err
	}
	u, err := g.countCall(ctx, who, u)
	if err != nil {
		return err
	}
	g.setHeaders(h, u)
	return g.exceeded(u, now)
}

// enter gives the usage that is known of the consumer's present windows, and
// notes the call among those of the last five minutes. A wait above 0 is how
// long there is no room for it there.
func (g *gate) enter(who consumer, now time.Time) (usage, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	u, known := g.present(now), g.used[who]
	if known.hour.start.Equal(u.hour.start) {
		u.hour = known.hour
	}
	if known.month.start.Equal(u.month.start) {
		u.month = known.month
	}
	if g.quotas.Short == 0 {
		return u, 0
	}
	calls, ok := g.recent[who.company]
	if !ok {
		if len(g.recent) >= maxRemembered {
			forgetSome(g.recent, now.Sub(g.opened))
		}
		calls = &recentCalls{}
		g.recent[who.company] = calls
	}
	return u, calls.enter(now.Sub(g.opened), g.quotas.Short)
}

// present gives the windows of now, without calls.
func (g *gate) present(now time.Time) usage {
	hour := now.UTC().Truncate(time.Hour)
	year, month, _ := now.In(g.rome).Date()
	first := time.Date(year, month, 1, 0, 0, 0, 0, g.rome)
	return usage{
		hour:  window{start: hour, end: hour.Add(time.Hour)},
		month: window{start: first, end: first.AddDate(0, 1, 0)},
	}
}

// countCall counts a call in the store, and remembers what it said.
func (g *gate) countCall(ctx context.Context, who consumer, u usage) (usage, error) {
	var err error
	if g.quotas.Hourly > 0 {
		if u.hour.calls, err = g.count(ctx, fmt.Sprintf("fic:hour:%d:%d", who.company, who.app), u.hour.start); err != nil {
			return u, err
		}
	}
	if g.quotas.Monthly > 0 {
		if u.month.calls, err = g.count(ctx, fmt.Sprintf("fic:month:%d:%d", who.company, who.app), u.month.start); err != nil {
			return u, err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.used[who]; !ok && len(g.used) >= maxRemembered {
		clear(g.used) // the store knows it all
	}
	g.used[who] = u
	return u, nil
}

// exceeded fails where the usage is beyond a quota.
func (g *gate) exceeded(u usage, now time.Time) error {
	denied := func(limit int64, w window, span string) error {
		return &fattorino.Error{
			Kind: fattorino.Denied, Code: codeQuota,
			Msg: fmt.Sprintf("this application has used its %d calls on the company for this %s", limit, span),
			Fix: "wait for the time given in Retry-After", RetryAfter: w.end.Sub(now),
		}
	}
	switch {
	case g.quotas.Monthly > 0 && u.month.calls > g.quotas.Monthly:
		return denied(g.quotas.Monthly, u.month, "month")
	case g.quotas.Hourly > 0 && u.hour.calls > g.quotas.Hourly:
		return denied(g.quotas.Hourly, u.hour, "hour")
	}
	return nil
}

// setHeaders sets the four documented headers, in their documented spelling.
func (g *gate) setHeaders(h http.Header, u usage) {
	set := func(span string, limit, calls int64) {
		if limit > 0 {
			h["RateLimit-"+span+"Remaining"] = []string{strconv.FormatInt(max(limit-calls, 0), 10)}
			h["RateLimit-"+span+"Limit"] = []string{strconv.FormatInt(limit, 10)}
		}
	}
	set("Hourly", g.quotas.Hourly, u.hour.calls)
	set("Monthly", g.quotas.Monthly, u.month.calls)
}

// recentCalls holds the times of the latest calls, counted from the opening of
// the gate, as many as are allowed in the span: a ring once it is full.
type recentCalls struct {
	times  []time.Duration
	oldest int
}

// enter notes a call where there is room for it; else it gives the wait until
// there is.
func (c *recentCalls) enter(now time.Duration, limit int64) (wait time.Duration) {
	if int64(len(c.times)) < limit {
		c.times = append(c.times, now)
		return 0
	}
	if wait := c.times[c.oldest] + shortSpan - now; wait > 0 {
		return wait
	}
	c.times[c.oldest] = now
	c.oldest = (c.oldest + 1) % len(c.times)
	return 0
}

// last is the time of the latest call.
func (c *recentCalls) last() time.Duration {
	return c.times[(c.oldest+len(c.times)-1)%len(c.times)]
}

// forgetSome makes room: it forgets the companies that no call was made on
// lately, or any one where there is none such.
func forgetSome(recent map[int64]*recentCalls, now time.Duration) {
	for company, calls := range recent {
		if now-calls.last() >= shortSpan {
			delete(recent, company)
		}
	}
	for company := range recent {
		if len(recent) < maxRemembered {
			return
		}
		delete(recent, company)
	}
}
