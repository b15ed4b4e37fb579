package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// How the tables lie in Citus, which spreads them over several machines. Those
// that grow are distributed by part, all alike: what belongs together is on one
// machine, and a statement that names a part goes to one. Those that every
// machine may want to know and people write are copied to all. The rest stays on
// the coordinator: counters and leases, which must be written while another
// machine is down, and what is read at the start alone.

// distributed gives the tables that are spread by part, the first of which the
// others follow.
func distributed() []string {
	return []string{
		"parts", "companies", "company_days", "documents", "subscriptions", "lanes", "tallies", "pulses",
		"events", "event_ids", "deliveries", "attempts",
	}
}

// copied gives the tables that every machine has.
func copied() []string { return []string{"apps", "tokens", "keys", "own_types", "own_groups"} }

// DefaultShards is how many pieces the parts are put into, each of which is on
// one machine: Citus' own default.
const DefaultShards = 32

// A distribution is a table that is to be spread, and the statement that does it.
type distribution struct{ table, statement string }

// distributions gives those of all tables, in their order. Foreign keys would
// have to come after; there are none.
func distributions(shards int) (all []distribution) {
	for i, table := range distributed() {
		how := `colocate_with => 'parts'`
		if i == 0 {
			how = fmt.Sprintf(`colocate_with => 'none', shard_count => %d`, shards)
		}
		all = append(all, distribution{table, fmt.Sprintf(`SELECT create_distributed_table('%s', 'part', %s)`, table, how)})
	}
	for _, table := range copied() {
		all = append(all, distribution{table, fmt.Sprintf(`SELECT create_reference_table('%s')`, table)})
	}
	return all
}

// hasCitus tells whether the extension is in the database.
func hasCitus(ctx context.Context, q querier) (there bool, err error) {
	err = q.QueryRow(ctx, `SELECT to_regprocedure('create_reference_table(regclass)') IS NOT NULL AND to_regclass('pg_dist_partition') IS NOT NULL`).Scan(&there)
	return there, err
}

// readSpread finds out whether the parts are on several machines.
func (s *Store) readSpread(ctx context.Context) error {
	there, err := hasCitus(ctx, s.pool)
	if err != nil || !there {
		return err
	}
	return s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'parts'::regclass)`).Scan(&s.spread)
}

// undistributed gives the distributions that are still to be made.
func undistributed(ctx context.Context, q querier, shards int) (left []distribution, err error) {
	all := distributions(shards)
	there, err := hasCitus(ctx, q)
	if err != nil || !there {
		return all, err
	}
	rows, err := q.Query(ctx, `SELECT relname::text FROM pg_dist_partition JOIN pg_class ON pg_class.oid = logicalrelid`)
	if err != nil {
		return nil, err
	}
	done, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, table := range done {
		known[table] = true
	}
	for _, d := range all {
		if !known[d.table] {
			left = append(left, d)
		}
	}
	return left, nil
}

// distribute spreads the tables that are not spread yet.
func (s *Store) distribute(ctx context.Context, shards int) error {
	left, err := undistributed(ctx, s.pool, shards)
	if err != nil {
		return err
	}
	for _, d := range left {
		if _, err := s.pool.Exec(ctx, d.statement); err != nil {
			return fmt.Errorf("distribute %s: %w", d.table, err)
		}
	}
	return nil
}

// errNoCitus says that the database cannot be spread.
func errNoCitus() error {
	return &fattorino.Error{
		Kind: fattorino.Invalid, Msg: "the database has no extension citus: nothing was changed",
		Fix: "install Citus on every machine, CREATE EXTENSION citus in this database on each, and add them with citus_add_node; or leave --citus out",
	}
}
