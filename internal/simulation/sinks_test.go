package simulation_test

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// timeout is how long the client waits for an answer in all.
const timeout = 10 * time.Second

// sinks are all receivers. What each answers hangs on the seed, the sink, the
// event and how often it has come.
type sinks struct {
	*world
	healed atomic.Bool // all are well from now on

	mu   sync.Mutex
	seen map[string]int // how often what has come where
}

// A sender is the way of one life of the program to the sinks.
type sender struct {
	*sinks
	life *life
}

var refPattern = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// refs gives the ids of the events that a notification tells of.
func refs(r *fattorino.Request) []string {
	text := string(r.Body)
	for _, h := range r.Header {
		if strings.EqualFold(h.Name, "ce-id") {
			text = h.Value
		}
	}
	found := refPattern.FindAllString(text, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

// Send implements [engine.Sender].
func (s *sender) Send(ctx context.Context, r *fattorino.Request) *fattorino.Answer {
	switch r.Method {
	case http.MethodGet:
		return s.challenged(ctx, r)
	case http.MethodOptions:
		return s.asked(ctx, r)
	}
	a := &arrived{url: r.URL, refs: refs(r), signed: s.kit.whose(r), key: bearer(r)}
	s.history.add(s.life, a)
	what := strings.Join(a.refs, " ")
	nth := s.count(r.URL + what)
	s.meddle(r.URL)
	if s.faults() && s.chance.oneIn(150, "crash at arrival", r.URL, what, nth) {
		s.life.crash("as a notification arrives")
	}
	answer := s.serve(ctx, func() *fattorino.Answer { return s.fate(r.URL, what, nth) }, s.latency(r.URL, what, nth))
	s.history.add(s.life, &answered{arrival: a, answer: answer, cut: answer.Failure != "" && context.Cause(ctx) == context.Canceled})
	if s.faults() && s.chance.oneIn(150, "crash at answer", r.URL, what, nth) {
		s.life.crash("as an answer comes")
	}
	return answer
}

// serve takes its time over an answer, as long as it is waited for.
func (s *sender) serve(ctx context.Context, answer func() *fattorino.Answer, latency time.Duration) *fattorino.Answer {
	started := time.Now()
	timer := time.NewTimer(min(latency, timeout))
	defer timer.Stop()
	var a *fattorino.Answer
	select {
	case <-timer.C:
		if a = answer(); latency >= timeout {
			a = &fattorino.Answer{Failure: fattorino.FailedTimeout}
		}
	case <-ctx.Done():
		a = &fattorino.Answer{Failure: fattorino.FailedTimeout}
	}
	a.Timing.Total = time.Since(started)
	return a
}

// challenged answers a challenge: most sinks at once and well, some never.
func (s *sender) challenged(ctx context.Context, r *fattorino.Request) *fattorino.Answer {
	base, text := r.URL, ""
	for _, h := range r.Header {
		if strings.HasSuffix(strings.ToLower(h.Name), "-challenge") {
			text = h.Value
		}
	}
	a := &arrived{url: base, challenge: true}
	s.history.add(s.life, a)
	nth := s.count("challenge " + base)
	good := s.healed.Load() || !s.chance.oneIn(5, "challenge", base, nth)
	answer := s.serve(ctx, func() *fattorino.Answer {
		if !good {
			return &fattorino.Answer{Status: pick(s.chance, []int{200, 404, 500, 0}, "refusal", base, nth)}
		}
		body, _ := json.Marshal(map[string]string{"challenge": text, "verification": text})
		return &fattorino.Answer{Status: http.StatusOK, Body: body}
	}, s.latency("challenge", base, nth)+time.Duration(s.chance.draw(4, "slow challenge", base, nth)/3)*4*time.Second)
	answer.Failure = cmp.Or(answer.Failure, map[bool]fattorino.Failure{true: fattorino.FailedReset}[answer.Status == 0])
	s.history.add(s.life, &answered{arrival: a, answer: answer, proof: good && answer.Failure == "", cut: answer.Failure != "" && context.Cause(ctx) == context.Canceled})
	return answer
}

// count counts what comes.
func (s *sinks) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[what]++
	return s.seen[what]
}

// latency is how long a sink takes; timeout = it hangs.
func (s *sinks) latency(url, what string, nth int) time.Duration {
	of := []any{url, what, nth}
	switch n := s.chance.draw(100, "latency", of...); {
	case s.healed.Load() || n < 60:
		return s.chance.between(0, 40*time.Millisecond, "quick", of...)
	case n < 90:
		return s.chance.between(0, 2*time.Second, "slow", of...)
	case n < 95:
		return s.chance.between(2*time.Second, timeout, "very slow", of...)
	default:
		return timeout
	}
}

// fate is what a sink answers.
func (s *sinks) fate(url, what string, nth int) *fattorino.Answer {
	of := []any{url, what, nth}
	wellOf100 := pick(s.chance, []int{98, 98, 80, 50, 10}, "mood", url)
	if s.healed.Load() || s.chance.draw(100, "well", of...) < wellOf100 {
		return &fattorino.Answer{Status: pick(s.chance, []int{200, 200, 201, 202, 204}, "success", of...)}
	}
	retryAfter := func(status int) *fattorino.Answer {
		value := pick(s.chance, []string{"7", "90", "junk", time.Now().Add(40 * time.Second).UTC().Format(http.TimeFormat)}, "retry-after", of...)
		return &fattorino.Answer{Status: status, Header: []fattorino.Header{{Name: "Retry-After", Value: value}}}
	}
	switch n := s.chance.draw(100, "failure", of...); {
	case n < 35:
		return &fattorino.Answer{Status: pick(s.chance, []int{500, 502, 599, 408, 501}, "status", of...)}
	case n < 55:
		return retryAfter(pick(s.chance, []int{429, 503}, "status", of...))
	case n < 75:
		return &fattorino.Answer{Failure: pick(s.chance, []fattorino.Failure{fattorino.FailedReset, fattorino.FailedConnect, fattorino.FailedTLS, fattorino.FailedTimeout}, "failed", of...)}
	case n < 97:
		return &fattorino.Answer{Status: pick(s.chance, []int{400, 404, 302, 415, 206}, "status", of...)}
	default:
		return &fattorino.Answer{Status: http.StatusGone}
	}
}
