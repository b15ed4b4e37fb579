package main

import (
	"strings"
	"testing"
)

// A mistake of the user's is said on one line, what to do on another, and the
// exit code tells it from what failed.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	nowhere := map[string]string{"FATTORINO_URL": "http://127.0.0.1:1", "FATTORINO_TOKEN": "t"}
	for _, x := range []struct {
		args string
		env  map[string]string
		code int
		says string // in what is written to standard error
	}{
		{args: "version", code: 0},
		{args: "--help", code: 0},
		{args: "serv", code: 2, says: `did you mean`},
		{args: "serve --lisen x", code: 2, says: `see "fattorino serve --help"`},
		{args: "serve --listen", code: 2, says: `--listen`},
		{args: "serve extra", code: 2, says: `extra`},
		{args: "token", code: 2, says: `create`},
		{args: "token create --kind root", code: 2, says: `api`},
		{args: "token create", env: nowhere, code: 2, says: `"fattorino app list"`},
		{args: "token create --kind publish --expires -3d", env: nowhere, code: 2, says: `--expires`},
		{args: "token revoke seven", code: 2, says: `seven`},
		{args: "serve --listen nowhere", code: 2, says: `listen: "nowhere" is not of the form host:port, as 127.0.0.1:8480 (from --listen)`},
		{args: "serve --listen 192.0.2.1:0", env: map[string]string{"FATTORINO_DATA": "/dev/null/x"}, code: 1, says: `192.0.2.1`},
		{args: "serve --listen 127.0.0.1:0 --data /dev/null/x", code: 1, says: `set data to a folder`},
		{
			args: "serve --listen 127.0.0.1:0 --database postgres://u@127.0.0.1:1/x", env: map[string]string{"FATTORINO_DATA": t.TempDir()}, code: 1,
			says: "the database cannot be used: failed to connect to `user=u database=x`: 127.0.0.1:1 (127.0.0.1): dial error: dial tcp 127.0.0.1:1: connect: connection refused\n",
		},
		{args: "app list", code: 2, says: `FATTORINO_TOKEN`},
		{args: "app list --url ftp://x --token t", code: 2, says: `http://host:port`},
		{args: "app list", env: nowhere, code: 1, says: `does not answer`},
		{args: "send", env: nowhere, code: 2, says: `--type`},
		{args: "send --type invoice.created", env: nowhere, code: 2, says: `--company`},
		{args: "send --type invoice.created --company 1 --data {", env: nowhere, code: 2, says: `not valid JSON`},
		{args: "send --type invoice.created --company 1 --data @/none", env: nowhere, code: 2, says: `cannot be read`},
		{args: "send --company 1 file", env: nowhere, code: 2, says: `leave out`},
		{args: "send /none", env: nowhere, code: 2, says: `cannot be read`},
		{args: "send -", env: nowhere, code: 2, says: `there is no event to send`},
	} {
		t.Run(x.args, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := runMain(t, x.env, strings.NewReader(""), strings.Fields(x.args)...)
			if code != x.code || !strings.Contains(stderr, x.says) {
				t.Errorf("got %d, want %d and %q in:\n%s", code, x.code, x.says, stderr)
			}
			lines := strings.Split(strings.TrimRight(stderr, "\n"), "\n")
			if x.code != 0 && !strings.Contains(stderr, `"level"`) && (len(lines) != 2 || !strings.HasPrefix(lines[0], "fattorino: ") || !strings.HasPrefix(lines[1], "  to do: ")) {
				t.Errorf("want one line of what is wrong, and one of what to do:\n%s", stderr)
			}
		})
	}
}
