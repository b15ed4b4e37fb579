package main

import (
	"context"
	"fmt"

	"github.com/fattorino-dev/fattorino/internal/api"
)

// groupCommands are the commands for groups of the operator's.
type groupCommands struct {
	Put    groupPutCommand    `cmd:"" help:"Add a group to the native catalog, or replace its types."`
	Delete groupDeleteCommand `cmd:"" help:"Delete a group."`
}

// groupPutCommand puts a group.
type groupPutCommand struct {
	clientFlags
	Name   string   `arg:"" help:"The group's name, as acme.payouts."`
	Types  []string `arg:"" name:"type" help:"The types that it stands for."`
	DryRun bool     `help:"Only check."`
}

// Help is what --help adds.
func (*groupPutCommand) Help() string {
	return `A subscription that names a group holds the types that it stands for at that moment.

Example:

    fattorino group put acme.payouts acme.payout.sent acme.payout.failed`
}

// Run puts the group, or tries to.
func (c *groupPutCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	if _, err := client.PutGroup(ctx, c.Name, api.NewGroup{Types: c.Types}, c.DryRun); err != nil {
		return err
	}
	outcome := "is in force"
	if c.DryRun {
		outcome = "could be put"
	}
	_, err = fmt.Fprintf(env.stdout, "group %s %s\n", c.Name, outcome)
	return err
}

// groupDeleteCommand deletes a group.
type groupDeleteCommand struct {
	clientFlags
	Name string `arg:"" help:"The group's name, as \"fattorino catalog\" shows it."`
}

// Help is what --help adds.
func (*groupDeleteCommand) Help() string {
	return `Subscriptions keep the types that it stood for.

Example:

    fattorino group delete acme.payouts`
}

// Run deletes the group.
func (c *groupDeleteCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	if err := client.DeleteGroup(ctx, c.Name); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "group %s is deleted\n", c.Name)
	return err
}
