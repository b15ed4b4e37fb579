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
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

// counts is a store, and how often it was asked to count.
type counts struct {
	*sqlite.Store
	asked atomic.Int64
}

func openCounts(t *testing.T) *counts {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return &counts{Store: store}
}

func (c *counts) count(ctx context.Context, f func(fattorino.CounterTx) error) error {
	c.asked.Add(1)
	return c.Update(ctx, func(tx fattorino.Tx) error { return f(tx) })
}

// kept gives what is counted in the store under a name.
func (c *counts) kept(t *testing.T, name string) int64 {
	t.Helper()
	var list []fattorino.Counter
	err := c.Update(t.Context(), func(tx fattorino.Tx) (err error) {
		list, err = tx.Counters(name)
		return err
	})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d counters %s, %v", len(list), name, err)
	}
	return list[0].Count
}

func testGate(t *testing.T, q Quotas, c *counts) *gate {
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
		wantHeader(t, h, name, want)
	}
}

func wantHeader(t *testing.T, h http.Header, name string, want int) {
	t.Helper()
	if got := h[name]; len(got) != 1 || got[0] != strconv.Itoa(want) {
		t.Errorf("%s is %q, want %d", name, got, want)
	}
}

// A bubble's time begins at midnight UTC, 2000-01-01: at one in the morning in
// Italy.

func TestQuota_OffByDefault(t *testing.T) {
	t.Parallel()
	c := openCounts(t)
	h := passes(t, testGate(t, Quotas{}, c), 1, 1, 2000)
	if len(h) > 0 || c.asked.Load() > 0 {
		t.Errorf("headers %v and %d counts without quotas", h, c.asked.Load())
	}
}

func TestQuota_TheHourIsFixedAndPerAppAndCompany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := openCounts(t)
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
		g := testGate(t, Quotas{Hourly: 1000, Monthly: 5}, openCounts(t))
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

func TestQuota_RefusedCallsAreNotCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := openCounts(t)
		g := testGate(t, Quotas{Hourly: 3, Monthly: 100}, c)
		passes(t, g, 1, 1, 3)
		for range 100 {
			refuses(t, g, 1, 1, fattorino.Denied)
		}
		if hour, asked := c.kept(t, "fic:hour:1:1"), c.asked.Load(); hour != 3 || asked != 3 {
			t.Errorf("%d calls are counted, the store was asked %d times; want 3 and 3", hour, asked)
		}
	})
}

func TestQuota_ARestartForgetsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, q := openCounts(t), Quotas{Hourly: 3, Monthly: 100}
		passes(t, testGate(t, q, c), 1, 1, 3)
		again := testGate(t, q, c)
		got := refuses(t, again, 1, 1, fattorino.Denied)
		wantHeaders(t, got.header, 0, 3, 97, 100)
	})
}

func TestQuota_TheShortOneSlidesAndIsPerCompany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := openCounts(t)
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
		if want := int64(300 + 1 + 100); c.asked.Load() != want {
			t.Errorf("the store was asked %d times, want %d", c.asked.Load(), want)
		}
	})
}

func TestQuota_TheShortOneIsOneForAllGates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Given the gates of two nodes, and of one that is started later,
		c, q := openCounts(t), Quotas{Hourly: 100, Short: 10}
		one, two := testGate(t, q, c), testGate(t, q, c)
		time.Sleep(4 * time.Second)

		// when calls come to both of them,
		passes(t, one, 1, 1, 6)
		passes(t, two, 1, 2, 4)

		// then no gate lets more through than the quota, and none of them counts
		// what it refuses.
		for _, g := range []*gate{one, two, testGate(t, q, c)} {
			for range 3 {
				got := refuses(t, g, 1, 1, fattorino.TooMany)
				wantHeader(t, got.header, "RateLimit-HourlyRemaining", 94)
				if want := shortSpan - 4*time.Second; got.wait != want {
					t.Errorf("again in %v, want %v", got.wait, want)
				}
			}
		}
		if n := c.kept(t, "fic:hour:1:1"); n != 6 {
			t.Errorf("%d calls of the hour, want 6", n)
		}
	})
}

// A call counts for five minutes, or up to a slot less.
func TestQuota_TheShortOneIsForgottenSlotBySlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := openCounts(t)
		g := testGate(t, Quotas{Short: 40}, c)
		for range 40 { // one each 7.5 s: what 300 in 5 min are to the half of a slot
			passes(t, g, 1, 1, 1)
			time.Sleep(slot / 2)
		}
		// At this pace it goes on for ever,
		for range 100 {
			passes(t, g, 1, 1, 1)
			time.Sleep(slot / 2)
		}
		// and what it leaves behind is as many counters as there are slots.
		err := c.Update(t.Context(), func(tx fattorino.Tx) error {
			list, err := tx.Counters(slotNames(1)...)
			if len(list) != slots {
				t.Errorf("%d counters, want %d", len(list), slots)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		// Faster than that it is refused, until a slot is forgotten.
		passes(t, g, 1, 1, 2)
		if got := refuses(t, g, 1, 1, fattorino.TooMany); got.wait != slot {
			t.Errorf("again in %v, want %v", got.wait, slot)
		}
	})
}

func TestQuota_MemoryIsBounded(t *testing.T) {
	t.Parallel()
	g, now := testGate(t, PublishedQuotas(), openCounts(t)), time.Now()
	for company := range int64(maxRemembered + 100) {
		g.remember(consumer{company, 1}, g.present(now), now.Add(time.Minute), now)
	}
	if len(g.full) > maxRemembered || len(g.used) > maxRemembered {
		t.Errorf("%d companies and %d consumers are remembered", len(g.full), len(g.used))
	}
	last := int64(maxRemembered + 99)
	if _, full := g.known(consumer{last, 1}, now); !full.Equal(now.Add(time.Minute)) {
		t.Errorf("the last company is full until %v, want in a minute", full)
	}
	g.remember(consumer{last, 1}, g.present(now), time.Time{}, now)
	if _, full := g.known(consumer{last, 1}, now); !full.IsZero() {
		t.Errorf("the last company is still full, until %v", full)
	}
}

func TestQuota_ManyCallsAtOnceDoNotPassIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := testGate(t, Quotas{Hourly: 50, Monthly: 1000, Short: 80}, openCounts(t))
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
	g, err := newGate(Quotas{Hourly: 50}, func(context.Context, func(fattorino.CounterTx) error) error { return broken })
	if err != nil {
		t.Fatal(err)
	}
	if err := g.pass(t.Context(), http.Header{}, 1, 1); !errors.Is(err, broken) {
		t.Errorf("%v, want the store's error", err)
	}
}
