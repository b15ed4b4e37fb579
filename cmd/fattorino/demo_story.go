package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/app"
)

// story gives the steps in order.
func (d *demo) story() []step {
	return []step{
		{name: "the service is up", run: d.start},
		{name: "a company has its name", run: d.nameCompany},
		{name: "an integrator's app is registered", run: d.makeApp},
		{name: "tokens are made for the platform and the app", run: d.makeTokens},
		{name: "the subscriber listens and knows the public key", run: d.openSink},
		{name: "the app subscribes to two groups of types", run: d.subscribe},
		{name: "the subscriber was challenged first, and answered", run: d.challenged},
		{name: "the welcome has arrived", run: d.welcomed},
		{name: "the platform publishes what happened", run: d.publish},
		{name: "what was subscribed to arrives, and nothing else", run: d.notified, below: d.showNotices},
		{name: "the notification that failed is retried", limit: 20 * time.Second, run: d.retried},
		{name: "the delivery log tells all of it", run: d.logged, below: d.showLog},
		{name: "the same events can be pulled, in order", run: d.pulled},
	}
}

func (d *demo) start(ctx context.Context) (string, error) {
	config := app.Default()
	config.Data, config.Listen, config.Dev = d.data, d.listen, true
	config.LogLevel = "error"
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

func (d *demo) nameCompany(ctx context.Context) (string, error) {
	err := d.call(ctx, exchange{
		method: http.MethodPut, path: fmt.Sprintf("/v1/companies/%d", demoCompany), token: d.tokens.admin,
		body: map[string]string{"name": demoCompanyName}, status: http.StatusOK,
	})
	return fmt.Sprintf("%d is %s", demoCompany, demoCompanyName), err
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

func (d *demo) makeTokens(ctx context.Context) (string, error) {
	for _, wish := range []struct {
		secret *string
		body   map[string]any
	}{
		{&d.tokens.publish, map[string]any{"kind": "publish"}},
		{&d.tokens.api, map[string]any{
			"kind": "api", "app_id": d.appID, "companies": []int{demoCompany},
			"scopes": []string{"*"},
		}},
	} {
		var made struct{ Token string }
		err := d.call(ctx, exchange{
			method: http.MethodPost, path: "/v1/tokens", token: d.tokens.admin,
			body: wish.body, answer: &made, status: http.StatusCreated,
		})
		if err != nil {
			return "", err
		}
		*wish.secret = made.Token
	}
	return "kinds publish and api", nil
}

func (d *demo) openSink(ctx context.Context) (proof string, err error) {
	if d.sink, err = openSink(ctx); err != nil {
		return "", err
	}
	var published struct {
		PublicKey string `json:"public_key"`
	}
	if err := d.call(ctx, exchange{method: http.MethodGet, path: "/v1/keys/fic", answer: &published, status: http.StatusOK}); err != nil {
		return "", err
	}
	key, err := parseKey(published.PublicKey)
	d.sink.mu.Lock()
	d.sink.key = key
	d.sink.mu.Unlock()
	return d.sink.url + ", key from /v1/keys/fic", err
}

// demoTypes is how many types the two groups stand for: of documents, and of
// entities.
const demoTypes = 11 + 2

func (d *demo) subscribe(ctx context.Context) (string, error) {
	groups := []string{"it.fattureincloud.webhooks.issued_documents.all.create", "it.fattureincloud.webhooks.entities.all.create"}
	var made struct {
		Data struct {
			ID       string
			Verified bool
			Types    []string
		}
	}
	err := d.call(ctx, exchange{
		method: http.MethodPost, path: fmt.Sprintf("/c/%d/subscriptions", demoCompany), token: d.tokens.api,
		body:   map[string]any{"data": map[string]any{"sink": d.sink.url, "types": groups}},
		answer: &made, status: http.StatusOK,
	})
	if err != nil {
		return "", err
	}
	d.subscription = made.Data.ID
	if !made.Data.Verified {
		return "", errors.New("the new subscription is not verified")
	}
	if n := len(made.Data.Types); n != demoTypes {
		return "", fmt.Errorf("the groups became %d types, not %d", n, demoTypes)
	}
	return fmt.Sprintf("POST /c/%d/subscriptions made %s: %d types", demoCompany, d.subscription, demoTypes), nil
}

func (d *demo) challenged(context.Context) (string, error) {
	d.sink.mu.Lock()
	defer d.sink.mu.Unlock()
	if d.sink.challenge == nil {
		return "", errors.New("no challenge came")
	}
	return "GET with a signed token, signature good", d.sink.challenge.fault
}

func (d *demo) welcomed(ctx context.Context) (string, error) {
	n, err := d.sink.await(ctx, 0)
	if err != nil {
		return "", err
	}
	if !strings.HasSuffix(n.typ, ".welcome") {
		return "", fmt.Errorf("the first notification is %s", n.typ)
	}
	return n.typ, n.fault
}

// happened is what the platform publishes: type, entity, whether the groups
// hold it.
type happened struct {
	typ, noun string
	id        int
	heard     bool
}

// failingID is the resource whose first notification fails.
const failingID = 42

func demoEvents() []happened {
	return []happened{
		{"invoice.created", "invoice", 41, true},
		{"invoice.created", "invoice", failingID, true},
		{"invoice.created", "invoice", 43, true},
		{"customer.created", "customer", 7, true},
		{"customer.created", "customer", 8, true},
		{"invoice.updated", "invoice", 41, false},
		{"customer.updated", "customer", 7, false},
		{"invoice.deleted", "invoice", 43, false},
		{"customer.deleted", "customer", 8, false},
	}
}

func (d *demo) publish(ctx context.Context) (string, error) {
	d.sink.mu.Lock()
	d.sink.failOnce = strconv.Itoa(failingID)
	d.sink.mu.Unlock()
	var batch []map[string]any
	for i, e := range demoEvents() {
		batch = append(batch, map[string]any{
			"specversion": "1.0", "id": fmt.Sprintf("demo-%s-%d", d.run, i+1), "source": "urn:demo:erp",
			"type": e.typ, "companyid": strconv.Itoa(demoCompany), "entity": fmt.Sprintf("%s/%d", e.noun, e.id),
			"time": time.Now().Format(time.RFC3339), "data": map[string]any{"id": e.id},
		})
	}
	var receipts struct{ Events []struct{ Seq int64 } }
	err := d.call(ctx, exchange{
		method: http.MethodPost, path: "/v1/events", token: d.tokens.publish,
		contentType: "application/cloudevents-batch+json", body: batch, answer: &receipts, status: http.StatusAccepted,
	})
	if err != nil {
		return "", err
	}
	if len(receipts.Events) != len(batch) {
		return "", fmt.Errorf("%d events were sent and %d accepted", len(batch), len(receipts.Events))
	}
	d.firstSeq = receipts.Events[0].Seq
	for i, r := range receipts.Events {
		if r.Seq != d.firstSeq+int64(i) {
			return "", fmt.Errorf("event %d has the seq %d", i+1, r.Seq)
		}
	}
	return fmt.Sprintf("POST /v1/events: %d invoices and clients created, updated and deleted; seq %d to %d",
		len(batch), d.firstSeq, d.firstSeq+int64(len(batch))-1), nil
}

// heard gives how many of the events the groups hold.
func heard() (n int) {
	for _, e := range demoEvents() {
		if e.heard {
			n++
		}
	}
	return n
}

// notified waits for the first attempt of every notification. The welcome was
// number 0.
func (d *demo) notified(ctx context.Context) (string, error) {
	var want, got []string
	for _, e := range demoEvents() {
		if e.heard {
			want = append(want, strconv.Itoa(e.id))
		}
	}
	for i := range want {
		n, err := d.sink.await(ctx, 1+i)
		if err != nil {
			return "", err
		}
		if n.fault != nil {
			return "", n.fault
		}
		for _, id := range n.ids {
			got = append(got, id.String())
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		return "", fmt.Errorf("notifications came for %v, not for %v", got, want)
	}
	return fmt.Sprintf("%d notifications for %d events", len(want), len(demoEvents())), nil
}

func (d *demo) showNotices() error {
	d.sink.mu.Lock()
	defer d.sink.mu.Unlock()
	for _, n := range d.sink.notices[1 : 1+heard()] {
		d.out.note(n.describe())
	}
	return nil
}

// retried waits for the second attempt of the notification that failed: the
// schedule of the contract says 5 s, give or take a tenth.
func (d *demo) retried(ctx context.Context) (string, error) {
	d.sink.mu.Lock()
	i := slices.IndexFunc(d.sink.notices, func(n notice) bool { return n.answer == http.StatusInternalServerError })
	if i < 0 {
		d.sink.mu.Unlock()
		return "", errors.New("no notification was answered with 500")
	}
	failed := d.sink.notices[i]
	d.sink.mu.Unlock()

	done := make(chan struct{})
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		d.out.countDown("waiting for the retry, which the schedule sets 5 s later", failed.at.Add(5*time.Second), done)
	}()
	again, err := d.sink.await(ctx, 1+heard())
	close(done)
	<-shown
	if err != nil {
		return "", err
	}
	wait := again.at.Sub(failed.at)
	switch {
	case again.fault != nil:
		return "", again.fault
	case again.id != failed.id:
		return "", fmt.Errorf("%s arrived, and %s was awaited", again.id, failed.id)
	case again.token == failed.token:
		return "", errors.New("it came with the token of the first attempt")
	case wait < 4*time.Second || wait > 8*time.Second:
		return "", fmt.Errorf("it came after %.1f s", wait.Seconds())
	}
	return fmt.Sprintf("%.1f s later, with the same ce-id %s and a fresh token", wait.Seconds(), again.id), nil
}

// deliveryLog is what GET deliveries answers, as far as it is looked at.
type deliveryLog struct {
	Deliveries []struct {
		ID       int64
		State    string
		Attempts int
		Status   int
		Event    struct{ Type, Entity string }
	}
}

func (d *demo) deliveries(ctx context.Context) (log deliveryLog, err error) {
	return log, d.call(ctx, exchange{
		method: http.MethodGet, token: d.tokens.api, answer: &log, status: http.StatusOK,
		path: fmt.Sprintf("/v1/companies/%d/deliveries?subscription=%s", demoCompany, strings.TrimPrefix(d.subscription, "SUB")),
	})
}

// logged waits until the log holds the outcome of every delivery: an answer is
// written a moment after the sink has given it.
func (d *demo) logged(ctx context.Context) (string, error) {
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for {
		log, err := d.deliveries(ctx)
		if err != nil {
			return "", err
		}
		delivered, attempts := 0, 0
		for _, one := range log.Deliveries {
			attempts += one.Attempts
			if one.State == "delivered" {
				delivered++
			}
		}
		if want := heard() + 1; delivered == want && attempts == want+1 {
			if len(log.Deliveries) != want || d.sink.count() != attempts {
				return "", fmt.Errorf("%d deliveries are in the log, and the subscriber was called %d times", len(log.Deliveries), d.sink.count())
			}
			return fmt.Sprintf("%d delivered, with %d attempts", delivered, attempts), nil
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return "", fmt.Errorf("%d are delivered, with %d attempts", delivered, attempts)
		}
	}
}

func (d *demo) showLog() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	log, err := d.deliveries(ctx)
	if err != nil {
		return err
	}
	rows := [][]string{{"DELIVERY", "TYPE", "ENTITY", "STATE", "ATTEMPTS", "LAST STATUS"}}
	for _, one := range slices.Backward(log.Deliveries) {
		rows = append(rows, []string{
			strconv.FormatInt(one.ID, 10), one.Event.Type, one.Event.Entity, one.State, strconv.Itoa(one.Attempts), strconv.Itoa(one.Status),
		})
	}
	var text strings.Builder
	if err := table(&text, rows); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		d.out.note(strings.TrimRight(line, "\n"))
	}
	return nil
}

func (d *demo) pulled(ctx context.Context) (string, error) {
	var page struct {
		Events []struct {
			Seq  int64
			Type string
		}
		Next int64
	}
	path := fmt.Sprintf("/v1/companies/%d/events?after=%d", demoCompany, d.firstSeq-1)
	if err := d.call(ctx, exchange{method: http.MethodGet, path: path, token: d.tokens.api, answer: &page, status: http.StatusOK}); err != nil {
		return "", err
	}
	for i, want := range demoEvents() {
		if i >= len(page.Events) || page.Events[i].Type != want.typ || page.Events[i].Seq != d.firstSeq+int64(i) {
			return "", fmt.Errorf("event %d of those pulled is not %s", i+1, want.typ)
		}
	}
	return fmt.Sprintf("GET %s: %d events, next %d", path, len(page.Events), page.Next), nil
}
