package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func heldBy(held <-chan struct{}) option {
	return func(c *setup) { c.Held = func() <-chan struct{} { return held } }
}

func TestWhileItMayNotSendNothingIsSentAndThatIsNobodysFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Given a process that may not send at the moment,
		held, receiver := make(chan struct{}), &sink{}
		f := start(t, t.TempDir(), receiver, heldBy(held))
		defer f.stop(t)
		sub := f.subscribe(t, 7, "https://a.example", "invoice.paid")
		if sub.State != fattorino.Unverified {
			t.Fatalf("the subscription is %s: its sink was challenged", sub.State)
		}
		// when it may, the challenge that waited is sent,
		time.Sleep(time.Hour)
		close(held)
		synctest.Wait()
		f.publish(t, event(7, "e1", "invoice.paid", nil))
		synctest.Wait()
		log := f.log(t, 7)
		if len(log) != 1 || log[0].State != fattorino.Delivered || log[0].Attempts != 1 {
			t.Errorf("log = %+v, want one delivered at the first attempt", log)
		}
	})
}

func TestWhatMayNotBeSentIsStillPendingAfterAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, receiver := t.TempDir(), &sink{}
		f := start(t, dir, receiver)
		f.subscribe(t, 7, "https://a.example", "invoice.paid")
		f.stop(t)

		// Given an event that may not be sent, by a process that is stopped,
		f = start(t, dir, receiver, heldBy(make(chan struct{})))
		f.publish(t, event(7, "e1", "invoice.paid", nil))
		time.Sleep(time.Hour)
		begun := time.Now()
		f.stop(t)
		if took := time.Since(begun); took > 0 {
			t.Errorf("the stop waited %v for what may not be sent", took)
		}
		if got := receiver.received(); len(got) > 0 {
			t.Fatalf("%v was sent", got)
		}

		// then the next one sends it, as if it had never been taken up.
		f = start(t, dir, receiver)
		defer f.stop(t)
		synctest.Wait()
		log := f.log(t, 7)
		if len(log) != 1 || log[0].State != fattorino.Delivered || log[0].Attempts != 1 {
			t.Errorf("log = %+v, want one delivered at the first attempt", log)
		}
	})
}
