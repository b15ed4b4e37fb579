package fattorino_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestAChangeChangesWhatItNames(t *testing.T) {
	t.Parallel()
	f := setup(t)
	sub := f.subscribe(t, f.app, wish(here, paid, created))
	f.subscribe(t, f.app, wish(there, deleted))
	same, structured := here, fattorino.Structured

	for _, tt := range []struct {
		name    string
		change  fattorino.SubscriptionChange
		types   []string
		format  fattorino.Format
		refused []fattorino.TypeRefusal
	}{
		{"nothing", fattorino.SubscriptionChange{}, []string{paid, created}, fattorino.Binary, nil},
		{"the format alone", fattorino.SubscriptionChange{Format: &structured}, []string{paid, created}, fattorino.Structured, nil},
		{"the types, as a whole", fattorino.SubscriptionChange{Types: []string{stock}}, []string{stock}, fattorino.Structured, nil},
		{"its own types are no duplicates", fattorino.SubscriptionChange{Types: []string{stock, paid}}, []string{stock, paid}, fattorino.Structured, nil},
		{"types of another are taken", fattorino.SubscriptionChange{Types: []string{all}}, []string{created, paid}, fattorino.Structured, []fattorino.TypeRefusal{taken(deleted)}},
		{"unknown types are refused", fattorino.SubscriptionChange{Types: []string{"invoice.lost", paid}}, []string{paid}, fattorino.Structured, []fattorino.TypeRefusal{unknown("invoice.lost")}},
		{"the sink, to the one it has", fattorino.SubscriptionChange{Sink: &same, Method: fattorino.ByQuery}, []string{paid}, fattorino.Structured, nil},
	} {
		got, refused, err := f.ModifySubscription(context.Background(), f.app, 7, "house", sub.ID, tt.change)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.types, got.Types); diff != "" || got.Format != tt.format || got.Sink != here {
			t.Errorf("%s: format %s, sink %s, types (-want +got):\n%s", tt.name, got.Format, got.Sink, diff)
		}
		if diff := cmp.Diff(tt.refused, refused); diff != "" {
			t.Errorf("%s: refused (-want +got):\n%s", tt.name, diff)
		}
		// None of these needs the sink to prove itself again.
		if got.State != fattorino.Active || f.sinks.challenges(here) != 1 {
			t.Errorf("%s: it is %s after %d challenges, want active after one", tt.name, got.State, f.sinks.challenges(here))
		}
	}
}

func TestAChangeThatCannotBeChangesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	narrow := &fattorino.Token{Kind: fattorino.APIToken, App: 1, Scopes: []string{"invoices:r"}}
	sub := f.subscribe(t, narrow, wish(here, paid))
	f.subscribe(t, narrow, wish(there, deleted))
	structured, moved := fattorino.Structured, "https://c.example"

	for _, tt := range []struct {
		name  string
		types []string
		want  fattorino.Kind
	}{
		{"to no types", []string{}, fattorino.Invalid},
		{"to unknown types alone", []string{"invoice.lost"}, fattorino.Invalid},
		{"to types of another alone", []string{deleted}, fattorino.Invalid},
		{"to a type without its scope", []string{paid, stock}, fattorino.Denied},
	} {
		_, _, err := f.ModifySubscription(context.Background(), narrow, 7, "house", sub.ID,
			fattorino.SubscriptionChange{Types: tt.types, Format: &structured, Sink: &moved})
		if kind := fattorino.KindOf(err); err == nil || kind != tt.want {
			t.Errorf("%s: %v, want kind %d", tt.name, err, tt.want)
		}
		if diff := cmp.Diff(sub, f.kept(t, sub.ID)); diff != "" {
			t.Errorf("%s: it changed (-before +after):\n%s", tt.name, diff)
		}
	}
	// A token of the app that may not hear what it holds cannot have it sent
	// elsewhere, nor read what was sent; to delete it, it needs no scope.
	bare := &fattorino.Token{Kind: fattorino.APIToken, App: 1}
	_, _, err := f.ModifySubscription(context.Background(), bare, 7, "house", sub.ID, fattorino.SubscriptionChange{Sink: &moved})
	fails(t, err, fattorino.Denied)
	_, err = f.VerifySubscription(context.Background(), bare, 7, "house", sub.ID, fattorino.ByHeader)
	fails(t, err, fattorino.Denied)
	if err := f.DeleteSubscription(context.Background(), bare, 7, "house", sub.ID); err != nil {
		t.Errorf("deleting: %v", err)
	}
}

func TestANewSinkMustProveItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		sub := f.subscribe(t, f.app, wish(here, paid))
		// Given a subscription with an expiry pending,
		f.sinks.nowAnswer(404)
		f.publish(t, happened("e1", paid))
		synctest.Wait()
		if f.kept(t, sub.ID).ExpiresAt.IsZero() {
			t.Fatal("no expiry after a refusal")
		}

		// when its sink changes, to one that does not prove itself,
		f.sinks.nowProve(wrongly)
		to := there
		moved, _, err := f.ModifySubscription(context.Background(), f.app, 7, "house", sub.ID,
			fattorino.SubscriptionChange{Sink: &to, Method: fattorino.ByQuery})

		// then it hears nothing until it does,
		if err != nil || moved.State != fattorino.Unverified || moved.Sink != there {
			t.Fatalf("%+v, %v; want unverified", moved, err)
		}
		f.publish(t, happened("e2", paid))
		synctest.Wait()
		if got := f.sinks.received(there); len(got) != 0 {
			t.Errorf("received %v", got)
		}
		// was asked in the way that was wished,
		if asked := f.sinks.challenged[1]; asked.URL != there || asked.Header[1].Value != string(fattorino.ByQuery) {
			t.Errorf("challenged %s by %s, want %s by query", asked.URL, asked.Header[1].Value, there)
		}
		// and starts with a clean record.
		if !moved.ExpiresAt.IsZero() || !moved.FirstErrorAt.IsZero() || moved.Handshake.Failed != 1 {
			t.Errorf("%+v, want no expiry and one failed challenge, its own", moved)
		}
	})
}

func TestAnExemptSinkNeedsNoChallenge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, func(c *fattorino.Config) {
			c.Exempt = func(sink string) bool { return strings.HasPrefix(sink, "https://hooks.trusted.example/") }
		})
		const trusted = "https://hooks.trusted.example/1"
		// A15: it is active at once, is welcomed, and is never asked.
		sub := f.subscribe(t, f.app, wish(trusted, paid))
		if sub.State != fattorino.Active {
			t.Errorf("%s, want active", sub.State)
		}
		f.publish(t, happened("e1", paid))
		synctest.Wait()
		if diff := cmp.Diff([]string{fmt.Sprintf("welcome-%d-1", sub.ID), "e1"}, f.sinks.received(trusted)); diff != "" {
			t.Errorf("received (-want +got):\n%s", diff)
		}
		if n := f.sinks.challenges(trusted); n != 0 {
			t.Errorf("%d challenges, want none", n)
		}

		// Moving away from it needs one, and moving back does not.
		f.sinks.nowProve(wrongly)
		to := there
		if away, _, err := f.ModifySubscription(context.Background(), f.app, 7, "house", sub.ID, fattorino.SubscriptionChange{Sink: &to}); err != nil || away.State != fattorino.Unverified {
			t.Errorf("away: %v, %v; want unverified", away, err)
		}
		to = "https://hooks.trusted.example/2"
		back, _, err := f.ModifySubscription(context.Background(), f.app, 7, "house", sub.ID, fattorino.SubscriptionChange{Sink: &to})
		if err != nil || back.State != fattorino.Active || back.Handshake != (fattorino.HandshakeState{Round: 3}) {
			t.Errorf("back: %+v, %v; want active with a clean record", back, err)
		}
	})
}

func TestDeletingEndsASubscription(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		sub := f.subscribe(t, f.app, wish(here, paid))
		// Given one delivery made and one to be retried,
		f.publish(t, happened("e1", paid))
		synctest.Wait()
		f.sinks.nowAnswer(503)
		f.publish(t, happened("e2", paid))
		synctest.Wait()

		// when it is deleted,
		if err := f.DeleteSubscription(context.Background(), f.app, 7, "house", sub.ID); err != nil {
			t.Fatal(err)
		}
		f.publish(t, happened("e3", paid))
		time.Sleep(fattorino.UndoFor)
		synctest.Wait()

		// then what was pending is discarded in the end, and nothing new begins.
		var got []string
		for _, d := range f.deliveries(t) {
			got = append(got, fmt.Sprintf("%s %s %s", d.Event.ID, d.State, d.Reason))
		}
		if diff := cmp.Diff([]string{"e1 delivered ", "e2 discarded gone"}, got); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		// Its types are free.
		f.sinks.nowAnswer(200)
		f.subscribe(t, f.app, wish(there, paid))
	})
}

func TestWhatIsDeletedIsNotVerifiedAnyMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.sinks.nowProve(func(sink, challenge string) *fattorino.Answer {
			time.Sleep(8 * time.Second)
			return rightly(sink, challenge)
		})
		sub := f.subscribe(t, f.app, wish(here, paid))
		if err := f.DeleteSubscription(context.Background(), f.app, 7, "house", sub.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if s := f.kept(t, sub.ID); s.State != fattorino.Deleted || s.Handshake.Pending {
			t.Errorf("%+v, want it deleted and no challenge pending", s)
		}
	})
}
