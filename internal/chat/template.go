package chat

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode/utf8"
)

// The bounds of a template.
const (
	maxSource = 8 << 10  // bytes of its text
	maxOutput = 16 << 10 // bytes of what it writes; the rest is cut off
)

// templateName stands in errors, before the line.
const templateName = "message"

// Check holds a template to the rules, and fails with the line of the fault
// and, where it is not one of syntax, the column in it, both from 1:
//
//	template: message:2:9: there is no function "printf": …
//
// It is a Go text/template of at most 8 KiB. It may use {{if}}, {{with}},
// {{else}}, variables and the functions and, bold, default, eq, join, link,
// lower, ne, not, or, truncate and upper. There are no loops and no other
// templates, and no function can fail or write much: so a template that passes
// can be rendered for every event, in time that grows with its own length and
// the event's alone.
func Check(source string) error {
	_, err := compile(source, slack{})
	return err
}

// compile makes a template whose values are escaped for the tool.
func compile(source string, t tool) (*template.Template, error) {
	switch {
	case len(source) > maxSource:
		return nil, fmt.Errorf("template: %s: it has %d bytes: %d are allowed", templateName, len(source), maxSource)
	case !utf8.ValidString(source):
		return nil, fmt.Errorf("template: %s: it is not UTF-8", templateName)
	}
	parsed, err := template.New(templateName).Funcs(functions(t)).Parse(source)
	if err != nil {
		return nil, err
	}
	if parsed.Tree == nil || parse.IsEmptyTree(parsed.Root) {
		return nil, fmt.Errorf("template: %s: it says nothing", templateName)
	}
	if len(parsed.Templates()) > 1 {
		return nil, fmt.Errorf("template: %s: other templates cannot be defined in it", templateName)
	}
	r := rewriter{tree: parsed.Tree, source: source, variables: []string{"$"}}
	r.list(parsed.Root)
	return parsed, r.err
}

// execute gives what the template writes, without white space around it. The
// only thing that can stop a template that was checked is that it is cut off.
func execute(t *template.Template, view map[string]any) (string, error) {
	w := &capped{}
	if err := t.Execute(w, view); err != nil && !errors.Is(err, errCapped) {
		return "", err
	}
	return strings.TrimSpace(strings.ToValidUTF8(w.String(), "")), nil
}

var errCapped = errors.New("the message is long enough")

// capped keeps the first maxOutput bytes, and fails at the next.
type capped struct{ strings.Builder }

func (c *capped) Write(p []byte) (int, error) {
	room := maxOutput - c.Len()
	if len(p) > room {
		_, _ = c.Builder.Write(p[:room]) // a Builder never fails
		return room, errCapped
	}
	return c.Builder.Write(p)
}

var _ io.Writer = (*capped)(nil)

// A rewriter makes a template safe: it refuses what could fail or take long,
// makes every field that is not there empty, and escapes every value.
type rewriter struct {
	tree   *parse.Tree
	source string
	inner  int // how many {{with}} are open: within them the dot can be anything
	err    error

	// variables are those there are where it has come to. A template is parsed
	// that sets another, or asks for one that was made in the other branch, and
	// fails when it is rendered.
	variables []string
}

// fail notes the first fault, with its place.
func (r *rewriter) fail(at parse.Pos, format string, args ...any) {
	if r.err != nil {
		return
	}
	before := r.source[:min(int(at), len(r.source))]
	line := 1 + strings.Count(before, "\n")
	column := 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	r.err = fmt.Errorf("template: %s:%d:%d: %s", templateName, line, column, fmt.Sprintf(format, args...))
}

func (r *rewriter) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, node := range l.Nodes {
		switch n := node.(type) {
		case *parse.TextNode, *parse.CommentNode:
		case *parse.ActionNode:
			r.pipe(n.Pipe)
			if len(n.Pipe.Decl) == 0 {
				n.Pipe.Cmds = append(n.Pipe.Cmds, r.call(n.Pos, escapeFunction))
			}
		case *parse.IfNode:
			r.branches(&n.BranchNode, 0)
		case *parse.WithNode:
			r.branches(&n.BranchNode, 1)
		case *parse.RangeNode:
			r.fail(n.Pos, "there are no loops: join writes a list")
		default:
			r.fail(n.Position(), "only values, if and with can be used")
		}
	}
}

// branches checks an {{if}}, or a {{with}}, whose first branch is one deeper.
func (r *rewriter) branches(n *parse.BranchNode, deeper int) {
	before := len(r.variables)
	r.pipe(n.Pipe)
	both := len(r.variables)
	r.inner += deeper
	r.list(n.List)
	r.inner -= deeper
	r.variables = r.variables[:both]
	r.list(n.ElseList)
	r.variables = r.variables[:before]
}

func (r *rewriter) pipe(p *parse.PipeNode) {
	for i, c := range p.Cmds {
		r.command(c, i > 0)
	}
	for _, v := range p.Decl {
		if p.IsAssign {
			r.variable(v)
		} else {
			r.variables = append(r.variables, v.Ident[0])
		}
	}
}

// variable refuses one that there is not.
func (r *rewriter) variable(v *parse.VariableNode) {
	if name := v.Ident[0]; !slices.Contains(r.variables, name) {
		r.fail(v.Pos, "there is no variable %s here: {{%s := …}} makes it", name, name)
	}
}

// command checks one command, and all that is in it. What is piped into it is
// its last argument.
func (r *rewriter) command(c *parse.CommandNode, piped bool) {
	given := len(c.Args) - 1
	if piped {
		given++
	}
	name, isCall := c.Args[0].(*parse.IdentifierNode)
	switch {
	case isCall:
		r.arity(name, given)
	case given > 0:
		r.fail(c.Pos, "only a function takes arguments, and %s is none", c.Args[0])
	}
	for i, arg := range c.Args {
		if i > 0 || !isCall {
			c.Args[i] = r.operand(arg)
		}
	}
}

func (r *rewriter) arity(name *parse.IdentifierNode, given int) {
	takes, ok := arities()[name.Ident]
	switch {
	case !ok:
		known := slices.Sorted(maps.Keys(arities()))
		r.fail(name.Pos, "there is no function %q: there are %s", name.Ident, strings.Join(known, ", "))
	case given < takes.least || given > takes.most:
		r.fail(name.Pos, "the function %s does not take %d arguments", name.Ident, given)
	}
}

// operand checks one operand. A field becomes a call that is empty where there
// is no such field, rather than an error.
func (r *rewriter) operand(node parse.Node) parse.Node {
	switch n := node.(type) {
	case *parse.FieldNode:
		if r.inner == 0 {
			r.known(n.Pos, n.Ident[0])
		}
		return r.field(n.Pos, &parse.DotNode{NodeType: parse.NodeDot, Pos: n.Pos}, n.Ident)
	case *parse.VariableNode:
		r.variable(n)
		if len(n.Ident) == 1 {
			return n
		}
		if n.Ident[0] == "$" {
			r.known(n.Pos, n.Ident[1])
		}
		variable := &parse.VariableNode{NodeType: parse.NodeVariable, Pos: n.Pos, Ident: n.Ident[:1]}
		return r.field(n.Pos, variable, n.Ident[1:])
	case *parse.ChainNode:
		return r.field(n.Pos, r.operand(n.Node), n.Field)
	case *parse.PipeNode:
		if len(n.Decl) > 0 {
			r.fail(n.Pos, "a variable is set by itself, not in parentheses")
		}
		r.pipe(n)
	case *parse.IdentifierNode: // a function without arguments
		r.arity(n, 0)
	case *parse.NumberNode:
		if !n.IsInt {
			r.fail(n.Pos, "the number %s is no integer: write it in quotes", n.Text)
		}
	case *parse.DotNode, *parse.StringNode, *parse.BoolNode:
	default:
		r.fail(node.Position(), "%s cannot be used", node)
	}
	return node
}

// known refuses a name that no event has.
func (r *rewriter) known(at parse.Pos, name string) {
	if names := viewNames(); !slices.Contains(names, name) {
		r.fail(at, "there is no .%s: there are .%s, and what was published is in .Data", name, strings.Join(names, ", ."))
	}
}

// field makes the call that looks fields up.
func (r *rewriter) field(at parse.Pos, of parse.Node, names []string) parse.Node {
	args := []parse.Node{of}
	for _, name := range names {
		args = append(args, &parse.StringNode{NodeType: parse.NodeString, Pos: at, Quoted: fmt.Sprintf("%q", name), Text: name})
	}
	return &parse.PipeNode{NodeType: parse.NodePipe, Pos: at, Cmds: []*parse.CommandNode{r.call(at, lookupFunction, args...)}}
}

func (r *rewriter) call(at parse.Pos, function string, args ...parse.Node) *parse.CommandNode {
	name := parse.NewIdentifier(function).SetPos(at).SetTree(r.tree)
	return &parse.CommandNode{NodeType: parse.NodeCommand, Pos: at, Args: append([]parse.Node{name}, args...)}
}
