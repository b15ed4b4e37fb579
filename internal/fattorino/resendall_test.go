package fattorino_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// refused publishes n events that the sink of every subscription refuses, and
// waits until it has. Welcomes come before, and are taken.
func (f *fixture) refused(tb testing.TB, n, deliveries int) {
	tb.Helper()
	pending := fattorino.Pending
	eventually(tb, func() bool {
		left, err := f.Deliveries(tb.Context(), f.admin, 7, fattorino.DeliveryQuery{State: &pending, Limit: 1})
		return err == nil && len(left) == 0
	})
	f.sinks.nowAnswer(http.StatusTeapot)
	var events []*fattorino.Event
	for i := range n {
		events = append(events, happened(fmt.Sprint("event-", i), paid))
	}
	if _, err := f.Publish(tb.Context(), f.admin, events); err != nil {
		tb.Fatal(err)
	}
	eventually(tb, func() bool {
		ids, err := f.Failed(tb.Context(), f.admin, 7, fattorino.DeliveryQuery{})
		return err == nil && len(ids) == deliveries
	})
}

// eventually waits for what the engine is about to do.
func eventually(tb testing.TB, done func() bool) {
	tb.Helper()
	timeout := time.After(time.Minute)
	for !done() {
		select {
		case <-timeout:
			tb.Fatal("it does not come about")
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// ended waits for the end of the run and gives it.
func (f *fixture) ended(tb testing.TB, caller *fattorino.Token) (run fattorino.Resending) {
	tb.Helper()
	eventually(tb, func() bool {
		var known bool
		var err error
		run, known, err = f.Resending(caller, 7)
		return err == nil && known && !run.EndedAt.IsZero()
	})
	return run
}

func TestAllThatFailedIsSentAgain(t *testing.T) {
	t.Parallel()
	f := setup(t)
	n := wish("https://open", paid)
	n.Contract = "open"
	f.subscribe(t, f.app, n)
	n.Sink = "https://other"
	other := f.subscribe(t, f.rival, n)
	f.refused(t, 250, 500)
	f.sinks.nowAnswer(http.StatusOK)

	// Of a selection those alone, oldest first.
	q := fattorino.DeliveryQuery{Subscriptions: []int64{other.ID}}
	ids, err := f.Failed(t.Context(), f.admin, 7, q)
	if err != nil || len(ids) != 250 || ids[0] >= ids[249] {
		t.Fatalf("%d are found, %v; want 250, oldest first", len(ids), err)
	}
	if err := f.ResendAll(t.Context(), f.admin, 7, q, "anna"); err != nil {
		t.Fatal(err)
	}
	run := f.ended(t, f.admin)
	if run.By != "anna" || run.Total != 250 || run.Resent != 250 || run.Skipped != 0 || run.Stopped || run.Err != nil {
		t.Errorf("%+v; want 250 sent again", run)
	}
	eventually(t, func() bool { return len(f.sinks.received("https://other")) == 501 })
	if got := len(f.sinks.received("https://open")); got != 251 {
		t.Errorf("the sink that was not selected got %d, want 251", got)
	}
	// What is delivered is not found again; another's is not an app's to send.
	if ids, err := f.Failed(t.Context(), f.rival, 7, fattorino.DeliveryQuery{}); err != nil || len(ids) != 0 {
		t.Errorf("%d are found of an app whose are all delivered, %v", len(ids), err)
	}
	if _, known, err := f.Resending(f.rival, 7); err != nil || known {
		t.Errorf("an app sees the run of another: %v, %v", known, err)
	}
}

func TestWhatCannotBeSentAgainIsSkipped(t *testing.T) {
	t.Parallel()
	f := setup(t)
	n := wish("https://open", paid)
	n.Contract = "open"
	sub := f.subscribe(t, f.app, n)
	f.refused(t, 3, 3)
	off := false
	if _, _, err := f.ModifySubscription(t.Context(), f.app, 7, "open", sub.ID, fattorino.SubscriptionChange{Enabled: &off}); err != nil {
		t.Fatal(err)
	}
	if err := f.ResendAll(t.Context(), f.app, 7, fattorino.DeliveryQuery{}, ""); err != nil {
		t.Fatal(err)
	}
	if run := f.ended(t, f.app); run.Resent != 0 || run.Skipped != 3 || run.Err != nil {
		t.Errorf("%+v; want 3 skipped", run)
	}
}

func TestARunIsOneAtATimeAndCanBeStopped(t *testing.T) {
	t.Parallel()
	f := setup(t)
	n := wish("https://open", paid)
	n.Contract = "open"
	f.subscribe(t, f.app, n)
	f.refused(t, 250, 250)
	f.sinks.nowAnswer(http.StatusOK)

	// The committer is kept busy, so that the run stands at its first step.
	busy := make(chan error, 1)
	entered, through := make(chan struct{}), make(chan struct{})
	go func() {
		busy <- f.engine.Update(t.Context(), func(fattorino.Tx) error {
			close(entered)
			<-through
			return nil
		})
	}()
	<-entered
	if err := f.ResendAll(t.Context(), f.admin, 7, fattorino.DeliveryQuery{}, ""); err != nil {
		t.Fatal(err)
	}
	if run, known, err := f.Resending(f.admin, 7); err != nil || !known || !run.EndedAt.IsZero() || run.Total != 250 {
		t.Errorf("%+v, %v, %v; want it under way", run, known, err)
	}
	fails(t, f.ResendAll(t.Context(), f.admin, 7, fattorino.DeliveryQuery{}, ""), fattorino.Conflict)
	stopped := make(chan error, 1)
	go func() { stopped <- f.StopResending(t.Context(), f.admin, 7) }()
	eventually(t, func() bool {
		run, _, err := f.Resending(f.admin, 7)
		return err == nil && run.Stopped
	})
	close(through)
	if err := errors.Join(<-busy, <-stopped); err != nil {
		t.Fatal(err)
	}
	run := f.ended(t, f.admin)
	if !run.Stopped || run.Done() > 100 || run.Err != nil {
		t.Errorf("%+v; want it stopped after one step at most", run)
	}
	// The next one takes the rest.
	if err := f.ResendAll(t.Context(), f.admin, 7, fattorino.DeliveryQuery{}, ""); err != nil {
		t.Fatal(err)
	}
	f.ended(t, f.admin)
	eventually(t, func() bool { return len(f.sinks.received("https://open")) == 501 })
}

func TestAPublisherSendsNothingAgain(t *testing.T) {
	t.Parallel()
	f := setup(t)
	publisher := &fattorino.Token{Kind: fattorino.PublishToken}
	fails(t, f.ResendAll(t.Context(), publisher, 7, fattorino.DeliveryQuery{}, ""), fattorino.Denied)
	fails(t, f.StopResending(t.Context(), publisher, 7), fattorino.Denied)
	_, _, err := f.Resending(publisher, 7)
	fails(t, err, fattorino.Denied)
}
