package postgres

import (
	"context"
	"fmt"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// AllSubscriptions implements [fattorino.OverseerReader]. It looks into every
// part, or into that of the company.
func (s *Store) AllSubscriptions(ctx context.Context, q fattorino.SubscriptionQuery) ([]*fattorino.Subscription, error) {
	var c condition
	c.and(`state IN ('unverified', 'active', 'disabled') AND id > ?`, q.After)
	if q.App != 0 {
		c.and(`app = ?`, q.App)
	}
	if q.Contract != "" {
		c.and(`contract = ?`, q.Contract)
	}
	if q.State != "" {
		c.and(`state = ?`, string(q.State))
	}
	if q.Text != "" {
		c.and(`strpos(sought, ?) > 0`, q.Text)
	}
	if q.Company != 0 {
		c.and(`company = ?`, q.Company)
		c.and(`part = ?`, s.layout.of(q.Company))
		rows, err := s.pool.Query(ctx, fmt.Sprintf(selectSubscription+`WHERE %s ORDER BY id LIMIT %d`, c.where.String(), q.Limit), c.args...)
		return collect(rows, err, scanSubscription)
	}
	rows, err := s.pool.Query(ctx, fmt.Sprintf(`SELECT s.* FROM parts p, LATERAL (`+selectSubscription+`WHERE part = p.part AND %s ORDER BY id LIMIT %d) s
		ORDER BY s.id LIMIT %[2]d`, c.where.String(), q.Limit), c.args...)
	return collect(rows, err, scanSubscription)
}

// CompanyNames implements [fattorino.OverseerReader].
func (s *Store) CompanyNames(ctx context.Context, companies []int64) (map[int64]string, error) {
	parts := make([]int16, len(companies))
	for i, id := range companies {
		parts[i] = s.layout.of(id)
	}
	rows, err := s.pool.Query(ctx, `SELECT c.id, c.name FROM unnest($1::smallint[], $2::bigint[]) AS u(part, company),
		LATERAL (SELECT id, name FROM companies WHERE part = u.part AND id = u.company OFFSET 0) c WHERE c.name <> ''`, parts, record.OrEmpty(companies))
	named, err := collect(rows, err, record.ScanName)
	return record.NamesByID(named), err
}
