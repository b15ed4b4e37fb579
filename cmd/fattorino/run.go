package main

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-isatty"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// cli is the grammar of the command line.
type cli struct {
	Serve       serveCommand       `cmd:"" help:"Run the service."`
	Demo        demoCommand        `cmd:"" help:"Play the whole story on this machine, with a subscriber that checks everything."`
	Send        sendCommand        `cmd:"" help:"Publish events."`
	Token       tokenCommands      `cmd:"" help:"Make, list and revoke tokens."`
	User        userCommands       `cmd:"" help:"Make, list and delete users of the management UI."`
	App         appCommands        `cmd:"" help:"Make and list apps."`
	Catalog     catalogCommand     `cmd:"" help:"Show the event types of every contract, and how they are linked."`
	Type        typeCommands       `cmd:"" help:"Add, list and delete event types of your own."`
	Group       groupCommands      `cmd:"" help:"Add and delete groups of event types."`
	Keys        keysCommands       `cmd:"" help:"Show and rotate the keys that sign, and those that encrypt."`
	Nodes       nodesCommand       `cmd:"" help:"Show which processes serve the database, and what each of them serves."`
	Backup      backupCommand      `cmd:"" help:"Make a backup of the data folder, while the server runs."`
	Restore     restoreCommand     `cmd:"" help:"Make a data folder from a backup."`
	Migrate     migrateCommand     `cmd:"" help:"Make the tables of a PostgreSQL database, or bring them to this version."`
	MigrateData migrateDataCommand `cmd:"" name:"migrate-data" help:"Move a data folder into a PostgreSQL database."`
	Config      configCommand      `cmd:"" help:"Show every setting, its value and where it comes from."`
	Version     versionCommand     `cmd:"" help:"Show the version."`
}

// environment is what a command knows of the outside.
type environment struct {
	getenv func(string) string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

const description = "Webhooks for invoicing and ERP platforms: what happened goes in once, " +
	"and everyone who asked hears of it, challenged first, signed, retried and logged."

// run is the whole program: it gives the exit code, 0 when all went well, 1
// when something failed, 2 when the command line or a setting is wrong.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ended := false // --help has been answered: nothing is left to do
	parser, err := kong.New(
		&cli{},
		kong.Name("fattorino"), kong.Description(description),
		kong.Writers(stdout, stderr), kong.Exit(func(int) { ended = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ValueFormatter(describeFlag), kong.PostBuild(showDefaults), settingGroups(), secretFlags(),
	)
	if err != nil {
		return report(stderr, err)
	}
	parsed, err := parser.Parse(args)
	if ended {
		return 0
	}
	if err != nil {
		return report(stderr, badUsage(err))
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return report(stderr, parsed.Run(&environment{getenv, stdin, stdout, stderr}))
}

// isTerminal tells whether somebody looks at what is written to w.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// variable gives the environment variable of a flag.
func variable(flag string) string {
	return "FATTORINO_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// describeFlag adds the environment variable to the help of a flag that has
// one.
func describeFlag(v *kong.Value) string {
	if v.Flag == nil || !readsVariable(v.Flag) {
		return v.Help
	}
	return v.Help + " [$" + variable(v.Name) + "]"
}

// readsVariable tells the flags that an environment variable can stand for.
func readsVariable(flag *kong.Flag) bool {
	switch flag.Name {
	case "config", "url", "token":
		return true
	}
	var c app.Config
	return setting(flag, &c) != nil
}

// setting gives what the flag sets in c; nil where it is no setting. Commands
// that take no settings have flags of such names too, as send has --data: those
// of settings stand in a group.
func setting(flag *kong.Flag, c *app.Config) *app.Setting {
	s, ok := c.Setting(keyOf(flag.Name))
	if !ok || flag.Group == nil {
		return nil
	}
	return &s
}

// keyOf gives the key of the setting that a flag sets.
func keyOf(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

// showDefaults has the help show what a setting is when nothing sets it.
func showDefaults(k *kong.Kong) error {
	defaults := app.Default()
	return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			s := setting(flag, &defaults)
			switch {
			case s == nil || flag.IsBool():
			case s.IsList():
				flag.PlaceHolder = "A,B"
			case s.String() != "":
				flag.PlaceHolder = s.String()
			}
		}
		return next(nil)
	})
}

func settingGroups() kong.Option {
	return kong.Groups{
		"server": "Server", "signin": "Sign-in", "sinks": "Sinks", "limits": "Limits",
		"fic": "Fatture in Cloud", "connection": "Connection to the server",
	}
}
