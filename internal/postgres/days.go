package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fattorino-dev/fattorino/internal/record"
)

// How long before its first event the partitions of a day are made, and how
// often that is looked after.
const (
	daysAhead     = 3
	daysLookEvery = time.Hour
)

// days knows the days whose partitions are there.
type days struct {
	mu   sync.Mutex
	made map[int]bool
}

// keepDays makes the partitions of the days to come, until ctx ends. Where it
// cannot, they are made when the first event needs them.
func (s *Store) keepDays(ctx context.Context) {
	look := time.NewTicker(daysLookEvery)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			_ = s.days.ahead(ctx, s.pool, time.Now()) // see above
		case <-ctx.Done():
			return
		}
	}
}

// ahead makes the partitions of today and of the days to come.
func (d *days) ahead(ctx context.Context, pool *pgxpool.Pool, now time.Time) error {
	today := dayAt(record.Micros(now))
	for day := today; day <= today+daysAhead; day++ {
		if err := d.ensure(ctx, pool, day); err != nil {
			return err
		}
	}
	return nil
}

// execer is a pool, or a connection or transaction.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// ensure makes the partitions of a day where they are not there. When the
// transaction that it was done in fails, the day is not there after all, and
// the statement that needs it will say so.
func (d *days) ensure(ctx context.Context, q execer, day int) error {
	if d.has(day) {
		return nil
	}
	if _, err := q.Exec(ctx, `SELECT make_day($1)`, day); err != nil {
		return fmt.Errorf("make the partitions of a day: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.made == nil {
		d.made = map[int]bool{}
	}
	d.made[day] = true
	return nil
}

func (d *days) has(day int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.made[day]
}

// forget has a day looked for anew.
func (d *days) forget(day int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.made, day)
}
