package engine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// door is a sender whose answer to challenges is scripted; notifications are
// answered with 200.
type door struct {
	sink
	challenged int
	open       func(n int, challenge string) *fattorino.Answer
}

func (d *door) Send(ctx context.Context, r *fattorino.Request) *fattorino.Answer {
	if r.Method != "GET" {
		return d.sink.Send(ctx, r)
	}
	d.mu.Lock()
	d.challenged++
	n := d.challenged
	d.mu.Unlock()
	return d.open(n, r.Header[0].Value)
}

func right(challenge string) *fattorino.Answer {
	return &fattorino.Answer{Status: 200, Body: []byte(challenge)}
}

func wrong() *fattorino.Answer { return &fattorino.Answer{Status: 404} }

func TestNothingIsSentBeforeTheSinkHasProvedItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &door{open: func(n int, challenge string) *fattorino.Answer {
			if n == 1 {
				return wrong()
			}
			return right(challenge)
		}}
		f := start(t, t.TempDir(), receiver)
		defer f.stop(t)

		sub := f.subscribe(t, 7, "https://a.example", "invoice.paid")
		if sub.State != fattorino.Unverified || sub.Handshake.Failed != 1 || sub.Handshake.Error == "" {
			t.Fatalf("after a wrong answer: %+v, want unverified with one failure and its reason", sub)
		}
		f.publish(t, event(7, "early", "invoice.paid", nil))
		synctest.Wait()
		if n := len(receiver.received()); n != 0 {
			t.Fatalf("%d notifications before the handshake", n)
		}

		sub, err := f.service.VerifySubscription(context.Background(), f.app, 7, "plain", sub.ID, fattorino.ByHeader)
		if err != nil || sub.State != fattorino.Active {
			t.Fatalf("after the right answer: %v, %v; want active", sub, err)
		}
		f.publish(t, event(7, "late", "invoice.paid", nil))
		synctest.Wait()
		if got := receiver.received(); len(got) != 1 || got[0].event != "late" {
			t.Errorf("received %v, want what happened after the handshake alone", got)
		}
		if all := receiver.got; all[0].event[:8] != "welcome-" {
			t.Errorf("first notification is %s, want the welcome", all[0].event)
		}
	})
}

func TestAnUnprovedSinkIsLostAfterFiveAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &door{open: func(int, string) *fattorino.Answer { return wrong() }}
		f := start(t, t.TempDir(), receiver)
		defer f.stop(t)
		sub := f.subscribe(t, 7, "https://a.example", "invoice.paid")

		for retry := 1; retry <= 4; retry++ {
			if _, err := f.service.VerifySubscription(context.Background(), f.app, 7, "plain", sub.ID, fattorino.ByHeader); err != nil {
				t.Fatalf("retry %d: %v", retry, err)
			}
			time.Sleep(10 * time.Minute)
		}
		if receiver.challenged != 5 {
			t.Errorf("challenged %d times, want 5", receiver.challenged)
		}
		s, _ := f.store.Subscription(context.Background(), sub.ID)
		if s.State != fattorino.VerificationLost {
			t.Errorf("state = %s, want verification_lost", s.State)
		}
		if _, err := f.service.Subscription(context.Background(), f.app, 7, "plain", sub.ID); fattorino.KindOf(err) != fattorino.NotFound {
			t.Errorf("a lost subscription is read as %v, want NotFound", err)
		}
		// Its types are free again.
		receiver.open = func(_ int, challenge string) *fattorino.Answer { return right(challenge) }
		if again := f.subscribe(t, 7, "https://b.example", "invoice.paid"); again.State != fattorino.Active {
			t.Errorf("state = %s, want active", again.State)
		}
	})
}

func TestCreateDoesNotWaitLongForASlowSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &door{open: func(_ int, challenge string) *fattorino.Answer {
			time.Sleep(8 * time.Second)
			return right(challenge)
		}}
		f := start(t, t.TempDir(), receiver)
		defer f.stop(t)
		begun := time.Now()
		sub := f.subscribe(t, 7, "https://a.example", "invoice.paid")
		if waited := time.Since(begun); waited != 2*time.Second || sub.State != fattorino.Unverified {
			t.Errorf("answered %s after %v, want unverified after 2s", sub.State, waited)
		}
		time.Sleep(7 * time.Second)
		synctest.Wait()
		if s, _ := f.store.Subscription(context.Background(), sub.ID); s.State != fattorino.Active {
			t.Errorf("state = %s once the sink has answered, want active", s.State)
		}
	})
}

func TestANewSinkIsChallengedAndWhatIsPendingWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := &door{open: func(_ int, challenge string) *fattorino.Answer { return right(challenge) }}
		receiver.answer = func(_ int, url, _ string) *fattorino.Answer {
			if url == "https://old.example" {
				return &fattorino.Answer{Status: 500}
			}
			return &fattorino.Answer{Status: 200}
		}
		f := start(t, t.TempDir(), receiver)
		defer f.stop(t)
		sub := f.subscribe(t, 7, "https://old.example", "invoice.paid")
		f.publish(t, event(7, "e1", "invoice.paid", nil))
		synctest.Wait()

		// When the sink moves, and the new one does not prove itself at once,
		receiver.open = func(n int, challenge string) *fattorino.Answer {
			if n == 2 {
				return wrong()
			}
			return right(challenge)
		}
		moved := "https://new.example"
		s, _, err := f.service.ModifySubscription(context.Background(), f.app, 7, "plain", sub.ID, fattorino.SubscriptionChange{Sink: &moved})
		if err != nil || s.State != fattorino.Unverified {
			t.Fatalf("after the move: %v, %v; want unverified", s, err)
		}
		before := len(receiver.received())
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(receiver.received()) - before; n != 0 {
			t.Fatalf("%d attempts while the new sink is unproved", n)
		}
		// then what was pending is delivered to it once it has.
		if _, err := f.service.VerifySubscription(context.Background(), f.app, 7, "plain", sub.ID, fattorino.ByHeader); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := receiver.received()
		if last := got[len(got)-1]; last.url != moved || last.event != "e1" {
			t.Errorf("last received %+v, want e1 at the new sink", last)
		}
	})
}

func TestAChallengeCutOffByACrashIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		release := make(chan struct{})
		receiver := &door{open: func(int, string) *fattorino.Answer {
			<-release
			return &fattorino.Answer{Failure: fattorino.FailedReset}
		}}
		f := start(t, dir, receiver)
		sub := f.subscribe(t, 7, "https://a.example", "invoice.paid")
		go func() { time.Sleep(20 * time.Second); close(release) }()
		f.stop(t) // while the challenge is in flight

		second := &door{open: func(_ int, challenge string) *fattorino.Answer { return right(challenge) }}
		f = start(t, dir, second)
		defer f.stop(t)
		synctest.Wait()
		if s, _ := f.store.Subscription(context.Background(), sub.ID); s.State != fattorino.Active {
			t.Errorf("state = %s, want active: the challenge was lost", s.State)
		}
	})
}
