package filter_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/filter"
)

// The test kit of CESQL, as the official Go SDK carries it.

type tckFile struct {
	Name  string    `yaml:"name"`
	Tests []tckCase `yaml:"tests"`
}

type tckCase struct {
	Name       string               `yaml:"name"`
	Expression string               `yaml:"expression"`
	Result     yaml.Node            `yaml:"result"`
	Error      string               `yaml:"error"`
	Event      map[string]yaml.Node `yaml:"event"`
	Overrides  map[string]yaml.Node `yaml:"eventOverrides"`
}

// event gives the event to evaluate the case for: its own, or any valid one
// with what the case sets.
func (c *tckCase) event(t *testing.T) *fattorino.Event {
	t.Helper()
	e := &fattorino.Event{ID: "1", Source: "/erp", Type: "invoice.paid"}
	for _, attributes := range []map[string]yaml.Node{c.Event, c.Overrides} {
		for name, node := range attributes {
			set(t, e, name, valueOf(t, node))
		}
	}
	return e
}

// set gives the event an attribute.
func set(t *testing.T, e *fattorino.Event, name string, v filter.Value) {
	t.Helper()
	switch name {
	case "specversion":
	case "id":
		e.ID = v.Text
	case "source":
		e.Source = v.Text
	case "type":
		e.Type = v.Text
	case "subject":
		e.Subject = v.Text
	case "time":
		var err error
		if e.Time, err = time.Parse(time.RFC3339, v.Text); err != nil {
			t.Fatal(err)
		}
	default:
		if e.Extensions == nil {
			e.Extensions = map[string]any{}
		}
		e.Extensions[name] = map[filter.Type]any{filter.Boolean: v.Bool, filter.Integer: v.Int, filter.String: v.Text}[v.Type]
	}
}

// valueOf reads a scalar of the kit, which writes timestamps without quotes.
func valueOf(t *testing.T, node yaml.Node) filter.Value {
	t.Helper()
	switch node.Tag {
	case "!!bool":
		var b bool
		if err := node.Decode(&b); err != nil {
			t.Fatal(err)
		}
		return filter.Value{Type: filter.Boolean, Bool: b}
	case "!!int":
		n, err := strconv.ParseInt(node.Value, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		return filter.Value{Type: filter.Integer, Int: int32(n)}
	case "!!str", "!!timestamp":
		return filter.Value{Type: filter.String, Text: node.Value}
	}
	t.Fatalf("a value of the kit has the tag %q", node.Tag)
	return filter.Value{}
}

// readTCK gives the files of the kit by name.
func readTCK(tb testing.TB) map[string]tckFile {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/cloudevents/sdk-go/sql/v2").Output()
	if err != nil {
		tb.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "test", "tck", "*.yaml"))
	if err != nil {
		tb.Fatal(err)
	}
	files := map[string]tckFile{}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		var file tckFile
		if err := yaml.Unmarshal(content, &file); err != nil {
			tb.Fatal(err)
		}
		files[strings.TrimSuffix(filepath.Base(name), ".yaml")] = file
	}
	return files
}

// classOf gives the class of an error in the words of the kit.
func classOf(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*filter.Error](err)
	if !ok {
		t.Fatalf("error of type %T", err)
	}
	return map[filter.ErrorClass]string{
		filter.ParseError: "parse", filter.MathError: "math", filter.CastError: "cast",
		filter.MissingAttributeError: "missingAttribute", filter.MissingFunctionError: "missingFunction",
		filter.FunctionEvaluationError: "functionEvaluation", filter.GenericError: "generic",
	}[e.Class]
}

func TestTCK(t *testing.T) {
	t.Parallel()
	files, cases := readTCK(t), 0
	for name, file := range files {
		for _, c := range file.Tests {
			cases++
			t.Run(name+"/"+c.Name, func(t *testing.T) {
				t.Parallel()
				x, err := filter.ParseSQL(c.Expression)
				if c.Error == "parse" || err != nil {
					if got := classOf(t, err); got != c.Error {
						t.Fatalf("%s: error %v, want %q", c.Expression, err, c.Error)
					}
					return
				}
				got, err := x.Evaluate(c.event(t))
				if want := valueOf(t, c.Result); got != want {
					t.Errorf("%s = %#v, want %#v", c.Expression, got, want)
				}
				if got := classOf(t, err); got != c.Error {
					t.Errorf("%s: error %v, want %q", c.Expression, err, c.Error)
				}
			})
		}
	}
	if len(files) != 18 || cases != 275 {
		t.Errorf("the kit has %d files and %d cases, want 18 and 275", len(files), cases)
	}
}
