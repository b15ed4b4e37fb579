package rules_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// A link that leads nowhere wastes the time of whoever follows it.
func TestLinksInDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^()\s]+)\)`)
	found := 0
	eachFile(t, ".md", func(name string) {
		for _, match := range link.FindAllStringSubmatch(prose(t, name), -1) {
			found++
			target, err := url.Parse(match[1])
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if target.IsAbs() {
				continue // somebody else's page
			}
			file := name
			if target.Path != "" {
				file = filepath.Join(filepath.Dir(name), target.Path)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: the link %s leads nowhere", name, match[1])
			} else if target.Fragment != "" && !strings.Contains(anchors(t, file), "#"+target.Fragment+"\n") {
				t.Errorf("%s: there is no heading for %s", name, match[1])
			}
		}
	})
	if found == 0 {
		t.Error("there is no link in any document")
	}
}

// prose gives the text of a document without what stands in fences.
func prose(t *testing.T, name string) string {
	t.Helper()
	return regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(read(t, name), "")
}

// anchors gives the anchors of a document's headings, one a line: the text in
// lower case, without punctuation, with hyphens for spaces.
func anchors(t *testing.T, name string) string {
	t.Helper()
	var all strings.Builder
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(prose(t, name), -1) {
		all.WriteString("#" + strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, heading[1]) + "\n")
	}
	return all.String()
}

// The examples in the README are files that other tests run.
func TestTheReadmeShowsTheExamplesAsTheyAre(t *testing.T) {
	t.Parallel()
	shown := regexp.MustCompile("(?ms)^<!-- (docs/examples/\\S+) -->\n```[a-z]+\n(.*?)^```$").
		FindAllStringSubmatch(read(t, filepath.Join(root, "README.md")), -1)
	const want = 7 // three languages for each of two ways to sign, and a secret in the URL
	if len(shown) != want {
		t.Errorf("the README shows %d examples, want %d", len(shown), want)
	}
	for _, example := range shown {
		if read(t, filepath.Join(root, example[1])) != example[2] {
			t.Errorf("the README does not show %s as it is: copy it there", example[1])
		}
	}
}

func TestDecisionsAreNumberedInOrder(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root, "docs/decisions/*.md"))
	if err != nil || len(files) == 0 {
		t.Fatal("there are no decisions", err)
	}
	heading := regexp.MustCompile(`^# (\d+)\. `)
	for i, name := range files {
		number := heading.FindStringSubmatch(read(t, name))
		if number == nil || strings.TrimLeft(filepath.Base(name)[:4], "0") != number[1] {
			t.Errorf("%s: the heading does not have the number of the file", name)
		} else if want := i + 1; number[1] != strconv.Itoa(want) {
			t.Errorf("%s: the decision before it is missing", name)
		}
	}
}

// A library comes with its reason.
func TestEveryLibraryHasItsReason(t *testing.T) {
	t.Parallel()
	reasons := read(t, filepath.Join(root, "docs/decisions/0001-libraries.md"))
	direct := regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(read(t, filepath.Join(root, "go.mod")), -1)
	if len(direct) == 0 {
		t.Fatal("go.mod names no library")
	}
	for _, library := range direct {
		if !regexp.MustCompile("`" + regexp.QuoteMeta(library[1]) + "[`/]").MatchString(reasons) {
			t.Errorf("%s is not among the libraries of decision 1", library[1])
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The map of the code in the README leads to every package, and the one of the
// architecture as well.
func TestTheMapsNameEveryPackage(t *testing.T) {
	t.Parallel()
	packages, err := filepath.Glob(filepath.Join(root, "internal/*/*.go"))
	if err != nil || len(packages) == 0 {
		t.Fatal("there are no packages", err)
	}
	maps := map[string]*regexp.Regexp{
		"README.md":       regexp.MustCompile("(?ms)^## Where to look$(.*?)^## "),
		"ARCHITECTURE.md": regexp.MustCompile("(?ms)^## Map$(.*?)^## "),
	}
	for name, where := range maps {
		shown := where.FindString(read(t, filepath.Join(root, name)))
		told := map[string]bool{"storetest": name == "ARCHITECTURE.md"} // a suite of tests is no part of that map
		for _, file := range packages {
			pkg := filepath.Base(filepath.Dir(file))
			if !told[pkg] && !regexp.MustCompile(`\b`+pkg+`\b`).MatchString(shown) {
				t.Errorf("the map in %s does not show the package %s", name, pkg)
			}
			told[pkg] = true
		}
	}
}
