package simulation_test

import (
	"context"
	"iter"
	"maps"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func mapKeys[V any](m map[int64]V) iter.Seq[int64] { return maps.Keys(m) }

// compare holds what the store has in the end to what it was given.
func (c *checker) compare(s fattorino.Reader) {
	ctx, count := context.Background(), 0
	check := func(err error) {
		if err != nil {
			c.violate(nil, "the store cannot be read: %v", err)
		}
	}
	for company := int64(1); company <= companies; company++ {
		events, err := s.Events(ctx, fattorino.EventQuery{Company: company, Limit: 10_000})
		check(err)
		count += len(events)
		for i, e := range events {
			known := c.events[e.ID]
			if known == nil || known.kept.pruned || known.Seq != e.Seq || string(known.Data) != string(e.Data) {
				c.violate([]string{" " + short(e.ID) + " "}, "event %s is in the store with seq %d", short(e.ID), e.Seq)
			}
			if i > 0 && (e.Accepted.Before(events[i-1].Accepted) || e.Key <= events[i-1].Key) {
				c.violate([]string{" " + short(e.ID) + " "}, "event %s was accepted before the one before it", short(e.ID))
			}
		}
	}
	left := 0
	for _, k := range c.kept {
		if !k.pruned && !k.Private() {
			left++
		}
	}
	if count != left {
		c.violate(nil, "the store has %d events, it is to have %d", count, left)
	}
	for _, sub := range c.subscriptions {
		kept, err := s.Subscription(ctx, sub.ID)
		check(err)
		if err == nil && (kept.State != sub.State || kept.Sink != sub.Sink || !near(kept.ExpiresAt, sub.ExpiresAt)) {
			c.violate(sub.about(), "subscription %d is %s in the store, it was left %s", sub.ID, kept.State, sub.State)
		}
	}
	for id, d := range c.deliveries {
		kept, err := s.Delivery(ctx, id)
		if d.kept.pruned {
			if fattorino.KindOf(err) != fattorino.NotFound {
				c.violate(d.about(), "delivery %d is in the store, and was deleted", id)
			}
			continue
		}
		check(err)
		attempts, err := s.Attempts(ctx, id)
		check(err)
		if kept == nil || kept.State != d.State || kept.Reason != d.Reason || !near(kept.DueAt, d.DueAt) || kept.Attempts != d.Attempts || len(attempts) > d.Attempts || len(attempts) < c.attemptsKept(d) {
			c.violate(d.about(), "delivery %d is %+v in the store with %d attempts; it was left %+v", id, kept, len(attempts), d.Delivery)
		}
	}
}

// attemptsKept gives how many attempts of a delivery are there at least: those
// made since the retention.
func (c *checker) attemptsKept(d *delivery) (n int) {
	for _, x := range d.attempts {
		if x.recorded && x.written.Add(-lateness).After(c.prunedBefore) {
			n++
		}
	}
	if c.prunedBefore.IsZero() {
		return d.Attempts
	}
	return n
}

// shown is how many lines of the history are printed for a violation.
const shown = 60

// report fails the test with what is wrong and the history around it.
func (c *checker) report(t *testing.T, seed uint64, whole bool) {
	t.Helper()
	all := c.history.all()
	if whole {
		for _, e := range all {
			t.Log(c.line(e))
		}
	}
	for i, v := range c.violations {
		if i == 5 {
			t.Errorf("and %d more", len(c.violations)-i)
			break
		}
		var lines []string
		for _, e := range all[:min(v.index+1, len(all))] {
			if line := c.line(e); concerns(e, line, v.concerns) {
				lines = append(lines, line)
			}
		}
		t.Errorf("%s\n%s", v.text, strings.Join(lines[max(0, len(lines)-shown):], "\n"))
	}
	if len(c.violations) > 0 {
		t.Logf("again: go test ./internal/simulation -run TestSimulation -seed %d -v", seed)
	}
}

// line writes an entry: when since the beginning, in which life, what.
func (c *checker) line(e entry) string {
	at := e.at.Sub(c.history.begun).String()
	return strings.Repeat(" ", max(0, 18-len(at))) + at + "  life " + string(rune('0'+e.life%10)) + "  " + e.what.String()
}

// concerns tells whether a line is worth reading for a violation.
func concerns(e entry, line string, about []string) bool {
	switch e.what.(type) {
	case *started, *crashed, *stopped, *stopping, *drained:
		return true
	}
	line += " "
	for _, text := range about {
		if strings.Contains(line, text) || strings.Contains(line, strings.TrimSpace(text)+",") {
			return true
		}
	}
	return false
}
