package fattorino

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Bounds of one run of [Service.ResendAll].
const (
	MaxResendAll = 10_000 // deliveries in one run; what is beyond is for the next
	resendStep   = 100    // deliveries in one transaction
	resendPage   = 500    // deliveries read at once
)

// A Resending is one run of [Service.ResendAll] as it stands.
type Resending struct {
	By        string // who asked for it, as the door said
	StartedAt time.Time
	EndedAt   time.Time // zero = it is under way
	Total     int       // deliveries to send again
	Resent    int       // of these, those that are on their way again
	Skipped   int       // of these, those that cannot be, or were sent again by someone else meanwhile
	Stopped   bool      // it was told to stop before its end
	Err       error     // why it could not go on; nil = nothing went wrong
}

// Done is how many deliveries of the run have been looked at.
func (r *Resending) Done() int { return r.Resent + r.Skipped }

// Failed finds the deliveries that [Service.ResendAll] would send again: those
// of q that were refused or exhausted, oldest first, at most [MaxResendAll]; of
// more, the newest. q.State and q.Limit do not count.
func (s *Service) Failed(ctx context.Context, caller *Token, company int64, q DeliveryQuery) ([]int64, error) {
	discarded := Discarded
	q.State, q.Limit = &discarded, resendPage
	ids := []int64{}
	for {
		page, err := s.Deliveries(ctx, caller, company, q)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			if failedForGood(d) && len(ids) < MaxResendAll {
				ids = append(ids, d.ID)
			}
		}
		if len(page) < q.Limit || len(ids) == MaxResendAll {
			slices.Reverse(ids)
			return ids, nil
		}
		q.Before = page[len(page)-1].ID
	}
}

// failedForGood tells whether a delivery was given up because of its sink. One
// that was superseded has nothing new to say, and one that is unfit or whose
// subscription is gone cannot be sent.
func failedForGood(d *Delivery) bool {
	return d.State == Discarded && (d.Reason == Refused || d.Reason == Exhausted)
}

// ResendAll sets all that [Service.Failed] finds on its way again, as
// [Service.Resend] does with one. It works in small steps after it has returned,
// whatever becomes of ctx, and ends with the program at the latest. There is one
// run at a time for a company and app: Conflict where one is under way.
func (s *Service) ResendAll(ctx context.Context, caller *Token, company int64, q DeliveryQuery, by string) error {
	ids, err := s.Failed(ctx, caller, company, q)
	if err != nil {
		return err
	}
	going, stop := context.WithCancel(context.WithoutCancel(ctx))
	run := &resendRun{now: Resending{By: by, StartedAt: time.Now(), Total: len(ids)}, stop: stop}
	if !s.resends.begin(resendKey{company, caller.ownApp()}, run) {
		stop()
		return &Error{Kind: Conflict, Msg: "deliveries of this company are being sent again already", Fix: "wait for the end, or stop it"}
	}
	go func() {
		defer stop()
		run.end(s.resendEach(going, caller, company, ids, run))
	}()
	return nil
}

// resendEach resends the deliveries, step by step, until it is stopped.
func (s *Service) resendEach(ctx context.Context, caller *Token, company int64, ids []int64, run *resendRun) error {
	if err := s.Note(context.WithoutCancel(ctx), caller, "delivery.resend_all", company, fmt.Sprintf("%d deliveries", len(ids))); err != nil {
		return err
	}
	for step := range slices.Chunk(ids, resendStep) {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to stop, which is no failure
		}
		resent := 0
		err := s.Engine.Update(context.WithoutCancel(ctx), func(tx Tx) error {
			resent = 0
			for _, id := range step {
				again, err := s.resendFailed(tx, caller, company, id)
				if err != nil {
					return err
				}
				if again {
					resent++
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		run.count(resent, len(step)-resent)
	}
	return nil
}

// resendFailed resends one delivery; false where it cannot be, or need not be
// any more.
func (s *Service) resendFailed(tx Tx, caller *Token, company, id int64) (bool, error) {
	found, err := tx.Delivery(id)
	if KindOf(err) == NotFound {
		return false, nil // it is past its retention
	}
	if err != nil || !failedForGood(found) {
		return false, err
	}
	sub, err := tx.Subscription(found.Subscription)
	if err != nil {
		return false, err
	}
	again := *found
	refused := errors.Join(s.mayRead(caller, company, sub, found), resend(&again, sub, time.Now()))
	if refused != nil {
		return false, nil //nolint:nilerr // it has changed since it was counted, and is left out
	}
	return true, tx.PutDelivery(&again)
}

// Resending gives the last run of the caller's for the company as it stands;
// false where there was none since the program started.
func (s *Service) Resending(caller *Token, company int64) (Resending, bool, error) {
	if err := need(caller, company, APIToken, AdminToken); err != nil {
		return Resending{}, false, err
	}
	run := s.resends.get(resendKey{company, caller.ownApp()})
	if run == nil {
		return Resending{}, false, nil
	}
	return run.state(), true, nil
}

// StopResending ends a run after the step that it is at; what was sent again
// until then stays so. Where none is under way, nothing happens.
func (s *Service) StopResending(ctx context.Context, caller *Token, company int64) error {
	if err := need(caller, company, APIToken, AdminToken); err != nil {
		return err
	}
	if run := s.resends.get(resendKey{company, caller.ownApp()}); run != nil && run.cancel() {
		return s.Note(ctx, caller, "delivery.resend_stop", company, "")
	}
	return nil
}

// resends are the runs of all companies, the last of each.
type resends struct {
	mu   sync.Mutex
	runs map[resendKey]*resendRun
}

type resendKey struct{ company, app int64 }

// begin takes in a run; false where another is under way.
func (r *resends) begin(key resendKey, run *resendRun) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := r.runs[key]; last != nil {
		if state := last.state(); state.EndedAt.IsZero() {
			return false
		}
	}
	if r.runs == nil {
		r.runs = map[resendKey]*resendRun{}
	}
	r.runs[key] = run
	return true
}

func (r *resends) get(key resendKey) *resendRun {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runs[key]
}

// resendRun is a run under way, or one that has ended.
type resendRun struct {
	stop context.CancelFunc

	mu  sync.Mutex
	now Resending
}

func (r *resendRun) state() Resending {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *resendRun) count(resent, skipped int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now.Resent += resent
	r.now.Skipped += skipped
}

// cancel stops the run; false where it has ended.
func (r *resendRun) cancel() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop()
	if !r.now.EndedAt.IsZero() {
		return false
	}
	r.now.Stopped = true
	return true
}

func (r *resendRun) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now.EndedAt, r.now.Err = time.Now(), err
	r.now.Stopped = r.now.Stopped && r.now.Done() < r.now.Total // one that came too late stopped nothing
}
