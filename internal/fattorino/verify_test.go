package fattorino_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// verify asks for another challenge.
func (f *fixture) verify(sub *fattorino.Subscription, m fattorino.Method) (*fattorino.Subscription, error) {
	return f.VerifySubscription(context.Background(), f.app, 7, "house", sub.ID, m)
}

func TestAVerifiedSinkIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	f := setup(t)
	sub := f.subscribe(t, f.app, wish(here, paid))
	_, err := f.verify(sub, fattorino.ByHeader)
	fails(t, err, fattorino.Conflict)
	// It stays verified while it is disabled.
	off := false
	if _, _, err := f.ModifySubscription(context.Background(), f.app, 7, "house", sub.ID, fattorino.SubscriptionChange{Enabled: &off}); err != nil {
		t.Fatal(err)
	}
	_, err = f.verify(sub, fattorino.ByHeader)
	fails(t, err, fattorino.Conflict)
	if n := f.sinks.challenges(here); n != 1 {
		t.Errorf("%d challenges, want one", n)
	}
}

func TestOneRetryPerTenMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.sinks.nowProve(wrongly)
		sub := f.subscribe(t, f.app, wish(here, paid))

		// A5: the time counts from the last retry asked for, so the first may
		// come at once,
		if again, err := f.verify(sub, fattorino.ByHeader); err != nil || again.Handshake.Failed != 2 {
			t.Fatalf("first retry: %+v, %v; want it made and failed", again, err)
		}
		// and the next ten minutes after it, not a moment before (A6).
		for _, tt := range []struct{ pause, left time.Duration }{
			{0, 10 * time.Minute},
			{4 * time.Minute, 6 * time.Minute},
			{6*time.Minute - time.Microsecond, time.Microsecond},
		} {
			time.Sleep(tt.pause)
			_, err := f.verify(sub, fattorino.ByHeader)
			if e := told(t, err, fattorino.TooMany); e.RetryAfter != tt.left {
				t.Errorf("told to wait %v, want %v", e.RetryAfter, tt.left)
			}
		}
		time.Sleep(time.Microsecond)
		if again, err := f.verify(sub, fattorino.ByHeader); err != nil || again.Handshake.Failed != 3 {
			t.Errorf("second retry: %+v, %v; want it made", again, err)
		}
		// What was refused was not asked of the sink.
		if n := f.sinks.challenges(here); n != 3 {
			t.Errorf("%d challenges, want 3", n)
		}
	})
}

func TestOneChallengeAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.sinks.nowProve(func(sink, challenge string) *fattorino.Answer {
			time.Sleep(8 * time.Second)
			return rightly(sink, challenge)
		})
		// Given a sink that takes its time,
		sub := f.subscribe(t, f.app, wish(here, paid))
		if !sub.Handshake.Pending || sub.State != fattorino.Unverified {
			t.Fatalf("%+v, want the challenge pending", sub)
		}
		// then no second challenge begins meanwhile,
		_, err := f.verify(sub, fattorino.ByHeader)
		if e := told(t, err, fattorino.TooMany); e.RetryAfter != 10*time.Second {
			t.Errorf("told to wait %v, want the time that a challenge may take", e.RetryAfter)
		}
		// and the first has its outcome.
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if s := f.kept(t, sub.ID); s.State != fattorino.Active || s.Handshake != (fattorino.HandshakeState{Round: 1}) {
			t.Errorf("%+v, want active with a clean record", s)
		}
	})
}

func TestFiveAttemptsThenASinkIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.sinks.nowProve(wrongly)
		// A5: the first challenge counts: one and four retries.
		sub := f.subscribe(t, f.app, wish(here, paid))
		var states []fattorino.State
		for range 4 {
			again, err := f.verify(sub, fattorino.ByHeader)
			if err != nil {
				t.Fatal(err)
			}
			states = append(states, again.State)
			time.Sleep(10 * time.Minute)
		}
		want := []fattorino.State{fattorino.Unverified, fattorino.Unverified, fattorino.Unverified, fattorino.VerificationLost}
		if diff := cmp.Diff(want, states); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
		// A6: then it is gone and its types are free.
		_, err := f.verify(sub, fattorino.ByHeader)
		fails(t, err, fattorino.NotFound)
		if list := f.held(t, f.app); len(list) != 0 {
			t.Errorf("the list shows %+v", list[0])
		}
		f.sinks.nowProve(nil)
		f.subscribe(t, f.app, wish(here, paid))
	})
}

func TestANewSinkStartsTheCountAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.sinks.nowProve(wrongly)
		sub := f.subscribe(t, f.app, wish(here, paid))
		for range 3 {
			if _, err := f.verify(sub, fattorino.ByHeader); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
		}
		// Given four failed challenges, when the sink changes,
		to := there
		moved, _, err := f.ModifySubscription(context.Background(), f.app, 7, "house", sub.ID, fattorino.SubscriptionChange{Sink: &to})
		// then the first of the new sink is the first of five.
		if err != nil || moved.State != fattorino.Unverified || moved.Handshake.Failed != 1 || !moved.Handshake.RetryAt.IsZero() {
			t.Errorf("%+v, %v; want one failed challenge and the next at any time", moved, err)
		}
	})
}

func TestEachChallengeTravelsAsItsRequestWished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.sinks.nowProve(wrongly)
		sub := f.subscribe(t, f.app, wish(here, paid))
		for _, m := range []fattorino.Method{fattorino.ByQuery, fattorino.ByHeader} {
			if _, err := f.verify(sub, m); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
		}
		var methods []string
		challenges := map[string]bool{}
		for _, r := range f.sinks.challenged {
			methods = append(methods, r.Header[1].Value)
			challenges[r.Header[0].Value] = true
		}
		if diff := cmp.Diff([]string{"header", "query", "header"}, methods); diff != "" {
			t.Errorf("methods (-want +got):\n%s", diff)
		}
		if len(challenges) != 3 {
			t.Errorf("%d different challenges, want a fresh one each time", len(challenges))
		}
	})
}
