package postgres_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/postgres"
)

// growing are the tables that grow with the companies and what happens to them.
func growing() []string {
	return []string{"attempts", "companies", "company_days", "deliveries", "documents", "event_ids", "events", "lanes", "parts", "pulses", "subscriptions", "tallies"}
}

// small are the tables that stay as small as the installation's staff.
func small() []string {
	return []string{"apps", "counters", "goose_db_version", "installation", "keys", "leases", "moved_subscriptions", "moves", "nodes", "own_groups", "own_types", "tokens"}
}

// base gives the table whose partition of a day or month the name is.
func base(table string) string { return regexp.MustCompile(`_\d+$`).ReplaceAllString(table, "") }

func TestPartLeadsEveryKeyOfTheTablesThatGrow(t *testing.T) {
	t.Parallel()
	s := open(t, database(t))
	defer s.Close() //nolint:errcheck // the test is over

	tables := query(t, s, pgx.RowTo[string], `SELECT relname::text FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1`)
	for _, table := range tables {
		if !slices.Contains(growing(), base(table)) && !slices.Contains(small(), table) {
			t.Errorf("the table %s is in no list of this test: does it grow?", table)
		}
	}
	type key struct{ Table, Name, First string }
	keys := query(t, s, pgx.RowToStructByPos[key], `
		SELECT i.indrelid::regclass::text, i.indexrelid::regclass::text, a.attname::text
		FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
		WHERE i.indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
		UNION ALL
		SELECT c.conrelid::regclass::text, c.conname::text, a.attname::text
		FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
		WHERE c.contype IN ('p', 'u', 'f', 'x') AND c.connamespace = 'public'::regnamespace`)
	seen := map[string]bool{}
	for _, k := range keys {
		if table := base(k.Table); slices.Contains(growing(), table) {
			seen[table] = true
			if k.First != "part" {
				t.Errorf("%s of %s begins with %s, want part", k.Name, k.Table, k.First)
			}
		}
	}
	for _, table := range growing() {
		if !seen[table] {
			t.Errorf("%s has no key", table)
		}
	}
	if triggers := query(t, s, pgx.RowTo[string], `SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal`); len(triggers) > 0 {
		t.Errorf("triggers %v: distributed tables can have none", triggers)
	}
}

func query[T any](t *testing.T, s *postgres.Store, scan pgx.RowToFunc[T], sql string, args ...any) []T {
	t.Helper()
	rows, err := s.Pool().Query(ctx, sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, scan)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What is forbidden was found not to work, or not to be one place's affair, on
// tables distributed by part: volatile functions, the transaction's time, MERGE,
// savepoints, and waiting for rows of several parts at once.
func TestEveryHotStatementNamesOnePartWherePartsAreSpread(t *testing.T) {
	t.Parallel()
	s := open(t, database(t)).SpreadParts()
	defer s.Close() //nolint:errcheck // the test is over

	statements := hotStatements(t, s)
	if len(statements) < 12 {
		t.Fatalf("only %d statements were seen: %v", len(statements), statements)
	}
	names := regexp.MustCompile(`\bpart = \$1\b|\(part, [^)]*\) VALUES \(\$1,`)
	forbidden := regexp.MustCompile(`(?i)\b(now|random|clock_timestamp|statement_timestamp|nextval|current_timestamp|interval|merge|savepoint|skip locked|advisory)\b`)
	for _, st := range statements {
		if !names.MatchString(st.SQL) {
			t.Errorf("names no part: %s", st.SQL)
		}
		if found := forbidden.FindString(st.SQL); found != "" {
			t.Errorf("has %s: %s", found, st.SQL)
		}
	}
}

// hotStatements has a store do what it does for every event, and gives the
// statements that its sessions prepared for that.
func hotStatements(t *testing.T, s *postgres.Store) []statement {
	t.Helper()
	subscription := subscribe(t, s, 7)
	s.Pool().Reset() // whatever was prepared until now
	p, err := publish(s, []int64{subscription}, event(7, "a", 10), event(8, "b", 10))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := publish(s, []int64{subscription}, event(7, "a", 10)); err != nil {
		t.Fatal(err)
	}
	again := delivered(&fattorino.Batch{Now: time.Now(), Publishes: []*fattorino.Publish{p}})
	sub, err := s.Subscription(ctx, subscription)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Commit(ctx, &fattorino.Batch{
		Now: time.Now(), Outcomes: again, Subscriptions: []*fattorino.Subscription{sub},
		Settled: []fattorino.Settled{{Subscription: subscription, Delivery: p.First[0]}},
		Tallies: []fattorino.Tally{{Company: 7, Subscription: subscription, At: time.Now()}},
		Pulses:  []fattorino.Pulse{{Subscription: subscription, SucceededAt: time.Now()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, read := range []func() error{
		func() error { _, err := s.Fresh(ctx, subscription, 0, 10); return err },
		func() error { _, err := s.Due(ctx, subscription, 10); return err },
		func() error { _, err := s.Waiting(ctx, subscription, 1, 10); return err },
		func() error { _, err := s.WaitedFor(ctx, subscription, 10); return err },
		func() error { _, err := s.Events(ctx, fattorino.EventQuery{Company: 7, Limit: 1}); return err },
		func() error { _, err := s.Delivery(ctx, p.First[0]); return err },
		func() error { _, err := s.Attempts(ctx, p.First[0]); return err },
		func() error { _, err := s.Unsettled(ctx, subscription, 10); return err },
		func() error {
			_, err := s.Deliveries(ctx, fattorino.DeliveryQuery{Subscriptions: []int64{subscription}, Limit: 10})
			return err
		},
	} {
		if err := read(); err != nil {
			t.Fatal(err)
		}
	}
	var all []statement
	for _, c := range s.Pool().AcquireAllIdle(ctx) {
		all = append(all, prepared(t, c)...)
		c.Release()
	}
	return all
}

// A statement is one that a session has prepared, with its plan.
type statement struct{ SQL, Plan string }

// prepared gives the statements of a session that read or write tables, with
// their plans in a transaction as the store makes them.
func prepared(t *testing.T, c *pgxpool.Conn) (all []statement) {
	t.Helper()
	rows, err := c.Query(ctx, `SELECT name, cardinality(parameter_types), statement FROM pg_prepared_statements`)
	if err != nil {
		t.Fatal(err)
	}
	type kept struct {
		Name       string
		Parameters int
		SQL        string
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[kept])
	if err != nil {
		t.Fatal(err)
	}
	settings := ""
	for _, k := range found {
		if strings.HasPrefix(k.SQL, "SELECT set_config") {
			settings = k.SQL
		}
	}
	tx, err := c.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(ctx) //nolint:errcheck // nothing was written
	if _, err := tx.Exec(ctx, settings); err != nil {
		t.Fatal(err)
	}
	for _, k := range found {
		if !strings.Contains(k.SQL, "part") {
			continue // BEGIN and the like
		}
		values := strings.TrimSuffix(strings.Repeat("NULL, ", k.Parameters), ", ")
		rows, err := tx.Query(ctx, fmt.Sprintf(`EXPLAIN (COSTS OFF) EXECUTE %s(%s)`, pgx.Identifier{k.Name}.Sanitize(), values), pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%v: %s", err, k.SQL)
		}
		all = append(all, statement{k.SQL, strings.Join(lines, "\n")})
	}
	return all
}

// However little PostgreSQL knows of a day's young table, no statement reads more
// of a part than it was asked for. (Tables that grow slowly are analyzed before
// that matters.)
func TestNoHotStatementReadsAWholePart(t *testing.T) {
	t.Parallel()
	for _, s := range []*postgres.Store{open(t, database(t)), open(t, database(t)).SpreadParts()} {
		readsNoWholePart(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func readsNoWholePart(t *testing.T, s *postgres.Store) {
	t.Helper()
	ofDay := regexp.MustCompile(` on \w+_\d+ `)
	scan := regexp.MustCompile(`(Seq|Bitmap Heap|Index|Index Only) Scan [^\n]*(\n +Recheck Cond:.*)?(\n +Index Cond: .*)?`)
	for _, st := range hotStatements(t, s) {
		for _, found := range scan.FindAllString(st.Plan, -1) {
			if ofDay.MatchString(found) && !strings.Contains(found, " AND ") {
				t.Errorf("%s\nin %s\n%s", found, st.SQL, st.Plan)
			}
		}
	}
}

func TestADayWithNothingPendingIsDroppedWhole(t *testing.T) {
	t.Parallel()
	s := open(t, database(t))
	defer s.Close() //nolint:errcheck // the test is over
	subscription := subscribe(t, s, 7)
	start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return start.AddDate(0, 0, n) }

	// Given events on three days and in the next month, and that one of the second
	// day is still on its way,
	var published []*fattorino.Publish
	for _, n := range []int{0, 1, 2, 40} {
		p := &fattorino.Publish{Events: []*fattorino.Event{event(7, fmt.Sprint("a", n), 10), event(7, fmt.Sprint("b", n), 10)}, Targets: [][]int64{{subscription}, {subscription}}}
		if err := s.Commit(ctx, &fattorino.Batch{Now: day(n), Publishes: []*fattorino.Publish{p}}); err != nil {
			t.Fatal(err)
		}
		published = append(published, p)
	}
	done := delivered(&fattorino.Batch{Now: day(3), Publishes: published})
	done = slices.DeleteFunc(done, func(o fattorino.Outcome) bool { return o.Delivery.Event.ID == "b1" })
	if err := s.Commit(ctx, &fattorino.Batch{Now: day(3), Outcomes: done}); err != nil {
		t.Fatal(err)
	}
	// when all but the last is past its retention,
	prune := func() {
		t.Helper()
		for after := int64(0); ; {
			err := s.Update(ctx, func(tx fattorino.Tx) (err error) {
				after, _, err = tx.Prune(day(39), after, 100)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if after == 0 {
				return
			}
		}
	}
	prune()
	// then two days are dropped, and of the other one event is left.
	if got := left(t, s); !slices.Equal(got, []string{"b1", "a40", "b40"}) {
		t.Errorf("left = %v, want b1, a40 and b40", got)
	}
	first := day(0).Unix() / 86400
	for n, want := range []bool{false, true, false} {
		if got := exists(t, s, fmt.Sprint("events_", first+int64(n))); got != want {
			t.Errorf("day %d: there = %v, want %v", n, got, want)
		}
	}
	if seq, err := s.OldestSeq(ctx, 7); err != nil || seq != 4 {
		t.Errorf("oldest seq = %d, %v; want 4", seq, err)
	}
	if attempts, err := s.Attempts(ctx, published[0].First[0]); err != nil || len(attempts) != 0 {
		t.Errorf("attempts of a day that is gone = %v, %v", attempts, err)
	}
	// When the last of the day has arrived, the day goes, and with its last day
	// what its month was known by; but not that of a day that is left.
	err := s.Commit(ctx, &fattorino.Batch{Now: day(39), Outcomes: delivered(&fattorino.Batch{Now: day(39), Publishes: []*fattorino.Publish{{
		Events: published[1].Events[1:], Targets: published[1].Targets[1:], First: published[1].First[1:],
	}}})})
	if err != nil {
		t.Fatal(err)
	}
	prune()
	if got := left(t, s); !slices.Equal(got, []string{"a40", "b40"}) {
		t.Errorf("left = %v, want a40 and b40", got)
	}
	month := first / 32
	if exists(t, s, fmt.Sprint("event_ids_", month)) || !exists(t, s, fmt.Sprint("event_ids_", (first+40)/32)) {
		t.Error("of what events are known by, the month that is gone is there, or the other is not")
	}
	if p, err := publish(s, nil, event(7, "a40", 10), event(7, "a0", 10)); err != nil || !p.Repeated[0] || p.Repeated[1] {
		t.Errorf("repeats = %v, %v; want the kept event to be known and the other to be new", p.Repeated, err)
	}
}

func left(t *testing.T, s *postgres.Store) (ids []string) {
	t.Helper()
	events, err := s.Events(ctx, fattorino.EventQuery{Company: 7, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	return ids
}

func exists(t *testing.T, s *postgres.Store, table string) (there bool) {
	t.Helper()
	if err := s.Pool().QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, table).Scan(&there); err != nil {
		t.Fatal(err)
	}
	return there
}
