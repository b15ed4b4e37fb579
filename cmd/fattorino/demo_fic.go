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
)

func (d *demo) openSink(ctx context.Context) (proof string, err error) {
	d.sink, err = d.openFICSink(ctx)
	if err != nil {
		return "", err
	}
	return d.sink.url + ", key from /v1/keys/fic", nil
}

// openFICSink opens a subscriber of Fatture in Cloud.
func (d *demo) openFICSink(ctx context.Context) (*sink, error) {
	var published struct {
		PublicKey string `json:"public_key"`
	}
	if err := d.call(ctx, exchange{method: http.MethodGet, path: "/v1/keys/fic", answer: &published, status: http.StatusOK}); err != nil {
		return nil, err
	}
	key, err := parseKey(published.PublicKey)
	if err != nil {
		return nil, err
	}
	s, err := d.addSink(ctx, "Fatture in Cloud")
	if err != nil {
		return nil, err
	}
	s.know(&ficReceiver{s.url, key})
	return s, nil
}

// ficPrefix begins every type of Fatture in Cloud.
const ficPrefix = "it.fattureincloud.webhooks."

// demoTypes is how many types the two groups stand for: of documents, and of
// entities.
const demoTypes = 11 + 2

func (d *demo) subscribe(ctx context.Context) (proof string, err error) {
	d.subscription, err = d.makeFICSubscription(ctx, d.sink, demoTypes, "issued_documents.all.create", "entities.all.create")
	return fmt.Sprintf("POST /c/%d/subscriptions made %s: %d types", demoCompany, d.subscription, demoTypes), err
}

// makeFICSubscription subscribes the sink, and gives the subscription's id. The
// groups are to become that many types.
func (d *demo) makeFICSubscription(ctx context.Context, s *sink, types int, groups ...string) (string, error) {
	names := make([]string, len(groups))
	for i, group := range groups {
		names[i] = ficPrefix + group
	}
	var made struct {
		Data struct {
			ID       string
			Verified bool
			Types    []string
		}
	}
	err := d.call(ctx, exchange{
		method: http.MethodPost, path: fmt.Sprintf("/c/%d/subscriptions", demoCompany), token: d.tokens.api,
		body:   map[string]any{"data": map[string]any{"sink": s.url, "types": names}},
		answer: &made, status: http.StatusOK,
	})
	if err != nil {
		return "", err
	}
	if !made.Data.Verified {
		return "", errors.New("the new subscription is not verified")
	}
	if n := len(made.Data.Types); n != types {
		return "", fmt.Errorf("the groups became %d types, not %d", n, types)
	}
	return made.Data.ID, nil
}

func (d *demo) challenged(context.Context) (string, error) {
	return "GET with a signed token, signature good", d.sink.challengeSeen()
}

func (d *demo) welcomed(ctx context.Context) (string, error) { return awaitWelcome(ctx, d.sink) }

// awaitWelcome waits for what a subscriber of Fatture in Cloud is told first,
// and gives its type.
func awaitWelcome(ctx context.Context, s *sink) (string, error) {
	n, err := s.await(ctx, 0)
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
		got = append(got, n.about)
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
	for i := range d.sink.notices[1 : 1+heard()] {
		d.out.note(d.sink.notices[1+i].describe())
	}
	return nil
}
