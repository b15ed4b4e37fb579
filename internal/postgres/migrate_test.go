package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/postgres"
)

// connection connects to a database as a client of its own.
func connection(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(ctx) })
	return conn
}

// shape tells what tables, columns, indexes and functions there are.
func shape(t *testing.T, conn *pgx.Conn) (all []string) {
	t.Helper()
	rows, err := conn.Query(ctx, `
		SELECT format('%s.%s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull) FROM pg_class c
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'goose_db_version'
		UNION ALL SELECT regexp_replace(indexdef, '_\d+', '', 'g') FROM pg_indexes WHERE schemaname = 'public' AND tablename !~ '_\d+$' AND tablename <> 'goose_db_version'
		UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
		ORDER BY 1`)
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func plan(t *testing.T, url string, m postgres.MigrateOptions) postgres.Plan {
	t.Helper()
	p, err := postgres.PlanMigrate(ctx, postgres.Options{URL: url}, m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhatIsPlannedIsWhatIsDone(t *testing.T) {
	t.Parallel()
	// Given a plan for an empty database, which is empty still,
	url := database(t)
	planned := plan(t, url, postgres.MigrateOptions{})
	if planned.Version != 0 || len(planned.Migrations) == 0 || len(shape(t, connection(t, url))) > 0 {
		t.Fatalf("the plan is %+v, and there is %v", planned, shape(t, connection(t, url)))
	}
	// when it is carried out by several at once, and elsewhere by hand,
	failed := make(chan error)
	for range 3 {
		go func() {
			_, err := postgres.Migrate(ctx, postgres.Options{URL: url}, postgres.MigrateOptions{})
			failed <- err
		}()
	}
	for range 3 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	hand := connection(t, database(t))
	for _, m := range planned.Migrations {
		if _, err := hand.Exec(ctx, m.SQL, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%s: %v", m.Name, err)
		}
	}
	// then both have the same tables, and nothing is left to do.
	if diff := cmp.Diff(shape(t, connection(t, url)), shape(t, hand)); diff != "" {
		t.Errorf("migrated (-) and by hand (+):\n%s", diff)
	}
	if after := plan(t, url, postgres.MigrateOptions{}); after.Version != planned.Newest || len(after.Migrations) > 0 {
		t.Errorf("afterwards the plan is %+v", after)
	}
	if err := open(t, url).Close(); err != nil {
		t.Error(err)
	}
}

func TestADatabaseOfANewerVersionIsNotMigrated(t *testing.T) {
	t.Parallel()
	url := database(t)
	if err := open(t, url).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := connection(t, url).Exec(ctx, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`); err != nil {
		t.Fatal(err)
	}
	_, planErr := postgres.PlanMigrate(ctx, postgres.Options{URL: url}, postgres.MigrateOptions{})
	_, err := postgres.Migrate(ctx, postgres.Options{URL: url}, postgres.MigrateOptions{})
	for _, err := range []error{planErr, err} {
		if err == nil || !strings.Contains(err.Error(), "newer version") {
			t.Errorf("%v, want a refusal that says why", err)
		}
	}
}

func TestWithoutTheExtensionNothingIsSpread(t *testing.T) {
	t.Parallel()
	url := database(t)
	_, err := postgres.Migrate(ctx, postgres.Options{URL: url}, postgres.MigrateOptions{Citus: true})
	if fattorino.KindOf(err) != fattorino.Invalid || !strings.Contains(err.Error(), "no extension citus") {
		t.Errorf("migrate: %v, want the reason", err)
	}
	if made := shape(t, connection(t, url)); len(made) > 0 {
		t.Errorf("there is %v", made)
	}
}

// The statements are those that docs/scaling.md shows.
func TestTheStatementsForCitus(t *testing.T) {
	t.Parallel()
	want := []string{`SELECT create_distributed_table('parts', 'part', colocate_with => 'none', shard_count => 8)`}
	for _, table := range []string{"companies", "company_days", "documents", "subscriptions", "lanes", "tallies", "pulses", "events", "event_ids", "deliveries", "attempts"} {
		want = append(want, fmt.Sprintf(`SELECT create_distributed_table('%s', 'part', colocate_with => 'parts')`, table))
	}
	for _, table := range []string{"apps", "tokens", "keys", "own_types", "own_groups"} {
		want = append(want, fmt.Sprintf(`SELECT create_reference_table('%s')`, table))
	}
	p := plan(t, database(t), postgres.MigrateOptions{Citus: true, Shards: 8})
	if diff := cmp.Diff(want, p.Distribute); diff != "" || p.Citus {
		t.Errorf("statements (-want +got), extension %v:\n%s", p.Citus, diff)
	}
}

func TestEveryTableIsSpreadOrSmall(t *testing.T) {
	t.Parallel()
	spread, copied := postgres.Distributed(), postgres.Copied()
	slices.Sort(spread)
	if want := slices.Sorted(slices.Values(growing())); !slices.Equal(spread, want) {
		t.Errorf("spread by part are %v, and these grow: %v", spread, want)
	}
	for _, table := range copied {
		if !slices.Contains(small(), table) {
			t.Errorf("%s is copied to every machine, and grows", table)
		}
	}
}

// Citus cannot be installed everywhere. This stands in for what the statements
// need of it: it refuses what Citus was found to refuse, and notes what was
// spread.
const standIn = `
	CREATE TABLE pg_dist_partition (logicalrelid regclass PRIMARY KEY);
	CREATE TABLE fails (t text);
	CREATE FUNCTION create_distributed_table(t regclass, by text, colocate_with text, shard_count int DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		IF EXISTS (SELECT FROM fails WHERE fails.t = create_distributed_table.t::text) THEN RAISE 'a machine is down'; END IF;
		IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = t AND attname = by) THEN RAISE 'no column % in %', by, t; END IF;
		IF EXISTS (SELECT FROM pg_index i WHERE indrelid = t AND indisunique
			AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t AND a.attname = by AND a.attnum = ANY (i.indkey))) THEN RAISE 'a unique index of % is not by %', t, by; END IF;
		IF EXISTS (SELECT FROM pg_constraint WHERE conrelid = t AND contype = 'f') THEN RAISE '% has foreign keys', t; END IF;
		IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = t) THEN RAISE '% has triggers', t; END IF;
		IF colocate_with <> 'none' AND NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = colocate_with::regclass) THEN RAISE '% is not distributed', colocate_with; END IF;
		IF (SELECT count(*) FROM parts) > 0 THEN RAISE 'there are rows already'; END IF;
		INSERT INTO pg_dist_partition VALUES (t);
	END $$;
	CREATE FUNCTION create_reference_table(t regclass) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO pg_dist_partition VALUES (t);
	END $$;`

func TestTablesAreSpreadBeforeThereIsAnythingInThem(t *testing.T) {
	t.Parallel()
	url := database(t)
	conn := connection(t, url)
	if _, err := conn.Exec(ctx, standIn, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	o, m := postgres.Options{URL: url}, postgres.MigrateOptions{Citus: true}
	// Given that it fails in the middle for once,
	if _, err := conn.Exec(ctx, `INSERT INTO fails VALUES ('lanes')`); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Migrate(ctx, o, m); err == nil || !strings.Contains(err.Error(), "distribute lanes") {
		t.Fatalf("migrate: %v, want what failed", err)
	}
	if _, err := conn.Exec(ctx, `DELETE FROM fails`); err != nil {
		t.Fatal(err)
	}
	// when it is begun again, every table is spread, and then nothing is left.
	done, err := postgres.Migrate(ctx, o, m)
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Index(postgres.Distributed(), "lanes")
	if want := len(postgres.Distributed()) + len(postgres.Copied()) - before; !done.Citus || len(done.Distribute) != want {
		t.Errorf("%d tables were to be spread still, want %d", len(done.Distribute), want)
	}
	if left := plan(t, url, m); len(left.Distribute)+len(left.Migrations) > 0 {
		t.Errorf("left to do: %+v", left)
	}
	if _, err := postgres.Migrate(ctx, o, m); err != nil {
		t.Errorf("again: %v", err)
	}
	// The parts are there, and the store can be used.
	s := open(t, url)
	defer s.Close() //nolint:errcheck // the test is over
	if err := s.Update(context.Background(), func(tx fattorino.Tx) error { return tx.EnsureCompany(7, time.Now()) }); err != nil {
		t.Error(err)
	}
}
