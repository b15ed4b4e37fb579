package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	sdk "github.com/cloudevents/sdk-go/v2"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// A batchSink takes batches, which it reads with the CloudEvents SDK, and
// refuses as many as it is told to.
type batchSink struct {
	url     string
	batches chan []string // the ids of the events of each, also of those refused
	refuse  atomic.Int32
}

func newBatchSink(t *testing.T) *batchSink {
	t.Helper()
	s := &batchSink{batches: make(chan []string, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			_, _ = io.WriteString(w, r.Header.Get("webhook-challenge"))
			return
		}
		events, err := sdk.NewEventsFromHTTPRequest(r)
		if err != nil || !sdk.IsHTTPBatch(r.Header) {
			t.Errorf("the SDK does not take it for a batch: %v", err)
		}
		var ids []string
		for _, e := range events {
			ids = append(ids, e.ID())
		}
		s.batches <- ids
		if s.refuse.Add(-1) >= 0 {
			http.Error(w, "not now", http.StatusInternalServerError)
		}
	}))
	t.Cleanup(server.Close)
	s.url = server.URL + "/hook"
	return s
}

// publishAll publishes events of one type together.
func (f *fixture) publishAll(n int) (ids []string) {
	f.t.Helper()
	var list []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("e-%02d", i))
		list = append(list, event(ids[i], "invoice.paid", `,"data":{"id":42}`))
	}
	f.do(call{
		method: "POST", path: "/v1/events", token: adminSecret, body: "[" + strings.Join(list, ",") + "]",
		header: map[string]string{"Content-Type": "application/cloudevents-batch+json"},
	}).want(f.t, http.StatusAccepted)
	return ids
}

func TestEventsAreToldInBatches(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newBatchSink(t)
	// Given a subscriber that wants ten at a time, and waits a second for them.
	answer := me.ask("POST", "", fmt.Sprintf(`{"sink":%q,"types":["invoice.paid"],"format":"batch","batch_size":10,"batch_linger":1.25}`, sink.url)).want(t, http.StatusCreated)
	var made api.SubscriptionWithSecret
	answer.decode(t, &made)
	if made.Format != fattorino.Batched || made.BatchSize != 10 || made.BatchLinger != 1.25 {
		t.Errorf("%s", answer.body)
	}

	// When 25 events happen, then it is told in three notifications.
	published := f.publishAll(25)
	var told []string
	for _, size := range []int{10, 10, 5} {
		batch := receive(t, sink.batches)
		if len(batch) != size {
			t.Errorf("%d events in a batch, want %d", len(batch), size)
		}
		told = append(told, batch...)
	}
	slices.Sort(told) // batches go out at the same time
	if !slices.Equal(told, published) {
		t.Errorf("told of %v", told)
	}

	// And its answer counts for each of them.
	for _, d := range f.settled(me.token, "?limit=100", 25) {
		if d.State != api.Delivered || d.Status != http.StatusOK || d.Attempts != 1 {
			t.Errorf("%+v", d)
		}
	}
}

func TestABatchThatFailsIsRetriedAsAWhole(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newBatchSink(t)
	me.ask("POST", "", fmt.Sprintf(`{"sink":%q,"types":["invoice.paid"],"format":"batch","batch_linger":0.3,"schedule":[1]}`, sink.url)).want(t, http.StatusCreated)
	// Given a sink that fails once.
	sink.refuse.Store(1)
	published := f.publishAll(3)
	// Then all are told again, together.
	for range 2 {
		batch := receive(t, sink.batches)
		slices.Sort(batch)
		if !slices.Equal(batch, published) {
			t.Errorf("told of %v", batch)
		}
	}
	list := f.settled(me.token, "", 3)
	slices.SortFunc(list, func(a, b api.Delivery) int { return int(a.ID - b.ID) })

	// And each has both attempts: the first of a batch with what was sent, the
	// others with where that is.
	for try := range 2 {
		holder, refers := int64(0), map[int64]int64{}
		for _, d := range list {
			var detail api.DeliveryDetail
			f.do(call{method: "GET", path: fmt.Sprintf("/v1/companies/12345/deliveries/%d", d.ID), token: me.token}).want(t, http.StatusOK).decode(t, &detail)
			if len(detail.Attempts) != 2 {
				t.Fatalf("%d attempts", len(detail.Attempts))
			}
			a := detail.Attempts[try]
			if want := []int{http.StatusInternalServerError, http.StatusOK}[try]; a.Answer.Status != want {
				t.Errorf("try %d has status %d, want %d", try, a.Answer.Status, want)
			}
			if a.BatchOf != 0 {
				refers[d.ID] = a.BatchOf
				if a.Request.Body != "" || len(a.Request.Headers) != 0 {
					t.Errorf("what was sent is there again: %+v", a.Request)
				}
				continue
			}
			holder = d.ID
			var events []json.RawMessage
			if err := json.Unmarshal([]byte(a.Request.Body), &events); err != nil || len(events) != 3 {
				t.Errorf("%d events, %v in %s", len(events), err, a.Request.Body)
			}
		}
		if len(refers) != 2 {
			t.Errorf("%d of three attempts were made in the batch of another", len(refers))
		}
		for d, to := range refers {
			if to != holder {
				t.Errorf("delivery %d refers to %d, the batch is with %d", d, to, holder)
			}
		}
	}
}

func TestAPatchMakesBatchesAndEndsThem(t *testing.T) {
	t.Parallel()
	f := start(t)
	me, sink := f.integrator("Warehouse"), newSink(t)
	path := fmt.Sprintf("/%d", me.subscribe(sink, `["invoice.paid"]`, "").ID)
	patched := func(patch string) (s api.Subscription) {
		me.ask("PATCH", path, patch, "Content-Type", "application/merge-patch+json").want(t, http.StatusOK).decode(t, &s)
		return s
	}
	if s := patched(`{"format":"batch","batch_size":5,"batch_linger":0.05}`); s.BatchSize != 5 || s.BatchLinger != 0.05 {
		t.Errorf("%+v", s)
	}
	f.publishAll(1)
	if got := sink.next().header.Get("Content-Type"); got != "application/cloudevents-batch+json" {
		t.Errorf("Content-Type %q", got)
	}
	if s := patched(`{"name":"Payments"}`); s.BatchSize != 5 || s.BatchLinger != 0.05 {
		t.Errorf("another change took them away: %+v", s)
	}
	me.ask("PATCH", path, `{"format":"binary"}`, "Content-Type", "application/merge-patch+json").problem(t, http.StatusUnprocessableEntity)
	if s := patched(`{"format":"binary","batch_size":null,"batch_linger":null}`); s.BatchSize != 0 || s.BatchLinger != 0 {
		t.Errorf("%+v", s)
	}
}

// A chatSink is what Slack, Teams and Discord are to a caller: it takes JSON
// by POST, and nothing else.
func chatSink(t *testing.T, status int) (url string, got chan notification) {
	t.Helper()
	got = make(chan notification, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			t.Errorf("it was asked by %s", r.Method)
		}
		body, _ := io.ReadAll(r.Body)
		got <- notification{r.Header, body}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/services/hush-path?sig=hush-query", got
}

func TestPeopleAreToldInTheirChat(t *testing.T) {
	t.Parallel()
	f := start(t)
	me := f.integrator("Warehouse")
	for _, tt := range []struct {
		format string
		status int
		said   func(body []byte) (string, error)
	}{
		{"slack", http.StatusOK, func(body []byte) (string, error) {
			var m struct{ Text string }
			err := json.Unmarshal(body, &m)
			return m.Text, err
		}},
		{"teams", http.StatusAccepted, func(body []byte) (string, error) {
			var m struct {
				Attachments []struct {
					Content struct{ Body []struct{ Text string } }
				}
			}
			err := json.Unmarshal(body, &m)
			if err != nil || len(m.Attachments) != 1 {
				return "", fmt.Errorf("%d attachments: %w", len(m.Attachments), err)
			}
			return m.Attachments[0].Content.Body[0].Text, nil
		}},
		{"discord", http.StatusNoContent, func(body []byte) (string, error) {
			var m struct{ Content string }
			err := json.Unmarshal(body, &m)
			return m.Content, err
		}},
	} {
		// Given a subscription to what such a tool gave out.
		url, got := chatSink(t, tt.status)
		answer := me.ask("POST", "", fmt.Sprintf(`{"sink":%q,"types":["invoice.paid"],"format":%q,"template":"{{.Noun}} {{.Data.id}} {{.Action}}"}`, url, tt.format)).want(t, http.StatusCreated)
		var made api.SubscriptionWithSecret
		answer.decode(t, &made)
		if made.State != fattorino.Active || made.Signature != "none" || made.Secret != "" || made.Template == "" {
			t.Errorf("%s: %s", tt.format, answer.body)
		}
		// When something happens, then it is said in words.
		f.publish(event("to-"+tt.format, "invoice.paid", `,"data":{"id":42}`))
		n := receive(t, got)
		if said, err := tt.said(n.body); err != nil || said != "Invoice 42 paid" {
			t.Errorf("%s: %q, %v in %s", tt.format, said, err, n.body)
		}
		if n.header.Get("Content-Type") != "application/json" || n.header.Get("webhook-signature") != "" {
			t.Errorf("%s: header %v", tt.format, n.header)
		}
		// And the tool's own way of saying yes is one.
		query := fmt.Sprintf("?subscription=%d", made.ID)
		d := f.settled(me.token, query, 1)[0]
		if d.State != api.Delivered || d.Status != tt.status {
			t.Errorf("%s: %+v", tt.format, d)
		}
		// By the path alone anybody could write there: it is not shown in lists.
		for _, path := range []string{subscriptions, fmt.Sprintf("/v1/companies/12345/deliveries/%d", d.ID)} {
			if body := f.do(call{method: "GET", path: path, token: me.token}).want(t, http.StatusOK).body; strings.Contains(string(body), "hush") {
				t.Errorf("%s shows the sink: %s", path, body)
			}
		}
		me.ask("DELETE", fmt.Sprintf("/%d", made.ID), "").want(t, http.StatusNoContent)
	}
}
