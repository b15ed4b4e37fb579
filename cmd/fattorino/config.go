package main

import (
	"fmt"
	"io"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// configCommand shows the settings.
type configCommand struct{ settingFlags }

// Help is what --help adds.
func (*configCommand) Help() string {
	return `What it prints is a file of settings as --config takes it. Secrets are left out.

Example:

    fattorino config > fattorino.yaml`
}

// Run prints every setting with its help and its origin.
func (c *configCommand) Run(parsed *kong.Context, env *environment) error {
	s, err := c.load(parsed, env.getenv)
	if err != nil {
		return err
	}
	for i, setting := range s.Settings() {
		if i > 0 {
			_, _ = fmt.Fprintln(env.stdout)
		}
		if err := s.print(env.stdout, setting); err != nil {
			return err
		}
	}
	return nil
}

// print writes one setting as lines of YAML.
func (s *settings) print(w io.Writer, setting app.Setting) error {
	origin := s.origin[setting.Key]
	if origin == "" {
		origin = "default"
	}
	if setting.Secret {
		state := "not set"
		if setting.String() != "" {
			state = "set, not shown"
		}
		_, err := fmt.Fprintf(w, "# %s\n# %s: %s (%s)\n", setting.Help, setting.Key, state, origin)
		return err
	}
	line, err := yaml.Marshal(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
		{Kind: yaml.ScalarNode, Value: setting.Key, HeadComment: setting.Help},
		valueNode(setting, origin),
	}})
	if err != nil {
		return fmt.Errorf("write %s: %w", setting.Key, err)
	}
	_, err = w.Write(line)
	return err
}

// valueNode gives a setting's value in YAML, with its origin beside it.
func valueNode(setting app.Setting, origin string) *yaml.Node {
	if setting.IsList() {
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, LineComment: origin}
		for _, member := range setting.List() {
			list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Value: member})
		}
		return list
	}
	value := &yaml.Node{Kind: yaml.ScalarNode, Value: setting.String(), LineComment: origin}
	if setting.IsText() {
		value.Style = yaml.DoubleQuotedStyle
	}
	return value
}
