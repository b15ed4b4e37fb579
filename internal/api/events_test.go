package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

var (
	structured = map[string]string{"Content-Type": "application/cloudevents+json"}
	batch      = map[string]string{"Content-Type": "application/cloudevents-batch+json"}
)

// event writes an event of company 12345 in the JSON format.
func event(id, typ, more string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/erp","type":%q,"companyid":"12345"%s}`, id, typ, more)
}

func TestPublishInEveryMode(t *testing.T) {
	t.Parallel()
	f := start(t)
	publisher := f.token(`{"kind":"publish"}`)
	for _, test := range []struct {
		name   string
		body   string
		header map[string]string
		want   string
	}{
		{
			name:   "structured",
			body:   event("s-1", "invoice.paid", `,"data":{"id":42}`),
			header: structured,
			want:   `{"events":[{"id":"s-1","company":12345,"seq":1}]}`,
		},
		{
			name: "structured, media type with another case and a parameter",
			body: event("s-2", "invoice.paid", ""), header: map[string]string{"Content-Type": "Application/CloudEvents+JSON; charset=utf-8"},
			want: `{"events":[{"id":"s-2","company":12345,"seq":2}]}`,
		},
		{
			name: "binary",
			body: `{"id":42}`,
			header: map[string]string{
				"ce-specversion": "1.0", "ce-id": "b-%E2%82%AC", "ce-source": "/erp", "ce-type": "invoice.paid", "ce-companyid": "12345",
			},
			want: `{"events":[{"id":"b-€","company":12345,"seq":3}]}`,
		},
		{
			name:   "batch",
			body:   "[" + event(`x "y"`, "invoice.created", "") + "," + event("x-2", "invoice.paid", "") + "]",
			header: batch,
			want:   `{"events":[{"id":"x \"y\"","company":12345,"seq":4},{"id":"x-2","company":12345,"seq":5}]}`,
		},
		{
			name: "a batch of none", body: `[]`, header: batch,
			want: `{"events":[]}`,
		},
		{
			name: "sent again: the same answer", body: event("s-1", "invoice.paid", `,"data":{"id":42}`), header: structured,
			want: `{"events":[{"id":"s-1","company":12345,"seq":1}]}`,
		},
		{
			name: "another company has its own seq, named by the subject", header: structured,
			body: `{"specversion":"1.0","id":"s-1","source":"/erp","type":"invoice.paid","subject":"company:7"}`,
			want: `{"events":[{"id":"s-1","company":7,"seq":1}]}`,
		},
		{
			name: "a type in no catalog is accepted, with a warning", header: structured,
			body: event("w-1", "weather.changed", ""),
			want: `{"events":[{"id":"w-1","company":12345,"seq":6}],"warnings":["the type \"weather.changed\" is in no catalog: only subscriptions to this very name or a wildcard hear it"]}`,
		},
		{
			name: "one warning for one cause", header: batch,
			body: "[" + event("w-2", "x.y", "") + "," + event("w-3", "x.y", "") + "]",
			want: `{"events":[{"id":"w-2","company":12345,"seq":7},{"id":"w-3","company":12345,"seq":8}],"warnings":["the type \"x.y\" is in no catalog: only subscriptions to this very name or a wildcard hear it"]}`,
		},
	} {
		answer := f.do(call{method: "POST", path: "/v1/events", token: publisher, body: test.body, header: test.header})
		answer.want(t, http.StatusAccepted)
		if got := strings.TrimSpace(string(answer.body)); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *api.Config) {
		c.Limits = api.Limits{EventBytes: 2000, BatchBytes: 10_000, BatchEvents: 3}
	})
	f.publish(event("taken", "invoice.paid", `,"data":{"id":1}`))
	long := strings.Repeat("x", 2000)
	good := func(id string) string { return event(id, "invoice.paid", "") }
	for _, test := range []struct {
		name   string
		body   string
		header map[string]string
		status int
		fields []string // that errors names
	}{
		{"no JSON", `{"specversion":`, structured, 400, nil},
		{"no UTF-8", "{\"specversion\":\"1.0\",\"id\":\"\xff\"}", structured, 400, nil},
		{"binary without the attributes", `{"id":42}`, nil, 400, nil},
		{"binary with a bad escape", `{}`, map[string]string{"ce-specversion": "1.0", "ce-id": "%C0%A0", "ce-source": "/", "ce-type": "t"}, 400, nil},
		{"an object where a batch is said", good("b"), batch, 400, nil},
		{"another format of CloudEvents", "x", map[string]string{"Content-Type": "application/cloudevents+avro"}, 415, nil},
		{"the same id with other content", event("taken", "invoice.paid", `,"data":{"id":2}`), structured, 409, nil},
		{"missing attributes", `{"specversion":"1.0","id":"1","companyid":"1"}`, structured, 422, []string{"source", "type"}},
		{"a wrong attribute in a batch", "[" + good("a") + `,{"specversion":"1.0","id":"1","source":"","type":"t","companyid":"1"}]`, batch, 422, []string{"events.1.source"}},
		{"no company", `{"specversion":"1.0","id":"1","source":"/","type":"t"}`, structured, 422, []string{"companyid"}},
		{"a company that is none, in a batch", "[" + good("a") + "," + strings.Replace(good("b"), "12345", "-1", 1) + "]", batch, 422, []string{"events.1.companyid"}},
		{"an entity that is none", event("e", "invoice.paid", `,"entity":"invoice"`), structured, 422, []string{"entity"}},
		{"an event too large", event("l", "invoice.paid", `,"data":"`+long+`"`), structured, 413, nil},
		{"an event of a batch too large", "[" + good("a") + "," + event("l", "invoice.paid", `,"data":"`+long+`"`) + "]", batch, 413, []string{"events.1.data"}},
		{"a batch too large", "[" + strings.Repeat(" ", 10_000) + "]", batch, 413, nil},
		{"too many events", "[" + good("a") + "," + good("b") + "," + good("c") + "," + good("d") + "]", batch, 413, nil},
	} {
		answer := f.do(call{method: "POST", path: "/v1/events", token: adminSecret, body: test.body, header: test.header})
		if answer.status != test.status {
			t.Errorf("%s: status %d, want %d; body %s", test.name, answer.status, test.status, answer.body)
			continue
		}
		p := answer.problem(t, test.status)
		var fields []string
		for _, e := range p.Errors {
			fields = append(fields, e.Field)
		}
		if diff := cmp.Diff(test.fields, fields); test.fields != nil && diff != "" {
			t.Errorf("%s: fields (-want +got)\n%s", test.name, diff)
		}
		if test.status == 415 && !strings.Contains(answer.header.Get("Accept"), "application/cloudevents+json") {
			t.Errorf("%s: Accept %q", test.name, answer.header.Get("Accept"))
		}
	}
	// Nothing of all this was stored.
	if got := f.get("/v1/companies/12345/events"); strings.Count(string(got.body), `"seq"`) != 1 {
		t.Errorf("events after the refusals: %s", got.body)
	}
}

func TestPublishNeedsTheRightToken(t *testing.T) {
	t.Parallel()
	f := start(t)
	app := f.app("reader")
	for _, test := range []struct{ name, token string }{
		{"a token of kind api", f.token(fmt.Sprintf(`{"kind":"api","app_id":%d}`, app))},
		{"a token of another company", f.token(`{"kind":"publish","companies":[7]}`)},
	} {
		p := f.do(call{method: "POST", path: "/v1/events", token: test.token, body: event("1", "invoice.paid", ""), header: structured}).problem(t, http.StatusForbidden)
		if p.Code != "NO_PERMISSION" || p.Fix == "" {
			t.Errorf("%s: code %q, fix %q", test.name, p.Code, p.Fix)
		}
	}
	// One foreign event refuses the batch.
	body := "[" + strings.Replace(event("1", "invoice.paid", ""), "12345", "7", 1) + "," + event("2", "invoice.paid", "") + "]"
	f.do(call{method: "POST", path: "/v1/events", token: f.token(`{"kind":"publish","companies":[7]}`), body: body, header: batch}).problem(t, http.StatusForbidden)
}

func TestPublishToAServerThatStops(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.stop()
	answer := f.do(call{method: "POST", path: "/v1/events", token: adminSecret, body: event("1", "invoice.paid", ""), header: structured})
	answer.problem(t, http.StatusServiceUnavailable)
	if answer.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// pulled is a page as a reader sees it.
type pulled struct {
	Events []map[string]json.RawMessage `json:"events"`
	Next   int64                        `json:"next"`
}

func (p pulled) ids() string {
	var ids []string
	for _, e := range p.Events {
		ids = append(ids, strings.Trim(string(e["id"]), `"`))
	}
	return strings.Join(ids, " ")
}

func TestReadEvents(t *testing.T) {
	t.Parallel()
	f := start(t)
	const update = "it.fattureincloud.webhooks.issued_documents.invoices.update"
	f.publish(
		event("a", "invoice.created", `,"data":{"id":42}`),
		event("b", "invoice.paid", `,"data":{"total": 12.50}`),
		event("c", update, ""),
		event("d", "invoice.created", ""),
	)
	for _, test := range []struct {
		query, ids string
		next       int64
	}{
		{"", "a b c d", 4},
		{"?after=2", "c d", 4},
		{"?limit=3", "a b c", 3},
		{"?after=3&limit=1", "d", 4},
		{"?after=4", "", 4},
		{"?after=900", "", 900},
		{"?types=invoice.created", "a d", 4},
		{"?types=invoice.created,invoice.paid&limit=2", "a b", 2},
		{"?types=invoice.updated", "c", 4}, // the common name of what Fatture in Cloud calls an update
		{"?types=" + update, "b c", 4},     // a payment is an update there
		{"?types=nothing.such", "", 4},
	} {
		var page pulled
		f.get("/v1/companies/12345/events"+test.query).want(t, http.StatusOK).decode(t, &page)
		if page.ids() != test.ids || page.Next != test.next {
			t.Errorf("%s: events %q and next %d, want %q and %d", test.query, page.ids(), page.Next, test.ids, test.next)
		}
	}
	// An event is shown as it was published, byte for byte in its data.
	got := string(f.get("/v1/companies/12345/events?after=1&limit=1").body)
	want := `{"events":[{"seq":2,"specversion":"1.0","id":"b","source":"/erp","type":"invoice.paid","companyid":"12345","data":{"total": 12.50}}],"next":2}`
	if strings.TrimSpace(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var page pulled
	f.get("/v1/companies/99/events").want(t, http.StatusOK).decode(t, &page)
	if page.Events == nil || len(page.Events) != 0 || page.Next != 0 {
		t.Errorf("a company that nothing was heard of gives %+v", page)
	}
}

func TestReadEventsTrimmed(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.publish(
		event("a", "invoice.created", `,"data":{"id": 42}`),
		event("b", "invoice.paid", `,"data_base64":"/w==","seq":"theirs"`),
	)
	for query, want := range map[string]string{
		"fields=type,data":         `{"events":[{"seq":1,"id":"a","type":"invoice.created","data":{"id": 42}},{"seq":2,"id":"b","type":"invoice.paid","data_base64":"/w=="}],"next":2}`,
		"fields=id,seq,type,type":  `{"events":[{"seq":1,"id":"a","type":"invoice.created"},{"seq":2,"id":"b","type":"invoice.paid"}],"next":2}`,
		"fields=nothing":           `{"events":[{"seq":1,"id":"a"},{"seq":2,"id":"b"}],"next":2}`,
		"after=1&fields=companyid": `{"events":[{"seq":2,"id":"b","companyid":"12345"}],"next":2}`,
		"after=1":                  `{"events":[{"seq":2,"specversion":"1.0","id":"b","source":"/erp","type":"invoice.paid","companyid":"12345","data_base64":"/w=="}],"next":2}`,
	} {
		if got := strings.TrimSpace(string(f.get("/v1/companies/12345/events?" + query).body)); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", query, got, want)
		}
	}
}

// A reader that waits gets the event as soon as it is there.
func TestReadEventsWaits(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.publish(event("a", "invoice.paid", ""))
	answers := make(chan reply)
	go func() {
		_, answer := f.exchange(call{method: "GET", path: "/v1/companies/12345/events?after=1&wait=30s", token: adminSecret})
		answers <- answer
	}()
	f.publish(event("b", "invoice.paid", ""))
	select {
	case answer := <-answers:
		var page pulled
		answer.want(t, http.StatusOK).decode(t, &page)
		if page.ids() != "b" || page.Next != 2 {
			t.Errorf("got %s", answer.body)
		}
	case <-time.After(15 * time.Second):
		t.Fatal("the reader was not woken")
	}
	// One for whom nothing comes is let go when the time is over.
	var page pulled
	f.get("/v1/companies/12345/events?after=2&wait=20ms").want(t, http.StatusOK).decode(t, &page)
	if page.ids() != "" || page.Next != 2 {
		t.Errorf("got %+v", page)
	}
}

func TestReadEventsThatAreGone(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.publish(event("a", "invoice.paid", ""), event("b", "invoice.paid", ""))
	err := f.store.Update(t.Context(), func(tx fattorino.Tx) error {
		_, _, err := tx.Prune(time.Now().Add(time.Hour), 0, 100)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p := f.get("/v1/companies/12345/events?after=1").problem(t, http.StatusGone)
	if p.Code != "pruned" || !strings.Contains(p.Fix, "after=2") {
		t.Errorf("code %q, fix %q", p.Code, p.Fix)
	}
}

func TestReadEventsRefuses(t *testing.T) {
	t.Parallel()
	f := start(t)
	app := f.app("reader")
	own := f.token(fmt.Sprintf(`{"kind":"api","app_id":%d,"companies":[12345]}`, app))
	publisher := f.token(`{"kind":"publish"}`)
	const path = "/v1/companies/12345/events"
	f.do(call{method: "GET", path: path, token: own}).want(t, http.StatusOK)
	f.do(call{method: "GET", path: path, token: publisher}).problem(t, http.StatusForbidden)
	f.do(call{method: "GET", path: "/v1/companies/7/events", token: own}).problem(t, http.StatusForbidden)
	for query, field := range map[string]string{
		"after=-1":                   "after",
		"after=x":                    "after",
		"after=99999999999999999999": "after",
		"limit=0":                    "limit",
		"limit=1001":                 "limit",
		"limit=ten":                  "limit",
		"wait=31":                    "wait",
		"wait=-1":                    "wait",
		"wait=1h":                    "wait",
		"wait=soon":                  "wait",
		"type=invoice.paid":          "type",
		"after=1&after=2":            "after",
	} {
		p := f.do(call{method: "GET", path: path + "?" + query, token: own}).problem(t, http.StatusBadRequest)
		if len(p.Errors) != 1 || p.Errors[0].Field != field {
			t.Errorf("%s: errors %v, want %s to be named", query, p.Errors, field)
		}
	}
	f.do(call{method: "GET", path: path + "?after=%zz", token: own}).problem(t, http.StatusBadRequest)
	for _, company := range []string{"0", "-5", "x", "99999999999999999999", "1.5"} {
		p := f.get("/v1/companies/"+company+"/events").problem(t, http.StatusBadRequest)
		if len(p.Errors) != 1 || p.Errors[0].Field != "company" {
			t.Errorf("company %s: errors %v", company, p.Errors)
		}
	}
}
