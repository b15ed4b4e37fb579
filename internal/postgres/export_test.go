package postgres

import "github.com/jackc/pgx/v5/pgxpool"

// Pool gives the connections, for tests that look at the database itself.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Distributed and Copied give the tables that are spread over the machines of
// Citus.
func Distributed() []string { return distributed() }
func Copied() []string      { return copied() } //nolint:revive // see above

// SpreadParts has the store write as where the parts are spread over the machines
// of Citus, and gives it back.
func (s *Store) SpreadParts() *Store {
	s.spread = true
	return s
}

// Listening tells whether notifications reach the node.
func (n *Node) Listening() bool { return n.scanEvery() == scanListening }
