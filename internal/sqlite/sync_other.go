//go:build !linux

package sqlite

// fileLayer gives the name of the layer to open a file with that is synced often:
// SQLite's own.
func fileLayer() (string, error) { return "", nil }
