package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the page's template and style
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fattorino-dev/fattorino/internal/cloudevents"
)

//go:embed docs.html
var docsHTML string

//go:embed docs.css
var docsCSS string

// A docsPage is the page at /docs, ready to be sent.
type docsPage struct {
	html   []byte
	policy string // Content-Security-Policy: its own style, and nothing from anywhere
}

// renderDocs makes the page of the description. It needs no script and no
// other file.
func renderDocs(d *description) (docsPage, error) {
	page, err := template.New("docs").Funcs(template.FuncMap{
		"markdown": markdown,
		"inline":   inline,
		"example":  example,
		"typename": typeName,
		"link":     schemaLink,
		"refname":  refName,
		"anchor":   problemAnchor,
		"value":    func(n yaml.Node) string { return n.Value },
		"has":      slices.Contains[[]string],
		"join":     func(a, b []parameter) []parameter { return slices.Concat(a, b) },
		"tagged":   d.tagged,
	}).Parse(docsHTML)
	if err != nil {
		return docsPage{}, fmt.Errorf("docs page: %w", err)
	}
	var html bytes.Buffer
	err = page.Execute(&html, struct {
		*description
		Style template.CSS
	}{d, template.CSS(docsCSS)}) //nolint:gosec // our own file
	if err != nil {
		return docsPage{}, fmt.Errorf("docs page: %w", err)
	}
	sum := sha256.Sum256([]byte(docsCSS))
	return docsPage{
		html: html.Bytes(),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}, nil
}

// A described operation, with what the page needs of its place.
type described struct {
	Method, Path string
	Shared       []parameter // of the path
	Public       bool
	*operationItem
}

// tagged gives the operations of a tag, in the order of the description.
func (d *description) tagged(name string) []described {
	var list []described
	for path, item := range d.Paths.all() {
		for method, op := range item.operations() {
			if slices.Contains(op.Tags, name) {
				list = append(list, described{method, path, item.Parameters, op.public(), op})
			}
		}
	}
	return list
}

// problemAnchor gives the place of a problem on the page, as its type says it.
func problemAnchor(r response) (string, error) {
	for _, m := range r.Content.all() {
		var problem struct{ Type string }
		if err := m.Example.Decode(&problem); err != nil {
			return "", err
		}
		if _, anchor, ok := strings.Cut(problem.Type, "#"); ok {
			return anchor, nil
		}
	}
	return "", fmt.Errorf("response %q has no example of its problem", r.Description)
}

// typeName says in a few words what values a schema has; empty where it says
// no more than a link does.
func typeName(s schema) string {
	var words []string
	switch {
	case s.Ref != "":
	case s.Const != "":
		words = append(words, fmt.Sprintf("%q", s.Const))
	case len(s.Enum) > 0:
		words = append(words, strings.Join(s.Enum, " | "))
	case s.Type.Kind == yaml.SequenceNode:
		for _, t := range s.Type.Content {
			words = append(words, t.Value)
		}
		words = []string{strings.Join(words, " or ")}
	case s.Type.Value == "array" && s.Items != nil && s.Items.Ref == "":
		words = append(words, "list of "+typeName(*s.Items))
	case s.Type.Value == "array":
		words = append(words, "list of")
	case s.Type.Value == "":
		words = append(words, "any")
	default:
		words = append(words, s.Type.Value)
	}
	if s.Format != "" && s.Format != "int64" && s.Format != "double" {
		words = append(words, "("+s.Format+")")
	}
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		words = append(words, fmt.Sprintf("%d to %d", *s.Minimum, *s.Maximum))
	case s.Minimum != nil:
		words = append(words, fmt.Sprintf("from %d", *s.Minimum))
	case s.MaxLength != nil:
		words = append(words, fmt.Sprintf("to %d characters", *s.MaxLength))
	}
	return strings.Join(words, " ")
}

// schemaLink gives the name of the schema that s refers to, itself or its
// items.
func schemaLink(s schema) string {
	if s.Ref == "" && s.Items != nil {
		return refName(s.Items.Ref)
	}
	return refName(s.Ref)
}

// inline turns one line of our descriptions into HTML.
func inline(line string) template.HTML {
	return template.HTML(codeSpan.ReplaceAllString(template.HTMLEscapeString(line), "<code>$1</code>")) //nolint:gosec // it has been escaped
}

// codeSpan finds `code` in text that has been escaped for HTML.
var codeSpan = regexp.MustCompile("`([^`]+)`")

// markdown turns the small part of CommonMark that our descriptions use into
// HTML: paragraphs, lists with "- ", and `code`.
func markdown(text string) template.HTML {
	var out strings.Builder
	inList := false
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		item, isItem := strings.CutPrefix(line, "- ")
		if isItem != inList {
			out.WriteString(map[bool]string{true: "<ul>", false: "</ul>"}[isItem])
			inList = isItem
		}
		switch {
		case isItem:
			out.WriteString("<li>" + string(inline(item)) + "</li>")
		case line != "":
			out.WriteString("<p>" + string(inline(line)) + "</p>")
		}
	}
	if inList {
		out.WriteString("</ul>")
	}
	return template.HTML(out.String()) //nolint:gosec // inline has escaped every line of it
}

// example gives a YAML value as JSON to read; empty where there is none.
func example(n yaml.Node) (string, error) {
	if n.IsZero() {
		return "", nil
	}
	text, err := appendJSON(nil, &n)
	if err != nil {
		return "", err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, text, "", "  "); err != nil {
		return "", fmt.Errorf("line %d: %w", n.Line, err)
	}
	return pretty.String(), nil
}

// appendJSON appends a YAML node as JSON; members keep their order, numbers
// their digits.
func appendJSON(dst []byte, n *yaml.Node) ([]byte, error) {
	open, end := byte('{'), byte('}')
	switch n.Kind {
	case yaml.ScalarNode:
		if tag := n.ShortTag(); tag == "!!int" || tag == "!!float" || tag == "!!bool" || tag == "!!null" {
			return append(dst, n.Value...), nil
		}
		return cloudevents.AppendJSONString(dst, n.Value), nil
	case yaml.SequenceNode:
		open, end = '[', ']'
	case yaml.MappingNode:
	default:
		return nil, fmt.Errorf("line %d: an example must be plain", n.Line)
	}
	dst = append(dst, open)
	for i, child := range n.Content {
		if i > 0 && n.Kind == yaml.MappingNode && i%2 == 1 {
			dst = append(dst, ':')
		} else if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendJSON(dst, child); err != nil {
			return nil, err
		}
	}
	return append(dst, end), nil
}
