package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// makeKey makes what Defacto calls an API key: a token for one company, without
// scopes.
func (d *demo) makeKey(ctx context.Context) (proof string, err error) {
	d.tokens.defacto, err = d.makeToken(ctx, map[string]any{"kind": "api", "app_id": d.appID, "companies": []int{demoSeller}})
	if err != nil {
		return "", err
	}
	return "GET /hello answers it", d.call(ctx, exchange{method: http.MethodGet, path: "/hello", token: d.tokens.defacto, status: http.StatusOK})
}

// The types that the tutorial subscribes to.
const (
	submittedType = "Invoice.SUBMITTED"
	verifiedType  = "Invoice.VERIFIED"
)

func (d *demo) createWebhook(ctx context.Context) (string, error) {
	s, err := d.addSink(ctx, "Defacto")
	if err != nil {
		return "", err
	}
	d.voices.defacto.sink = s
	secret := randomID()
	s.know(&defactoReceiver{secret})
	types, url := []string{submittedType, verifiedType}, s.url+"?secret="+secret
	var made struct {
		ID    string   `json:"id"`
		Types []string `json:"event_types"`
		ToURL string   `json:"to_url"`
	}
	err = d.call(ctx, exchange{
		method: http.MethodPost, path: "/webhooks", token: d.tokens.defacto,
		body:   map[string]any{"event_types": types, "to_url": url},
		answer: &made, status: http.StatusCreated,
	})
	if err != nil {
		return "", err
	}
	if made.ToURL != url || !slices.Equal(made.Types, types) {
		return "", fmt.Errorf("the webhook is not what was asked for: it has the types %v", made.Types)
	}
	return fmt.Sprintf("POST /webhooks made %s for %s and %s", made.ID, submittedType, verifiedType), nil
}

// demoInvoice gives an invoice to create, submitted at once.
func demoInvoice(number string) string {
	return `{"is_draft":false,"invoice_number":"` + number + `","net_amount":100000,"tax_amount":20000,"total_amount":120000,"currency":"EUR",` +
		`"issued_at":"2026-03-01","due_at":"2026-05-01","buyer":{"name":"Mercato Verdi"},"seller":{"name":"` + demoSellerName + `"}}`
}

func (d *demo) createInvoice(ctx context.Context) (string, error) {
	err := d.call(ctx, exchange{
		method: http.MethodPost, path: "/invoices", token: d.tokens.defacto,
		body: json.RawMessage(demoInvoice("2026/1")), answer: &d.invoice.created, status: http.StatusCreated,
	})
	if err != nil {
		return "", err
	}
	var made struct{ ID, Status string }
	if err := json.Unmarshal(d.invoice.created, &made); err != nil {
		return "", err
	}
	if made.Status != "SUBMITTED" {
		return "", fmt.Errorf("the new invoice is %s", made.Status)
	}
	d.invoice.id = made.ID
	return "POST /invoices made " + made.ID, nil
}

// toldSubmitted compares with the answer to the creation, and not with a GET,
// for a second later the invoice is another.
func (d *demo) toldSubmitted(ctx context.Context) (string, error) {
	return d.told(ctx, submittedType, func() ([]byte, error) { return d.invoice.created, nil })
}

func (d *demo) toldVerified(ctx context.Context) (string, error) {
	return d.told(ctx, verifiedType, func() (invoice []byte, err error) {
		err = d.call(ctx, exchange{
			method: http.MethodGet, path: "/invoice/" + d.invoice.id, token: d.tokens.defacto, answer: &invoice, status: http.StatusOK,
		})
		return invoice, err
	})
}

// told waits for the notification of the type, which is to hold the invoice as
// it is elsewhere, byte for byte.
func (d *demo) told(ctx context.Context, typ string, elsewhere func() ([]byte, error)) (string, error) {
	v := &d.voices.defacto
	for number := 0; v.heard.typ != typ; number++ {
		n, err := v.sink.await(ctx, number)
		switch {
		case err != nil:
			return "", err
		case n.fault != nil:
			return "", n.fault
		case n.about != d.invoice.id:
			return "", fmt.Errorf("%s of %s arrived", n.typ, n.about)
		}
		v.heard = n
	}
	invoice, err := elsewhere()
	if err != nil {
		return "", err
	}
	if !bytes.Equal(v.heard.state, invoice) {
		return "", fmt.Errorf("its entity_state is %s and the invoice is %s", v.heard.state, invoice)
	}
	return fmt.Sprintf("%s, the same %d bytes", v.heard.proof, len(invoice)), nil
}
