package defacto

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

var happenedAt = time.Date(2022, 2, 11, 11, 26, 59, 631326789, time.UTC)

func TestUUIDsAreReadBack(t *testing.T) {
	t.Parallel()
	for _, number := range []int64{1, 42, 1<<48 - 1, 1 << 48, 1<<60 - 1, rand.Int64N(1<<60-1) + 1} {
		uuid := uuidOf(webhookMark, number)
		for _, written := range []string{uuid, strings.ToUpper(uuid)} {
			if got, ok := numberOf(webhookMark, written); !ok || got != number {
				t.Errorf("%s is read as %d, %t; want %d", written, got, ok, number)
			}
		}
		if _, ok := numberOf(invoiceMark, uuid); ok {
			t.Errorf("the webhook %s is taken for an invoice", uuid)
		}
	}
	if got := uuidOf(webhookMark, 42); got != "defac700-0000-8000-8000-00000000002a" {
		t.Errorf("webhook 42 is %s", got)
	}
	for _, bad := range []string{
		"", "42", "a18d5057-0092-4555-b865-7ade03c3ac9b", "defac700-0000-8000-8000-000000000000", "defac700-0000-8000-8000-00000000002",
		"defac700-0000-8000-8000-00000000002a0", "defac700-0000-8000-8000_00000000002a", "defac700-0000-8000-8+00-00000000002a",
		"defac700-0000-4000-8000-00000000002a", "defac700-0000-8000-9000-00000000002a",
	} {
		if number, ok := numberOf(webhookMark, bad); ok {
			t.Errorf("%q is read as %d", bad, number)
		}
	}
}

func FuzzNumberOf(f *testing.F) {
	f.Add("defac700-0000-8000-8000-00000000002a")
	f.Add("defac700-0000-8000-8-00-0000000000-a")
	f.Fuzz(func(t *testing.T, s string) {
		if number, ok := numberOf(webhookMark, s); ok && !strings.EqualFold(uuidOf(webhookMark, number), s) {
			t.Errorf("%q is read as %d, which is %s", s, number, uuidOf(webhookMark, number))
		}
	})
}

// As the platform's clients may rely on (docs/decisions/0016).
func TestOfAMemberThatComesTwiceTheLastCounts(t *testing.T) {
	t.Parallel()
	o, err := readObject([]byte(`{"url":"https://a.example","url":"https://b.example"}`))
	if err != nil || string(o.members["url"]) != `"https://b.example"` {
		t.Errorf("the URL is %s, %v", o.members["url"], err)
	}
}

func TestFormOfTypes(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"X.Y", "Invoice.SUBMITTED", "CreditLine.A_1", "Counterparty.Approved", "N26Account.x"} {
		if !isType(good) {
			t.Errorf("%s is refused", good)
		}
	}
	for _, bad := range []string{"", ".", "X", "X.", ".Y", "X.Y.Z", "x.Y", "*", "X.*", "*.Y", "X Y.Z", "X.Y ", "X._", "X.1", "É.Y", "X." + strings.Repeat("Y", maxType)} {
		if isType(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestEntityTypes(t *testing.T) {
	t.Parallel()
	for pascal, want := range map[string]string{
		"Invoice": "invoice", "CreditLine": "credit_line", "CounterpartyCreditLimit": "counterparty_credit_limit", "": "", "loan": "loan",
	} {
		if got := snake(pascal); got != want {
			t.Errorf("%s is %s, want %s", pascal, got, want)
		}
	}
}

// What an invoice is made of a body comes back the same from the store, so
// that the answer of GET and the event agree byte for byte.
func FuzzInvoice(f *testing.F) {
	f.Add([]byte(`{"invoice_number":"\ud800<&>","metadata":{"a":1.50,"<&>":"<&>","b":"\u2028","scenario":"REJECT"},"buyer":{"identifier":"x"}}`))
	f.Add([]byte(`{"net_amount":1,"tax_amount":2,"total_amount":3,"to_account":{"account_number":"n","account_holder":"h"},"issued_at":"2022-02-01"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := readObject(body)
		if err != nil {
			t.Skip()
		}
		r := &record{Number: 1, Invoice: invoice{Status: toSubmit, Currency: "EUR", LoanIDs: []string{}}}
		r.Invoice.apply(o, 1)
		if o.err() != nil {
			t.Skip()
		}
		r.tell("invoice.created", "", micros(happenedAt))
		back, err := parseRecord(r.document(1, happenedAt))
		if err != nil {
			t.Fatal(err)
		}
		if before, after := string(r.Invoice.encode()), string(back.Invoice.encode()); before != after {
			t.Errorf("came back as\n%s\nwas\n%s", after, before)
		}
		if string(back.Outbox[0].State) != string(r.Invoice.encode()) {
			t.Errorf("the event says %s", back.Outbox[0].State)
		}
	})
}

// What a client says of a webhook is understood, or is the client's fault; a
// create lacks nothing that it needs.
func FuzzReadWish(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `{"name":"a","to_url":"https://a.example/","event_types":["Invoice.SUBMITTED"]}`,
		`{"to_url":"a","to_url":"b","event_types":[]}`, `{"event_types":[null,5,"x.y"]}`, `{"name":null,"to_url":null}`, "\xff", `{"to_url":"\ud800"}`,
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, create bool) {
		w, err := readWish(body, create)
		if err != nil {
			if kind := fattorino.KindOf(err); kind != fattorino.Malformed && kind != fattorino.Invalid {
				t.Errorf("%q: %v of kind %d: a body is never our own fault", body, err, kind)
			}
			return
		}
		if create && (w.toURL == nil || len(w.types) == 0) {
			t.Errorf("%q lacks what is needed to create, and is taken", body)
		}
		for _, typ := range w.types {
			if !isType(typ) {
				t.Errorf("%q: %q is taken for a type", body, typ)
			}
		}
	})
}
