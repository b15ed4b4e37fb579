package engine

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// attempt makes one attempt: build, sign, send. What its answer means is
// settled when it is written. It gives nothing when the attempt was cut off by
// the program's stop, which is no fault of the sink's, or could not begin before
// it: the deliveries stay pending.
func (e *Engine) attempt(t task) []*outcome {
	if t.sub.Ended() {
		return t.discarded(fattorino.SinkGone)
	}
	if !e.maySend() || !e.dispatcher.stillServes(t.lane) {
		return nil
	}
	started := time.Now()
	request, err := e.notification(t, started)
	if err != nil {
		first := t.deliveries[0]
		e.log.Error("a notification could not be built", "delivery", first.ID, "contract", t.sub.Contract, "type", first.Event.Type, "error", err)
		if fattorino.KindOf(err) == fattorino.Internal {
			return t.discarded("") // no fault of the event's, as a master key that is missing: tried again
		}
		return t.discarded(fattorino.Unfit)
	}
	answer := e.send(t.sub, request)
	if answer.Failure != "" && e.work.Err() != nil {
		return nil
	}
	forLog(answer)
	e.metrics.attempt(t.sub.Contract, answer)
	outcomes := t.attempted(started, request, answer)
	for _, o := range outcomes {
		e.logAttempt(t.sub, o)
	}
	return outcomes
}

// notification builds the request of a task.
func (e *Engine) notification(t task, now time.Time) (*fattorino.Request, error) {
	rules := e.contract(t.sub)
	if !t.batch {
		return rules.Notification(t.sub, t.deliveries[0].Event, now)
	}
	batcher := rules.(fattorino.Batcher) // nobody else makes batches
	events := make([]*fattorino.Event, len(t.deliveries))
	for i, d := range t.deliveries {
		events[i] = d.Event
	}
	return batcher.BatchNotification(t.sub, events, now)
}

// discarded gives up the deliveries of a task without an attempt; without a
// reason they are put off.
func (t task) discarded(why fattorino.Reason) []*outcome {
	outcomes := make([]*outcome, len(t.deliveries))
	for i, d := range t.deliveries {
		outcomes[i] = &outcome{lane: t.lane, delivery: d, reason: why}
	}
	return outcomes
}

// attempted gives each delivery of a task its attempt. The request of a batch
// is kept once, with the first.
func (t task) attempted(started time.Time, r *fattorino.Request, a *fattorino.Answer) []*outcome {
	outcomes := make([]*outcome, len(t.deliveries))
	for i, d := range t.deliveries {
		made := &struct { // both in one piece of memory
			outcome outcome
			attempt fattorino.Attempt
		}{}
		attempt := &made.attempt
		*attempt = fattorino.Attempt{Delivery: d.ID, Number: d.Attempts + 1, StartedAt: started, Request: *r, Answer: *a}
		made.outcome = outcome{lane: t.lane, delivery: d, attempt: attempt, answer: a, sink: t.sub.Sink}
		outcomes[i] = &made.outcome
		if i > 0 {
			attempt.BatchOf = t.deliveries[0].ID
			attempt.Request.Header, attempt.Request.Body = nil, nil
			attempt.Answer.Header, attempt.Answer.Body = nil, nil
		}
	}
	return outcomes
}

// send makes the exchange, within the time that the subscription allows.
func (e *Engine) send(s *fattorino.Subscription, r *fattorino.Request) *fattorino.Answer {
	if s.Options.Timeout == 0 {
		return e.sender.Send(e.work, r)
	}
	ctx, cancel := context.WithTimeout(e.work, s.Options.Timeout)
	defer cancel()
	return e.sender.Send(ctx, r)
}

// loggedBody is how much of an answer's body the log keeps, in bytes.
const loggedBody = 4 << 10

// forLog cuts an answer to what the log keeps.
func forLog(a *fattorino.Answer) {
	if len(a.Body) > loggedBody {
		a.Body, a.Truncated = slices.Clone(a.Body[:loggedBody]), true
	}
}

// logAttempt writes the one line of an attempt. The sink appears as its host
// alone: the rest of a URL can hold secrets.
func (e *Engine) logAttempt(s *fattorino.Subscription, o *outcome) {
	if !e.log.Enabled(e.work, slog.LevelInfo) {
		return
	}
	a := o.attempt
	attrs := [10]slog.Attr{
		slog.Int64("delivery", a.Delivery),
		slog.Int("attempt", a.Number),
		slog.Int64("subscription", s.ID),
		slog.Int64("company", s.Company),
		slog.String("event", o.delivery.Event.ID),
		slog.String("type", o.delivery.Event.Type),
		slog.String("host", hostOf(s.Sink)),
		slog.Int("status", a.Answer.Status),
		slog.Float64("ms", float64(a.Answer.Timing.Total.Microseconds())/1000),
		slog.String("failure", string(a.Answer.Failure)),
	}
	n := len(attrs)
	if a.Answer.Failure == "" {
		n--
	}
	e.log.LogAttrs(e.work, slog.LevelInfo, "attempt", attrs[:n]...)
}
