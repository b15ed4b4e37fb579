package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// counts makes counts of which each column has another value.
func counts(n int64) fattorino.Counts {
	c := fattorino.Counts{Delivered: n, Failed: n + 1, Discarded: n + 2}
	for i := range c.Latency {
		c.Latency[i] = n + 3 + int64(i)
	}
	return c
}

func (b *bundle) tallied(company int64, from, to time.Time, step time.Duration, subscriptions ...int64) []fattorino.Tally {
	b.t.Helper()
	all, err := b.Tallies(ctx, fattorino.TallyQuery{Company: company, Subscriptions: subscriptions, From: from, To: to, Step: step})
	b.must(err)
	return all
}

func testTallies(t *testing.T, b *bundle) {
	minute := start.Truncate(time.Hour).Add(58 * time.Minute)
	tally := func(subscription, minutes, n int64) fattorino.Tally {
		return fattorino.Tally{Company: 7, Subscription: subscription, At: minute.Add(time.Duration(minutes) * time.Minute), Counts: counts(n)}
	}
	// Given minutes on both sides of a full hour, one of them in two writings, of
	// two subscriptions, and another company's,
	foreign := tally(1, 0, 1000)
	foreign.Company = 8
	b.must(b.Commit(ctx, &fattorino.Batch{Now: start, Tallies: []fattorino.Tally{tally(1, 0, 1), tally(1, 1, 10), tally(2, 1, 100), foreign}}))
	b.must(b.Commit(ctx, &fattorino.Batch{Now: start, Tallies: []fattorino.Tally{tally(1, 0, 2), tally(1, 2, 20)}}))

	twice := tally(1, 0, 1)
	twice.Counts = twice.Plus(counts(2))
	want := []fattorino.Tally{twice, tally(1, 1, 10), tally(1, 2, 20)}
	for i := range want {
		want[i].Subscription = 0 // they are asked for together
	}
	if got := b.tallied(7, minute, minute.Add(time.Hour), time.Minute, 1); !cmp.Equal(got, want, same) {
		t.Errorf("by the minute: %s", cmp.Diff(want, got, same))
	}
	if got := b.tallied(7, minute.Add(time.Minute), minute.Add(2*time.Minute), time.Minute, 1); !cmp.Equal(got, want[1:2], same) {
		t.Errorf("of one minute: %s", cmp.Diff(want[1:2], got, same))
	}

	// then they are added up by the step,
	hours := []fattorino.Tally{
		{Company: 7, At: minute.Truncate(time.Hour), Counts: twice.Plus(counts(10)).Plus(counts(100))},
		{Company: 7, At: minute.Truncate(time.Hour).Add(time.Hour), Counts: counts(20)},
	}
	checkHours := func(when string) {
		t.Helper()
		from := minute.Truncate(time.Hour)
		if got := b.tallied(7, from, from.Add(2*time.Hour), time.Hour, 1, 2); !cmp.Equal(got, hours, same) {
			t.Errorf("by the hour %s: %s", when, cmp.Diff(hours, got, same))
		}
	}
	checkHours("as it was counted")

	// also when the minutes before the hour's last are rolled into their hours,
	b.tidy(func(tx fattorino.Tx) (bool, error) { return tx.RollTallies(minute.Add(time.Minute)) })
	checkHours("with a minute rolled")
	if got := b.tallied(7, minute, minute.Add(time.Hour), time.Minute, 1); len(got) != 2 {
		t.Errorf("%d minutes are left, want 2", len(got))
	}
	b.tidy(func(tx fattorino.Tx) (bool, error) { return tx.RollTallies(minute.Add(time.Hour)) })
	b.reopen(b)
	checkHours("with all rolled")

	// and an hour goes when its time is over.
	b.tidy(func(tx fattorino.Tx) (bool, error) { return tx.PruneTallies(minute) })
	hours = hours[1:]
	if got := b.tallied(7, start.AddDate(0, 0, -1), start.AddDate(0, 0, 1), time.Hour, 1, 2); !cmp.Equal(got, hours, same) {
		t.Errorf("after pruning: %s", cmp.Diff(hours, got, same))
	}
}

// tidy takes steps until there are no more.
func (b *bundle) tidy(step func(fattorino.Tx) (bool, error)) {
	b.t.Helper()
	for more := true; more; {
		b.update(func(tx fattorino.Tx) (err error) {
			more, err = step(tx)
			return err
		})
	}
}

func testPulses(t *testing.T, b *bundle) {
	sub := b.subscribe(7, 1)
	for _, step := range []struct{ wrote, want fattorino.Pulse }{
		{fattorino.Pulse{FailedAt: start, InARow: 2}, fattorino.Pulse{FailedAt: start, InARow: 2}},
		{fattorino.Pulse{FailedAt: start.Add(time.Minute), InARow: 3}, fattorino.Pulse{FailedAt: start.Add(time.Minute), InARow: 5}},
		{fattorino.Pulse{SucceededAt: start.Add(time.Hour), Broken: true}, fattorino.Pulse{FailedAt: start.Add(time.Minute), SucceededAt: start.Add(time.Hour)}},
		{
			fattorino.Pulse{SucceededAt: start.Add(2 * time.Hour), FailedAt: start.Add(3 * time.Hour), InARow: 1, Broken: true},
			fattorino.Pulse{SucceededAt: start.Add(2 * time.Hour), FailedAt: start.Add(3 * time.Hour), InARow: 1},
		},
	} {
		step.wrote.Subscription, step.want.Subscription = sub.ID, sub.ID
		b.must(b.Commit(ctx, &fattorino.Batch{Now: start, Pulses: []fattorino.Pulse{step.wrote}}))
		got, err := b.Pulses(ctx, []int64{sub.ID, sub.ID + 1000})
		b.must(err)
		if !cmp.Equal(got, []fattorino.Pulse{step.want}, same) {
			t.Errorf("after %+v: %+v, want %+v", step.wrote, got, step.want)
		}
	}
}

func testUnsettled(t *testing.T, b *bundle) {
	sub, other := b.subscribe(7, 1), b.subscribe(7, 1)
	check := func(when string, most, count int, oldest time.Time) {
		t.Helper()
		got, err := b.Unsettled(ctx, sub.ID, most)
		b.must(err)
		if got.Count != count || !got.OldestAt.Equal(oldest) {
			t.Errorf("%s: %d since %v, want %d since %v", when, got.Count, got.OldestAt, count, oldest)
		}
	}
	check("at first", 10, 0, time.Time{})

	var all []*fattorino.Delivery
	for i, id := range []string{"a", "b", "c", "d", "e"} {
		p := b.publish(start.Add(time.Duration(i)*time.Minute), []int64{sub.ID, other.ID}, invoice(7, id, i))
		all = append(all, &fattorino.Delivery{ID: p.First[0], Subscription: sub.ID, Event: p.Events[0]})
	}
	check("with five never tried", 10, 5, start)
	check("of which three are counted", 3, 3, start)

	outcome := func(d *fattorino.Delivery) {
		b.must(b.Commit(ctx, &fattorino.Batch{Now: start, Outcomes: []fattorino.Outcome{{Delivery: d}}}))
	}
	all[0].State, all[0].SettledAt = fattorino.Delivered, start
	outcome(all[0])
	all[1].DueAt = start.Add(time.Hour)
	outcome(all[1])
	all[2].State, all[2].WaitsFor = fattorino.Waiting, 42
	outcome(all[2])
	b.must(b.Commit(ctx, &fattorino.Batch{Now: start, Settled: []fattorino.Settled{{Subscription: sub.ID, Delivery: all[2].ID}}}))
	check("with one delivered, one due again, one that waits, two never tried", 10, 4, start.Add(time.Minute))

	for _, d := range all[1:3] {
		fattorino.Discard(d, fattorino.Refused, start)
		outcome(d)
	}
	check("with two never tried", 10, 2, start.Add(3*time.Minute))
}
