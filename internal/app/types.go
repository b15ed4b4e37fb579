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
	Schema      any    `yaml:"schema"`     // JSON Schema, written in YAML
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
		if entry.Schema != nil {
			if t.Schema, err = json.Marshal(entry.Schema); err != nil {
				return nil, nil, fmt.Errorf("%s: the schema of %s cannot be written as JSON: %w", path, name, err)
			}
		}
		types = append(types, t)
	}
	for _, name := range slices.Sorted(maps.Keys(file.Groups)) {
		groups = append(groups, fattorino.Group{Name: name, Types: file.Groups[name]})
	}
	return types, groups, nil
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
