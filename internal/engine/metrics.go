package engine

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// metrics measures the engine. No label holds a company, a subscription or a
// URL: their number has no bound, and a URL can hold secrets.
type metrics struct {
	events     prometheus.Counter
	deliveries *prometheus.CounterVec
	attempts   *prometheus.CounterVec
	accepting  map[string]prometheus.Counter // of those that sinks accepted, by contract: most are
	seconds    prometheus.Histogram
	commits    prometheus.Histogram
	batch      prometheus.Histogram
	failures   prometheus.Counter
}

const resultAccepted = "2xx"

func newMetrics(r prometheus.Registerer, contracts []fattorino.Contract) *metrics {
	m := &metrics{
		accepting: map[string]prometheus.Counter{},
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "fattorino_events_accepted_total", Help: "Events accepted and durable, repeats not counted.",
		}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fattorino_deliveries_settled_total", Help: "Deliveries that ended, by how: delivered, or why discarded.",
		}, []string{"outcome"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fattorino_attempts_total", Help: "Attempts made, by contract and by class of status or failure.",
		}, []string{"contract", "result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "fattorino_attempt_duration_seconds", Help: "Time of an attempt from its start to the end of the answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "fattorino_commit_duration_seconds", Help: "Time of a commit of the store, until durable.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1},
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "fattorino_commit_batch_size", Help: "Requests and outcomes written in one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 12),
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "fattorino_commit_failures_total", Help: "Commits that the store refused.",
		}),
	}
	for _, outcome := range []string{
		fattorino.Delivered.String(), string(fattorino.Refused), string(fattorino.Exhausted), string(fattorino.SinkGone), string(fattorino.Unfit), string(fattorino.Superseded),
	} {
		m.deliveries.WithLabelValues(outcome)
	}
	for _, c := range contracts {
		m.accepting[c.Name()] = m.attempts.WithLabelValues(c.Name(), resultAccepted)
	}
	if r != nil {
		r.MustRegister(m.events, m.deliveries, m.attempts, m.seconds, m.commits, m.batch, m.failures)
	}
	return m
}

// measureCrowd tells how many attempts a host may have in flight.
func (d *dispatcher) measureCrowd(r prometheus.Registerer) {
	if r == nil {
		return
	}
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fattorino_host_limit", Help: "Attempts that a host may have in flight now: fewer than were configured where processors are short.",
	}, func() float64 {
		d.mu.Lock()
		defer d.mu.Unlock()
		return float64(d.crowd.perHost)
	}))
}

func (m *metrics) accepted(n int) { m.events.Add(float64(n)) }

func (m *metrics) commit(started time.Time, size int, err error) {
	if err != nil {
		m.failures.Inc()
		return
	}
	m.commits.Observe(time.Since(started).Seconds())
	m.batch.Observe(float64(size))
}

func (m *metrics) attempt(contract string, a *fattorino.Answer) {
	if result := result(a); result == resultAccepted {
		m.accepting[contract].Inc()
	} else {
		m.attempts.WithLabelValues(contract, result).Inc()
	}
	m.seconds.Observe(a.Timing.Total.Seconds())
}

// result classes an answer: "2xx" and so on, or the failure.
func result(a *fattorino.Answer) string {
	if a.Failure != "" {
		return string(a.Failure)
	}
	switch a.Status / 100 {
	case 1:
		return "1xx"
	case 2:
		return resultAccepted
	case 3:
		return "3xx"
	case 4:
		return "4xx"
	case 5:
		return "5xx"
	}
	return "other"
}

func (m *metrics) outcomes(written []fattorino.Outcome) {
	delivered := 0
	for _, o := range written {
		switch o.Delivery.State {
		case fattorino.Delivered:
			delivered++
		case fattorino.Discarded:
			m.deliveries.WithLabelValues(string(o.Delivery.Reason)).Inc()
		case fattorino.Pending, fattorino.Waiting:
		}
	}
	if delivered > 0 {
		m.deliveries.WithLabelValues(fattorino.Delivered.String()).Add(float64(delivered))
	}
}
