package record

// Named is the name of something with an id.
type Named struct {
	ID   int64
	Name string
}

// ScanName reads an id and a name.
func ScanName(r Row) (n Named, err error) { return n, r.Scan(&n.ID, &n.Name) }

// NamesByID gives the names by their ids.
func NamesByID(all []Named) map[int64]string {
	names := map[int64]string{}
	for _, n := range all {
		names[n.ID] = n.Name
	}
	return names
}
