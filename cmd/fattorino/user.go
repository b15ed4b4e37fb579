package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/fattorino-dev/fattorino/internal/api"
)

// userCommands are the commands for the users of the management UI.
type userCommands struct {
	Add      userAddCommand      `cmd:"" help:"Make a user who signs in with a name and a password."`
	List     userListCommand     `cmd:"" help:"List users."`
	Password userPasswordCommand `cmd:"" help:"Give a user another password."`
	Remove   userRemoveCommand   `cmd:"" help:"Delete a user."`
}

// userAddCommand makes a user.
type userAddCommand struct {
	clientFlags
	Name string `arg:"" help:"Name to sign in with: letters, digits and . _ @ + -"`
	Role string `enum:"viewer,operator,admin" default:"viewer" help:"viewer sees, operator changes subscriptions too, admin does everything (${default})."`
}

// Help is what --help adds.
func (*userAddCommand) Help() string {
	return `The password is asked for, or read as one line from standard input where that is no
terminal. It is never an argument, which other users of the machine could read.

Example:

    fattorino user add anna --role admin
    fattorino user add anna --role admin < anna.password`
}

// Run reads the password and makes the user.
func (c *userAddCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	password, err := readPassword(env)
	if err != nil {
		return err
	}
	made, err := client.CreateUser(ctx, api.NewUser{Name: c.Name, Role: api.UserRole(c.Role), Password: password})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "user %s is made, with the role %s\n", made.Name, made.Role)
	return err
}

// userListCommand lists users.
type userListCommand struct{ clientFlags }

// Help is what --help adds.
func (*userListCommand) Help() string {
	return `Example:

    fattorino user list`
}

// Run prints all users.
func (c *userListCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	users, err := client.ListUsers(ctx)
	if err != nil {
		return err
	}
	rows := [][]string{{"NAME", "ROLE", "CREATED", "PASSWORD SET"}}
	for _, u := range users {
		rows = append(rows, []string{u.Name, string(u.Role), moment(u.CreatedAt), moment(u.PasswordAt)})
	}
	return table(env.stdout, rows)
}

// userPasswordCommand changes a password.
type userPasswordCommand struct {
	clientFlags
	Name string `arg:"" help:"The user's name."`
}

// Help is what --help adds.
func (*userPasswordCommand) Help() string {
	return `The password is asked for, or read as one line from standard input where that is no
terminal. The user is signed out everywhere.

Example:

    fattorino user password anna`
}

// Run reads the password and sets it.
func (c *userPasswordCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	password, err := readPassword(env)
	if err != nil {
		return err
	}
	changed, err := client.ChangeUser(ctx, c.Name, api.UserChange{Password: password})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "user %s has another password\n", changed.Name)
	return err
}

// userRemoveCommand deletes a user.
type userRemoveCommand struct {
	clientFlags
	Name string `arg:"" help:"The user's name."`
}

// Help is what --help adds.
func (*userRemoveCommand) Help() string {
	return `The user is signed out at once.

Example:

    fattorino user remove anna`
}

// Run deletes the user.
func (c *userRemoveCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	if err := client.DeleteUser(ctx, c.Name); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "user %s is removed\n", c.Name)
	return err
}

// maxPasswordLine bounds what is read of a password that is no terminal's.
const maxPasswordLine = 4096 // bytes

// readPassword reads a password: typed twice at a terminal, which does not show
// it, else the first line of standard input.
func readPassword(env *environment) (string, error) {
	file, ok := env.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) { //nolint:gosec // a file descriptor is small
		line, err := bufio.NewReader(io.LimitReader(env.stdin, maxPasswordLine)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the password: %w", err)
		}
		return givenPassword(strings.TrimRight(line, "\r\n"))
	}
	var typed [2]string
	for i, prompt := range []string{"Password: ", "Once more: "} {
		_, _ = fmt.Fprint(env.stderr, prompt)
		text, err := term.ReadPassword(int(file.Fd())) //nolint:gosec // a file descriptor is small
		_, _ = fmt.Fprintln(env.stderr)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		typed[i] = string(text)
	}
	if typed[0] != typed[1] {
		return "", &usageError{msg: "the two are not the same", fix: "type the password twice"}
	}
	return givenPassword(typed[0])
}

func givenPassword(password string) (string, error) {
	if password == "" {
		return "", &usageError{msg: "there is no password", fix: "type one, or give it as a line of standard input"}
	}
	return password, nil
}
