package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// writeFile writes a file of settings and gives its path.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fattorino.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAFlagCountsMoreThanAVariableAndThatMoreThanTheFile(t *testing.T) {
	t.Parallel()
	// One setting of each kind: text, truth value, integers, time span, list.
	for _, x := range []struct{ key, other, file, variable, flag string }{
		{"log_level", "info", "debug", "warn", "error"},
		{"dev", "false", "true", "false", "true"},
		{"lane_limit", "8", "1", "2", "3"},
		{"max_event_bytes", "1048576", "1", "2", "3"},
		{"retention", "30d", "1d", "2d", "3d"},
		{"exempt_sinks", "", "a.example,b.example", "c.example", "d.example,e.example"},
	} {
		flag := "--" + strings.ReplaceAll(x.key, "_", "-") + "=" + x.flag
		env := map[string]string{"FATTORINO_" + strings.ToUpper(x.key): x.variable}
		value := x.file
		if x.key == "exempt_sinks" {
			value = "[" + value + "]"
		}
		file := "--config=" + writeFile(t, x.key+": "+value)
		for _, given := range []struct {
			want, origin string
			env          map[string]string
			args         []string
		}{
			{x.other, "default", nil, nil},
			{x.file, "fattorino.yaml line 1", nil, []string{file}},
			{x.variable, "FATTORINO_" + strings.ToUpper(x.key), env, []string{file}},
			{x.flag, strings.Split(flag, "=")[0], env, []string{file, flag}},
		} {
			code, stdout, stderr := runMain(t, given.env, nil, append([]string{"config"}, given.args...)...)
			line := lineOf(stdout, x.key)
			if code != 0 || !strings.HasSuffix(line, given.origin) || shownValue(line) != given.want {
				t.Errorf("%v %v: got %q %s", given.args, given.env, line, stderr)
			}
		}
	}
}

// lineOf gives the line of a setting in the output of config.
func lineOf(text, key string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, key+":") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// shownValue gives the value of such a line, without quotes and brackets.
func shownValue(line string) string {
	_, value, _ := strings.Cut(line, ": ")
	value, _, _ = strings.Cut(value, " #")
	return strings.NewReplacer(`"`, "", "[", "", "]", "", ", ", ",").Replace(value)
}

func TestTheFileCanBeNamedInTheEnvironment(t *testing.T) {
	t.Parallel()
	env := map[string]string{"FATTORINO_CONFIG": writeFile(t, "listen: 127.0.0.1:1")}
	if _, stdout, _ := runMain(t, env, nil, "config"); !strings.Contains(stdout, `listen: "127.0.0.1:1"`) {
		t.Error("the file was not read")
	}
}

func TestWhatConfigPrintsIsAFileOfTheSameSettings(t *testing.T) {
	t.Parallel()
	args := []string{
		"config", "--data=a: b #c", "--exempt-sinks=*.example.com,x.example", "--retention=36h", "--dev", "--node-limit=7",
		`--fic-user-agent=quote " and \ here`,
	}
	_, first, _ := runMain(t, nil, nil, args...)
	code, second, stderr := runMain(t, nil, nil, "config", "--config", writeFile(t, first))
	if code != 0 {
		t.Fatal(stderr)
	}
	c := app.Default()
	for _, s := range c.Settings() {
		before, _, _ := strings.Cut(lineOf(first, s.Key), " # ")
		after, _, _ := strings.Cut(lineOf(second, s.Key), " # ")
		if before != after || (before == "" && !s.Secret) {
			t.Errorf("%s: %q became %q", s.Key, before, after)
		}
	}
}

func TestConfigShowsNoSecret(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"FATTORINO_ADMIN_TOKEN": "secret-one", "FATTORINO_MASTER_KEYS": "m1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	}
	code, stdout, stderr := runMain(t, env, nil, "config")
	if code != 0 || strings.Contains(stdout+stderr, "secret-one") || strings.Contains(stdout+stderr, "AAAA") {
		t.Errorf("got %d\n%s%s", code, stdout, stderr)
	}
	if !strings.Contains(stdout, "admin_token: set, not shown (FATTORINO_ADMIN_TOKEN)") {
		t.Error("it is not said that the token is set")
	}
	env["FATTORINO_MASTER_KEYS"], env["FATTORINO_ADMIN_TOKEN"] = "m1:secret-two", "secret one"
	code, stdout, stderr = runMain(t, env, nil, "config")
	if code != 2 || strings.Contains(stdout+stderr, "secret") {
		t.Errorf("an error shows a secret, or there is none:\n%s", stderr)
	}
}

func TestWhatIsWrongInAFileIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"listn: 127.0.0.1:1":               `line 1: there is no setting "listn"` + "\n  to do: did you mean \"listen\"?",
		"# comment\ncolour: red":           `line 2: there is no setting "colour"` + "\n  to do: see",
		"dev: maybe":                       `dev: "maybe" is neither true nor false (from `,
		"dev: true\ndev: false":            `line 2: "dev" is there twice`,
		"lane_limit: many":                 `lane_limit: "many" is not an integer (from `,
		"lane_limit: 0":                    `lane_limit: 0 is too small`,
		"listen: [a, b]":                   `listen: it takes one value, not a list`,
		"listen: {a: b}":                   `listen: it takes a value or a list`,
		"exempt_sinks: [[a]]":              `exempt_sinks: its members must be plain values`,
		"- a":                              `does not hold settings`,
		"a: b: c":                          `is not YAML`,
		"retention: forever":               `retention: "forever" is not a time span`,
		"sink_ca_file: /none/ca.pem":       `sink_ca_file: open /none/ca.pem`,
		"log_level: loud\nlog_format: xml": `log_format: "xml" is none of auto, text, json (from `,
	} {
		code, _, stderr := runMain(t, nil, nil, "config", "--config", writeFile(t, text))
		if code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%q: got %d %s", text, code, stderr)
		}
	}
	for _, text := range []string{"", "# nothing", "dev:", "exempt_sinks: []", "exempt_sinks: a.example", "retention: 0"} {
		if code, _, stderr := runMain(t, nil, nil, "config", "--config", writeFile(t, text)); code != 0 {
			t.Errorf("%q: got %d %s", text, code, stderr)
		}
	}
	if code, _, stderr := runMain(t, nil, nil, "config", "--config", "/none"); code != 2 || !strings.Contains(stderr, "cannot be read") {
		t.Errorf("got %d %s", code, stderr)
	}
}

func TestAWrongVariableIsNamed(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{"FATTORINO_RETENTION": "soon", "FATTORINO_LOG_LEVEL": "loud"} {
		code, _, stderr := runMain(t, map[string]string{name: value}, nil, "config")
		if code != 2 || !strings.Contains(stderr, "(from "+name+")") {
			t.Errorf("got %d %s", code, stderr)
		}
	}
}

func TestEverySettingButTheSecretsIsAFlag(t *testing.T) {
	t.Parallel()
	flags := map[string]bool{}
	parser, err := kong.New(&cli{}, secretFlags())
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parser.Model.Children {
		if command.Name != "serve" {
			continue
		}
		for _, flag := range command.Flags {
			flags[flag.Name] = true
		}
	}
	c := app.Default()
	for _, s := range c.Settings() {
		if name := strings.ReplaceAll(s.Key, "_", "-"); flags[name] == s.Secret {
			t.Errorf("%s: is a flag: %v, is secret: %v", s.Key, flags[name], s.Secret)
		}
	}
}

func FuzzReadFile(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\nexempt_sinks: [a, b]\n")
	f.Add("dev: &a true\nlog_level: *a\n")
	f.Add("? {a: b}\n: c\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, fmt.Sprintf("%x.yaml", len(text)))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := &settings{Config: app.Default(), origin: map[string]string{}}
		_ = s.readFile(path) // must say what is wrong, and not panic
	})
}
