package fattorino

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// A Hearing says what became of one event for one subscription, and why.
//
// The subscription is known as it stands now. Where it was changed after the
// event was accepted, Why speaks of what it has chosen since; Delivery is what
// happened.
type Hearing struct {
	Subscription *Subscription
	Delivery     *Delivery // nil = it did not hear the event
	Why          HearingReason
	Type         string // of its types, the one that the event is heard by; empty = none
	By           Match  // how that one is matched
	Filter       []byte // the filter that says no; nil = none does
	Changed      bool   // it was changed after the event was accepted
}

// HearingReason says why a subscription heard an event, or did not.
type HearingReason string

// The reasons.
const (
	Heard       HearingReason = "heard"      // its types match and its filters pass
	HeardBefore HearingReason = "before"     // it heard the event; as it stands now it would not
	MadeLater   HearingReason = "later"      // it was made after the event
	NotChosen   HearingReason = "type"       // none of its types matches
	FilteredOut HearingReason = "filter"     // a filter of its says no
	NotVerified HearingReason = "unverified" // its sink has not proved itself
	HasEnded    HearingReason = "ended"      // its end date had come
	ChosenLater HearingReason = "since"      // as it stands now it would hear the event; it was changed since
	Unexplained HearingReason = "unknown"    // it should have heard the event, by all that is known
)

// Match says how a type of a subscription matches an event.
type Match string

// The ways to match.
const (
	ByType     Match = "type"     // it is the event's type
	ByCommon   Match = "common"   // it is, or is linked to, the event's common name
	ByWildcard Match = "wildcard" // it is a wildcard that the event's type or common name falls under
)

// Event gives one event of a company's history.
func (s *Service) Event(ctx context.Context, caller *Token, company, seq int64) (*Event, error) {
	if err := need(caller, company, APIToken, AdminToken); err != nil {
		return nil, err
	}
	if seq < 1 {
		return nil, noSuch("event")
	}
	found, err := s.Store.Events(ctx, EventQuery{Company: company, After: seq - 1, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 || found[0].Seq != seq || !s.mayHear(caller, found[0]) {
		return nil, noSuch("event")
	}
	return found[0], nil
}

// EventDeliveries gives the deliveries of an event, newest first; an app sees
// its own.
func (s *Service) EventDeliveries(ctx context.Context, caller *Token, company, seq int64) ([]*Delivery, error) {
	e, err := s.Event(ctx, caller, company, seq)
	if err != nil {
		return nil, err
	}
	ids, err := s.Store.SubscriptionIDs(ctx, company, caller.ownApp())
	if err != nil {
		return nil, err
	}
	return s.deliveriesOf(ctx, e, ids)
}

// explainPage is how many deliveries are read at once in search of an event's.
const explainPage = 500

// deliveriesOf gives the event's deliveries to the subscriptions: of those
// written in the same transaction that are about the same, its own.
func (s *Service) deliveriesOf(ctx context.Context, e *Event, subscriptions []int64) ([]*Delivery, error) {
	own := []*Delivery{}
	if len(subscriptions) == 0 {
		return own, nil
	}
	q := DeliveryQuery{
		Subscriptions: subscriptions, Types: []string{e.Type}, From: e.Accepted, To: e.Accepted.Add(time.Microsecond), Limit: explainPage,
	}
	if len(e.Entity.IDs) > 0 {
		q.Entity = Entity{Type: e.Entity.Type, IDs: e.Entity.IDs[:1]}.String()
	}
	for {
		page, err := s.Store.Deliveries(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			if d.Event.Seq == e.Seq {
				own = append(own, d)
			}
		}
		if len(page) < q.Limit || len(own) == len(subscriptions) {
			return own, nil
		}
		q.Before = page[len(page)-1].ID
	}
}

// Explain tells the path of an event: of each of the company's subscriptions
// whether it heard the event, and why or why not, those that did first. Of those
// that are gone, the ones that heard it are told of; an app sees its own.
func (s *Service) Explain(ctx context.Context, caller *Token, company, seq int64) (*Event, []Hearing, error) {
	e, err := s.Event(ctx, caller, company, seq)
	if err != nil {
		return nil, nil, err
	}
	deliveries, err := s.EventDeliveries(ctx, caller, company, seq)
	if err != nil {
		return nil, nil, err
	}
	subs, err := s.Store.Subscriptions(ctx, company, caller.ownApp())
	if err != nil {
		return nil, nil, err
	}
	known := map[int64]*Subscription{}
	for _, sub := range subs {
		known[sub.ID] = sub
	}
	path := []Hearing{}
	for _, d := range slices.Backward(deliveries) {
		sub := known[d.Subscription]
		if sub == nil { // it is gone
			if sub, err = s.Store.Subscription(ctx, d.Subscription); err != nil {
				return nil, nil, err
			}
		}
		path = append(path, s.hearing(e, sub, d))
		delete(known, d.Subscription)
	}
	for _, sub := range subs {
		if known[sub.ID] != nil {
			path = append(path, s.hearing(e, sub, nil))
		}
	}
	return e, path, nil
}

// hearing explains what became of the event for one subscription.
func (s *Service) hearing(e *Event, sub *Subscription, d *Delivery) Hearing {
	h := Hearing{Subscription: sub, Delivery: d, Changed: sub.UpdatedAt.After(e.Accepted)}
	h.Type, h.By = s.contracts[sub.Contract].Catalog().match(sub.Types, e)
	h.Filter = s.refusing(sub.Filters, e)
	passes := h.Type != "" && h.Filter == nil
	switch {
	case d != nil && passes:
		h.Why = Heard
	case d != nil:
		h.Why = HeardBefore
	case sub.CreatedAt.After(e.Accepted):
		h.Why = MadeLater
	case h.Type == "":
		h.Why = NotChosen
	case h.Filter != nil:
		h.Why = FilteredOut
	case sub.State == Unverified:
		h.Why = NotVerified
	case !sub.Options.EndsAt.IsZero() && !sub.Options.EndsAt.After(e.Accepted):
		h.Why = HasEnded
	case h.Changed:
		h.Why = ChosenLater
	default:
		h.Why = Unexplained
	}
	return h
}

// match gives the first of the types that an event is heard by, and how; the
// event's own type comes before its common name, and that before wildcards.
func (c *Catalog) match(types []string, e *Event) (typ string, by Match) {
	if slices.Contains(types, e.Type) {
		return e.Type, ByType
	}
	for _, name := range types {
		t, _ := c.Type(name)
		if e.Common != "" && (name == e.Common || slices.Contains(t.Common, e.Common)) || slices.Contains(t.Common, e.Type) {
			return name, ByCommon
		}
	}
	for _, name := range types {
		prefix, wild := strings.CutSuffix(name, "*")
		if wild && (strings.HasPrefix(e.Type, prefix) || e.Common != "" && strings.HasPrefix(e.Common, prefix)) {
			return name, ByWildcard
		}
	}
	return "", ""
}

// refusing gives the first of the filters that does not let the event pass; nil
// where all of them do. One that cannot be understood lets nothing pass.
func (s *Service) refusing(filters []byte, e *Event) []byte {
	if len(filters) == 0 {
		return nil
	}
	var each []json.RawMessage
	if json.Unmarshal(filters, &each) != nil {
		return filters
	}
	for _, filter := range each {
		passes, err := s.CompileFilters(slices.Concat([]byte("["), filter, []byte("]")))
		if err != nil || !passes(e) {
			return filter
		}
	}
	return nil
}
