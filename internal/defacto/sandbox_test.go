package defacto_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/defacto"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/fic"
)

// full is an invoice with everything that is needed to submit it.
const full = `{
	"is_draft": %t,
	"invoice_number": "F-2022-7 <&>",
	"issued_at": "2022-02-01T00:00:00+00:00", "due_at": "2022-03-01T00:00:00+00:00",
	"net_amount": 10000, "tax_amount": 2000, "total_amount": 12000, "currency": "EUR",
	"buyer": {"identifier": "899021021", "identifier_type": "siren", "name": "Buyer SAS"},
	"seller": {"identifier": "732829320", "identifier_type": "siren", "name": "Seller SARL"},
	"to_account": {"account_number": "FR7630006000011234567890189", "bank_identifier": "FK2FACTO", "account_holder": "Seller SARL"},
	"metadata": {"scenario": %q, "ours": [1.50, "é\u2028<&>"]}
}`

func fullInvoice(draft bool, scenario string) string { return fmt.Sprintf(full, draft, scenario) }

func (st *stack) createInvoice(key, body string) invoice {
	st.t.Helper()
	return loose[invoice](st.t, st.do(request{method: "POST", path: "/invoices", key: key, body: body}).want(st.t, 201).body)
}

func (st *stack) status(key, id string) string {
	st.t.Helper()
	return loose[invoice](st.t, st.do(request{method: "GET", path: "/invoice/" + id, key: key}).want(st.t, 200).body).Status
}

// loose reads what of an answer the shape has.
func loose[T any](t *testing.T, body string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return v
}

func notified(t *testing.T, body string) notification {
	t.Helper()
	return decode[notification](t, body)
}

func TestTheTutorialRunsEndToEnd(t *testing.T) {
	t.Parallel()
	st := start(t, setting{})
	key, sink := st.key(12345), newSink(t)

	// 1. Create your first webhook subscription.
	made := st.subscribe(key, sink.URL+"/hook", "Invoice.SUBMITTED", "Invoice.VERIFIED")
	list := decode[webhookPage](t, st.do(request{method: "GET", path: "/webhooks", key: key}).want(t, 200).body)
	if diff := cmp.Diff(webhookPage{Count: 1, Data: []webhook{made}, PageSize: 100}, list); diff != "" {
		t.Errorf("GET /webhooks (-want +got):\n%s", diff)
	}

	// 2. Create a new invoice for it to trigger a status update.
	created := st.createInvoice(key, fullInvoice(false, "SUCCESS"))
	if created.Status != "SUBMITTED" {
		t.Errorf("the invoice is %s, want SUBMITTED", created.Status)
	}

	// 3. Look at the received webhook notifications.
	for _, want := range []struct{ transition, status string }{{"SUBMIT", "SUBMITTED"}, {"VERIFY", "VERIFIED"}} {
		got := sink.next(t)
		if got.method != "POST" || got.uri != "/hook" || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("came as %s %s, %s", got.method, got.uri, got.header.Get("Content-Type"))
		}
		n := notified(t, got.body)
		if n.EntityType != "invoice" || *n.TransitionName != want.transition || *n.Status != want.status ||
			*n.ID != created.ID || n.EventType != "Invoice."+want.status {
			t.Errorf("notification %s, want that the invoice is %s", got.body, want.status)
		}
		if _, err := time.Parse("2006-01-02T15:04:05.000000+00:00", n.Timestamp); err != nil {
			t.Errorf("timestamp %s: want microseconds and +00:00", n.Timestamp)
		}
		if state := loose[invoice](t, string(n.EntityState)); state.ID != created.ID || state.Status != want.status {
			t.Errorf("entity_state %s, want the invoice %s", n.EntityState, want.status)
		}
		if want.status == "VERIFIED" {
			read := st.do(request{method: "GET", path: "/invoice/" + created.ID, key: key}).want(t, 200)
			if read.body != string(n.EntityState) {
				t.Errorf("entity_state is not the answer of GET, byte for byte:\n%s\n%s", n.EntityState, read.body)
			}
		}
	}
}

func TestAnInvoiceIsReadAsDescribed(t *testing.T) {
	t.Parallel()
	st := start(t, setting{noTimers: true})
	key := st.key(1)
	created := st.do(request{method: "POST", path: "/invoices", key: key, body: fullInvoice(true, "SUCCESS")}).want(t, 201)
	party := func(id, identifier, name string) string {
		return `{"id":"` + id + `","business_id":null,"identifier":"` + identifier + `","identifier_type":"siren","name":"` + name + `","vat_number":null}`
	}
	ids := loose[struct{ Buyer, Seller struct{ ID string } }](t, created.body)
	want := `{"id":"defac701-0000-8000-8000-000000000001","status":"TO_SUBMIT","is_draft":true,"invoice_number":"F-2022-7 <&>",` +
		`"net_amount":10000,"tax_amount":2000,"total_amount":12000,"to_pay_amount":null,"currency":"EUR",` +
		`"issued_at":"2022-02-01T00:00:00+00:00","due_at":"2022-03-01T00:00:00+00:00",` +
		`"buyer":` + party(ids.Buyer.ID, "899021021", "Buyer SAS") + `,"seller":` + party(ids.Seller.ID, "732829320", "Seller SARL") + `,` +
		`"document_url":null,"loan_ids":[],"metadata":{"scenario":"SUCCESS","ours":[1.50,"é\u2028<&>"]},` +
		`"to_account_details":{"account_number":"FR7630006000011234567890189","account_number_type":"iban","bank_identifier":"FK2FACTO","bank_identifier_type":"bic","account_holder":"Seller SARL"}}`
	if diff := cmp.Diff(want, created.body); diff != "" {
		t.Errorf("invoice (-want +got):\n%s", diff)
	}
	if read := st.do(request{method: "GET", path: "/invoice/defac701-0000-8000-8000-000000000001", key: key}).want(t, 200); read.body != created.body {
		t.Errorf("GET answers\n%s\nand POST has answered\n%s", read.body, created.body)
	}
	if len(ids.Buyer.ID) != 36 || ids.Buyer.ID == ids.Seller.ID {
		t.Errorf("ids of buyer %q and seller %q", ids.Buyer.ID, ids.Seller.ID)
	}
	bare := st.do(request{method: "POST", path: "/invoices", key: key, body: "{}"}).want(t, 201)
	if want := `"invoice_number":null,"net_amount":null`; !strings.Contains(bare.body, want) || !strings.Contains(bare.body, `"metadata":null`) {
		t.Errorf("a bare draft reads %s", bare.body)
	}
}

func TestStatesOfAnInvoice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sinks := &recorder{}
		st := start(t, setting{sender: sinks})
		key := st.key(1)
		st.subscribe(key, "http://localhost/hook", "Invoice.SUBMITTED", "Invoice.TO_EDIT", "Invoice.VERIFIED", "Invoice.DELETED")
		do := func(method, path, body string, status int) answer {
			t.Helper()
			return st.do(request{method: method, path: path, key: key, body: body}).want(t, status)
		}

		// A draft is not told of, and can be changed.
		id := st.createInvoice(key, fullInvoice(true, "REJECT")).ID
		one := "/invoice/" + id
		do("PATCH", one, `{"net_amount": 11000, "tax_amount": null, "total_amount": 13000}`, 200)

		// Submitted, it cannot be changed or submitted again.
		do("POST", one+"/submit", "", 200)
		do("PATCH", one, `{"invoice_number": "x"}`, 402)
		do("POST", one+"/submit", `{"invoice_number": "x"}`, 402)
		time.Sleep(2 * time.Second)

		// Rejected, it can be changed on the way of being submitted again.
		if got := st.status(key, id); got != "TO_EDIT" {
			t.Errorf("after REJECT the invoice is %s, want TO_EDIT", got)
		}
		do("POST", one+"/submit", `{"metadata": {"scenario": "SUCCESS"}}`, 200)
		time.Sleep(2 * time.Second)
		do("PATCH", one, `{"invoice_number": "x"}`, 402)
		do("POST", one+"/submit", "", 402)

		// Deleted, it is not there any more.
		last := do("DELETE", one, "", 200)
		if got := loose[invoice](t, last.body).Status; got != "DELETED" {
			t.Errorf("DELETE answers with an invoice %s, want DELETED", got)
		}
		for _, gone := range []request{{method: "GET", path: one}, {method: "PATCH", path: one, body: "{}"}, {method: "DELETE", path: one}, {method: "POST", path: one + "/submit"}} {
			gone.key = key
			st.do(gone).want(t, 404)
		}
		synctest.Wait()
		do("GET", one, "", 404)

		var told []string
		seen := map[string]bool{}
		for _, n := range sinks.all() {
			told = append(told, notified(t, n.body).EventType)
			if seen[n.id] {
				t.Errorf("the delivery id %s came twice", n.id)
			}
			seen[n.id] = true
		}
		want := []string{"Invoice.SUBMITTED", "Invoice.TO_EDIT", "Invoice.SUBMITTED", "Invoice.VERIFIED", "Invoice.DELETED"}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		if state := notified(t, sinks.all()[4].body).EntityState; string(state) != last.body {
			t.Errorf("the deleted invoice is told as %s, want %s", state, last.body)
		}
		if docs, err := st.store.Documents(t.Context(), "defacto_invoice", 1, "", 10); err != nil || len(docs) != 0 {
			t.Errorf("left of the deleted invoice: %v, %v", docs, err)
		}
	})
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scenario string
		at       time.Duration // when it is told; 0 = never
		status   string        // in the end
	}{
		{"SUCCESS", time.Second, "VERIFIED"},
		{"SUCCESS_ONE_DAY_LATER", 24 * time.Hour, "VERIFIED"},
		{"REJECT", time.Second, "TO_EDIT"},
		{"FAIL", 0, "SUBMITTED"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sinks := &recorder{}
				st := start(t, setting{sender: sinks})
				key := st.key(1)
				st.subscribe(key, "http://localhost/hook", "Invoice.TO_EDIT", "Invoice.VERIFIED")
				began := time.Now()
				id := st.createInvoice(key, fullInvoice(false, c.scenario)).ID
				time.Sleep(48 * time.Hour)
				if got := st.status(key, id); got != c.status {
					t.Errorf("in the end the invoice is %s, want %s", got, c.status)
				}
				got := sinks.all()
				if c.at == 0 {
					if len(got) > 0 {
						t.Errorf("told %v, want nothing", got)
					}
					return
				}
				if len(got) != 1 || notified(t, got[0].body).EventType != "Invoice."+c.status {
					t.Fatalf("told %v, want %s", got, c.status)
				}
				if after := got[0].at.Sub(began); after < c.at || after > c.at+time.Second {
					t.Errorf("told after %v, want %v", after, c.at)
				}
			})
		})
	}
}

// A verification that takes a day outlives the program.
func TestAVerificationGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir, sinks := t.TempDir(), &recorder{}
		before := start(t, setting{dir: dir, sender: sinks})
		key := before.key(1)
		before.subscribe(key, "http://localhost/hook", "Invoice.VERIFIED")
		id := before.createInvoice(key, fullInvoice(false, "SUCCESS_ONE_DAY_LATER")).ID
		time.Sleep(time.Hour)
		before.stop()

		time.Sleep(12 * time.Hour)
		after := start(t, setting{dir: dir, sender: sinks})
		if got := after.status(key, id); got != "SUBMITTED" {
			t.Errorf("after half a day the invoice is %s, want SUBMITTED", got)
		}
		time.Sleep(12 * time.Hour)
		if got := after.status(key, id); got != "VERIFIED" || len(sinks.all()) != 1 {
			t.Errorf("after a day the invoice is %s, told %d times; want VERIFIED, once", got, len(sinks.all()))
		}
	})
}

// killed makes the sandbox die after it has published and before it has noted
// so.
type killed struct{ defacto.Updater }

func (killed) Update(context.Context, func(fattorino.Tx) error) error { return errors.New("killed") }

// An invoice and its events are committed together: whenever the program is
// killed, each event is told, and once.
func TestEventsOutliveAKill(t *testing.T) {
	t.Parallel()
	for _, published := range []bool{false, true} {
		t.Run(fmt.Sprintf("after they were published: %t", published), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				dir, sinks := t.TempDir(), &recorder{}
				before := start(t, setting{dir: dir, sender: sinks, noTimers: true})
				key := before.key(1)
				before.subscribe(key, "http://localhost/hook", "Invoice.SUBMITTED", "Invoice.VERIFIED")
				before.createInvoice(key, fullInvoice(false, "SUCCESS"))
				if published {
					dying := defacto.NewSandbox(before.service, before.store, killed{before.engine}, discard())
					dying.Start(t.Context())
					synctest.Wait()
					if err := dying.Stop(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if got := len(sinks.all()); got != map[bool]int{false: 0, true: 1}[published] {
					t.Fatalf("%d notifications before the restart", got)
				}
				before.stop()

				after := start(t, setting{dir: dir, sender: sinks})
				time.Sleep(time.Minute)
				var told []string
				for _, n := range sinks.all() {
					told = append(told, notified(t, n.body).EventType)
				}
				if diff := cmp.Diff([]string{"Invoice.SUBMITTED", "Invoice.VERIFIED"}, told); diff != "" {
					t.Errorf("told (-want +got):\n%s", diff)
				}
				history, err := after.store.Events(t.Context(), fattorino.EventQuery{Company: 1, Limit: 10})
				if err != nil || len(history) != 3 {
					t.Errorf("%d events in the history (%v), want 3: created, submitted, verified", len(history), err)
				}
			})
		})
	}
}

// fakeSigner signs nothing: what the token says is no matter here.
type fakeSigner struct{}

func (fakeSigner) AppendJWT(dst []byte, _ fic.Claims) ([]byte, error) {
	return append(dst, "token"...), nil
}

func TestOtherContractsHearOfTheSandbox(t *testing.T) {
	t.Parallel()
	other, err := fic.New(fic.Options{Signer: fakeSigner{}})
	if err != nil {
		t.Fatal(err)
	}
	st, sink := start(t, setting{besides: other}), newSink(t)
	key := st.key(1)
	const prefix = "it.fattureincloud.webhooks.issued_documents.invoices."
	_, _, err = st.service.Subscribe(t.Context(), st.admin, fattorino.NewSubscription{
		Company: 1, Contract: "fic", Sink: sink.URL, Format: fattorino.Binary, Types: []string{prefix + "create", prefix + "update", prefix + "delete"},
	})
	if err != nil {
		t.Fatal(err)
	}
	sink.next(t) // its welcome
	for _, step := range []struct{ method, path, body, told string }{
		{"POST", "/invoices", "{}", "create"},
		{"PATCH", "/invoice/defac701-0000-8000-8000-000000000001", `{"net_amount": 1}`, "update"},
		{"DELETE", "/invoice/defac701-0000-8000-8000-000000000001", "", "delete"},
	} {
		if a := st.do(request{method: step.method, path: step.path, key: key, body: step.body}); a.status >= 300 {
			t.Fatalf("%s: %d %s", step.method, a.status, a.body)
		}
		got := sink.next(t)
		if typ := got.header.Get("ce-type"); typ != prefix+step.told || got.body != `{"data":{"ids":[1]}}` {
			t.Errorf("after %s it is told %s %s, want %s of invoice 1", step.method, typ, got.body, step.told)
		}
	}
}

func TestListOfInvoices(t *testing.T) {
	t.Parallel()
	st := start(t, setting{noTimers: true})
	key, stranger := st.key(1), st.key(2)
	var ids []string
	for i := range 5 {
		ids = append(ids, st.createInvoice(key, fullInvoice(i%2 == 0, "FAIL")).ID)
	}
	st.do(request{method: "DELETE", path: "/invoice/" + ids[4], key: key}).want(t, 200)
	foreign := st.createInvoice(stranger, "{}").ID
	st.do(request{method: "GET", path: "/invoice/" + foreign, key: key}).want(t, 404)

	type list struct {
		Count    int
		Data     []struct{ ID string }
		NextPage *string `json:"next_page"`
		PageSize int     `json:"page_size"`
	}
	read := func(query string) (got []string, l list) {
		t.Helper()
		l = loose[list](t, st.do(request{method: "GET", path: "/invoices" + query, key: key}).want(t, 200).body)
		for _, one := range l.Data {
			got = append(got, one.ID)
		}
		if l.Count != len(got) {
			t.Errorf("%s: count %d of %d", query, l.Count, len(got))
		}
		return got, l
	}
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"", ids[:4]},
		{"?status=SUBMITTED", []string{ids[1], ids[3]}},
		{"?status[]=SUBMITTED&status[]=TO_SUBMIT", ids[:4]},
		{"?status=VERIFIED&status=TO_EDIT&status=DELETED", nil},
		{"?invoice_id=" + ids[0] + "&invoice_id=" + strings.ToUpper(ids[3]), []string{ids[0], ids[3]}},
		{"?buyer=899021021", ids[:4]},
		{"?buyer=SIREN-899021021&seller=732829320", ids[:4]},
		{"?buyer=SIRET-899021021", nil},
		{"?seller=899021021", nil},
		{"?invoice_id=" + foreign, nil},
	} {
		if got, _ := read(c.query); !cmp.Equal(got, c.want) {
			t.Errorf("GET /invoices%s = %v, want %v", c.query, got, c.want)
		}
	}
	first, l := read("?page_size=3")
	if !cmp.Equal(first, ids[:3]) || l.NextPage == nil || l.PageSize != 3 {
		t.Fatalf("first page %v, next %v", first, l.NextPage)
	}
	if rest, l := read("?page_size=3&cursor=" + *l.NextPage); !cmp.Equal(rest, ids[3:4]) || l.NextPage != nil {
		t.Errorf("second page %v, next %v; want the last and none", rest, l.NextPage)
	}
	if whole, l := read("?page_size=4"); len(whole) != 4 || l.NextPage != nil {
		t.Errorf("a page that holds all: %v, next %v", whole, l.NextPage)
	}
}

func TestWhatAnInvoiceMayHold(t *testing.T) {
	t.Parallel()
	st := start(t, setting{noTimers: true})
	key := st.key(1)
	for _, c := range []struct {
		body    string
		invalid []string
	}{
		{`{"is_draft": false}`, []string{"buyer", "seller", "due_at", "issued_at", "invoice_number", "total_amount"}},
		{`{"net_amount": 12.5}`, []string{"net_amount"}},
		{`{"net_amount": "12"}`, []string{"net_amount"}},
		{`{"net_amount": 1e3}`, []string{"net_amount"}},
		{`{"total_amount": -1}`, []string{"total_amount"}},
		{`{"total_amount": 9007199254740992}`, []string{"total_amount"}},
		{`{"total_amount": 99999999999999999999}`, []string{"total_amount"}},
		{`{"currency": "USD"}`, []string{"currency"}},
		{`{"issued_at": "yesterday", "due_at": 5}`, []string{"issued_at", "due_at"}},
		{`{"buyer": "ACME"}`, []string{"buyer"}},
		{`{"buyer": {"identifier_type": "iban"}, "seller": {"name": 1}}`, []string{"buyer.identifier_type", "seller.name"}},
		{`{"document": "not a PDF"}`, []string{"document"}},
		{`{"metadata": [], "is_draft": "no"}`, []string{"metadata", "is_draft"}},
		{`{"metadata": {"scenario": "PERHAPS"}}`, []string{"metadata.scenario"}},
		{`{"metadata": {"a": "` + strings.Repeat("x", 16<<10) + `"}}`, []string{"metadata"}},
		{`{"invoice_number": "` + strings.Repeat("x", 501) + `"}`, []string{"invoice_number"}},
		{`{"to_account": {"account_number": "n", "account_holder": 1}}`, []string{"to_account.account_holder"}},
		{`{"to_account": {"account_number_type": "x"}}`, []string{"to_account.account_number_type", "to_account.account_number"}},
	} {
		a := st.do(request{method: "POST", path: "/invoices", key: key, body: c.body}).want(t, 422)
		var got []string
		for _, p := range decode[problem](t, a.body).InvalidParams {
			got = append(got, p.Name)
		}
		if diff := cmp.Diff(c.invalid, got); diff != "" {
			t.Errorf("%.60s: invalid_params (-want +got):\n%s", c.body, diff)
		}
	}
	if docs, err := st.store.Documents(t.Context(), "defacto_invoice", 1, "", 10); err != nil || len(docs) != 0 {
		t.Errorf("kept of what was refused: %v, %v", docs, err)
	}
	for _, body := range []string{
		`{"document": "JVBERi0xLjcK", "issued_at": "2022-02-01", "to_pay_amount": 0, "currency": "GBP"}`,
		`{"net_amount": 1, "tax_amount": 2, "total_amount": 4}`, // no rule of A8: a withholding, say, or a rounding
		`{"buyer": null, "metadata": null, "net_amount": null, "something_new": {}}`,
		`{"metadata": {"scenario": null, "Scenario": "PERHAPS"}}`,
	} {
		st.do(request{method: "POST", path: "/invoices", key: key, body: body}).want(t, 201)
	}
}

func TestSubmittingADraftNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	st := start(t, setting{noTimers: true})
	key := st.key(1)
	id := st.createInvoice(key, `{"buyer": {}, "total_amount": 1, "due_at": "2022-03-01"}`).ID
	a := st.do(request{method: "POST", path: "/invoice/" + id + "/submit", key: key}).want(t, 422)
	var got []string
	for _, p := range decode[problem](t, a.body).InvalidParams {
		got = append(got, p.Name)
	}
	if diff := cmp.Diff([]string{"seller", "issued_at", "invoice_number"}, got); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if got := st.status(key, id); got != "TO_SUBMIT" {
		t.Errorf("the invoice is %s after it was refused, want TO_SUBMIT", got)
	}
	st.do(request{method: "POST", path: "/invoice/" + id + "/submit", key: key, body: `{"seller": {"name": "S"}, "issued_at": "2022-02-01", "invoice_number": "1"}`}).want(t, http.StatusOK)
}
