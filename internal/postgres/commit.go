package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// A commit is one batch being written, in one transaction: what belongs to each
// part as a share of its own. The parts are locked in the order of their
// numbers, so that no two commits wait for each other.
type commit struct {
	*Store
	batch   *fattorino.Batch
	shares  []*share // by part
	bundles []*bundle

	// known are the events that were accepted before, by what makes them the
	// same event: in the store, or earlier in this batch.
	known map[identity]*fattorino.Event

	// mark is an event that was written by an attempt whose outcome is unknown:
	// where it is there, everything is.
	mark *fattorino.Event
}

// identity is what makes an event the same event.
type identity struct {
	company    int64
	source, id string
}

func identityOf(e *fattorino.Event) identity { return identity{e.Company, e.Source, e.ID} }

// Commit implements [fattorino.Store]. Where the connection breaks while the
// transaction is being committed, it finds out what became of it.
func (s *Store) Commit(ctx context.Context, b *fattorino.Batch) error {
	c := &commit{Store: s, batch: b}
	if err := c.divide(ctx); err != nil {
		return translate(err)
	}
	err := retry(ctx, c.try, func() bool { return c.mark != nil })
	if err == nil {
		c.stamp()
	}
	return err
}

// stamp tells which ids were given.
func (c *commit) stamp() {
	c.batch.Spans = nil
	for _, s := range c.shares {
		if len(s.fresh) > 0 {
			c.batch.Spans = append(c.batch.Spans, fattorino.Span{Part: int(s.part), From: s.before, To: s.state.last(c.layout, s.part)})
		}
	}
}

// divide gives each part its share of the batch, and makes sure that the
// partitions of what is to be updated are known.
func (c *commit) divide(ctx context.Context) error {
	byPart := map[int16]*share{}
	of := func(part int16) *share {
		if byPart[part] == nil {
			byPart[part] = &share{part: part, epoch: c.batch.Epoch}
		}
		return byPart[part]
	}
	for _, p := range c.batch.Publishes {
		for _, e := range p.Events {
			s := of(c.layout.of(e.Company))
			s.candidates = append(s.candidates, e)
		}
	}
	for _, o := range c.batch.Outcomes {
		s := of(c.layout.ofID(o.Delivery.ID))
		s.outcomes = append(s.outcomes, o)
		if err := c.days.ensure(ctx, c.pool, c.layout.dayOf(o.Delivery.ID)); err != nil {
			return err
		}
	}
	for _, a := range c.batch.Late {
		s := of(c.layout.ofID(a.Delivery))
		s.late = append(s.late, a)
		if err := c.days.ensure(ctx, c.pool, c.layout.dayOf(a.Delivery)); err != nil {
			return err
		}
	}
	for _, sub := range c.batch.Subscriptions {
		s := of(c.layout.of(sub.Company))
		s.subscriptions = append(s.subscriptions, sub)
	}
	for _, l := range c.batch.Settled {
		s := of(c.layout.ofSubscription(l.Subscription))
		s.settled = append(s.settled, l)
	}
	for _, t := range c.batch.Tallies {
		s := of(c.layout.of(t.Company))
		s.tallies = append(s.tallies, t)
	}
	for _, p := range c.batch.Pulses {
		s := of(c.layout.ofSubscription(p.Subscription))
		s.pulses = append(s.pulses, p)
	}
	c.shares = slices.SortedFunc(maps.Values(byPart), func(a, b *share) int { return cmp.Compare(a.part, b.part) })
	c.bundles = c.spread.bundles(c.layout, c.shares)
	return nil
}

// try writes the batch once, in two round trips: what is there already, then
// what is new.
func (c *commit) try(ctx context.Context) error {
	conn, err := c.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // which closes it where a transaction is still open
	done, err := c.look(ctx, conn)
	if err != nil || done {
		return err
	}
	c.mark = nil // an earlier try was not committed, and nobody is at it any more
	if stale := c.checkVersions(); stale != nil {
		_, err := conn.Exec(ctx, `ROLLBACK`)
		return errors.Join(stale, err)
	}
	for _, p := range c.batch.Publishes {
		c.publish(p)
	}
	for _, u := range c.bundles {
		for day := range u.written {
			if err := c.days.ensure(ctx, conn, day); err != nil {
				return err
			}
		}
	}
	err = c.write(ctx, conn)
	if sqlState(err) == undefinedTable {
		c.forgetDays()
	}
	return err
}

// forgetDays has the partitions of the batch looked for anew: another node has
// dropped one.
func (c *commit) forgetDays() {
	for _, u := range c.bundles {
		for day := range u.written {
			c.days.forget(day)
		}
	}
	for _, s := range c.shares {
		for _, o := range s.outcomes {
			c.days.forget(c.layout.dayOf(o.Delivery.ID))
		}
		for _, a := range s.late {
			c.days.forget(c.layout.dayOf(a.Delivery))
		}
	}
}

// begin starts a transaction, and has every statement of it use the index that
// it was written for: on a table that was small when a plan was made, or that
// grew since it was last analyzed, PostgreSQL would rather read it whole. For
// the same reason a join or a list of keys is written as a LATERAL query with
// OFFSET 0, which is one look-up for each: PostgreSQL thinks little of reading
// everything of a part, which is the first column of every index.
// What a node that is cut off has locked is given free after a while.
func begin(b *pgx.Batch) {
	b.Queue(`BEGIN`)
	b.Queue(settings)
}

const settings = `SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
	set_config('enable_mergejoin', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true),
	set_config('jit', 'off', true), set_config('idle_in_transaction_session_timeout', '10s', true)`

// beginAs starts the transaction of a node that writes as the owner of parts. It
// fails where the node's leases are lost, and keeps them until it ends.
func beginAs(b *pgx.Batch, epoch int64) {
	b.Queue(`BEGIN`)
	b.Queue(settings+`, check_node($1)`, epoch)
}

// look begins the transaction, locks the parts that are published to, and reads
// where they stand. It reports done where an earlier try turns out to have been
// committed.
func (c *commit) look(ctx context.Context, conn *pgxpool.Conn) (done bool, err error) {
	c.known = map[identity]*fattorino.Event{}
	var b pgx.Batch
	if c.batch.Epoch != 0 && len(c.batch.Outcomes)+len(c.batch.Settled) > 0 {
		beginAs(&b, c.batch.Epoch)
	} else {
		begin(&b)
	}
	for _, u := range c.bundles {
		u.look(&b)
	}
	if m := c.mark; m != nil {
		// Its key alone would not do: another node may have given that to an event
		// of its own, or to the same one when its publisher tried again there.
		b.Queue(`SELECT EXISTS (SELECT 1 FROM events WHERE part = $1 AND key = $2 AND company = $3 AND source = $4 AND id = $5 AND accepted_at = $6)`,
			c.layout.ofID(m.Key), m.Key, m.Company, m.Source, m.ID, record.Micros(m.Accepted)).
			QueryRow(func(r pgx.Row) error { return r.Scan(&done) })
	}
	if err := conn.SendBatch(ctx, &b).Close(); err != nil || done {
		return done, err
	}
	for _, u := range c.bundles {
		if err := u.findRepeats(ctx, conn, c.known); err != nil {
			return false, fmt.Errorf("find repeats: %w", err)
		}
	}
	return false, nil
}

// checkVersions fails where the batch was worked out from subscriptions that
// have changed since.
func (c *commit) checkVersions() error {
	var stale []int
	for _, s := range c.shares {
		if s.locks() && c.batch.Versions != nil && c.batch.Versions[s.part] != s.state.version {
			stale = append(stale, int(s.part))
		}
	}
	if stale == nil {
		return nil
	}
	return &fattorino.Error{Kind: fattorino.Conflict, Msg: "the subscriptions have changed meanwhile", Err: &fattorino.StaleError{Parts: stale}}
}

// write writes everything and ends the transaction. While it does, nobody can
// tell whether the transaction will have been committed if the connection
// breaks; mark will.
func (c *commit) write(ctx context.Context, conn *pgxpool.Conn) error {
	var b pgx.Batch
	for _, u := range c.bundles {
		u.write(&b)
	}
	for _, s := range c.shares {
		if len(s.fresh) > 0 {
			c.mark = s.fresh[0]
		}
	}
	b.Queue(`COMMIT`)
	err := conn.SendBatch(ctx, &b).Close()
	if refused(err) {
		c.mark = nil
	}
	return err
}

// publish stamps the events of one request, or, when one of them contradicts
// what is there, none.
func (c *commit) publish(p *fattorino.Publish) {
	p.Err = nil
	p.First = make([]int64, len(p.Events))
	p.Repeated = make([]bool, len(p.Events))
	fresh := map[identity]*fattorino.Event{}
	for i, e := range p.Events {
		who := identityOf(e)
		before := c.known[who]
		if before == nil {
			before = fresh[who]
		}
		if before == nil {
			fresh[who] = e
			continue
		}
		if !sameContent(before, e) {
			p.Err = p.Contradiction(i)
			return
		}
		p.Repeated[i] = true
	}
	for i, e := range p.Events {
		if before := c.known[identityOf(e)]; p.Repeated[i] {
			e.Key, e.Seq, e.Accepted = before.Key, before.Seq, before.Accepted
			continue
		}
		s := shareOf(c.shares, c.layout.of(e.Company))
		if s.accepted == 0 {
			s.accepted = c.accept(record.Micros(c.batch.Now), s.state.accepted)
		}
		p.First[i] = s.add(e, p.Targets[i])
		c.known[identityOf(e)] = e
	}
}
