//go:build race

package simulation_test

// seeds is how many seeds run where SIM_SEEDS does not say: fewer, for the race
// detector makes SQLite in Go ten times slower.
const seeds = 30
