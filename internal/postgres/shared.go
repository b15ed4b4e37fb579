package postgres

import (
	"context"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

var _ fattorino.Shared = (*Store)(nil)

// Parts implements [fattorino.Shared].
func (s *Store) Parts() int { return int(s.layout.parts) }

// PartOf implements [fattorino.Shared].
func (s *Store) PartOf(company int64) int { return int(s.layout.of(company)) }

// orAll gives the parts, or for none all there are.
func (s *Store) orAll(parts []int) []int {
	if len(parts) > 0 {
		return parts
	}
	for part := range s.Parts() {
		parts = append(parts, part)
	}
	return parts
}

// Standings implements [fattorino.Shared].
func (s *Store) Standings(ctx context.Context) ([]fattorino.Standing, error) {
	rows, err := s.pool.Query(ctx, selectStandings)
	return collect(rows, err, s.layout.scanStanding)
}

const selectStandings = `SELECT part, day, number, version, resent FROM parts ORDER BY part`

func (l layout) scanStanding(r record.Row) (at fattorino.Standing, err error) {
	var st state
	err = r.Scan(&at.Part, &st.day, &st.number, &at.Version, &at.Resent)
	at.Last = st.last(l, int16(at.Part))
	return at, err
}

// Changed implements [fattorino.Shared].
func (s *Store) Changed(ctx context.Context, part int, after int64) (changed []*fattorino.Subscription, version int64, err error) {
	// Before the others are read, so that they are of this version at least.
	if err := s.pool.QueryRow(ctx, `SELECT version FROM parts WHERE part = $1`, part).Scan(&version); err != nil {
		return nil, 0, translate(err)
	}
	which := `version > $2`
	if after == 0 {
		which = `version >= $2 AND state IN ('unverified', 'active', 'disabled')`
	}
	rows, err := s.pool.Query(ctx, selectSubscription+`WHERE part = $1 AND `+which, part, after)
	changed, err = collect(rows, err, scanSubscription)
	return changed, version, err
}

// nudge is the channel on which nodes let each other know that there is
// something new (PostgreSQL, NOTIFY). Nothing is said of what it is: how the
// parts stand tells.
const nudge = "fattorino"

// nudgeEvery is how often a node notifies at most: a notification takes a lock
// that all those who notify share.
const nudgeEvery = 5 * time.Millisecond

// Nudge implements [fattorino.Shared]. It waits for nothing: notifications are
// sent beside the transactions that they tell of, and one may be lost with a
// connection. Who listens looks by itself now and then.
func (s *Store) Nudge() {
	select {
	case s.nudges <- struct{}{}:
	default: // one is on its way
	}
}

func (s *Store) keepNudging(ctx context.Context) {
	for {
		select {
		case <-s.nudges:
		case <-ctx.Done():
			return
		}
		_, _ = s.pool.Exec(ctx, `SELECT pg_notify($1, '')`, nudge) // see Nudge
		select {
		case <-time.After(nudgeEvery):
		case <-ctx.Done():
			return
		}
	}
}
