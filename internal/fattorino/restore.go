package fattorino

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// UndoFor is how long after its deletion a subscription can be restored.
const UndoFor = 10 * time.Minute

// Restorable tells whether a deletion can still be taken back. Until it is, or
// the time for it is over, nothing is sent to the subscription and nothing of it
// is discarded.
func (s *Subscription) Restorable() bool { return s.State == Deleted && s.Before != "" }

// Ended tells whether the subscription is gone for good: what is pending for it
// is discarded.
func (s *Subscription) Ended() bool { return s.State.Gone() && !s.Restorable() }

// RestorableUntil tells until when a subscription can be restored; zero for one
// that cannot be.
func (s *Subscription) RestorableUntil() time.Time {
	if !s.Restorable() {
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
// is as it was before: under its number, with its secrets, in its state, and what
// was pending for it goes on where it was, in its order. A sink that had proved
// itself has; one that was being asked can be asked again. Events published in
// between were not heard.
//
// Gone when it is too late, Conflict where another subscription of the app holds
// one of its types now or the app has as many as it may.
func (s *Service) RestoreSubscription(ctx context.Context, caller *Token, company, id int64) (*Subscription, error) {
	if err := s.mayHold(caller, company, ""); err != nil {
		return nil, err
	}
	var sub *Subscription
	err := s.do(ctx, caller, "subscription.restore", company, objectOf("subscription", id), func(tx Tx, _ *Deed) error {
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
				Fix: fmt.Sprintf("a deletion can be taken back for %d minutes; create a new subscription", int(UndoFor.Minutes())),
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
		return nil, err
	}
	return sub, nil
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
