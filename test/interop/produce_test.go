package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

// A receipt is what is answered for an event that was accepted.
type receipt struct {
	ID      string
	Company int
	Seq     int64
}

// kept is an event as the pull API shows it.
type kept struct {
	Seq                       int64
	ID, Source, Type, Subject string
	DataContentType           string
	Data                      json.RawMessage
	DataBase64                string `json:"data_base64"`
}

func (s *server) pull(t *testing.T, company int) []kept {
	t.Helper()
	var page struct{ Events []kept }
	s.call(t, http.MethodGet, fmt.Sprintf("/v1/companies/%d/events", company), adminToken, nil, http.StatusOK, &page)
	return page.Events
}

func TestTheCloudEventsSDKForJavaScriptPublishes(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const company = 12345
	var got map[string]struct {
		Status int
		Body   struct {
			Events   []receipt
			Warnings []string
			Detail   string
		}
	}
	answersOf(t, "producer.mjs", map[string]any{"base": s.url, "company": company, "token": s.token(t, "publish", company)}, &got)

	for mode, want := range map[string][]receipt{
		"binary":     {{"binary-1", company, 1}},
		"structured": {{"structured-1", company, 2}},
		"bytes":      {{"structured-2", company, 3}},
		"batch":      {{"batch-1", company, 4}, {"batch-2", company, 5}},
		"again":      {{"binary-1", company, 1}},
	} {
		if got[mode].Status != http.StatusAccepted || text(got[mode].Body.Events) != text(want) {
			t.Errorf("%s: got %s, want %s", mode, text(got[mode]), text(want))
		}
	}
	if got["changed"].Status != http.StatusConflict {
		t.Errorf("the same id with other content: got %s", text(got["changed"]))
	}
	if w := got["batch"].Body.Warnings; len(w) != 1 || !strings.Contains(w[0], `did you mean "invoice.paid"`) {
		t.Errorf("warnings %q", w)
	}

	events := s.pull(t, company)
	if len(events) != 5 {
		t.Fatalf("got %s", text(events))
	}
	for i, want := range []kept{
		{ID: "binary-1", Subject: "invoice 42", Data: json.RawMessage(`{"id":42,"total":122.5}`)},
		{ID: "structured-1", Subject: "fattura n. 42 – “caffè”", Data: json.RawMessage(`"pagata: 122,50 €"`)},
		{ID: "structured-2", DataBase64: "AP8Q"},
		{ID: "batch-1", Data: json.RawMessage(`{"id":43}`)},
		{ID: "batch-2", Data: json.RawMessage(`{"id":43}`)},
	} {
		e := events[i]
		if e.ID != want.ID || e.Subject != want.Subject || string(e.Data) != string(want.Data) || e.DataBase64 != want.DataBase64 {
			t.Errorf("got %s, want %s", text(e), text(want))
		}
	}
}

func TestTheCloudEventsSDKForGoPublishes(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const company = 12345
	client, err := cloudevents.NewClientHTTP(
		cehttp.WithTarget(s.url+"/v1/events"),
		cehttp.WithHeader("Authorization", "Bearer "+s.token(t, "publish", company)),
	)
	if err != nil {
		t.Fatal(err)
	}
	for id, mode := range map[string]func(context.Context) context.Context{
		"binary": cloudevents.WithEncodingBinary, "structured": cloudevents.WithEncodingStructured,
	} {
		e := cloudevents.NewEvent()
		e.SetID(id)
		e.SetSource("https://erp.example/invoicing")
		e.SetType("invoice.created")
		e.SetExtension("companyid", fmt.Sprint(company))
		if err := e.SetData(cloudevents.ApplicationJSON, map[string]any{"id": 42}); err != nil {
			t.Fatal(err)
		}
		if result := client.Send(mode(t.Context()), e); cloudevents.IsUndelivered(result) || !cloudevents.IsACK(result) {
			t.Errorf("%s: %v", id, result)
		}
	}
	if events := s.pull(t, company); len(events) != 2 || string(events[0].Data) != `{"id":42}` || string(events[1].Data) != `{"id":42}` {
		t.Errorf("got %s", text(events))
	}
}
