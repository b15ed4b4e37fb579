package app_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/app"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// writeTypes writes a file of types and gives its path.
func writeTypes(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "types.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const ownTypes = `# What the bank tells of.
types:
  acme.payout.sent:
    description: A payout was sent.
    common: invoice.paid
    schema:
      type: object
      required: [id, total]
      properties: {total: {type: number, multipleOf: 0.01}}
  acme.payout.made:
    deprecated: use acme.payout.sent
groups:
  acme.payouts: [acme.payout.sent, acme.payout.made]
`

func TestAFileOfTypesIsPutAtEachStart(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	config.TypesFile = writeTypes(t, ownTypes)
	a, _ := start(t, config)
	client := api.NewClient(a.URL(), adminToken, nil)
	first, err := client.Type(t.Context(), "acme.payout.sent")
	if err != nil || !strings.Contains(string(first.Schema), `"multipleOf":0.01`) || first.Common[0] != "invoice.paid" {
		t.Fatalf("type %+v, %v", first, err)
	}
	publish := func(id, data string) error {
		_, err := client.Publish(t.Context(), &fattorino.Event{
			ID: id, Source: "/bank", Type: "acme.payout.sent", Subject: "company:7", Form: fattorino.JSONData, Data: []byte(data),
		})
		return err
	}
	if e := fattorino.AsError(publish("a", `{"id":1,"total":0.001}`)); e.Kind != fattorino.Invalid || len(e.Faults) != 1 || e.Faults[0].Field != "data/total" {
		t.Errorf("data that does not match: %v", e)
	}
	if err := publish("b", `{"id":1,"total":0.01}`); err != nil {
		t.Error(err)
	}

	// What was put by other means stays, and so does what the file says no more.
	if _, err := client.PutType(t.Context(), "acme.other", api.NewType{}, false); err != nil {
		t.Fatal(err)
	}
	stop(t, a)
	config.TypesFile = writeTypes(t, "types: {acme.payout.made: {}}")
	a, _ = start(t, config)
	client = api.NewClient(a.URL(), adminToken, nil)
	for _, name := range []string{"acme.other", "acme.payout.sent"} {
		if kept, err := client.Type(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if name == first.Name && !kept.UpdatedAt.Equal(first.UpdatedAt) {
			t.Errorf("%s was changed at %v", name, kept.UpdatedAt)
		}
	}
	if made, err := client.Type(t.Context(), "acme.payout.made"); err != nil || made.Deprecated != "" {
		t.Errorf("what the file now says counts: %+v, %v", made, err)
	}
}

func TestABadFileOfTypesIsRefusedBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, says string }{
		{"an unknown key", "types: {acme.a: {scheme: {}}}", "scheme"},
		{"an unknown section", "type: {}", "type"},
		{"no YAML", "types: [", "not understood"},
		{"a list for a mapping", "types: [acme.a]", "not understood"},
		{"a type twice", "types: {acme.a: {}, acme.a: {}}", "acme.a"},
		{"a schema with an alias", "types: {acme.a: {schema: {properties: {a: &x {}, b: *x}}}}", "use $ref"},
		{"a schema with a key twice", "types: {acme.a: {schema: {type: object, type: array}}}", "twice"},
		{"a schema that JSON cannot say", "types: {acme.a: {schema: {1: .inf}}}", "cannot be written as JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config := testConfig(t)
			config.TypesFile = writeTypes(t, c.text)
			err := config.Validate()
			wrong, ok := errors.AsType[*app.SettingError](err)
			if !ok || wrong.Key != "types_file" || !strings.Contains(wrong.Problem, c.says) {
				t.Errorf("error %v, want one of types_file that says %q", err, c.says)
			}
		})
	}
	config := testConfig(t)
	config.TypesFile = filepath.Join(t.TempDir(), "none.yaml")
	if wrong, ok := errors.AsType[*app.SettingError](config.Validate()); !ok || wrong.Key != "types_file" {
		t.Error("a file that is not there is taken")
	}
}

func TestAFileWithABadSchemaStopsTheStartAndSaysWhere(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	config.TypesFile = writeTypes(t, "types: {acme.a: {schema: {properties: {x: {type: money}}}}}")
	a, err := app.New(t.Context(), app.Options{Config: config, Log: &log{}})
	if err != nil {
		t.Fatal(err)
	}
	err = a.Start(context.WithoutCancel(t.Context()))
	e := fattorino.AsError(err)
	if e.Kind != fattorino.Invalid || !strings.HasPrefix(e.Msg, "types_file: types.acme.a") || len(e.Faults) == 0 || e.Faults[0].Field != "types.acme.a.schema/properties/x/type" {
		t.Errorf("error %v", err)
	}
	if _, err := http.Get(a.URL() + "/healthz"); err == nil { //nolint:noctx,bodyclose // nobody answers
		t.Error("the server still answers")
	}
}

func TestASchemaInYAMLIsTakenAsItIsWritten(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	config.TypesFile = writeTypes(t, `
types:
  acme.a:
    schema:
      enum: [2026-03-01, 12345678901234567890123, 1.50, 0x10, true, null, "7", yes]
  acme.b: {schema: false}
  acme.c: {schema: }
`)
	a, _ := start(t, config)
	client := api.NewClient(a.URL(), adminToken, nil)
	for name, want := range map[string]string{
		"acme.a": `{"enum":["2026-03-01",12345678901234567890123,1.50,16,true,null,"7","yes"]}`, "acme.b": "false", "acme.c": "",
	} {
		if got, err := client.Type(t.Context(), name); err != nil || string(got.Schema) != want {
			t.Errorf("%s: schema %s, %v; want %s", name, got.Schema, err, want)
		}
	}
}

func TestAFileOfCommentsPutsNothing(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	config.TypesFile = writeTypes(t, "# nothing yet\n")
	start(t, config)
}
