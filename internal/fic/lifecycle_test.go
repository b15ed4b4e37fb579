package fic_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// publish accepts an event about the company 12345.
func (st *stack) publish(typ string, ids ...int) {
	st.t.Helper()
	data, err := json.Marshal(map[string][]int{"ids": ids})
	if err != nil {
		st.t.Fatal(err)
	}
	_, err = st.service.Publish(st.t.Context(), st.admin, []*fattorino.Event{{
		ID: fmt.Sprint(typ, ids, time.Now().UnixNano()), Source: "https://erp.example", Type: typ, Subject: "company:12345", Time: time.Now(),
		Data: data, Form: fattorino.JSONData, DataContentType: "application/json",
	}})
	if err != nil {
		st.t.Fatal(err)
	}
}

// message reads a notification in either mode, and checks its token as the
// receivers of section 19 do.
func (st *stack) message(n notification, structured bool, sink string) (id, typ, data string) {
	st.t.Helper()
	var event struct {
		ID, Source, SpecVersion, Type, Subject, Time, DataContentType string
		Data                                                          json.RawMessage
	}
	contentType, want := n.header.Get("Content-Type"), "application/json"
	if structured {
		want = "application/cloudevents+json"
		if err := json.Unmarshal([]byte(n.body), &event); err != nil {
			st.t.Fatal(err)
		}
	} else {
		event.ID, event.Source, event.Type = n.header.Get("Ce-Id"), n.header.Get("Ce-Source"), n.header.Get("Ce-Type")
		event.Subject, event.Time, event.SpecVersion = n.header.Get("Ce-Subject"), n.header.Get("Ce-Time"), n.header.Get("Ce-Specversion")
		var body struct{ Data json.RawMessage }
		if err := json.Unmarshal([]byte(n.body), &body); err != nil {
			st.t.Fatal(err)
		}
		event.Data = body.Data
	}
	if contentType != want || n.header.Get("User-Agent") != "FattureInCloud/API-WEBHOOK" || event.SpecVersion != "1.0" || event.Source != "https://api-v2.fattureincloud.it" {
		st.t.Errorf("notification %v %s", n.header, n.body)
	}
	if _, err := time.Parse(time.RFC3339, event.Time); err != nil || len(event.Time) != len("2023-04-04T12:54:21+02:00") {
		st.t.Errorf("time %q", event.Time)
	}
	var claims struct {
		JTI, ISS, SUB string
		AUD           []string
		AID           int64
	}
	token := strings.TrimPrefix(n.header.Get("Authorization"), "Bearer ")
	if err := json.Unmarshal(verify(st.t, st.signer.key.PublicPEM(), token), &claims); err != nil {
		st.t.Fatal(err)
	}
	if claims.JTI != event.ID || claims.SUB != event.Subject || claims.ISS != event.Source || len(claims.AUD) != 1 || claims.AUD[0] != sink || claims.AID == 0 {
		st.t.Errorf("the token %+v does not agree with the message %+v", claims, event)
	}
	return event.ID, event.Type, string(event.Data)
}

func TestLifecycle_ChallengeWelcomeEventsGone(t *testing.T) {
	t.Parallel()
	for _, mapping := range []string{"binary", "structured"} {
		t.Run(mapping, func(t *testing.T) {
			t.Parallel()
			receiver := newSink(t)
			st := start(t, setting{roots: receiver.roots()})
			token := st.app("shop", []int64{12345}, "*")
			sink := receiver.URL + "/notifications?tenant=7"

			// Given a subscription whose sink proves itself,
			created := decode[sdkOne](t, st.do(request{
				method: http.MethodPost, path: "/c/12345/subscriptions", token: token, body: `{"data":{"sink":"` + sink + `","types":["` +
					strings.Join(named("issued_documents.all.update", "entities.clients.create"), `","`) + `"],"config":{"mapping":"` + mapping + `"}}}`,
			}).want(t, http.StatusOK).body).Data
			if !*created.Verified || *created.Config.Mapping != mapping {
				t.Fatalf("created %+v", created)
			}
			// then it is welcomed,
			id, typ, data := st.message(receiver.next(t), mapping == "structured", sink)
			if typ != prefix+"subscriptions.welcome" || data != `{"ids":[]}` || !strings.HasPrefix(id, "1:") {
				t.Errorf("the welcome is %s %s %s", id, typ, data)
			}
			// hears its types, also by their common names, and no others,
			st.publish("receipt.created", 1)
			st.publish(prefix+"entities.suppliers.create", 1)
			st.publish(prefix+"entities.clients.create", 3062300, 3062301)
			if _, typ, data = st.message(receiver.next(t), mapping == "structured", sink); typ != prefix+"entities.clients.create" || data != `{"ids":[3062300,3062301]}` {
				t.Errorf("told of %s %s", typ, data)
			}
			st.publish("invoice.paid", 42)
			if _, typ, data = st.message(receiver.next(t), mapping == "structured", sink); typ != prefix+"issued_documents.invoices.update" || data != `{"ids":[42]}` {
				t.Errorf("told of %s %s", typ, data)
			}
			// and is gone with a 410, its types free again.
			receiver.mu.Lock()
			receiver.status = http.StatusGone
			receiver.mu.Unlock()
			st.publish("invoice.unpaid", 42)
			receiver.next(t)
			deadline := time.Now().Add(10 * time.Second)
			for st.do(request{method: http.MethodGet, path: pathOf(created), token: token}).status != http.StatusNotFound {
				if time.Now().After(deadline) {
					t.Fatal("the subscription is still there after a 410")
				}
			}
			st.create(token, "12345", sink, "entities.clients.create")
		})
	}
}

// inside is a way out for tests in fake time, where no socket works: the sink
// is a function.
type inside func(r *fattorino.Request) *fattorino.Answer

func (f inside) Send(_ context.Context, r *fattorino.Request) *fattorino.Answer { return f(r) }

func TestA4_FailedNotificationsAreRetriedThenTenDaysOfFailuresEndTheSubscription(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		status := http.StatusOK
		var attempts []time.Time
		var ids []string
		sender := inside(func(r *fattorino.Request) *fattorino.Answer {
			if r.Method == http.MethodGet {
				return &fattorino.Answer{Status: 200, Body: []byte(`{"verification":"` + header(r, "x-fic-verification-challenge") + `"}`)}
			}
			attempts, ids = append(attempts, time.Now()), append(ids, header(r, "ce-id"))
			return &fattorino.Answer{Status: status}
		})
		st := start(t, setting{sender: sender})
		token := st.app("shop", nil, "*")
		sub := st.create(token, "12345", deadSink, "taxes.create")
		there := func() bool {
			return st.do(request{method: http.MethodGet, path: pathOf(sub), token: token}).status == http.StatusOK
		}
		fail := func() {
			attempts, ids = nil, nil
			st.publish(prefix+"taxes.create", 1)
			time.Sleep(10 * time.Minute)
			synctest.Wait()
		}
		synctest.Wait() // the welcome
		status = http.StatusServiceUnavailable

		fail()
		if len(attempts) != 4 {
			t.Fatalf("%d attempts, want 4", len(attempts))
		}
		for i, want := range []time.Duration{5 * time.Second, 25 * time.Second, 125 * time.Second} {
			if got := attempts[i+1].Sub(attempts[i]); got < want*9/10 || got > want*11/10 {
				t.Errorf("attempt %d came after %v, want %v within a tenth", i+2, got, want)
			}
			if ids[i+1] != ids[0] {
				t.Errorf("attempt %d has the id %s, the first had %s", i+2, ids[i+1], ids[0])
			}
		}
		// Ten days later it is still there, until the next error.
		time.Sleep(10*24*time.Hour - 14*time.Minute) // ten minutes have passed; a round of attempts takes less than four
		fail()
		if !there() {
			t.Fatal("gone before the ten days were over")
		}
		time.Sleep(time.Minute)
		if !there() {
			t.Fatal("gone without an error")
		}
		fail()
		if len(attempts) != 1 || there() {
			t.Errorf("%d attempts, there: %v; want the first error to end it", len(attempts), there())
		}
	})
}

func TestA5_TheFifthFailedAttemptLosesTheSubscription(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		st := start(t, setting{sender: inside(func(*fattorino.Request) *fattorino.Answer {
			asked++
			return &fattorino.Answer{Status: 200, Body: []byte(`{}`)}
		})})
		token := st.app("shop", nil, "*")
		sub := st.create(token, "12345", deadSink, "taxes.create")
		verify := func() int {
			return st.do(request{method: http.MethodPost, path: pathOf(sub) + "/verify", token: token}).status
		}
		for retry := range 4 {
			if got := verify(); got != http.StatusOK {
				t.Fatalf("retry %d: %d", retry+1, got)
			}
			if retry == 3 {
				break
			}
			time.Sleep(10*time.Minute - time.Second)
			if got := verify(); got != http.StatusTooManyRequests {
				t.Fatalf("a second before ten minutes are over: %d", got)
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if asked != 5 {
			t.Errorf("asked %d times, want 5", asked)
		}
		if got := verify(); got != http.StatusNotFound {
			t.Errorf("after the fifth: %d, want 404", got)
		}
		// Its types are free.
		st.create(token, "12345", deadSink, "taxes.create")
	})
}

func TestA5_ANewSinkStartsTheCountAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := start(t, setting{sender: inside(func(*fattorino.Request) *fattorino.Answer {
			return &fattorino.Answer{Failure: fattorino.FailedConnect, Detail: "nobody listens"}
		})})
		token := st.app("shop", nil, "*")
		sub := st.create(token, "12345", deadSink, "taxes.create")
		post := func() int {
			return st.do(request{method: http.MethodPost, path: pathOf(sub) + "/verify", token: token}).status
		}
		for range 3 {
			if got := post(); got != http.StatusOK {
				t.Fatal(got)
			}
			time.Sleep(10 * time.Minute)
		}
		st.do(request{method: http.MethodPut, path: pathOf(sub), token: token, body: `{"data":{"sink":"https://example.com/other"}}`}).want(t, http.StatusOK)
		for retry := range 4 {
			if got := post(); got != http.StatusOK {
				t.Fatalf("retry %d of the new sink: %d", retry+1, got)
			}
			time.Sleep(10 * time.Minute)
		}
		if got := post(); got != http.StatusNotFound {
			t.Errorf("after five failures of the new sink: %d, want 404", got)
		}
	})
}
