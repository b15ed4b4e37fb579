package sqlite

import (
	"context"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// KeptSubscriptions implements [fattorino.ResealReader].
func (s *Store) KeptSubscriptions(ctx context.Context, after int64, limit int) ([]*fattorino.Subscription, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+subscriptionColumns+` FROM subscriptions WHERE id > ? ORDER BY id LIMIT ?`, after, limit)
	return collect(rows, err, record.ScanSubscription)
}

func (t *tx) ResealKey(kid string, sealed []byte) error {
	_, err := t.exec(`UPDATE keys SET sealed = ? WHERE kid = ?`, sealed, kid)
	return err
}
