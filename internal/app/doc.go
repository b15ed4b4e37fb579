// Package app puts the parts together: every setting, the one list of what is
// served, and the order in which things start and stop.
//
// It knows no flags, no environment and no signals: the command turns those
// into a [Config], so that tests run the real program inside themselves.
package app
