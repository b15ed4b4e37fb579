package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// typeCommands are the commands for event types of the operator's.
type typeCommands struct {
	Put    typePutCommand    `cmd:"" help:"Add an event type to the native catalog, or change it."`
	List   typeListCommand   `cmd:"" help:"List the event types that were put."`
	Delete typeDeleteCommand `cmd:"" help:"Take back all that was said of an event type."`
}

// typePutCommand puts a type.
type typePutCommand struct {
	clientFlags
	Name        string  `arg:"" help:"The type's name, as acme.payout.sent."`
	Schema      *string `placeholder:"FILE" help:"JSON Schema that the data of its events must match; - reads standard input, an empty value takes it away."`
	Description *string `placeholder:"TEXT" help:"What has happened when such an event is published."`
	Common      *string `placeholder:"NAME" help:"Common name that its events count as, as invoice.paid."`
	Deprecated  *string `placeholder:"TEXT" help:"What to use instead; the type is then deprecated. An empty value takes it back."`
	DryRun      bool    `help:"Change nothing: check, and try the schema on stored events."`
	Last        int     `default:"1000" placeholder:"N" help:"How many of the last events a dry run tries (${default})."`
}

// Help is what --help adds.
func (*typePutCommand) Help() string {
	return `What is not given stays as it was. A dry run prints the newest stored events that the schema would
refuse, and fails where there are some.

Example:

    fattorino type put acme.payout.sent --schema payout.json --dry-run
    fattorino type put acme.payout.sent --schema payout.json
    fattorino type put acme.payout.sent --deprecated "use acme.transfer.sent"`
}

// Run puts the type, or tries to.
func (c *typePutCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	wish, err := c.wish(ctx, client, env)
	if err != nil {
		return err
	}
	if _, err := client.PutType(ctx, c.Name, *wish, c.DryRun); err != nil {
		return err
	}
	if !c.DryRun {
		_, err = fmt.Fprintf(env.stdout, "type %s is in force\n", c.Name)
		return err
	}
	if _, err := fmt.Fprintf(env.stdout, "type %s could be put\n", c.Name); err != nil || wish.Schema == nil {
		return err
	}
	found, err := client.DryRunSchema(ctx, c.Name, api.DryRunRequest{Schema: wish.Schema, Last: &c.Last})
	if err != nil {
		return err
	}
	return printDryRun(env, found)
}

// wish gives the type as it was, with what is given changed.
func (c *typePutCommand) wish(ctx context.Context, client *api.Client, env *environment) (*api.NewType, error) {
	wish := &api.NewType{}
	old, err := client.Type(ctx, c.Name)
	switch {
	case fattorino.KindOf(err) == fattorino.NotFound:
	case err != nil:
		return nil, err
	case old.Own:
		wish.Description, wish.Schema, wish.Deprecated = old.Description, old.Schema, old.Deprecated
		if len(old.Common) > 0 && old.Common[0] != c.Name {
			wish.Common = old.Common[0]
		}
	}
	for _, given := range []struct{ from, to *string }{
		{c.Description, &wish.Description}, {c.Common, &wish.Common}, {c.Deprecated, &wish.Deprecated},
	} {
		if given.from != nil {
			*given.to = *given.from
		}
	}
	if c.Schema == nil {
		return wish, nil
	}
	wish.Schema, err = readSchema(*c.Schema, env.stdin)
	return wish, err
}

// readSchema reads a schema from a file; an empty path is no schema.
func readSchema(path string, stdin io.Reader) (json.RawMessage, error) {
	const most = 1 << 20 // the server takes less, and says how much
	var text []byte
	var err error
	switch path {
	case "":
		return nil, nil
	case "-":
		text, err = io.ReadAll(io.LimitReader(stdin, most))
	default:
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, &usageError{msg: fmt.Sprintf("the schema cannot be read: %v", err), fix: "give the path of a JSON file to --schema, or - for standard input"}
	}
	if text = bytes.TrimSpace(text); !json.Valid(text) {
		return nil, &usageError{msg: "the schema is not valid JSON", fix: "give a file that holds one JSON Schema"}
	}
	return text, nil
}

// printDryRun prints the events that do not match, and fails where there are
// some.
func printDryRun(env *environment, found *api.DryRunAnswer) error {
	if found.Failed == 0 {
		_, err := fmt.Fprintf(env.stdout, "the data of the last %d events matches\n", found.Checked)
		return err
	}
	rows := [][]string{{"COMPANY", "SEQ", "EVENT", "PLACE", "FAULT"}}
	for _, e := range found.Faults {
		for _, fault := range e.Errors {
			rows = append(rows, []string{strconv.FormatInt(e.Company, 10), strconv.FormatInt(e.Seq, 10), e.ID, fault.Field, oneLine(fault.Detail)})
		}
	}
	if err := table(env.stdout, rows); err != nil {
		return err
	}
	return &fattorino.Error{
		Kind: fattorino.Invalid, Msg: fmt.Sprintf("the data of %d of the last %d events does not match the schema", found.Failed, found.Checked),
		Fix: "change the schema, or what publishes the events",
	}
}

// typeListCommand lists types.
type typeListCommand struct{ clientFlags }

// Help is what --help adds.
func (*typeListCommand) Help() string {
	return `For all types of all contracts see "fattorino catalog".

Example:

    fattorino type list`
}

// Run prints the types that the operator said something of.
func (c *typeListCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.connect(env, "") // anybody may read them
	if err != nil {
		return err
	}
	catalogs, err := client.Catalogs(ctx)
	if err != nil {
		return err
	}
	rows := [][]string{{"TYPE", "COMMON NAME", "SCHEMA", "DEPRECATED", "DESCRIPTION"}}
	for _, catalog := range catalogs {
		for _, t := range catalog.Types {
			if !t.Own {
				continue
			}
			common, schema := "", "no"
			if len(t.Common) > 0 {
				common = t.Common[0]
			}
			if t.HasSchema {
				schema = "yes"
			}
			rows = append(rows, []string{t.Name, common, schema, oneLine(t.Deprecated), oneLine(t.Description)})
		}
	}
	return table(env.stdout, rows)
}

// typeDeleteCommand deletes a type.
type typeDeleteCommand struct {
	clientFlags
	Name string `arg:"" help:"The type's name, as the list shows it."`
}

// Help is what --help adds.
func (*typeDeleteCommand) Help() string {
	return `Events of the type can still be published, and subscriptions to it stay.

Example:

    fattorino type delete acme.payout.sent`
}

// Run deletes the type.
func (c *typeDeleteCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	if err := client.DeleteType(ctx, c.Name); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "type %s is deleted\n", c.Name)
	return err
}
