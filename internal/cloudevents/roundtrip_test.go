package cloudevents_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/cloudevents"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A generator makes valid events of every kind.
type generator struct{ *rand.Rand }

func (g generator) maybe(text func() string) string {
	if g.Intn(2) == 0 {
		return ""
	}
	return text()
}

// text gives a string that an attribute can hold, never empty.
func (g generator) text() string {
	alphabet := []rune(`abcXYZ0189 "%\/<>{}€è😀` + "\u00a0\u2028\ufffd\U0010fffd")
	var b strings.Builder
	for range 1 + g.Intn(12) {
		b.WriteRune(alphabet[g.Intn(len(alphabet))])
	}
	return b.String()
}

func (g generator) pick(of ...string) string { return of[g.Intn(len(of))] }

func (g generator) json(depth int) string {
	if depth == 0 {
		return g.pick("null", "true", "12.50", "-0", "1E+400", "100000000000000000000", `"\u00e8\ud800 \/"`, `""`, "[]", "{ }")
	}
	return g.pick(
		"["+g.json(depth-1)+" ,\t"+g.json(depth-1)+"]",
		`{"b":`+g.json(depth-1)+`,"a" : `+g.json(depth-1)+`,"b":1}`,
		g.json(depth-1),
	)
}

func (g generator) data(e *fattorino.Event) {
	switch e.Form = fattorino.Form(g.Intn(4)); e.Form {
	case fattorino.NoData:
		e.DataContentType = g.maybe(func() string { return "application/json" })
	case fattorino.JSONData:
		e.DataContentType = g.pick("", "application/json", "application/vnd.erp+json; v=1", "Text/JSON")
		e.Data = []byte(g.json(3))
	case fattorino.TextData:
		e.DataContentType = g.pick("text/plain", "application/xml; charset=utf-8", "application/pdf")
		e.Data = []byte(g.maybe(func() string { return g.text() + "\x00\n\x7f" }))
	case fattorino.BinaryData:
		e.DataContentType = g.pick("", "application/pdf", "text/csv; charset=iso-8859-1", "text/plain")
		e.Data = make([]byte, g.Intn(9))
		g.Read(e.Data)
	}
}

func (g generator) event() *fattorino.Event {
	e := &fattorino.Event{
		ID: g.text(), Type: g.text(), Subject: g.maybe(g.text),
		Source:     g.pick("/erp", "urn:a:b", "https://erp.example/a%20b?c=d#e", "*"),
		DataSchema: g.maybe(func() string { return g.pick("urn:a", "https://erp.example/s%25.json#/a") }),
	}
	if g.Intn(2) == 0 {
		zone := time.FixedZone("", (g.Intn(24*60)-12*60)*60)
		e.Time = time.Unix(g.Int63n(4e9), g.Int63n(1e9)).In(zone)
	}
	for range g.Intn(10) {
		if e.Extensions == nil {
			e.Extensions = map[string]any{}
		}
		e.Extensions[fmt.Sprint("ext", g.Intn(100))] = []any{g.maybe(g.text), g.Intn(2) == 0, int32(g.Uint32())}[g.Intn(3)]
	}
	g.data(e)
	return e
}

// asBinary is how the event comes back from binary mode, which tells less than
// the structured one.
func asBinary(e *fattorino.Event) *fattorino.Event {
	b := &fattorino.Event{
		ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject, Time: e.Time,
		DataContentType: e.DataContentType, DataSchema: e.DataSchema, Data: e.Data, Form: e.Form,
	}
	for name, value := range e.Extensions {
		if b.Extensions == nil {
			b.Extensions = map[string]any{}
		}
		if raw, ok := value.([]byte); ok {
			value = base64.StdEncoding.EncodeToString(raw)
		}
		b.Extensions[name] = fmt.Sprint(value)
	}
	base, params, _ := strings.Cut(strings.ToLower(e.DataContentType), ";")
	isText := (strings.HasPrefix(base, "text/") || strings.HasSuffix(base, "xml")) && !strings.Contains(params, "8859")
	switch {
	case len(e.Data) == 0:
		b.Form, b.Data = fattorino.NoData, nil
	case e.Form == fattorino.JSONData:
		if e.DataContentType == "" {
			b.DataContentType = "application/json"
		}
	case isText && utf8.Valid(e.Data):
		b.Form = fattorino.TextData
	default:
		b.Form = fattorino.BinaryData
	}
	return b
}

func TestEventsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	for seed := range int64(2000) {
		g := generator{rand.New(rand.NewSource(seed))} //nolint:gosec // a fixed seed is the point
		e := g.event()

		t.Run(fmt.Sprint("structured ", seed), func(t *testing.T) {
			body := cloudevents.AppendStructured(nil, e)
			if !json.Valid(body) {
				t.Fatalf("no JSON: %s", body)
			}
			if d := diff(e, decodeOne(t, cloudevents.StructuredType, nil, string(body))); d != "" {
				t.Errorf("%s\n%s", body, d)
			}
		})
		t.Run(fmt.Sprint("binary ", seed), func(t *testing.T) {
			header, body := cloudevents.WriteBinary(e)
			h := toHeader(header)
			if d := diff(asBinary(e), decodeOne(t, h.Get("Content-Type"), h, string(body))); d != "" {
				t.Errorf("%v\n%s", h, d)
			}
		})
	}
	t.Run("batch", func(t *testing.T) {
		t.Parallel()
		g := generator{rand.New(rand.NewSource(1))} //nolint:gosec // a fixed seed is the point
		var events []*fattorino.Event
		for range 100 {
			events = append(events, g.event())
		}
		got, batch, err := cloudevents.Decode(cloudevents.BatchType, nil, cloudevents.AppendBatch(nil, events))
		if err != nil || !batch {
			t.Fatalf("batch %v, %v", batch, err)
		}
		if d := diff(events, got); d != "" {
			t.Error(d)
		}
	})
}
