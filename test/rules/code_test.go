// Package rules_test holds the rules of the house that no linter has: how
// tests wait, how errors are told apart, and that documents keep their word.
package rules_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// A test that sleeps is slow on a good day and wrong on a bad one. Inside a
// bubble of testing/synctest time is not real, and sleeping is how it passes;
// the whole file is taken for such a bubble, as its helpers may sleep in it.
func TestTestsSleepInABubbleOnly(t *testing.T) {
	t.Parallel()
	eachGoFile(t, func(name string, f *ast.File, at func(ast.Node) token.Position) {
		if !strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, n := range sleepsOutsideBubbles(f) {
			t.Errorf("%s: time.Sleep in a test: wait for what is to happen, or run it in synctest.Test", at(n))
		}
	})
}

// The text of an error is for people; it changes with a library's next
// version. Errors are told apart with errors.Is, errors.AsType and their Kind.
func TestNoDecisionHangsOnTheTextOfAnError(t *testing.T) {
	t.Parallel()
	eachGoFile(t, func(name string, f *ast.File, at func(ast.Node) token.Position) {
		if strings.HasSuffix(name, "_test.go") {
			return // a test may check what people are told
		}
		for _, n := range textDecisions(f) {
			t.Errorf("%s: this decides by the text of an error: use errors.Is or errors.AsType", at(n))
		}
	})
}

func TestTheRulesFindWhatTheyForbid(t *testing.T) {
	t.Parallel()
	const source = `package p
func sleeps(t *testing.T) {
	time.Sleep(1)                                        // bad
	go func() { time.Sleep(1) }()                        // bad
}
func decides(err error) bool {
	if strings.Contains(err.Error(), "busy") {           // bad
		return true
	}
	if "busy" == err.Error() {                           // bad
		return true
	}
	switch err.Error() {                                 // bad
	case "busy":
	}
	w.Write([]byte(err.Error()))                         // good
	return errors.Is(err, ErrBusy)
}`
	f, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(sleepsOutsideBubbles(f)); n != 2 {
		t.Errorf("found %d sleeps outside a bubble, want 2", n)
	}
	if n := len(textDecisions(f)); n != 3 {
		t.Errorf("found %d decisions by text, want 3", n)
	}
}

func sleepsOutsideBubbles(f *ast.File) (found []ast.Node) {
	for _, imported := range f.Imports {
		if imported.Path.Value == `"testing/synctest"` {
			return nil
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && isCall(call, "time", "Sleep") {
			found = append(found, n)
		}
		return true
	})
	return found
}

func textDecisions(f *ast.File) (found []ast.Node) {
	ast.Inspect(f, func(n ast.Node) bool {
		var compared []ast.Expr
		switch x := n.(type) {
		case *ast.CallExpr:
			if isCall(x, "strings", "Contains", "ContainsAny", "HasPrefix", "HasSuffix", "EqualFold", "Index") {
				compared = x.Args
			}
		case *ast.BinaryExpr:
			if x.Op == token.EQL || x.Op == token.NEQ {
				compared = []ast.Expr{x.X, x.Y}
			}
		case *ast.SwitchStmt:
			compared = []ast.Expr{x.Tag}
		}
		for _, e := range compared {
			if isErrorText(e) {
				found = append(found, n)
			}
		}
		return true
	})
	return found
}

// isCall tells whether call is of one of the functions of the package.
func isCall(call *ast.CallExpr, pkg string, functions ...string) bool {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := selector.X.(*ast.Ident)
	if !ok || x.Name != pkg {
		return false
	}
	for _, name := range functions {
		if selector.Sel.Name == name {
			return true
		}
	}
	return false
}

// isErrorText tells whether e is x.Error().
func isErrorText(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) != 0 {
		return false
	}
	selector, ok := call.Fun.(*ast.SelectorExpr)
	return ok && selector.Sel.Name == "Error"
}

func eachGoFile(t *testing.T, f func(name string, file *ast.File, at func(ast.Node) token.Position)) {
	t.Helper()
	seen := 0
	eachFile(t, ".go", func(name string) {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		seen++
		f(name, file, func(n ast.Node) token.Position { return set.Position(n.Pos()) })
	})
	if seen == 0 {
		t.Fatal("there is no Go file here")
	}
}

// eachFile calls f with each file of the project that ends in suffix.
func eachFile(t *testing.T, suffix string, f func(name string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		hidden := strings.HasPrefix(base, ".") && base != "." && base != ".."
		if d.IsDir() && (hidden || base == "node_modules" || base == "data" || base == "dist") {
			return filepath.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(base, suffix) {
			f(name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
