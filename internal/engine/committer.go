package engine

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A committer writes everything, one transaction at a time: what came in while
// it wrote is the next batch (group commit). It never waits for more to come.
type committer struct {
	*Engine

	mu       sync.Mutex
	waiting  queue
	closed   bool
	failing  error // why the last commit failed; nil = all is well
	wake     chan struct{}
	retrying *time.Timer // wakes the committer to try again to write outcomes

	versions []int64 // by part of a shared store: of the subscriptions in force; nil = they change here alone
	known    []known // by part

	refused bool // the store has refused something since the start

	unwritten atomic.Int64 // outcomes that wait to be written, or are being

	scratch fattorino.Subscription // where an answer is settled; the committer's goroutine alone uses it
	tallies *tallies
}

// queue is what waits to be written.
type queue struct {
	publishes []*publish
	outcomes  []*outcome
	updates   []*update
	jobs      []*job
	heard     map[int]fattorino.Standing // by part
}

// publish is a request's events and where their publisher waits.
type publish struct {
	fattorino.Publish
	done chan error
}

// outcome is what became of a delivery: an attempt, or a discard without one.
type outcome struct {
	lane     *lane
	delivery *fattorino.Delivery
	attempt  *fattorino.Attempt
	answer   *fattorino.Answer // whole, where the attempt keeps what the log needs
	sink     string            // that the attempt was made to
	reason   fattorino.Reason  // where there was no attempt; empty = put off
	waitsFor int64             // the delivery waits for another about the entity with this hash
	at       time.Time
	shift    float64 // the jitter drawn
}

// job is what is to be done between two transactions.
type job struct {
	f    func() error
	done chan error
}

// update is a change by a use case and where it waits.
type update struct {
	f    func(fattorino.Tx) error
	done chan error
}

// putOff is how long a delivery waits whose notification could not be built for
// a reason of our own.
const putOff = time.Minute

// retryCommit is how long outcomes wait when they could not be written.
const retryCommit = time.Second

func newCommitter(e *Engine) *committer {
	c := &committer{Engine: e, wake: make(chan struct{}, 1)}
	c.retrying = time.AfterFunc(time.Hour, c.signal)
	c.retrying.Stop()
	c.tallies = newTallies(c.signal)
	if e.shared != nil {
		c.versions, c.known = make([]int64, e.parts()), make([]known, e.parts())
	}
	return c
}

func (c *committer) signal() {
	select {
	case c.wake <- struct{}{}:
	default: // it is awake already
	}
}

func (c *committer) addPublish(p *publish) error {
	return c.add(func(q *queue) { q.publishes = append(q.publishes, p) })
}

func (c *committer) addUpdate(u *update) error {
	return c.add(func(q *queue) { q.updates = append(q.updates, u) })
}

// between runs f between two transactions, and waits for it.
func (c *committer) between(f func() error) error {
	j := &job{f: f, done: make(chan error, 1)}
	if err := c.add(func(q *queue) { q.jobs = append(q.jobs, j) }); err != nil {
		return err
	}
	return <-j.done
}

// addOutcomes takes what an attempt made of its deliveries. It is taken even
// while stopping: an answer that was received is not thrown away. Deliveries of
// one batch are due again together.
func (c *committer) addOutcomes(outcomes []*outcome, now time.Time) {
	if len(outcomes) == 0 {
		return
	}
	shift := 2*rand.Float64() - 1
	for _, o := range outcomes {
		o.at, o.shift = now, shift
	}
	c.unwritten.Add(int64(len(outcomes)))
	c.mu.Lock()
	c.waiting.outcomes = append(c.waiting.outcomes, outcomes...)
	c.mu.Unlock()
	c.signal()
}

// maxUnwritten bounds the outcomes that wait to be written. Above it no attempt
// begins: sinks must not answer faster than the store can take down.
const maxUnwritten = 1024

func (c *committer) full() bool { return c.unwritten.Load() >= maxUnwritten }

func (c *committer) add(put func(*queue)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errStopping()
	}
	put(&c.waiting)
	c.signal()
	return nil
}

func (c *committer) take() queue {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.waiting
	c.waiting = queue{}
	if len(q.outcomes) > maxOutcomes {
		c.waiting.outcomes = q.outcomes[maxOutcomes:]
		q.outcomes = q.outcomes[:maxOutcomes:maxOutcomes]
	}
	return q
}

// maxOutcomes bounds the outcomes in one commit: publishers wait for it.
const maxOutcomes = 512

// run writes until it is stopped and nothing waits any more.
func (c *committer) run() {
	for range c.wake {
		runtime.Gosched() // lets those who are about to publish join in
		for q := c.take(); !q.empty() || c.lastError() != nil; q = c.take() {
			if !c.write(q) {
				break
			}
			c.saveTallies()
			runtime.Gosched()
		}
		if c.saveTallies() {
			c.signal()
		}
		if c.finished() {
			c.saveSettled()
			c.tallies.last()
			for c.saveTallies() {
			}
			c.refuseRest()
			return
		}
	}
}

func (q queue) empty() bool {
	return len(q.publishes) == 0 && len(q.outcomes) == 0 && len(q.updates) == 0 && len(q.jobs) == 0 && len(q.heard) == 0
}

// finished tells whether the committer may end: it has been stopped, and all
// is written or cannot be.
func (c *committer) finished() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed && (c.waiting.empty() || c.failing != nil)
}

// stop makes run end. What could not be written is lost to memory only: its
// deliveries are still pending in the store.
func (c *committer) stop() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.retrying.Stop()
	c.signal()
}

// refuseRest answers those whom a store that fails has kept waiting to the end.
func (c *committer) refuseRest() {
	q := c.take()
	for _, p := range q.publishes {
		p.done <- errStopping()
	}
	for _, u := range q.updates {
		u.done <- errStopping()
	}
	for _, j := range q.jobs {
		j.done <- errStopping()
	}
}

func errStopping() error {
	return &fattorino.Error{
		Kind: fattorino.Unavailable, Msg: "Fattorino is stopping",
		Fix: "try again when it is up", RetryAfter: 2 * time.Second,
	}
}

func (c *committer) lastError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failing
}
