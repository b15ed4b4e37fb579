package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// retried waits for the second attempt of the notification that failed: the
// schedule of the contract says 5 s, give or take a tenth.
func (d *demo) retried(ctx context.Context) (string, error) {
	d.sink.mu.Lock()
	i := slices.IndexFunc(d.sink.notices, func(n notice) bool { return n.answer == http.StatusInternalServerError })
	if i < 0 {
		d.sink.mu.Unlock()
		return "", errors.New("no notification was answered with 500")
	}
	failed := d.sink.notices[i]
	d.sink.mu.Unlock()

	done := make(chan struct{})
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		d.out.countDown("waiting for the retry, which the schedule sets 5 s later", failed.at.Add(5*time.Second), done)
	}()
	again, err := d.sink.await(ctx, 1+heard())
	close(done)
	<-shown
	if err != nil {
		return "", err
	}
	wait := again.at.Sub(failed.at)
	switch {
	case again.fault != nil:
		return "", again.fault
	case again.id != failed.id:
		return "", fmt.Errorf("%s arrived, and %s was awaited", again.id, failed.id)
	case again.token == failed.token:
		return "", errors.New("it came with the token of the first attempt")
	case wait < 4*time.Second || wait > 8*time.Second:
		return "", fmt.Errorf("it came after %.1f s", wait.Seconds())
	}
	return fmt.Sprintf("%.1f s later, with the same ce-id %s and a fresh token", wait.Seconds(), again.id), nil
}

// deliveryLog is what GET deliveries answers, as far as it is looked at.
type deliveryLog struct {
	Deliveries []struct {
		ID       int64
		State    string
		Attempts int
		Status   int
		Event    struct{ Type, Entity string }
	}
}

func (d *demo) deliveries(ctx context.Context) (log deliveryLog, err error) {
	return log, d.call(ctx, exchange{
		method: http.MethodGet, token: d.tokens.api, answer: &log, status: http.StatusOK,
		path: fmt.Sprintf("/v1/companies/%d/deliveries?subscription=%s", demoCompany, strings.TrimPrefix(d.subscription, "SUB")),
	})
}

// logged waits until the log holds the outcome of every delivery: an answer is
// written a moment after the sink has given it.
func (d *demo) logged(ctx context.Context) (string, error) {
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for {
		log, err := d.deliveries(ctx)
		if err != nil {
			return "", err
		}
		delivered, attempts := 0, 0
		for _, one := range log.Deliveries {
			attempts += one.Attempts
			if one.State == "delivered" {
				delivered++
			}
		}
		if want := heard() + 1; delivered == want && attempts == want+1 {
			if len(log.Deliveries) != want || d.sink.count() != attempts {
				return "", fmt.Errorf("%d deliveries are in the log, and the subscriber was called %d times", len(log.Deliveries), d.sink.count())
			}
			return fmt.Sprintf("%d delivered, with %d attempts", delivered, attempts), nil
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return "", fmt.Errorf("%d are delivered, with %d attempts", delivered, attempts)
		}
	}
}

func (d *demo) showLog() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	log, err := d.deliveries(ctx)
	if err != nil {
		return err
	}
	rows := [][]string{{"DELIVERY", "TYPE", "ENTITY", "STATE", "ATTEMPTS", "LAST STATUS"}}
	for _, one := range slices.Backward(log.Deliveries) {
		rows = append(rows, []string{
			strconv.FormatInt(one.ID, 10), one.Event.Type, one.Event.Entity, one.State, strconv.Itoa(one.Attempts), strconv.Itoa(one.Status),
		})
	}
	var text strings.Builder
	if err := table(&text, rows); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		d.out.note(strings.TrimRight(line, "\n"))
	}
	return nil
}

func (d *demo) pulled(ctx context.Context) (string, error) {
	var page struct {
		Events []struct {
			Seq  int64
			Type string
		}
		Next int64
	}
	path := fmt.Sprintf("/v1/companies/%d/events?after=%d", demoCompany, d.firstSeq-1)
	if err := d.call(ctx, exchange{method: http.MethodGet, path: path, token: d.tokens.api, answer: &page, status: http.StatusOK}); err != nil {
		return "", err
	}
	for i, want := range demoEvents() {
		if i >= len(page.Events) || page.Events[i].Type != want.typ || page.Events[i].Seq != d.firstSeq+int64(i) {
			return "", fmt.Errorf("event %d of those pulled is not %s", i+1, want.typ)
		}
	}
	return fmt.Sprintf("GET %s: %d events, next %d", path, len(page.Events), page.Next), nil
}
