package main

import (
	"context"
	"fmt"
	"strconv"
)

// appCommands are the commands for apps.
type appCommands struct {
	Create appCreateCommand `cmd:"" help:"Make an app and print its id."`
	List   appListCommand   `cmd:"" help:"List apps."`
}

// appCreateCommand makes an app.
type appCreateCommand struct {
	clientFlags
	Name string `arg:"" help:"What the app is called."`
}

// Help is what --help adds.
func (*appCreateCommand) Help() string {
	return `An app is an integrator's client application; the tokens of kind api speak for one.

Example:

    fattorino app create "Studio Bianchi"`
}

// Run prints the new app's id.
func (c *appCreateCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	made, err := client.CreateApp(ctx, c.Name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(env.stdout, made.ID)
	return err
}

// appListCommand lists apps.
type appListCommand struct{ clientFlags }

// Help is what --help adds.
func (*appListCommand) Help() string {
	return `Example:

    fattorino app list`
}

// Run prints all apps.
func (c *appListCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	apps, err := client.ListApps(ctx)
	if err != nil {
		return err
	}
	rows := [][]string{{"ID", "NAME", "CREATED"}}
	for _, a := range apps {
		rows = append(rows, []string{strconv.FormatInt(a.ID, 10), a.Name, moment(a.CreatedAt)})
	}
	return table(env.stdout, rows)
}
