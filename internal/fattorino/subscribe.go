package fattorino

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// NewSubscription is a wish to subscribe.
type NewSubscription struct {
	Company  int64
	Contract string
	Sink     string
	Types    []string // types and groups of the contract's catalog
	Format   Format
	Method   Method
	Filters  []byte
	Options  Options
	Secrets  []Secret
}

// A TypeRefusal is a type that was asked for and not subscribed to.
type TypeRefusal struct {
	Type string
	Why  TypeProblem
}

// TypeProblem says why a type was refused.
type TypeProblem uint8

// The problems.
const (
	UnknownType TypeProblem = iota // not in the contract's catalog
	TakenType                      // another subscription of the app and company holds it
)

// Subscribe creates a subscription and has its sink challenged. It waits a
// short while for the outcome and gives the subscription as it then stands,
// with the types that were refused. When none is left it fails with Invalid,
// and the refusals say why.
func (s *Service) Subscribe(ctx context.Context, caller *Token, n NewSubscription) (*Subscription, []TypeRefusal, error) {
	contract, err := s.owner(caller, n.Company, n.Contract)
	if err != nil {
		return nil, nil, err
	}
	if err := s.CheckSink(n.Sink); err != nil {
		return nil, nil, err
	}
	if err := s.checkFilters(n.Filters); err != nil {
		return nil, nil, err
	}
	types, refused := explode(s.catalog(contract), n.Types)
	if err := s.needScopes(caller, s.catalog(contract), types); err != nil {
		return nil, nil, err
	}
	now := time.Now()
	var sub *Subscription
	var taken []TypeRefusal
	err = s.do(ctx, caller, "subscription.create", n.Company, "", func(tx Tx, d *Deed) error {
		if err := needApp(tx, caller.App); err != nil {
			return err
		}
		own, err := tx.OwnSubscriptions(n.Company, caller.App)
		if err != nil {
			return err
		}
		if s.Limits.Subscriptions > 0 && len(own) >= s.Limits.Subscriptions {
			return &Error{
				Kind: Invalid, Code: "too_many_subscriptions",
				Msg: fmt.Sprintf("this app has %d subscriptions to company %d, which is the limit", len(own), n.Company),
				Fix: "delete one, or register more types with one that is there",
			}
		}
		sub = &Subscription{
			Company: n.Company, App: caller.App, Contract: n.Contract, Format: n.Format, CreatedAt: now,
			Filters: n.Filters, Options: n.Options, Secrets: n.Secrets,
		}
		if sub.Types, taken = free(types, own, s.catalog(contract)); len(sub.Types) == 0 {
			return noTypeLeft()
		}
		if err := tx.EnsureCompany(n.Company, now); err != nil {
			return err
		}
		sub.moveTo(n.Sink, n.Method, now)
		if err := s.enter(tx, contract, sub, now); err != nil {
			return err
		}
		d.Object = objectOf("subscription", sub.ID)
		return nil
	})
	refused = append(refused, taken...)
	if err != nil {
		return nil, refused, err
	}
	settled, err := s.awaitHandshake(ctx, sub)
	return settled, refused, err
}

// enter writes a subscription whose sink is new. A sink that the operator
// exempts, or that the contract takes at its word, counts as proved.
func (s *Service) enter(tx Tx, contract Contract, sub *Subscription, now time.Time) error {
	proved := contract.Handshake(sub) == nil || (s.Exempt != nil && s.Exempt(sub.Sink))
	if proved {
		SettleHandshake(HandshakeLimits{}, sub, 0, nil, now)
	}
	if err := tx.PutSubscription(sub); err != nil || !proved {
		return err
	}
	return PutWelcome(tx, contract, sub, now)
}

// checkFilters fails with Invalid and the place of the fault for filters that
// cannot be understood.
func (s *Service) checkFilters(filters []byte) error {
	if len(filters) == 0 {
		return nil
	}
	_, err := s.CompileFilters(filters)
	return err
}

// PutWelcome writes the welcome of a subscription that has just been verified,
// where its contract has one.
func PutWelcome(tx Tx, contract Contract, sub *Subscription, now time.Time) error {
	welcome := contract.Welcome(sub, now)
	if welcome == nil {
		return nil
	}
	welcome.Accepted = now
	_, err := tx.PutPrivate(welcome, sub.ID)
	return err
}

// Subscriptions gives the caller's subscriptions to the company under the
// contract, or under any where it is empty; an admin sees those of every app.
func (s *Service) Subscriptions(ctx context.Context, caller *Token, company int64, contract string) ([]*Subscription, error) {
	if err := s.mayHold(caller, company, contract); err != nil {
		return nil, err
	}
	all, err := s.Store.Subscriptions(ctx, company, caller.ownApp())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(sub *Subscription) bool { return contract != "" && sub.Contract != contract }), nil
}

// Subscription gives one subscription of the caller, under the contract or
// under any where it is empty.
func (s *Service) Subscription(ctx context.Context, caller *Token, company int64, contract string, id int64) (*Subscription, error) {
	if err := s.mayHold(caller, company, contract); err != nil {
		return nil, err
	}
	sub, err := s.Store.Subscription(ctx, id)
	if err != nil {
		return nil, hide("subscription", err)
	}
	if contract == "" {
		contract = sub.Contract
	}
	return sub, visible(caller, company, contract, sub)
}

// DeleteSubscription ends a subscription. What is pending for it is discarded
// once that cannot be taken back any more.
func (s *Service) DeleteSubscription(ctx context.Context, caller *Token, company int64, contract string, id int64) error {
	return s.DeleteSubscriptionUnless(ctx, caller, company, contract, id, func(*Subscription) error { return nil })
}

// DeleteSubscriptionUnless is [Service.DeleteSubscription], but where refuse
// fails by how the subscription stands.
func (s *Service) DeleteSubscriptionUnless(ctx context.Context, caller *Token, company int64, contract string, id int64, refuse func(*Subscription) error) error {
	if _, err := s.owner(caller, company, contract); err != nil {
		return err
	}
	return s.do(ctx, caller, "subscription.delete", company, objectOf("subscription", id), func(tx Tx, _ *Deed) error {
		sub, err := visibleSubscription(tx, caller, company, contract, id)
		if err != nil {
			return err
		}
		if err := refuse(sub); err != nil {
			return err
		}
		sub.State, sub.Before, sub.UpdatedAt = Deleted, sub.State, time.Now()
		sub.Handshake.Pending = false
		return tx.PutSubscription(sub)
	})
}

// VerifySubscription has the sink challenged again.
func (s *Service) VerifySubscription(ctx context.Context, caller *Token, company int64, contract string, id int64, m Method) (*Subscription, error) {
	rules, err := s.owner(caller, company, contract)
	if err != nil {
		return nil, err
	}
	var sub *Subscription
	err = s.do(ctx, caller, "subscription.verify", company, objectOf("subscription", id), func(tx Tx, _ *Deed) error {
		if sub, err = s.ownSubscription(tx, caller, company, contract, id); err != nil {
			return err
		}
		handshake := rules.Handshake(sub)
		if handshake == nil {
			return &Error{Kind: Conflict, Msg: "the sink of this subscription needs no verification"}
		}
		if err := sub.retryHandshake(handshake.Limits(), m, time.Now()); err != nil {
			return err
		}
		return tx.PutSubscription(sub)
	})
	if err != nil {
		return nil, err
	}
	return s.awaitHandshake(ctx, sub)
}

// callbackWithin is how long after a challenge a sink may still give its
// consent by a request of its own.
const callbackWithin = 10 * time.Minute

// GrantByCallback takes the consent that a sink gives by a request of its own,
// for the challenge of the round (CloudEvents HTTP Web Hooks 1.0.2, section
// 4.2). Whoever calls has shown to know the secret of the round. Consent given
// again changes nothing; Gone when it comes too late or for an earlier round.
func (s *Service) GrantByCallback(ctx context.Context, id, round int64, rate int) error {
	return s.Engine.Update(ctx, func(tx Tx) error {
		found, err := tx.Subscription(id)
		if err != nil {
			return err
		}
		now := time.Now()
		switch {
		case found.State.Gone() || found.Handshake.Round != round:
			return Errorf(Gone, "this consent is not waited for any more")
		case found.State != Unverified:
			return nil
		case now.Sub(found.Handshake.AskedAt) > callbackWithin:
			return Errorf(Gone, "this consent has come too late")
		}
		sub, rules := found.Clone(), s.contracts[found.Contract]
		SettleHandshake(HandshakeLimits{}, sub, rate, nil, now)
		if err := tx.PutSubscription(sub); err != nil {
			return err
		}
		return PutWelcome(tx, rules, sub, now)
	})
}

// SendTest sends an event to one subscription alone, as a test: it is in no
// company's history.
func (s *Service) SendTest(ctx context.Context, caller *Token, company int64, contract string, id int64, e *Event) (*Delivery, error) {
	if _, err := s.owner(caller, company, contract); err != nil {
		return nil, err
	}
	var d *Delivery
	err := s.do(ctx, caller, "subscription.test", company, objectOf("subscription", id), func(tx Tx, _ *Deed) error {
		sub, err := s.ownSubscription(tx, caller, company, contract, id)
		if err != nil {
			return err
		}
		if sub.State != Active {
			return &Error{Kind: Conflict, Msg: "the subscription is " + string(sub.State) + ": nothing is sent to it", Fix: "verify or enable it first"}
		}
		e.Accepted = time.Now()
		d, err = tx.PutPrivate(e, sub.ID)
		return err
	})
	return d, err
}

// awaitHandshake gives the subscription as it stands once its handshake has an
// outcome, or after the time that the limits allow.
func (s *Service) awaitHandshake(ctx context.Context, sub *Subscription) (*Subscription, error) {
	if !sub.Handshake.Pending {
		return sub, nil
	}
	waiting, cancel := context.WithTimeout(ctx, s.Limits.AwaitSink)
	defer cancel()
	s.Engine.AwaitHandshake(waiting, sub.ID)
	return s.Store.Subscription(ctx, sub.ID)
}

// owner checks that the caller may hold subscriptions to the company, and gives
// the contract's rules.
func (s *Service) owner(caller *Token, company int64, contract string) (Contract, error) {
	if err := s.mayHold(caller, company, ""); err != nil {
		return nil, err
	}
	rules, ok := s.contracts[contract]
	if !ok {
		return nil, Errorf(NotFound, "there is no contract %q", contract)
	}
	return rules, nil
}

// mayHold checks that the caller may hold subscriptions to the company under
// the contract; empty = any.
func (s *Service) mayHold(caller *Token, company int64, contract string) error {
	if contract != "" {
		_, err := s.owner(caller, company, contract)
		return err
	}
	if company <= 0 {
		return notACompany(company)
	}
	return need(caller, company, APIToken, AdminToken)
}

// visible fails with NotFound for what the caller may not see: a subscription
// that is gone, of another company or contract, or of another app.
func visible(caller *Token, company int64, contract string, sub *Subscription) error {
	foreign := caller.Kind != AdminToken && sub.App != caller.App
	if sub.State.Gone() || sub.Company != company || sub.Contract != contract || foreign {
		return noSuch("subscription")
	}
	return nil
}

// ownSubscription reads a subscription that the caller may change: one of its
// own, of whose types it holds the scopes. A token that may not hear them could
// else have them sent elsewhere.
func (s *Service) ownSubscription(tx Tx, caller *Token, company int64, contract string, id int64) (*Subscription, error) {
	sub, err := visibleSubscription(tx, caller, company, contract, id)
	if err != nil {
		return nil, err
	}
	return sub, s.needScopes(caller, s.catalog(s.contracts[contract]), sub.Types)
}

// visibleSubscription reads a subscription that the caller may see, as a copy.
func visibleSubscription(tx Tx, caller *Token, company int64, contract string, id int64) (*Subscription, error) {
	sub, err := tx.Subscription(id)
	if err != nil {
		return nil, hide("subscription", err)
	}
	if err := visible(caller, company, contract, sub); err != nil {
		return nil, err
	}
	return sub.Clone(), nil
}

// explode gives the concrete types that the names stand for, and the names that
// stand for none: each once, in order.
func explode(c *Catalog, names []string) (types []string, refused []TypeRefusal) {
	for _, name := range names {
		members := c.Explode(name)
		if unknown := (TypeRefusal{Type: name, Why: UnknownType}); len(members) == 0 && !slices.Contains(refused, unknown) {
			refused = append(refused, unknown)
		}
		for _, member := range members {
			if !slices.Contains(types, member) {
				types = append(types, member)
			}
		}
	}
	return types, refused
}

// free parts the types into those nobody of own holds under the contract and
// those that are taken. In a shared catalog none ever is.
func free(types []string, own []*Subscription, c *Catalog) (left []string, taken []TypeRefusal) {
	if c.Shared {
		return types, nil
	}
	held := map[string]bool{}
	for _, o := range own {
		for _, t := range o.Types {
			held[t] = held[t] || o.Contract == c.Contract
		}
	}
	for _, t := range types {
		if held[t] {
			taken = append(taken, TypeRefusal{Type: t, Why: TakenType})
			continue
		}
		left = append(left, t)
	}
	return left, taken
}

func noTypeLeft() error {
	return &Error{
		Kind: Invalid, Code: "no_type_left",
		Msg: "no event type is left to subscribe to",
		Fix: "name at least one existing type that no other subscription of the app holds",
	}
}

// needScopes checks that the caller holds the scopes of all the types under the
// contract of the catalog.
func (s *Service) needScopes(caller *Token, catalog *Catalog, types []string) error {
	for _, name := range types {
		for _, scope := range s.Catalogs().ScopesUnder(catalog, name) {
			if !caller.Holds(scope) {
				return &Error{
					Kind: Denied, Code: "NO_PERMISSION",
					Msg: fmt.Sprintf("the type %s needs the scope %s, which this token does not hold", name, scope),
					Fix: "use a token with this scope, or leave the type out",
				}
			}
		}
	}
	return nil
}
