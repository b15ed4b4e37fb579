package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/api"
)

// catalogCommand prints the event types that a server knows.
type catalogCommand struct {
	clientFlags
	Contract string `placeholder:"NAME" help:"Only the catalog of this contract, as fic or native."`
	JSON     bool   `name:"json" help:"Print JSON in place of tables."`
}

// Help is what --help adds.
func (*catalogCommand) Help() string {
	return `Types of different contracts that have a common name are linked: an event that is published under
one of them is heard by who subscribed to any.

Example:

    fattorino catalog
    fattorino catalog --contract fic --json`
}

// Run prints the catalogs.
func (c *catalogCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.connect(env, "") // anybody may read them
	if err != nil {
		return err
	}
	catalogs, err := client.Catalogs(ctx)
	if err != nil {
		return err
	}
	if c.Contract != "" {
		var names []string
		for _, catalog := range catalogs {
			names = append(names, catalog.Contract)
		}
		catalogs = slices.DeleteFunc(catalogs, func(k api.Catalog) bool { return k.Contract != c.Contract })
		if len(catalogs) == 0 {
			return &usageError{msg: fmt.Sprintf("there is no contract %q", c.Contract), fix: "give one of " + strings.Join(names, ", ")}
		}
	}
	if c.JSON {
		encoder := json.NewEncoder(env.stdout)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(api.Catalogs{Catalogs: catalogs})
	}
	return printCatalogs(env, catalogs)
}

// printCatalogs prints a table of types, and one of groups where there are some.
func printCatalogs(env *environment, catalogs []api.Catalog) error {
	types := [][]string{{"CONTRACT", "TYPE", "COMMON NAMES", "SCOPES", "NOTES"}}
	groups := [][]string{{"CONTRACT", "GROUP", "STANDS FOR"}}
	for _, c := range catalogs {
		for _, t := range c.Types {
			types = append(types, []string{c.Contract, t.Name, strings.Join(t.Common, " "), strings.Join(t.Scopes, " "), notes(t)})
		}
		for _, g := range c.Groups {
			for _, member := range g.Types {
				groups = append(groups, []string{c.Contract, g.Name, member})
			}
		}
	}
	if err := table(env.stdout, types); err != nil || len(groups) == 1 {
		return err
	}
	if _, err := fmt.Fprintln(env.stdout); err != nil {
		return err
	}
	return table(env.stdout, groups)
}

// notes says what the operator says of a type.
func notes(t api.EventType) string {
	var all []string
	if t.Deprecated != "" {
		all = append(all, "deprecated: "+t.Deprecated)
	}
	if t.HasSchema {
		all = append(all, "checked by schema")
	}
	if t.Description != "" {
		all = append(all, t.Description)
	}
	return oneLine(strings.Join(all, "; "))
}
