package move_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/fattorino-dev/fattorino/internal/move"
)

// A column that a later version adds must be moved, or be here.
func TestEveryColumnOfTheFolderIsMoved(t *testing.T) {
	t.Parallel()
	left := []string{
		"goose_db_version.*",                   // of the schema
		"ids.*",                                // the database gives ids of its own
		"kinds.*", "entities.*", "id_hashes.*", // made of events, to find them by
		"retries.*", "attempts.recorded_at", // where attempts are
		"deliveries.*", "lane_pages.*", "successes.*", "events.targets", // read as deliveries; the next test has their columns
	}
	f := newSmallFolder(t)
	db, err := sql.Open("sqlite", filepath.Join(f, "fattorino.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // it was read
	rows, err := db.QueryContext(ctx, `SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says what is wrong
	count := 0
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		count++
		if !reads(table, column) && !slices.Contains(left, table+"."+column) && !slices.Contains(left, table+".*") {
			t.Errorf("the column %s of %s is in no query of the move, nor in the list of what is left", column, table)
		}
	}
	if err := rows.Err(); err != nil || count < 80 {
		t.Errorf("%d columns, %v", count, err)
	}
}

// reads tells whether a query of the move reads the column of a table.
func reads(table, column string) bool {
	for _, m := range move.Tables() {
		from := regexp.MustCompile(`(FROM|JOIN) ` + table + `\b`)
		if from.MatchString(m.Query) && regexp.MustCompile(`\b`+column+`\b`).MatchString(strings.ReplaceAll(m.Query, "FROM "+table, "")) {
			return true
		}
	}
	return false
}

func TestEveryColumnOfTheDatabaseIsFilled(t *testing.T) {
	t.Parallel()
	others := []string{
		"goose_db_version.*", "installation.*", "parts.*", "moves.*", // not of the folder
		"nodes.*", "leases.*", "subscriptions.version", "attempts.epoch", // of nodes, which begin
		"deliveries.page", // every attempt has a page of its own
	}
	url := database(t)
	if err := openDatabase(t, url).Close(); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx) //nolint:errcheck // it was read
	rows, err := conn.Query(ctx, `SELECT c.relname::text || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition`)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var filled []string
	for _, m := range move.Tables() {
		for _, c := range strings.Fields(m.Columns) {
			filled = append(filled, fmt.Sprint(m.Table, ".", c))
		}
	}
	for _, c := range columns {
		table, _, _ := strings.Cut(c, ".")
		if !slices.Contains(filled, c) && !slices.Contains(others, c) && !slices.Contains(others, table+".*") {
			t.Errorf("no query of the move fills %s", c)
		}
	}
	if len(columns) < 100 {
		t.Errorf("only %d columns", len(columns))
	}
}
