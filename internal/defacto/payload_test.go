package defacto_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// happened is 11:26:59 UTC, told by a producer in Rome with more precision
// than the notification shows.
var happened = time.Date(2022, 2, 11, 12, 26, 59, 631326789, time.FixedZone("", 3600))

// jsonEvent is an event with JSON data.
func jsonEvent(typ, data string) *fattorino.Event {
	return &fattorino.Event{Type: typ, Time: happened, Form: fattorino.JSONData, Data: []byte(data), Seq: 345, Company: 1}
}

func TestNotificationBodies(t *testing.T) {
	t.Parallel()
	const id = "a18d5057-0092-4555-b865-7ade03c3ac9b"
	const at = `"timestamp":"2022-02-11T11:26:59.631326+00:00"`
	attributes := jsonEvent("Loan.CLOSED", `{"id":"`+id+`","status":"TO_REPAY","transition_name":"REPAY"}`)
	attributes.Extensions = map[string]any{"transitionname": "CLOSE \"it\"", "status": "CLOSED!"}
	flat := jsonEvent("Invoice.VERIFIED", `{"id":"`+id+`","status":"TO_REPAY","transition_name":"REPAY","entity_state":{}}`)
	flat.Extensions = map[string]any{"transitionname": "CLOSE", "status": "CLOSED"}
	linked := jsonEvent("it.fattureincloud.webhooks.issued_documents.invoices.delete", `{"ids":[1,2]}`)
	linked.Common, linked.Entity = "invoice.deleted", fattorino.Entity{Type: "invoice", IDs: []string{"1", "2"}}
	entityOnly := jsonEvent("Payment.PAID", `[1]`)
	entityOnly.Entity = fattorino.Entity{Type: "payment", IDs: []string{"7"}}
	sandboxed := jsonEvent("Invoice.VERIFIED", `{"id":"`+id+`"}`)
	sandboxed.Entity = fattorino.Entity{Type: "invoice", IDs: []string{"7"}}
	bare := &fattorino.Event{Type: "Loan.OVERDUE", Accepted: time.Date(2022, 2, 11, 11, 26, 59, 631326000, time.UTC)}
	binary := &fattorino.Event{Type: "Loan.OVERDUE", Time: happened, Form: fattorino.BinaryData, Data: []byte(`{"id":1}`)}

	for _, c := range []struct {
		name  string
		event *fattorino.Event
		want  string
	}{
		{
			"A5: the sample of the guide",
			jsonEvent("Invoice.SUBMITTED", `{"id":"`+id+`"}`),
			`{"entity_type":"invoice","transition_name":"SUBMIT","status":"SUBMITTED",` + at + `,"id":"` + id + `","event_type":"Invoice.SUBMITTED","entity_state":{"id":"` + id + `"}}`,
		},
		{
			"A5: the resource byte for byte",
			jsonEvent("Loan.ISSUE_DETECTED", "\n{ \"id\" : 12345678901234567890, \"b\":1.50,\n \"a\":\"<\u00e9\\u00e9>\" , \"a\":2}\n"),
			`{"entity_type":"loan","transition_name":null,"status":"ISSUE_DETECTED",` + at + `,"id":"12345678901234567890","event_type":"Loan.ISSUE_DETECTED","entity_state":{ "id" : 12345678901234567890, "b":1.50,` + "\n" + ` "a":"<é\u00e9>" , "a":2}}`,
		},
		{
			"A5: data in the form of a notification",
			jsonEvent("Invoice.TO_EDIT", `{"entity_type":"sandbox_invoice","transition_name":"REFUSE","status":"TO_EDIT","id":"`+id+`","event_type":"another","entity_state":[ 1 ]}`),
			`{"entity_type":"sandbox_invoice","transition_name":"REFUSE","status":"TO_EDIT",` + at + `,"id":"` + id + `","event_type":"Invoice.TO_EDIT","entity_state":[ 1 ]}`,
		},
		{
			"A5: data in the form of a notification keeps its timestamp as written",
			jsonEvent("Invoice.VERIFIED", `{"entity_type":"invoice","transition_name":"VERIFY","status":"CHECKED","timestamp":"2021-01-02T03:04:05.000006+00:00","id":"another","event_type":"Invoice.VERIFIED","entity_state":{"id":"`+id+`","status":"TO_EDIT"}}`),
			`{"entity_type":"invoice","transition_name":"VERIFY","status":"CHECKED","timestamp":"2021-01-02T03:04:05.000006+00:00","id":"another","event_type":"Invoice.VERIFIED","entity_state":{"id":"` + id + `","status":"TO_EDIT"}}`,
		},
		{
			"A5: data in the form of a notification, its timestamp no date-time: the event's",
			jsonEvent("Invoice.VERIFIED", `{"timestamp":"today","entity_state":{}}`),
			`{"entity_type":"invoice","transition_name":null,"status":"VERIFIED",` + at + `,"id":null,"event_type":"Invoice.VERIFIED","entity_state":{}}`,
		},
		{
			"A5: data in the form of a notification: the extensions win",
			flat,
			`{"entity_type":"invoice","transition_name":"CLOSE","status":"CLOSED",` + at + `,"id":"` + id + `","event_type":"Invoice.VERIFIED","entity_state":{}}`,
		},
		{
			"A4: the resource says its transition; its own timestamp is no concern",
			jsonEvent("Loan.CLOSED", `{"id":"x","transition_name":"PAY_OFF","timestamp":"2021-01-02T03:04:05+00:00"}`),
			`{"entity_type":"loan","transition_name":"PAY_OFF","status":"CLOSED",` + at + `,"id":"x","event_type":"Loan.CLOSED","entity_state":{"id":"x","transition_name":"PAY_OFF","timestamp":"2021-01-02T03:04:05+00:00"}}`,
		},
		{
			"A4: the platform says the transition and the status",
			attributes,
			`{"entity_type":"loan","transition_name":"CLOSE \"it\"","status":"CLOSED!",` + at + `,"id":"` + id + `","event_type":"Loan.CLOSED","entity_state":{"id":"` + id + `","status":"TO_REPAY","transition_name":"REPAY"}}`,
		},
		{
			"A4: a type that names an action: the status of the resource",
			jsonEvent("CreditLine.POOL_AMOUNT_UPDATED", `{"id":"x","status":"ACTIVE"}`),
			`{"entity_type":"credit_line","transition_name":null,"status":"ACTIVE",` + at + `,"id":"x","event_type":"CreditLine.POOL_AMOUNT_UPDATED","entity_state":{"id":"x","status":"ACTIVE"}}`,
		},
		{
			"A4: a type that names an action: no status known",
			jsonEvent("CreditLimit.UPDATED", `{}`),
			`{"entity_type":"credit_limit","transition_name":null,"status":null,` + at + `,"id":null,"event_type":"CreditLimit.UPDATED","entity_state":{}}`,
		},
		{
			"A3: a type that came later",
			jsonEvent("CounterpartyCreditLimit.CREATED", `{"id":"x"}`),
			`{"entity_type":"counterparty_credit_limit","transition_name":null,"status":"CREATED",` + at + `,"id":"x","event_type":"CounterpartyCreditLimit.CREATED","entity_state":{"id":"x"}}`,
		},
		{
			"an event of another vocabulary",
			linked,
			`{"entity_type":"invoice","transition_name":null,"status":"DELETED",` + at + `,"id":"1,2","event_type":"Invoice.DELETED","entity_state":{"ids":[1,2]}}`,
		},
		{
			"data that says no id: the entity's",
			entityOnly,
			`{"entity_type":"payment","transition_name":null,"status":"PAID",` + at + `,"id":"7","event_type":"Payment.PAID","entity_state":[1]}`,
		},
		{
			"data that says its id, before the entity's",
			sandboxed,
			`{"entity_type":"invoice","transition_name":null,"status":"VERIFIED",` + at + `,"id":"` + id + `","event_type":"Invoice.VERIFIED","entity_state":{"id":"` + id + `"}}`,
		},
		{
			"no data and no time: when it was accepted",
			bare,
			`{"entity_type":"loan","transition_name":null,"status":"OVERDUE",` + at + `,"id":null,"event_type":"Loan.OVERDUE","entity_state":null}`,
		},
		{
			"data that is no JSON",
			binary,
			`{"entity_type":"loan","transition_name":null,"status":"OVERDUE",` + at + `,"id":null,"event_type":"Loan.OVERDUE","entity_state":null}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := notificationOf(t, c.event)
			if diff := cmp.Diff(c.want, string(got.Body)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func notificationOf(t *testing.T, e *fattorino.Event) *fattorino.Request {
	t.Helper()
	s := &fattorino.Subscription{ID: 12, Sink: "https://sink.example/?token=a%20b&&x"}
	r, err := newContract(t).Notification(s, e, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(r.Body) {
		t.Errorf("the body is no JSON: %s", r.Body)
	}
	return r
}

func TestNotificationRequest(t *testing.T) {
	t.Parallel()
	got := notificationOf(t, jsonEvent("Loan.CLOSED", `{}`))
	got.Body = nil
	want := &fattorino.Request{Method: "POST", URL: "https://sink.example/?token=a%20b&&x", Header: []fattorino.Header{
		{Name: "User-Agent", Value: "Fattorino"},
		{Name: "Content-Type", Value: "application/json"},
		{Name: "Webhook-Id", Value: "12-345"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request, without a signature (A6) (-want +got):\n%s", diff)
	}
}

// A test is in no history: what tells it from others is what it is known by.
func TestTheIDOfATestIsItsOwn(t *testing.T) {
	t.Parallel()
	id := func(name string) string {
		e := jsonEvent("Loan.CLOSED", `{}`)
		e.Seq, e.ID = 0, name
		return notificationOf(t, e).Header[2].Value
	}
	if a, again, b := id("a"), id("a"), id("b"); a != again || a == b || !strings.HasPrefix(a, "12-") {
		t.Errorf("ids of tests: %s, %s again, and %s of another", a, again, b)
	}
}

// Whatever a platform publishes, the body is JSON with the seven members.
func FuzzNotification(f *testing.F) {
	f.Add("Invoice.SUBMITTED", `{"id":"a","status":"b","entity_state":{}}`, "SUBMIT")
	f.Add(".", "null", "")
	f.Add("É\xff", `"\ud800"`, "\x00")
	f.Fuzz(func(t *testing.T, typ, data, transition string) {
		if !json.Valid([]byte(data)) {
			t.Skip("refused when it is published")
		}
		e := jsonEvent(typ, data)
		e.Extensions = map[string]any{"transitionname": transition}
		decode[notification](t, string(notificationOf(t, e).Body))
	})
}
