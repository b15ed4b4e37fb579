package ui

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/facturascripts"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// delivered gives the page of a test that was delivered to a subscription of the
// contract.
func (f *fixture) delivered(b *browser, app int64, contract, typ string, o fattorino.Options, secrets ...fattorino.Secret) string {
	f.t.Helper()
	sub, _, err := f.service.Subscribe(f.t.Context(), caller(app), fattorino.NewSubscription{
		Company: 7, Contract: contract, Sink: f.sink() + "?tenant=topsecret", Types: []string{typ}, Method: fattorino.ByHeader, Options: o, Secrets: secrets,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	d, err := f.service.SendTest(f.t.Context(), caller(app), 7, contract, sub.ID, &fattorino.Event{ID: "1", Source: "/test", Type: typ, Company: 7})
	if err != nil {
		f.t.Fatal(err)
	}
	f.settled(holding{company: 7, delivery: d})
	page := b.get(fmt.Sprintf("/ui/companies/7/deliveries/%d", d.ID))
	if page.status != http.StatusOK {
		f.t.Fatalf("got %d, want 200", page.status)
	}
	return page.body
}

func TestAnAttemptShowsTheCheckOfItsSignature(t *testing.T) {
	t.Parallel()
	f := start(t)
	app := f.app()
	b := f.signedIn(viewer)
	for _, x := range []struct {
		name, contract, scheme, typ string
		want                        []string
	}{
		{"v1", "native", sign.SchemeV1, "invoice.paid", []string{"Signature valid", "Standard Webhooks v1", "The comparison", "sha256sum", "verifyV1("}},
		{"v1a", "native", sign.SchemeV1a, "invoice.paid", []string{"Signature valid", "Standard Webhooks v1a", "whpk_", "verifyV1a("}},
		{"RFC 9421", "native", sign.SchemeHTTPSig, "invoice.paid", []string{"Signature valid", "RFC 9421", "&#34;@target-uri&#34;: http://127.0.0.1:", "?…", "verifyHTTP("}},
		{"FacturaScripts", facturascripts.Name, sign.SchemeV1, "invoice.paid", []string{"Signature valid", "Standard Webhooks v1", "verifyV1("}},
		{"unsigned", "native", "none", "invoice.paid", []string{"Not signed", "nothing in it proves who sent it"}},
		{"Defacto", "defacto", "", "Invoice.PAID", []string{"Not signed", "Defacto signs nothing"}},
	} {
		var secrets []fattorino.Secret
		var shown string
		if rules := f.ui.Contracts[x.contract]; rules != nil && x.scheme != "none" {
			secret, told, _, err := rules.NewSecret(x.scheme)
			if err != nil {
				t.Fatal(err)
			}
			secrets, shown = []fattorino.Secret{secret}, told
		}
		o := fattorino.Options{}
		if x.contract == "native" {
			o.Signature = x.scheme
		}
		page := f.delivered(b, app, x.contract, x.typ, o, secrets...)
		for _, want := range x.want {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page does not show %q", x.name, want)
			}
		}
		if signed := len(secrets) > 0; signed != strings.Contains(page, "The same check in your own code") {
			t.Errorf("%s: signed is %t, and code is shown or not", x.name, signed)
		}
		if strings.Contains(page, "topsecret") || strings.Contains(page, "Signature invalid") {
			t.Errorf("%s: the query of the sink is shown, or a signature is wrong", x.name)
		}
		if shown != "" && strings.Contains(page, strings.TrimPrefix(shown, "whsec_")) {
			t.Errorf("%s: the secret is shown", x.name)
		}
	}
}

func TestTheQueryOfASinkIsTakenOutOfWhatIsShown(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ sink, text, want string }{
		{"https://a.example/x", "https://a.example/x", "https://a.example/x"},
		{"https://a.example/x?key=1&b=2", `"aud":["https://a.example/x?key=1&b=2"]`, `"aud":["https://a.example/x?…"]`},
		{`https://a.example/x?key="1"&b=2`, `"aud":["https://a.example/x?key=\"1\"&b=2"]`, `"aud":["https://a.example/x?…"]`},
	} {
		if got := hideQuery(x.sink)(x.text); got != x.want {
			t.Errorf("of %s: got %s, want %s", x.sink, got, x.want)
		}
	}
}
