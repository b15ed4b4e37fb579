package postgres

import (
	"context"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// KeptSubscriptions implements [fattorino.ResealReader].
func (s *Store) KeptSubscriptions(ctx context.Context, after int64, limit int) ([]*fattorino.Subscription, error) {
	rows, err := s.pool.Query(ctx, `SELECT s.* FROM parts p, LATERAL (`+selectSubscription+`WHERE part = p.part AND id > $1 ORDER BY id LIMIT $2) s
		ORDER BY s.id LIMIT $2`, after, limit)
	return collect(rows, err, scanSubscription)
}

func (t *tx) ResealKey(kid string, sealed []byte) error {
	return t.exec(`UPDATE keys SET sealed = $2 WHERE kid = $1`, kid, sealed)
}
