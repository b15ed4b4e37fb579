package filter

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// asDialects says an expression of LIKE, =, AND and OR in the dialects that it
// recreates.
func asDialects(t *testing.T, n node) any {
	t.Helper()
	switch n := n.(type) {
	case *logicNode:
		name := map[kind]string{and: "all", or: "any"}[n.op]
		return map[string]any{name: []any{asDialects(t, n.left), asDialects(t, n.right)}}
	case *equalNode:
		return oneAttribute("exact", n.left, n.right.(literal).value.Text)
	case *likeNode:
		pattern := printedPattern(n.pattern)
		if after, ok := strings.CutPrefix(pattern, "%"); ok {
			return oneAttribute("suffix", n.operand, after)
		}
		return oneAttribute("prefix", n.operand, strings.TrimSuffix(pattern, "%"))
	}
	t.Fatalf("no dialect says %s", printed(n))
	return nil
}

func oneAttribute(dialect string, n node, text string) any {
	return map[string]any{dialect: map[string]string{n.(*attributeNode).attribute.name: text}}
}

// The cases of the test kit's subscriptions_api_recreations say what exact,
// prefix, suffix, all and any mean, in CESQL.
func TestCompile_TheDialectsThatTheTestKitRecreates(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/cloudevents/sdk-go/sql/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "test", "tck", "subscriptions_api_recreations.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tests []struct {
			Name, Expression string
			Result           bool
			Overrides        map[string]string `yaml:"eventOverrides"`
		}
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Tests) != 28 {
		t.Errorf("the file has %d cases, want 28", len(file.Tests))
	}
	for _, test := range file.Tests {
		t.Run(test.Name, func(t *testing.T) {
			t.Parallel()
			// Given the event of the case
			e := &fattorino.Event{ID: "1", Source: "/erp", Type: "t", Extensions: map[string]any{}}
			for name, value := range test.Overrides {
				switch name {
				case "id":
					e.ID = value
				case "source":
					e.Source = value
				case "type":
					e.Type = value
				default:
					e.Extensions[name] = value
				}
			}
			x, err := ParseSQL(test.Expression)
			if err != nil {
				t.Fatal(err)
			}
			dialects := asDialects(t, x.root)
			// when the expression is said in dialects, in sql, and inside not
			for _, said := range []struct {
				filter any
				want   bool
			}{
				{dialects, test.Result},
				{map[string]any{"not": dialects}, !test.Result},
				{map[string]any{"sql": test.Expression}, test.Result},
			} {
				raw, err := json.Marshal([]any{said.filter})
				if err != nil {
					t.Fatal(err)
				}
				f, err := Compile(raw)
				if err != nil {
					t.Fatalf("%s: %v", raw, err)
				}
				// then the event passes as the case says.
				if got := f.Match(e); got != said.want {
					t.Errorf("%s is %v, want %v", raw, got, said.want)
				}
			}
		})
	}
}
