package postgres

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// share strikes off the nodes that have died, takes parts that nobody serves,
// and hands over what the node has more than its share: when another has come,
// or this one is leaving.
func (n *Node) share(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	t, err := n.leases(ctx)
	if err != nil {
		n.log.Debug("the leases cannot be read", "error", err)
		return
	}
	epoch := n.epoch()
	n.forgetLost(t, epoch)
	quota, mine := t.quota(epoch), n.serves()
	switch {
	case len(mine) < quota:
		n.claim(ctx, epoch, quota-len(mine))
	case len(mine) > quota:
		for _, h := range mine[quota:] {
			n.handOver(h)
		}
	}
	n.giveBackOrphans(ctx, t, epoch)
}

// A leaseTable is who lives and who serves what, at one moment.
type leaseTable struct {
	nodes []int64 // those that take parts, by their numbers; the one that asks among them, though it may be late to renew
	parts map[int]int64
}

// strike strikes off the nodes that did not renew their leases, and freeParts,
// in the same transaction, frees their parts. A node that has a transaction under
// way, or is just renewing, is struck off another time: nobody waits for it.
const (
	strike    = `DELETE FROM nodes WHERE id IN (SELECT id FROM nodes WHERE until <= clock_timestamp() AND id <> $1 FOR UPDATE SKIP LOCKED)`
	freeParts = `UPDATE leases SET node = NULL WHERE node IS NOT NULL AND NOT EXISTS (SELECT FROM nodes WHERE id = node)`
)

// leases reads them, once the dead are struck off. The node does not count itself
// among these: late or not, it renews its leases as long as nobody else takes
// offence.
func (n *Node) leases(ctx context.Context) (t leaseTable, err error) {
	t.parts = map[int]int64{}
	var b pgx.Batch
	if n.mayStrike() {
		b.Queue(strike, n.epoch())
		b.Queue(freeParts)
	}
	b.Queue(`SELECT id FROM nodes WHERE NOT leaving AND (id = $1 OR until > clock_timestamp()) ORDER BY id`, n.epoch()).Query(func(rows pgx.Rows) (err error) {
		t.nodes, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	})
	b.Queue(`SELECT part, coalesce(node, 0) FROM leases`).Query(func(rows pgx.Rows) error {
		var part int
		var node int64
		_, err := pgx.ForEachRow(rows, []any{&part, &node}, func() error {
			t.parts[part] = node
			return nil
		})
		return err
	})
	return t, n.pool.SendBatch(ctx, &b).Close() // which is one transaction
}

// quota gives how many parts a node should serve: as many as the others, and one
// more where they cannot be divided and it is among the oldest.
func (t *leaseTable) quota(node int64) int {
	rank := slices.Index(t.nodes, node)
	if rank < 0 {
		return 0
	}
	quota := len(t.parts) / len(t.nodes)
	if rank < len(t.parts)%len(t.nodes) {
		quota++
	}
	return quota
}

// serves gives the parts that the node holds and is not handing over.
func (n *Node) serves() (all []*holding) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, part := range slices.Sorted(maps.Keys(n.held)) {
		if h := n.held[part]; !h.going {
			all = append(all, h)
		}
	}
	return all
}

// claim takes so many of the parts that nobody serves, as far as there are any.
func (n *Node) claim(ctx context.Context, epoch int64, count int) {
	var parts []int
	var b pgx.Batch
	b.Queue(`SELECT check_node($1)`, epoch) // so that no lease is ever that of a node that was struck off
	b.Queue(`UPDATE leases SET node = $1 WHERE part IN
		(SELECT part FROM leases WHERE node IS NULL ORDER BY part LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING part::int`, epoch, count).Query(func(rows pgx.Rows) (err error) {
		parts, err = pgx.CollectRows(rows, pgx.RowTo[int])
		return err
	})
	if err := n.pool.SendBatch(ctx, &b).Close(); err != nil {
		n.log.Debug("no part could be taken", "error", err)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.id != epoch {
		return // it was struck off meanwhile
	}
	for _, part := range parts {
		ctx, stop := context.WithCancel(n.life)
		h := &holding{Lease: fattorino.Lease{Part: part, Epoch: epoch}, stop: stop, taken: make(chan struct{})}
		n.held[part] = h
		n.running.Go(func() { n.takeUp(ctx, h) })
	}
}

// takeUp has a part served, however often it takes.
func (n *Node) takeUp(ctx context.Context, h *holding) {
	defer close(h.taken)
	n.taking <- struct{}{}
	defer func() { <-n.taking }()
	for ctx.Err() == nil {
		err := n.serving.Own(ctx, h.Lease)
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			n.log.Error("a part could not be taken up: trying again", "part", h.Part, "error", err)
		}
		select {
		case <-time.After(tendEvery):
		case <-ctx.Done():
		}
	}
}

// handOver gives a part back once nothing is under way in it.
func (n *Node) handOver(h *holding) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.held[h.Part] != h || h.going {
		return
	}
	h.going = true
	h.stop() // where it is still being taken up
	var ctx context.Context
	ctx, h.stop = context.WithCancel(n.life)
	n.running.Go(func() {
		defer h.stop()
		<-h.taken
		if err := n.serving.HandOver(ctx, h.Part); err != nil {
			return // it was lost meanwhile
		}
		n.giveBack(ctx, h)
	})
}

// giveBack has others take a part that is not served here any more.
func (n *Node) giveBack(ctx context.Context, h *holding) {
	for {
		_, err := n.pool.Exec(ctx, freePart, h.Part, h.Epoch)
		if err == nil || ctx.Err() != nil {
			break
		}
		select { // else it is free when it has run out
		case <-time.After(tendEvery):
		case <-ctx.Done():
		}
	}
	n.mu.Lock()
	if n.held[h.Part] == h {
		delete(n.held, h.Part)
	}
	n.leaveNow()
	n.mu.Unlock()
	n.tell(ctx)
}

const freePart = `UPDATE leases SET node = NULL WHERE part = $1 AND node = $2`

// forgetLost lets the parts go that are another's, whatever made them so.
func (n *Node) forgetLost(t leaseTable, epoch int64) {
	n.mu.Lock()
	var lost []*holding
	for part, h := range n.held {
		if h.Epoch == epoch && !h.going && t.parts[part] != epoch {
			lost = append(lost, h)
			delete(n.held, part)
		}
	}
	n.mu.Unlock()
	for _, h := range lost {
		h.stop()
		n.serving.Disown(h.Part)
	}
}

// giveBackOrphans frees parts that the node was given without hearing of it, as
// when the connection broke.
func (n *Node) giveBackOrphans(ctx context.Context, t leaseTable, epoch int64) {
	for part, node := range t.parts {
		n.mu.Lock()
		orphan := node == epoch && n.held[part] == nil
		n.mu.Unlock()
		if orphan {
			_, _ = n.pool.Exec(ctx, freePart, part, epoch) // there is another time
		}
	}
}
