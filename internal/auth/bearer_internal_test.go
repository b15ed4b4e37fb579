package auth

import (
	"net/http"
	"strings"
	"testing"
)

// Whatever stands in the header, what is taken for a token stands there too,
// after the scheme Bearer.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{"", "Bearer a", "bearer  a ", "Basic a", "Bearer", "Bearera", "Bearer a b", "Bearer\ta"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		secret := bearer(&http.Request{Header: http.Header{"Authorization": {field}}})
		if secret == "" {
			return
		}
		if !strings.EqualFold(field[:len("bearer ")], "bearer ") || strings.TrimSpace(field[len("bearer "):]) != secret {
			t.Errorf("%q gives the token %q", field, secret)
		}
	})
}
