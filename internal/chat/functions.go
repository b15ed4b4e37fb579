package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

// The functions that a template cannot name: the rewriter puts them in.
const (
	escapeFunction = "_escape"
	lookupFunction = "_lookup"
)

// markup is text in the tool's own form, that is not escaped again.
type markup string

// functions gives what a template can call. None of them fails, whatever it is
// given, and none gives more than maxOutput bytes of text: so that no template
// can build a long text of itself.
func functions(t tool) template.FuncMap {
	return template.FuncMap{
		escapeFunction: func(v any) string { return string(escaped(t, v)) },
		lookupFunction: lookup,
		"and":          allTrue,
		"or":           firstTrue,
		"not":          func(v any) bool { return !isTrue(v) },
		"eq":           equalsAny,
		"ne":           func(a, b any) bool { return text(a) != text(b) },
		"default":      func(fallback, v any) any { return firstTrue(v, fallback) },
		"upper":        func(v any) string { return cut(strings.ToUpper(cut(text(v), maxOutput)), maxOutput) },
		"lower":        func(v any) string { return cut(strings.ToLower(cut(text(v), maxOutput)), maxOutput) },
		"truncate":     truncate,
		"join":         join,
		"bold":         func(v any) markup { return bold(t, v) },
		"link":         func(address, label any) markup { return link(t, address, label) },
	}
}

// arity is how many arguments a function takes.
type arity struct{ least, most int }

// arities gives the functions that a template can name.
func arities() map[string]arity {
	const many = math.MaxInt
	return map[string]arity{
		"and":      {1, many}, // the first argument that is empty, else the last
		"or":       {1, many}, // the first argument that is not empty, else the last
		"not":      {1, 1},
		"eq":       {2, many}, // whether the first is written like one of the others
		"ne":       {2, 2},
		"default":  {2, 2}, // fallback, value
		"upper":    {1, 1},
		"lower":    {1, 1},
		"truncate": {2, 2}, // characters, value
		"join":     {2, 2}, // what stands between, list
		"bold":     {1, 1},
		"link":     {2, 2}, // URL, label
	}
}

// lookup gives a field of an object, and nil where there is none.
func lookup(v any, names ...string) any {
	for _, name := range names {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

// isTrue is the rule of {{if}}: not empty. A number is what its producer wrote,
// and never empty.
func isTrue(v any) bool {
	truth, _ := template.IsTrue(v)
	return truth && v != nil
}

func firstTrue(values ...any) any {
	for _, v := range values {
		if isTrue(v) {
			return v
		}
	}
	return values[len(values)-1]
}

func allTrue(values ...any) any {
	for _, v := range values {
		if !isTrue(v) {
			return v
		}
	}
	return values[len(values)-1]
}

// equalsAny compares as written, so that 12.50 and 12.5 are not the same.
func equalsAny(a any, others ...any) bool {
	for _, b := range others {
		if text(a) == text(b) {
			return true
		}
	}
	return false
}

// text writes a value: numbers as they were published, nothing for what is not
// there, lists and objects as JSON.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case markup:
		return string(v)
	case json.Number:
		return v.String()
	case []any, map[string]any:
		return cut(string(appendJSON(nil, v)), maxOutput)
	}
	return fmt.Sprint(v)
}

// maxMembers is how many members of a list or object are looked at to write it.
const maxMembers = 1000

// appendJSON appends lists and objects as JSON, up to about maxOutput bytes, in
// a time that does not grow with them.
func appendJSON(b []byte, v any) []byte {
	if len(b) > maxOutput {
		return b
	}
	switch v := v.(type) {
	case []any:
		b = append(b, '[')
		for i, member := range v[:min(len(v), maxMembers)] {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, member)
		}
		return append(b, ']')
	case map[string]any:
		if len(v) > maxMembers {
			return append(b, "{…}"...)
		}
		b = append(b, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendJSON(b, name), ':')
			b = appendJSON(b, v[name])
		}
		return append(b, '}')
	case nil:
		return append(b, "null"...)
	case string:
		var quoted bytes.Buffer
		e := json.NewEncoder(&quoted)
		e.SetEscapeHTML(false)
		_ = e.Encode(cut(v, maxOutput)) // a string can always be written
		return append(b, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
	}
	return append(b, text(v)...)
}

// truncate keeps so many characters, and says with a "…" that there were more.
func truncate(count, v any) string {
	n, err := strconv.Atoi(text(count))
	s := cut(text(v), maxOutput)
	if err != nil || n < 0 {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i] + "…"
		}
		n--
	}
	return s
}

// join writes the members of a list, at most maxMembers; anything else as it
// is.
func join(between, list any) string {
	members, ok := list.([]any)
	if !ok {
		return cut(text(list), maxOutput)
	}
	var b strings.Builder
	for i, member := range members[:min(len(members), maxMembers)] {
		if i > 0 {
			b.WriteString(cut(text(between), maxOutput))
		}
		if b.WriteString(cut(text(member), maxOutput)); b.Len() > maxOutput {
			break
		}
	}
	return cut(b.String(), maxOutput)
}

// cut keeps so many bytes, and whole characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

func escaped(t tool, v any) markup {
	if m, ok := v.(markup); ok {
		return m
	}
	return markup(t.escape(plain(cut(text(v), maxOutput))))
}

// bold sets a value in bold; nothing stays nothing.
func bold(t tool, v any) markup {
	inner := escaped(t, v)
	if strings.TrimSpace(string(inner)) == "" {
		return inner
	}
	mark := t.boldMark()
	return markup(mark) + inner + markup(mark)
}

// link makes a link to an http or https URL; the label alone of anything else.
func link(t tool, address, label any) markup {
	u, err := url.Parse(cut(text(address), maxOutput))
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		return escaped(t, label)
	}
	name := escaped(t, label)
	if name == "" {
		name = escaped(t, u.String())
	}
	// What has a meaning in any of the tools' links is percent-encoded.
	safe := strings.NewReplacer(
		"|", "%7C", "<", "%3C", ">", "%3E", "(", "%28", ")", "%29", "[", "%5B", "]", "%5D", `\`, "%5C", `"`, "%22", " ", "%20",
	).Replace(plain(u.String()))
	return markup(t.link(safe, string(name)))
}
