package fic

import (
	"context"
	"fmt"
	"net/http"
	"slices"
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
	Short   int64 // calls on one company, of whatever app, in the last five minutes
}

// PublishedQuotas are those of Fatture in Cloud.
func PublishedQuotas() Quotas { return Quotas{Hourly: 1000, Monthly: 40000, Short: 300} }

// The calls of the last five minutes are counted in slots of the clock, each of
// which is forgotten at once: a call may be forgotten up to a slot too early, and
// none is counted for longer than it should be.
const (
	shortSpan = 5 * time.Minute
	slots     = 20
	slot      = shortSpan / slots
)

// maxRemembered bounds the companies, and the pairs of app and company, that a
// gate remembers.
const maxRemembered = 10_000

// A gate holds calls to the quotas. They are counted in the store, so that
// neither a restart nor another node forgets them. What it said is remembered,
// so that it need not be asked what is known.
type gate struct {
	quotas Quotas
	count  func(ctx context.Context, f func(fattorino.CounterTx) error) error
	rome   *time.Location

	mu   sync.Mutex
	used map[consumer]usage
	full map[int64]time.Time // by company: until when Quotas.Short is used up
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

func newGate(q Quotas, count func(context.Context, func(fattorino.CounterTx) error) error) (*gate, error) {
	rome, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		return nil, fmt.Errorf("fic: quotas: %w", err)
	}
	return &gate{quotas: q, count: count, rome: rome, used: map[consumer]usage{}, full: map[int64]time.Time{}}, nil
}

// pass counts a call and sets the RateLimit headers of its answer. It fails
// beyond a quota: with TooMany for the short one, else with Denied and a time
// to wait, by which a client tells a quota from a lack of permission.
//
// A call that is one too many is not counted. Where that is known before, the
// store is not asked: calls without end must not become work without end.
func (g *gate) pass(ctx context.Context, h http.Header, company, app int64) error {
	if g.quotas == (Quotas{}) {
		return nil
	}
	who, now := consumer{company, app}, time.Now()
	u, full := g.known(who, now)
	err := g.refusal(who, u.plus(1), full, now)
	if err == nil {
		u, err = g.countCall(ctx, who, now)
	}
	if err == nil || fattorino.AsError(err).Code == codeQuota {
		g.setHeaders(h, u)
	}
	return err
}

// known gives what is known of the consumer's present windows, and until when
// the company's short quota is used up. Of a consumer that is not known the store
// has to tell, for the headers of a refusal too.
func (g *gate) known(who consumer, now time.Time) (u usage, full time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	u, known := g.present(now), g.used[who]
	if known.month.start.Equal(u.month.start) {
		u.month = known.month
	}
	if known.hour.start.Equal(u.hour.start) {
		u.hour, full = known.hour, g.full[who.company]
	}
	return u, full
}

// remember keeps what the store said.
func (g *gate) remember(who consumer, u usage, full, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.used[who]; !ok && len(g.used) >= maxRemembered {
		clear(g.used) // the store knows it all
	}
	g.used[who] = u
	if !now.Before(full) {
		delete(g.full, who.company)
		return
	}
	if len(g.full) >= maxRemembered {
		clear(g.full)
	}
	g.full[who.company] = full
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

// plus gives the usage with n calls more.
func (u usage) plus(n int64) usage {
	u.hour.calls += n
	u.month.calls += n
	return u
}

// countCall counts a call in the store, unless it is one too many there. It
// gives the usage as it then is, and remembers it.
func (g *gate) countCall(ctx context.Context, who consumer, now time.Time) (u usage, err error) {
	var full time.Time
	err = g.count(ctx, func(tx fattorino.CounterTx) error {
		u = g.present(now)
		c := g.counters(who, u, now)
		if err := tx.Count(c.kept...); err != nil {
			return err
		}
		u.hour.calls, u.month.calls = c.hour.Count, c.month.Count
		var recent []fattorino.Counter
		if g.quotas.Short > 0 {
			if recent, err = tx.Counters(slotNames(who.company)...); err != nil {
				return err
			}
		}
		full = roomAt(recent, g.quotas.Short+1, now) // this call is among them
		if err := g.refusal(who, u, full, now); err != nil {
			return err
		}
		full = roomAt(recent, g.quotas.Short, now)
		return nil
	})
	if err != nil {
		if fattorino.AsError(err).Code != codeQuota {
			return u, err
		}
		u = u.plus(-1)
	}
	g.remember(who, u, full, now)
	return u, err
}

// roomAt gives the time from which fewer calls than the limit count, of those
// counted in slots; zero = now.
func roomAt(counted []fattorino.Counter, limit int64, now time.Time) (at time.Time) {
	counted = slices.DeleteFunc(slices.Clone(counted), func(c fattorino.Counter) bool { return !now.Before(c.Window.Add(shortSpan)) })
	slices.SortFunc(counted, func(a, b fattorino.Counter) int { return a.Window.Compare(b.Window) })
	calls := int64(0)
	for _, c := range counted {
		calls += c.Count
	}
	for _, c := range counted {
		if calls < limit {
			break
		}
		calls -= c.Count
		at = c.Window.Add(shortSpan)
	}
	return at
}

// callCounters are the counters of a call; those without a quota are not kept.
type callCounters struct {
	hour, month, short *fattorino.Counter
	kept               []*fattorino.Counter
}

func (g *gate) counters(who consumer, u usage, now time.Time) callCounters {
	start := now.UTC().Truncate(slot)
	c := callCounters{
		hour:  &fattorino.Counter{Name: fmt.Sprintf("fic:hour:%d:%d", who.company, who.app), Window: u.hour.start},
		month: &fattorino.Counter{Name: fmt.Sprintf("fic:month:%d:%d", who.company, who.app), Window: u.month.start},
		short: &fattorino.Counter{Name: slotName(who.company, int(start.Unix()/int64(slot/time.Second)%slots)), Window: start},
	}
	for _, x := range []struct {
		quota   int64
		counter *fattorino.Counter
	}{{g.quotas.Hourly, c.hour}, {g.quotas.Monthly, c.month}, {g.quotas.Short, c.short}} {
		if x.quota > 0 {
			c.kept = append(c.kept, x.counter)
		}
	}
	return c
}

// slotName names the counter of a slot. There are as many as are counted at a
// time, and each is used anew when its turn comes: so they never become more.
func slotName(company int64, i int) string { return fmt.Sprintf("fic:short:%d:%d", company, i) }

func slotNames(company int64) []string {
	names := make([]string, slots)
	for i := range names {
		names[i] = slotName(company, i)
	}
	return names
}

// refusal says why a call is not let through: its consumer would have the usage,
// and the short quota is used up until full. It is nil where the call is within
// the quotas.
func (g *gate) refusal(who consumer, u usage, full, now time.Time) error {
	denied := func(limit int64, w window, span string) error {
		return &fattorino.Error{
			Kind: fattorino.Denied, Code: codeQuota,
			Msg: fmt.Sprintf("this application has used its %d calls on the company for this %s", limit, span),
			Fix: "wait for the time given in Retry-After", RetryAfter: w.end.Sub(now),
		}
	}
	switch {
	case g.quotas.Short > 0 && now.Before(full):
		return &fattorino.Error{
			Kind: fattorino.TooMany, Code: codeQuota,
			Msg: fmt.Sprintf("company %d has had %d calls in five minutes, which is the limit", who.company, g.quotas.Short),
			Fix: "wait for the time given in Retry-After", RetryAfter: full.Sub(now),
		}
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
