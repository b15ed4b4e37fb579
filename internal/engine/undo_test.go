package engine_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func (f *fixture) remove(tb testing.TB, sub *fattorino.Subscription) {
	tb.Helper()
	if err := f.service.DeleteSubscription(context.Background(), f.admin, sub.Company, sub.Contract, sub.ID); err != nil {
		tb.Fatal(err)
	}
}

func (f *fixture) restore(tb testing.TB, sub *fattorino.Subscription) {
	tb.Helper()
	if _, err := f.service.RestoreSubscription(context.Background(), f.admin, sub.Company, sub.ID); err != nil {
		tb.Fatal(err)
	}
}

// standings tells of each delivery how it stands.
func (f *fixture) standings(tb testing.TB) map[string]string {
	tb.Helper()
	all := map[string]string{}
	for _, d := range f.log(tb, 1) {
		all[d.Event.ID] = strings.TrimSpace(d.State.String() + " " + string(d.Reason))
	}
	return all
}

func everyOrdering() []fattorino.Ordering {
	return []fattorino.Ordering{fattorino.Unordered, fattorino.ByEntity, fattorino.Latest, fattorino.Strict}
}

// moody is a sink that refuses everything until it is well.
func moody(well *atomic.Bool) *sink {
	return &sink{answer: func(_ int, _, event string) *fattorino.Answer {
		if well.Load() || strings.HasPrefix(event, "welcome-") {
			return &fattorino.Answer{Status: http.StatusOK}
		}
		return &fattorino.Answer{Status: http.StatusServiceUnavailable}
	}}
}

// A scene is one subscription of company 1 on a running engine.
type scene struct {
	*fixture
	receiver *sink
	options  []option
	sub      *fattorino.Subscription
}

// play starts an engine with one subscription, whose sink has been welcomed. It
// stops at the test's end.
func play(t *testing.T, o fattorino.Ordering, receiver *sink, options ...option) *scene {
	t.Helper()
	s := &scene{fixture: start(t, t.TempDir(), receiver, options...), receiver: receiver, options: options}
	t.Cleanup(func() { s.stop(t) })
	s.sub = s.ordered(t, o)
	return s
}

// playBacklog is play with a sink that refuses everything until it is well, and
// 40 events about three invoices, more than its lane holds in memory: they are
// due again, wait for that, and were never tried.
func playBacklog(t *testing.T, o fattorino.Ordering, well *atomic.Bool) *scene {
	t.Helper()
	s := play(t, o, moody(well), limits(engine.Limits{Window: 4}))
	for n := range 40 {
		s.publish(t, about(n%3, n))
		if n == 20 {
			synctest.Wait()
		}
	}
	synctest.Wait()
	return s
}

// restart stops the engine for a while.
func (s *scene) restart(t *testing.T, while time.Duration) {
	t.Helper()
	s.stop(t)
	time.Sleep(while)
	s.fixture = start(t, s.dir, s.receiver, s.options...)
}

func TestADeletionThatIsTakenBackLeavesEverythingAsItWas(t *testing.T) {
	for _, ordering := range everyOrdering() {
		for name, restart := range map[string]bool{"in one go": false, "through a restart": true} {
			t.Run(fmt.Sprintf("%s, %s", ordering, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					// Given a subscription with a backlog,
					var well atomic.Bool
					f := playBacklog(t, ordering, &well)
					// when it is deleted,
					f.remove(t, f.sub)
					synctest.Wait()
					before, called := f.standings(t), len(f.receiver.received())
					well.Store(true)
					time.Sleep(4 * time.Minute)
					if restart {
						f.restart(t, 0)
					}
					time.Sleep(6*time.Minute - time.Second)
					synctest.Wait()
					// then nothing is sent and nothing discarded,
					if diff := cmp.Diff(before, f.standings(t)); diff != "" {
						t.Errorf("while it can be restored (-before +now):\n%s", diff)
					}
					if n := len(f.receiver.received()) - called; n > 0 {
						t.Errorf("its sink was called %d times", n)
					}
					// and when that is taken back, everything goes on in its order.
					f.restore(t, f.sub)
					f.publish(t, about(0, 40))
					time.Sleep(5 * time.Minute)
					synctest.Wait()
					arrived := map[string]bool{}
					for _, g := range f.receiver.received()[called:] {
						arrived[g.event] = true
					}
					for event, state := range f.standings(t) {
						switch {
						case state == "delivered" && arrived[event]:
						case state == "discarded superseded" && ordering == fattorino.Latest:
						default:
							t.Errorf("%s is %s, and has arrived: %t", event, state, arrived[event])
						}
					}
					entity := invoiceOf
					switch ordering {
					case fattorino.Unordered:
						entity = func(event string) string { return event }
					case fattorino.Strict:
						entity = func(string) string { return "all" }
					}
					checkOrder(t, f.receiver.received(), entity)
				})
			})
		}
	}
}

func TestADeletionDiscardsOnceItCannotBeTakenBack(t *testing.T) {
	for name, down := range map[string]struct{ from, to time.Duration }{
		"in one go":                    {},
		"through a restart":            {3 * time.Minute, 4 * time.Minute},
		"the program was down by then": {3 * time.Minute, 15 * time.Minute},
	} {
		for _, ordering := range everyOrdering() {
			t.Run(fmt.Sprintf("%s, %s", ordering, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					// Given a subscription with a backlog,
					var well atomic.Bool
					f := playBacklog(t, ordering, &well)
					// when it is deleted,
					deleted := time.Now()
					f.remove(t, f.sub)
					synctest.Wait()
					before, called := f.standings(t), len(f.receiver.received())
					if down.from > 0 {
						time.Sleep(down.from)
						f.restart(t, down.to-down.from)
					}
					if left := time.Until(deleted.Add(fattorino.UndoFor)); left > 0 {
						time.Sleep(left - time.Second)
						synctest.Wait()
						if diff := cmp.Diff(before, f.standings(t)); diff != "" {
							t.Errorf("a second before the time is over (-before +now):\n%s", diff)
						}
					}
					time.Sleep(2 * time.Second)
					synctest.Wait()
					// then all of it is discarded when ten minutes are over, and nothing sent.
					for event, state := range f.standings(t) {
						if state != "discarded gone" && before[event] != state {
							t.Errorf("%s is %s", event, state)
						}
						if strings.HasPrefix(state, "pending") || state == "waiting" {
							t.Errorf("%s is still %s", event, state)
						}
					}
					if n := len(f.receiver.received()) - called; n > 0 {
						t.Errorf("its sink was called %d times", n)
					}
					if _, err := f.service.RestoreSubscription(context.Background(), f.admin, 1, f.sub.ID); fattorino.KindOf(err) != fattorino.Gone {
						t.Errorf("restored: %v, want that it is too late", err)
					}
				})
			})
		}
	}
}

// An answer that comes after the deletion says nothing but that it was a success.
func TestAnAttemptThatADeletionFindsUnderWay(t *testing.T) {
	for status, want := range map[int]string{200: "delivered", 503: "pending", 404: "pending", 410: "pending"} {
		for name, restored := range map[string]bool{"taken back": true, "for good": false} {
			t.Run(fmt.Sprintf("%d, %s", status, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					// Given an attempt under way, the last that its contract allows,
					var tries atomic.Int64
					receiver := &sink{answer: func(_ int, _, event string) *fattorino.Answer {
						if strings.HasPrefix(event, "welcome-") {
							return &fattorino.Answer{Status: 200}
						}
						switch tries.Add(1) {
						case 4:
							time.Sleep(time.Minute)
							return &fattorino.Answer{Status: status}
						case 5:
							return &fattorino.Answer{Status: 200}
						}
						return &fattorino.Answer{Status: 503}
					}}
					f := play(t, fattorino.Unordered, receiver)
					f.publish(t, about(1, 0))
					time.Sleep(175 * time.Second) // three waits of 155 s ± 10 %
					if n := tries.Load(); n != 4 {
						t.Fatalf("%d attempts, want the fourth under way", n)
					}
					// when its subscription is deleted,
					f.remove(t, f.sub)
					time.Sleep(2 * time.Minute)
					// then a success counts, and anything else leaves it to be sent again
					if got := f.standings(t)["1#0"]; got != want {
						t.Errorf("it is %s, want %s", got, want)
					}
					if s, _ := f.store.Subscription(context.Background(), f.sub.ID); s.State != fattorino.Deleted || !s.ExpiresAt.IsZero() {
						t.Errorf("the subscription is %s, and expires %v", s.State, s.ExpiresAt)
					}
					// where the deletion is taken back, or else to be discarded.
					if restored {
						f.restore(t, f.sub)
					}
					time.Sleep(fattorino.UndoFor)
					synctest.Wait()
					end := "delivered"
					if !restored && status != 200 {
						end = "discarded gone"
					}
					if got := f.standings(t)["1#0"]; got != end {
						t.Errorf("in the end it is %s, want %s", got, end)
					}
				})
			})
		}
	}
}

func TestNothingOfADeletedSubscriptionIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := play(t, fattorino.Unordered, &sink{})
		f.publish(t, about(1, 0))
		synctest.Wait()
		f.remove(t, f.sub)
		f.publish(t, about(1, 1)) // unheard
		log := f.log(t, 1)
		if len(log) != 1 || log[0].State != fattorino.Delivered {
			t.Fatalf("log = %+v, want the one from before delivered, and no other", log)
		}
		if _, err := f.service.Resend(context.Background(), f.admin, 1, log[0].ID); fattorino.KindOf(err) != fattorino.Conflict {
			t.Errorf("sent again: %v, want a conflict", err)
		}
	})
}

// A subscription can be disabled or deleted for long.
func TestALaneThatIsNotServedHoldsNoEvents(t *testing.T) {
	for name, deleted := range map[string]bool{"deleted": true, "disabled": false} {
		for _, ordering := range everyOrdering() {
			t.Run(fmt.Sprintf("%s, %s", name, ordering), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					// Given a lane full of events, some of them on their way,
					receiver := &sink{answer: func(int, string, string) *fattorino.Answer {
						time.Sleep(time.Second)
						return &fattorino.Answer{Status: 200}
					}}
					f := play(t, ordering, receiver)
					time.Sleep(time.Minute)
					for n := range 100 {
						f.publish(t, about(n, n))
					}
					synctest.Wait()
					if f.engine.Held() == 0 {
						t.Fatal("there is nothing in memory")
					}
					// when it is not served for a while,
					var held int64
					var sent int
					f.pauseFor(t, f.sub, deleted, func() {
						time.Sleep(2 * time.Second)
						synctest.Wait()
						held, sent = f.engine.Held(), len(receiver.received())
					})
					// then nothing is left in memory but in the store,
					if held > 0 || sent == 100 {
						t.Errorf("%d bytes in memory, %d sent", held, sent)
					}
					// and all is sent afterwards, once.
					time.Sleep(5 * time.Minute)
					synctest.Wait()
					if n := len(receiver.received()); n != 100 {
						t.Errorf("%d were sent, want 100", n)
					}
				})
			})
		}
	}
}

// The moment in which a deletion becomes final is one transaction: an undo comes
// before it or after it.
func TestAnUndoIsInTimeOrTooLateHoweverSlowTheStoreIs(t *testing.T) {
	for _, early := range []time.Duration{time.Nanosecond, time.Second, 0, -time.Second} {
		t.Run(early.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// Given a store that needs seconds for a change of a subscription,
				store := &slow{}
				var well atomic.Bool
				f := play(t, fattorino.Unordered, moody(&well), func(c *setup) {
					c.wrap = func(s fattorino.Store) fattorino.Store { store.Store = s; return store }
				})
				f.publish(t, about(1, 0))
				synctest.Wait()
				f.remove(t, f.sub)
				gone, err := f.store.Subscription(context.Background(), f.sub.ID)
				if err != nil {
					t.Fatal(err)
				}
				well.Store(true)
				// when a deletion is taken back about when the time is over,
				store.on.Store(true)
				time.Sleep(time.Until(gone.RestorableUntil()) - early)
				_, err = f.service.RestoreSubscription(context.Background(), f.admin, 1, f.sub.ID)
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				// then it is, and its delivery is made, or it is not, and that is discarded.
				want := "delivered"
				if err != nil {
					want = "discarded gone"
				}
				if got := f.standings(t)["1#0"]; got != want {
					t.Errorf("restored: %v, and the delivery is %s", err, got)
				}
				if inTime := early > 0; inTime != (err == nil) {
					t.Errorf("restored: %v", err)
				}
			})
		})
	}
}

// slow is the real store, which takes its time over changes.
type slow struct {
	fattorino.Store
	on atomic.Bool
}

func (s *slow) Update(ctx context.Context, f func(fattorino.Tx) error) error {
	err := s.Store.Update(ctx, f)
	if s.on.Load() {
		time.Sleep(3 * time.Second)
	}
	return err
}
