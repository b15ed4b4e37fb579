package app

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics measures what is served. The engine measures itself.
type metrics struct {
	inFlight prometheus.Gauge
	answers  map[int]prometheus.Counter // by class of status: 2 for 2xx
}

// newMetrics registers them, and those of Go and of the process.
func newMetrics(r prometheus.Registerer) *metrics {
	answers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "fattorino_http_requests_total", Help: "Requests answered, by class of status.",
	}, []string{"status"})
	m := &metrics{
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "fattorino_http_requests_in_flight", Help: "Requests under way, long polls included.",
		}),
		answers: map[int]prometheus.Counter{},
	}
	for class := 2; class <= 5; class++ {
		m.answers[class] = answers.WithLabelValues(strconv.Itoa(class) + "xx")
	}
	r.MustRegister(m.inFlight, answers, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// parts measures how many parts of a shared database this process serves.
func (*metrics) parts(r prometheus.Registerer, held func() int) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fattorino_parts", Help: "Parts of the database whose leases this process holds: whose deliveries it sends.",
	}, func() float64 { return float64(held()) }))
}

// answered counts an answer; one that nobody wrote is a 200 (net/http).
func (m *metrics) answered(status int) {
	if status == 0 {
		status = 200
	}
	if counter, ok := m.answers[status/100]; ok {
		counter.Inc()
	}
}
