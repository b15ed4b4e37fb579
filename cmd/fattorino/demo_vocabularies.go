package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A voice is one of those who hear the same event, and what it heard.
type voice struct {
	sink  *sink
	heard notice
}

// show gives what shows the notification that a subscriber received, as far as
// it fits in a few lines.
func (d *demo) show(v *voice) func() error {
	const most = 320 // bytes
	return func() error {
		text := string(v.heard.body)
		if len(text) > most {
			text = strings.ToValidUTF8(text[:most], "") + "…"
		}
		d.out.note(text)
		return nil
	}
}

// What is published in this chapter, digit for digit, and what it is called
// under each contract.
const (
	paidType    = "invoice.paid"
	paidFICType = ficPrefix + "issued_documents.invoices.update" // a payment is an update there
	paidID      = 51
	paidData    = `{"id":51,"number":"2026/51","total":1220.00}`
)

func (d *demo) subscribeFIC(ctx context.Context) (proof string, err error) {
	s, err := d.openFICSink(ctx)
	if err != nil {
		return "", err
	}
	d.voices.fic.sink = s
	id, err := d.makeFICSubscription(ctx, s, 1, "issued_documents.invoices.update")
	if err != nil {
		return "", err
	}
	_, err = awaitWelcome(ctx, s)
	return fmt.Sprintf("%s, welcomed: %s", id, paidFICType), errors.Join(err, s.challengeSeen())
}

func (d *demo) subscribeFacturaScripts(ctx context.Context) (proof string, err error) {
	d.voices.facturascripts.sink, proof, err = d.subscribeStandard(ctx, "FacturaScripts", map[string]any{"contract": "facturascripts"})
	return proof, err
}

func (d *demo) subscribeNative(ctx context.Context) (proof string, err error) {
	s, proof, err := d.subscribeStandard(ctx, "native", map[string]any{"contract": "native", "format": "structured"})
	if err != nil {
		return "", err
	}
	d.voices.native.sink = s
	return proof, s.challengeSeen()
}

// subscribeStandard opens a sink and subscribes it, as the wish says and to what
// was paid, under a contract that signs with a secret, which the answer holds.
func (d *demo) subscribeStandard(ctx context.Context, title string, wish map[string]any) (*sink, string, error) {
	s, err := d.addSink(ctx, title)
	if err != nil {
		return nil, "", err
	}
	s.know(&standardReceiver{}) // to answer the challenge; the secret is told afterwards
	wish["sink"], wish["types"] = s.url, []string{paidType}
	var made struct {
		ID                      int64
		Contract, State, Secret string
	}
	err = d.call(ctx, exchange{
		method: http.MethodPost, path: fmt.Sprintf("/v1/companies/%d/subscriptions", demoCompany), token: d.tokens.api,
		body: wish, answer: &made, status: http.StatusCreated,
	})
	if err != nil {
		return nil, "", err
	}
	if made.Contract != wish["contract"] || made.State != "active" {
		return nil, "", fmt.Errorf("the new subscription is %s, under %s", made.State, made.Contract)
	}
	secret, err := parseSecret(made.Secret)
	if err != nil {
		return nil, "", err
	}
	s.know(&standardReceiver{secret})
	return s, fmt.Sprintf("number %d: %s, with a secret of its own", made.ID, paidType), nil
}

func (d *demo) publishPaid(ctx context.Context) (string, error) {
	var receipts struct{ Events []struct{ Seq int64 } }
	err := d.call(ctx, exchange{
		method: http.MethodPost, path: "/v1/events", token: d.tokens.publish, contentType: "application/cloudevents+json",
		body: map[string]any{
			"specversion": "1.0", "id": "demo-" + d.run + "-paid", "source": "urn:demo:erp", "type": paidType,
			"companyid": strconv.Itoa(demoCompany), "time": time.Now().Format(time.RFC3339), "data": json.RawMessage(paidData),
		},
		answer: &receipts, status: http.StatusAccepted,
	})
	if err != nil {
		return "", err
	}
	if len(receipts.Events) != 1 {
		return "", fmt.Errorf("1 event was sent and %d accepted", len(receipts.Events))
	}
	return fmt.Sprintf("POST /v1/events: %s, once; seq %d", paidType, receipts.Events[0].Seq), nil
}

// heardFIC: the welcome was number 0.
func (d *demo) heardFIC(ctx context.Context) (string, error) {
	return d.voices.fic.hear(ctx, 1, paidFICType)
}

func (d *demo) heardFacturaScripts(ctx context.Context) (string, error) {
	return d.heardWhole(ctx, &d.voices.facturascripts)
}

func (d *demo) heardNative(ctx context.Context) (string, error) {
	return d.heardWhole(ctx, &d.voices.native)
}

// heardWhole waits for the notification that holds the data as it was
// published.
func (d *demo) heardWhole(ctx context.Context, v *voice) (string, error) {
	proof, err := v.hear(ctx, 0, paidType)
	if err == nil && !bytes.Equal(v.heard.state, []byte(paidData)) {
		err = fmt.Errorf("the data is %s", v.heard.state)
	}
	return proof, err
}

// hear waits for the notification with the number, which is to be of the type,
// good, and about the invoice that was paid.
func (v *voice) hear(ctx context.Context, number int, typ string) (string, error) {
	n, err := v.sink.await(ctx, number)
	switch {
	case err != nil:
		return "", err
	case n.fault != nil:
		return "", n.fault
	case n.typ != typ || n.about != strconv.Itoa(paidID):
		return "", fmt.Errorf("%s of %s arrived, not %s of %d", n.typ, n.about, typ, paidID)
	}
	v.heard = n
	return typ + ", " + n.proof, nil
}
