package ui

import (
	"io/fs"
	"path"
	"strings"
	"testing"
)

// Pages are parsed when they are first asked for, so this is where a mistake in
// one is found.
func TestEveryPageParsesInEveryLanguage(t *testing.T) {
	t.Parallel()
	languages, err := readLanguages()
	if err != nil {
		t.Fatal(err)
	}
	a, err := readAssets()
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, l := range languages {
		pages := newPages(l, a)
		for _, file := range files {
			if _, err := pages.set(strings.TrimSuffix(path.Base(file), ".html")); err != nil {
				t.Errorf("%s: %v", l.Code, err)
			}
		}
	}
}
