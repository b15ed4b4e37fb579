package fattorino_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestAnEntityIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]fattorino.Entity{
		"invoice/42":        {Type: "invoice", IDs: []string{"42"}},
		"customer/1,2,3":    {Type: "customer", IDs: []string{"1", "2", "3"}},
		"invoice/2026/0042": {Type: "invoice", IDs: []string{"2026/0042"}}, // numbers of documents look like this
		"fattura/àè":        {Type: "fattura", IDs: []string{"àè"}},
		"invoice/ 42 ":      {Type: "invoice", IDs: []string{" 42 "}}, // ids are kept as they are
	} {
		got, err := fattorino.ParseEntity(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
		if got.String() != text {
			t.Errorf("%q is written as %q", text, got.String())
		}
	}
}

func TestWhatIsNoEntity(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "invoice", "/42", "invoice/", "/", "invoice/,", "invoice/1,", "invoice/,1", "invoice/1,,2"} {
		if got, err := fattorino.ParseEntity(text); err == nil {
			t.Errorf("%q is read as %+v, want an error", text, got)
		}
	}
}

func TestNoEntityIsWrittenAsNothing(t *testing.T) {
	t.Parallel()
	if got := (fattorino.Entity{}).String(); got != "" {
		t.Errorf("the zero Entity is written as %q", got)
	}
}

func FuzzParseEntity(f *testing.F) {
	for _, seed := range []string{"", "invoice/42", "customer/1,2,3", "a/b/c", "/", ",", "x/,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := fattorino.ParseEntity(text)
		if err != nil {
			return
		}
		if e.String() != text {
			t.Errorf("%q is written as %q", text, e)
		}
		if e.Type == "" || len(e.IDs) == 0 || strings.Contains(e.Type, "/") {
			t.Errorf("%q is read as %+v", text, e)
		}
		for _, id := range e.IDs {
			if id == "" || strings.Contains(id, ",") {
				t.Errorf("%q has the id %q", text, id)
			}
		}
	})
}

// said is all that a producer can say of an event.
func said() *fattorino.Event {
	return &fattorino.Event{
		ID: "e1", Source: "/erp", Type: paid, Subject: "company:7", Company: 7,
		Time:            time.Date(2026, 3, 1, 12, 0, 0, 500, time.UTC),
		DataContentType: "application/json", DataSchema: "https://erp.example/invoice",
		Extensions: map[string]any{"priority": "high", "version": int32(3), "draft": false},
		Form:       fattorino.JSONData, Data: []byte(`{"ids":[42]}`),
	}
}

func TestAnyChangeOfWhatWasSaidChangesTheContentHash(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*fattorino.Event){
		"the type":                  func(e *fattorino.Event) { e.Type = created },
		"the subject":               func(e *fattorino.Event) { e.Subject = "company:7/x" },
		"no subject":                func(e *fattorino.Event) { e.Subject = "" },
		"the content type":          func(e *fattorino.Event) { e.DataContentType = "application/json; charset=utf-8" },
		"no content type":           func(e *fattorino.Event) { e.DataContentType = "" },
		"the schema":                func(e *fattorino.Event) { e.DataSchema += "/2" },
		"the time":                  func(e *fattorino.Event) { e.Time = e.Time.Add(time.Nanosecond) },
		"no time":                   func(e *fattorino.Event) { e.Time = time.Time{} },
		"an extension":              func(e *fattorino.Event) { e.Extensions["priority"] = "low" },
		"an extension of a number":  func(e *fattorino.Event) { e.Extensions["version"] = int32(4) },
		"an extension of a boolean": func(e *fattorino.Event) { e.Extensions["draft"] = true },
		"one extension more":        func(e *fattorino.Event) { e.Extensions["more"] = "" },
		"one extension less":        func(e *fattorino.Event) { delete(e.Extensions, "draft") },
		"no extensions":             func(e *fattorino.Event) { e.Extensions = nil },
		"values changed places":     func(e *fattorino.Event) { e.Extensions["draft"], e.Extensions["version"] = int32(3), false },
		"a byte of the data":        func(e *fattorino.Event) { e.Data[7] = '[' + 1 },
		"white space in the data":   func(e *fattorino.Event) { e.Data = append(e.Data, '\n') },
		"no data":                   func(e *fattorino.Event) { e.Data = nil },
		"the form":                  func(e *fattorino.Event) { e.Form = fattorino.TextData },
	}
	_, before := said().Hashes()
	seen := map[string]string{string(before): "nothing"}
	for what, change := range changes {
		e := said()
		change(e)
		id, content := e.Hashes()
		if other, same := seen[string(content)]; same {
			t.Errorf("changing %s gives the content hash of changing %s", what, other)
		}
		seen[string(content)] = what
		if want, _ := said().Hashes(); id != want {
			t.Errorf("changing %s changes which event it is", what)
		}
	}
}

func TestWhatMakesAnEventTheSameEvent(t *testing.T) {
	t.Parallel()
	want, content := said().Hashes()
	for what, change := range map[string]func(*fattorino.Event){
		"the company": func(e *fattorino.Event) { e.Company = 8 },
		"the source":  func(e *fattorino.Event) { e.Source = "/erp/2" },
		"the id":      func(e *fattorino.Event) { e.ID = "e2" },
		// Fields do not run together.
		"a letter moved from source to id": func(e *fattorino.Event) { e.Source, e.ID = "/er", "pe1" },
	} {
		e := said()
		change(e)
		id, same := e.Hashes()
		if id == want {
			t.Errorf("%s: it counts as the same event", what)
		}
		if !bytes.Equal(same, content) {
			t.Errorf("%s: it counts as other content", what)
		}
	}
}

func TestHashesAreOfWhatWasMeantNotOfHowItIsHeld(t *testing.T) {
	t.Parallel()
	id, content := said().Hashes()
	for what, change := range map[string]func(*fattorino.Event){
		"nothing":                         func(*fattorino.Event) {},
		"what Fattorino adds":             func(e *fattorino.Event) { e.Seq, e.Key, e.Common, e.Accepted = 9, 9, paid, noon },
		"the entity, which is worked out": func(e *fattorino.Event) { e.Entity = fattorino.Entity{Type: "invoice", IDs: []string{"42"}} },
		"the zone of the same instant":    func(e *fattorino.Event) { e.Time = e.Time.In(time.FixedZone("", 7200)) },
		// In binary mode every attribute is text (HTTP binding 1.0.2, section
		// 3.1.3), so an event repeated in the other mode is the same event.
		"a number told as text": func(e *fattorino.Event) { e.Extensions["version"] = "3" },
	} {
		e := said()
		change(e)
		gotID, gotContent := e.Hashes()
		if gotID != id || !bytes.Equal(gotContent, content) {
			t.Errorf("%s: other hashes", what)
		}
	}
}

func TestFieldsAreHashedApart(t *testing.T) {
	t.Parallel()
	// Each pair has the same letters in the same order, in other fields.
	for _, tt := range []struct {
		name string
		a, b fattorino.Event
	}{
		{"type and subject", fattorino.Event{Type: "ab", Subject: "c"}, fattorino.Event{Type: "a", Subject: "bc"}},
		{"subject and content type", fattorino.Event{Subject: "x"}, fattorino.Event{DataContentType: "x"}},
		{"content type and schema", fattorino.Event{DataContentType: "x"}, fattorino.Event{DataSchema: "x"}},
		{
			"name and value of an extension",
			fattorino.Event{Extensions: map[string]any{"a": "bc"}},
			fattorino.Event{Extensions: map[string]any{"ab": "c"}},
		},
		{
			"one value under two names",
			fattorino.Event{Extensions: map[string]any{"a": "x"}},
			fattorino.Event{Extensions: map[string]any{"b": "x"}},
		},
		{
			"two extensions and one",
			fattorino.Event{Extensions: map[string]any{"a": "b", "c": "d"}},
			fattorino.Event{Extensions: map[string]any{"a": "bcd"}},
		},
		{
			"time and an extension",
			fattorino.Event{Time: noon},
			fattorino.Event{Extensions: map[string]any{"time": noon.Format(time.RFC3339Nano)}},
		},
		{
			"time and data",
			fattorino.Event{Time: noon, Form: fattorino.TextData, Data: []byte("x")},
			fattorino.Event{Form: fattorino.TextData, Data: []byte(noon.Format(time.RFC3339Nano) + "\x02x")},
		},
	} {
		_, a := tt.a.Hashes()
		_, b := tt.b.Hashes()
		if bytes.Equal(a, b) {
			t.Errorf("%s: the same content hash", tt.name)
		}
	}
}

func TestAPrivateEventIsOutsideTheHistory(t *testing.T) {
	t.Parallel()
	if !(&fattorino.Event{}).Private() || (&fattorino.Event{Seq: 1}).Private() {
		t.Error("an event is private where it has no Seq")
	}
}
