package postgres

import "github.com/jackc/pgx/v5/pgxpool"

// Pool gives the connections, for tests that look at the database itself.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }
