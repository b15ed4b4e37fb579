package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// eventType is what is published and subscribed to.
const eventType = "it.fattureincloud.webhooks.issued_documents.invoices.create"

// benchCase is one way to load the server.
type benchCase struct {
	name          string
	batch         int // events in a request
	publishers    int
	subscriptions int
	paced         bool // at half the rate of case A
}

var cases = []benchCase{
	{name: "A", batch: 1, publishers: 32, subscriptions: 1},
	{name: "B", batch: 100, publishers: 8, subscriptions: 10},
	{name: "D", batch: 1, publishers: 64, subscriptions: 1, paced: true},
}

// measure runs one round of a case on a fresh server.
func measure(ctx context.Context, o options, c benchCase, earlier []result) (result, error) {
	events := o.events
	if c.batch > 1 {
		events = o.events / 5 // ten subscriptions: twice the deliveries
	}
	rate := 0.0
	if c.paced {
		rate = 2000
		if len(earlier) > 0 {
			rate = earlier[len(earlier)-1].Rate / 2
		}
		events = int(rate * 4)
	}
	sink := newSink(events, c.subscriptions)
	defer sink.Close()
	before := raw(sink.URL+"/raw", 20_000)
	s, err := startServer(ctx, o.binary)
	if err != nil {
		return result{}, err
	}
	defer s.stop()
	if err := s.subscribe(c.subscriptions, sink.URL); err != nil {
		return result{}, err
	}
	cpu, begun := s.cpu(), time.Now()
	if err := publish(ctx, s, c, events, rate, sink); err != nil {
		return result{}, err
	}
	deliveries := events * c.subscriptions
	sink.await(deliveries, 60*time.Second)
	took := sink.last().Sub(begun)
	used := s.cpu() - cpu
	after := raw(sink.URL+"/raw", 20_000)
	r := result{
		Raw: (before + after) / 2, Rate: float64(deliveries) / took.Seconds(),
		CPU: float64(used.Microseconds()) / float64(deliveries), Memory: s.peak(), Load: load(),
	}
	r.Ratio = r.Rate / r.Raw
	r.P50, r.P99 = sink.percentiles()
	r.Lost, r.Doubled = sink.check()
	return r, nil
}

// publish sends the events, numbered from 0, and notes when each was sent.
func publish(ctx context.Context, s *server, c benchCase, events int, rate float64, sink *sink) error {
	var next atomic.Int64
	begun := time.Now()
	errs := make(chan error, c.publishers)
	for range c.publishers {
		go func() {
			for {
				first := int(next.Add(int64(c.batch))) - c.batch
				if first >= events || ctx.Err() != nil {
					errs <- ctx.Err()
					return
				}
				if rate > 0 {
					time.Sleep(time.Until(begun.Add(time.Duration(float64(first) / rate * float64(time.Second)))))
				}
				if err := s.publish(first, c.batch, sink); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	var all []error
	for range c.publishers {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// publish sends one request of events numbered from first.
func (s *server) publish(first, n int, sink *sink) error {
	var body bytes.Buffer
	contentType := "application/cloudevents+json"
	if n > 1 {
		contentType = "application/cloudevents-batch+json"
		body.WriteByte('[')
	}
	now := time.Now().UnixNano()
	for i := first; i < first+n; i++ {
		if i > first {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"specversion":"1.0","id":"e%d","source":"/bench","type":%q,"subject":"company:1","time":"2026-03-01T10:00:00Z","datacontenttype":"application/json","data":{"id":%d,"number":"2026/%d","total":12.50,"note":%q}}`,
			i, eventType, i+1, i, padding)
		sink.sent[i] = now
	}
	if n > 1 {
		body.WriteByte(']')
	}
	r, err := http.NewRequest(http.MethodPost, s.url+"/v1/events", &body)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+s.admin)
	r.Header.Set("Content-Type", contentType)
	answer, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		text, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("publish: %s: %s", answer.Status, text)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// padding makes an event about 500 bytes long.
var padding = string(bytes.Repeat([]byte("x"), 240))

// sink receives, answers 200, and notes what came when.
type sink struct {
	*httptest.Server
	sent      []int64   // when each event was published, ns
	arrived   [][]int64 // by subscription and event: when it came first, ns
	doubled   atomic.Int64
	count     atomic.Int64
	lastNanos atomic.Int64
}

func newSink(events, subscriptions int) *sink {
	s := &sink{sent: make([]int64, events), arrived: make([][]int64, subscriptions)}
	for i := range s.arrived {
		s.arrived[i] = make([]int64, events)
	}
	s.Server = httptest.NewServer(http.HandlerFunc(s.receive))
	return s
}

// receive answers the challenge, and takes in notifications of the form
// {"data":{"ids":[n]}}.
func (s *sink) receive(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		_, _ = fmt.Fprintf(w, `{"verification":%q}`, r.Header.Get("x-fic-verification-challenge"))
		return
	}
	body, _ := io.ReadAll(r.Body)
	lane, err := strconv.Atoi(r.URL.Path[1:])
	if err != nil {
		return // the raw loop
	}
	digits := bytes.TrimRight(bytes.TrimPrefix(body, []byte(`{"data":{"ids":[`)), "]}")
	number, err := strconv.Atoi(string(digits))
	if err != nil {
		return // the welcome
	}
	now := time.Now().UnixNano()
	if !atomic.CompareAndSwapInt64(&s.arrived[lane][number-1], 0, now) {
		s.doubled.Add(1)
		return
	}
	s.lastNanos.Store(now)
	s.count.Add(1)
}

// await returns when n deliveries have come, or nothing comes any more.
func (s *sink) await(n int, most time.Duration) {
	for end := time.Now().Add(most); s.count.Load() < int64(n) && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *sink) last() time.Time { return time.Unix(0, s.lastNanos.Load()) }

func (s *sink) check() (lost, doubled int) {
	for _, lane := range s.arrived {
		for _, at := range lane {
			if at == 0 {
				lost++
			}
		}
	}
	return lost, int(s.doubled.Load())
}

// percentiles gives the latencies in ms from publish to arrival.
func (s *sink) percentiles() (p50, p99 float64) {
	var all []int64
	for _, lane := range s.arrived {
		for i, at := range lane {
			if at > 0 {
				all = append(all, at-s.sent[i])
			}
		}
	}
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return float64(all[len(all)/2]) / 1e6, float64(all[len(all)*99/100]) / 1e6
}

// raw posts the body of a notification n times with a plain net/http client on
// 64 kept-alive connections, and gives requests per second.
func raw(url string, n int) float64 {
	const connections = 64
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxIdleConns: connections}}
	defer client.CloseIdleConnections()
	var next atomic.Int64
	var all sync.WaitGroup
	begun := time.Now()
	for range connections {
		all.Go(func() {
			for next.Add(1) <= int64(n) {
				r, err := client.Post(url, "application/json", bytes.NewReader([]byte(`{"data":{"ids":[3062300]}}`)))
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				_ = r.Body.Close()
			}
		})
	}
	all.Wait()
	return float64(n) / time.Since(begun).Seconds()
}
