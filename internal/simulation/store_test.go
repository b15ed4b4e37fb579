package simulation_test

import (
	"context"
	"errors"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A store is the real store of one life of the program, with faults before it.
// It notes what the real one has taken.
type store struct {
	fattorino.Store
	*world
	life *life
}

// errDisk is how a store says that it cannot write at the moment.
func errDisk() error { return &fattorino.Error{Kind: fattorino.Unavailable, Msg: "the disk fails"} }

// errRefused is how a store says that it does not take what it was given.
var errRefused = errors.New("constraint failed")

// A step is what happens to one write.
type step string

const (
	writes     step = ""
	fails      step = "fails"            // before or inside the transaction; nothing is written
	failsAtEnd step = "fails at the end" // nothing is written, and all is stamped as if it were
	refuses    step = "refuses"          // an error that is no fault of the disk
	slow       step = "slow"
	dies       step = "dies before"    // the program crashes before the transaction
	diesInside step = "dies in COMMIT" // the transaction is torn: nothing of it is there
	diesAfter  step = "dies after"     // the transaction is written, and nobody was told
	lies       step = "lies"           // it is written, the engine is told that it failed, and the program crashes soon
)

// next decides what happens to the next write of the life.
func (s *store) next(what string) step {
	n := s.life.writes.Add(1)
	if s.life.doomed.Load() || s.down(time.Now()) {
		return fails
	}
	if !s.faults() || !s.chance.oneIn(12, "fault of a write", s.life.number, what, n) {
		return writes
	}
	return pick(s.chance, []step{
		fails, fails, failsAtEnd, failsAtEnd, slow, slow, dies, diesInside, diesAfter, lies, refuses,
	}, "step", s.life.number, what, n)
}

// Commit implements [fattorino.Store].
func (s *store) Commit(ctx context.Context, b *fattorino.Batch) error {
	step := s.next("commit")
	if step == slow {
		pass(s.chance.between(time.Millisecond, 3*time.Second, "slow", s.life.number, s.life.writes.Load()))
	}
	s.life.writing.Lock()
	defer s.life.writing.Unlock()
	switch step {
	case fails:
		return errDisk()
	case failsAtEnd, refuses:
		return s.waste(b, step)
	case dies:
		s.life.crashLocked("before a commit")
	}
	if s.life.dead.Load() {
		return errDisk()
	}
	given := *b
	if s.chance.oneIn(3, "clock", 0) && s.faults() { // in one seed of three the clock jumps now and then
		given.Now = b.Now.Add(s.chance.between(-time.Hour, time.Hour, "jump", s.life.writes.Load()/8))
	}
	before := s.life.sizes()
	if err := s.Store.Commit(ctx, &given); err != nil {
		s.history.add(s.life, note("commit failed in truth: "+err.Error()))
		return err
	}
	if step == diesInside && s.life.crashTorn(before) {
		return errDisk()
	}
	s.history.add(s.life, noteOf(b, step == lies || step == diesAfter || step == diesInside))
	return s.after(step)
}

// after ends a write that is in the store.
func (s *store) after(step step) error {
	switch step {
	case diesAfter, diesInside:
		s.life.crashLocked("after a commit, before anybody was told")
		return errDisk()
	case lies:
		s.life.doom()
		return errDisk()
	}
	return nil
}

// waste leaves a batch as a transaction does that was rolled back at its end:
// with stamps that count for nothing.
func (s *store) waste(b *fattorino.Batch, step step) error {
	for _, p := range b.Publishes {
		p.First, p.Repeated = make([]int64, len(p.Events)), make([]bool, len(p.Events))
		for i, e := range p.Events {
			p.First[i], p.Repeated[i] = 7_000_000, i%2 == 0
			e.Key, e.Seq, e.Accepted = 7_000_000, 7_000_000, time.Unix(7, 0)
		}
	}
	if step == failsAtEnd {
		return errDisk()
	}
	if len(b.Outcomes) == 1 && len(b.Publishes) == 0 {
		s.history.add(s.life, &rejected{b.Outcomes[0].Delivery.ID})
	}
	return errRefused
}

// noteOf gives the entry of a batch.
func noteOf(b *fattorino.Batch, untold bool) *committed {
	c := &committed{now: b.Now, hints: b.Settled, untold: untold}
	for _, p := range b.Publishes {
		for i, e := range p.Events {
			if p.Err == nil && !p.Repeated[i] {
				kept := *e
				c.events = append(c.events, &storedEvent{Event: &kept, first: p.First[i], targets: p.Targets[i]})
			}
		}
	}
	for _, o := range b.Outcomes {
		d := *o.Delivery
		c.outcomes = append(c.outcomes, fattorino.Outcome{Delivery: &d, Attempt: o.Attempt})
	}
	for _, sub := range b.Subscriptions {
		c.changed = append(c.changed, sub.Clone())
	}
	return c
}

// Update implements [fattorino.Store].
func (s *store) Update(ctx context.Context, f func(fattorino.Tx) error) error {
	step := s.next("update")
	if step == slow {
		pass(s.chance.between(time.Millisecond, 3*time.Second, "slow", s.life.number, s.life.writes.Load()))
	}
	s.life.writing.Lock()
	defer s.life.writing.Unlock()
	switch step {
	case fails:
		return errDisk()
	case dies:
		s.life.crashLocked("before an update")
	}
	if s.life.dead.Load() {
		return errDisk()
	}
	u := &updated{untold: step == lies || step == diesAfter}
	before := s.life.sizes()
	err := s.Store.Update(ctx, func(tx fattorino.Tx) error {
		*u = updated{untold: u.untold}
		if err := f(&transaction{tx, u, pick(s.chance, []int{2, 1000}, "step of the retention", s.life.number)}); err != nil {
			return err
		}
		switch step {
		case failsAtEnd:
			return errDisk()
		case refuses:
			return errRefused
		}
		return nil
	})
	if err != nil {
		return err
	}
	if step == diesInside && s.life.crashTorn(before) {
		return errDisk()
	}
	s.history.add(s.life, u)
	return s.after(step)
}

// A transaction notes what is changed in it.
type transaction struct {
	fattorino.Tx
	*updated
	step int // events that one step of the retention looks at, at most
}

func (t *transaction) PutSubscription(s *fattorino.Subscription) error {
	err := t.Tx.PutSubscription(s)
	t.changed = append(t.changed, s.Clone())
	return err
}

func (t *transaction) PutPrivate(e *fattorino.Event, subscription int64) (*fattorino.Delivery, error) {
	d, err := t.Tx.PutPrivate(e, subscription)
	if err == nil {
		kept := *d
		t.privates = append(t.privates, &kept)
	}
	return d, err
}

func (t *transaction) PutDelivery(d *fattorino.Delivery) error {
	kept := *d
	t.deliveries = append(t.deliveries, &kept)
	return t.Tx.PutDelivery(d)
}

func (t *transaction) Prune(before time.Time, after int64, limit int) (last int64, deleted int, err error) {
	limit = min(limit, t.step)
	if last, deleted, err = t.Tx.Prune(before, after, limit); err == nil {
		t.pruned = append(t.pruned, &pruned{before: before, after: after, limit: limit, last: last, deleted: deleted})
	}
	return last, deleted, err
}

func (t *transaction) RetireKeys(name, kid string, now time.Time) error {
	t.newKey = kid
	return t.Tx.RetireKeys(name, kid, now)
}

// read lets a reading of the engine fail, or come late and show what was there
// when it began.
func read[T any](s *store, what string, get func() (T, error)) (T, error) {
	n := s.life.reads.Add(1)
	if s.life.dead.Load() || (s.faults() && s.chance.oneIn(25, "fault of a reading", s.life.number, what, n)) {
		var none T
		return none, errDisk()
	}
	found, err := get()
	s.life.waitForWrite() // what was read has been noted as written
	if s.faults() && s.chance.oneIn(10, "slow reading", s.life.number, what, n) {
		pass(s.chance.between(0, 4*time.Second, "reading", s.life.number, what, n))
	}
	return found, err
}

func (s *store) Fresh(ctx context.Context, subscription, after int64, limit int) ([]*fattorino.Delivery, error) {
	return read(s, "fresh", func() ([]*fattorino.Delivery, error) { return s.Store.Fresh(ctx, subscription, after, limit) })
}

func (s *store) Due(ctx context.Context, subscription int64, limit int) ([]*fattorino.Delivery, error) {
	return read(s, "due", func() ([]*fattorino.Delivery, error) { return s.Store.Due(ctx, subscription, limit) })
}

func (s *store) Waiting(ctx context.Context, subscription, waitsFor int64, limit int) ([]*fattorino.Delivery, error) {
	return read(s, "waiting", func() ([]*fattorino.Delivery, error) { return s.Store.Waiting(ctx, subscription, waitsFor, limit) })
}

func (s *store) WaitedFor(ctx context.Context, subscription int64, limit int) ([]int64, error) {
	return read(s, "waited for", func() ([]int64, error) { return s.Store.WaitedFor(ctx, subscription, limit) })
}
