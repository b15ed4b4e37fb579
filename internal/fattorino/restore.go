package fattorino

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// UndoFor is how long after its deletion a subscription can be restored.
const UndoFor = 10 * time.Minute

// RestorableUntil tells until when a subscription that was deleted can be
// restored; zero for one that cannot at all. One that keeps an order cannot: what
// a deletion discards it does in no order, and what is left would not be in one.
func (s *Subscription) RestorableUntil() time.Time {
	if s.State != Deleted || s.Before == "" || s.Options.Ordering.Keeps() {
		return time.Time{}
	}
	return s.UpdatedAt.Add(UndoFor)
}

// GoneSubscription gives a subscription of the caller that is gone: what became
// of it, and whether it can be restored. NotFound for one that is not gone.
func (s *Service) GoneSubscription(ctx context.Context, caller *Token, company, id int64) (*Subscription, error) {
	if err := s.mayHold(caller, company, ""); err != nil {
		return nil, err
	}
	sub, err := s.Store.Subscription(ctx, id)
	if err != nil {
		return nil, hide("subscription", err)
	}
	return sub, wasOf(caller, company, sub)
}

// wasOf fails with NotFound for a subscription that is not gone, or was
// another's.
func wasOf(caller *Token, company int64, sub *Subscription) error {
	foreign := caller.Kind != AdminToken && sub.App != caller.App
	if !sub.State.Gone() || sub.Company != company || foreign {
		return noSuch("subscription")
	}
	return nil
}

// RestoreSubscription takes a deletion back, within [UndoFor]. The subscription
// is as it was before: under its number, with its secrets, in its state. A sink
// that had proved itself has; one that was being asked can be asked again. What
// the deletion discarded is set on its way again, the newest [MaxResendAll] at
// most: it gives how many. Events published in between were not heard.
//
// Gone when it is too late or the subscription keeps an order, Conflict where another subscription of the app
// holds one of its types now or the app has as many as it may.
func (s *Service) RestoreSubscription(ctx context.Context, caller *Token, company, id int64) (sub *Subscription, revived int, err error) {
	if err := s.mayHold(caller, company, ""); err != nil {
		return nil, 0, err
	}
	err = s.do(ctx, caller, "subscription.restore", company, objectOf("subscription", id), func(tx Tx, _ *Deed) error {
		found, err := tx.Subscription(id)
		if err != nil {
			return hide("subscription", err)
		}
		if err := wasOf(caller, company, found); err != nil {
			return err
		}
		now := time.Now()
		if !now.Before(found.RestorableUntil()) {
			return &Error{
				Kind: Gone, Msg: "this subscription cannot be restored",
				Fix: fmt.Sprintf("a deletion can be taken back for %d minutes, where no order is kept; create a new subscription", int(UndoFor.Minutes())),
			}
		}
		if err := s.needScopes(caller, s.catalog(s.contracts[found.Contract]), found.Types); err != nil {
			return err
		}
		if err := s.hasRoomFor(tx, found); err != nil {
			return err
		}
		sub = found.Clone()
		sub.State, sub.Before, sub.UpdatedAt = found.Before, "", now
		return tx.PutSubscription(sub)
	})
	if err != nil {
		return nil, 0, err
	}
	revived, err = s.reviveDiscarded(context.WithoutCancel(ctx), caller, sub)
	return sub, revived, err
}

// hasRoomFor fails with Conflict where the app has come to hold meanwhile what
// a subscription that is to be restored would hold.
func (s *Service) hasRoomFor(tx Tx, sub *Subscription) error {
	own, err := tx.OwnSubscriptions(sub.Company, sub.App)
	if err != nil {
		return err
	}
	if s.Limits.Subscriptions > 0 && len(own) >= s.Limits.Subscriptions {
		return &Error{
			Kind: Conflict, Code: "too_many_subscriptions",
			Msg: fmt.Sprintf("this app has %d other subscriptions to company %d, which is the limit", len(own), sub.Company),
			Fix: "delete one of them first",
		}
	}
	_, taken := free(sub.Types, own, s.catalog(s.contracts[sub.Contract]))
	if len(taken) == 0 {
		return nil
	}
	names := make([]string, len(taken))
	for i, refused := range taken {
		names[i] = refused.Type
	}
	return &Error{
		Kind: Conflict, Code: "types_taken",
		Msg: "another subscription of the app holds " + strings.Join(names, ", ") + " now",
		Fix: "delete that one, or take these types from it, and restore again",
	}
}

// reviveDiscarded sets on its way again what was discarded because the
// subscription was gone, and gives how much that was. It looks until there is
// nothing left, for what the engine was about to discard when the subscription
// came back.
func (s *Service) reviveDiscarded(ctx context.Context, caller *Token, sub *Subscription) (revived int, err error) {
	for revived < MaxResendAll {
		ids, err := s.discarded(ctx, caller, sub.Company, DeliveryQuery{Subscriptions: []int64{sub.ID}}, lostWithSink)
		if err != nil {
			return revived, err
		}
		before := revived
		for step := range slices.Chunk(ids, resendStep) {
			n := 0
			err := s.Engine.Update(ctx, func(tx Tx) (err error) {
				n, err = revive(tx, step)
				return err
			})
			if err != nil {
				return revived, err
			}
			revived += n
		}
		if revived == before {
			return revived, nil
		}
	}
	return revived, nil
}

// lostWithSink tells whether a delivery was given up because its subscription
// was gone.
func lostWithSink(d *Delivery) bool { return d.State == Discarded && d.Reason == SinkGone }

// revive sets those of the deliveries on their way that can be, whether or not
// anything is sent to their subscription at the moment.
func revive(tx Tx, ids []int64) (revived int, err error) {
	for _, id := range ids {
		found, err := tx.Delivery(id)
		if KindOf(err) == NotFound {
			continue // it is past its retention
		}
		if err != nil {
			return 0, err
		}
		if !lostWithSink(found) || found.Attempts >= MaxAttempts {
			continue
		}
		again := *found
		again.setOnItsWay(time.Now())
		if err := tx.PutDelivery(&again); err != nil {
			return 0, err
		}
		revived++
	}
	return revived, nil
}
