package crash_test

import (
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/test/pgcluster"
)

func TestADatabaseIsMigratedByCommand(t *testing.T) {
	t.Parallel()
	database := newCluster(t, pgcluster.Options{}).URL("postgres")
	run := func(want string, flags ...string) (said string) {
		t.Helper()
		said, ok := command(t, append([]string{"migrate", "--database", database}, flags...)...)
		if !ok || !strings.Contains(said, want) {
			t.Errorf("migrate %v: %s\nwant %q", flags, said, want)
		}
		return said
	}
	// A dry run prints what would be run, also for what cannot be here.
	planned := run("CREATE TABLE companies", "--dry-run", "--citus", "--shards", "16")
	for _, statement := range []string{
		"SELECT create_distributed_table('parts', 'part', colocate_with => 'none', shard_count => 16);",
		"SELECT create_distributed_table('deliveries', 'part', colocate_with => 'parts');",
		"SELECT create_reference_table('tokens');",
		"without it nothing of this would be run",
	} {
		if !strings.Contains(planned, statement) {
			t.Errorf("a dry run does not say %q", statement)
		}
	}
	// Without the extension nothing is changed,
	if said, ok := command(t, "migrate", "--database", database, "--citus"); ok || !strings.Contains(said, "the database has no extension citus: nothing was changed") {
		t.Errorf("--citus: %s", said)
	}
	run("-- The database has schema 0,", "--dry-run")
	// and else the tables are made, once.
	run("applied 00001_first.sql")
	if said := run("the database has schema "); strings.Contains(said, "applied") {
		t.Errorf("again: %s", said)
	}
}
