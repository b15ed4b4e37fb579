package app_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/fattorino-dev/fattorino/"

// mayImport says which packages of this module each one may import. A package
// that is not here fails the test, so that a new package, or a new dependency
// of one on another, is a decision and not an accident.
func mayImport() map[string][]string {
	doors := []string{"api", "defacto", "facturascripts", "fic", "subscriptions", "ui"}
	stores := []string{"postgres", "sqlite"}
	return map[string][]string{
		// The middle imports the standard library only.
		"fattorino": {},

		// Each of these knows the middle, and none of the others.
		"attemptlog":  {"fattorino"},
		"auth":        {"fattorino"},
		"chat":        {"fattorino"},
		"cloudevents": {"fattorino"},
		"egress":      {"fattorino"},
		"engine":      {"fattorino"},
		"express":     {},
		"filter":      {"fattorino"},
		"httpjson":    {"fattorino"},
		"postgres":    {"attemptlog", "fattorino", "record"},
		"record":      {"fattorino"},
		"samples":     {"fattorino"},
		"schema":      {"fattorino"},
		"sign":        {"fattorino"},
		"sqlite":      {"attemptlog", "fattorino", "record"},

		// Suites that every implementation must pass.
		"egress/egresstest": {"egress", "fattorino"},
		"storetest":         {"fattorino"},

		// Doors know how to speak, and not what keeps or sends; nor each other.
		"api":            {"auth", "cloudevents", "fattorino", "httpjson", "inspect", "portal", "samples"},
		"defacto":        {"auth", "fattorino", "httpjson"},
		"fic":            {"auth", "fattorino", "httpjson"},
		"facturascripts": {"auth", "cloudevents", "fattorino", "httpjson", "sign"},
		"subscriptions":  {"auth", "fattorino", "httpjson"}, // the native contract, as other clients know it
		"ui":             {"fattorino", "httpjson", "inspect", "portal", "samples"},

		// Bins take in what any contract sends, and are shown in ui.
		"inspect": {"fattorino", "sign"},
		// Links to pages of ui, which are asked for in api.
		"portal": {"fattorino"},

		// The native contract has its door in api, and is a package of its own for
		// what it builds and signs.
		"native": {"chat", "cloudevents", "fattorino", "sign"},

		// Brings what one store keeps into the other, and so knows both.
		"move": {"attemptlog", "fattorino", "postgres", "record", "sqlite"},

		// app joins them all.
		"app": slices.Concat(doors, stores, []string{
			"auth", "cloudevents", "egress", "engine", "express", "fattorino", "filter", "httpjson", "inspect", "move", "native", "portal", "schema", "sign",
		}),
		// The program starts app, and is a client of the API besides.
		"cmd/fattorino": {"api", "app", "cloudevents", "fattorino"},

		// The benchmark runs the program as it is delivered.
		"test/bench": {"test/pgcluster"},
		// The program as it is delivered, for the tests that see it from outside.
		"test/program": {},
		// Private database servers, for every test that wants one.
		"test/pgcluster": {},
		// An OpenID provider, likewise.
		"test/openid": {},
		// What shows how to receive notifications knows nothing of ours.
		"docs/examples/go": {},
	}
}

// A listed package is what go list says of one.
type listed struct {
	ImportPath   string
	Imports      []string
	GoFiles      []string
	XTestImports []string
}

func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	t.Parallel()
	table := mayImport()
	for _, p := range goList(t) {
		if len(p.GoFiles) == 0 {
			continue // tests alone
		}
		name := short(p.ImportPath)
		allowed, ok := table[name]
		if !ok {
			t.Errorf("the package %s is not in the table of imports: say there what it may import, and why it must be a package", name)
			continue
		}
		for _, path := range p.Imports {
			if other, ours := strings.CutPrefix(path, module); ours && !slices.Contains(allowed, short(module+other)) {
				t.Errorf("%s imports %s; it may import only %v", name, short(path), allowed)
			}
		}
	}
}

func TestTheMiddleImportsTheStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	for _, p := range goList(t) {
		if short(p.ImportPath) != "fattorino" {
			continue
		}
		for _, path := range p.Imports {
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
				t.Errorf("fattorino imports %s; it may import only the standard library", path)
			}
		}
		return
	}
	t.Fatal("there is no package fattorino")
}

// The tests of test/ see the program from outside, as a client does.
func TestOutsideTestsKnowNothingInside(t *testing.T) {
	t.Parallel()
	for _, p := range goList(t) {
		if !strings.HasPrefix(p.ImportPath, module+"test/") {
			continue
		}
		for _, path := range p.XTestImports {
			if strings.HasPrefix(path, module+"internal/") {
				t.Errorf("%s imports %s; it may import nothing of internal", short(p.ImportPath), short(path))
			}
		}
	}
}

func TestTheTableNamesOnlyPackagesThatItKnows(t *testing.T) {
	t.Parallel()
	table := mayImport()
	known := slices.Collect(maps.Keys(table))
	for name, allowed := range table {
		for _, other := range allowed {
			if !slices.Contains(known, other) {
				t.Errorf("%s may import %s, which is not in the table", name, other)
			}
		}
	}
}

// short gives the name by which the table calls a package.
func short(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, module), "internal/")
}

func goList(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,GoFiles,XTestImports", module+"...").Output()
	if err != nil {
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, failed.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
}
