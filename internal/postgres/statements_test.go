package postgres_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// acrossParts are the statements that go to several parts, each with the reason
// why it may: it is none of the hot path. A text is how one begins, as statements
// gives it.
func acrossParts() map[string]string {
	return map[string]string{
		"INSERT INTO parts (part) SELECT generate_series":     "when the database is made",
		"SELECT EXISTS (SELECT 1 FROM deliveries_0":           "retention, of one day",
		"LOCK TABLE deliveries_0 IN SHARE ROW EXCLUSIVE MODE": "retention, of one day",
		"DROP TABLE attempts_0, deliveries_0, events_0":       "retention, of one day",
		"DELETE FROM company_days WHERE day = $1":             "retention, of one day",
		"SELECT part FROM events_0 WHERE (part, key)":         "retention, of one day",
		"SELECT c.* FROM parts p, LATERAL":                    "a list for the operator",
		"SELECT s.* FROM parts p, LATERAL":                    "master keys",
		"SELECT FROM documents WHERE kind = $1 AND due_at":    "what a door has to sweep up",
		"SELECT id, company, app, contract, sink, types, format, filters, options, secrets, state, before, handshake, first_error_at, expires_at, created_at, updated_at FROM subscriptions s WHERE %s":          "a list for the operator",
		"SELECT id, company, app, contract, sink, types, format, filters, options, secrets, state, before, handshake, first_error_at, expires_at, created_at, updated_at, version FROM subscriptions s WHERE %s": "a list for the operator",
		"SELECT part, day, number, version, resent FROM parts": "what nodes look at now and then",
		"SELECT c.id, c.name FROM unnest($1::smallint[]":       "a list for the operator",
		"SELECT t.subscription, t.at - t.at % $3::bigint":      "statistics of the operator's list",
		"SELECT p.subscription, p.succeeded_at":                "statistics of the operator's list",
		"SELECT FROM events_0 e WHERE %s ORDER BY e.seq":       "the condition begins with the part",
		lockTogether:            "where parts are not spread",
		"UPDATE parts AS p SET": "where parts are not spread",
	}
}

// lockTogether is the one statement that locks rows of several parts.
const lockTogether = "SELECT part, day, number, accepted_at, version FROM parts WHERE part = ANY($1::smallint[]) ORDER BY part FOR UPDATE"

var (
	namesPart = regexp.MustCompile(`\bpart = (\$\d+|p\.part|r\.part)|\(part, [^)]*\) VALUES \(\$1,|\bd\.part = \$1`)
	// growingTable finds a table that grows where a statement reads or writes it.
	growingTable = regexp.MustCompile(`(?i)\b(?:FROM|JOIN|INTO|UPDATE|TABLE) (` + strings.Join(growing(), "|") + `)(_\d+|\b)`)
)

// The statements of the store are texts in its source. Each that reads or writes
// a table that grows names one part, or is in the list of those that need not.
func TestEveryStatementNamesOnePartOrSaysWhyNot(t *testing.T) {
	t.Parallel()
	found := 0
	for _, s := range statements(t) {
		if !growingTable.MatchString(s.text) {
			continue
		}
		found++
		if namesPart.MatchString(s.text) {
			continue
		}
		if !slices.ContainsFunc(keys(acrossParts()), func(begins string) bool { return strings.HasPrefix(s.text, begins) }) {
			t.Errorf("%s names no part, and is not in the list of those that go across: %s", s.at, s.text)
		}
	}
	if found < 50 {
		t.Errorf("only %d statements were found", found)
	}
}

func keys(m map[string]string) (all []string) {
	for k := range m {
		all = append(all, k)
	}
	return all
}

// What is forbidden was found not to work on tables that are distributed by part.
func TestNoStatementDoesWhatDistributedTablesCannot(t *testing.T) {
	t.Parallel()
	anywhere := regexp.MustCompile(`(?i)\b(MERGE|SERIALIZABLE|PREPARE TRANSACTION|RECURSIVE|GROUPING SETS|ROLLUP|CREATE TRIGGER)\b`)
	changing := regexp.MustCompile(`(?i)\b(random|now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|nextval|gen_random_uuid|current_timestamp|current_setting|interval)\b`)
	change := regexp.MustCompile(`(?is)\b(?:UPDATE|DO UPDATE SET)\b.*`)
	for _, s := range statements(t) {
		if word := anywhere.FindString(s.text); word != "" {
			t.Errorf("%s has %s: %s", s.at, word, s.text)
		}
		if !growingTable.MatchString(s.text) {
			continue
		}
		if changed := change.FindString(s.text); !strings.Contains(s.text, "FOR UPDATE") && changing.MatchString(changed) {
			t.Errorf("%s changes rows by %s, which the database is to work out: %s", s.at, changing.FindString(changed), s.text)
		}
		if strings.Contains(s.text, "FOR UPDATE") && s.text != lockTogether && !regexp.MustCompile(`part = \$1`).MatchString(s.text) {
			t.Errorf("%s locks rows of several parts: %s", s.at, s.text)
		}
		if strings.HasPrefix(s.text, "INSERT") && strings.Contains(s.text, "SELECT") && !regexp.MustCompile(`^INSERT INTO \w+ AS \w+ `).MatchString(s.text) && !strings.Contains(s.text, "generate_series") {
			t.Errorf("%s inserts from a query without naming the table's alias: %s", s.at, s.text)
		}
	}
}

// Names of constraints and texts of errors have other words where tables are
// distributed: an error is told by its SQLSTATE.
func TestErrorsAreToldBySQLSTATEAlone(t *testing.T) {
	t.Parallel()
	sources(t, func(fset *token.FileSet, f *ast.File) {
		ast.Inspect(f, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if ok && slices.Contains([]string{"ConstraintName", "TableName", "ColumnName", "DataTypeName", "Routine"}, s.Sel.Name) {
				t.Errorf("%s looks at the %s of an error", fset.Position(n.Pos()), s.Sel.Name)
			}
			return true
		})
	})
}

// A written statement is one as the source has it.
type written struct{ text, at string }

// statements gives the SQL in the source of the store and its migrations.
func statements(t *testing.T) (all []written) {
	t.Helper()
	known := map[string]ast.Expr{} // constants
	sources(t, func(_ *token.FileSet, f *ast.File) {
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
				for _, spec := range g.Specs {
					v := spec.(*ast.ValueSpec)
					for i, value := range v.Values {
						known[v.Names[i].Name] = value
					}
				}
			}
		}
	})
	begins := regexp.MustCompile(`^(SELECT|INSERT|UPDATE|DELETE|WITH|LOCK|DROP|MERGE) `)
	sources(t, func(fset *token.FileSet, f *ast.File) {
		ast.Inspect(f, func(n ast.Node) bool {
			if g, ok := n.(*ast.GenDecl); ok && g.Tok == token.CONST {
				return false // it is looked at where it is used, with what is around it
			}
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			text, isText := textOf(e, known)
			if !isText {
				return true
			}
			if text = strings.Join(strings.Fields(strings.ReplaceAll(text, "%d", "0")), " "); begins.MatchString(text) {
				all = append(all, written{regexp.MustCompile(`_%\[\d\]d`).ReplaceAllString(text, "_0"), fset.Position(n.Pos()).String()})
			}
			return false
		})
	})
	return all
}

// textOf puts a text together as far as the source tells it: what is worked out
// stands in it as a space.
func textOf(e ast.Expr, known map[string]ast.Expr) (text string, ok bool) {
	switch x := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(x.Value)
		return text, x.Kind == token.STRING && err == nil
	case *ast.Ident:
		if value := known[x.Name]; value != nil {
			return textOf(value, known)
		}
	case *ast.BinaryExpr:
		left, leftOK := textOf(x.X, known)
		right, rightOK := textOf(x.Y, known)
		if x.Op == token.ADD && (leftOK || rightOK) {
			return left + " " + right, true
		}
	case *ast.CallExpr:
		if f, ok := x.Fun.(*ast.SelectorExpr); ok {
			return textOfCall(f.Sel.Name, x.Args, known)
		}
	}
	return "", false
}

// textOfCall is textOf of what a function gives, where parts are spread.
func textOfCall(name string, args []ast.Expr, known map[string]ast.Expr) (text string, ok bool) {
	switch name {
	case "Sprintf":
		return textOf(args[0], known)
	case "rows":
		types, ok := textOf(args[0], known)
		return "SELECT p.part, u.* FROM parts p, unnest(" + types + ") AS u WHERE p.part = $1", ok
	case "part":
		return "$1", true
	}
	return "", false
}

// sources calls f with each file of the store's source, tests left out.
func sources(t *testing.T, f func(*token.FileSet, *ast.File)) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		f(fset, file)
	}
}
