package native_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/native"
)

// The producer's attributes come through; ours are added.
func TestAttributes_AreTheProducersAndOurs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, format := range []fattorino.Format{fattorino.Binary, fattorino.Structured} {
		s, e := subscription(), invoicePaid()
		s.Format = format
		got := decoded(t, f.notification(t, s, e, now))
		equal(t, []string{got.ID, got.Source, got.Type, got.Subject, got.DataSchema, got.DataContentType},
			[]string{e.ID, e.Source, e.Type, e.Subject, e.DataSchema, e.DataContentType})
		equal(t, got.Time.Format(time.RFC3339Nano), "2026-03-01T12:59:58.25+01:00")
		equal(t, string(got.Data), string(e.Data))
		equal(t, got.Extensions["companyid"], any("12345"))
		equal(t, got.Extensions["partitionkey"], any("invoice/42"))
		equal(t, got.Extensions["sequence"], any("0000000000000000816"))
		equal(t, got.Extensions["traceparent"], e.Extensions["traceparent"])
	}
}

func TestAttributes_OfTheProducerThatAreCalledLikeOurs(t *testing.T) {
	t.Parallel()
	f, s, e := newFixture(t), subscription(), invoicePaid()
	e.Extensions = map[string]any{"companyid": int32(12345), "partitionkey": "A-7", "sequence": "1"}
	got := decoded(t, f.notification(t, s, e, now)).Extensions
	equal(t, got, map[string]any{"companyid": "12345", "partitionkey": "A-7", "sequence": "0000000000000000816"})
	equal(t, e.Extensions, map[string]any{"companyid": int32(12345), "partitionkey": "A-7", "sequence": "1"})

	e.Seq = 0 // private: there is no sequence of ours
	got = decoded(t, f.notification(t, s, e, now)).Extensions
	equal(t, got, map[string]any{"companyid": "12345", "partitionkey": "A-7", "sequence": "1"})
}

func TestSequence_SortsAsText(t *testing.T) {
	t.Parallel()
	f, s, e := newFixture(t), subscription(), invoicePaid()
	var list []string
	for _, seq := range []int64{1, 9, 10, 99, 816, 1 << 40, 1<<63 - 1} {
		e.Seq = seq
		list = append(list, value(f.notification(t, s, e, now).Header, "ce-sequence"))
	}
	if !slices.IsSorted(list) || list[len(list)-1] != "9223372036854775807" {
		t.Errorf("%q", list)
	}
}

// Events of other contracts come under the common name of their type, others
// under their own.
func TestType_IsTheNameUnderThisContract(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *native.Options) { o.Common = []string{"quote.created", "invoice.paid"} })
	for _, tc := range []struct{ typ, common, want string }{
		{"it.fattureincloud.webhooks.issued_documents.quotes.create", "quote.created", "quote.created"},
		{"it.fattureincloud.webhooks.issued_documents.invoices.update", "invoice.updated", "invoice.updated"},
		{"invoice.paid", "invoice.paid", "invoice.paid"},
		{"com.example.shipment.sent", "", "com.example.shipment.sent"},
	} {
		e := invoicePaid()
		e.Type, e.Common = tc.typ, tc.common
		equal(t, value(f.notification(t, subscription(), e, now).Header, "ce-type"), tc.want)
	}
}

// A type of the platform's own that is linked to a common name comes under the
// name that the subscription asked for.
func TestType_IsTheNameThatWasAskedFor(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, tc := range []struct {
		types []string
		want  string
	}{
		{[]string{"acme.invoice.settled"}, "acme.invoice.settled"},
		{[]string{"acme.*"}, "acme.invoice.settled"},
		{[]string{"invoice.paid"}, "invoice.paid"},
		{[]string{"invoice.*"}, "invoice.paid"},
		{[]string{"*"}, "invoice.paid"},
		{[]string{"invoice.paid", "acme.invoice.settled"}, "acme.invoice.settled"},
	} {
		s, e := subscription(), invoicePaid()
		s.Types, e.Type, e.Common = tc.types, "acme.invoice.settled", "invoice.paid"
		equal(t, value(f.notification(t, s, e, now).Header, "ce-type"), tc.want)
	}
}

func TestCatalog_IsOpenAndShared(t *testing.T) {
	t.Parallel()
	c := newFixture(t, func(o *native.Options) { o.Common = []string{"quote.created", "invoice.paid"} }).Catalog()
	if !c.Open || !c.Shared || c.Contract != "native" || len(c.Types) != 10 {
		t.Errorf("%+v", c)
	}
	for _, name := range []string{"invoice.paid", "quote.created", "invoice.*", "*", "com.example.shipment.sent"} {
		equal(t, c.Explode(name), []string{name})
	}
}

// SW-2 and SW-4.
func TestMessageID(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := func(s *fattorino.Subscription, e *fattorino.Event, at time.Time) string {
		return value(f.notification(t, s, e, at).Header, "webhook-id")
	}
	first := id(subscription(), invoicePaid(), now)
	equal(t, id(subscription(), invoicePaid(), now.Add(5*time.Hour)), first)
	if !regexp.MustCompile(`^msg_42_[0-9A-V]{26}$`).MatchString(first) {
		t.Errorf("%q", first)
	}
	seen := map[string]string{first: "itself"}
	for name, change := range map[string]func(*fattorino.Subscription, *fattorino.Event){
		"subscription":    func(s *fattorino.Subscription, _ *fattorino.Event) { s.ID = 43 },
		"id":              func(_ *fattorino.Subscription, e *fattorino.Event) { e.ID += "x" },
		"source":          func(_ *fattorino.Subscription, e *fattorino.Event) { e.Source += "x" },
		"company":         func(_ *fattorino.Subscription, e *fattorino.Event) { e.Company++ },
		"private copy":    func(_ *fattorino.Subscription, e *fattorino.Event) { e.Seq = 0 },
		"source into id":  func(_ *fattorino.Subscription, e *fattorino.Event) { e.Source += "3"; e.ID = "f1c.9" },
		"dots in the id":  func(_ *fattorino.Subscription, e *fattorino.Event) { e.ID = "msg.1772366405.{}" },
		"very long names": func(_ *fattorino.Subscription, e *fattorino.Event) { e.ID = strings.Repeat("i", 8000) },
	} {
		s, e := subscription(), invoicePaid()
		change(s, e)
		got := id(s, e, now)
		if other, twice := seen[got]; twice || strings.Contains(got, ".") || len(got) > 64 {
			t.Errorf("%s: %s, as %s", name, got, other)
		}
		seen[got] = name
	}
	equal(t, value(f.notification(t, subscription(), invoicePaid(), now.Add(90*time.Second)).Header, "webhook-timestamp"), "1772366495")
}

// WH-3: there is always a body, and a type of it.
func TestWH3_WhatBinaryModeCannotSayGoesStructured(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const structured = "application/cloudevents+json"
	for _, tc := range []struct {
		name, contentType string
		form              fattorino.Form
		data              string
		want              string
	}{
		{"no data", "", fattorino.NoData, "", structured},
		{"no data of a known type", "application/json", fattorino.NoData, "", structured},
		{"empty text", "text/plain", fattorino.TextData, "", structured},
		{"bytes of no known type", "", fattorino.BinaryData, "\x00\x01", structured},
		{"bytes", "application/pdf", fattorino.BinaryData, "\x00\x01", "application/pdf"},
		{"text", "text/plain; charset=utf-8", fattorino.TextData, "ciao", "text/plain; charset=utf-8"},
		{"JSON of no named type", "", fattorino.JSONData, "null", "application/json"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := invoicePaid()
			e.DataContentType, e.Form, e.Data = tc.contentType, tc.form, []byte(tc.data)
			r := f.notification(t, subscription(), e, now)
			equal(t, value(r.Header, "Content-Type"), tc.want)
			if len(r.Body) == 0 {
				t.Error("there is no body")
			}
			if got := decoded(t, r); string(got.Data) != tc.data || got.ID != e.ID {
				t.Errorf("%+v", got)
			}
		})
	}
}

// SW-10: the body of Standard Webhooks for every form of data.
func TestStandard_Body(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, tc := range []struct {
		name   string
		change func(*fattorino.Event)
		want   string
	}{
		{"JSON verbatim", func(e *fattorino.Event) { e.Data = []byte(`{"a":1.50,"a":100000000000000000000}`) }, `{"type":"invoice.paid","timestamp":"2026-03-01T12:59:58.25+01:00","data":{"a":1.50,"a":100000000000000000000}}`},
		{"text", func(e *fattorino.Event) { e.Form, e.Data = fattorino.TextData, []byte("\"ciao\"\n") }, `{"type":"invoice.paid","timestamp":"2026-03-01T12:59:58.25+01:00","data":"\"ciao\"\n"}`},
		{"bytes", func(e *fattorino.Event) { e.Form, e.Data = fattorino.BinaryData, []byte{0xff, 0xfe} }, `{"type":"invoice.paid","timestamp":"2026-03-01T12:59:58.25+01:00","data":"//4="}`},
		{"none", func(e *fattorino.Event) { e.Form, e.Data = fattorino.NoData, nil }, `{"type":"invoice.paid","timestamp":"2026-03-01T12:59:58.25+01:00","data":null}`},
		{"no time", func(e *fattorino.Event) { e.Time, e.Data = time.Time{}, []byte("1") }, `{"type":"invoice.paid","timestamp":"2026-03-01T12:00:00Z","data":1}`},
		{"type with marks", func(e *fattorino.Event) { e.Type, e.Common, e.Data = `a"b\`, "", []byte("1") }, `{"type":"a\"b\\","timestamp":"2026-03-01T12:59:58.25+01:00","data":1}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, e := subscription(), invoicePaid()
			s.Format = fattorino.Standard
			tc.change(e)
			r := f.notification(t, s, e, now)
			equal(t, string(r.Body), tc.want)
			equal(t, value(r.Header, "Content-Type"), "application/json")
		})
	}
}

func TestThin_Data(t *testing.T) {
	t.Parallel()
	relative := newFixture(t, func(o *native.Options) { o.BaseURL, o.Issuer = "", "https://erp.example" })
	slash := newFixture(t, func(o *native.Options) { o.BaseURL = "https://hooks.example/" })
	for _, tc := range []struct {
		name   string
		f      *fixture
		change func(*fattorino.Event)
		want   string
	}{
		{"without base URL", relative, func(*fattorino.Event) {}, `{"ids":["42"],"entity":"invoice/42","url":"/v1/companies/12345/events?after=815&limit=1"}`},
		{"the first event", slash, func(e *fattorino.Event) { e.Seq = 1 }, `{"ids":["42"],"entity":"invoice/42","url":"https://hooks.example/v1/companies/12345/events?after=0&limit=1"}`},
		{"several ids", slash, func(e *fattorino.Event) { e.Entity.IDs = []string{"1", `a"b`} }, `{"ids":["1","a\"b"],"entity":"invoice/1,a\"b","url":"https://hooks.example/v1/companies/12345/events?after=815&limit=1"}`},
		{"about nothing", slash, func(e *fattorino.Event) { e.Entity = fattorino.Entity{} }, `{"ids":[],"url":"https://hooks.example/v1/companies/12345/events?after=815&limit=1"}`},
		{"private", slash, func(e *fattorino.Event) { e.Seq = 0 }, `{"ids":["42"],"entity":"invoice/42"}`},
		{"without data", slash, func(e *fattorino.Event) { e.Form, e.Data, e.DataContentType = fattorino.NoData, nil, "" }, `{"ids":["42"],"entity":"invoice/42","url":"https://hooks.example/v1/companies/12345/events?after=815&limit=1"}`},
		{"of bytes", slash, func(e *fattorino.Event) { e.Form, e.DataContentType = fattorino.BinaryData, "application/pdf" }, `{"ids":["42"],"entity":"invoice/42","url":"https://hooks.example/v1/companies/12345/events?after=815&limit=1"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, e := subscription(), invoicePaid()
			s.Options.Thin = true
			tc.change(e)
			before := string(e.Data)
			r := tc.f.notification(t, s, e, now)
			equal(t, string(r.Body), tc.want)
			equal(t, value(r.Header, "Content-Type"), "application/json")
			if !json.Valid(r.Body) || value(r.Header, "ce-dataschema") != "" || string(e.Data) != before {
				t.Errorf("%v", r.Header)
			}
		})
	}
}

// HB-7: the vectors of CloudEvents' HTTP binding, in an attribute of the
// producer's.
func TestHB7_HeaderVectors(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for text, want := range map[string]string{
		"Euro € 😀": "Euro%20%E2%82%AC%20%F0%9F%98%80",
		"100%":     "100%25",
		`a"b`:      "a%22b",
		"%41":      "%2541",
	} {
		e := invoicePaid()
		e.Subject, e.Extensions = text, map[string]any{"note": text}
		r := f.notification(t, subscription(), e, now)
		equal(t, value(r.Header, "ce-subject"), want)
		equal(t, value(r.Header, "ce-note"), want)
		equal(t, decoded(t, r).Extensions["note"], any(text))
	}
}

// WH-4: who asked by OPTIONS names the same origin with each notification.
func TestWH4_OriginGoesWithNotifications(t *testing.T) {
	t.Parallel()
	f, s := newFixture(t), subscription()
	for handshake, want := range map[string]string{"": "", native.HandshakeChallenge: "", native.HandshakeNone: "", native.HandshakeOptions: origin} {
		s.Options.Handshake = handshake
		equal(t, value(f.notification(t, s, invoicePaid(), now).Header, "WebHook-Request-Origin"), want)
	}
	s.Options.Handshake = native.HandshakeOptions
	asked := value(f.challenge(t, s).Header, "WebHook-Request-Origin")
	equal(t, value(f.notification(t, s, invoicePaid(), now).Header, "WebHook-Request-Origin"), asked)
}

func TestHeaders_OfTheSubscriberAreSentAndHidden(t *testing.T) {
	t.Parallel()
	f, s := newFixture(t), subscription()
	s.Options.Signature = native.SignatureJWT
	s.Options.Headers = f.headers(t, fattorino.Header{Name: "X-Api-Key", Value: "s3cret"}, fattorino.Header{Name: "X-Tenant", Value: "a"})
	for range 2 { // opened, and still open
		r := f.notification(t, s, invoicePaid(), now)
		equal(t, value(r.Header, "X-Api-Key"), "s3cret")
		equal(t, value(r.Header, "X-Tenant"), "a")
		for _, field := range r.Header {
			hidden := field.Name == "X-Api-Key" || field.Name == "X-Tenant" || field.Name == "Authorization"
			if field.Secret != hidden {
				t.Errorf("%s is marked as secret: %v", field.Name, field.Secret)
			}
		}
	}
	s.Options.Headers = []byte("damaged")
	if _, err := f.Notification(s, invoicePaid(), now); err == nil {
		t.Error("without the fields that are wanted it is sent all the same")
	}
}

// No field is there twice, whatever was chosen: of two a receiver reads either.
func TestHeaders_EachIsThereOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	formats(func(name string, format fattorino.Format, thin bool) {
		s := subscription()
		s.Format, s.Options.Thin, s.Options.Handshake = format, thin, native.HandshakeOptions
		s.Secrets = []fattorino.Secret{f.secret(t, newEd25519, time.Time{}), f.secret(t, oldEd25519, now.Add(time.Hour))}
		for _, signature := range []string{"", "v1a", "httpsig", "jwt", "none"} {
			s.Options.Signature = signature
			seen := map[string]bool{}
			for _, field := range f.notification(t, s, invoicePaid(), now).Header {
				lower := strings.ToLower(field.Name)
				if seen[lower] {
					t.Errorf("%s %s: %s twice", name, signature, field.Name)
				}
				seen[lower] = true
			}
		}
	})
}
