package attemptlog_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/fattorino-dev/fattorino/internal/attemptlog"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestEveryAttemptIsFoundAsItWas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// Given some attempts, with texts in common or not, of events whose data is
		// in the request's body or not, or is not known,
		var w attemptlog.Writer
		attempts := rapid.SliceOfN(rapid.Custom(anAttempt), 0, 20).Draw(t, "attempts")
		data := map[int64][]byte{}
		for i, a := range attempts {
			a.Delivery = int64(i + 1)
			data[a.Delivery] = rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 200)).Draw(t, "data")
			if rapid.Bool().Draw(t, "in the body") {
				a.Request.Body = slices.Concat([]byte("before"), data[a.Delivery], a.Request.Body)
			}
			w.Add(a, data[a.Delivery])
		}

		// when they are packed into a page,
		page := w.AppendTo(nil)

		// then each is found in it as it was, and no other.
		for _, want := range attempts {
			got, found, err := attemptlog.Find(page, want.Delivery, want.Number, data[want.Delivery])
			if err != nil || !found {
				t.Fatalf("attempt %d of delivery %d: found %v, %v", want.Number, want.Delivery, found, err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
		}
		var all []*fattorino.Attempt
		dataOf := func(delivery int64) ([]byte, error) { return data[delivery], nil }
		if err := attemptlog.Each(page, dataOf, func(a *fattorino.Attempt) error { all = append(all, a); return nil }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(attempts, all, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
		if _, found, err := attemptlog.Find(page, int64(len(attempts)+1), 1, nil); found || err != nil {
			t.Fatalf("an attempt that is not there: found %v, %v", found, err)
		}
	})
}

func anAttempt(t *rapid.T) *fattorino.Attempt {
	text := rapid.SampledFrom([]string{"", "a", "Content-Type", "x=y?z", "à\x00\xff"})
	header := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) fattorino.Header {
		return fattorino.Header{Name: text.Draw(t, "name"), Value: rapid.String().Draw(t, "value")}
	}), 0, 4)
	body := rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOf(rapid.Byte()))
	took := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.IntRange(0, 20_000_000).Draw(t, "µs")) * time.Microsecond
	})
	return &fattorino.Attempt{
		Number: rapid.IntRange(1, fattorino.MaxAttempts).Draw(t, "number"), BatchOf: rapid.Int64Min(0).Draw(t, "batch of"),
		StartedAt: time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "started")),
		Request: fattorino.Request{
			Method: text.Draw(t, "method"), URL: "https://sink.example/" + rapid.StringN(0, 10, -1).Filter(func(s string) bool {
				for _, c := range s {
					if c == '?' {
						return false
					}
				}
				return true
			}).Draw(t, "path"),
			Header: header.Draw(t, "request header"), Body: body.Draw(t, "request body"),
		},
		Answer: fattorino.Answer{
			Status: rapid.IntRange(0, 999).Draw(t, "status"), Header: header.Draw(t, "answer header"), Body: body.Draw(t, "answer body"),
			Truncated: rapid.Bool().Draw(t, "truncated"), Failure: fattorino.Failure(text.Draw(t, "failure")), Detail: text.Draw(t, "detail"),
			Timing: fattorino.Timing{DNS: took.Draw(t, "dns"), Connect: took.Draw(t, "connect"), TLS: took.Draw(t, "tls"), FirstByte: took.Draw(t, "first"), Total: took.Draw(t, "total")},
		},
	}
}

func TestWhatIsSecretIsNotInThePage(t *testing.T) {
	t.Parallel()
	var w attemptlog.Writer
	w.Add(&fattorino.Attempt{Delivery: 1, Number: 1, Request: fattorino.Request{
		URL: "https://sink.example/in?key=canary-query", Header: []fattorino.Header{{Name: "X-Key", Value: "canary-header", Secret: true}},
	}}, nil)
	got, _, err := attemptlog.Find(w.AppendTo(nil), 1, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Request.URL != "https://sink.example/in" || got.Request.Header[0].Value != "[hidden]" {
		t.Errorf("the page keeps %+v", got.Request)
	}
}

func TestAWriterCanBeUsedAgain(t *testing.T) {
	t.Parallel()
	var w attemptlog.Writer
	w.Add(&fattorino.Attempt{Delivery: 1, Number: 1, Request: fattorino.Request{Method: "POST"}}, nil)
	w.Reset()
	w.Add(&fattorino.Attempt{Delivery: 2, Number: 1, Request: fattorino.Request{Method: "GET"}}, nil)
	page := w.AppendTo(nil)
	if _, found, err := attemptlog.Find(page, 1, 1, nil); found || err != nil {
		t.Errorf("what was there before is there still: %v, %v", found, err)
	}
	if got, found, err := attemptlog.Find(page, 2, 1, nil); err != nil || !found || got.Request.Method != "GET" {
		t.Errorf("got %+v, %v, %v", got, found, err)
	}
}

// Of a body that has the event's data in it a page keeps what is around it, and is
// of no use without the event.
func TestTheDataOfAnEventIsNotKeptAgain(t *testing.T) {
	t.Parallel()
	data := []byte(`{"id":42,"lines":"` + strings.Repeat("a line of an invoice, ", 100) + `"}`)
	body := slices.Concat([]byte(`{"type":"invoice.paid","data":`), data, []byte("}"))
	var w attemptlog.Writer
	w.Add(&fattorino.Attempt{Delivery: 1, Number: 1, Request: fattorino.Request{Body: body}}, data)
	page := w.AppendTo(nil)
	if len(page) > 100 || w.Size() > 100 {
		t.Errorf("the page has %d bytes", len(page))
	}
	if got, _, err := attemptlog.Find(page, 1, 1, data); err != nil || string(got.Request.Body) != string(body) {
		t.Errorf("found %q, %v", got.Request.Body, err)
	}
	if got, _, err := attemptlog.Find(page, 1, 1, nil); err == nil {
		t.Errorf("without the event %q was found", got.Request.Body)
	}
	broken := errors.New("the event cannot be read")
	err := attemptlog.Each(page, func(int64) ([]byte, error) { return nil, broken }, func(*fattorino.Attempt) error { return nil })
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	gone := func(int64) ([]byte, error) { return nil, nil }
	if err := attemptlog.Each(page, gone, func(a *fattorino.Attempt) error { return fmt.Errorf("there is %+v", a) }); err != nil {
		t.Error(err)
	}
	if err := attemptlog.Each(page, nil, func(*fattorino.Attempt) error { return nil }); err == nil {
		t.Error("it was packed without the data, and read as if with it")
	}
}

func FuzzFind(f *testing.F) {
	var w attemptlog.Writer
	for i := range 3 {
		w.Add(&fattorino.Attempt{
			Delivery: int64(i), Number: 1, StartedAt: time.UnixMicro(1e15), Request: fattorino.Request{Method: "POST", Body: []byte("{}")},
			Answer: fattorino.Answer{Status: 200, Header: []fattorino.Header{{Name: "Date", Value: fmt.Sprint(i)}}},
		}, nil)
	}
	f.Add(w.AppendTo(nil), int64(1), 1)
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f}, int64(0), 0)
	f.Fuzz(func(t *testing.T, page []byte, delivery int64, number int) {
		if a, found, err := attemptlog.Find(page, delivery, number, page); found != (a != nil) || (found && err != nil) {
			t.Errorf("%v, %v, %v", a, found, err)
		}
		_ = attemptlog.Each(page, nil, func(*fattorino.Attempt) error { return nil }) // it may be damaged
	})
}

func BenchmarkAdd(b *testing.B) {
	header := []fattorino.Header{
		{Name: "Content-Type", Value: "application/json"},
		{Name: "Webhook-Id", Value: "1:2"},
		{Name: "Webhook-Timestamp", Value: "1772359200"},
		{Name: "Webhook-Signature", Value: "v1,0000000000000000000000000000000000000000000="},
	}
	a := &fattorino.Attempt{
		Number: 1, StartedAt: time.UnixMicro(1e15), Request: fattorino.Request{Method: "POST", URL: "https://sink.example/", Header: header, Body: make([]byte, 500)},
		Answer: fattorino.Answer{Status: 200, Header: header[:2]},
	}
	b.ReportAllocs()
	var w attemptlog.Writer
	page := []byte{}
	for b.Loop() {
		a.Delivery++
		w.Add(a, a.Request.Body)
		if w.Len() == attemptlog.MaxAttempts {
			page = w.AppendTo(page[:0])
			w.Reset()
		}
	}
}
