package cloudevents_test

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fattorino-dev/fattorino/internal/cloudevents"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// required are the members that every event in JSON has.
const required = `"specversion":"1.0","id":"1","source":"/erp","type":"invoice.paid"`

// event is one event in JSON: the required members and more.
func event(members ...string) string {
	return "{" + strings.Join(append([]string{required}, members...), ",") + "}"
}

// headers are those that every event in binary mode has, and more: name,
// value, name, value.
func headers(more ...string) http.Header {
	h := http.Header{}
	for _, pair := range [][2]string{{"specversion", "1.0"}, {"id", "1"}, {"source", "/erp"}, {"type", "invoice.paid"}} {
		h.Set("ce-"+pair[0], pair[1])
	}
	for i := 0; i < len(more); i += 2 {
		h.Add(more[i], more[i+1])
	}
	return h
}

// diff compares what is public in events; times are to agree in their offset
// as well.
func diff(want, got any) string {
	return cmp.Diff(want, got, cmpopts.IgnoreUnexported(fattorino.Event{}), cmp.Comparer(func(a, b time.Time) bool {
		return a.Format(time.RFC3339Nano) == b.Format(time.RFC3339Nano)
	}))
}

// decodeOne decodes a request that should hold one event.
func decodeOne(t *testing.T, contentType string, header http.Header, body string) *fattorino.Event {
	t.Helper()
	events, batch, err := cloudevents.Decode(contentType, header, []byte(body))
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	if batch || len(events) != 1 {
		t.Fatalf("batch %v with %d events, want one event that is no batch", batch, len(events))
	}
	return events[0]
}

func structured(t *testing.T, members ...string) *fattorino.Event {
	t.Helper()
	return decodeOne(t, cloudevents.StructuredType, nil, event(members...))
}

// refused decodes a request that should be refused, and gives the error.
func refused(t *testing.T, contentType string, header http.Header, body string) *fattorino.Error {
	t.Helper()
	events, _, err := cloudevents.Decode(contentType, header, []byte(body))
	if err == nil {
		t.Fatalf("accepted as %+v", events[0])
	}
	if events != nil {
		t.Errorf("events %v with an error", events)
	}
	e, ok := errors.AsType[*fattorino.Error](err)
	if !ok {
		t.Fatalf("error %T, want *fattorino.Error", err)
	}
	if e.Msg == "" || e.Fix == "" {
		t.Errorf("error %+v does not say what happened and what to do", e)
	}
	return e
}

func fields(e *fattorino.Error) []string {
	var names []string
	for _, f := range e.Faults {
		names = append(names, f.Field)
	}
	return names
}

func TestModeIsToldByContentType(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, contentType string
		header            http.Header
		body              string
		batch             bool
		form              fattorino.Form
	}{
		{"HB-1 structured", "application/cloudevents+json", nil, event(`"data":1`), false, fattorino.JSONData},
		{"HB-1 binary", "text/plain", headers(), "1", false, fattorino.TextData},
		{"HB-3 batch shares the prefix", "application/cloudevents-batch+json", nil, "[" + event(`"data":1`) + "]", true, fattorino.JSONData},
		{"HB-3 case does not matter", "Application/CloudEvents+JSON", nil, event(`"data":1`), false, fattorino.JSONData},
		{"HB-3 nor in a batch", "APPLICATION/CLOUDEVENTS-BATCH+JSON", nil, "[" + event(`"data":1`) + "]", true, fattorino.JSONData},
		{"HB-3 with charset", "application/cloudevents+json; charset=UTF-8", nil, event(`"data":1`), false, fattorino.JSONData},
		{"HB-3 batch with charset", `application/cloudevents-batch+json;charset="utf-8"`, nil, "[" + event(`"data":1`) + "]", true, fattorino.JSONData},
		{"HB-9 copies in headers do not count", "application/cloudevents+json", http.Header{"Ce-Id": {"other"}}, event(`"data":1`), false, fattorino.JSONData},
		{"HB-3 anything else is binary", "application/json", headers(), "1", false, fattorino.JSONData},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			events, batch, err := cloudevents.Decode(c.contentType, c.header, []byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			want := []*fattorino.Event{{ID: "1", Source: "/erp", Type: "invoice.paid", Data: []byte("1"), Form: c.form}}
			if c.header["Ce-Type"] != nil {
				want[0].DataContentType = c.contentType
			}
			if batch != c.batch {
				t.Errorf("batch %v, want %v", batch, c.batch)
			}
			if d := diff(want, events); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestFormatsNotSpokenAreTold(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{
		"application/cloudevents+avro",
		"application/cloudevents-batch+protobuf",
		"application/cloudevents",
		"application/cloudevents-batch",
		"application/cloudevents+json-seq",
		"application/cloudevents+json; charset=iso-8859-1",
		"application/cloudevents+json; charset",
	} {
		t.Run("HB-4 "+contentType, func(t *testing.T) {
			t.Parallel()
			err := refused(t, contentType, headers(), event())
			if err.Kind != fattorino.Malformed || err.Code != cloudevents.CodeUnsupportedMediaType {
				t.Errorf("kind %v code %q", err.Kind, err.Code)
			}
		})
	}
}

func TestWhatIsNoCloudEventIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, contentType string
		header            http.Header
		want              []string // faults; none = no CloudEvent at all
	}{
		{"HB-11 JSON without ce- headers", "application/json", http.Header{}, nil},
		{"HB-11 nothing at all", "", nil, nil},
		{"HB-11 only extensions", "application/json", http.Header{"Ce-Company": {"1"}}, nil},
		{"HB-11 id only", "application/json", http.Header{"Ce-Id": {"1"}}, []string{"source", "specversion", "type"}},
		{"HB-11 all but type", "", http.Header{"Ce-Id": {"1"}, "Ce-Source": {"/erp"}, "Ce-Specversion": {"1.0"}}, []string{"type"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := refused(t, c.contentType, c.header, event())
			if c.want == nil {
				if err.Kind != fattorino.Malformed || err.Code != cloudevents.CodeNotCloudEvent {
					t.Errorf("kind %v code %q", err.Kind, err.Code)
				}
				return
			}
			if err.Kind != fattorino.Invalid || !slices.Equal(fields(err), c.want) {
				t.Errorf("kind %v, faults %v, want %v", err.Kind, fields(err), c.want)
			}
		})
	}
}

func TestBinaryHeaders(t *testing.T) {
	t.Parallel()
	t.Run("HB-5 Content-Type is datacontenttype", func(t *testing.T) {
		t.Parallel()
		e := decodeOne(t, "application/json; charset=utf-8", headers(), "{}")
		if e.DataContentType != "application/json; charset=utf-8" {
			t.Errorf("datacontenttype %q", e.DataContentType)
		}
	})
	t.Run("HB-5 never a ce- header", func(t *testing.T) {
		t.Parallel()
		err := refused(t, "application/json", headers("ce-datacontenttype", "application/json"), "{}")
		if !slices.Equal(fields(err), []string{"datacontenttype"}) {
			t.Errorf("faults %v", fields(err))
		}
	})
	t.Run("HB-6 every attribute has its header, whatever its case", func(t *testing.T) {
		t.Parallel()
		header := http.Header{
			"CE-ID": {"1"}, "ce-source": {"/erp"}, "Ce-SpecVersion": {"1.0"}, "Ce-Type": {"invoice.paid"},
			"Ce-Subject": {"invoice/42"}, "Ce-Time": {"2026-01-31T12:00:00+01:00"}, "Ce-Dataschema": {"https://erp.example/s.json"},
			"cE-company": {"12345"}, "Ce-Deprecated": {"true"}, "Cex": {"no attribute"}, "X-Ce-Id": {"no attribute"},
		}
		got := decodeOne(t, "", header, "")
		want := &fattorino.Event{
			ID: "1", Source: "/erp", Type: "invoice.paid", Subject: "invoice/42", DataSchema: "https://erp.example/s.json",
			Time:       time.Date(2026, 1, 31, 12, 0, 0, 0, time.FixedZone("", 3600)),
			Extensions: map[string]any{"company": "12345", "deprecated": "true"},
		}
		if d := diff(want, got); d != "" {
			t.Error(d)
		}
	})
	t.Run("all faults are told, always in the same order", func(t *testing.T) {
		t.Parallel()
		want := []string{"datacontenttype", "my-ext", "source", "subject", "time"}
		for range 20 { // as maps are walked in random order
			header := headers("ce-my-ext", "1", "ce-time", "now", "ce-subject", "%00")
			header.Set("ce-source", "a b")
			if err := refused(t, "json", header, ""); !slices.Equal(fields(err), want) {
				t.Fatalf("faults %v, want %v", fields(err), want)
			}
		}
	})
	for _, c := range []struct {
		name   string
		header http.Header
		want   string
	}{
		{"HB-6 once each", headers("ce-company", "1", "ce-company", "2"), "company"},
		{"HB-6 the same name in two cases", http.Header{
			"Ce-Id": {"1"}, "ce-id": {"1"}, "Ce-Source": {"/erp"}, "Ce-Type": {"t"}, "Ce-Specversion": {"1.0"},
		}, "id"},
		{"HB-6 the data is the body", headers("ce-data", "1"), "data"},
		{"HB-6 in no form a header", headers("ce-data_base64", "MQ=="), "data_base64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := refused(t, "", c.header, ""); !slices.Equal(fields(err), []string{c.want}) {
				t.Errorf("faults %v, want %s", fields(err), c.want)
			}
		})
	}
}

func TestBinaryData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, contentType, body string
		form                    fattorino.Form
		data                    string
	}{
		{"JSON keeps its bytes", "application/json", `{"b":12.50,"a":1E400,"a":2}`, fattorino.JSONData, `{"b":12.50,"a":1E400,"a":2}`},
		{"white space around JSON is no part of it", "application/json", " [1, 2]\r\n", fattorino.JSONData, "[1, 2]"},
		{"JF-9 null is data", "application/json", "null", fattorino.JSONData, "null"},
		{"JSON by suffix", "application/vnd.erp.invoice+JSON; v=1", "1", fattorino.JSONData, "1"},
		{"JSON by subtype", "text/json", "1", fattorino.JSONData, "1"},
		{"text", "text/plain", " 1\n", fattorino.TextData, " 1\n"},
		{"text in UTF-8", "text/csv; charset=utf-8", "è", fattorino.TextData, "è"},
		{"text in another encoding is bytes", "text/csv; charset=iso-8859-1", "e", fattorino.BinaryData, "e"},
		{"text that is no UTF-8 is bytes", "text/csv", "\xe8", fattorino.BinaryData, "\xe8"},
		{"XML", "application/xml", "<a/>", fattorino.TextData, "<a/>"},
		{"XML by suffix", "application/fatturapa+xml", "<a/>", fattorino.TextData, "<a/>"},
		{"anything else is bytes", "application/pdf", "%PDF", fattorino.BinaryData, "%PDF"},
		{"nothing is known without a content type", "", `{"a":1}`, fattorino.BinaryData, `{"a":1}`},
		{"an empty body is no data", "application/json", "", fattorino.NoData, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := decodeOne(t, c.contentType, headers(), c.body)
			if e.Form != c.form || string(e.Data) != c.data || e.DataContentType != c.contentType {
				t.Errorf("form %v data %q of type %q, want form %v data %q", e.Form, e.Data, e.DataContentType, c.form, c.data)
			}
		})
	}
	for _, body := range []string{"{", "{} x", "\xff", `"` + "\xff" + `"`, "NaN", "\ufeff{}"} {
		t.Run("no JSON: "+strconv.Quote(body), func(t *testing.T) {
			t.Parallel()
			if err := refused(t, "application/json", headers(), body); err.Kind != fattorino.Malformed || err.Code != "" {
				t.Errorf("kind %v code %q", err.Kind, err.Code)
			}
		})
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	decode := func(body string) ([]*fattorino.Event, bool, error) {
		return cloudevents.Decode(cloudevents.BatchType, nil, []byte(body))
	}
	t.Run("HB-10 may be empty", func(t *testing.T) {
		t.Parallel()
		events, batch, err := decode(" [ ] ")
		if err != nil || !batch || len(events) != 0 {
			t.Errorf("%v, batch %v, %v", events, batch, err)
		}
	})
	t.Run("HB-10 attributes may differ, and order is kept", func(t *testing.T) {
		t.Parallel()
		events, _, err := decode(`[` + event(`"subject":"a"`) + ` , ` + event(`"data":{"b":1}`) + `]`)
		if err != nil {
			t.Fatal(err)
		}
		want := []*fattorino.Event{
			{ID: "1", Source: "/erp", Type: "invoice.paid", Subject: "a"},
			{ID: "1", Source: "/erp", Type: "invoice.paid", Data: []byte(`{"b":1}`), Form: fattorino.JSONData},
		}
		if d := diff(want, events); d != "" {
			t.Error(d)
		}
	})
	t.Run("HB-10 one specversion; faults name the event", func(t *testing.T) {
		t.Parallel()
		err := refused(t, cloudevents.BatchType, nil, `[`+event()+`,{"specversion":"0.3","id":"2","source":"/erp"},3,`+event(`"time":"now"`)+`]`)
		want := []string{"events.1.specversion", "events.1.type", "events.2", "events.3.time"}
		if err.Kind != fattorino.Invalid || !slices.Equal(fields(err), want) {
			t.Errorf("kind %v, faults %v, want %v", err.Kind, fields(err), want)
		}
	})
	t.Run("faults are bounded", func(t *testing.T) {
		t.Parallel()
		err := refused(t, cloudevents.BatchType, nil, "["+strings.Repeat("{},", 10000)+"{}]")
		if len(err.Faults) != 32 {
			t.Errorf("%d faults", len(err.Faults))
		}
	})
}

func TestUnreadableBodies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, contentType, body, fix string }{
		{"empty", cloudevents.StructuredType, "", "JSON"},
		{"not closed", cloudevents.StructuredType, "{" + required, "JSON"},
		{"ends in a name", cloudevents.StructuredType, `{"id`, "JSON"},
		{"more than one", cloudevents.StructuredType, event() + event(), "JSON"},
		{"no UTF-8", cloudevents.StructuredType, event("\"subject\":\"\xe8\""), "UTF-8"},
		{"overlong UTF-8", cloudevents.StructuredType, event("\"subject\":\"\xc0\xa0\""), "UTF-8"},
		{"array in structured mode", cloudevents.StructuredType, "[" + event() + "]", cloudevents.BatchType},
		{"number in structured mode", cloudevents.StructuredType, "1", "JSON"},
		{"object in batch mode", cloudevents.BatchType, event(), cloudevents.StructuredType},
		{"batch not closed", cloudevents.BatchType, "[" + event(), "JSON"},
		{"batch with a broken event", cloudevents.BatchType, "[" + event(`"data":tru`) + "]", "JSON"},
		{"batch and more", cloudevents.BatchType, "[" + event() + "]]", "JSON"},
		{"too deep", cloudevents.StructuredType, event(`"data":` + strings.Repeat("[", 1001) + strings.Repeat("]", 1001)), "JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := refused(t, c.contentType, nil, c.body)
			if err.Kind != fattorino.Malformed || err.Code != "" {
				t.Errorf("kind %v code %q", err.Kind, err.Code)
			}
			if !strings.Contains(err.Fix, c.fix) {
				t.Errorf("fix %q does not speak of %s", err.Fix, c.fix)
			}
		})
	}
	t.Run("where it broke is told", func(t *testing.T) {
		t.Parallel()
		err := refused(t, cloudevents.StructuredType, nil, `{"id" 1}`)
		if !strings.HasSuffix(err.Msg, "expected : at byte 6") {
			t.Errorf("message %q", err.Msg)
		}
	})
}

func TestJSONFormat(t *testing.T) {
	t.Parallel()
	t.Run("JF-2 JF-4 extensions are members, by type", func(t *testing.T) {
		t.Parallel()
		e := structured(t, `"a":true`, `"b":false`, `"c":2147483647`, `"d":-2147483648`, `"e":"text"`, `"f":""`, `"g":-0`, `"h":null`)
		want := map[string]any{
			"a": true, "b": false, "c": int32(2147483647), "d": int32(-2147483648), "e": "text", "f": "", "g": int32(0),
		}
		if d := diff(want, e.Extensions); d != "" {
			t.Error(d)
		}
	})
	t.Run("JF-3 null is absent", func(t *testing.T) {
		t.Parallel()
		e := structured(t, `"subject":null`, `"time":null`, `"datacontenttype":null`, `"dataschema":null`, `"ext":null`, `"data_base64":null`)
		if d := diff(&fattorino.Event{ID: "1", Source: "/erp", Type: "invoice.paid"}, e); d != "" {
			t.Error(d)
		}
	})
	t.Run("JF-3 a required attribute must not be null", func(t *testing.T) {
		t.Parallel()
		err := refused(t, cloudevents.StructuredType, nil, `{"specversion":null,"id":null,"source":null,"type":null}`)
		if !slices.Equal(fields(err), []string{"id", "source", "specversion", "type"}) {
			t.Errorf("faults %v", fields(err))
		}
	})
	for _, c := range []struct {
		name    string
		members []string
		form    fattorino.Form
		data    string
	}{
		{"JF-5 binary", []string{`"datacontenttype":"application/pdf"`, `"data_base64":"JVBERg=="`}, fattorino.BinaryData, "%PDF"},
		{"JF-5 binary of no known type", []string{`"data_base64":"e30="`}, fattorino.BinaryData, "{}"},
		{"JF-5 binary that is empty", []string{`"data_base64":""`}, fattorino.BinaryData, ""},
		{"JF-5 escaped", []string{`"data_base64":"\u0065\u00330="`}, fattorino.BinaryData, "{}"},
		{"JF-6 object", []string{`"datacontenttype":"application/json"`, `"data":{"a":12.50}`}, fattorino.JSONData, `{"a":12.50}`},
		{"JF-6 data before its type", []string{`"data":"<a/>"`, `"datacontenttype":"text/xml"`}, fattorino.TextData, `<a/>`},
		{"JF-6 F2 object of a +json type", []string{`"datacontenttype":"application/vnd.x+JSON; a=b"`, `"data":{"a":1}`}, fattorino.JSONData, `{"a":1}`},
		{"JF-6 absent type means JSON", []string{`"data":[1,2]`}, fattorino.JSONData, `[1,2]`},
		{"JF-6 a string is a string", []string{`"datacontenttype":"application/json"`, `"data":"{\"a\":1}"`}, fattorino.JSONData, `"{\"a\":1}"`},
		{"JF-6 bytes are kept", []string{`"data": {"z":1, "a":100000000000000000000.00,"z":"\u00e8\ud800"} `}, fattorino.JSONData, `{"z":1, "a":100000000000000000000.00,"z":"\u00e8\ud800"}`},
		{"JF-7 text", []string{`"datacontenttype":"text/plain"`, `"data":"a\n\u00e8\ud83d\ude00\/\"\\\b\f\r\t"`}, fattorino.TextData, "a\nè😀/\"\\\b\f\r\t"},
		{"JF-7 text that is empty", []string{`"datacontenttype":"text/plain"`, `"data":""`}, fattorino.TextData, ""},
		{"JF-9 null is data", []string{`"data":null`}, fattorino.JSONData, "null"},
		{"JF-9 nothing is no data", nil, fattorino.NoData, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := structured(t, c.members...)
			if e.Form != c.form || string(e.Data) != c.data {
				t.Errorf("form %v data %q, want form %v data %q", e.Form, e.Data, c.form, c.data)
			}
		})
	}
	for _, c := range []struct {
		name    string
		members []string
		want    string
	}{
		{"JF-2 F2 fraction", []string{`"ext":1.5`}, "ext"},
		{"JF-2 fraction of zero", []string{`"ext":1.0`}, "ext"},
		{"JF-2 exponent", []string{`"ext":1e3`}, "ext"},
		{"JF-2 above int32", []string{`"ext":2147483648`}, "ext"},
		{"JF-2 below int32", []string{`"ext":-2147483649`}, "ext"},
		{"JF-2 object", []string{`"ext":{"a":[1]}`}, "ext"},
		{"JF-2 array", []string{`"ext":[]`}, "ext"},
		{"JF-2 subject as number", []string{`"subject":42`}, "subject"},
		{"JF-2 time as number", []string{`"time":1769857200`}, "time"},
		{"JF-2 half a surrogate pair", []string{`"subject":"a\udc00"`}, "subject"},
		{"JF-2 half a surrogate pair and more", []string{`"ext":"\ud83d\n"`}, "ext"},
		{"JF-5 data_base64 as number", []string{`"data_base64":1`}, "data_base64"},
		{"JF-5 base64 for URLs", []string{`"data_base64":"_-8="`}, "data_base64"},
		{"JF-5 base64 without padding", []string{`"data_base64":"e30"`}, "data_base64"},
		{"JF-5 base64 with bits left over", []string{`"data_base64":"MR=="`}, "data_base64"},
		{"JF-5 base64 with line breaks", []string{`"data_base64":"e3\n0="`}, "data_base64"},
		{"JF-7 object of a text type", []string{`"datacontenttype":"application/xml"`, `"data":{"a":1}`}, "data"},
		{"JF-7 null of a text type", []string{`"datacontenttype":"application/xml"`, `"data":null`}, "data"},
		{"JF-7 half a surrogate pair", []string{`"datacontenttype":"text/plain"`, `"data":"\ud83d"`}, "data"},
		{"JF-7 two first halves", []string{`"datacontenttype":"text/plain"`, `"data":"\ud83d\ud83d"`}, "data"},
		{"JF-8 F2 data and data_base64", []string{`"data":1`, `"data_base64":"MQ=="`}, "data_base64"},
		{"JF-8 null data and data_base64", []string{`"data_base64":"MQ=="`, `"data":null`}, "data_base64"},
		{"duplicate attribute", []string{`"id":"1"`}, "id"},
		{"duplicate by escape", []string{`"\u0069d":"1"`}, "id"},
		{"duplicate of a null", []string{`"subject":null`, `"subject":"a"`}, "subject"},
		{"duplicate extension", []string{`"ext":1`, `"ext":1`}, "ext"},
		{"duplicate of a null extension", []string{`"ext":null`, `"ext":1`}, "ext"},
		{"duplicate data", []string{`"data":1`, `"data":1`}, "data"},
		{"duplicate data_base64", []string{`"data_base64":null`, `"data_base64":"MQ=="`}, "data_base64"},
		{"half a surrogate pair in a name", []string{`"\ud800":1`}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := refused(t, cloudevents.StructuredType, nil, event(c.members...))
			if err.Kind != fattorino.Invalid || !slices.Equal(fields(err), []string{c.want}) {
				t.Errorf("kind %v, faults %v, want %s", err.Kind, fields(err), c.want)
			}
		})
	}
	t.Run("JF-11 all faults are told", func(t *testing.T) {
		t.Parallel()
		err := refused(t, cloudevents.StructuredType, nil, `{"specversion":"0.3","id":"","source":1,"subject":"","time":"x","My":1}`)
		if want := []string{"specversion", "id", "source", "subject", "time", "My", "type"}; !slices.Equal(fields(err), want) {
			t.Errorf("faults %v, want %v", fields(err), want)
		}
	})
}

func TestEventsShareNoMemoryWithTheBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, contentType string
		header            http.Header
		body, data        string
	}{
		{"JSON", cloudevents.StructuredType, nil, event(`"subject":"abc"`, `"data":"abc"`), `"abc"`},
		{"text", cloudevents.StructuredType, nil, event(`"subject":"abc"`, `"datacontenttype":"text/plain"`, `"data":"abc"`), "abc"},
		{"binary mode", "text/plain", headers("ce-subject", "abc"), "abc", "abc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body := []byte(c.body)
			events, _, err := cloudevents.Decode(c.contentType, c.header, body)
			if err != nil {
				t.Fatal(err)
			}
			clear(body)
			if e := events[0]; e.Subject != "abc" || string(e.Data) != c.data {
				t.Errorf("subject %q data %q", e.Subject, e.Data)
			}
		})
	}
}
