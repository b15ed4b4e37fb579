package crash_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Types that are published: what Fatture in Cloud has a word for, and what
// Defacto has one for.
const (
	customers = "customer.created"
	invoices  = "invoice.verified"
)

// An event is one that is published. Its number makes its content.
type event struct {
	number  int
	company int
	typ     string
	seq     int64 // 0 = not known to be accepted
	padding int   // bytes
}

func (e *event) id() string { return fmt.Sprint("e", e.number) }

// about is the entity: an invoice has many events, a customer one.
func (e *event) about() string {
	if e.typ == invoices {
		return fmt.Sprintf("invoice/%d", e.number%7)
	}
	return fmt.Sprintf("customer/%d", e.number)
}

func (e *event) json() string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/crash","type":%q,"companyid":"%d","entity":%q,"data":{"number":%d,"note":%q}}`,
		e.id(), e.typ, e.company, e.about(), e.number, strings.Repeat("x", e.padding))
}

// publisher publishes numbered events, and again whenever it is not sure.
type publisher struct {
	program *program
	next    atomic.Int64
	most    int64 // events; 0 = any number
	padding func(number int) int

	mu   sync.Mutex
	done []event
	odd  []string // answers that are neither 202 nor 503 with a time to try again
}

// oddities gives the answers that no publisher should get.
func (p *publisher) oddities() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.odd)
}

// accepted gives the events of which the publisher was told that they are.
func (p *publisher) accepted() []event {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.done)
}

// run publishes one by one until it is stopped, or has published enough.
func (p *publisher) run(stopped <-chan struct{}) {
	for {
		select {
		case <-stopped:
			return
		default:
		}
		e := p.event()
		if p.most > 0 && int64(e.number) > p.most {
			return
		}
		if !p.publish(&e, stopped) {
			return
		}
	}
}

// more publishes so many events more, several at a time.
func (p *publisher) more(events int64) {
	p.next.Store(p.most)
	p.most += events
	var publishers sync.WaitGroup
	for range 4 {
		publishers.Go(func() { p.run(nil) })
	}
	publishers.Wait()
}

// event gives the next event to publish.
func (p *publisher) event() event {
	e := event{number: int(p.next.Add(1)), company: 1, typ: invoices}
	if e.number%3 == 0 {
		e.typ = customers
	}
	if e.number%5 == 0 {
		e.company = 2
	}
	if p.padding != nil {
		e.padding = p.padding(e.number)
	}
	return e
}

// publish publishes an event until it is accepted or the publisher stopped, and
// notes it then.
func (p *publisher) publish(e *event, stopped <-chan struct{}) bool {
	if !p.publishFor(e, stopped) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = append(p.done, *e)
	return true
}

// publishFor publishes an event for someone else, who notes it.
func (p *publisher) publishFor(e *event, stopped <-chan struct{}) bool {
	for {
		if _, err := p.post(e); err == nil && e.seq > 0 {
			return true
		}
		select {
		case <-stopped:
			return false
		case <-time.After(10 * time.Millisecond): // it is down, or was when we asked
		}
	}
}

// post publishes once. Where the event is accepted it has a seq then.
func (p *publisher) post(e *event) (answer *http.Response, err error) {
	r, err := http.NewRequest(http.MethodPost, p.program.url("/v1/events"), strings.NewReader(e.json()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+admin)
	r.Header.Set("Content-Type", "application/cloudevents+json")
	if answer, err = p.program.http.Do(r); err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusAccepted {
		if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
			p.mu.Lock()
			p.odd = append(p.odd, fmt.Sprintf("%s, Retry-After %q: %s", answer.Status, answer.Header.Get("Retry-After"), text))
			p.mu.Unlock()
		}
		return answer, err
	}
	receipts, err := readReceipts(text)
	if err != nil || len(receipts) != 1 {
		return answer, fmt.Errorf("receipt %s: %w", text, err)
	}
	e.seq = receipts[0].Seq
	return answer, nil
}

// A receipt is what a publisher is told of an event.
type receipt struct {
	ID      string `json:"id"`
	Company int    `json:"company"`
	Seq     int64  `json:"seq"`
}

func readReceipts(body []byte) ([]receipt, error) {
	var answer struct {
		Events []receipt `json:"events"`
	}
	err := json.Unmarshal(body, &answer)
	return answer.Events, err
}
