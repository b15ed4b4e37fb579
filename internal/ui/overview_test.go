package ui

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// What needs attention comes first what is worst, each with the one action that
// helps: to those who may do it.
func TestWhatNeedsAttentionSaysWhyAndWhatHelps(t *testing.T) {
	t.Parallel()
	u := start(t).ui
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	l := u.languages[0]
	sub := func(change func(*fattorino.Subscription)) *fattorino.Subscription {
		s := &fattorino.Subscription{ID: 5, Company: 7, Contract: "native", State: fattorino.Active, Sink: "https://erp.example/hooks", Types: []string{"invoice.paid"}}
		change(s)
		return s
	}
	plain := func(*fattorino.Subscription) {}
	disabled := func(s *fattorino.Subscription) { s.State = fattorino.Disabled }
	for _, x := range []struct {
		name         string
		health       fattorino.Health
		title        string // the key of it; empty = no attention is needed
		post, href   string // as an operator is offered
		viewersVisit string // what a viewer is offered
	}{
		{"all is well", fattorino.Health{Subscription: sub(plain), SucceededAt: now}, "", "", "", ""},
		{"two failures", fattorino.Health{Subscription: sub(plain), InARow: 2}, "", "", "", ""},
		{"three failures", fattorino.Health{Subscription: sub(plain), InARow: 3}, "attention.failing", "", "/ui/companies/7/deliveries?subscription=5", "/ui/companies/7/deliveries?subscription=5"},
		{
			"it fails and is about to expire",
			fattorino.Health{Subscription: sub(func(s *fattorino.Subscription) { s.ExpiresAt = now }), InARow: 9},
			"attention.expiring", "/test", "", "/ui/companies/7/subscriptions/5",
		},
		{"its sink did not verify", fattorino.Health{Subscription: sub(func(s *fattorino.Subscription) { s.State = fattorino.Unverified })}, "attention.unverified", "/verify", "", "/ui/companies/7/subscriptions/5"},
		{
			"its sink is being asked",
			fattorino.Health{Subscription: sub(func(s *fattorino.Subscription) { s.State, s.Handshake.Pending = fattorino.Unverified, true })},
			"attention.unverified", "", "/ui/companies/7/subscriptions/5", "/ui/companies/7/subscriptions/5",
		},
		{
			"it ends this week",
			fattorino.Health{Subscription: sub(func(s *fattorino.Subscription) { s.Options.EndsAt = now.Add(24 * time.Hour) })},
			"attention.ends", "", "/ui/companies/7/subscriptions/5/edit", "/ui/companies/7/subscriptions/5",
		},
		{"it ends in a month", fattorino.Health{Subscription: sub(func(s *fattorino.Subscription) { s.Options.EndsAt = now.AddDate(0, 1, 0) })}, "", "", "", ""},
		{"something waits for a minute", fattorino.Health{Subscription: sub(plain), Backlog: 9, OldestAt: now.Add(-time.Minute)}, "", "", "", ""},
		{
			"something waits for an hour",
			fattorino.Health{Subscription: sub(plain), Backlog: 9, OldestAt: now.Add(-time.Hour)},
			"attention.backlog", "", "/ui/companies/7/deliveries?subscription=5&state=pending", "/ui/companies/7/deliveries?subscription=5&state=pending",
		},
		{"it is disabled with nothing to send", fattorino.Health{Subscription: sub(disabled)}, "", "", "", ""},
		{"it is disabled and piles up", fattorino.Health{Subscription: sub(disabled), Backlog: 9, OldestAt: now.Add(-time.Hour)}, "attention.paused", "/enable", "", "/ui/companies/7/subscriptions/5"},
	} {
		for _, r := range []role{viewer, operator} {
			got, found := u.attend(&visit{Role: r, Company: 7, Language: l}, &x.health, now)
			if found != (x.title != "") {
				t.Errorf("%s: attention is needed: %v", x.name, found)
			}
			if !found {
				continue
			}
			post, href := x.post, x.href
			if r == viewer {
				post, href = "", x.viewersVisit
			}
			if post != "" {
				post = "/ui/companies/7/subscriptions/5" + post
			}
			if got.Title != l.T(x.title) || got.Post != post || got.Href != href || got.Action == "" {
				t.Errorf("%s, to a %s: got %+v", x.name, r, got)
			}
		}
	}
}

func TestTheOverviewIsTheFirstPageAndShowsWhatWasCounted(t *testing.T) {
	t.Parallel()
	f := start(t)
	app, b := f.app(), f.signedIn(operator)
	if got := b.post(newPath, wholeForm(app, f.sink())); got.status != http.StatusOK && got.status != http.StatusSeeOther {
		t.Fatal(got.status, got.body)
	}
	now := time.Now()
	counts := fattorino.Counts{Delivered: 12345, Failed: 5}
	counts.Latency.Add(30 * time.Millisecond)
	err := f.store.Commit(t.Context(), &fattorino.Batch{Now: now, Tallies: []fattorino.Tally{
		{Company: 7, At: now.Add(-time.Minute).Truncate(time.Minute), Counts: counts},
		{Company: 7, Subscription: f.one().ID, At: now.Add(-time.Minute).Truncate(time.Minute), Counts: counts},
	}, Pulses: []fattorino.Pulse{{Subscription: f.one().ID, FailedAt: now, InARow: 1234}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.get("/ui/"); got.header.Get("Location") != "/ui/companies/7/overview" {
		t.Errorf("the first page leads to %q", got.header.Get("Location"))
	}
	for path, want := range map[string][]string{
		"/ui/companies/7/overview":                                           {"12,345 in the range", "p50 38 ms", "1,234 attempts failed in a row", "<td class=\"num\">12,345</td>", "<rect"},
		"/ui/companies/7/overview?range=30d":                                 {"12,345 in the range", `range=30d" aria-current="true"`},
		"/ui/companies/7/overview?range=no":                                  {`range=1h" aria-current="true"`},
		"/ui/companies/7/subscriptions":                                      {"12,345 delivered, 5 failed attempts"},
		"/ui/companies/7/subscriptions/" + strconv.FormatInt(f.one().ID, 10): {"<td class=\"num\">12,345</td>"},
	} {
		got := b.get(path)
		for _, text := range want {
			if !strings.Contains(got.body, text) {
				t.Errorf("%s (%d) does not show %s", path, got.status, text)
			}
		}
	}
}

func TestTheOverviewSaysThatAllIsWellOnlyWhereItIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failed     int64
		want, hide string
	}{
		{5, "Everything is in order", "Some attempts have failed lately"},
		{500, "Some attempts have failed lately", "Everything is in order"},
	} {
		f := start(t)
		app, b := f.app(), f.signedIn(operator)
		if got := b.post(newPath, wholeForm(app, f.sink())); got.status != http.StatusOK && got.status != http.StatusSeeOther {
			t.Fatal(got.status, got.body)
		}
		now := time.Now()
		err := f.store.Commit(t.Context(), &fattorino.Batch{Now: now, Tallies: []fattorino.Tally{
			{Company: 7, At: now.Add(-time.Minute).Truncate(time.Minute), Counts: fattorino.Counts{Delivered: 12345, Failed: c.failed}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		got := b.get("/ui/companies/7/overview").body
		if !strings.Contains(got, c.want) || strings.Contains(got, c.hide) {
			t.Errorf("with %d attempts of 12345 that failed it does not say %q alone", c.failed, c.want)
		}
	}
}
