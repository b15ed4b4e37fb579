package fattorino_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// counted adds up what a caller is told of the last hour.
func (f *fixture) counted(tb testing.TB, caller *fattorino.Token, subscription int64) (sum fattorino.Counts) {
	tb.Helper()
	now := time.Now()
	buckets, err := f.Statistics(context.Background(), caller, 7, subscription, now.Add(-time.Hour), now, time.Minute)
	if err != nil {
		tb.Fatal(err)
	}
	if len(buckets) < 60 {
		tb.Errorf("%d steps of a minute in an hour", len(buckets))
	}
	for _, b := range buckets {
		sum = sum.Plus(b.Counts)
	}
	return sum
}

func TestStatisticsAreOfTheCallersOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		f := setup(t)
		own := f.subscribe(t, f.app, wish(here, paid))
		foreign := f.subscribe(t, f.rival, wish(there, paid))
		f.publish(t, happened("e1", paid), happened("e2", paid))
		time.Sleep(2 * time.Minute)
		synctest.Wait()

		mine, theirs, all := f.counted(t, f.app, 0), f.counted(t, f.rival, 0), f.counted(t, f.admin, 0)
		if mine.Delivered < 2 || mine != f.counted(t, f.app, own.ID) || theirs != f.counted(t, f.admin, foreign.ID) {
			t.Errorf("an app is told %+v, the other %+v", mine, theirs)
		}
		if all != mine.Plus(theirs) {
			t.Errorf("the operator is told %+v, want the sum of %+v and %+v", all, mine, theirs)
		}
		now := time.Now()
		each, err := f.Vitals(ctx, f.app, []*fattorino.Subscription{own, foreign}, now.Add(-time.Hour), now, time.Minute)
		if err != nil || len(each) != 1 || len(each[own.ID].Buckets) == 0 || each[own.ID].SucceededAt.IsZero() {
			t.Errorf("of each it is told of %d, %v", len(each), err)
		}
		each, err = f.Vitals(ctx, &fattorino.Token{Kind: fattorino.APIToken, App: own.App, Companies: []int64{8}}, []*fattorino.Subscription{own}, now.Add(-time.Hour), now, time.Minute)
		if err != nil || len(each) != 0 {
			t.Errorf("without the company it is told of %d, %v", len(each), err)
		}
		health, err := f.Health(ctx, f.app, 7)
		if err != nil || len(health) != 1 || health[0].Subscription.ID != own.ID {
			t.Errorf("the health it is told of is %v, %v", health, err)
		}
		for name, x := range map[string]struct {
			caller       *fattorino.Token
			subscription int64
			want         fattorino.Kind
		}{
			"another app's subscription":           {f.app, foreign.ID, fattorino.NotFound},
			"a subscription that never was":        {f.admin, 999, fattorino.NotFound},
			"an integrator with another company":   {&fattorino.Token{Kind: fattorino.APIToken, App: 1, Companies: []int64{8}}, 0, fattorino.Denied},
			"a publisher":                          {&fattorino.Token{Kind: fattorino.PublishToken, Scopes: []string{"*"}}, 0, fattorino.Denied},
			"a publisher, of one subscription":     {&fattorino.Token{Kind: fattorino.PublishToken, Scopes: []string{"*"}}, own.ID, fattorino.Denied},
			"an app that has none, of one of them": {&fattorino.Token{Kind: fattorino.APIToken, App: 9}, own.ID, fattorino.NotFound},
		} {
			_, err := f.Statistics(ctx, x.caller, 7, x.subscription, now.Add(-time.Hour), now, time.Minute)
			if fattorino.KindOf(err) != x.want {
				t.Errorf("%s: got %v, want %v", name, err, x.want)
			}
		}
	})
}

func TestStepsAreWholeMinutesAndNotTooMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		now := time.Now()
		for name, x := range map[string]struct {
			from time.Time
			step time.Duration
		}{
			"half a minute":                  {now.Add(-time.Hour), 30 * time.Second},
			"no step":                        {now.Add(-time.Hour), 0},
			"a minute and a half":            {now.Add(-time.Hour), 90 * time.Second},
			"a range that ends at its start": {now, time.Minute},
			"minutes of a month":             {now.Add(-30 * 24 * time.Hour), time.Minute},
		} {
			_, err := f.Statistics(context.Background(), f.admin, 7, 0, x.from, now, x.step)
			if fattorino.KindOf(err) != fattorino.Invalid {
				t.Errorf("%s: got %v, want Invalid", name, err)
			}
		}
	})
}

func TestHealthTellsOfASinkThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.subscribe(t, f.app, wish(here, paid))
		synctest.Wait()
		f.sinks.nowAnswer(http.StatusServiceUnavailable)
		published := time.Now()
		f.publish(t, happened("e1", paid))
		time.Sleep(11 * time.Second)
		synctest.Wait()
		health, err := f.Health(context.Background(), f.admin, 7)
		if err != nil || len(health) != 1 {
			t.Fatal(health, err)
		}
		if h := health[0]; h.InARow == 0 || h.FailedAt.Before(published) || h.Backlog != 1 || h.More || !h.OldestAt.Equal(published) {
			t.Errorf("it tells %+v", h)
		}
	})
}
