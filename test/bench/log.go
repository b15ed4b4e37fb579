package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The figures of case G.
const (
	emptyRate = "A/s on an empty store"
	fullRate  = "A/s on the full store"
	rateKept  = "full ÷ empty"
	emptyCost = "CPU µs/delivery, empty"
	fullCost  = "CPU µs/delivery, full"
	fillRate  = "fill, deliveries/s"
)

// What case G is: a company whose hundred subscriptions hear 100,000 events.
// One event in a hundred is refused by every sink, one in a thousand is of
// another type.
const (
	logSubscriptions = 100
	logEvents        = 100_000
	logCompany       = 2
	rareType         = "invoice.paid"
)

// logQueries are the questions asked of the log, by figure. Each is answered
// for a page of 50.
func logQueries() map[string]string {
	return map[string]string{
		"newest page ms":                         "",
		"page of discarded ms":                   "state=discarded",
		"page of one subscription, discarded ms": "state=discarded&subscription=7",
		"page of a rare type ms":                 "type=" + rareType,
		"page of one entity ms":                  "entity=invoice/78",
	}
}

// logCase is case G: reading and publishing beside a long log.
func logCase() benchCase {
	c := benchCase{name: "G", big: true, run: longLog}
	for figure := range logQueries() {
		c.shows = append(c.shows, shown{figure, "≤", 20})
	}
	slices.SortFunc(c.shows, func(a, b shown) int { return strings.Compare(a.figure, b.figure) })
	c.shows = append(c.shows, shown{"one delivery ms", "≤", 20}, shown{rateKept, "≥", 0.9},
		shown{figure: emptyRate}, shown{figure: fullRate}, shown{figure: emptyCost}, shown{figure: fullCost}, shown{figure: fillRate}, shown{figure: memory}, shown{lost, "≤", 0})
	return c
}

// turnsOfLog is how often publishing to the full store and to an empty one take
// turns: minutes lie between the beginning of the case and its end, in which the
// machine may have become another.
const turnsOfLog = 5

func longLog(ctx context.Context, b *bench) (figures, error) {
	s, err := b.start(ctx)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	f, err := s.fillLog(ctx, b.scaled(logEvents, 1_000))
	if err != nil {
		return nil, err
	}
	f[fillRate] = f[delivered]
	if err := s.askLog(f); err != nil {
		return nil, err
	}
	beside, err := s.beside(hmac, 1, turnsOfLog*b.events)
	if err != nil {
		return nil, err
	}
	defer beside.Close()
	turns := turnsOf{}
	for turn := range turnsOfLog {
		full, err := s.deliver(ctx, ofCaseA(turn*b.events, b.events), beside.arrivals)
		if err != nil {
			return nil, err
		}
		empty, err := b.onEmptyStore(ctx)
		if err != nil {
			return nil, err
		}
		turns.add(figures{
			rateKept: full[delivered] / empty[delivered],
			fullRate: full[delivered], fullCost: full[cpuPerDelivery],
			emptyRate: empty[delivered], emptyCost: empty[cpuPerDelivery],
		})
		f[lost] += full[lost] + empty[lost]
	}
	turns.medians(f)
	f[memory] = s.peak()
	return f, nil
}

// turnsOf are the figures of what took turns.
type turnsOf map[string][]float64

func (t turnsOf) add(f figures) {
	for figure, value := range f {
		t[figure] = append(t[figure], value)
	}
}

// medians adds those of all turns to the figures.
func (t turnsOf) medians(f figures) {
	for figure, all := range t {
		slices.Sort(all)
		f[figure] = all[len(all)/2]
	}
}

// onEmptyStore publishes the events of case A to a server that was just started,
// once it has warmed up.
func (b *bench) onEmptyStore(ctx context.Context) (figures, error) {
	s, err := b.start(ctx)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	warm := max(b.events/10, 1)
	to, err := s.beside(hmac, 1, warm+b.events)
	if err != nil {
		return nil, err
	}
	defer to.Close()
	if _, err := s.deliver(ctx, ofCaseA(0, warm), to.arrivals); err != nil {
		return nil, err
	}
	return s.deliver(ctx, ofCaseA(warm, b.events), to.arrivals)
}

// ofCaseA is events as case A publishes them.
func ofCaseA(first, events int) load {
	l := oneByOne(hmac).load(events)
	l.first = first
	return l
}

// beside makes subscriptions to company 1 at a healthy sink that has room for
// so many events.
func (s *server) beside(c contract, subscriptions, events int) (*sink, error) {
	to := newSink(newArrivals(events, subscriptions))
	if err := s.subscribe(c, subscriptions, to.URL); err != nil {
		to.Close()
		return nil, err
	}
	return to, nil
}

// fillLog delivers the events to every subscription of the company.
func (s *server) fillLog(ctx context.Context, events int) (figures, error) {
	to := newSink(newArrivals(events, logSubscriptions))
	defer to.Close()
	to.status = func(event int) int {
		if event%100 == 0 {
			return http.StatusRequestEntityTooLarge // refused: discarded at once
		}
		return http.StatusOK
	}
	err := s.subscribeEach(logSubscriptions, func(i int) (company int, wish map[string]any) {
		return logCompany, map[string]any{"sink": fmt.Sprintf("%s/%d", to.URL, i), "types": []string{"invoice.*"}}
	})
	if err != nil {
		return nil, err
	}
	return s.deliver(ctx, load{
		events: events, batch: 100, publishers: 8, prefix: "log-",
		company: func(int) int { return logCompany },
		kind: func(event int) string {
			if event%1000 == 0 {
				return rareType
			}
			return eventType
		},
	}, to.arrivals)
}

// askLog asks every question of the log, and notes how long the answers take.
func (s *server) askLog(f figures) error {
	deliveries := fmt.Sprintf("/v1/companies/%d/deliveries", logCompany)
	var newest struct{ Deliveries []struct{ ID int64 } }
	if err := s.call("GET", deliveries, adminToken, nil, &newest); err != nil {
		return err
	}
	for figure, query := range logQueries() {
		var err error
		if f[figure], err = s.median(deliveries + "?" + query); err != nil {
			return err
		}
	}
	var err error
	f["one delivery ms"], err = s.median(fmt.Sprintf("%s/%d", deliveries, newest.Deliveries[0].ID/2))
	return err
}

// median gives the time of an answer in ms, the median of several; fewer where
// they take long.
func (s *server) median(path string) (float64, error) {
	var all []time.Duration
	for begun := time.Now(); len(all) < 21 && (len(all) == 0 || time.Since(begun) < 10*time.Second); {
		asked := time.Now()
		if err := s.call("GET", path, adminToken, nil, nil); err != nil {
			return 0, err
		}
		all = append(all, time.Since(asked))
	}
	slices.Sort(all)
	return float64(all[len(all)/2].Microseconds()) / 1e3, nil
}
