package main

import (
	"context"
	"io"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// TestMain lets this binary be the program itself: under the name fattorino,
// which is in the PATH of every test, it runs main.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"fattorino": main})
}

// TestScripts runs the command line as its users do, a case a file.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv(raceVariable, raceOptions)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"server": startServer},
	})
}

// A program built with the race detector waits for a second before it ends, to
// catch races on its way out, unless it is told not to.
const (
	raceVariable = "GORACE"
	raceOptions  = "atexit_sleep_ms=0"
)

// scriptAdminToken is the operator's in the scripts that have a server.
const scriptAdminToken = "admin-token-of-the-scripts"

// startServer is the command "server" of the scripts: it starts the service and
// sets FATTORINO_URL and FATTORINO_ADMIN_TOKEN.
func startServer(ts *testscript.TestScript, _ bool, _ []string) {
	config := app.Default()
	config.Data, config.Listen, config.Dev = ts.MkAbs("data"), "127.0.0.1:0", true
	config.AdminToken = scriptAdminToken
	a, err := app.New(context.Background(), app.Options{Config: config, Log: io.Discard})
	ts.Check(err)
	ts.Check(a.Start(context.Background()))
	ts.Defer(func() { ts.Check(a.Stop(context.Background())) })
	ts.Setenv("FATTORINO_URL", a.URL())
	ts.Setenv("FATTORINO_ADMIN_TOKEN", scriptAdminToken)
}

// runMain runs the program inside the test.
func runMain(t *testing.T, env map[string]string, stdin io.Reader, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	out, errs := &output{}, &output{}
	code = run(t.Context(), args, func(name string) string { return env[name] }, stdin, out, errs)
	return code, out.String(), errs.String()
}
