package facturascripts_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/facturascripts"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestTheCatalogHoldsTheDocumentedNamesFirst(t *testing.T) {
	t.Parallel()
	c, _ := contract(t)
	var names []string
	for _, typ := range c.Catalog().Types {
		names = append(names, typ.Name)
		if !slices.Equal(typ.Common, []string{typ.Name}) {
			t.Errorf("%s is linked to %v, and not to itself alone", typ.Name, typ.Common)
		}
	}
	want := strings.Fields(`
		invoice.created invoice.updated invoice.deleted invoice.paid customer.created customer.updated
		product.created product.updated receipt.paid
		invoice.unpaid customer.deleted product.deleted receipt.created receipt.updated payment.created
		supplier.created supplier.updated supplier.deleted
		received_document.created received_document.updated received_document.deleted
		received_document.paid received_document.unpaid
		quote.created quote.updated quote.deleted order.created order.updated order.deleted
		delivery_note.created delivery_note.updated delivery_note.deleted
		supplier_order.created supplier_order.updated supplier_order.deleted`)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	if !c.Catalog().Shared || c.Catalog().Open {
		t.Errorf("shared is %t, open is %t", c.Catalog().Shared, c.Catalog().Open)
	}
}

func TestAnEventOfAnotherContractIsToldByItsCommonName(t *testing.T) {
	t.Parallel()
	c, _ := contract(t)
	for _, test := range []struct{ typ, common, want string }{
		{"invoice.paid", "invoice.paid", "invoice.paid"},
		{"it.fattureincloud.webhooks.issued_documents.invoices.update", "invoice.updated", "invoice.updated"},
		{"Invoice.DELETED", "invoice.deleted", "invoice.deleted"},
		{"it.fattureincloud.webhooks.received_documents.create", "received_document.created", "received_document.created"},
		{"Loan.OVERDUE", "loan.overdue", ""},
		{"own.type", "", ""},
	} {
		got, told := c.Catalog().TypeOf(&fattorino.Event{Type: test.typ, Common: test.common})
		if told != (test.want != "") || (told && got != test.want) {
			t.Errorf("%s is told as %q, %t", test.typ, got, told)
		}
	}
}

func TestTheScheduleIsFiveRetriesByPowersOfFive(t *testing.T) {
	t.Parallel()
	c, _ := contract(t)
	chosen := fattorino.Options{Schedule: []time.Duration{time.Second, time.Hour}}
	for _, test := range []struct {
		name    string
		options fattorino.Options
		want    []time.Duration
	}{
		{"the page's", fattorino.Options{}, []time.Duration{
			5 * time.Second, 25 * time.Second, 125 * time.Second, 625 * time.Second, 3125 * time.Second,
		}},
		{"a chosen one", chosen, chosen.Schedule},
	} {
		s := &fattorino.Subscription{Options: test.options}
		var got []time.Duration
		for tries := 1; ; tries++ {
			wait, again := c.Retry(s, tries)
			if !again {
				break
			}
			got = append(got, wait)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
		for _, tries := range []int{-1, 0, len(test.want) + 2, 1 << 40} {
			if wait, again := c.Retry(s, tries); again || wait != 0 {
				t.Errorf("%s: after %d tries: %v, %t", test.name, tries, wait, again)
			}
		}
	}
}

// The rule is SW-12.
func TestWhatAnAnswerMeans(t *testing.T) {
	t.Parallel()
	c, _ := contract(t)
	for status := range 1000 {
		want := fattorino.Retry
		switch {
		case status >= 200 && status < 300:
			want = fattorino.Success
		case status == 410:
			want = fattorino.End
		}
		a := &fattorino.Answer{Status: status, Header: []fattorino.Header{{Name: "Retry-After", Value: "60"}}}
		if got := c.Judge(a); got != want {
			t.Errorf("%d means %d, want %d", status, got, want)
		}
		if wait := c.Wait(a, attempted); wait != 0 {
			t.Errorf("%d is waited for %v", status, wait)
		}
	}
}

func TestThereIsNoHandshakeNoWelcomeNoExpiry(t *testing.T) {
	t.Parallel()
	c, keys := contract(t)
	s := subscription(t, keys, hmacSecret)
	if c.Handshake(s) != nil || c.Welcome(s, attempted) != nil || c.Expiry() != 0 || c.Name() != "facturascripts" {
		t.Error("the contract has more than the page asks for")
	}
}

func TestSettingsThatCannotBe(t *testing.T) {
	t.Parallel()
	if _, err := facturascripts.New(facturascripts.Options{}); err == nil {
		t.Error("a contract without a keychain is made")
	}
	if _, err := facturascripts.New(facturascripts.Options{Keychain: newKeychain(t), UserAgent: "a\r\nb"}); err == nil {
		t.Error("a user agent of two lines is taken")
	}
}

func TestWhatASubscriberMayChoose(t *testing.T) {
	t.Parallel()
	c, keys := contract(t)
	long := strings.Repeat("é", 101)
	headers, err := c.SealHeaders([]fattorino.Header{{Name: "X-Key", Value: "secret"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		wish fattorino.NewSubscription
		want []string // fields at fault
	}{
		"nothing": {},
		"all there is": {wish: fattorino.NewSubscription{
			Method: fattorino.ByHeader, Secrets: sealed(t, keys, ed25519Secret),
			Options: fattorino.Options{
				Name: "shop", Description: "d", Metadata: map[string]string{"a": "b"}, Handshake: "none", Signature: "v1a",
				Rate: 60, Concurrency: 4, Schedule: []time.Duration{time.Second}, Timeout: 10 * time.Second, EndsAt: time.Now().Add(time.Hour),
			},
		}},
		"format":            {fattorino.NewSubscription{Format: fattorino.Binary}, []string{"format"}},
		"handshake":         {fattorino.NewSubscription{Options: fattorino.Options{Handshake: "challenge"}}, []string{"handshake"}},
		"signature":         {fattorino.NewSubscription{Options: fattorino.Options{Signature: "none"}}, []string{"signature"}},
		"secret of another": {fattorino.NewSubscription{Secrets: sealed(t, keys, hmacSecret), Options: fattorino.Options{Signature: "v1a"}}, []string{"secret"}},
		"damaged secret":    {fattorino.NewSubscription{Secrets: []fattorino.Secret{{Sealed: []byte("x")}}}, []string{"secret"}},
		"thin":              {fattorino.NewSubscription{Options: fattorino.Options{Thin: true}}, []string{"thin"}},
		"headers":           {fattorino.NewSubscription{Options: fattorino.Options{Headers: headers}}, []string{"headers"}},
		"texts": {fattorino.NewSubscription{Options: fattorino.Options{
			Name: long, Description: "\xff", Metadata: map[string]string{"": "x"},
		}}, []string{"name", "description", "metadata"}},
		"pace": {fattorino.NewSubscription{Options: fattorino.Options{
			Rate: -1, Concurrency: 65, Timeout: 11 * time.Second, Schedule: []time.Duration{time.Second, time.Millisecond},
		}}, []string{"rate", "concurrency", "timeout", "schedule.1"}},
		"too many waits": {fattorino.NewSubscription{Options: fattorino.Options{
			Schedule: slices.Repeat([]time.Duration{time.Second}, 21),
		}}, []string{"schedule"}},
		"over": {fattorino.NewSubscription{Options: fattorino.Options{EndsAt: time.Now().Add(-time.Hour)}}, []string{"ends_at"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.CheckOptions(&test.wish)
			var got []string
			if e, ok := errors.AsType[*fattorino.Error](err); ok && e.Kind == fattorino.Invalid {
				for _, f := range e.Faults {
					got = append(got, f.Field)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestASchemeHasASecretOrAPublicKey(t *testing.T) {
	t.Parallel()
	c, _ := contract(t)
	for _, test := range []struct{ signature, shown, public string }{
		{"", "whsec_", ""},
		{"v1", "whsec_", ""},
		{"v1a", "", "whpk_"},
	} {
		secret, shown, public, err := c.NewSecret(test.signature)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(shown, test.shown) || (shown == "") != (test.shown == "") {
			t.Errorf("%q shows a secret other than %s", test.signature, test.shown)
		}
		again, err := c.PublicKey(secret)
		if err != nil || again != public || !strings.HasPrefix(public, test.public) || (public == "") != (test.public == "") {
			t.Errorf("%q has the public keys %q and %q: %v", test.signature, public, again, err)
		}
		n := fattorino.NewSubscription{Options: fattorino.Options{Signature: test.signature}, Secrets: []fattorino.Secret{secret}}
		if err := c.CheckOptions(&n); err != nil {
			t.Errorf("%q: its own secret does not fit: %v", test.signature, err)
		}
	}
	if _, _, _, err := c.NewSecret("jwt"); err == nil {
		t.Error("a secret is made for another contract's signature")
	}
}
