package postgres

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// A Migration is one that is to be applied.
type Migration struct {
	Version int64
	Name    string // of its file
	SQL     string
}

// A Plan is what [Migrate] has to do.
type Plan struct {
	Version    int64 // of the schema as it is; 0 = there is none
	Newest     int64 // of the schema of this version of the program
	Migrations []Migration
	Distribute []string // statements that spread tables over the machines of Citus; where they were asked for
	Citus      bool     // the extension is there
}

// MigrateOptions say what else is to be done.
type MigrateOptions struct {
	Citus  bool // spread the tables
	Shards int  // over so many pieces; 0 = [DefaultShards]
}

// PlanMigrate tells what [Migrate] would do, and changes nothing.
func PlanMigrate(ctx context.Context, o Options, m MigrateOptions) (p Plan, err error) {
	pool, err := connect(ctx, o, 1)
	if err != nil {
		return p, translate(err)
	}
	defer pool.Close()
	p, err = plan(ctx, pool, m)
	return p, translate(err)
}

func plan(ctx context.Context, pool *pgxpool.Pool, m MigrateOptions) (p Plan, err error) {
	if p.Version, err = schemaVersion(ctx, pool); err != nil {
		return p, err
	}
	all, err := embedded()
	if err != nil {
		return p, err
	}
	p.Newest = all[len(all)-1].Version
	if p.Version > p.Newest {
		return p, tooNew(p.Version, p.Newest)
	}
	for _, one := range all {
		if one.Version > p.Version {
			p.Migrations = append(p.Migrations, one)
		}
	}
	if !m.Citus {
		return p, nil
	}
	if p.Citus, err = hasCitus(ctx, pool); err != nil {
		return p, err
	}
	left, err := undistributed(ctx, pool, m.shards())
	for _, d := range left {
		p.Distribute = append(p.Distribute, d.statement)
	}
	return p, err
}

func (m MigrateOptions) shards() int {
	if m.Shards == 0 {
		return DefaultShards
	}
	return m.Shards
}

// schemaVersion reads which migrations have been applied, without making the
// table that says so.
func schemaVersion(ctx context.Context, q querier) (version int64, err error) {
	var made bool
	err = q.QueryRow(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&made)
	if err != nil || !made {
		return 0, err
	}
	err = q.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	return version, err
}

// embedded gives all migrations, in their order.
func embedded() (all []Migration, err error) {
	files, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		number, _, _ := strings.Cut(file.Name(), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", file.Name(), err)
		}
		text, err := migrations.ReadFile(path.Join("migrations", file.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, Migration{Version: version, Name: file.Name(), SQL: upward(string(text))})
	}
	return all, nil
}

// upward gives what of a migration is applied, without goose's annotations.
func upward(text string) string {
	_, up, _ := strings.Cut(text, "-- +goose Up\n")
	up, _, _ = strings.Cut(up, "-- +goose Down\n")
	var kept strings.Builder
	for line := range strings.Lines(up) {
		if !strings.HasPrefix(line, "-- +goose ") {
			kept.WriteString(line)
		}
	}
	return strings.TrimSpace(kept.String()) + "\n"
}

// Migrate brings the tables of a database to this version, and spreads them over
// the machines of Citus where that is asked for, under the lock that every start
// takes. It gives what it has done. Without the extension nothing is changed.
func Migrate(ctx context.Context, o Options, m MigrateOptions) (p Plan, err error) {
	if o.Parts == 0 {
		o.Parts = defaultParts
	}
	pool, err := connect(ctx, o, minConns)
	if err != nil {
		return p, translate(err)
	}
	defer pool.Close()
	if p, err = plan(ctx, pool, m); err != nil {
		return p, translate(err)
	}
	if m.Citus && !p.Citus {
		return p, errNoCitus()
	}
	s := &Store{pool: pool}
	return p, translate(s.prepareWith(ctx, o.Parts, func(ctx context.Context) error {
		if !m.Citus {
			return nil
		}
		return s.distribute(ctx, m.shards())
	}))
}
