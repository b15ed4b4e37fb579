package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
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
	c := &commit{hot: &s.hot, ids: s.ids, seqs: map[int64]int64{}}
	err := c.write(b)
	if err == nil {
		err = s.hot.exec(`COMMIT`)
	}
	if err != nil {
		_ = s.hot.exec(`ROLLBACK`) // SQLite may have rolled back by itself already
		return err
	}
	s.ids = c.ids
	return nil
}

// commit is one batch being written.
type commit struct {
	*hot
	ids  ids
	seqs map[int64]int64 // last Seq of the companies in the batch
}

func (c *commit) write(b *fattorino.Batch) error {
	c.ids.accepted = max(c.ids.accepted, micros(b.Now))
	for _, p := range b.Publishes {
		if err := c.publish(p); err != nil {
			return fmt.Errorf("write events: %w", err)
		}
	}
	for company, seq := range c.seqs {
		if err := c.exec(`UPDATE companies SET last_seq = ? WHERE id = ?`, seq, company); err != nil {
			return fmt.Errorf("write seq: %w", err)
		}
	}
	for i := range b.Outcomes {
		if err := c.outcome(&b.Outcomes[i]); err != nil {
			return fmt.Errorf("write outcome: %w", err)
		}
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
	return c.exec(`UPDATE ids SET event = ?, delivery = ?`, c.ids.event, c.ids.delivery)
}

// publish writes the events of one request, or, when one of them contradicts
// what is there, none.
func (c *commit) publish(p *fattorino.Publish) error {
	p.Err = nil
	p.First = make([]int64, len(p.Events))
	p.Repeated = make([]bool, len(p.Events))
	earlier, err := c.repeats(p)
	if err != nil || p.Err != nil {
		return err
	}
	for i, e := range p.Events {
		if p.Repeated[i] {
			if first := earlier[i]; first != nil {
				e.Key, e.Seq, e.Accepted = first.Key, first.Seq, first.Accepted
			}
			continue
		}
		if err := c.stamp(e); err != nil {
			return err
		}
		p.First[i] = c.ids.delivery + 1
		if err := c.insertEvent(e, p.First[i], len(p.Targets[i])); err != nil {
			return err
		}
		for _, subscription := range p.Targets[i] {
			c.ids.delivery++
			if err := c.exec(`INSERT INTO deliveries (id, event, subscription) VALUES (?, ?, ?)`, c.ids.delivery, e.Key, subscription); err != nil {
				return err
			}
		}
	}
	return nil
}

// repeats finds which events were accepted before, in the store or earlier in
// the same request, and sets p.Err where one has other content than before. It
// gives the earlier event of the request for each that repeats one.
func (c *commit) repeats(p *fattorino.Publish) ([]*fattorino.Event, error) {
	type identity struct {
		company    int64
		source, id string
	}
	earlier := make([]*fattorino.Event, len(p.Events))
	seen := make(map[identity]*fattorino.Event, len(p.Events))
	for i, e := range p.Events {
		who := identity{e.Company, e.Source, e.ID}
		var same bool
		if before := seen[who]; before != nil {
			p.Repeated[i], earlier[i] = true, before
			same = sameContent(before, e)
		} else {
			seen[who] = e
			var err error
			if same, err = c.find(e, &p.Repeated[i]); err != nil {
				return nil, err
			}
		}
		if p.Repeated[i] && !same {
			p.Err = contradicts(p, i)
			return nil, nil
		}
	}
	return earlier, nil
}

func sameContent(a, b *fattorino.Event) bool {
	_, x := a.Hashes()
	_, y := b.Hashes()
	return bytes.Equal(x, y)
}

func contradicts(p *fattorino.Publish, i int) error {
	field := fmt.Sprintf("events.%d.id", i)
	if len(p.Events) == 1 {
		field = "id"
	}
	return &fattorino.Error{
		Kind: fattorino.Conflict, Code: "event_id_reused",
		Msg:    fmt.Sprintf("event %d: an event with id %q and this source was accepted before with other content: nothing was stored", i, p.Events[i].ID),
		Fix:    "give every event its own id; send the very same event to repeat it",
		Faults: []fattorino.Fault{{Field: field, Msg: "was used for another event"}},
	}
}

// find looks for an event with the same company, source and id; it stamps e
// with what that one was given, and tells whether the content is the same.
func (c *commit) find(e *fattorino.Event, found *bool) (same bool, err error) {
	idHash, contentHash := e.Hashes()
	err = c.query(7, func(row []driver.Value) error {
		if row[3] != e.Company || row[4] != e.Source || row[5] != e.ID {
			return nil
		}
		*found = true
		same = bytes.Equal(row[6].([]byte), contentHash)
		e.Key, e.Seq, e.Accepted = row[0].(int64), row[1].(int64), fromMicros(row[2].(int64))
		return nil
	}, `SELECT key, seq, accepted_at, company, source, id, content_hash FROM events WHERE id_hash = ? AND seq > 0`, idHash)
	return same, err
}

// stamp gives an event its Key, its Seq and the time.
func (c *commit) stamp(e *fattorino.Event) error {
	seq, known := c.seqs[e.Company]
	if !known {
		var err error
		if seq, err = c.lastSeq(e.Company); err != nil {
			return err
		}
	}
	c.ids.event++
	c.seqs[e.Company] = seq + 1
	e.Key, e.Seq, e.Accepted = c.ids.event, seq+1, fromMicros(c.ids.accepted)
	return nil
}

func (c *commit) lastSeq(company int64) (seq int64, err error) {
	known := false
	err = c.query(1, func(row []driver.Value) error {
		seq, known = row[0].(int64), true
		return nil
	}, `SELECT last_seq FROM companies WHERE id = ?`, company)
	if err != nil || known {
		return seq, err
	}
	return 0, c.exec(`INSERT INTO companies (id, created_at) VALUES (?, ?)`, company, c.ids.accepted)
}

func (c *commit) insertEvent(e *fattorino.Event, first int64, deliveries int) error {
	return c.exec(insertEvent, eventValues(e, first, deliveries)...)
}

func (c *commit) outcome(o *fattorino.Outcome) error {
	if err := c.exec(updateDelivery, deliveryValues(o.Delivery)...); err != nil {
		return err
	}
	if o.Attempt == nil {
		return nil
	}
	return c.exec(insertAttempt, attemptValues(o.Attempt)...)
}

// Update implements [fattorino.Store].
func (s *Store) Update(ctx context.Context, f func(fattorino.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return translate(err)
	}
	u := &tx{ctx: ctx, tx: t, ids: s.ids}
	if err := f(u); err != nil {
		_ = t.Rollback() // nothing was written
		return translate(err)
	}
	if u.ids != s.ids {
		_, err = t.ExecContext(ctx, `UPDATE ids SET event = ?, delivery = ?`, u.ids.event, u.ids.delivery)
	}
	if err == nil {
		err = t.Commit()
	}
	if err != nil {
		_ = t.Rollback() // it may have ended by itself
		return translate(err)
	}
	s.ids = u.ids
	return nil
}

func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(us int64) time.Time { return time.UnixMicro(us) }

// optional gives NULL for the zero time.
func optional(t time.Time) driver.Value {
	if t.IsZero() {
		return nil
	}
	return micros(t)
}
