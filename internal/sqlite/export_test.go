package sqlite

import "testing"

// Pragmas reads the settings of the writing connection.
func (s *Store) Pragmas(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range []string{"journal_mode", "synchronous", "foreign_keys"} {
		var value string
		if err := s.write.QueryRow("PRAGMA " + name).Scan(&value); err != nil {
			t.Fatal(err)
		}
		all[name] = value
	}
	return all
}
