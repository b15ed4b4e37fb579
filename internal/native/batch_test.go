package native_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/cloudevents/sdk-go/v2"

	"github.com/fattorino-dev/fattorino/internal/cloudevents"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// noted is an event of text, without a time.
func noted() *fattorino.Event {
	return &fattorino.Event{
		ID: "n-1", Source: "https://erp.example/notes", Type: "note.created", DataContentType: "text/plain",
		Data: []byte("perché \"no\""), Form: fattorino.TextData,
		Company: 12345, Entity: fattorino.Entity{Type: "note", IDs: []string{"7"}}, Seq: 817,
		Accepted: time.Date(2026, 3, 1, 12, 0, 1, 0, time.UTC), Key: 9002,
	}
}

func (f *fixture) batch(t testing.TB, s *fattorino.Subscription, at time.Time, events ...*fattorino.Event) *fattorino.Request {
	t.Helper()
	r, err := f.BatchNotification(s, events, at)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestBatch_SizeAndWait(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	chosen := fattorino.Options{BatchSize: 7, BatchLinger: 250 * time.Millisecond}
	for _, tc := range []struct {
		name    string
		format  fattorino.Format
		options fattorino.Options
		size    int
		linger  time.Duration
	}{
		{"nothing chosen", fattorino.Batched, fattorino.Options{}, 100, time.Second},
		{"both chosen", fattorino.Batched, chosen, 7, 250 * time.Millisecond},
		{"one by one", fattorino.Batched, fattorino.Options{BatchSize: 1}, 1, time.Second},
		{"binary", fattorino.Binary, chosen, 1, 0},
		{"no format", "", chosen, 1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := subscription()
			s.Format, s.Options = tc.format, tc.options
			if size, linger := f.Batch(s); size != tc.size || linger != tc.linger {
				t.Errorf("%d events, %v; want %d, %v", size, linger, tc.size, tc.linger)
			}
		})
	}
}

// The webhook-id is the set's (SW-2).
func TestBatch_IDIsTheSets(t *testing.T) {
	t.Parallel()
	f, s := newFixture(t), subscription()
	s.Format = fattorino.Batched
	other := subscription()
	other.ID, other.Format = 43, fattorino.Batched
	a, b := invoicePaid(), noted()
	id := func(s *fattorino.Subscription, at time.Time, events ...*fattorino.Event) string {
		return value(f.batch(t, s, at, events...).Header, "webhook-id")
	}
	first := id(s, now, a, b)
	equal(t, id(s, now.Add(time.Hour), a, b), first)
	equal(t, id(s, now, b, a), first)
	for name, another := range map[string]string{
		"a part of it": id(s, now, a), "the other part": id(s, now, b), "one event twice": id(s, now, a, a),
		"another subscription": id(other, now, a, b),
	} {
		if another == first {
			t.Errorf("%s has the same id", name)
		}
	}
	if strings.Contains(first, ".") || len(first) > 64 {
		t.Errorf("the id %q cannot stand in what is signed", first)
	}
}

// Each event of a batch is what it is in structured mode.
func TestBatch_HoldsWhatStructuredModeTells(t *testing.T) {
	t.Parallel()
	f, s := newFixture(t), subscription()
	for _, s.Options.Thin = range []bool{false, true} {
		s.Format = fattorino.Batched
		r := f.batch(t, s, now, invoicePaid(), noted())
		equal(t, value(r.Header, "Content-Type"), cloudevents.BatchType)
		var members []json.RawMessage
		if err := json.Unmarshal(r.Body, &members); err != nil || len(members) != 2 {
			t.Fatalf("%d events, %v", len(members), err)
		}
		s.Format = fattorino.Structured
		equal(t, string(members[0]), string(f.notification(t, s, invoicePaid(), now).Body))
		equal(t, string(members[1]), string(f.notification(t, s, noted(), now).Body))
	}
}

func TestBatch_OfOneIsABatch(t *testing.T) {
	t.Parallel()
	f, s := newFixture(t), subscription()
	s.Format = fattorino.Batched
	equal(t, f.notification(t, s, invoicePaid(), now), f.batch(t, s, now, invoicePaid()))
}

// The SDK reads a batch, with its own code alone.
func TestBatch_TheSDKReadsIt(t *testing.T) {
	t.Parallel()
	f, s := newFixture(t), subscription()
	s.Format = fattorino.Batched
	r := received(t, f.batch(t, s, now, invoicePaid(), noted()))
	if !sdk.IsHTTPBatch(r.Header) {
		t.Fatalf("the SDK takes %s for no batch", r.Header.Get("Content-Type"))
	}
	got, err := sdk.NewEventsFromHTTPRequest(r)
	if err != nil || len(got) != 2 {
		t.Fatalf("%d events, %v", len(got), err)
	}
	for i, want := range []*fattorino.Event{invoicePaid(), noted()} {
		if err := got[i].Validate(); err != nil {
			t.Error(err)
		}
		equal(t, []string{got[i].ID(), got[i].Source(), got[i].Type(), got[i].Subject()}, []string{want.ID, want.Source, want.Type, want.Subject})
		equal(t, got[i].Extensions()["companyid"], any("12345"))
	}
	equal(t, string(got[0].Data()), string(invoicePaid().Data))
	var text string
	if err := got[1].DataAs(&text); err != nil {
		t.Fatal(err)
	}
	equal(t, text, string(noted().Data))
}

func TestCheckOptions_OfBatches(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, tc := range []struct {
		name   string
		format fattorino.Format
		size   int
		linger time.Duration
		faults []string
	}{
		{"nothing chosen", fattorino.Batched, 0, 0, nil},
		{"the least", fattorino.Batched, 1, time.Millisecond, nil},
		{"the most", fattorino.Batched, 1000, time.Minute, nil},
		{"too many", fattorino.Batched, 1001, 0, []string{"batch_size"}},
		{"too long", fattorino.Batched, 0, time.Minute + 1, []string{"batch_linger"}},
		{"negative", fattorino.Batched, -1, -1, []string{"batch_size", "batch_linger"}},
		{"of another format", fattorino.Structured, 10, time.Second, []string{"batch_size", "batch_linger"}},
		{"of no format", "", 10, time.Second, []string{"batch_size", "batch_linger"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n := wish()
			n.Format, n.Options.BatchSize, n.Options.BatchLinger = tc.format, tc.size, tc.linger
			if got := faults(t, f.CheckOptions(n)); !slices.Equal(got, tc.faults) {
				t.Errorf("faults %v, want %v", got, tc.faults)
			}
		})
	}
}
