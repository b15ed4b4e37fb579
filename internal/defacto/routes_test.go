package defacto_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestHelloTellsThatTheKeyIsGood(t *testing.T) {
	t.Parallel()
	st := start(t, setting{})
	st.do(request{method: "GET", path: "/hello", key: st.key(1, 2)}).want(t, 200)
	st.do(request{method: "GET", path: "/hello", key: "a wrong one"}).want(t, 401)
}

func TestLifeOfAWebhook(t *testing.T) {
	t.Parallel()
	st := start(t, setting{})
	key := st.key(7)
	created := st.do(request{method: "POST", path: "/webhooks", key: key, body: `{
		"event_types": ["Invoice.SUBMITTED", "Loan.NEW_IN_2031", "Invoice.SUBMITTED"], "name": "first",
		"to_url": "http://localhost/a?x=1&y=%20<z>", "id": null, "anything": 1}`}).want(t, 201)
	first := webhook{
		ID: "defac700-0000-8000-8000-000000000001", Name: "first",
		EventTypes: []string{"Invoice.SUBMITTED", "Loan.NEW_IN_2031"}, ToURL: "http://localhost/a?x=1&y=%20<z>",
	}
	if diff := cmp.Diff(first, decode[webhook](t, created.body)); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	if !strings.Contains(created.body, `"http://localhost/a?x=1&y=%20<z>"`) {
		t.Errorf("to_url is not answered byte for byte: %s", created.body)
	}

	// Each member alone can be changed, and null changes nothing.
	first.Name = "renamed"
	for _, step := range []struct{ path, body string }{
		{"/webhook/", `{"name": "renamed"}`},
		{"/webhooks/", `{"event_types": ["Payment.PAID"]}`},
		{"/webhook/", `{"to_url": "http://localhost/b"}`},
		{"/webhook/", `{"name": null, "event_types": null, "to_url": null}`},
		{"/webhook/", `{}`},
	} {
		switch {
		case strings.Contains(step.body, "Payment"):
			first.EventTypes = []string{"Payment.PAID"}
		case strings.Contains(step.body, "/b"):
			first.ToURL = "http://localhost/b"
		}
		a := st.do(request{method: "PATCH", path: step.path + strings.ToUpper(first.ID), key: key, body: step.body}).want(t, 200)
		if diff := cmp.Diff(first, decode[webhook](t, a.body)); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", step.body, diff)
		}
	}

	// A type can be held twice, by one sink as well.
	second := st.subscribe(key, "http://localhost/b", "Payment.PAID")
	// Nobody else sees any of it.
	for _, stranger := range []string{st.key(7), st.key(8)} {
		st.do(request{method: "PATCH", path: "/webhook/" + first.ID, key: stranger, body: "{}"}).want(t, 404)
		st.do(request{method: "DELETE", path: "/webhook/" + first.ID, key: stranger}).want(t, 404)
		if l := decode[webhookPage](t, st.do(request{method: "GET", path: "/webhooks", key: stranger}).want(t, 200).body); l.Count != 0 || l.Data == nil {
			t.Errorf("a stranger sees %v", l)
		}
	}

	// Pages.
	page := decode[webhookPage](t, st.do(request{method: "GET", path: "/webhooks?page_size=1", key: key}).want(t, 200).body)
	if diff := cmp.Diff(webhookPage{Count: 1, Data: []webhook{first}, NextPage: &first.ID, PageSize: 1}, page); diff != "" {
		t.Errorf("first page (-want +got):\n%s", diff)
	}
	page = decode[webhookPage](t, st.do(request{method: "GET", path: "/webhooks?page_size=1&cursor=" + *page.NextPage, key: key}).want(t, 200).body)
	if diff := cmp.Diff(webhookPage{Count: 1, Data: []webhook{second}, PageSize: 1}, page); diff != "" {
		t.Errorf("second page (-want +got):\n%s", diff)
	}

	for i, path := range []string{"/webhook/" + first.ID, "/webhooks/" + second.ID} {
		if a := st.do(request{method: "DELETE", path: path, key: key}).want(t, 204); a.body != "" {
			t.Errorf("%d: DELETE answers %q", i, a.body)
		}
		st.do(request{method: "DELETE", path: path, key: key}).want(t, 404)
	}
}

func TestWhichCompanyIsMeant(t *testing.T) {
	t.Parallel()
	st := start(t, setting{})
	one, two, every := st.key(1), st.key(1, 2), st.key()
	for _, c := range []struct {
		name, key, company, path string
		status                   int
	}{
		{"the only one of the key", one, "", "/webhooks", 200},
		{"the only one of the key, named", one, "1", "/webhooks", 200},
		{"another than the key's", one, "2", "/webhooks", 403},
		{"none of two", two, "", "/webhooks", 400},
		{"one of two, by header", two, "2", "/webhooks", 200},
		{"one of two, by query", two, "", "/webhooks?company=2", 200},
		{"header before query", two, "2", "/webhooks?company=3", 200},
		{"none of all", every, "", "/webhooks", 400},
		{"one of all", every, "99", "/webhooks", 200},
		{"no number", every, "one", "/webhooks", 400},
		{"no positive number", every, "0", "/webhooks", 400},
		{"none of all, the operator's token", adminSecret, "", "/webhooks", 400},
		{"one of all, the operator's token", adminSecret, "5", "/webhooks", 200},
		{"another than the key's, in the sandbox", one, "2", "/invoices", 403},
		{"one of two, in the sandbox", two, "2", "/invoices", 200},
	} {
		a := st.do(request{method: "GET", path: c.path, key: c.key, company: c.company})
		if a.status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, a.status, a.body, c.status)
		}
	}
}

func TestScopesLimitATokenThatHasSome(t *testing.T) {
	t.Parallel()
	st := start(t, setting{})
	app, err := st.service.CreateApp(t.Context(), st.admin, "an integrator")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		scopes         []string
		reads, changes int
	}{
		{nil, 200, 201},
		{[]string{"*"}, 200, 201},
		{[]string{"defacto:a"}, 200, 201},
		{[]string{"defacto:r"}, 200, 403},
		{[]string{"entity.clients:a"}, 403, 403},
	} {
		// Given a token as it is kept: its scopes may be those of another contract.
		key := "key-" + strings.Join(c.scopes, "-")
		err := st.engine.Update(t.Context(), func(tx fattorino.Tx) error {
			return tx.PutToken(&fattorino.Token{
				Kind: fattorino.APIToken, App: app.ID, Companies: []int64{1}, Scopes: c.scopes, Hash: fattorino.HashSecret(key), CreatedAt: time.Now(),
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/webhooks", "/invoices"} {
			body := `{"event_types": ["Loan.CLOSED"], "to_url": "http://localhost/"}`
			if a := st.do(request{method: "GET", path: path, key: key}); a.status != c.reads {
				t.Errorf("%v: GET %s = %d, want %d", c.scopes, path, a.status, c.reads)
			}
			if a := st.do(request{method: "POST", path: path, key: key, body: body}); a.status != c.changes {
				t.Errorf("%v: POST %s = %d %s, want %d", c.scopes, path, a.status, a.body, c.changes)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	st := start(t, setting{https: true, limit: 1})
	key := st.key(1)
	st.subscribe(st.key(2), "https://sink.example/", "Loan.CLOSED")
	publisher := st.token(fattorino.Token{Kind: fattorino.PublishToken, Companies: []int64{1}})
	full := st.key(3)
	st.subscribe(full, "https://sink.example/", "Loan.CLOSED")
	const good = `{"event_types": ["Loan.CLOSED"], "to_url": "https://sink.example/"}`
	const webhook1, invoice1 = "/webhook/defac700-0000-8000-8000-000000000001", "/invoice/defac701-0000-8000-8000-000000000001"
	for _, c := range []struct {
		name    string
		request request
		status  int
		typ     string
		invalid []string
	}{
		{"no key", request{method: "POST", path: "/webhooks", body: good}, 401, "unauthenticated", nil},
		{"wrong key", request{method: "GET", path: "/invoices", key: "wrong"}, 401, "unauthenticated", nil},
		{"a platform's token", request{method: "POST", path: "/webhooks", key: publisher, body: good}, 403, "denied", nil},
		{"a platform's token in the sandbox", request{method: "GET", path: "/invoices", key: publisher}, 403, "denied", nil},
		{"no body", request{method: "POST", path: "/webhooks", key: key}, 400, "malformed", nil},
		{"no JSON", request{method: "POST", path: "/webhooks", key: key, body: "{"}, 400, "malformed", nil},
		{"two values", request{method: "POST", path: "/webhooks", key: key, body: "{} {}"}, 400, "malformed", nil},
		{"no UTF-8", request{method: "POST", path: "/webhooks", key: key, body: "{\"to_url\": \"\xff\"}"}, 400, "malformed", nil},
		{"no object", request{method: "POST", path: "/webhooks", key: key, body: "[]"}, 422, "invalid", []string{"body"}},
		{"null", request{method: "POST", path: "/webhooks", key: key, body: "null"}, 422, "invalid", []string{"body"}},
		{"nothing said", request{method: "POST", path: "/webhooks", key: key, body: "{}"}, 422, "invalid", []string{"event_types", "to_url"}},
		{"null said", request{method: "POST", path: "/webhooks", key: key, body: `{"event_types": null, "to_url": null}`}, 422, "invalid", []string{"event_types", "to_url"}},
		{"wrong kinds", request{method: "POST", path: "/webhooks", key: key, body: `{"event_types": "Loan.CLOSED", "to_url": 1, "name": []}`}, 422, "invalid", []string{"name", "to_url", "event_types"}},
		{"no types", request{method: "POST", path: "/webhooks", key: key, body: `{"event_types": [], "to_url": "https://sink.example/"}`}, 422, "invalid", []string{"event_types"}},
		{
			"bad types",
			request{method: "POST", path: "/webhooks", key: key, body: `{"event_types": ["*", "Loan.*", "Loan.CLOSED", "Loan", "loan.closed", 5, null, "A.B.C", "Loan.É"], "to_url": "https://sink.example/"}`},
			422, "invalid",
			[]string{"event_types.0", "event_types.1", "event_types.3", "event_types.4", "event_types.5", "event_types.6", "event_types.7", "event_types.8"},
		},
		{"a long name", request{method: "POST", path: "/webhooks", key: key, body: `{"name": "` + strings.Repeat("n", 201) + `", "event_types": ["Loan.CLOSED"], "to_url": "https://sink.example/"}`}, 422, "invalid", []string{"name"}},
		{"plain http", request{method: "POST", path: "/webhooks", key: key, body: strings.Replace(good, "https", "http", 1)}, 422, "invalid", []string{"to_url"}},
		{"an inner address", request{method: "POST", path: "/webhooks", key: key, body: strings.Replace(good, "sink.example", "127.0.0.1", 1)}, 422, "invalid", []string{"to_url"}},
		{"a new sink of plain http", request{method: "PATCH", path: strings.Replace(webhook1, "001", "002", 1), key: full, body: `{"to_url": "http://sink.example/"}`}, 422, "invalid", []string{"to_url"}},
		{"one too many", request{method: "POST", path: "/webhooks", key: full, body: good}, 422, "invalid", nil},
		{"too large", request{method: "POST", path: "/webhooks", key: key, body: strings.Repeat(" ", 1<<20+1)}, 413, "too-large", nil},
		{"a bad cursor", request{method: "GET", path: "/webhooks?cursor=2", key: key}, 422, "invalid", []string{"cursor"}},
		{"an invoice for cursor", request{method: "GET", path: "/webhooks?cursor=" + strings.TrimPrefix(invoice1, "/invoice/"), key: key}, 422, "invalid", []string{"cursor"}},
		{"a bad page size", request{method: "GET", path: "/invoices?page_size=0", key: key}, 422, "invalid", []string{"page_size"}},
		{"a status that there is not", request{method: "GET", path: "/invoices?status=NOPE", key: key}, 422, "invalid", []string{"status"}},
		{"one among several, in brackets", request{method: "GET", path: "/invoices?status[]=VERIFIED&status[]=verified", key: key}, 422, "invalid", []string{"status[]"}},
		{"a page too large", request{method: "GET", path: "/webhooks?page_size=1001", key: key}, 422, "invalid", []string{"page_size"}},
		{"another's webhook", request{method: "PATCH", path: webhook1, key: key, body: "{}"}, 404, "not-found", nil},
		{"no webhook's id", request{method: "DELETE", path: "/webhook/1", key: key}, 404, "not-found", nil},
		{"no such invoice", request{method: "GET", path: invoice1, key: key}, 404, "not-found", nil},
		{"no invoice's id", request{method: "GET", path: "/invoice/1", key: key}, 404, "not-found", nil},
		{"no path", request{method: "GET", path: "/webhook/a/b", key: key}, 404, "not-found", nil},
		{"no path in the sandbox", request{method: "POST", path: "/invoices/upload", key: key}, 404, "not-found", nil},
		{"GET of one webhook", request{method: "GET", path: webhook1, key: key}, 405, "method-not-allowed", nil},
		{"DELETE of all", request{method: "DELETE", path: "/webhooks", key: key}, 405, "method-not-allowed", nil},
		{"PUT of an invoice", request{method: "PUT", path: invoice1, key: key}, 405, "method-not-allowed", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := st.do(c.request).want(t, c.status)
			p := decode[problem](t, a.body)
			path, _, _ := strings.Cut(c.request.path, "?")
			if p.Status != c.status || p.Type != "/docs#error-"+c.typ || p.Title == "" || p.Detail == "" || p.Instance != path {
				t.Errorf("problem %s, want the type %s of %s", a.body, c.typ, path)
			}
			if got := a.header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("Content-Type %q", got)
			}
			if c.status == 401 && !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
				t.Error("401 without WWW-Authenticate (RFC 9110, section 15.5.2)")
			}
			if c.status == 405 && a.header.Get("Allow") == "" {
				t.Error("405 without Allow (RFC 9110, section 15.5.6)")
			}
			var got []string
			for _, param := range p.InvalidParams {
				got = append(got, param.Name)
				if param.Reason == "" {
					t.Errorf("%s has no reason", param.Name)
				}
			}
			if diff := cmp.Diff(c.invalid, got); diff != "" {
				t.Errorf("invalid_params (-want +got):\n%s", diff)
			}
		})
	}
}

// The query of a to_url is where Defacto has its users put their secrets.
func TestTheSinkIsCalledByteForByteAndItsSecretsStaySecret(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry"
	const query = "?b=2&a=1&a=%2f%2F&empty=&flag&;x=y&[user/email]=me@example.com&password=" + canary + "&plus=+%20&q=?"
	st, sink := start(t, setting{}), newSink(t, 500, 200)
	key := st.key(1)
	made := st.subscribe(key, sink.URL+"/p//a%2Fth/"+query, "Invoice.VERIFIED")
	if made.ToURL != sink.URL+"/p//a%2Fth/"+query {
		t.Errorf("to_url is answered as %s", made.ToURL)
	}
	st.publish(1, "e1", "Invoice.VERIFIED", `{"id": "a"}`)
	if got := sink.next(t); got.uri != "/p//a%2Fth/"+query {
		t.Errorf("called as %s\nwant        %s", got.uri, "/p//a%2Fth/"+query)
	}
	// What was refused for its sink does not repeat it.
	for _, bad := range []string{"ftp://sink.example/?token=" + canary, "http://sink.example/?token=" + canary, "https://sink.example/?a b=" + canary} {
		a := st.do(request{method: "POST", path: "/webhooks", key: key, body: `{"event_types": ["Loan.CLOSED"], "to_url": "` + bad + `"}`}).want(t, 422)
		if strings.Contains(a.body, canary) {
			t.Errorf("the refusal shows the secret: %s", a.body)
		}
	}
	// Nor does the log of what was sent.
	var attempts []*fattorino.Attempt
	for deadline := time.Now().Add(10 * time.Second); len(attempts) == 0; {
		all, err := st.service.Deliveries(t.Context(), st.admin, 1, fattorino.DeliveryQuery{Limit: 10})
		if err != nil || len(all) != 1 || time.Now().After(deadline) {
			t.Fatalf("deliveries %v, %v", all, err)
		}
		if _, _, attempts, err = st.service.Delivery(t.Context(), st.admin, 1, all[0].ID); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(attempts[0].Request.URL, canary) || strings.Contains(st.log.String(), canary) {
		t.Errorf("the secret is in a log: %s\n%s", attempts[0].Request.URL, st.log)
	}
	for _, h := range attempts[0].Request.Header {
		if strings.Contains(h.Value, canary) {
			t.Errorf("the secret is in the header field %s", h.Name)
		}
	}
}

// failing is a recorder of sinks that are all out of order.
type failing struct{ recorder }

func (f *failing) Send(ctx context.Context, q *fattorino.Request) *fattorino.Answer {
	f.recorder.Send(ctx, q)
	return &fattorino.Answer{Status: http.StatusInternalServerError}
}

func TestRetriesCarryTheSameIDAndBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sinks := &failing{}
		st := start(t, setting{sender: sinks})
		st.subscribe(st.key(1), "http://localhost/hook", "Invoice.VERIFIED")
		st.publish(1, "e1", "Invoice.VERIFIED", `{"id": "a"}`)
		time.Sleep(72 * time.Hour)
		got := sinks.all()
		if len(got) != 8 {
			t.Fatalf("%d attempts, want 8", len(got))
		}
		for i, want := range []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour} {
			if wait := got[i+1].at.Sub(got[i].at); wait < want*9/10 || wait > want*11/10+time.Millisecond {
				t.Errorf("retry %d after %v, want %v give or take a tenth", i+1, wait, want)
			}
			if got[i+1].id != got[0].id || got[i+1].body != got[0].body || got[0].id == "" {
				t.Errorf("retry %d is %v, want the id and body of %v", i+1, got[i+1], got[0])
			}
		}
	})
}
