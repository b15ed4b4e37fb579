package fattorino_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// later is how a sink answers that wants to be asked and calls back itself
// (CloudEvents HTTP Web Hooks 1.0.2, section 4.2).
func later(string, string) *fattorino.Answer { return status(202) }

func TestASinkMayGiveItsConsentLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.sinks.nowProve(later)
		// Given a sink that will call back,
		sub := f.subscribe(t, f.app, wish(here, paid))
		if sub.State != fattorino.Unverified || sub.Handshake.Pending || sub.Handshake.Failed != 0 || sub.Handshake.Error != "the sink has not called back yet" {
			t.Fatalf("%+v, want it unverified, with no failure", sub)
		}
		// when it does in time,
		time.Sleep(10 * time.Minute)
		if err := f.GrantByCallback(context.Background(), sub.ID, 1, 120); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		// then it is verified, at the rate that it said, and welcomed once.
		want := fattorino.HandshakeState{Round: 1, Rate: 120}
		if s := f.kept(t, sub.ID); s.State != fattorino.Active || s.Handshake != want {
			t.Errorf("%+v, want active at 120 a minute", s)
		}
		// Consent given again changes nothing.
		if err := f.GrantByCallback(context.Background(), sub.ID, 1, 5); err != nil {
			t.Errorf("again: %v", err)
		}
		synctest.Wait()
		if s := f.kept(t, sub.ID); s.Handshake != want {
			t.Errorf("%+v, want it unchanged", s.Handshake)
		}
		if diff := cmp.Diff([]string{fmt.Sprintf("welcome-%d-1", sub.ID)}, f.sinks.received(here)); diff != "" {
			t.Errorf("received (-want +got):\n%s", diff)
		}
	})
}

func TestConsentThatCountsForNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.sinks.nowProve(later)
		sub := f.subscribe(t, f.app, wish(here, paid))
		refused := func(what string, round int64) {
			t.Helper()
			err := f.GrantByCallback(context.Background(), sub.ID, round, 0)
			if fattorino.KindOf(err) != fattorino.Gone {
				t.Errorf("%s: %v, want Gone", what, err)
			}
			if s := f.kept(t, sub.ID); s.State == fattorino.Active {
				t.Errorf("%s: it is active", what)
			}
		}
		refused("for a round that has not been", 2)
		time.Sleep(10*time.Minute + time.Microsecond)
		refused("a moment too late", 1)
		if _, err := f.verify(sub, fattorino.ByHeader); err != nil {
			t.Fatal(err)
		}
		refused("for the round before", 1)
		// That of a former sink says nothing of the new one.
		to := there
		if _, _, err := f.ModifySubscription(context.Background(), f.app, 7, "house", sub.ID, fattorino.SubscriptionChange{Sink: &to}); err != nil {
			t.Fatal(err)
		}
		refused("of the former sink", 2)
		if err := f.DeleteSubscription(context.Background(), f.app, 7, "house", sub.ID); err != nil {
			t.Fatal(err)
		}
		refused("for one that is gone", 3)
		if got := f.sinks.received(here); len(got) != 0 {
			t.Errorf("received %v", got)
		}
		fails(t, f.GrantByCallback(context.Background(), 999, 1, 0), fattorino.NotFound)
	})
}

func TestConsentMayComeBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.sinks.nowProve(func(string, string) *fattorino.Answer {
			time.Sleep(5 * time.Second) // it calls back before it has answered
			return status(202)
		})
		sub := f.subscribe(t, f.app, wish(here, paid))
		if err := f.GrantByCallback(context.Background(), sub.ID, 1, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if s := f.kept(t, sub.ID); s.State != fattorino.Active || s.Handshake != (fattorino.HandshakeState{Round: 1}) {
			t.Errorf("%+v, want it active: the answer that came later says no more", s)
		}
	})
}

func TestASinkMaySayHowOftenItWantsToBeCalled(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.sinks.nowProve(func(_, challenge string) *fattorino.Answer {
		return &fattorino.Answer{Status: 200, Body: []byte(challenge), Header: []fattorino.Header{{Name: "Rate", Value: "30"}}}
	})
	sub := f.subscribe(t, f.app, wish(here, paid))
	if sub.Handshake.Rate != 30 {
		t.Errorf("rate %d, want 30", sub.Handshake.Rate)
	}
	// A new sink says so for itself.
	f.sinks.nowProve(rightly)
	to := there
	moved, _, err := f.ModifySubscription(context.Background(), f.app, 7, "house", sub.ID, fattorino.SubscriptionChange{Sink: &to})
	if err != nil || moved.Handshake.Rate != 0 {
		t.Errorf("rate %d, %v; want 0", moved.Handshake.Rate, err)
	}
}
