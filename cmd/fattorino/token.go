package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/app"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// tokenCommands are the commands for tokens.
type tokenCommands struct {
	Create tokenCreateCommand `cmd:"" help:"Make a token and print its secret, this once."`
	List   tokenListCommand   `cmd:"" help:"List tokens, without their secrets."`
	Revoke tokenRevokeCommand `cmd:"" help:"Put a token out of force at once."`
}

// tokenCreateCommand makes a token.
type tokenCreateCommand struct {
	clientFlags
	Kind    string       `enum:"api,publish,admin" default:"api" help:"api for an integrator, publish for the platform, admin for the operator."`
	AppID   int64        `name:"app-id" placeholder:"ID" help:"App that a token of kind api speaks for."`
	Company []int64      `placeholder:"ID" help:"Companies that it reaches; all where none is given."`
	Scope   []string     `default:"*" placeholder:"SCOPE" help:"What it may subscribe to, as issued_documents.invoices:r; * is everything (${default})."`
	Expires app.Duration `placeholder:"TIME" help:"How long it is in force, as 12h or 30d; for ever where it is not given."`
}

// Help is what --help adds.
func (*tokenCreateCommand) Help() string {
	return `The secret alone goes to standard output, so that a script can keep it.

Example:

    fattorino token create --app-id 1 --company 12345
    fattorino token create --kind publish > publish.token`
}

// Run prints the new token's secret.
func (c *tokenCreateCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	if c.Kind == string(fattorino.APIToken) && c.AppID == 0 {
		return &usageError{msg: "a token of kind api speaks for an app", fix: `give its id with --app-id: "fattorino app list" shows them`}
	}
	wish := api.NewToken{Kind: fattorino.TokenKind(c.Kind), AppID: c.AppID, Companies: c.Company, Scopes: c.Scope}
	if c.Expires < 0 {
		return &usageError{msg: "--expires is negative", fix: "give a time span such as 12h or 30d"}
	}
	if c.Expires > 0 {
		wish.ExpiresAt = time.Now().Add(time.Duration(c.Expires)).UTC().Format(time.RFC3339)
	}
	made, err := client.CreateToken(ctx, wish)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(env.stderr, "token %d of kind %s; its secret is shown only now:\n", made.ID, made.Kind)
	_, err = fmt.Fprintln(env.stdout, made.Token)
	return err
}

// tokenListCommand lists tokens.
type tokenListCommand struct{ clientFlags }

// Help is what --help adds.
func (*tokenListCommand) Help() string {
	return `Example:

    fattorino token list`
}

// Run prints all tokens.
func (c *tokenListCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	tokens, err := client.ListTokens(ctx)
	if err != nil {
		return err
	}
	rows := [][]string{{"ID", "KIND", "APP", "COMPANIES", "SCOPES", "ENDS IN", "CREATED", "STATE"}}
	for _, t := range tokens {
		rows = append(rows, []string{
			strconv.FormatInt(t.ID, 10), string(t.Kind), number(t.AppID), companies(t.Companies),
			strings.Join(t.Scopes, " "), "…" + t.Hint, moment(t.CreatedAt), tokenState(t, time.Now()),
		})
	}
	return table(env.stdout, rows)
}

func companies(list []int64) string {
	if len(list) == 0 {
		return "all"
	}
	texts := make([]string, len(list))
	for i, id := range list {
		texts[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(texts, " ")
}

func tokenState(t api.Token, now time.Time) string {
	switch {
	case !t.RevokedAt.IsZero():
		return "revoked"
	case t.ExpiresAt.IsZero():
		return "in force"
	case t.ExpiresAt.After(now):
		return "until " + moment(t.ExpiresAt)
	}
	return "expired"
}

// tokenRevokeCommand revokes a token.
type tokenRevokeCommand struct {
	clientFlags
	ID int64 `arg:"" help:"The token's id, as the list shows it."`
}

// Help is what --help adds.
func (*tokenRevokeCommand) Help() string {
	return `Example:

    fattorino token revoke 3`
}

// Run revokes the token.
func (c *tokenRevokeCommand) Run(ctx context.Context, env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	if err := client.RevokeToken(ctx, c.ID); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "token %d is revoked\n", c.ID)
	return err
}
