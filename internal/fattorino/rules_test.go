package fattorino_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// noon is when the attempts of these tests end.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// after gives the time d after noon; before, the time d before it.
func after(d time.Duration) time.Time  { return noon.Add(d) }
func before(d time.Duration) time.Time { return noon.Add(-d) }

func TestSettle(t *testing.T) {
	t.Parallel()
	never := time.Time{}
	// The delivery is public, tried for the first time, and its subscription is
	// active with no expiry pending, unless the case says otherwise.
	tests := []struct {
		name      string
		answer    int // 0 = none came
		tries     int // made before this one
		firstFail time.Time
		private   bool
		state     fattorino.State
		expires   time.Time

		want        fattorino.DeliveryState
		reason      fattorino.Reason
		due         time.Time
		wantState   fattorino.State
		wantExpires time.Time
		changed     bool
	}{
		// An answer that counts as success.
		{name: "success delivers", answer: 200, want: fattorino.Delivered},
		{name: "success delivers at the last try", answer: 200, tries: 3, firstFail: before(time.Minute), want: fattorino.Delivered},
		{name: "success takes a pending expiry back", answer: 200, expires: after(day), want: fattorino.Delivered, wantExpires: never, changed: true},
		{name: "success takes an expiry back even after its date", answer: 200, expires: before(day), want: fattorino.Delivered, wantExpires: never, changed: true},
		{name: "success of a welcome takes a pending expiry back", answer: 200, private: true, expires: after(day), want: fattorino.Delivered, changed: true},
		{name: "success that was under way when the subscription ended counts", answer: 200, state: fattorino.Deleted, want: fattorino.Delivered, wantState: fattorino.Deleted},
		{name: "success does not bring back what has ended", answer: 200, state: fattorino.Expired, expires: before(day), want: fattorino.Delivered, wantState: fattorino.Expired, wantExpires: before(day)},

		// An answer that is retried.
		{name: "first failure is retried after 5 s", answer: 503, due: after(5 * time.Second)},
		{name: "second failure is retried after 25 s", answer: 500, tries: 1, firstFail: before(time.Minute), due: after(25 * time.Second)},
		{name: "third failure is retried after 125 s", answer: 599, tries: 2, firstFail: before(time.Minute), due: after(125 * time.Second)},
		{name: "silence is retried like a 5xx", answer: 0, due: after(5 * time.Second)},
		{name: "fourth failure exhausts, and starts an expiry", answer: 503, tries: 3, firstFail: before(time.Minute), want: fattorino.Discarded, reason: fattorino.Exhausted, wantExpires: before(time.Minute).Add(10 * day), changed: true},
		{name: "a retry leaves a pending expiry alone", answer: 503, expires: after(day), due: after(5 * time.Second), wantExpires: after(day)},

		// An answer that is final.
		{name: "refusal discards at once, and starts an expiry", answer: 404, want: fattorino.Discarded, reason: fattorino.Refused, wantExpires: after(10 * day), changed: true},
		{name: "refusal discards at once, also at a retry", answer: 404, tries: 2, firstFail: before(time.Minute), want: fattorino.Discarded, reason: fattorino.Refused, wantExpires: before(time.Minute).Add(10 * day), changed: true},
		{name: "a date once set stays", answer: 404, expires: after(day), want: fattorino.Discarded, reason: fattorino.Refused, wantExpires: after(day)},
		{name: "at the date itself nothing ends yet", answer: 404, expires: noon, want: fattorino.Discarded, reason: fattorino.Refused, wantExpires: noon},

		// A14: after the date any error ends the subscription.
		{name: "after the date a final error ends it", answer: 404, expires: before(1), want: fattorino.Discarded, reason: fattorino.SinkGone, wantState: fattorino.Expired, wantExpires: before(1), changed: true},
		{name: "after the date an error that could be retried ends it too", answer: 503, expires: before(1), want: fattorino.Discarded, reason: fattorino.SinkGone, wantState: fattorino.Expired, wantExpires: before(1), changed: true},

		// The subscriber says that it is gone.
		{name: "410 ends the subscription", answer: 410, want: fattorino.Discarded, reason: fattorino.SinkGone, wantState: fattorino.GoneByAnswer, changed: true},
		{name: "410 at a retry ends the subscription", answer: 410, tries: 2, firstFail: before(time.Minute), want: fattorino.Discarded, reason: fattorino.SinkGone, wantState: fattorino.GoneByAnswer, changed: true},
		{name: "410 after the expiry date is told as what it is", answer: 410, expires: before(1), want: fattorino.Discarded, reason: fattorino.SinkGone, wantState: fattorino.GoneByAnswer, wantExpires: before(1), changed: true},

		// A2: a welcome that fails never starts an expiry; 410 on it ends.
		{name: "refused welcome starts no expiry", answer: 404, private: true, want: fattorino.Discarded, reason: fattorino.Refused},
		{name: "exhausted welcome starts no expiry", answer: 503, private: true, tries: 3, firstFail: before(time.Minute), want: fattorino.Discarded, reason: fattorino.Exhausted},
		{name: "failing welcome is retried", answer: 503, private: true, due: after(5 * time.Second)},
		{name: "410 on a welcome ends the subscription", answer: 410, private: true, want: fattorino.Discarded, reason: fattorino.SinkGone, wantState: fattorino.GoneByAnswer, changed: true},

		// The subscription had ended while the attempt was under way.
		{name: "failure for one that is gone is not retried", answer: 503, state: fattorino.Deleted, want: fattorino.Discarded, reason: fattorino.SinkGone, wantState: fattorino.Deleted},
		{name: "refusal for one that is gone starts no expiry", answer: 404, state: fattorino.VerificationLost, want: fattorino.Discarded, reason: fattorino.SinkGone, wantState: fattorino.VerificationLost},
		{name: "410 for one that is gone leaves the reason why it went", answer: 410, state: fattorino.Deleted, want: fattorino.Discarded, reason: fattorino.SinkGone, wantState: fattorino.Deleted},
		{name: "expiry date of one that is gone means nothing", answer: 503, state: fattorino.GoneByAnswer, expires: before(day), want: fattorino.Discarded, reason: fattorino.SinkGone, wantState: fattorino.GoneByAnswer, wantExpires: before(day)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.state == "" {
				tt.state = fattorino.Active
			}
			if tt.wantState == "" {
				tt.wantState = tt.state
			}
			s := &fattorino.Subscription{State: tt.state, ExpiresAt: tt.expires, UpdatedAt: before(day)}
			d := &fattorino.Delivery{
				Event: event(tt.private), Attempts: tt.tries + 7, Tries: tt.tries,
				DueAt: noon, FirstErrorAt: tt.firstFail,
			}

			changed := fattorino.Settle(newHouse(t), s, d, answered(tt.answer), noon, 0)

			got := *d
			want := fattorino.Delivery{
				Event: d.Event, State: tt.want, Reason: tt.reason, DueAt: tt.due, Status: tt.answer,
				Attempts: tt.tries + 8, Tries: tt.tries + 1, FirstErrorAt: tt.firstFail,
			}
			if tt.want != fattorino.Pending {
				want.SettledAt = noon
			}
			if tt.answer != 200 && tt.firstFail.IsZero() {
				want.FirstErrorAt = noon
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(sameEvent)); diff != "" {
				t.Errorf("delivery (-want +got):\n%s", diff)
			}
			if s.State != tt.wantState || !s.ExpiresAt.Equal(tt.wantExpires) || changed != tt.changed {
				t.Errorf("subscription is %s, expires %v, changed %t; want %s, %v, %t",
					s.State, s.ExpiresAt, changed, tt.wantState, tt.wantExpires, tt.changed)
			}
			if touched := s.UpdatedAt.Equal(noon); touched != tt.changed {
				t.Errorf("UpdatedAt moved: %t, want %t", touched, tt.changed)
			}
		})
	}
}

// event makes one that is in the company's history, or private.
func event(private bool) *fattorino.Event {
	if private {
		return &fattorino.Event{ID: "welcome"}
	}
	return &fattorino.Event{ID: "e1", Seq: 1}
}

func sameEvent(a, b *fattorino.Event) bool { return a == b }

// answered gives an answer with the status; 0 = none came.
func answered(code int) *fattorino.Answer {
	if code == 0 {
		return &fattorino.Answer{Failure: fattorino.FailedTimeout}
	}
	return status(code)
}

func TestA14_TheExpiryCountsFromTheFirstErrorOfTheNotificationThatSetIt(t *testing.T) {
	t.Parallel()
	s := &fattorino.Subscription{State: fattorino.Active}
	d := &fattorino.Delivery{Event: event(false)}

	// When all four attempts of a notification fail,
	now := noon
	for range 4 {
		fattorino.Settle(newHouse(t), s, d, status(503), now, 1)
		now = now.Add(time.Hour)
	}

	// then the date is ten days after the first of them (A14).
	if !s.FirstErrorAt.Equal(noon) || !s.ExpiresAt.Equal(noon.Add(10*day)) {
		t.Errorf("first error %v, expires %v; want %v and ten days after", s.FirstErrorAt, s.ExpiresAt, noon)
	}
	// A success forgets both.
	fattorino.Settle(newHouse(t), s, &fattorino.Delivery{Event: event(false)}, status(200), now, 0)
	if !s.FirstErrorAt.IsZero() || !s.ExpiresAt.IsZero() {
		t.Errorf("after a success: first error %v, expires %v; want neither", s.FirstErrorAt, s.ExpiresAt)
	}
}

// patient is a contract under which a subscription never expires.
type patient struct{ *house }

func (patient) Expiry() time.Duration { return 0 }

func TestAContractWithoutExpiryNeverSetsADate(t *testing.T) {
	t.Parallel()
	s := &fattorino.Subscription{State: fattorino.Active}
	d := &fattorino.Delivery{Event: event(false)}
	changed := fattorino.Settle(patient{newHouse(t)}, s, d, status(404), noon, 0)
	if changed || !s.ExpiresAt.IsZero() || !s.FirstErrorAt.IsZero() || d.State != fattorino.Discarded {
		t.Errorf("changed %t: %+v; want the delivery discarded and no date", changed, s)
	}
}

func TestARetryIsMovedByTheJitterDrawn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		shift float64
		want  time.Duration
	}{
		{-1, 22500 * time.Millisecond},
		{-0.5, 23750 * time.Millisecond},
		{0, 25 * time.Second},
		{1, 27500 * time.Millisecond},
	} {
		d := &fattorino.Delivery{Event: event(false), Tries: 1}
		fattorino.Settle(newHouse(t), &fattorino.Subscription{State: fattorino.Active}, d, status(500), noon, tt.shift)
		if wait := d.DueAt.Sub(noon); wait != tt.want {
			t.Errorf("25 s with a shift of %v: due after %v, want %v", tt.shift, wait, tt.want)
		}
	}
}

func TestASinkMayAskToBeLeftAloneForLonger(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		asked string
		shift float64
		want  time.Duration
	}{
		{"60", 0, time.Minute},
		{"60", 1, time.Minute}, // what is asked for is not moved
		{"60", -1, time.Minute},
		{"24", 0, 25 * time.Second}, // less than the schedule has anyway
		{"25", -1, 25 * time.Second},
	} {
		d := &fattorino.Delivery{Event: event(false), Tries: 1}
		a := &fattorino.Answer{Status: 503, Header: []fattorino.Header{{Name: "Retry-After", Value: tt.asked}}}
		fattorino.Settle(newHouse(t), &fattorino.Subscription{State: fattorino.Active}, d, a, noon, tt.shift)
		if wait := d.DueAt.Sub(noon); wait != tt.want {
			t.Errorf("asked for %s s with a shift of %v: due after %v, want %v", tt.asked, tt.shift, wait, tt.want)
		}
	}
	// It does not get more attempts by asking.
	d := &fattorino.Delivery{Event: event(false), Tries: 3}
	a := &fattorino.Answer{Status: 503, Header: []fattorino.Header{{Name: "Retry-After", Value: "60"}}}
	fattorino.Settle(newHouse(t), &fattorino.Subscription{State: fattorino.Active}, d, a, noon, 0)
	if d.State != fattorino.Discarded || !d.DueAt.IsZero() {
		t.Errorf("after the last try: %s, due %v; want it discarded", d.State, d.DueAt)
	}
}

func TestDiscardLeavesNothingDue(t *testing.T) {
	t.Parallel()
	d := &fattorino.Delivery{DueAt: noon}
	fattorino.Discard(d, fattorino.Unfit, after(time.Second))
	want := &fattorino.Delivery{State: fattorino.Discarded, Reason: fattorino.Unfit, SettledAt: after(time.Second)}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("delivery (-want +got):\n%s", diff)
	}
}

// Whatever is answered, in whatever order: what the log says must hold
// together.
func TestAfterAnySequenceOfAnswersTheRulesHold(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			h := &happenings{
				t: t, rules: newHouse(t), random: rand.New(rand.NewPCG(seed, 1)), now: noon,
				sub: &fattorino.Subscription{State: fattorino.Active},
			}
			for range 200 {
				h.step()
			}
		})
	}
}

// happenings is a subscription to which things happen at random.
type happenings struct {
	t       *testing.T
	rules   *house
	random  *rand.Rand
	now     time.Time
	sub     *fattorino.Subscription
	pending []*fattorino.Delivery
}

// step lets some time pass, then answers one of the deliveries under way.
func (h *happenings) step() {
	h.now = h.now.Add(time.Duration(h.random.Int64N(int64(12 * time.Hour))))
	if len(h.pending) < 4 {
		h.pending = append(h.pending, &fattorino.Delivery{Event: event(h.random.IntN(5) == 0)})
	}
	i := h.random.IntN(len(h.pending))
	d := h.pending[i]
	codes := []int{200, 404, 500, 503, 0, 301, 429}
	if h.random.IntN(100) == 0 {
		codes = []int{http.StatusGone}
	}
	a := answered(codes[h.random.IntN(len(codes))])
	shift := 2*h.random.Float64() - 1
	wasSub, wasDelivery := *h.sub, *d

	changed := fattorino.Settle(h.rules, h.sub, d, a, h.now, shift)

	h.checkDelivery(&wasDelivery, d)
	h.checkSubscription(&wasSub, d, h.rules.Judge(a), changed)
	if d.State != fattorino.Pending {
		h.pending = append(h.pending[:i], h.pending[i+1:]...)
	}
}

func (h *happenings) checkDelivery(was, d *fattorino.Delivery) {
	h.t.Helper()
	if d.Attempts != was.Attempts+1 || d.Tries != was.Tries+1 {
		h.t.Fatalf("%d attempts, %d tries after %d and %d", d.Attempts, d.Tries, was.Attempts, was.Tries)
	}
	if due := !d.DueAt.IsZero(); due != (d.State == fattorino.Pending) {
		h.t.Fatalf("%s and due %v: what is pending after an attempt has a date, what is settled has none", d.State, d.DueAt)
	}
	if reasoned := d.Reason != ""; reasoned != (d.State == fattorino.Discarded) {
		h.t.Fatalf("%s with reason %q: what is discarded has a reason, nothing else has", d.State, d.Reason)
	}
	if settled := !d.SettledAt.IsZero(); settled != (d.State != fattorino.Pending) {
		h.t.Fatalf("%s, settled at %v", d.State, d.SettledAt)
	}
	if !was.FirstErrorAt.IsZero() && !d.FirstErrorAt.Equal(was.FirstErrorAt) {
		h.t.Fatalf("the first error moved from %v to %v", was.FirstErrorAt, d.FirstErrorAt)
	}
	if d.State != fattorino.Pending {
		return
	}
	plain, again := h.rules.Retry(nil, d.Tries)
	if !again {
		h.t.Fatalf("pending after %d tries, which the contract does not allow", d.Tries)
	}
	if wait := d.DueAt.Sub(h.now); wait < plain*9/10 || wait > plain*11/10 {
		h.t.Fatalf("due after %v, want %v ± 10 %%", wait, plain)
	}
}

func (h *happenings) checkSubscription(was *fattorino.Subscription, d *fattorino.Delivery, v fattorino.Verdict, changed bool) {
	h.t.Helper()
	s := h.sub
	same := cmp.Equal(*was, *s)
	if changed == same {
		h.t.Fatalf("reported changed: %t, and it went from %+v to %+v", changed, was, s)
	}
	switch {
	case was.State.Gone():
		if !same {
			h.t.Fatalf("one that had ended went from %+v to %+v", was, s)
		}
	case v == fattorino.Success:
		if s.State != fattorino.Active || !s.ExpiresAt.IsZero() {
			h.t.Fatalf("after a success: %s, expires %v", s.State, s.ExpiresAt)
		}
	case v == fattorino.End:
		if s.State != fattorino.GoneByAnswer {
			h.t.Fatalf("after 410: %s", s.State)
		}
	case !was.ExpiresAt.IsZero():
		if !s.ExpiresAt.Equal(was.ExpiresAt) {
			h.t.Fatalf("the date moved from %v to %v", was.ExpiresAt, s.ExpiresAt)
		}
		if ended := s.State == fattorino.Expired; ended != h.now.After(was.ExpiresAt) {
			h.t.Fatalf("an error at %v with the date %v: %s", h.now, was.ExpiresAt, s.State)
		}
	case d.Event.Private() || d.State == fattorino.Pending:
		if !s.ExpiresAt.IsZero() {
			h.t.Fatalf("%s, private %t: it started an expiry", d.State, d.Event.Private())
		}
	default:
		if !s.ExpiresAt.Equal(d.FirstErrorAt.Add(10*day)) || s.State != fattorino.Active {
			h.t.Fatalf("a first discarded one: %s, expires %v, want ten days after %v", s.State, s.ExpiresAt, d.FirstErrorAt)
		}
	}
	if s.State.Gone() && d.State == fattorino.Pending {
		h.t.Fatal("something is pending for one that has ended")
	}
}

func TestSettleHandshake(t *testing.T) {
	t.Parallel()
	limits := fattorino.HandshakeLimits{Attempts: 5, Every: 10 * time.Minute}
	refused := errors.New("the sink answered 404")
	retryAt := after(time.Minute)
	tests := []struct {
		name    string
		failed  int // before this one
		rate    int
		failure error
		want    fattorino.Subscription
	}{
		{
			name: "A5: a first challenge that fails counts, and leaves four", failed: 0, failure: refused,
			want: fattorino.Subscription{State: fattorino.Unverified, Handshake: fattorino.HandshakeState{Round: 3, Failed: 1, AskedAt: noon, RetryAt: retryAt, Error: "the sink answered 404"}},
		},
		{
			name: "A5: after the fourth there is one more", failed: 3, failure: refused,
			want: fattorino.Subscription{State: fattorino.Unverified, Handshake: fattorino.HandshakeState{Round: 3, Failed: 4, AskedAt: noon, RetryAt: retryAt, Error: "the sink answered 404"}},
		},
		{
			name: "A5: with the fifth it is lost", failed: 4, failure: refused,
			want: fattorino.Subscription{State: fattorino.VerificationLost, Handshake: fattorino.HandshakeState{Round: 3, Failed: 5, AskedAt: noon, RetryAt: retryAt, Error: "the sink answered 404"}},
		},
		{
			name: "a sink that proves itself starts with a clean record", failed: 4, failure: nil,
			want: fattorino.Subscription{State: fattorino.Active, Handshake: fattorino.HandshakeState{Round: 3}},
		},
		{
			name: "the rate that it consents to is kept", rate: 120, failure: nil,
			want: fattorino.Subscription{State: fattorino.Active, Handshake: fattorino.HandshakeState{Round: 3, Rate: 120}},
		},
		{
			name: "one that will call back has neither passed nor failed", failed: 4, failure: fattorino.PendingConsentError{},
			want: fattorino.Subscription{State: fattorino.Unverified, Handshake: fattorino.HandshakeState{Round: 3, Failed: 4, AskedAt: noon, RetryAt: retryAt, Error: "the sink has not called back yet"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &fattorino.Subscription{State: fattorino.Unverified, Handshake: fattorino.HandshakeState{
				Pending: true, Round: 3, AskedAt: noon, Failed: tt.failed, RetryAt: retryAt, Error: "of the last attempt",
			}}
			tt.want.UpdatedAt = noon
			fattorino.SettleHandshake(limits, s, tt.rate, tt.failure, noon)
			if diff := cmp.Diff(&tt.want, s); diff != "" {
				t.Errorf("subscription (-want +got):\n%s", diff)
			}
		})
	}
}
