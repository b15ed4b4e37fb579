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
	if c.Sink != nil {
		if err := s.CheckSink(*c.Sink); err != nil {
			return nil, nil, err
		}
	}
	if c.Filters != nil {
		if err := s.checkFilters(*c.Filters); err != nil {
			return nil, nil, err
		}
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
			own, err := tx.OwnSubscriptions(company, sub.App)
			if err != nil {
				return err
			}
			others := slices.DeleteFunc(own, func(o *Subscription) bool { return o.ID == id })
			if sub.Types, taken = free(types, others, s.catalog(rules)); len(sub.Types) == 0 {
				return noTypeLeft()
			}
		}
		if c.Options != nil && c.Options.Ordering != sub.Options.Ordering {
			return &Error{
				Kind: Invalid, Msg: "the ordering of a subscription cannot change", Fix: "create another subscription",
				Faults: []Fault{{Field: "ordering", Msg: "cannot change once the subscription is made"}},
			}
		}
		unproved := rules.Handshake(sub) == nil
		c.apply(sub, now)
		if unproved && rules.Handshake(sub) != nil && sub.State != Unverified {
			sub.moveTo(sub.Sink, c.Method, now) // what it has chosen now needs the proof that it did without
			if c.Sink == nil || *c.Sink == sub.Sink {
				return s.enter(tx, rules, sub, now)
			}
		}
		if c.Sink == nil || *c.Sink == sub.Sink {
			if sub.State == Unverified && rules.Handshake(sub) == nil {
				return s.enter(tx, rules, sub, now) // what it has chosen now needs no proof
			}
			return tx.PutSubscription(sub)
		}
		sub.moveTo(*c.Sink, c.Method, now)
		return s.enter(tx, rules, sub, now)
	})
	refused = append(refused, taken...)
	if err != nil {
		return nil, refused, err
	}
	settled, err := s.awaitHandshake(ctx, sub)
	return settled, refused, err
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
