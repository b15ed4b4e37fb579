package native_test

import (
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestJudge_EveryStatus(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	refused := map[int]bool{413: true, 414: true, 415: true, 431: true, 501: true}
	for status := range 1000 {
		want := fattorino.Retry
		switch {
		case status >= 200 && status <= 299:
			want = fattorino.Success
		case status == 410:
			want = fattorino.End
		case status >= 300 && status <= 399, refused[status]:
			want = fattorino.Refuse
		}
		if got := f.Judge(&fattorino.Answer{Status: status}); got != want {
			t.Errorf("status %d means %d, want %d", status, got, want)
		}
	}
}

func TestJudge_NoAnswerIsTriedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, failure := range []fattorino.Failure{
		fattorino.FailedDNS, fattorino.FailedAddress, fattorino.FailedConnect, fattorino.FailedTLS,
		fattorino.FailedTimeout, fattorino.FailedReset, fattorino.FailedProtocol,
	} {
		for _, status := range []int{0, 101} { // an interim status that nothing follows
			if got := f.Judge(&fattorino.Answer{Status: status, Failure: failure}); got != fattorino.Retry {
				t.Errorf("%s with status %d means %d, want Retry", failure, status, got)
			}
		}
	}
}

// WH-8 and SW-12: both forms of Retry-After, and what is none.
func TestWait(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, tc := range []struct {
		name   string
		status int
		value  string
		want   time.Duration
	}{
		{"seconds", 429, "120", 2 * time.Minute},
		{"seconds with 503", 503, "120", 2 * time.Minute},
		{"a fraction counts as a whole second", 429, "120.1", 121 * time.Second},
		{"no fraction", 429, "120.0", 120 * time.Second},
		{"white space around it", 429, " 7\t", 7 * time.Second},
		{"date", 503, "Sun, 01 Mar 2026 12:02:05 GMT", 2 * time.Minute},
		{"date in the form of RFC 850", 503, "Sunday, 01-Mar-26 12:02:05 GMT", 2 * time.Minute},
		{"date in the form of asctime", 503, "Sun Mar  1 12:02:05 2026", 2 * time.Minute},
		{"date that is over", 503, "Sun, 01 Mar 2026 11:00:00 GMT", 0},
		{"zero", 429, "0", 0},
		{"one day", 429, "86400", 24 * time.Hour},
		{"more than one day", 429, "86401", 24 * time.Hour},
		{"date in ten years", 503, "Sat, 01 Mar 2036 12:00:00 GMT", 24 * time.Hour},
		{"more than any number holds", 429, "99999999999999999999999999", 24 * time.Hour},
		{"a word", 429, "invalid", 0},
		{"empty", 429, "", 0},
		{"below zero", 429, "-5", 0},
		{"with a sign", 429, "+5", 0},
		{"with an exponent", 429, "1e3", 0},
		{"infinity", 429, "Inf", 0},
		{"no number", 429, "NaN", 0},
		{"hexadecimal", 429, "0x10", 0},
		{"two points", 429, "1.2.3", 0},
		{"a point", 429, ".", 0},
		{"another status", 500, "120", 0},
		{"success", 200, "120", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := &fattorino.Answer{Status: tc.status, Header: []fattorino.Header{{Name: "retry-after", Value: tc.value}}}
			if got := f.Wait(a, now); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
	if got := f.Wait(&fattorino.Answer{Status: 429}, now); got != 0 {
		t.Errorf("without the field: %v", got)
	}
	two := []fattorino.Header{{Name: "Retry-After", Value: "1"}, {Name: "Retry-After", Value: "2"}}
	if got := f.Wait(&fattorino.Answer{Status: 429, Header: two}, now); got != time.Second {
		t.Errorf("of two the first counts, not %v", got)
	}
}

func FuzzWait(f *testing.F) {
	c := newFixture(f)
	for _, value := range []string{"120", "120.1", "Sun, 01 Mar 2026 12:02:05 GMT", "invalid", ".", "999999999999999999999"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		a := &fattorino.Answer{Status: 503, Header: []fattorino.Header{{Name: "Retry-After", Value: value}}}
		if got := c.Wait(a, now); got < 0 || got > 24*time.Hour {
			t.Errorf("%q gives %v", value, got)
		}
	})
}

// waits gives the waits between all attempts.
func waits(f *fixture, s *fattorino.Subscription) (list []time.Duration) {
	for tries := 1; ; tries++ {
		wait, again := f.Retry(s, tries)
		if !again {
			return list
		}
		list = append(list, wait)
	}
}

func TestRetry_ScheduleByDefaultAndByChoice(t *testing.T) {
	t.Parallel()
	f, s := newFixture(t), subscription()
	equal(t, waits(f, s), []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour,
	})
	s.Options.Schedule = []time.Duration{time.Second, time.Minute}
	equal(t, waits(f, s), s.Options.Schedule)
	if _, again := f.Retry(s, 0); again {
		t.Error("a try before the first is answered")
	}
}

// What the sink asks for holds, where it is longer than our own wait.
func TestSettle_RetryAfterMovesTheNextAttempt(t *testing.T) {
	t.Parallel()
	f, s := newFixture(t), subscription()
	for value, want := range map[string]time.Duration{"60": time.Minute, "1": 5 * time.Second} {
		d := &fattorino.Delivery{Event: invoicePaid()}
		a := &fattorino.Answer{Status: 429, Header: []fattorino.Header{{Name: "Retry-After", Value: value}}}
		if fattorino.Settle(f, s, d, a, now, 0); d.DueAt.Sub(now) != want || d.State != fattorino.Pending {
			t.Errorf("Retry-After %s: %v in %v, want pending in %v", value, d.State, d.DueAt.Sub(now), want)
		}
	}
}

// However often a sink fails, its subscription lives; 410 alone ends it.
func TestSettle_OnlyGoneEndsASubscription(t *testing.T) {
	t.Parallel()
	f, s := newFixture(t), subscription()
	d := &fattorino.Delivery{Event: invoicePaid()}
	at := now
	for d.State == fattorino.Pending {
		at = at.Add(300 * 24 * time.Hour)
		fattorino.Settle(f, s, d, &fattorino.Answer{Status: 500}, at, 0)
	}
	if d.Reason != fattorino.Exhausted || d.Attempts != 8 || s.State != fattorino.Active {
		t.Errorf("%s after %d attempts, subscription %s", d.Reason, d.Attempts, s.State)
	}
	d = &fattorino.Delivery{Event: invoicePaid()}
	fattorino.Settle(f, s, d, &fattorino.Answer{Status: 410}, at, 0)
	if d.Reason != fattorino.SinkGone || s.State != fattorino.GoneByAnswer {
		t.Errorf("after 410: %s, subscription %s", d.Reason, s.State)
	}
}
