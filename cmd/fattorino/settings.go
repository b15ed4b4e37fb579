package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/fattorino-dev/fattorino/internal/app"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// settingFlags are the flags of the commands that take settings. Each setting
// has a flag (log-level), an environment variable (FATTORINO_LOG_LEVEL) and a
// key in the file (log_level); the first of these that gives it counts, and
// else its default. An empty variable gives nothing.
type settingFlags struct {
	ConfigFile string     `name:"config" group:"server" placeholder:"FILE" help:"YAML file with settings."`
	Settings   app.Config `embed:""`
}

// secretFlags says which settings are no flags: other users of a machine can
// read the arguments of a process.
func secretFlags() kong.Option {
	return kong.IgnoreFields(`.*\.AdminToken`, `.*\.DatabasePassword`, `.*\.MasterKeys`, `.*\.OIDCClientSecret`)
}

// settings are all settings and where each comes from.
type settings struct {
	app.Config
	origin map[string]string // by key; absent = the default
}

// load puts the settings together, and refuses what cannot be used.
func (f *settingFlags) load(parsed *kong.Context, getenv func(string) string) (*settings, error) {
	s := &settings{Config: app.Default(), origin: map[string]string{}}
	file := f.ConfigFile
	if file == "" {
		file = getenv(variable("config"))
	}
	if file != "" {
		if err := s.readFile(file); err != nil {
			return nil, err
		}
	}
	for _, setting := range s.Settings() {
		name := variable(setting.Key)
		if text := getenv(name); text != "" {
			s.origin[setting.Key] = name
			if err := setting.Set(text); err != nil {
				return nil, s.explain(err)
			}
		}
	}
	for _, given := range parsed.Path {
		if given.Flag == nil {
			continue
		}
		if setting, ok := s.Setting(keyOf(given.Flag.Name)); ok {
			s.origin[setting.Key] = "--" + given.Flag.Name
			setting.SetFrom(&f.Settings)
		}
	}
	return s, s.explain(s.Validate())
}

// explain turns the errors of settings into a mistake of the user's, each with
// the place that it is in.
func (s *settings) explain(err error) error {
	if err == nil {
		return nil
	}
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	var all []string
	for _, one := range list {
		msg := one.Error()
		if wrong, ok := errors.AsType[*app.SettingError](one); ok && s.origin[wrong.Key] != "" {
			msg += " (from " + s.origin[wrong.Key] + ")"
		}
		all = append(all, msg)
	}
	return &usageError{msg: strings.Join(all, "\n"), fix: `see "fattorino serve --help" for what each setting takes`}
}

// readFile reads the settings of a YAML file: one mapping from keys to values.
func (s *settings) readFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return &usageError{msg: fmt.Sprintf("the file of settings cannot be read: %v", err), fix: "give the path of a YAML file to --config"}
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return &usageError{msg: fmt.Sprintf("%s is not YAML: %v", path, err), fix: `write it as "fattorino config" does`}
	}
	if len(document.Content) == 0 {
		return nil // nothing but comments
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return &usageError{msg: path + " does not hold settings", fix: `write one "key: value" a line, as "fattorino config" does`}
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if err := s.readSetting(path, root.Content[i], root.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (s *settings) readSetting(path string, key, value *yaml.Node) error {
	place := fmt.Sprintf("%s line %d", path, key.Line)
	setting, ok := s.Setting(key.Value)
	if !ok {
		fix := `see "fattorino config" for every setting`
		if near := nearest(key.Value, s.Settings()); near != "" {
			fix = fmt.Sprintf("did you mean %q?", near)
		}
		return &usageError{msg: fmt.Sprintf("%s: there is no setting %q", place, key.Value), fix: fix}
	}
	if s.origin[setting.Key] != "" {
		return &usageError{msg: fmt.Sprintf("%s: %q is there twice", place, key.Value), fix: "leave one of them out"}
	}
	s.origin[setting.Key] = place
	switch value.Kind {
	case yaml.ScalarNode:
		if value.Tag == "!!null" {
			delete(s.origin, setting.Key) // a key without a value leaves the default
			return nil
		}
		return s.explain(setting.Set(value.Value))
	case yaml.SequenceNode:
		var list []string
		for _, member := range value.Content {
			if member.Kind != yaml.ScalarNode {
				return s.explain(&app.SettingError{Key: setting.Key, Problem: "its members must be plain values"})
			}
			list = append(list, member.Value)
		}
		return s.explain(setting.SetList(list))
	default: // a mapping, an alias
		return s.explain(&app.SettingError{Key: setting.Key, Problem: "it takes a value or a list"})
	}
}

// nearest gives the key closest to a name; empty when none is close.
func nearest(name string, settings []app.Setting) string {
	var keys []string
	for _, s := range settings {
		keys = append(keys, s.Key)
	}
	return fattorino.Closest(name, keys)
}
