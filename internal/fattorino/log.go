package fattorino

import (
	"context"
	"slices"
	"time"
)

// Deliveries lists the deliveries of a company's subscriptions, newest first;
// an app sees its own. q.Subscriptions may name some; empty = all.
func (s *Service) Deliveries(ctx context.Context, caller *Token, company int64, q DeliveryQuery) ([]*Delivery, error) {
	if err := need(caller, company, APIToken, AdminToken); err != nil {
		return nil, err
	}
	ids, err := s.Store.SubscriptionIDs(ctx, company, caller.ownApp())
	if err != nil {
		return nil, err
	}
	if len(q.Subscriptions) > 0 {
		ids = intersect(ids, q.Subscriptions)
	}
	if len(ids) == 0 {
		return []*Delivery{}, nil
	}
	q.Subscriptions = ids
	if q.Types, err = s.heard(q.Types); err != nil {
		return nil, err
	}
	return s.readableDeliveries(ctx, caller, q)
}

// readableDeliveries reads a page of what the caller's scopes let it see,
// reading on past what they do not.
func (s *Service) readableDeliveries(ctx context.Context, caller *Token, q DeliveryQuery) ([]*Delivery, error) {
	readable := []*Delivery{}
	for {
		page, err := s.Store.Deliveries(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			if len(readable) < q.Limit && s.mayHear(caller, d.Event) {
				readable = append(readable, d)
			}
		}
		if len(page) < q.Limit || len(readable) == q.Limit {
			return readable, nil
		}
		q.Before = page[len(page)-1].ID
	}
}

func intersect(a, b []int64) []int64 {
	in := map[int64]bool{}
	for _, x := range b {
		in[x] = true
	}
	var both []int64
	for _, x := range a {
		if in[x] {
			both = append(both, x)
		}
	}
	return both
}

// Delivery gives one delivery with the subscription it belongs to and every
// attempt made.
func (s *Service) Delivery(ctx context.Context, caller *Token, company, id int64) (*Delivery, *Subscription, []*Attempt, error) {
	if err := need(caller, company, APIToken, AdminToken); err != nil {
		return nil, nil, nil, err
	}
	d, err := s.Store.Delivery(ctx, id)
	if err != nil {
		return nil, nil, nil, hide("delivery", err)
	}
	sub, err := s.Store.Subscription(ctx, d.Subscription)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := s.mayRead(caller, company, sub, d); err != nil {
		return nil, nil, nil, err
	}
	attempts, err := s.Store.Attempts(ctx, id)
	if err == nil && len(attempts) > d.Attempts { // one was written since, with what came of it
		d, err = s.Store.Delivery(ctx, id)
	}
	return d, sub, attempts, err
}

// DueDeliveries gives deliveries of a subscription that wait for the date of
// their next attempt, soonest first: at most limit of them, however many there
// are in its log.
func (s *Service) DueDeliveries(ctx context.Context, caller *Token, company, subscription int64, limit int) ([]*Delivery, error) {
	sub, err := s.Subscription(ctx, caller, company, "", subscription)
	if err != nil {
		return nil, err
	}
	due, err := s.Store.Due(ctx, sub.ID, limit)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(due, func(d *Delivery) bool { return !s.mayHear(caller, d.Event) }), nil
}

// mayRead fails with NotFound where the delivery is not the caller's to read:
// of another app or company, or of a type that its scopes do not reach. The log
// of a subscription that is gone can still be read.
func (s *Service) mayRead(caller *Token, company int64, sub *Subscription, d *Delivery) error {
	foreign := caller.Kind != AdminToken && sub.App != caller.App
	if sub.Company != company || foreign || !s.mayHear(caller, d.Event) {
		return noSuch("delivery")
	}
	return nil
}

// Resend sets a settled delivery on its way again, with all the tries of its
// contract before it.
func (s *Service) Resend(ctx context.Context, caller *Token, company, id int64) (*Delivery, error) {
	if err := need(caller, company, APIToken, AdminToken); err != nil {
		return nil, err
	}
	var d *Delivery
	err := s.do(ctx, caller, "delivery.resend", company, objectOf("delivery", id), func(tx Tx, _ *Deed) error {
		found, err := tx.Delivery(id)
		if err != nil {
			return hide("delivery", err)
		}
		sub, err := tx.Subscription(found.Subscription)
		if err != nil {
			return err
		}
		if err := s.mayRead(caller, company, sub, found); err != nil {
			return err
		}
		again := *found
		d = &again
		if err := resend(d, sub, time.Now()); err != nil {
			return err
		}
		return tx.PutDelivery(d)
	})
	return d, err
}

// resend sets the delivery due now, where that makes sense.
func resend(d *Delivery, sub *Subscription, now time.Time) error {
	switch {
	case d.State == Pending || d.State == Waiting:
		return &Error{Kind: Conflict, Msg: "the delivery is still on its way", Fix: "wait until it is delivered or discarded"}
	case sub.State != Active:
		return &Error{
			Kind: Conflict, Msg: "the subscription is " + string(sub.State) + ": nothing is sent to it",
			Fix: "verify the subscription, or create a new one",
		}
	case d.Attempts >= MaxAttempts:
		return &Error{Kind: Conflict, Msg: "the delivery has been attempted as often as is allowed"}
	}
	d.State, d.Reason, d.Tries = Pending, "", 0
	d.DueAt, d.FirstErrorAt, d.SettledAt = now, time.Time{}, time.Time{}
	return nil
}
