package interop_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The page on catalogs shows the links that the program has.
func TestThePageOnCatalogsShowsEveryLink(t *testing.T) {
	t.Parallel()
	var got struct {
		Catalogs []struct {
			Contract string
			Types    []struct {
				Name   string
				Common []string
			}
		}
	}
	serve(t).call(t, http.MethodGet, "/v1/catalogs", adminToken, nil, http.StatusOK, &got)

	contracts := []string{"fic", "facturascripts", "defacto"}
	links := map[string]map[string][]string{} // by common name and contract
	for _, catalog := range got.Catalogs {
		if catalog.Contract != "native" && !slices.Contains(contracts, catalog.Contract) {
			t.Errorf("the contract %s has no column", catalog.Contract)
		}
		for _, typ := range catalog.Types {
			if len(typ.Common) == 0 {
				t.Errorf("%s: %s has no common name", catalog.Contract, typ.Name)
			}
			for i, common := range typ.Common {
				shown := "`" + strings.TrimPrefix(typ.Name, "it.fattureincloud.webhooks.") + "`"
				if i > 0 {
					shown += " (1)"
				}
				if links[common] == nil {
					links[common] = map[string][]string{}
				}
				links[common][catalog.Contract] = append(links[common][catalog.Contract], shown)
			}
		}
	}
	var names []string
	for name := range links {
		names = append(names, name)
		if links[name]["native"] == nil {
			t.Errorf("the native contract does not know %s", name)
		}
	}
	slices.Sort(names)
	var want strings.Builder
	want.WriteString("| common name | Fatture in Cloud | FacturaScripts | Defacto |\n|---|---|---|---|\n")
	for _, name := range names {
		fmt.Fprintf(&want, "| `%s` |", name)
		for _, contract := range contracts {
			fmt.Fprintf(&want, " %s |", strings.Join(links[name][contract], ", "))
		}
		want.WriteString("\n")
	}
	if shown := regexp.MustCompile(`(?m)^\|.*\n`).FindAllString(page(t, "docs/catalogs.md"), -1); strings.Join(shown, "") != want.String() {
		t.Errorf("the table in docs/catalogs.md is not up to date; it should be\n%s", want.String())
	}
}
