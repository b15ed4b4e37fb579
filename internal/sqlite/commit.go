package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// Commit implements [fattorino.Store].
func (s *Store) Commit(ctx context.Context, b *fattorino.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return translate(err)
	}
	defer conn.Close() //nolint:errcheck // gives the connection back to its pool of one
	err = conn.Raw(func(c any) error {
		if err := s.hot.use(c.(driver.Conn)); err != nil {
			return err
		}
		return s.commit(b)
	})
	return translate(err)
}

func (s *Store) commit(b *fattorino.Batch) error {
	if err := s.hot.exec(`BEGIN IMMEDIATE`); err != nil {
		return err
	}
	c := &commit{
		hot: &s.hot, recent: &s.recent, written: &s.written, ids: s.ids, now: b.Now, last: s.seqs, unlisted: s.unlisted,
		seqs: seqs{}, known: map[int64]*accepted{}, lanes: map[int64]*lanePage{},
	}
	err := c.write(b)
	if err == nil {
		s.untried.tried(b.Outcomes)
		err = s.hot.exec(`COMMIT`)
	}
	if err != nil {
		_ = s.hot.exec(`ROLLBACK`) // SQLite may have rolled back by itself already
		s.hot.forget()
		s.seqs = nil
		return err
	}
	s.seqs = s.seqs.with(c.seqs)
	s.unlisted = append(s.unlisted, c.added...)
	if c.ids.listed > s.ids.listed {
		s.unlisted = s.unlisted[:0]
	}
	s.recent.swept(c.sweep, s.ids.event, &s.written)
	s.ids = c.ids
	return nil
}

// commit is one batch being written.
type commit struct {
	*hot
	recent  *recent // as it is before the commit
	written *bloom  // the same
	sweep   sweep
	ids     ids
	now     time.Time
	last    seqs                // as they are before the commit
	seqs    seqs                // of the companies in the batch
	known   map[int64]*accepted // by id hash: the events that the batch may repeat
	lanes   map[int64]*lanePage // by subscription: the pages begun

	unlisted []listing // of the commits before
	added    []listing // of the batch
}

func (c *commit) write(b *fattorino.Batch) error {
	c.ids.accepted = max(c.ids.accepted, record.Micros(b.Now))
	if err := c.publishAll(b.Publishes); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	if err := c.sweepOn(); err != nil {
		return fmt.Errorf("write hashes of ids: %w", err)
	}
	if err := c.list(); err != nil {
		return fmt.Errorf("list events: %w", err)
	}
	if err := c.settle(b.Outcomes); err != nil {
		return fmt.Errorf("write outcomes: %w", err)
	}
	for _, sub := range b.Subscriptions {
		if err := c.exec(updateSubscription, subscriptionValues(sub)...); err != nil {
			return fmt.Errorf("write subscription: %w", err)
		}
	}
	for _, m := range b.Settled {
		if err := c.exec(`INSERT INTO lanes VALUES (?, ?) ON CONFLICT DO UPDATE SET settled = excluded.settled`, m.Subscription, m.Delivery); err != nil {
			return fmt.Errorf("write lane: %w", err)
		}
	}
	if err := c.tally(b); err != nil {
		return fmt.Errorf("write tallies: %w", err)
	}
	return nil
}

// Update implements [fattorino.Store].
func (s *Store) Update(ctx context.Context, f func(fattorino.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return translate(err)
	}
	u := &tx{ctx: ctx, tx: t, ids: s.ids, untried: &s.untried}
	if err := f(u); err != nil {
		_ = t.Rollback() // nothing was written
		return translate(err)
	}
	if err := t.Commit(); err != nil {
		_ = t.Rollback() // it may have ended by itself
		return translate(err)
	}
	s.ids = u.ids
	for _, h := range u.pruned {
		s.recent.forget(h)
	}
	if len(u.pruned) > 0 {
		s.unlisted = nil // the events tell which are left
	}
	return nil
}
