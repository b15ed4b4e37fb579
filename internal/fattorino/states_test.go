package fattorino_test

import (
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestADeliveryStateIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	for state, name := range map[fattorino.DeliveryState]string{
		fattorino.Pending: "pending", fattorino.Delivered: "delivered", fattorino.Discarded: "discarded",
	} {
		if state.String() != name {
			t.Errorf("state %d is written as %q, want %q", state, state, name)
		}
		if got, ok := fattorino.ParseDeliveryState(name); !ok || got != state {
			t.Errorf("%q is read as %d, %t; want %d", name, got, ok, state)
		}
	}
	for _, name := range []string{"", "Pending", "unknown", "gone"} {
		if got, ok := fattorino.ParseDeliveryState(name); ok {
			t.Errorf("%q is read as %s, want none", name, got)
		}
	}
	if got := fattorino.DeliveryState(9).String(); got != "unknown" {
		t.Errorf("a state that is none is written as %q", got)
	}
}

func TestTheEndsOfASubscription(t *testing.T) {
	t.Parallel()
	for state, want := range map[fattorino.State]bool{
		fattorino.Unverified: false, fattorino.Active: false, fattorino.Disabled: false,
		fattorino.Deleted: true, fattorino.GoneByAnswer: true, fattorino.Expired: true, fattorino.VerificationLost: true,
	} {
		if state.Gone() != want {
			t.Errorf("%s is gone: %t, want %t", state, state.Gone(), want)
		}
	}
}

func TestWhoHearsOfEvents(t *testing.T) {
	t.Parallel()
	for state, want := range map[fattorino.State]bool{
		fattorino.Active: true, fattorino.Disabled: true, // which is sent them once it is enabled
		fattorino.Unverified: false, fattorino.Deleted: false, fattorino.GoneByAnswer: false, fattorino.Expired: false, fattorino.VerificationLost: false,
	} {
		if state.Hears() != want {
			t.Errorf("%s hears: %t, want %t", state, state.Hears(), want)
		}
	}
}

func TestACloneCanBeChangedAlone(t *testing.T) {
	t.Parallel()
	s := &fattorino.Subscription{Types: []string{paid}, Sink: here, Secrets: []fattorino.Secret{{EndsAt: noon}}}
	c := s.Clone()
	c.Types[0], c.Sink, c.Secrets[0].EndsAt = created, there, time.Time{}
	if s.Types[0] != paid || s.Sink != here || !s.Secrets[0].EndsAt.Equal(noon) {
		t.Errorf("changing a clone changed %+v", s)
	}
}
