package cloudevents_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/cloudevents"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// full is an event with everything an event can have.
func full() *fattorino.Event {
	return &fattorino.Event{
		ID: "1", Source: "https://erp.example/a%20b", Type: "invoice.paid", Subject: "Caffè",
		Time:            time.Date(2026, 1, 31, 12, 0, 0, 500, time.FixedZone("", 3600)),
		DataContentType: "application/json", DataSchema: "https://erp.example/invoice.json",
		Extensions: map[string]any{"zone": "it", "count": int32(-7), "deprecated": true, "digest": []byte{0xfb, 0xff}, "empty": ""},
		Data:       []byte(`{"net":12.50}`), Form: fattorino.JSONData,
		Company: 12345, Seq: 7, Common: "invoice.paid", Entity: fattorino.Entity{Type: "invoice", IDs: []string{"42"}},
	}
}

// toHeader turns what WriteBinary gives into what a server hands over.
func toHeader(list []fattorino.Header) http.Header {
	h := http.Header{}
	for _, f := range list {
		h.Add(f.Name, f.Value)
	}
	return h
}

func TestWriteBinary(t *testing.T) {
	t.Parallel()
	header, body := cloudevents.WriteBinary(full())
	want := []fattorino.Header{
		{Name: "ce-specversion", Value: "1.0"},
		{Name: "ce-id", Value: "1"},
		{Name: "ce-source", Value: "https://erp.example/a%2520b"},
		{Name: "ce-type", Value: "invoice.paid"},
		{Name: "ce-subject", Value: "Caff%C3%A8"},
		{Name: "ce-time", Value: "2026-01-31T12:00:00.0000005+01:00"},
		{Name: "ce-dataschema", Value: "https://erp.example/invoice.json"},
		{Name: "ce-count", Value: "-7"},
		{Name: "ce-deprecated", Value: "true"},
		{Name: "ce-digest", Value: "+/8="},
		{Name: "ce-empty", Value: ""},
		{Name: "ce-zone", Value: "it"},
		{Name: "Content-Type", Value: "application/json"},
	}
	if d := diff(want, header); d != "" {
		t.Errorf("HB-5 HB-6 HB-7 %s", d)
	}
	if string(body) != `{"net":12.50}` {
		t.Errorf("body %s", body)
	}
}

// TestHeaderVectors are the vectors of percent-encoding in header values (HTTP
// binding 1.0.2, section 3.1.3), by way of the subject.
func TestHeaderVectors(t *testing.T) {
	t.Parallel()
	for value, wire := range map[string]string{
		"Euro € 😀":               "Euro%20%E2%82%AC%20%F0%9F%98%80",
		"100%":                   "100%25",
		`a"b`:                    "a%22b",
		"%41":                    "%2541",
		"https://x/a%20b":        "https://x/a%2520b",
		"!#$&'()*+,-./:;<=>?@[]": "!#$&'()*+,-./:;<=>?@[]",
		`\^_{|}~`:                `\^_{|}~`,
		" a ":                    "%20a%20",
		`"quoted"`:               "%22quoted%22",
		"\u00a0":                 "%C2%A0",
	} {
		t.Run("HB-7 "+value, func(t *testing.T) {
			t.Parallel()
			e := full()
			e.Subject = value
			header, _ := cloudevents.WriteBinary(e)
			if got := toHeader(header).Get("ce-subject"); got != wire {
				t.Errorf("wire %q, want %q", got, wire)
			}
		})
		t.Run("HB-8 "+wire, func(t *testing.T) {
			t.Parallel()
			if e := decodeOne(t, "", headers("ce-subject", wire), ""); e.Subject != value {
				t.Errorf("subject %q, want %q", e.Subject, value)
			}
		})
	}
	for wire, value := range map[string]string{
		"%41":             "A",
		"%e2%82%ac":       "€",
		`"a \"b\" c"`:     `a "b" c`,
		`"%41\\\%42"`:     `A\B`,
		`"a b"`:           "a b",
		`"a\"`:            `"a\"`,
		`"a"b"`:           `"a"b"`,
		`"`:               `"`,
		"100%":            "100%",
		"100%2":           "100%2",
		"100%zz %41":      "100%zz A",
		"Caffè raw":       "Caffè raw",
		"one round %2541": "one round %41",
	} {
		t.Run("HB-8 decode "+wire, func(t *testing.T) {
			t.Parallel()
			if e := decodeOne(t, "", headers("ce-subject", wire), ""); e.Subject != value {
				t.Errorf("subject %q, want %q", e.Subject, value)
			}
		})
	}
	for wire, kind := range map[string]fattorino.Kind{
		// not UTF-8: the request cannot be read
		"%C0%A0": fattorino.Malformed, "%FF": fattorino.Malformed, "%ED%A0%80": fattorino.Malformed,
		"a%E2%82": fattorino.Malformed, "\xe8": fattorino.Malformed,
		// it can, and breaks a rule
		"%00": fattorino.Invalid, "%EF%BF%BF": fattorino.Invalid, `""`: fattorino.Invalid,
	} {
		t.Run("HB-8 refuse "+wire, func(t *testing.T) {
			t.Parallel()
			err := refused(t, "", headers("ce-subject", wire), "")
			if err.Kind != kind || !strings.Contains(err.Error(), "subject") {
				t.Errorf("kind %v, want %v that names the subject: %v", err.Kind, kind, err)
			}
		})
	}
}

func TestAppendStructured(t *testing.T) {
	t.Parallel()
	e := full()
	want := `before{"specversion":"1.0","id":"1","source":"https://erp.example/a%20b","type":"invoice.paid","subject":"Caffè",` +
		`"time":"2026-01-31T12:00:00.0000005+01:00","datacontenttype":"application/json","dataschema":"https://erp.example/invoice.json",` +
		`"count":-7,"deprecated":true,"digest":"+/8=","empty":"","zone":"it","data":{"net":12.50}}`
	if got := string(cloudevents.AppendStructured([]byte("before"), e)); got != want {
		t.Errorf("JF-2 JF-4 HB-9\n got %s\nwant %s", got, want)
	}
	for _, c := range []struct {
		name, contentType string
		form              fattorino.Form
		data, want        string
	}{
		{"JF-5 bytes", "application/pdf", fattorino.BinaryData, "%PDF", `"datacontenttype":"application/pdf","data_base64":"JVBERg=="}`},
		{"JF-5 no type is invented", "", fattorino.BinaryData, "%PDF", `"type":"t","data_base64":"JVBERg=="}`},
		{"JF-5 empty bytes", "", fattorino.BinaryData, "", `"data_base64":""}`},
		{"JF-6 a JSON string stays one", "application/json", fattorino.JSONData, `"a"`, `"data":"a"}`},
		{"JF-7 text", "text/plain", fattorino.TextData, "a\"\\\n\t\r\x00è\u2028<", `"data":"a\"\\\n\t\r\u0000è` + "\u2028" + `<"}`},
		{"JF-9 null", "", fattorino.JSONData, "null", `"type":"t","data":null}`},
		{"JF-9 nothing", "", fattorino.NoData, "", `"type":"t"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := &fattorino.Event{ID: "1", Source: "/", Type: "t", DataContentType: c.contentType, Form: c.form, Data: []byte(c.data)}
			got := string(cloudevents.AppendStructured(nil, e))
			if !strings.HasSuffix(got, c.want) {
				t.Errorf("%s does not end in %s", got, c.want)
			}
			if !json.Valid([]byte(got)) {
				t.Errorf("%s is no JSON", got)
			}
		})
	}
}

func TestAppendBatch(t *testing.T) {
	t.Parallel()
	e := &fattorino.Event{ID: "1", Source: "/", Type: "t"}
	const one = `{"specversion":"1.0","id":"1","source":"/","type":"t"}`
	for want, events := range map[string][]*fattorino.Event{
		"[]":                        nil,
		"[" + one + "]":             {e},
		"[" + one + "," + one + "]": {e, e},
	} {
		if got := string(cloudevents.AppendBatch(nil, events)); got != want {
			t.Errorf("JF-1 %s, want %s", got, want)
		}
	}
}

// TestTranscoding turns structured events into binary ones (JSON format 1.0.2,
// section 3.1, and its examples).
func TestTranscoding(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name              string
		members           []string
		contentType, body string
	}{
		{
			"XML string",
			[]string{`"datacontenttype":"application/xml"`, `"data":"<much wow=\"xml\"/>"`},
			"application/xml", `<much wow="xml"/>`,
		},
		{"object", []string{`"datacontenttype":"application/json"`, `"data":{ "appinfoA" : "abc", "b": 1.50 }`}, "application/json", `{ "appinfoA" : "abc", "b": 1.50 }`},
		{"number", []string{`"datacontenttype":"application/json"`, `"data":1.5`}, "application/json", "1.5"},
		{"JSON string keeps its quotes", []string{`"datacontenttype":"application/json"`, `"data":"I'm just a string"`}, "application/json", `"I'm just a string"`},
		{"JF-10 data without a type is JSON", []string{`"data":{"foo":"bar"}`}, "application/json", `{"foo":"bar"}`},
		{
			"data_base64 with a type",
			[]string{`"datacontenttype":"application/vnd.apache.thrift.binary"`, `"data_base64":"3q2+7w=="`},
			"application/vnd.apache.thrift.binary", "\xde\xad\xbe\xef",
		},
		{"JF-10 data_base64 without a type", []string{`"data_base64":"3q2+7w=="`}, "", "\xde\xad\xbe\xef"},
		{"no data", nil, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			header, body := cloudevents.WriteBinary(structured(t, c.members...))
			h := toHeader(header)
			if got := h.Get("Content-Type"); got != c.contentType || len(h["Content-Type"]) > 1 {
				t.Errorf("Content-Type %q, want %q", h["Content-Type"], c.contentType)
			}
			if string(body) != c.body {
				t.Errorf("body %q, want %q", body, c.body)
			}
		})
	}
}

func FuzzAppendJSONString(f *testing.F) {
	f.Add("a\"b\\c\x00\x1f\x7f\u2028è😀\xff\xed\xa0\x80")
	f.Fuzz(func(t *testing.T, s string) {
		encoded := cloudevents.AppendJSONString(nil, s)
		var got string
		if err := json.Unmarshal(encoded, &got); err != nil || !utf8.Valid(encoded) {
			t.Fatalf("%q is no JSON string: %v", encoded, err)
		}
		if want := string([]rune(s)); got != want {
			t.Fatalf("%q reads as %q, want %q", encoded, got, want)
		}
		if fromBytes := cloudevents.AppendJSONString(nil, []byte(s)); string(fromBytes) != string(encoded) {
			t.Fatalf("bytes give %q, the string %q", fromBytes, encoded)
		}
	})
}
