package api

import (
	"net/http"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// GetStatistics tells what became of a company's deliveries.
func (s *server) GetStatistics(w http.ResponseWriter, r *http.Request, company CompanyID, params GetStatisticsParams) {
	s.do(w, r, func() error {
		if params.Subscription < 0 {
			return badParameter("subscription", "subscription is %d: ids are positive", params.Subscription)
		}
		now := time.Now()
		from, to, step := rangeOf(params, now)
		buckets, err := s.Service.Statistics(r.Context(), callerOf(r), company, params.Subscription, from, to, step)
		if err != nil {
			return err
		}
		answer := Statistics{From: from.UTC(), To: to.UTC(), Step: int(step.Seconds()), Steps: make([]CountsOfStep, 0, len(buckets))}
		var total fattorino.Counts
		for _, b := range buckets {
			total = total.Plus(b.Counts)
			c := showCounts(&b.Counts)
			answer.Steps = append(answer.Steps, CountsOfStep{
				At: b.At, Delivered: c.Delivered, Failed: c.Failed, Discarded: c.Discarded, SuccessRate: c.SuccessRate, P50Ms: c.P50Ms, P95Ms: c.P95Ms, P99Ms: c.P99Ms,
			})
		}
		answer.Total = showCounts(&total)
		if answer.Backlog, err = s.backlog(r, company, params.Subscription); err != nil {
			return err
		}
		return httpjson.Write(w, http.StatusOK, answer)
	})
}

// rangeOf gives the range that is asked for, where nothing is said the last
// hour, and how long a step is.
func rangeOf(params GetStatisticsParams, now time.Time) (from, to time.Time, step time.Duration) {
	const about = 60 // steps
	from, to, step = params.From, params.To, time.Duration(params.Step)*time.Second
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = to.Add(-time.Hour)
	}
	if params.Step != 0 {
		return from, to, step
	}
	unit := time.Minute
	if now.Sub(from) > fattorino.MinutesKept {
		unit = time.Hour // older ones are known by the hour
	}
	return from, to, max(unit, (to.Sub(from)/about + unit - 1).Truncate(unit))
}

// showCounts gives the public form of what was counted.
func showCounts(c *fattorino.Counts) Counts {
	shown := Counts{Delivered: c.Delivered, Failed: c.Failed, Discarded: c.Discarded}
	if c.Delivered+c.Failed > 0 {
		shown.SuccessRate = new(c.SuccessRate())
	}
	milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	shown.P50Ms, shown.P95Ms, shown.P99Ms = milliseconds(c.P50()), milliseconds(c.P95()), milliseconds(c.P99())
	return shown
}

// backlog tells what is left to do: of a subscription, or of all (0). One that
// is gone has nothing left.
func (s *server) backlog(r *http.Request, company, subscription int64) (left Backlog, err error) {
	var all []fattorino.Health
	if subscription == 0 {
		all, err = s.Service.Health(r.Context(), callerOf(r), company)
	} else {
		var one *fattorino.Health
		if one, err = s.Service.SubscriptionHealth(r.Context(), callerOf(r), company, subscription); err == nil {
			all = append(all, *one)
		} else if fattorino.KindOf(err) == fattorino.NotFound {
			err = nil
		}
	}
	for _, h := range all {
		left.Deliveries += h.Backlog
		left.More = left.More || h.More
		if !h.OldestAt.IsZero() && (left.OldestAt.IsZero() || h.OldestAt.Before(left.OldestAt)) {
			left.OldestAt = h.OldestAt.UTC()
		}
	}
	return left, err
}
