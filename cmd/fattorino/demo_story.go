package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// A chapter is a part of the story with a heading of its own.
type chapter struct {
	heading string
	steps   []step
}

// story gives all of it in order. What failed in the second chapter is retried
// while the next ones are told.
func (d *demo) story() []chapter {
	return []chapter{
		{"The platform's side", []step{
			{name: "the service is up", run: d.start},
			{name: "the companies have their names", run: d.nameCompanies},
			{name: "an integrator's app is registered", run: d.makeApp},
			{name: "tokens are made for the platform and the app", run: d.makeTokens},
		}},
		{"Fatture in Cloud: challenged, signed, retried", []step{
			{name: "the subscriber listens and knows the public key", run: d.openSink},
			{name: "the app subscribes to two groups of types", run: d.subscribe},
			{name: "the subscriber was challenged first, and answered", run: d.challenged},
			{name: "the welcome has arrived", run: d.welcomed},
			{name: "the platform publishes what happened", run: d.publish},
			{name: "what was subscribed to arrives, and nothing else", run: d.notified, below: d.showNotices},
		}},
		{"Published once, heard in every vocabulary", []step{
			{name: "one subscribes under Fatture in Cloud", run: d.subscribeFIC},
			{name: "one subscribes under FacturaScripts", run: d.subscribeFacturaScripts},
			{name: "one subscribes under the native contract, and is challenged", run: d.subscribeNative},
			{name: "a bin of the inspector is there to look on", run: d.openBin},
			{name: "it is subscribed too, under the native contract", run: d.subscribeBin},
			{name: "the platform publishes that an invoice was paid", run: d.publishPaid},
			{name: "Fatture in Cloud's subscriber heard it", run: d.heardFIC, below: d.show(&d.voices.fic)},
			{name: "FacturaScripts' subscriber heard it", run: d.heardFacturaScripts, below: d.show(&d.voices.facturascripts)},
			{name: "the native subscriber heard it", run: d.heardNative, below: d.show(&d.voices.native)},
			{name: "the bin shows it as it arrived", run: d.shownByBin},
		}},
		{"Defacto's tutorial, on invoices of the sandbox", []step{
			{name: "a key is made for one company, and is good", run: d.makeKey},
			{name: "a webhook is created, with a secret in its URL", run: d.createWebhook},
			{name: "an invoice is created, and submitted at once", run: d.createInvoice},
			{name: "its submission is told, the invoice just as it was answered", run: d.toldSubmitted, below: d.show(&d.voices.defacto)},
			{name: "a second later its verification, the invoice just as GET answers it", run: d.toldVerified, below: d.show(&d.voices.defacto)},
		}},
		{"Meanwhile: what failed is retried, and all of it is on record", []step{
			{name: "the notification that failed is retried", limit: 20 * time.Second, run: d.retried},
			{name: "the delivery log tells all of it", run: d.logged, below: d.showLog},
			{name: "the same events can be pulled, in order", run: d.pulled},
		}},
	}
}

func (d *demo) start(ctx context.Context) (string, error) {
	config := app.Default()
	config.Data, config.Listen, config.Dev = d.data, d.listen, true
	config.Sandbox, config.LogLevel = true, "error"
	d.tokens.admin = "demo-admin-" + randomID()
	config.AdminToken = d.tokens.admin
	if err := config.Validate(); err != nil {
		return "", err
	}
	a, err := app.New(ctx, app.Options{Config: config, Log: d.log, LogText: true})
	if err != nil {
		return "", err
	}
	if err := a.Start(ctx); err != nil {
		return "", err
	}
	d.app = a
	return a.URL() + ", data in " + d.data, d.call(ctx, exchange{method: http.MethodGet, path: "/readyz", status: http.StatusOK})
}

func (d *demo) nameCompanies(ctx context.Context) (string, error) {
	for _, c := range []struct {
		id   int
		name string
	}{{demoCompany, demoCompanyName}, {demoSeller, demoSellerName}} {
		err := d.call(ctx, exchange{
			method: http.MethodPut, path: fmt.Sprintf("/v1/companies/%d", c.id), token: d.tokens.admin,
			body: map[string]string{"name": c.name}, status: http.StatusOK,
		})
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d is %s, %d is %s", demoCompany, demoCompanyName, demoSeller, demoSellerName), nil
}

func (d *demo) makeApp(ctx context.Context) (string, error) {
	var made struct{ ID int64 }
	err := d.call(ctx, exchange{
		method: http.MethodPost, path: "/v1/apps", token: d.tokens.admin,
		body: map[string]string{"name": "Gestionale"}, answer: &made, status: http.StatusCreated,
	})
	d.appID = made.ID
	return fmt.Sprintf("app %d, Gestionale", made.ID), err
}

func (d *demo) makeTokens(ctx context.Context) (proof string, err error) {
	if d.tokens.publish, err = d.makeToken(ctx, map[string]any{"kind": "publish"}); err != nil {
		return "", err
	}
	d.tokens.api, err = d.makeToken(ctx, map[string]any{
		"kind": "api", "app_id": d.appID, "companies": []int{demoCompany}, "scopes": []string{"*"},
	})
	return "kinds publish and api", err
}

// makeToken gives the secret of a new token.
func (d *demo) makeToken(ctx context.Context, wish map[string]any) (string, error) {
	var made struct{ Token string }
	err := d.call(ctx, exchange{
		method: http.MethodPost, path: "/v1/tokens", token: d.tokens.admin,
		body: wish, answer: &made, status: http.StatusCreated,
	})
	return made.Token, err
}
