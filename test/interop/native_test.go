package interop_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fences gives what stands in the fences of that language under a heading.
func fences(t *testing.T, heading, language string) []string {
	t.Helper()
	var found []string
	text := section(t, page(t, "docs/contracts/native.md"), heading)
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	if len(found) != 1 {
		t.Fatalf("%s has %d examples, want 1", heading, len(found))
	}
	return found
}

func TestTheFiltersOfThePageOnTheNativeContractAreTaken(t *testing.T) {
	t.Parallel()
	s := serve(t)
	token, seen := s.token(t, "api", 11), 0
	for _, line := range regexp.MustCompile(`(?m)^\[.*\]$`).FindAllString(fences(t, "## Filters", "json")[0], -1) {
		seen++
		s.call(t, http.MethodPost, "/v1/companies/11/subscriptions", token, map[string]any{
			"sink": freeURL(t), "types": []string{"*"}, "filters": json.RawMessage(line),
		}, http.StatusCreated, nil)
	}
	if seen != 4 {
		t.Errorf("the page shows %d filters, want 4", seen)
	}
}

func TestTheTypesOfThePageOnTheNativeContractAreInForce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "types.yaml")
	if err := os.WriteFile(file, []byte(fences(t, "## Types of your own", "yaml")[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "--types-file", file)
	payout := func(id string, data any) map[string]any {
		return map[string]any{"specversion": "1.0", "id": id, "source": "/erp", "type": "acme.payout.sent", "companyid": "11", "data": data}
	}
	if said := s.publishEvent(t, adminToken, payout("p-1", map[string]any{"total": 12.5}), http.StatusAccepted); strings.Contains(said, "warning") {
		t.Errorf("a type that is listed is answered with %s", said)
	}
	if said := s.publishEvent(t, adminToken, payout("p-2", map[string]any{"total": "12.5"}), http.StatusUnprocessableEntity); !strings.Contains(said, "total") {
		t.Errorf("data that does not match the schema is answered with %s", said)
	}
	var made struct{ Types []string }
	s.call(t, http.MethodPost, "/v1/companies/11/subscriptions", s.token(t, "api", 11), map[string]any{
		"sink": freeURL(t), "types": []string{"acme.payouts"},
	}, http.StatusCreated, &made)
	if len(made.Types) != 1 || made.Types[0] != "acme.payout.sent" {
		t.Errorf("the group stands for %v", made.Types)
	}
}
