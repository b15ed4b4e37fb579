package sqlite

import (
	"context"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/record"
)

// Which subscriptions are on a page is found in an index alone; then their rows
// are read.
const (
	pageOfAll     = rowsOf + `subscriptions INDEXED BY subscriptions_live WHERE ?1 = 0 AND` + narrowed
	pageOfCompany = rowsOf + `subscriptions INDEXED BY subscriptions_company WHERE company = ?1 AND` + narrowed

	rowsOf   = `SELECT ` + subscriptionColumns + ` FROM subscriptions WHERE id IN (SELECT id FROM `
	narrowed = ` state IN ('unverified', 'active', 'disabled') AND id > ?2 AND (?3 = 0 OR app = ?3)
		AND (?4 = '' OR contract = ?4) AND (?5 = '' OR state = ?5) AND (?6 = '' OR instr(sought, ?6) > 0) ORDER BY id LIMIT ?7) ORDER BY id`
)

// AllSubscriptions implements [fattorino.OverseerReader].
func (s *Store) AllSubscriptions(ctx context.Context, q fattorino.SubscriptionQuery) ([]*fattorino.Subscription, error) {
	query := pageOfAll
	if q.Company != 0 {
		query = pageOfCompany
	}
	rows, err := s.read.QueryContext(ctx, query, q.Company, q.After, q.App, q.Contract, string(q.State), q.Text, q.Limit)
	return collect(rows, err, record.ScanSubscription)
}

// CompanyNames implements [fattorino.OverseerReader].
func (s *Store) CompanyNames(ctx context.Context, companies []int64) (map[int64]string, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, name FROM companies WHERE id IN (SELECT value FROM json_each(?)) AND name <> ''`,
		record.ToJSON(record.OrEmpty(companies)))
	named, err := collect(rows, err, record.ScanName)
	return record.NamesByID(named), err
}
