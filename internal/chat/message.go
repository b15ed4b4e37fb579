package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// The formats.
const (
	Slack   fattorino.Format = "slack"
	Teams   fattorino.Format = "teams"
	Discord fattorino.Format = "discord"
)

// Formats gives the formats that there are.
func Formats() []fattorino.Format { return []fattorino.Format{Slack, Teams, Discord} }

// toolOf gives the tool of a format; nil for none.
func toolOf(f fattorino.Format) tool {
	switch f {
	case Slack:
		return slack{}
	case Teams:
		return teams{}
	case Discord:
		return discord{}
	}
	return nil
}

// Messages makes the messages of one format. It does not change once made, and
// may be used by many goroutines.
type Messages struct {
	format   fattorino.Format
	written  map[string]*template.Template // by type
	defaults map[string]*template.Template // by source
}

// New compiles templates, each for a type, a common name, all of a noun as
// "invoice.*", or all types, "*". It fails on a format that is none of
// [Formats], and on a template that does not pass [Check].
func New(f fattorino.Format, templates map[string]string) (*Messages, error) {
	t := toolOf(f)
	if t == nil {
		return nil, fmt.Errorf("chat: there is no format %q", f)
	}
	m := &Messages{format: f, written: map[string]*template.Template{}, defaults: map[string]*template.Template{}}
	for typ, source := range templates {
		compiled, err := compile(source, t)
		if err != nil {
			return nil, fmt.Errorf("for the type %q: %w", typ, err)
		}
		m.written[typ] = compiled
	}
	for _, source := range []string{documentTemplate, partnerTemplate, productTemplate, plainTemplate} {
		compiled, err := compile(source, t)
		if err != nil {
			return nil, err
		}
		m.defaults[source] = compiled
	}
	return m, nil
}

// Body gives the body of the request, JSON in UTF-8, that tells the tool of the
// event under the type. The template is that of the type, else of its common
// name, of its noun, of all types, else the default. Where it comes to nothing,
// the message names entity and type.
func (m *Messages) Body(typ string, e *fattorino.Event) ([]byte, error) {
	v := view(typ, e)
	said, err := execute(m.template(typ, e), v)
	if err != nil {
		return nil, err
	}
	if said == "" {
		if said, err = execute(m.defaults[plainTemplate], v); err != nil {
			return nil, err
		}
	}
	if said == "" { // the type's own name comes to nothing
		said = anyNoun
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m.message(said, typ, e)); err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (m *Messages) template(typ string, e *fattorino.Event) *template.Template {
	named := typ
	if e.Common != "" {
		named = e.Common
	}
	noun, _ := words(named)
	for _, name := range []string{typ, e.Common, noun + ".*", "*"} {
		if t, ok := m.written[name]; ok {
			return t
		}
	}
	return m.defaults[Default(named)]
}

// viewNames gives the fields that a template has.
func viewNames() []string {
	return []string{"Type", "Noun", "Action", "Entity", "ID", "Company", "Source", "Subject", "Time", "Data"}
}

// view gives what a template sees of an event, under the names of viewNames.
// Noun and Action are words, as "Supplier order" and "status updated"; ID is
// the entity's first; Time is as RFC 3339 has it, with the producer's offset.
func view(typ string, e *fattorino.Event) map[string]any {
	named := typ
	if e.Common != "" {
		named = e.Common
	}
	noun, action := words(named)
	id := ""
	if len(e.Entity.IDs) > 0 {
		id = e.Entity.IDs[0]
	}
	return map[string]any{
		"Type": typ, "Noun": spoken(noun), "Action": strings.ReplaceAll(action, "_", " "),
		"Entity": e.Entity.String(), "ID": id, "Company": strconv.FormatInt(e.Company, 10),
		"Source": e.Source, "Subject": e.Subject, "Time": happened(e).Format(time.RFC3339), "Data": dataOf(e),
	}
}

// words gives noun and action of a type: the last two of its parts.
func words(typ string) (noun, action string) {
	parts := strings.Split(typ, ".")
	if len(parts) < 2 {
		return typ, ""
	}
	return parts[len(parts)-2], parts[len(parts)-1]
}

// anyNoun is what an event is where its type has no name for it.
const anyNoun = "Event"

// spoken writes a noun as a word at the start of a sentence.
func spoken(noun string) string {
	noun = strings.ReplaceAll(noun, "_", " ")
	r, size := utf8.DecodeRuneInString(noun)
	if size == 0 {
		return anyNoun
	}
	return string(unicode.ToUpper(r)) + noun[size:]
}

func happened(e *fattorino.Event) time.Time {
	if e.Time.IsZero() {
		return e.Accepted
	}
	return e.Time
}

// dataOf reads what was published, each number as it was written. Bytes are
// nothing that could be told.
func dataOf(e *fattorino.Event) any {
	switch e.Form {
	case fattorino.TextData:
		return string(e.Data)
	case fattorino.JSONData:
		d := json.NewDecoder(bytes.NewReader(e.Data))
		d.UseNumber()
		var v any
		if d.Decode(&v) != nil {
			return nil
		}
		if _, err := d.Token(); err != io.EOF {
			return nil
		}
		return v
	case fattorino.NoData, fattorino.BinaryData:
	}
	return nil
}

// The most that the tools take of a text, in UTF-16 units, as they count: Slack
// in a section, Discord in content, Teams so that the whole message stays below
// 28 KB whatever its characters. Each is less than a template can write.
const (
	maxSlack   = 3000
	maxDiscord = 2000
	maxTeams   = 5000
	maxFact    = 256 // of type and entity, in any of them
)

// fit cuts an escaped text, and not in the midst of an entity or after a
// backslash.
func fit(s string, most int) string {
	units, end := 0, 0
	for i, r := range s {
		if units++; r > 0xffff {
			units++
		}
		if units > most {
			if s = s[:end]; (len(s)-len(strings.TrimRight(s, "\\")))%2 == 1 {
				s = s[:end-1]
			}
			if amp := strings.LastIndexByte(s, '&'); amp >= 0 && len(s)-amp < len("&amp;") && !strings.Contains(s[amp:], ";") {
				s = s[:amp]
			}
			return s + "…"
		}
		if units < most { // room for the dots
			end = i + utf8.RuneLen(r)
		}
	}
	return s
}

// A fact is one line of the small print.
type fact struct{ name, value string }

// facts gives the small print, escaped.
func (m *Messages) facts(typ string, e *fattorino.Event) []fact {
	t := toolOf(m.format)
	list := []fact{
		{"Event", typ},
		{"About", e.Entity.String()},
		{"Company", strconv.FormatInt(e.Company, 10)},
		{"Time", happened(e).Format(time.RFC3339)},
	}
	for i, f := range list {
		list[i].value = strings.TrimSpace(fit(t.escape(plain(cut(f.value, maxFact))), 2*maxFact))
	}
	return slices.DeleteFunc(list, func(f fact) bool { return f.value == "" })
}

// object is a JSON object; its members come out in the order of their names.
type object = map[string]any

func (m *Messages) message(said, typ string, e *fattorino.Event) object {
	facts := m.facts(typ, e)
	switch m.format {
	case Teams:
		return teamsMessage(fit(said, maxTeams), facts)
	case Discord:
		return discordMessage(fit(said, maxDiscord), facts)
	}
	return slackMessage(fit(said, maxSlack), facts)
}

// slackMessage is text, for notifications, and blocks. Verbatim keeps Slack from
// looking for URLs, channels and users in what was written as text.
func slackMessage(said string, facts []fact) object {
	var small []string
	for _, f := range facts {
		small = append(small, f.name+": "+f.value)
	}
	mrkdwn := func(s string) object { return object{"type": "mrkdwn", "text": s, "verbatim": true} }
	return object{"text": said, "blocks": []object{
		{"type": "section", "text": mrkdwn(said)},
		{"type": "context", "elements": []object{mrkdwn(strings.Join(small, " · "))}},
	}}
}

// teamsMessage is a message with one Adaptive Card. Version 1.4 is what all of
// Teams shows.
func teamsMessage(said string, facts []fact) object {
	var set []object
	for _, f := range facts {
		set = append(set, object{"title": f.name, "value": f.value})
	}
	return object{"type": "message", "attachments": []object{{
		"contentType": "application/vnd.microsoft.card.adaptive",
		"contentUrl":  nil,
		"content": object{
			"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
			"body": []object{{"type": "TextBlock", "text": said, "wrap": true}, {"type": "FactSet", "facts": set}},
		},
	}}}
}

// discordMessage is content and one embed. No mention calls anybody, be it
// written in the template.
func discordMessage(said string, facts []fact) object {
	var list []object
	for _, f := range facts {
		list = append(list, object{"name": f.name, "value": f.value, "inline": true})
	}
	return object{
		"content": said, "embeds": []object{{"fields": list}},
		"allowed_mentions": object{"parse": []string{}},
	}
}
