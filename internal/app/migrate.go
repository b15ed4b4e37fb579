package app

import (
	"context"

	"github.com/fattorino-dev/fattorino/internal/postgres"
)

// MigratePlan is what is, or was, to be done to a database.
type MigratePlan = postgres.Plan

// MigrateOptions say what else is.
type MigrateOptions = postgres.MigrateOptions

// PlanMigrate tells what [Migrate] would do to the database of the settings, and
// changes nothing.
func PlanMigrate(ctx context.Context, c Config, o MigrateOptions) (MigratePlan, error) {
	p, err := postgres.PlanMigrate(ctx, c.postgres(), o)
	return p, sayMore(err)
}

// Migrate brings the tables of the database of the settings to this version, as
// every start does, and gives what it has done.
func Migrate(ctx context.Context, c Config, o MigrateOptions) (MigratePlan, error) {
	p, err := postgres.Migrate(ctx, c.postgres(), o)
	return p, sayMore(err)
}

func (c *Config) postgres() postgres.Options {
	return postgres.Options{URL: c.Database, Password: c.DatabasePassword}
}
