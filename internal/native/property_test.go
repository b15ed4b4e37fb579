package native_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A generator makes valid events of every kind.
type generator struct{ *rand.Rand }

func (g generator) text() string {
	alphabet := []rune(`abcXYZ0189 "%\/<>{}€è😀` + "\u00a0\u2028\ufffd\U0010fffd")
	var b strings.Builder
	for range 1 + g.Intn(12) {
		b.WriteRune(alphabet[g.Intn(len(alphabet))])
	}
	return b.String()
}

func (g generator) pick(of ...string) string { return of[g.Intn(len(of))] }

func (g generator) event() *fattorino.Event {
	e := &fattorino.Event{
		ID: g.text(), Source: "https://erp.example/" + g.pick("a", "b%20c", "?d=e"), Type: g.pick("invoice.paid", "com.example.x", "customer.created"),
		Subject: g.pick("", g.text()), Company: 1 + g.Int63n(1<<40), Seq: g.Int63n(1 << 20), Accepted: now,
		Entity: fattorino.Entity{Type: "invoice", IDs: []string{g.pick("42", "F/2026/7", g.text())}},
	}
	if g.Intn(2) == 0 {
		e.Time = time.Unix(g.Int63n(1<<33), g.Int63n(1e9)).In(time.FixedZone("", 60*(g.Intn(1200)-600)))
	}
	if g.Intn(2) == 0 {
		e.Extensions = map[string]any{"a": g.text(), "b": true, "c": g.Int31(), "sequence": "own"}
	}
	switch e.Form = fattorino.Form(g.Intn(4)); e.Form {
	case fattorino.JSONData:
		e.DataContentType = g.pick("", "application/json", "application/vnd.erp+json")
		quoted, _ := json.Marshal(g.text())
		e.Data = []byte(g.pick("12.50", `{"a":1,"a":2}`, "[1, 2]", "null", string(quoted)))
	case fattorino.TextData:
		e.DataContentType, e.Data = "text/plain", []byte(g.pick("", g.text()))
	case fattorino.BinaryData:
		e.DataContentType, e.Data = g.pick("", "application/pdf"), make([]byte, g.Intn(9))
		_, _ = g.Read(e.Data)
	case fattorino.NoData:
	}
	return e
}

// Whatever the event, each format tells the same facts: type and data, and in
// CloudEvents id, source, time, company, entity and seq as well.
func TestEveryFormatTellsTheSameFacts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for seed := range int64(1000) {
		g := generator{rand.New(rand.NewSource(seed))} //nolint:gosec // a fixed seed is the point
		e := g.event()
		thin := g.Intn(2) == 0
		notify := func(format fattorino.Format) *fattorino.Request {
			s := subscription()
			s.Format, s.Options.Thin = format, thin
			s.Secrets = []fattorino.Secret{f.secret(t, newHMAC, time.Time{})}
			return f.notification(t, s, e, now)
		}
		data := e.Data
		if thin {
			data = nil // worked out below
		}
		for _, format := range []fattorino.Format{fattorino.Binary, fattorino.Structured} {
			t.Run(fmt.Sprint(format, " ", seed), func(t *testing.T) {
				got := decoded(t, notify(format))
				equal(t, []string{got.ID, got.Source, got.Type, got.Subject}, []string{e.ID, e.Source, e.Type, e.Subject})
				if !got.Time.Equal(e.Time) {
					t.Errorf("time %v, want %v", got.Time, e.Time)
				}
				equal(t, got.Extensions["companyid"], any(fmt.Sprint(e.Company)))
				equal(t, got.Extensions["partitionkey"], any(e.Entity.String()))
				if e.Seq > 0 {
					equal(t, got.Extensions["sequence"], any(fmt.Sprintf("%019d", e.Seq)))
				}
				if thin {
					thinFacts(t, got.Data, e)
					return
				}
				equal(t, string(got.Data), string(data))
			})
		}
		t.Run(fmt.Sprint("standard ", seed), func(t *testing.T) {
			var got struct {
				Type      string          `json:"type"`
				Timestamp time.Time       `json:"timestamp"`
				Data      json.RawMessage `json:"data"`
			}
			if err := json.Unmarshal(notify(fattorino.Standard).Body, &got); err != nil {
				t.Fatal(err)
			}
			equal(t, got.Type, e.Type)
			if happened := e.Time; !happened.IsZero() && !got.Timestamp.Equal(happened) {
				t.Errorf("timestamp %v, want %v", got.Timestamp, happened)
			}
			switch text := ""; {
			case thin:
				thinFacts(t, got.Data, e)
			case e.Form == fattorino.JSONData:
				equal(t, string(got.Data), string(e.Data))
			case e.Form == fattorino.NoData:
				equal(t, string(got.Data), "null")
			default:
				if err := json.Unmarshal(got.Data, &text); err != nil {
					t.Fatal(err)
				}
				if e.Form == fattorino.BinaryData {
					raw, err := base64.StdEncoding.DecodeString(text)
					if err != nil {
						t.Fatal(err)
					}
					text = string(raw)
				}
				equal(t, text, string(e.Data))
			}
		})
	}
}

// thinFacts checks what a thin notification tells in place of the data.
func thinFacts(t *testing.T, data []byte, e *fattorino.Event) {
	t.Helper()
	var got struct {
		IDs    []string `json:"ids"`
		Entity string   `json:"entity"`
		URL    string   `json:"url"`
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	equal(t, got.IDs, e.Entity.IDs)
	equal(t, got.Entity, e.Entity.String())
	want := ""
	if e.Seq > 0 {
		want = fmt.Sprintf("%s/v1/companies/%d/events?after=%d&limit=1", baseURL, e.Company, e.Seq-1)
	}
	equal(t, got.URL, want)
}
