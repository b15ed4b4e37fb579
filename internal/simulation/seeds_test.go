//go:build !race

package simulation_test

// seeds is how many seeds run where SIM_SEEDS does not say.
const seeds = 100
