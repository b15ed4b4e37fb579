package contracts_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/fattorino-dev/fattorino/internal/cloudevents"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// text draws what is awkward somewhere: in a header, in JSON, in a message to
// people, and in UTF-8 of every length.
func text() *rapid.Generator[string] {
	alphabet := []rune(`abcXYZ0189 ,"%\/<>{}&*_~€è😀` + "\u00a0\u2028\ufffd\U0010fffd")
	return rapid.StringOfN(rapid.SampledFrom(alphabet), 1, 12, -1)
}

func eventID() *rapid.Generator[string] {
	return rapid.OneOf(
		text(),
		rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`),
		rapid.StringMatching(`[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}`),
	)
}

// entity draws what an event is about; half of the time with ids that are
// integers, as every contract can tell them.
func entity() *rapid.Generator[fattorino.Entity] {
	return rapid.Custom(func(t *rapid.T) fattorino.Entity {
		id := text()
		if rapid.Bool().Draw(t, "integer ids") {
			id = rapid.Map(rapid.Int64(), func(n int64) string { return strconv.FormatInt(n, 10) })
		}
		return fattorino.Entity{Type: "invoice", IDs: rapid.SliceOfN(id, 1, 3).Draw(t, "ids")}
	})
}

// jsonText draws a JSON value as a producer may write it: with numbers that no
// floating point holds, spaces, escapes, and members twice.
func jsonText(depth int) *rapid.Generator[string] {
	quoted := rapid.Map(text(), func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			panic(err) // strings always encode
		}
		return string(b)
	})
	leaves := []*rapid.Generator[string]{
		rapid.SampledFrom([]string{
			"12.50", "0.10", "-0", "1e2", "1E+400", "12345678901234567890", "-98765432109876543210.0123456789000",
			"null", "true", "false", `""`, `"\u00e9\ud83d\ude00\/"`, "{}", "[ ]",
		}),
		quoted,
	}
	if depth == 0 {
		return rapid.OneOf(leaves...)
	}
	inner := jsonText(depth - 1)
	member := rapid.Custom(func(t *rapid.T) string {
		name := rapid.SampledFrom([]string{"total", "number", "note", "è"}).Draw(t, "name")
		return `"` + name + `"` + rapid.SampledFrom([]string{":", ": ", " :\n"}).Draw(t, "colon") + inner.Draw(t, "value")
	})
	join := func(parts []string) string { return strings.Join(parts, ", ") }
	return rapid.OneOf(append(
		leaves,
		rapid.Map(rapid.SliceOfN(member, 1, 4), func(m []string) string { return "{" + join(m) + "}" }),
		rapid.Map(rapid.SliceOfN(inner, 1, 3), func(v []string) string { return "[" + join(v) + "]" }),
	)...)
}

// event draws an event as it is in the store: its attributes and data as they
// come out of the decoder, so that it is one that a producer can publish, and
// what the service adds.
func (c *contracts) event() *rapid.Generator[*fattorino.Event] {
	types := []string{"com.example.x", "note.created"}
	for _, catalog := range c.catalogs.All() {
		for _, t := range catalog.Types {
			types = append(types, t.Name)
		}
	}
	return rapid.Custom(func(t *rapid.T) *fattorino.Event {
		said := &fattorino.Event{
			ID:      eventID().Draw(t, "id"),
			Source:  "https://erp.example/" + rapid.SampledFrom([]string{"a", "b%20c", "?d=e"}).Draw(t, "source"),
			Type:    rapid.SampledFrom(types).Draw(t, "type"),
			Subject: rapid.OneOf(rapid.Just(""), text()).Draw(t, "subject"),
		}
		if rapid.Bool().Draw(t, "has time") {
			zone := time.FixedZone("", 60*rapid.IntRange(-600, 600).Draw(t, "offset"))
			said.Time = time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "time"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).In(zone)
		}
		if rapid.Bool().Draw(t, "has extensions") {
			said.Extensions = map[string]any{
				"a": text().Draw(t, "a"), "b": rapid.Bool().Draw(t, "b"), "c": rapid.Int32().Draw(t, "c"), "sequence": "own",
			}
		}
		drawData(t, said)
		published, batch, err := cloudevents.Decode(cloudevents.StructuredType, nil, cloudevents.AppendStructured(nil, said))
		if err != nil || batch || len(published) != 1 {
			t.Fatalf("no valid event was drawn: %v", err)
		}
		e := published[0]
		e.Company, e.Entity, e.Accepted = company, entity().Draw(t, "entity"), first.Add(-time.Minute)
		e.Common, _ = c.catalogs.Common(e.Type)
		e.Seq = rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(1, 1<<62)).Draw(t, "seq")
		e.Key = rapid.Int64Range(1, 1<<62).Draw(t, "key")
		return e
	})
}

func drawData(t *rapid.T, e *fattorino.Event) {
	e.Form = rapid.SampledFrom([]fattorino.Form{
		fattorino.JSONData, fattorino.TextData, fattorino.BinaryData, fattorino.NoData,
	}).Draw(t, "form")
	contentType := func(of ...string) { e.DataContentType = rapid.SampledFrom(of).Draw(t, "content type") }
	switch e.Form {
	case fattorino.JSONData:
		contentType("", "application/json", "application/vnd.erp+json")
		e.Data = []byte(jsonText(2).Draw(t, "json"))
	case fattorino.TextData:
		contentType("text/plain", "text/csv; charset=utf-8")
		e.Data = []byte(rapid.OneOf(rapid.Just(""), text()).Draw(t, "text"))
	case fattorino.BinaryData:
		contentType("", "application/pdf")
		e.Data = rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes")
	case fattorino.NoData:
	}
}
