package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// typesFile is the file of the setting types_file: the operator's own event
// types, and the groups that stand for several.
type typesFile struct {
	Types  map[string]typeEntry `yaml:"types"`
	Groups map[string][]string  `yaml:"groups"`
}

// typeEntry is what the file says of a type.
type typeEntry struct {
	Description string `yaml:"description"`
	Common      string `yaml:"common"`     // common name that its events count as
	Deprecated  string `yaml:"deprecated"` // what to use instead
	// Schema is a JSON Schema, written in YAML.
	Schema yaml.Node `yaml:"schema"`
}

// readTypes reads a file of types; an empty path is an empty file.
func readTypes(path string) (types []fattorino.OwnType, groups []fattorino.Group, err error) {
	if path == "" {
		return nil, nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("it cannot be read: %w", err)
	}
	var file typesFile
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) { // EOF: nothing but comments
		return nil, nil, fmt.Errorf("%s is not understood: %w", path, err)
	}
	for _, name := range slices.Sorted(maps.Keys(file.Types)) {
		entry := file.Types[name]
		t := fattorino.OwnType{Name: name, Description: entry.Description, Common: entry.Common, Deprecated: entry.Deprecated}
		if t.Schema, err = schemaOf(&entry.Schema); err != nil {
			return nil, nil, fmt.Errorf("%s: the schema of %s cannot be written as JSON: %w", path, name, err)
		}
		types = append(types, t)
	}
	for _, name := range slices.Sorted(maps.Keys(file.Groups)) {
		groups = append(groups, fattorino.Group{Name: name, Types: file.Groups[name]})
	}
	return types, groups, nil
}

// schemaOf writes a schema as JSON; nil where there is none.
func schemaOf(node *yaml.Node) ([]byte, error) {
	value, err := valueOf(node)
	if err != nil || value == nil {
		return nil, err
	}
	return json.Marshal(value)
}

// valueOf gives a value of YAML as JSON has it: numbers as they are written,
// and dates as texts.
func valueOf(node *yaml.Node) (any, error) {
	switch node.Kind {
	case yaml.MappingNode:
		object := make(map[string]any, len(node.Content)/2)
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if _, twice := object[key.Value]; twice || key.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("line %d: a key is there twice, or is no text", key.Line)
			}
			member, err := valueOf(node.Content[i+1])
			if err != nil {
				return nil, err
			}
			object[key.Value] = member
		}
		return object, nil
	case yaml.SequenceNode:
		list := make([]any, len(node.Content))
		for i, item := range node.Content {
			var err error
			if list[i], err = valueOf(item); err != nil {
				return nil, err
			}
		}
		return list, nil
	case yaml.AliasNode:
		return nil, fmt.Errorf("line %d: aliases are not taken here: use $ref", node.Line)
	case yaml.ScalarNode:
		return scalarOf(node)
	default: // it is not there
		return nil, nil
	}
}

func scalarOf(node *yaml.Node) (value any, err error) {
	switch tag := node.ShortTag(); {
	case (tag == "!!int" || tag == "!!float") && json.Valid([]byte(node.Value)):
		return json.Number(node.Value), nil
	case tag == "!!int", tag == "!!float", tag == "!!bool", tag == "!!null":
		err = node.Decode(&value)
		return value, err
	}
	return node.Value, nil
}

// readTemplates reads a file of templates of chat messages: by format, and
// there by event type. An empty path is an empty file.
func readTemplates(path string) (templates map[string]map[string]string, err error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	if err := yaml.Unmarshal(text, &templates); err != nil {
		return nil, fmt.Errorf("%s is not understood: %w", path, err)
	}
	return templates, nil
}
