package main

import (
	"context"
	"encoding/base64"

	"github.com/fattorino-dev/fattorino/internal/api"
)

// keysCommands are the commands for the keys that sign notifications, and for
// the master keys that encrypt secrets at rest.
type keysCommands struct {
	Show         keysShowCommand     `cmd:"" help:"Show the public key that receivers verify with."`
	Rotate       keysRotateCommand   `cmd:"" help:"Put a new key in the place of the one that signs."`
	RotateMaster rotateMasterCommand `cmd:"" help:"Encrypt the secrets in the database under a new master key."`
	RemoveMaster removeMasterCommand `cmd:"" help:"Remove a master key that is not used any more."`
}

// keysShowCommand shows a public key.
type keysShowCommand struct {
	clientFlags
	Name string `default:"fic" help:"What the key signs for (${default})."`
}

// Help is what --help adds.
func (*keysShowCommand) Help() string {
	return `Example:

    fattorino keys show`
}

// Run prints the key that now signs.
func (c *keysShowCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.connect(env, "") // anybody may read it
	if err != nil {
		return err
	}
	key, err := client.Key(ctx, c.Name)
	if err != nil {
		return err
	}
	return printKey(env, c.Name, key)
}

func printKey(env *environment, name string, key *api.PublicKey) error {
	return table(env.stdout, [][]string{
		{"name", name},
		{"alg", key.Alg},
		{"kid", key.Kid},
		{"public_key", base64.StdEncoding.EncodeToString(key.PublicKey)},
	})
}

// keysRotateCommand rotates a key.
type keysRotateCommand struct {
	clientFlags
	Name string `default:"fic" help:"What the key signs for (${default})."`
}

// Help is what --help adds.
func (*keysRotateCommand) Help() string {
	return `The key before it stays in /.well-known/jwks.json for a day. Receivers that hold the
public key itself need the new one at once.

Example:

    fattorino keys rotate`
}

// Run prints the new key.
func (c *keysRotateCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	key, err := client.RotateKey(ctx, c.Name)
	if err != nil {
		return err
	}
	return printKey(env, c.Name, key)
}
