package chat_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/fattorino-dev/fattorino/internal/chat"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestCheckSaysWhereTheFaultIs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, source, want string }{
		{"syntax", "ok\n{{if}}", "message:2"},
		{"not closed", "a\nb\n{{if .Data}}", "message:3"},
		{"unknown function", "{{frob 1}}", "message:1"},
		{"printf", "ok\n  {{printf \"%1000000d\" 1}}", "message:2:5:"},
		{"html", "{{.Type | html}}", "message:1:11:"},
		{"call", "{{call .Data}}", "message:1:3:"},
		{"index", "{{index .Data 1}}", "message:1:3:"},
		{"own escaping", "{{_escape .Data}}", "message:1:3:"},
		{"own lookup", "{{if _lookup .Data}}{{end}}", "message:1:6:"},
		{"range", "é {{range .Data}}x{{end}}", "message:1:11:"},
		{"range over a number", "{{range 1000000000}}x{{end}}", "message:1:9:"},
		{"range in a branch", "{{if .Data}}{{else}}{{range .Data}}{{end}}{{end}}", "message:1:29:"},
		{"template", "{{template \"message\"}}", "message:1:12:"},
		{"define", "x{{define \"y\"}}{{end}}", "message:"},
		{"block", "{{block \"y\" .}}z{{end}}", "message:"},
		{"unknown field", "{{.Dta.total}}", "message:1:7:"},
		{"unknown field of the root", "{{with .Data}}{{$.Total}}{{end}}", "message:1:18:"},
		{"unknown field in an argument", "{{eq 1 (or .Data .Toal)}}", "message:1:18:"},
		{"too few arguments", "{{eq 1}}", "message:1:3:"},
		{"too many arguments", "{{1 | not .Data}}", "message:1:7:"},
		{"piped to no function", "{{1 | .Data.x}}", "message:1:"},
		{"argument of no function", "{{.Data.x 1}}", "message:1:"},
		{"function without arguments", "{{eq 1 upper}}", "message:1:8:"},
		{"a number too large", "{{eq .Data 99999999999999999999999}}", "message:1:"},
		{"a fraction", "{{eq .Data.total 12.50}}", "message:1:18:"},
		{"nil", "{{eq .Data nil}}", "message:1:"},
		{"a variable that was not made", "{{with .Data}}{{$x = 1}}{{end}}", "there is no variable $x here"},
		{"a variable of the other branch", "{{if .Data}}{{$x := 1}}{{else}}{{$x}}{{end}}", "there is no variable $x here"},
		{"a variable made of itself", "{{$x := $x.a}}", "there is no variable $x here"},
		{"a variable in parentheses", "{{and .Data ($x := 1)}}{{$x}}", "message:1:14:"},
		{"empty", " \n", "message:"},
		{"a comment", "{{/* nothing */}}", "message:"},
		{"not UTF-8", "\xff", "message:"},
		{"too long", strings.Repeat("x", 8<<10+1), "message:"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if err := chat.Check(test.source); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%.50q: %v, want it at %s", test.source, err, test.want)
			}
		})
	}
}

// hostileValues are texts of events that want to be more.
func hostileValues() []string {
	return []string{
		"<!channel> <!here|x> <@U123> <#C1> <https://evil.example|Click>", "@everyone @here @channel @group",
		"&lt;!channel&gt;", "<@123> <@&4> <#5> </a:6> <:x:7> <t:1:R>", "**b** _i_ ~~s~~ `c` ||spoiler|| > quote",
		"[Click](https://evil.example) https://evil.example", "# heading", "line\n# heading\r\nline\u2028line\x00", "a\u202egnp.exe",
		`\`, `\\<@1>`, "{{DATE(2017-02-14T06:08:39Z,SHORT)}}", "{{.Data}}", "${x}", "<at>Ana</at>", "\xff\xfe", `"},"text":"x`, ":boom:",
	}
}

func TestAValueIsNeverMarkupOrAMention(t *testing.T) {
	t.Parallel()
	for _, value := range hostileValues() {
		data, _ := json.Marshal(map[string]string{"v": value}) // strings always encode
		for _, f := range chat.Formats() {
			checkQuiet(t, f, tell(t, f, "{{.Data.v}}|", event("invoice.paid", "", string(data))))
		}
	}
}

// checkQuiet fails the test where what is said has any mark that a tool would
// take for more than itself.
func checkQuiet(t *testing.T, f fattorino.Format, said string) {
	t.Helper()
	said = strings.TrimSuffix(said, "|")
	if strings.ContainsAny(said, "\n\r\x00\u2028\u202e") {
		t.Errorf("%s: a value breaks its line: %q", f, said)
	}
	marks := ""
	switch f {
	case chat.Slack:
		if strings.ContainsAny(said, "<>") || strings.Contains(said, "@everyone") || strings.Contains(said, "@channel") || strings.Contains(said, "@here") {
			t.Errorf("a value is markup in Slack: %q", said)
		}
		for _, entity := range []string{"&amp;", "&lt;", "&gt;"} {
			said = strings.ReplaceAll(said, entity, "")
		}
		if strings.TrimSuffix(said, "…") == said && strings.Contains(said, "&") {
			t.Errorf("an ampersand is not escaped: %q", said)
		}
		return
	case chat.Discord:
		marks = "*_~`|<>#[]():@"
	case chat.Teams:
		marks = "*_~`<>#[](){}"
	}
	for i := 0; i < len(said); i++ {
		if said[i] == '\\' {
			i++ // and what it escapes
		} else if strings.IndexByte(marks, said[i]) >= 0 {
			t.Errorf("a value is markup in %s at %d: %q", f, i, said)
			return
		}
	}
	for _, name := range []string{"@everyone", "@here", "@channel"} {
		if strings.Contains(strings.ToLower(said), name) {
			t.Errorf("a value calls everyone: %q", said)
		}
	}
}

func TestTheSmallPrintIsEscapedToo(t *testing.T) {
	t.Parallel()
	e := event("a.b", "<!channel>\n@everyone/"+strings.Repeat("<", 1000), `{}`)
	typ := "<@U1>.*x*" + strings.Repeat("&", 1000)
	for _, f := range chat.Formats() {
		body, err := messages(t, f, map[string]string{"*": "x"}).Body(typ, e)
		if err != nil {
			t.Fatal(err)
		}
		for _, mark := range []string{"<!channel>", "@everyone", "<@U1>"} {
			if strings.Contains(strings.ReplaceAll(string(body), `\\<`, ""), mark) {
				t.Errorf("%s: the small print has %s: %s", f, mark, body)
			}
		}
		if len(body) > 8<<10 {
			t.Errorf("%s: the small print has %d bytes", f, len(body))
		}
	}
}

func TestDiscordCallsNobodyWhateverTheTemplateSays(t *testing.T) {
	t.Parallel()
	body, err := messages(t, chat.Discord, map[string]string{"*": "@everyone <@1>"}).Body("a.b", event("a.b", "", `{}`))
	if err != nil || !strings.Contains(string(body), `"allowed_mentions":{"parse":[]}`) {
		t.Errorf("%s: %v", body, err)
	}
}

// A doubling of text at every step would be 2⁶⁰ characters.
func TestATemplateCannotMakeMuchOfLittle(t *testing.T) {
	t.Parallel()
	source := "{{$x := join .Data.v .Data.l}}" + strings.Repeat("{{$x = join $x $.Data.l}}", 60) + "{{$x}}{{$x}}"
	list := strings.TrimSuffix(strings.Repeat(`"ab",`, 1000), ",")
	said := tell(t, chat.Slack, source, event("a.b", "", `{"v":"abc","l":[`+list+`]}`))
	if n := len(said); n < 2900 || n > 3100 {
		t.Errorf("what is said has %d bytes", n)
	}
}

func TestEveryToolGetsNoMoreThanItTakes(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"x", "&", "*", "😀", "\"", "\\", "€"} {
		data, _ := json.Marshal(map[string]string{"v": strings.Repeat(unit, 100_000)}) // strings always encode
		e := event("a.b", "", string(data))
		for f, most := range map[fattorino.Format]int{chat.Slack: 3000, chat.Discord: 2000, chat.Teams: 5000} {
			m := messages(t, f, map[string]string{"*": "{{.Data.v}}"})
			body, err := m.Body("a.b", e)
			if err != nil {
				t.Fatal(err)
			}
			got := said(t, f, body)
			if n := len(utf16.Encode([]rune(got))); n > most || n < most*9/10 || !strings.HasSuffix(got, "…") {
				t.Errorf("%s: %d times %s makes %d units, %d are allowed; the end is %q", f, 100_000, unit, n, most, got[len(got)-12:])
			}
			if len(body) > 28_000 {
				t.Errorf("%s: %s makes a body of %d bytes", f, unit, len(body))
			}
		}
	}
}

// Whatever passes the check can be rendered, in every format, for every event.
func FuzzTemplate(f *testing.F) {
	for _, source := range []string{
		"{{.Data.a.b}} {{with .Data}}{{.x}}{{end}}", "{{$x := .Data}}{{$x.a | upper | bold}}", "{{if and .Data 1 `x`}}{{else}}y{{end}}",
		"{{eq .Data.a 'x' 1}}", "{{(link .Type .Data).x}}", "{{truncate .Data.n .Data.l}}{{join .Data.l .Data.l}}", "{{true}}{{1.0}}{{0x10}}{{'a'}}",
		"{{- 1 -}}", "{{$}}{{.}}{{not $}}", "{{(.Data | or 1).x.y}}", "{{with $x := .Data}}{{$x = 1}}{{$x}}{{.}}{{end}}",
		"{{$x := 1}}{{if .Data}}{{$x = 2}}{{$y := 3}}{{$y}}{{else}}{{$x}}{{end}}{{$ = 1}}",
	} {
		f.Add(source, `{"a":{"b":1.50},"n":null,"l":["x",[],{}],"x":"<!channel>"}`)
	}
	f.Fuzz(func(t *testing.T, source, data string) {
		if chat.Check(source) != nil {
			return
		}
		e := event("invoice.paid", "invoice/42", data)
		for _, format := range chat.Formats() {
			body, err := messages(t, format, map[string]string{"*": source}).Body("invoice.paid", e)
			if err != nil {
				t.Fatalf("%s cannot be rendered: %v", source, err)
			}
			if !json.Valid(body) || len(body) > 64<<10 || said(t, format, body) == "" {
				t.Fatalf("%s makes %d bytes: %.200s", source, len(body), body)
			}
		}
	})
}

// Whatever an event says is text.
func FuzzValue(f *testing.F) {
	for _, value := range hostileValues() {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		data, _ := json.Marshal(map[string]string{"v": value}) // strings always encode
		for _, format := range chat.Formats() {
			checkQuiet(t, format, tell(t, format, "{{.Data.v}}|", event("a.b", "", string(data))))
		}
	})
}
