package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// stayUp shows how to go on by hand, and what then arrives.
func (d *demo) stayUp(ctx context.Context) {
	url := d.app.URL()
	d.out.paragraph(fmt.Sprintf(`It stays up until you press Ctrl-C. Go on by hand:

  the service      %s   (the API explained: %[1]s/docs)
  inspector        %s   (shows what arrives; sign in with the admin token)
  admin token      %s
  publish token    %s
  api token        %s
  Defacto key      %s`, url, d.bin.page, d.tokens.admin, d.tokens.publish, d.tokens.api, d.tokens.defacto))
	d.out.line("  subscribers")
	for _, l := range d.listeners {
		d.out.line(fmt.Sprintf("    %-16s %s", l.contract, l.url))
	}
	d.out.paragraph(fmt.Sprintf(`Publish that an invoice was paid; three subscribers and the bin hear of it:

curl -s %s/v1/events -H 'Authorization: Bearer %s' -H 'Content-Type: application/cloudevents+json' -d '{"specversion":"1.0","id":"by-hand-1","source":"urn:demo:me","type":"invoice.paid","companyid":"%d","data":{"id":99}}'

List the subscriptions under Fatture in Cloud, FacturaScripts and the native contract:

curl -s %[1]s/c/%[3]d/subscriptions -H 'Authorization: Bearer %[4]s'
curl -s '%[1]s/v1/companies/%[3]d/subscriptions?contract=facturascripts' -H 'Authorization: Bearer %[4]s'
curl -s '%[1]s/v1/companies/%[3]d/subscriptions?contract=native' -H 'Authorization: Bearer %[4]s'

Submit an invoice under Defacto; it is verified a second later:

curl -s %[1]s/invoices -H 'Authorization: Bearer %[5]s' -d '%[6]s'

See what was delivered, and pull what happened:

curl -s '%[1]s/v1/companies/%[3]d/deliveries?limit=5' -H 'Authorization: Bearer %[4]s'
curl -s '%[1]s/v1/companies/%[3]d/events?after=0&wait=10' -H 'Authorization: Bearer %[4]s'

What the subscribers receive from here on:`,
		url, d.tokens.publish, demoCompany, d.tokens.api, d.tokens.defacto, demoInvoice("2026/2")))
	var all sync.WaitGroup
	for _, l := range d.listeners {
		seen := l.count() // before anything is played with
		all.Go(func() { d.watch(ctx, l, seen) })
	}
	all.Wait()
}

// watch shows what a subscriber receives until ctx ends.
func (d *demo) watch(ctx context.Context, l *listener, seen int) {
	for ; ; seen++ {
		n, err := l.await(ctx, seen)
		if err != nil {
			return // interrupted
		}
		d.out.note(fmt.Sprintf("%s  %-16s  %s", n.at.Format(time.TimeOnly), l.contract, n.describe()))
	}
}
