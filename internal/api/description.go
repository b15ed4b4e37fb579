package api

import (
	_ "embed" // for openapi.yaml
	"fmt"
	"iter"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var openapiYAML string

// A description is openapi.yaml, as far as routing and the page at /docs read
// it. The full grammar is checked by a test.
type description struct {
	Info struct {
		Title, Version, Summary, Description string
	}
	Tags       []tag
	Paths      ordered[pathItem]
	Components struct {
		Schemas    ordered[schema]
		Parameters ordered[parameter]
		Headers    ordered[header]
		Responses  ordered[response]
	}
}

type tag struct{ Name, Description string }

type pathItem struct {
	Parameters                    []parameter
	Get, Put, Post, Patch, Delete *operationItem
}

// operations gives the operations by method.
func (p *pathItem) operations() iter.Seq2[string, *operationItem] {
	return func(yield func(string, *operationItem) bool) {
		for _, o := range []entry[*operationItem]{{"GET", p.Get}, {"POST", p.Post}, {"PUT", p.Put}, {"PATCH", p.Patch}, {"DELETE", p.Delete}} {
			if o.Value != nil && !yield(o.Name, o.Value) {
				return
			}
		}
	}
}

type operationItem struct {
	OperationID string `yaml:"operationId"`
	Tags        []string
	Summary     string
	Description string
	Security    *[]map[string][]string // empty = public; absent = as everywhere
	Parameters  []parameter
	RequestBody *struct {
		Content ordered[media]
	} `yaml:"requestBody"`
	Responses ordered[response]
}

type parameter struct {
	Ref         string `yaml:"$ref"`
	Name        string
	In          string
	Required    bool
	Description string
	Schema      schema
	Example     yaml.Node
}

type header struct {
	Ref         string `yaml:"$ref"`
	Description string
}

type response struct {
	Ref         string `yaml:"$ref"`
	Description string
	Headers     ordered[header]
	Content     ordered[media]
}

type media struct {
	Schema   schema
	Example  yaml.Node
	Examples ordered[struct {
		Summary string
		Value   yaml.Node
	}]
}

type schema struct {
	Ref         string `yaml:"$ref"`
	Type        yaml.Node
	Format      string
	Description string
	Properties  ordered[schema]
	Required    []string
	Items       *schema
	Enum        []string
	Const       string
	Minimum     *int
	Maximum     *int
	MaxLength   *int `yaml:"maxLength"`
	Default     yaml.Node
}

// ordered is a mapping whose order counts.
type ordered[T any] []entry[T]

type entry[T any] struct {
	Name  string
	Value T
}

// UnmarshalYAML reads a mapping.
func (o *ordered[T]) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: a mapping is expected", node.Line)
	}
	for i := 0; i < len(node.Content); i += 2 {
		e := entry[T]{Name: node.Content[i].Value}
		if err := node.Content[i+1].Decode(&e.Value); err != nil {
			return err
		}
		*o = append(*o, e)
	}
	return nil
}

// all goes over the mapping in order.
func (o ordered[T]) all() iter.Seq2[string, *T] {
	return func(yield func(string, *T) bool) {
		for i := range o {
			if !yield(o[i].Name, &o[i].Value) {
				return
			}
		}
	}
}

// find gives what a reference as "#/components/schemas/App" leads to.
func find[T any](o ordered[T], ref string) (*T, error) {
	name := refName(ref)
	for key, value := range o.all() {
		if key == name {
			return value, nil
		}
	}
	return nil, fmt.Errorf("openapi.yaml: %s leads nowhere", ref)
}

// refName gives the last part of a reference.
func refName(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// parseDescription reads openapi.yaml and puts in place the parameters and
// responses that are given by reference. References to schemas stay.
func parseDescription(text string) (*description, error) {
	d := &description{}
	if err := yaml.Unmarshal([]byte(text), d); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	for _, path := range d.Paths.all() {
		if err := d.resolveParameters(path.Parameters); err != nil {
			return nil, err
		}
		for _, op := range path.operations() {
			if err := d.resolveParameters(op.Parameters); err != nil {
				return nil, err
			}
			if err := d.resolveHeaders(op.Responses); err != nil {
				return nil, err
			}
		}
	}
	return d, d.resolveHeaders(d.Components.Responses)
}

func (d *description) resolveParameters(list []parameter) error {
	for i := range list {
		if list[i].Ref == "" {
			continue
		}
		found, err := find(d.Components.Parameters, list[i].Ref)
		if err != nil {
			return err
		}
		list[i] = *found
	}
	return nil
}

// resolveHeaders puts the headers of responses in place. Responses given by
// reference keep it: the page explains each of them once.
func (d *description) resolveHeaders(responses ordered[response]) error {
	for _, r := range responses.all() {
		for _, h := range r.Headers.all() {
			if h.Ref == "" {
				continue
			}
			found, err := find(d.Components.Headers, h.Ref)
			if err != nil {
				return err
			}
			*h = *found
		}
	}
	return nil
}

// public tells whether the operation needs no token.
func (op *operationItem) public() bool {
	return op.Security != nil && len(*op.Security) == 0
}

// queryNames gives the query parameters of an operation.
func (op *operationItem) queryNames(path *pathItem) []string {
	var names []string
	for _, p := range slices.Concat(path.Parameters, op.Parameters) {
		if p.In == "query" {
			names = append(names, p.Name)
		}
	}
	return names
}
