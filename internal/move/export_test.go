package move

// RunInSteps is Run, with so many rows in one transaction at most.
var RunInSteps = run //nolint:gochecknoglobals // for tests alone

// Moving is what a table is made of.
type Moving struct{ Table, Columns, Query string }

// Tables gives what every table is made of.
func Tables() (all []Moving) {
	for _, t := range tables() {
		all = append(all, Moving{t.name, t.columns, t.query})
	}
	return all
}
