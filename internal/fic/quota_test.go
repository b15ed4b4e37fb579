package fic

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// counters counts like a store: per counter, in its latest window only.
type counters struct {
	mu    sync.Mutex
	start map[string]time.Time
	calls map[string]int64
	total int
	err   error
}

func (c *counters) count(_ context.Context, counter string, start time.Time) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	if c.start == nil {
		c.start, c.calls = map[string]time.Time{}, map[string]int64{}
	}
	if !c.start[counter].Equal(start) {
		c.start[counter], c.calls[counter] = start, 0
	}
	c.calls[counter]++
	c.total++
	return c.calls[counter], nil
}

func testGate(t *testing.T, q Quotas, c *counters) *gate {
	t.Helper()
	g, err := newGate(q, c.count)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// passes makes n calls, which all must pass, and gives the header of the last.
func passes(t *testing.T, g *gate, company, app int64, n int) http.Header {
	t.Helper()
	h := http.Header{}
	for i := range n {
		h = http.Header{}
		if err := g.pass(t.Context(), h, company, app); err != nil {
			t.Fatalf("call %d of app %d on company %d: %v", i+1, app, company, err)
		}
	}
	return h
}

// refusal is how a call was refused.
type refusal struct {
	code   string
	wait   time.Duration
	header http.Header
}

// refuses makes a call that must be refused.
func refuses(t *testing.T, g *gate, company, app int64, kind fattorino.Kind) refusal {
	t.Helper()
	h := http.Header{}
	err := g.pass(t.Context(), h, company, app)
	if err == nil || fattorino.KindOf(err) != kind {
		t.Fatalf("app %d on company %d: %v, want a refusal of kind %d", app, company, err, kind)
	}
	e := fattorino.AsError(err)
	return refusal{e.Code, e.RetryAfter, h}
}

func wantHeaders(t *testing.T, h http.Header, hourly, hourlyLimit, monthly, monthlyLimit int) {
	t.Helper()
	for name, want := range map[string]int{
		"RateLimit-HourlyRemaining": hourly, "RateLimit-HourlyLimit": hourlyLimit,
		"RateLimit-MonthlyRemaining": monthly, "RateLimit-MonthlyLimit": monthlyLimit,
	} {
		if got := h[name]; len(got) != 1 || got[0] != strconv.Itoa(want) {
			t.Errorf("%s is %q, want %d", name, got, want)
		}
	}
}

// A bubble's time begins at midnight UTC, 2000-01-01: at one in the morning in
// Italy.

func TestQuota_OffByDefault(t *testing.T) {
	t.Parallel()
	c := &counters{}
	h := passes(t, testGate(t, Quotas{}, c), 1, 1, 2000)
	if len(h) > 0 || c.total > 0 {
		t.Errorf("headers %v and %d counts without quotas", h, c.total)
	}
}

func TestQuota_TheHourIsFixedAndPerAppAndCompany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &counters{}
		g := testGate(t, Quotas{Hourly: 1000, Monthly: 40000}, c)
		time.Sleep(40 * time.Minute)
		wantHeaders(t, passes(t, g, 1, 1, 160), 840, 1000, 39840, 40000)
		wantHeaders(t, passes(t, g, 1, 1, 840), 0, 1000, 39000, 40000)

		got := refuses(t, g, 1, 1, fattorino.Denied)
		wantHeaders(t, got.header, 0, 1000, 39000, 40000)
		if got.wait != 20*time.Minute || got.code != "QUOTA_REACHED" {
			t.Errorf("refused with %q, again in %v; want the full hour", got.code, got.wait)
		}
		passes(t, g, 2, 1, 1)
		passes(t, g, 1, 2, 1)

		time.Sleep(20*time.Minute - time.Nanosecond)
		refuses(t, g, 1, 1, fattorino.Denied)
		time.Sleep(time.Nanosecond)
		wantHeaders(t, passes(t, g, 1, 1, 1), 999, 1000, 38999, 40000)
	})
}

func TestQuota_TheMonthIsThatOfItaly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := testGate(t, Quotas{Hourly: 1000, Monthly: 5}, &counters{})
		passes(t, g, 1, 1, 5)
		got := refuses(t, g, 1, 1, fattorino.Denied)
		wantHeaders(t, got.header, 995, 1000, 0, 5)
		if want := 31*24*time.Hour - time.Hour; got.wait != want {
			t.Errorf("again in %v, want %v", got.wait, want)
		}
		time.Sleep(got.wait - time.Nanosecond)
		refuses(t, g, 1, 1, fattorino.Denied)
		time.Sleep(time.Nanosecond)
		wantHeaders(t, passes(t, g, 1, 1, 1), 999, 1000, 4, 5)
	})
}

func TestQuota_RefusedCallsAreNotWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &counters{}
		g := testGate(t, Quotas{Hourly: 3, Monthly: 100}, c)
		passes(t, g, 1, 1, 3)
		for range 100 {
			refuses(t, g, 1, 1, fattorino.Denied)
		}
		if c.total != 6 { // an hour and a month for each call that passed
			t.Errorf("%d counts were written, want 6", c.total)
		}
	})
}

func TestQuota_ARestartForgetsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, q := &counters{}, Quotas{Hourly: 3, Monthly: 100}
		passes(t, testGate(t, q, c), 1, 1, 3)
		again := testGate(t, q, c)
		got := refuses(t, again, 1, 1, fattorino.Denied)
		wantHeaders(t, got.header, 0, 3, 96, 100)
	})
}

func TestQuota_TheShortOneSlidesAndIsPerCompany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &counters{}
		g := testGate(t, PublishedQuotas(), c)
		passes(t, g, 1, 1, 100)
		time.Sleep(2 * time.Minute)
		passes(t, g, 1, 2, 200)
		time.Sleep(time.Minute)

		got := refuses(t, g, 1, 2, fattorino.TooMany)
		wantHeaders(t, got.header, 800, 1000, 39800, 40000)
		if got.wait != 2*time.Minute {
			t.Errorf("again in %v, want 2 min: when the first call is 5 min old", got.wait)
		}
		passes(t, g, 2, 1, 1) // another company

		time.Sleep(2 * time.Minute)
		passes(t, g, 1, 1, 100)
		got = refuses(t, g, 1, 1, fattorino.TooMany)
		if got.wait != 2*time.Minute {
			t.Errorf("again in %v, want 2 min", got.wait)
		}
		if want := 2 * (300 + 1 + 100); c.total != want {
			t.Errorf("%d counts were written, want %d", c.total, want)
		}
	})
}

func TestQuota_MemoryIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := testGate(t, Quotas{Hourly: 10, Short: 2}, &counters{})
		for company := range int64(maxRemembered + 100) {
			passes(t, g, company+1, 1, 1)
		}
		if len(g.recent) > maxRemembered || len(g.used) > maxRemembered {
			t.Errorf("%d companies and %d consumers are remembered", len(g.recent), len(g.used))
		}
		time.Sleep(shortSpan)
		passes(t, g, 1_000_000, 1, 1)
		if len(g.recent) != 1 {
			t.Errorf("%d companies are remembered after five quiet minutes, want 1", len(g.recent))
		}
	})
}

func TestQuota_ManyCallsAtOnceDoNotPassIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := testGate(t, Quotas{Hourly: 50, Monthly: 1000, Short: 80}, &counters{})
		var passed atomic.Int64
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				if g.pass(t.Context(), http.Header{}, 1, 1) == nil {
					passed.Add(1)
				}
			})
		}
		all.Wait()
		if passed.Load() != 50 {
			t.Errorf("%d calls passed, want 50", passed.Load())
		}
	})
}

func TestQuota_WhatCannotBeCountedIsNotLetThrough(t *testing.T) {
	t.Parallel()
	broken := &fattorino.Error{Kind: fattorino.Unavailable, Msg: "the disk is full"}
	g := testGate(t, Quotas{Hourly: 50}, &counters{err: broken})
	if err := g.pass(t.Context(), http.Header{}, 1, 1); !errors.Is(err, broken) {
		t.Errorf("%v, want the store's error", err)
	}
}
