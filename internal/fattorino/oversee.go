package fattorino

import (
	"context"
	"net/url"
	"strings"
	"time"
)

// A SubscriptionQuery asks for subscriptions of all companies that are not
// gone, by id.
type SubscriptionQuery struct {
	Company  int64  // 0 = of all
	App      int64  // 0 = of all
	Contract string // empty = any
	State    State  // empty = any that is no end
	Text     string // in its name or in the host of its sink, whatever the case; empty = any
	After    int64  // those with greater ids
	Limit    int
}

// An OverseerReader answers questions about subscriptions of several companies
// at once, in a number of statements that does not grow with theirs.
type OverseerReader interface {
	// AllSubscriptions gives a page of subscriptions. It touches the rows of the
	// page, and of those passed over a few bytes each.
	AllSubscriptions(ctx context.Context, q SubscriptionQuery) ([]*Subscription, error)
	// CompanyNames gives the names of those companies that are there and have
	// one, by id.
	CompanyNames(ctx context.Context, companies []int64) (map[int64]string, error)
}

// maxSought bounds the text that a subscription is searched in, in bytes, so
// that an index can hold it.
const maxSought = 500

// Sought is the text that a subscription is searched in, in lower case: its
// name, and the host of its sink with the port. Nothing in it is secret.
func (s *Subscription) Sought() string {
	text := s.Options.Name
	if at, err := url.Parse(s.Sink); err == nil {
		text += "\n" + at.Host
	}
	text = strings.ReplaceAll(strings.ToLower(text), "\x00", "")
	return strings.ToValidUTF8(text[:min(len(text), maxSought)], "")
}

// AllSubscriptions lists the subscriptions of all companies for the operator.
func (s *Service) AllSubscriptions(ctx context.Context, caller *Token, q SubscriptionQuery) ([]*Subscription, error) {
	if err := need(caller, q.Company, AdminToken); err != nil {
		return nil, err
	}
	if q.State != "" && q.State.Gone() {
		return nil, InvalidField("state", "%q is none of unverified, active, disabled", q.State)
	}
	q.Text = strings.ToLower(strings.TrimSpace(q.Text))
	return s.Store.AllSubscriptions(ctx, q)
}

// CompanyNames gives the names of companies that have one, by id.
func (s *Service) CompanyNames(ctx context.Context, caller *Token, companies []int64) (map[int64]string, error) {
	if err := need(caller, 0, AdminToken); err != nil {
		return nil, err
	}
	return s.Store.CompanyNames(ctx, companies)
}

// Vitals are how a subscription has been doing of late.
type Vitals struct {
	Pulse
	Buckets []Bucket // step by step; nil where nothing was counted
}

// Vitals tells how each of the subscriptions has been doing, by id; they may be
// of several companies. Of one that the caller may not see nothing is told.
func (s *Service) Vitals(ctx context.Context, caller *Token, subs []*Subscription, from, to time.Time, step time.Duration) (map[int64]Vitals, error) {
	if err := checkSteps(from, to, step); err != nil {
		return nil, err
	}
	var ids []int64
	for _, sub := range subs {
		if need(caller, sub.Company, APIToken, AdminToken) == nil && (caller.Kind == AdminToken || caller.App == sub.App) {
			ids = append(ids, sub.ID)
		}
	}
	from = from.UTC().Truncate(step)
	tallies, err := s.Store.EachTally(ctx, ids, from, to, step)
	if err != nil {
		return nil, err
	}
	pulses, err := s.Store.Pulses(ctx, ids)
	if err != nil {
		return nil, err
	}
	all := map[int64]Vitals{}
	for len(tallies) > 0 {
		id, n := tallies[0].Subscription, 0
		for n < len(tallies) && tallies[n].Subscription == id {
			n++
		}
		all[id] = Vitals{Buckets: fill(tallies[:n], from, to, step)}
		tallies = tallies[n:]
	}
	for _, p := range pulses {
		v := all[p.Subscription]
		v.Pulse = p
		all[p.Subscription] = v
	}
	return all, nil
}
