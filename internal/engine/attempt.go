package engine

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// attempt makes one attempt: build, sign, send. What its answer means is
// settled when it is written. It gives nil when the attempt was cut off by the
// program's stop, which is no fault of the sink's: the delivery stays pending.
func (e *Engine) attempt(t task) *outcome {
	o := &outcome{lane: t.lane, delivery: t.delivery}
	if t.sub.State.Gone() {
		o.reason = fattorino.SinkGone
		return o
	}
	started := time.Now()
	request, err := e.contract(t.sub).Notification(t.sub, t.delivery.Event, started)
	if err != nil {
		e.log.Error("an event cannot be told under the contract", "delivery", t.delivery.ID, "contract", t.sub.Contract, "type", t.delivery.Event.Type, "error", err)
		o.reason = fattorino.Unfit
		return o
	}
	answer := e.send(t.sub, request)
	if answer.Failure != "" && e.work.Err() != nil {
		return nil
	}
	forLog(answer)
	o.attempt = &fattorino.Attempt{
		Delivery: t.delivery.ID, Number: t.delivery.Attempts + 1, StartedAt: started,
		Request: *request, Answer: *answer,
	}
	e.metrics.attempt(t.sub.Contract, answer)
	e.logAttempt(t, o.attempt)
	return o
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
func (e *Engine) logAttempt(t task, a *fattorino.Attempt) {
	if !e.log.Enabled(e.work, slog.LevelInfo) {
		return
	}
	attrs := [10]slog.Attr{
		slog.Int64("delivery", a.Delivery),
		slog.Int("attempt", a.Number),
		slog.Int64("subscription", t.sub.ID),
		slog.Int64("company", t.sub.Company),
		slog.String("event", t.delivery.Event.ID),
		slog.String("type", t.delivery.Event.Type),
		slog.String("host", hostOf(t.sub.Sink)),
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
