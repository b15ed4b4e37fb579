package postgres

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// How leases are kept. The parts of a node that has died are taken over within
// leaseFor and tendEvery.
const (
	leaseFor   = 4 * time.Second
	leaseSpare = time.Second // by which a node thinks its leases shorter, lest it still sends when another begins
	tendEvery  = 500 * time.Millisecond
	askWithin  = 2 * time.Second // one statement
)

// nodeConns is how many connections a node has besides those of its store, so
// that no lease runs out while others wait for a turn: to renew, to look at the
// leases, to give one back, to look at the parts.
const nodeConns = 4

// takenAtOnce is how many parts are taken up at the same time: what comes in
// meanwhile shares the connections.
const takenAtOnce = 4

// Serving is what a node serves its parts with.
type Serving interface {
	// Own takes a part up.
	Own(ctx context.Context, l fattorino.Lease) error
	// HandOver begins nothing in the part any more, and returns once all that was
	// begun is written and nothing more will be. It may fail with ctx alone.
	HandOver(ctx context.Context, part int) error
	// Disown lets the part go at once: it is another's.
	Disown(part int)
	// Heard is told of parts that stand otherwise than before.
	Heard(moved []fattorino.Standing)
}

// A Node is a process among those that share a database. It holds the leases of
// some of the parts, as many as the others: they are bound to its row in the
// table of nodes, which it renews, and not to a session, which would be lost
// behind PgBouncer. Whoever does not renew its row is struck off by the others,
// and all its parts are theirs.
type Node struct {
	pool    *pgxpool.Pool
	hearsAt *pgx.ConnConfig // where it listens
	layout  layout
	name    string
	log     *slog.Logger
	serving Serving
	changed func() // something that belongs to no company has changed

	taking  chan struct{}   // bounds the parts that are being taken up
	look    chan struct{}   // one, where the leases are to be looked at now
	scan    chan struct{}   // one, where the parts are
	life    context.Context //nolint:containedctx // of all that Start has started
	stop    context.CancelFunc
	running sync.WaitGroup
	paused  bool // the renewing goroutine has said that it cannot renew

	mu        sync.Mutex
	id        int64 // its row, and the epoch of its leases; another after it was struck off
	held      map[int]*holding
	leaving   bool
	left      chan struct{} // closed when it is leaving and holds nothing
	sure      time.Time     // until when nobody else can have its parts, by this machine's clock
	steady    time.Time     // since when it was always sure
	again     chan struct{} // closed when sure is later
	listening bool
}

// A holding is a part whose lease the node has.
type holding struct {
	fattorino.Lease
	stop  context.CancelFunc // ends what is being done about it
	taken chan struct{}      // closed when it is served, or will not be
	going bool               // it is being handed over
}

// Join makes this process a node of the store's database. The name is for
// people. It holds nothing before [Node.Start].
func Join(ctx context.Context, o Options, s *Store, name string, log *slog.Logger) (*Node, error) {
	listen, err := configOf(cmp.Or(o.Listen, o.URL), o.Password)
	if err != nil {
		return nil, cannotStart(err)
	}
	pool, err := connect(ctx, o, nodeConns)
	if err != nil {
		return nil, cannotStart(err)
	}
	n := &Node{
		pool: pool, hearsAt: listen.ConnConfig, layout: s.layout, name: name, log: log, held: map[int]*holding{}, left: make(chan struct{}),
		taking: make(chan struct{}, takenAtOnce), look: make(chan struct{}, 1), scan: make(chan struct{}, 1), again: make(chan struct{}),
	}
	if err := n.join(ctx); err != nil {
		pool.Close()
		return nil, cannotStart(err)
	}
	return n, nil
}

// Start has the node take its share of the parts, and serve them. It returns when
// the parts that nobody has served are served, or with ctx. What is to be done
// when something has changed that belongs to no company, as a token, is done by
// changed.
func (n *Node) Start(begin context.Context, serving Serving, changed func()) {
	n.serving, n.changed = serving, changed
	ctx, stop := context.WithCancel(context.Background())
	n.life, n.stop = ctx, stop
	n.share(ctx)
	for _, h := range n.serves() {
		select {
		case <-h.taken:
		case <-begin.Done():
		}
	}
	n.running.Go(func() { n.every(ctx, tendEvery, nil, n.tend) })
	n.running.Go(func() { n.every(ctx, tendEvery, n.look, n.share) })
	n.running.Go(func() { n.listen(ctx) })
	n.running.Go(func() { n.watch(ctx) })
}

// every does something again and again, and whenever it is woken.
func (n *Node) every(ctx context.Context, pause time.Duration, wake <-chan struct{}, do func(context.Context)) {
	again := time.NewTicker(pause)
	defer again.Stop()
	for {
		do(ctx)
		select {
		case <-again.C:
		case <-wake:
		case <-ctx.Done():
			return
		}
	}
}

// signal wakes whoever waits at the channel.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is awake
	}
}

// join enters the node among those that live.
func (n *Node) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	asked := time.Now()
	var id int64
	err := n.pool.QueryRow(ctx, `INSERT INTO nodes (id, name, until) VALUES (nextval('node_numbers'), $1, clock_timestamp() + $2) RETURNING id`, n.name, leaseFor).Scan(&id)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.id = id
	n.extend(asked)
	return nil
}

// tend renews the node's row. A node that was struck off has lost all its parts,
// and begins anew with none. Where the row cannot be renewed for a while, but
// nobody struck it off, everything is as before: nobody else had a part of it.
func (n *Node) tend(ctx context.Context) {
	lives, err := n.renew(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil && !n.paused && !n.sureAt(time.Now()):
		n.log.Error("the leases of this node cannot be renewed: nothing is sent until they are", "error", err)
		n.paused = true
	case err == nil && !lives:
		n.lose()
		if err := n.join(ctx); err != nil {
			return // it is struck off still, and tries again
		}
		fallthrough
	case err == nil && n.paused:
		n.log.Info("the leases are renewed: sending goes on")
		n.paused = false
		signal(n.look)
	}
}

// renew prolongs the leases; false where there are none any more.
func (n *Node) renew(ctx context.Context) (lives bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	asked, id := time.Now(), n.epoch()
	done, err := n.pool.Exec(ctx, `UPDATE nodes SET until = clock_timestamp() + $2 WHERE id = $1`, id, leaseFor)
	if err != nil || done.RowsAffected() == 0 {
		return false, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.extend(asked)
	return true, nil
}

func (n *Node) epoch() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.id
}

// extend notes that the database was asked to prolong the leases, and did.
func (n *Node) extend(asked time.Time) {
	if asked.After(n.sure) {
		n.steady = asked
	}
	n.sure = asked.Add(leaseFor - leaseSpare)
	close(n.again)
	n.again = make(chan struct{})
}

// mayStrike tells whether the node may strike others off: where it could not renew
// its own leases itself until lately, neither could they, and will do so now.
func (n *Node) mayStrike() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Now().Before(n.sure) && time.Since(n.steady) > leaseFor
}

func (n *Node) sureAt(now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return now.Before(n.sure)
}

// Held gives a channel that is closed where the node has its leases for certain,
// and that is closed once it has them again where it does not.
func (n *Node) Held() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if time.Now().Before(n.sure) {
		return always
	}
	return n.again
}

// always is closed.
var always = func() chan struct{} { c := make(chan struct{}); close(c); return c }() //nolint:gochecknoglobals // it never changes

// lose lets all parts go. What was begun under their leases is told apart by the
// epoch.
func (n *Node) lose() {
	n.mu.Lock()
	lost := n.held
	if len(lost) > 0 {
		n.log.Warn("other nodes take over the parts of this one, which could not renew its leases: it begins anew", "parts", len(lost))
	}
	n.held, n.sure = map[int]*holding{}, time.Time{}
	n.mu.Unlock()
	for part, h := range lost {
		h.stop()
		n.serving.Disown(part)
	}
}

// Leave gives the parts back one by one, each as soon as nothing is under way in
// it, and takes none any more; the others take them up. It fails with ctx where
// something takes longer; what is left then is given back by [Node.Close].
func (n *Node) Leave(ctx context.Context) error {
	n.mu.Lock()
	n.leaving = true
	n.leaveNow()
	n.mu.Unlock()
	if _, err := n.pool.Exec(ctx, `UPDATE nodes SET leaving = true WHERE id = $1`, n.epoch()); err != nil {
		return fmt.Errorf("the leases run out by themselves: %w", err)
	}
	n.tell(ctx)
	signal(n.look)
	select {
	case <-n.left:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("some parts could not be handed over in time: %w", ctx.Err())
	}
}

// leaveNow notes that the last part was given back.
func (n *Node) leaveNow() {
	select {
	case <-n.left:
	default:
		if n.leaving && len(n.held) == 0 {
			close(n.left)
		}
	}
}

// Close ends the node: all that it still holds is free for others.
func (n *Node) Close(ctx context.Context) error {
	defer n.pool.Close()
	if n.stop != nil {
		n.stop()
		n.running.Wait()
	}
	remove := func() error {
		return pgx.BeginFunc(ctx, n.pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `DELETE FROM nodes WHERE id = $1`, n.id)
			if err == nil {
				_, err = tx.Exec(ctx, `UPDATE leases SET node = NULL WHERE node = $1`, n.id)
			}
			return err
		})
	}
	err := remove()
	if err != nil { // by a connection that an outage has broken, as it may be
		err = remove()
	}
	if err != nil {
		return fmt.Errorf("the leases run out by themselves: %w", err)
	}
	n.tell(ctx)
	return nil
}

// tell has the other nodes look at the leases at once. They do so anyway, soon.
func (n *Node) tell(ctx context.Context) {
	_, _ = n.pool.Exec(ctx, `SELECT pg_notify($1, $2)`, nudge, aboutLeases) // see above
}

// aboutLeases is the payload of a notification about leases; that about anything
// else has none.
const aboutLeases = "leases"

// Parts tells how many parts the node holds.
func (n *Node) Parts() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.held)
}

// A Member is a node as all can see it.
type Member struct {
	Epoch   int64
	Name    string
	Since   time.Time
	Leaving bool
	Parts   []int
	This    bool // the node that was asked
}

// Members gives the nodes that live, the oldest first.
func (n *Node) Members(ctx context.Context) ([]Member, error) {
	rows, err := n.pool.Query(ctx, `SELECT id, name, since, leaving, ARRAY(SELECT part::int FROM leases WHERE node = id ORDER BY part), id = $1
		FROM nodes WHERE until > clock_timestamp() ORDER BY id`, n.epoch())
	if err != nil {
		return nil, translate(err)
	}
	members, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Member])
	return members, translate(err)
}
