package chat_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/chat"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

var update = flag.Bool("update", false, "write testdata from what is there now")

// event makes one with the data.
func event(typ, entity, data string) *fattorino.Event {
	e := &fattorino.Event{
		ID: "1", Source: "/erp", Type: typ, Common: typ, Company: 7, Seq: 9, Form: fattorino.JSONData, Data: []byte(data),
		Time: time.Date(2025, 12, 5, 13, 0, 0, 0, time.FixedZone("", 3600)),
	}
	if entity != "" {
		e.Entity = fattorino.Entity{Type: strings.Split(entity, "/")[0], IDs: strings.Split(strings.Split(entity, "/")[1], ",")}
	}
	return e
}

func messages(tb testing.TB, f fattorino.Format, templates map[string]string) *chat.Messages {
	tb.Helper()
	m, err := chat.New(f, templates)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// said gives what a message says, out of its body.
func said(tb testing.TB, f fattorino.Format, body []byte) string {
	tb.Helper()
	var b struct {
		Text, Content string
		Attachments   []struct {
			Content struct{ Body []struct{ Text string } }
		}
	}
	if err := json.Unmarshal(body, &b); err != nil {
		tb.Fatalf("the body is no JSON: %v: %s", err, body)
	}
	switch f {
	case chat.Slack:
		return b.Text
	case chat.Discord:
		return b.Content
	}
	return b.Attachments[0].Content.Body[0].Text
}

// tell renders and gives what is said.
func tell(tb testing.TB, f fattorino.Format, source string, e *fattorino.Event) string {
	tb.Helper()
	body, err := messages(tb, f, map[string]string{"*": source}).Body(e.Type, e)
	if err != nil {
		tb.Fatal(err)
	}
	return said(tb, f, body)
}

const paidData = `{"id":42,"number":"F2025/1 <A&B>","total":121.00,"currency":"EUR","customer":{"name":"*Café* & <Hijos> @here"}}`

func TestTheBodiesAreAsRecorded(t *testing.T) {
	t.Parallel()
	for _, f := range chat.Formats() {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			body, err := messages(t, f, nil).Body("invoice.paid", event("invoice.paid", "invoice/42", paidData))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", string(f)+".json")
			if *update {
				if err := os.WriteFile(file, append(body, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(body)+"\n"); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEveryKindOfEntityIsToldOfByDefault(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ typ, entity, data, want string }{
		{"invoice.paid", "invoice/42", `{"number":"F1","total":12.50,"currency":"EUR"}`, "Invoice *F1* paid: 12.50 EUR"},
		{"invoice.created", "invoice/42", `{"codigo":"FAC1","total":1e2,"coddivisa":"EUR","nombrecliente":"ACME"}`, "Invoice *FAC1* created: 1e2 EUR · ACME"},
		{"invoice.updated", "invoice/42", `{"ids":[42]}`, "Invoice *42* updated"},
		{"invoice.verified", "invoice/42", `{"invoice_number":"A","total_amount":12100}`, "Invoice *A* verified"},
		{"supplier_order.created", "supplier_order/3", `{"total":100000000000000000000.01}`, "Supplier order *3* created: 100000000000000000000.01"},
		{"payment.created", "payment/5", `{"importe":-121}`, "Payment *5* created: -121"},
		{"customer.updated", "customer/5", `{"nombre":"Ana","cifnif":"B1"}`, "Customer *Ana* updated · B1"},
		{"product.created", "product/5", `{"referencia":"P1","descripcion":"Pen","precio":0.10}`, "Product *P1* created · Pen: 0.10"}, //nolint:misspell // Spanish, as published
		{"loan.overdue", "loan/9", `{}`, "Loan *9* overdue"},
		{"e_invoice.status_updated", "", `[1,2]`, "E invoice status updated"},
		{"com.example.thing.happened", "thing/1,2", `null`, "Thing *1* happened"},
		{"ping", "", `"text"`, "Ping"},
	} {
		body, err := messages(t, chat.Slack, nil).Body(test.typ, event(test.typ, test.entity, test.data))
		if err != nil {
			t.Fatal(err)
		}
		if got := said(t, chat.Slack, body); got != test.want {
			t.Errorf("%s says %q, want %q", test.typ, got, test.want)
		}
	}
}

func TestTheNearestTemplateCounts(t *testing.T) {
	t.Parallel()
	m := messages(t, chat.Slack, map[string]string{
		"own.name": "type", "invoice.paid": "common", "invoice.*": "noun", "*": "all",
	})
	for _, test := range []struct{ typ, common, want string }{
		{"own.name", "invoice.paid", "type"},
		{"Invoice.PAID", "invoice.paid", "common"},
		{"Invoice.DELETED", "invoice.deleted", "noun"},
		{"invoice.sent", "", "noun"},
		{"loan.closed", "", "all"},
	} {
		e := event(test.typ, "", `{}`)
		e.Common = test.common
		body, err := m.Body(test.typ, e)
		if err != nil {
			t.Fatal(err)
		}
		if got := said(t, chat.Slack, body); got != test.want {
			t.Errorf("%s, which is %q, is told by %q, want %q", test.typ, test.common, got, test.want)
		}
	}
}

func TestWhatATemplateCanSay(t *testing.T) {
	t.Parallel()
	e := event("invoice.paid", "invoice/42", `{"n":12.50,"z":0,"no":null,"tags":["a","b",1.0],"who":{"name":"Ana"},"long":"äöü€x","t":true,"deep":{"z":{},"a":[{"b":"<x>\"\u00f1"},null,true,1.50]},"url":"https://erp.example/i?a=1&b=(2)|3"}`)
	e.Subject = "company:7"
	for _, test := range []struct{ source, want string }{
		{"{{.Type}} {{.Noun}} {{.Action}} {{.Entity}} {{.ID}} {{.Company}} {{.Source}} {{.Subject}} {{.Time}}", "invoice.paid Invoice paid invoice/42 42 7 /erp company:7 2025-12-05T13:00:00+01:00"},
		{"{{.Data.n}} {{.Data.z}} {{.Data.t}}", "12.50 0 true"},
		{"[{{.Data.no}}{{.Data.none}}{{.Data.none.at.all}}{{.Data.n.x}}{{.Data.tags.x}}{{(.Data.who).nome}}]", "[]"},
		{"{{.Data.who.name}} {{(.Data.who).name}} {{$w := .Data.who}}{{$w.name}} {{$.Data.who.name}}", "Ana Ana Ana Ana"},
		{"{{with .Data.who}}{{.name}}{{.none}}{{end}}{{with .Data.none}}x{{else with .Data.n}}{{.}}{{else}}y{{end}}", "Ana12.50"},
		{"{{if eq .Data.n \"12.5\" 12}}a{{else if eq .Data.n `12.50`}}b{{end}}{{if ne .Data.t true}}c{{end}}{{if not .Data.none}}d{{end}}", "bd"},
		{"{{or .Data.none .Data.n}} {{and .Data.t .Data.n}} {{default \"none\" .Data.none}} {{.Data.none | default 7}}", "12.50 12.50 none 7"},
		{"{{upper .Data.long}} {{.Data.who.name | lower}} {{truncate 3 .Data.long}} {{truncate 9 .Data.long}} {{truncate .Data.no .Data.n}}", "ÄÖÜ€X ana äöü… äöü€x 12.50"},
		{"{{join \", \" .Data.tags}} {{.Data.tags}} {{join 1 .Data.n}}", `a, b, 1.0 ["a","b",1.0] 12.50`},
		{"{{.Data.deep}}", `{"a":[{"b":"&lt;x&gt;\"ñ"},null,true,1.50],"z":{}}`},
		{"{{bold .Data.n}}{{bold .Data.none}} {{.Data.n | bold | truncate 3}}", "*12.50* *12…"},
		{"{{link .Data.url \"see <it>\"}} {{link `javascript:alert(1)` .Data.n}} {{link .Data.none .Data.n}} {{link `https://u:p@x` 1}}", "<https://erp.example/i?a=1&amp;b=%282%29%7C3|see &lt;it&gt;> 12.50 12.50 1"},
		{"<!channel> *as written* {{.Data.no}}", "<!channel> *as written*"},
		{"  {{.Data.none}} \n", "Invoice *42* paid"},
	} {
		if err := chat.Check(test.source); err != nil {
			t.Error(err)
			continue
		}
		if got := tell(t, chat.Slack, test.source, e); got != test.want {
			t.Errorf("%s\n says %q\nwant  %q", test.source, got, test.want)
		}
	}
}

func TestLinksAndBoldInEachTool(t *testing.T) {
	t.Parallel()
	e := event("invoice.paid", "", `{"u":"https://x.example/a)b>c","l":"a](b"}`)
	for f, want := range map[fattorino.Format]string{
		chat.Slack:   "*a](b* <https://x.example/a%29b%3Ec|a](b>",
		chat.Teams:   `**a\]\(b** [a\]\(b](https://x.example/a%29b%3Ec)`,
		chat.Discord: `**a\]\(b** [a\]\(b](<https://x.example/a%29b%3Ec>)`,
	} {
		if got := tell(t, f, "{{bold .Data.l}} {{link .Data.u .Data.l}}", e); got != want {
			t.Errorf("%s says %s, want %s", f, got, want)
		}
	}
}

func TestWhatIsNotJSON(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		form fattorino.Form
		data string
		want string
	}{
		{fattorino.TextData, "line\nline", "x line line"},
		{fattorino.BinaryData, "\xff\xfe", "x"},
		{fattorino.NoData, "", "x"},
		{fattorino.JSONData, "{} {}", "x"},
		{fattorino.JSONData, "{", "x"},
	} {
		e := event("ping", "", test.data)
		e.Form = test.form
		if got := tell(t, chat.Slack, "x {{.Data}}{{.Data.a}}", e); got != test.want {
			t.Errorf("%q says %q, want %q", test.data, got, test.want)
		}
	}
}

func TestAnUnknownFormat(t *testing.T) {
	t.Parallel()
	if _, err := chat.New("binary", nil); err == nil {
		t.Error("messages of the format binary are made")
	}
	if _, err := chat.New(chat.Slack, map[string]string{"invoice.paid": "{{"}); err == nil || !strings.Contains(err.Error(), "invoice.paid") {
		t.Errorf("a broken template: %v", err)
	}
}

func BenchmarkBody(b *testing.B) {
	m, e := messages(b, chat.Slack, nil), event("invoice.paid", "invoice/42", paidData)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Body("invoice.paid", e); err != nil {
			b.Fatal(err)
		}
	}
}

// The longest that a template can take with the largest of events.
func BenchmarkWorstTemplate(b *testing.B) {
	const placeholder = "{{if eq .Data.l .Data.m .Data.s}}{{end}}"
	source := strings.Repeat(placeholder, 8<<10/len(placeholder))
	list := "[" + strings.TrimSuffix(strings.Repeat(`"",`, 100_000), ",") + "]"
	e := event("a.b", "", `{"l":`+list+`,"m":{"x":`+list+`},"s":"`+strings.Repeat("x", 300_000)+`"}`)
	m := messages(b, chat.Slack, map[string]string{"*": source})
	for b.Loop() {
		if _, err := m.Body("a.b", e); err != nil {
			b.Fatal(err)
		}
	}
}
