package engine_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// counted adds up what the store has of a company's last month.
func (f *fixture) counted(t *testing.T, company, subscription int64) (sum fattorino.Counts) {
	t.Helper()
	now := time.Now()
	buckets, err := f.service.Statistics(context.Background(), f.admin, company, subscription, now.Add(-30*24*time.Hour), now.Add(time.Minute), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range buckets {
		sum = sum.Plus(b.Counts)
	}
	return sum
}

func TestWhatBecomesOfDeliveriesIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given a sink that fails first, and one that refuses everything,
		receiver := &sink{answer: func(_ int, url, event string) *fattorino.Answer {
			switch {
			case len(event) > 8 && event[:8] == "welcome-":
				return &fattorino.Answer{Status: 200}
			case url == "https://bad.example":
				return &fattorino.Answer{Status: 400, Timing: fattorino.Timing{Total: 3 * time.Second}}
			case event == "down":
				return &fattorino.Answer{Failure: fattorino.FailedConnect}
			}
			return &fattorino.Answer{Status: 200, Timing: fattorino.Timing{Total: 20 * time.Millisecond}}
		}}
		dir := t.TempDir()
		f := start(t, dir, receiver)
		good := f.subscribe(t, 1, "https://good.example", "invoice.paid")
		bad := f.subscribe(t, 1, "https://bad.example", "invoice.created")
		synctest.Wait()
		time.Sleep(11 * time.Second)
		synctest.Wait()
		before := f.counted(t, 1, good.ID) // the welcome

		// when events go out,
		for _, id := range []string{"down", "a", "b"} {
			f.publish(t, event(1, id, "invoice.paid", nil))
			f.publish(t, event(1, "bad-"+id, "invoice.created", nil))
			synctest.Wait()
		}
		synctest.Wait()
		if got := f.counted(t, 1, good.ID); got != before {
			t.Errorf("it is written at once: %+v", got)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()

		// then each subscription has its counts, the company has them all,
		got := f.counted(t, 1, good.ID)
		if got.Delivered-before.Delivered != 2 || got.Failed != 2 || got.Discarded != 0 || got.Latency[2] != 2 {
			t.Errorf("the good one: %+v", got)
		}
		if got := f.counted(t, 1, bad.ID); got.Failed != 3 || got.Latency[9] != 3 {
			t.Errorf("the bad one: %+v", got)
		}
		if got := f.counted(t, 1, 0); got != f.counted(t, 1, good.ID).Plus(f.counted(t, 1, bad.ID)) {
			t.Errorf("the company: %+v", got)
		}

		// and the health tells of both.
		health, err := f.service.Health(context.Background(), f.admin, 1)
		if err != nil || len(health) != 2 {
			t.Fatal(health, err)
		}
		if h := health[0]; h.Backlog != 1 || h.InARow != 1 || h.SucceededAt.IsZero() || h.OldestAt.IsZero() {
			t.Errorf("the good one: %+v", h)
		}
		if h := health[1]; h.InARow != 3 || h.FailedAt.IsZero() {
			t.Errorf("the bad one: %+v", h)
		}

		// What was counted just before a stop is there after it.
		f.publish(t, event(1, "last", "invoice.paid", nil))
		synctest.Wait()
		f.stop(t)
		f = start(t, dir, receiver)
		defer f.stop(t)
		if now := f.counted(t, 1, good.ID); now.Delivered != got.Delivered+1 {
			t.Errorf("after a restart %d are delivered, want %d", now.Delivered, got.Delivered+1)
		}
	})
}

func TestStatisticsOfManySubscriptionsAreWrittenInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given a subscription of each of many companies, and events for all of them
		// before and after a minute begins,
		var store *counting
		f := start(t, t.TempDir(), &sink{}, func(c *setup) {
			c.wrap = func(s fattorino.Store) fattorino.Store {
				store = &counting{Store: s}
				return store
			}
		})
		defer f.stop(t)
		const companies = 700
		for i := range companies {
			f.subscribe(t, int64(1+i), "https://a.example", "invoice.paid")
		}
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute + 57*time.Second)))
		for round := range 2 {
			for i := range companies {
				f.publish(t, event(int64(1+i), fmt.Sprint(round), "invoice.paid", nil))
			}
			time.Sleep(4 * time.Second)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()

		// then no commit has many of their counts, and together they have all.
		if store.most == 0 || store.most > 1024 {
			t.Errorf("a commit had the counts of %d, want some hundreds", store.most)
		}
		for i := range companies {
			if got := f.counted(t, int64(1+i), 0); got.Delivered != 3 { // with the welcome
				t.Fatalf("company %d: %d are counted, want 3", 1+i, got.Delivered)
			}
		}
	})
}

// counting is a store that notes how many counts come at a time.
type counting struct {
	fattorino.Store
	most int
}

func (s *counting) Commit(ctx context.Context, b *fattorino.Batch) error {
	s.most = max(s.most, len(b.Tallies)+len(b.Pulses))
	return s.Store.Commit(ctx, b)
}

func TestStatisticsThatCannotBeWrittenWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var store *failing
		f := start(t, t.TempDir(), &sink{}, func(c *setup) {
			c.wrap = func(s fattorino.Store) fattorino.Store {
				store = &failing{Store: s}
				return store
			}
		})
		defer f.stop(t)
		sub := f.subscribe(t, 1, "https://a.example", "invoice.paid")
		f.publish(t, event(1, "a", "invoice.paid", nil))
		synctest.Wait()
		store.set(true)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		store.set(false)
		f.publish(t, event(1, "b", "invoice.paid", nil))
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := f.counted(t, 1, sub.ID); got.Delivered != int64(len(f.log(t, 1)))+1 { // and the welcome
			t.Errorf("%d are counted of %d and a welcome", got.Delivered, len(f.log(t, 1)))
		}
	})
}

func TestAProgramThatIsRestartedEveryDayPrunesAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		keep := func(c *setup) { c.Retention = 24 * time.Hour }
		f := start(t, dir, &sink{}, keep)
		f.subscribe(t, 1, "https://a.example", "invoice.paid")
		f.publish(t, event(1, "old", "invoice.paid", nil))
		synctest.Wait()
		f.stop(t)
		time.Sleep(25 * time.Hour)
		f = start(t, dir, &sink{}, keep)
		defer f.stop(t)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if log := f.log(t, 1); len(log) != 0 {
			t.Errorf("there are still %d deliveries", len(log))
		}
	})
}
