package chat

import (
	"strings"
	"unicode"
)

// A tool is what differs between chat tools, but for the form of the message.
type tool interface {
	// escape makes a text of an event one that the tool shows as it is.
	escape(s string) string
	boldMark() string
	// link makes a link of a URL without marks and an escaped label.
	link(url, label string) string
}

// plain makes a value one line: what would break it, end it or turn its
// direction becomes a space or goes.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == utf8Replacement || unicode.Is(unicode.Bidi_Control, r):
			return -1
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		}
		return r
	}, s)
}

const utf8Replacement = '\uFFFD'

// quiet takes the effect from names that call a whole channel, as "@everyone", by
// a space without width after the at sign. E-mail addresses stay as they are.
func quiet(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "@")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteByte('@')
		for _, name := range []string{"channel", "everyone", "here", "group"} {
			if len(after) >= len(name) && strings.EqualFold(after[:len(name)], name) {
				b.WriteString("\u200b")
				break
			}
		}
		s = after
	}
}

// slack is Slack's own mark-up, mrkdwn.
type slack struct{}

// escape writes the three characters that begin and end mentions and links as
// entities. There is no way to escape "*", "_" and "~", which at worst change
// how a value looks.
func (slack) escape(s string) string {
	s = quiet(s)
	if !strings.ContainsAny(s, "&<>") {
		return s
	}
	var b strings.Builder
	for i := range len(s) { // a Replacer would cost more to make than it saves
		switch s[i] {
		case '&':
			b.WriteString("&amp;")
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func (slack) boldMark() string { return "*" }

func (slack) link(url, label string) string {
	url = strings.ReplaceAll(url, "&", "&amp;")
	return "<" + url + "|" + strings.ReplaceAll(label, "|", "¦") + ">"
}

// discord is Discord's Markdown.
type discord struct{}

// escape puts a backslash before whatever begins mark-up, a mention ("<@1>"), an
// emoji (":a:") or a URL that the tool would make a link of.
func (discord) escape(s string) string { return backslashed(quiet(s), "\\*_~`|<>#[]():@") }

func (discord) boldMark() string { return "**" }

func (discord) link(url, label string) string { return "[" + label + "](<" + url + ">)" }

// teams is the Markdown of Adaptive Cards.
type teams struct{}

// escape puts a backslash before whatever begins mark-up, or a date function as
// {{DATE(…)}}. A mention needs an entity beside the text, which there is not.
func (teams) escape(s string) string { return backslashed(quiet(s), "\\*_~`<>#[](){}") }

func (teams) boldMark() string { return "**" }

func (teams) link(url, label string) string { return "[" + label + "](" + url + ")" }

// backslashed puts a backslash before each of the marks.
func backslashed(s, marks string) string {
	if !strings.ContainsAny(s, marks) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(marks, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
