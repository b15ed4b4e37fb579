package fattorino

import (
	"context"
	"slices"
	"time"
)

// SubscriptionChange says what to change; nil leaves a field as it is.
type SubscriptionChange struct {
	Sink   *string
	Types  []string // replaces all types; nil = unchanged
	Format *Format
	Method Method // how the challenge travels when the sink changes

	Filters *[]byte // replaces the filters; empty = none
	Options *Options
	Enabled *bool
	Secret  *Secret // becomes the newest; those before it go on signing for Overlap
	Overlap time.Duration

	Unless func(*Subscription) error // refuses the change by how the subscription stands
}

// ModifySubscription changes a subscription. A new sink must prove itself
// before anything more is sent; the same sink is no change.
func (s *Service) ModifySubscription(ctx context.Context, caller *Token, company int64, contract string, id int64, c SubscriptionChange) (*Subscription, []TypeRefusal, error) {
	rules, err := s.owner(caller, company, contract)
	if err != nil {
		return nil, nil, err
	}
	if err := s.checkChanged(c); err != nil {
		return nil, nil, err
	}
	types, refused := explode(s.catalog(rules), c.Types)
	if err := s.needScopes(caller, s.catalog(rules), types); err != nil {
		return nil, nil, err
	}
	var sub *Subscription
	var taken []TypeRefusal
	err = s.do(ctx, caller, c.action(), company, objectOf("subscription", id), func(tx Tx, _ *Deed) error {
		now := time.Now()
		if sub, err = s.ownSubscription(tx, caller, company, contract, id); err != nil {
			return err
		}
		if c.Unless != nil {
			if err := c.Unless(sub); err != nil {
				return err
			}
		}
		if c.Types != nil {
			if taken, err = s.retype(tx, sub, types, s.catalog(rules)); err != nil {
				return err
			}
		}
		return s.changeTo(tx, rules, sub, c, now)
	})
	refused = append(refused, taken...)
	if err != nil {
		return nil, refused, err
	}
	settled, err := s.awaitHandshake(ctx, sub)
	return settled, refused, err
}

// checkChanged checks what of a change can be judged by itself.
func (s *Service) checkChanged(c SubscriptionChange) error {
	if c.Sink != nil {
		if err := s.CheckSink(*c.Sink); err != nil {
			return err
		}
	}
	if c.Filters != nil {
		return s.checkFilters(*c.Filters)
	}
	return nil
}

// retype gives the subscription those of the types that no other of its app
// holds, and tells which were taken. It fails with Invalid where none is left.
func (s *Service) retype(tx Tx, sub *Subscription, types []string, catalog *Catalog) (taken []TypeRefusal, err error) {
	own, err := tx.OwnSubscriptions(sub.Company, sub.App)
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(own, func(o *Subscription) bool { return o.ID == sub.ID })
	if sub.Types, taken = free(types, others, catalog); len(sub.Types) == 0 {
		return taken, noTypeLeft()
	}
	return taken, nil
}

// changeTo writes the subscription as it is to be. A new sink must prove itself,
// and so must the one that it has, where what is chosen now needs the proof that
// it did without.
func (s *Service) changeTo(tx Tx, rules Contract, sub *Subscription, c SubscriptionChange, now time.Time) error {
	if c.Options != nil && c.Options.Ordering != sub.Options.Ordering {
		return &Error{
			Kind: Invalid, Msg: "the ordering of a subscription cannot change", Fix: "create another subscription",
			Faults: []Fault{{Field: "ordering", Msg: "cannot change once the subscription is made"}},
		}
	}
	neededProof := rules.Handshake(sub) != nil
	c.apply(sub, now)
	needsProof := rules.Handshake(sub) != nil
	switch {
	case c.Sink != nil && *c.Sink != sub.Sink:
		sub.moveTo(*c.Sink, c.Method, now)
	case needsProof && !neededProof && sub.State != Unverified:
		sub.moveTo(sub.Sink, c.Method, now)
	case !needsProof && sub.State == Unverified:
	default:
		return tx.PutSubscription(sub)
	}
	return s.enter(tx, rules, sub, now)
}

// action names the change in the audit.
func (c *SubscriptionChange) action() string {
	switch {
	case c.Secret != nil:
		return "subscription.rotate"
	case c.Enabled != nil && *c.Enabled:
		return "subscription.enable"
	case c.Enabled != nil:
		return "subscription.disable"
	}
	return "subscription.change"
}

// apply changes what needs no further rule.
func (c *SubscriptionChange) apply(sub *Subscription, now time.Time) {
	sub.UpdatedAt = now
	if c.Format != nil {
		sub.Format = *c.Format
	}
	if c.Filters != nil {
		sub.Filters = *c.Filters
	}
	if c.Options != nil {
		sub.Options = *c.Options
	}
	if c.Secret != nil {
		sub.replaceSecret(*c.Secret, now, c.Overlap)
	}
	switch {
	case c.Enabled == nil || !sub.State.Hears():
	case *c.Enabled:
		sub.State = Active
	default:
		sub.State = Disabled
	}
}
