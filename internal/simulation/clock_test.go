package simulation_test

import (
	"context"
	"slices"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A clock is how far the machine's clock is ahead in one life of the program. It
// is set, forwards or backwards, while the program is down: what an earlier life
// has written is then dated otherwise than this one would.
type clock time.Duration

// clock draws how the clock goes in a life.
func (w *world) clock(life int) clock {
	if w.calm || !w.chance.oneIn(3, "the clock is set", 0) {
		return 0
	}
	return clock(w.chance.between(-time.Hour, time.Hour, "clock", life))
}

// add moves times that are set.
func (c clock) add(times ...*time.Time) {
	for _, t := range times {
		if !t.IsZero() {
			*t = t.Add(time.Duration(c))
		}
	}
}

// subscription moves the times of a copy.
func (c clock) subscription(s *fattorino.Subscription) *fattorino.Subscription {
	s = s.Clone()
	c.add(&s.FirstErrorAt, &s.ExpiresAt, &s.CreatedAt, &s.UpdatedAt, &s.Handshake.AskedAt, &s.Handshake.RetryAt, &s.Options.EndsAt)
	for i := range s.Secrets {
		c.add(&s.Secrets[i].EndsAt)
	}
	return s
}

// delivery moves the times of a copy.
func (c clock) delivery(d *fattorino.Delivery) *fattorino.Delivery {
	moved := *d
	c.add(&moved.DueAt, &moved.FirstErrorAt, &moved.SettledAt)
	return &moved
}

// dated is a store that is dated by a clock: its users know nothing of it.
type dated struct {
	fattorino.Store
	ahead clock
}

// Commit implements [fattorino.Store].
func (s *dated) Commit(ctx context.Context, b *fattorino.Batch) error {
	moved := *b
	s.ahead.add(&moved.Now)
	moved.Outcomes = slices.Clone(b.Outcomes)
	for i, o := range moved.Outcomes {
		moved.Outcomes[i].Delivery = s.ahead.delivery(o.Delivery)
	}
	moved.Subscriptions = slices.Clone(b.Subscriptions)
	for i, sub := range moved.Subscriptions {
		moved.Subscriptions[i] = s.ahead.subscription(sub)
	}
	err := s.Store.Commit(ctx, &moved)
	for _, p := range b.Publishes {
		for _, e := range p.Events {
			(-s.ahead).add(&e.Accepted)
		}
	}
	return err
}

// Update implements [fattorino.Store].
func (s *dated) Update(ctx context.Context, f func(fattorino.Tx) error) error {
	return s.Store.Update(ctx, func(tx fattorino.Tx) error { return f(&datedTx{tx, s.ahead}) })
}

// LiveSubscriptions implements [fattorino.Store].
func (s *dated) LiveSubscriptions(ctx context.Context, f func(*fattorino.Subscription), parts ...int) error {
	return s.Store.LiveSubscriptions(ctx, func(sub *fattorino.Subscription) { f((-s.ahead).subscription(sub)) }, parts...)
}

// Backlogs implements [fattorino.Store].
func (s *dated) Backlogs(ctx context.Context, parts ...int) ([]fattorino.Backlog, error) {
	all, err := s.Store.Backlogs(ctx, parts...)
	for i := range all {
		(-s.ahead).add(&all[i].NextDue)
	}
	return all, err
}

func (s *dated) moved(all []*fattorino.Delivery, err error) ([]*fattorino.Delivery, error) {
	for i, d := range all {
		all[i] = (-s.ahead).delivery(d)
	}
	return all, err
}

// Fresh implements [fattorino.Store].
func (s *dated) Fresh(ctx context.Context, subscription, after int64, limit int) ([]*fattorino.Delivery, error) {
	return s.moved(s.Store.Fresh(ctx, subscription, after, limit))
}

// Due implements [fattorino.Store].
func (s *dated) Due(ctx context.Context, subscription int64, limit int) ([]*fattorino.Delivery, error) {
	return s.moved(s.Store.Due(ctx, subscription, limit))
}

// Waiting implements [fattorino.Store].
func (s *dated) Waiting(ctx context.Context, subscription, waitsFor int64, limit int) ([]*fattorino.Delivery, error) {
	return s.moved(s.Store.Waiting(ctx, subscription, waitsFor, limit))
}

// Delivery implements [fattorino.Reader].
func (s *dated) Delivery(ctx context.Context, id int64) (*fattorino.Delivery, error) {
	d, err := s.Store.Delivery(ctx, id)
	if err != nil {
		return nil, err
	}
	return (-s.ahead).delivery(d), nil
}

// Subscription implements [fattorino.Reader].
func (s *dated) Subscription(ctx context.Context, id int64) (*fattorino.Subscription, error) {
	sub, err := s.Store.Subscription(ctx, id)
	if err != nil {
		return nil, err
	}
	return (-s.ahead).subscription(sub), nil
}

// datedTx is what dated is, in a transaction.
type datedTx struct {
	fattorino.Tx
	ahead clock
}

func (t *datedTx) Subscription(id int64) (*fattorino.Subscription, error) {
	s, err := t.Tx.Subscription(id)
	if err != nil {
		return nil, err
	}
	return (-t.ahead).subscription(s), nil
}

func (t *datedTx) PutSubscription(s *fattorino.Subscription) error {
	moved := t.ahead.subscription(s)
	err := t.Tx.PutSubscription(moved)
	s.ID = moved.ID
	return err
}

func (t *datedTx) PutPrivate(e *fattorino.Event, subscription int64) (*fattorino.Delivery, error) {
	t.ahead.add(&e.Accepted)
	d, err := t.Tx.PutPrivate(e, subscription)
	(-t.ahead).add(&e.Accepted)
	return d, err
}

func (t *datedTx) Delivery(id int64) (*fattorino.Delivery, error) {
	d, err := t.Tx.Delivery(id)
	if err != nil {
		return nil, err
	}
	return (-t.ahead).delivery(d), nil
}

func (t *datedTx) PutDelivery(d *fattorino.Delivery) error {
	return t.Tx.PutDelivery(t.ahead.delivery(d))
}

func (t *datedTx) Prune(before time.Time, after int64, limit int) (last int64, deleted int, err error) {
	t.ahead.add(&before)
	return t.Tx.Prune(before, after, limit)
}
