package facturascripts_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/fattorino-dev/fattorino/internal/egress"
	"github.com/fattorino-dev/fattorino/internal/engine"
	"github.com/fattorino-dev/fattorino/internal/facturascripts"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sqlite"
)

const adminSecret = "the operator's own secret"

// start sets use cases, engine, store and egress going; the test's end stops
// them.
func start(t *testing.T, c *facturascripts.Contract) (*fattorino.Service, *fattorino.Token) {
	t.Helper()
	policy := egress.Policy{Dev: true}
	client := egress.NewClient(policy, egress.Options{})
	t.Cleanup(client.Close)
	store, err := sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	contracts := []fattorino.Contract{c}
	eng, err := engine.New(engine.Config{Store: store, Contracts: contracts, Sender: client, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := eng.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		if err := eng.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	service, err := fattorino.NewService(fattorino.Config{
		Store: store, Engine: eng, Contracts: contracts, CheckSink: policy.CheckSink,
		AdminTokenHash: fattorino.HashSecret(adminSecret),
	})
	if err != nil {
		t.Fatal(err)
	}
	admin, err := service.Authenticate(t.Context(), adminSecret)
	if err != nil {
		t.Fatal(err)
	}
	return service, admin
}

// receiver is a plugin's webhook: it verifies, and is out of order at first.
type receiver struct {
	webhook *standardwebhooks.Webhook
	calls   atomic.Int32
	got     chan payload
	refused chan error
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err == nil {
		err = r.webhook.Verify(body, req.Header)
	}
	var p payload
	if err == nil {
		err = json.Unmarshal(body, &p)
	}
	if err != nil {
		r.refused <- err
	}
	r.got <- p
	if r.calls.Add(1) == 1 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// next waits for the next notification.
func (r *receiver) next(t *testing.T) payload {
	t.Helper()
	select {
	case p := <-r.got:
		return p
	case err := <-r.refused:
		t.Fatalf("the receiver refuses: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("no notification came in 20 s")
	}
	return payload{}
}

func TestWhatIsPublishedArrivesSignedAndIsLogged(t *testing.T) {
	t.Parallel()
	// Given a subscription, taken at its word, with the secret it was shown
	c, _ := contract(t)
	service, admin := start(t, c)
	app, err := service.CreateApp(t.Context(), admin, "shop")
	if err != nil {
		t.Fatal(err)
	}
	owner, _, err := service.CreateToken(t.Context(), admin, fattorino.Token{Kind: fattorino.APIToken, App: app.ID, Companies: []int64{7}})
	if err != nil {
		t.Fatal(err)
	}
	secret, shown, _, err := c.NewSecret("")
	if err != nil {
		t.Fatal(err)
	}
	webhook, err := standardwebhooks.NewWebhook(shown)
	if err != nil {
		t.Fatal(err)
	}
	sink := &receiver{webhook: webhook, got: make(chan payload, 10), refused: make(chan error, 10)}
	server := httptest.NewServer(sink)
	t.Cleanup(server.Close)
	wish := fattorino.NewSubscription{
		Company: 7, Contract: facturascripts.Name, Sink: server.URL + "/hook?tenant=7", Types: []string{"invoice.paid"},
		Options: fattorino.Options{Schedule: []time.Duration{time.Second}}, Secrets: []fattorino.Secret{secret},
	}
	if err := c.CheckOptions(&wish); err != nil {
		t.Fatal(err)
	}
	sub, _, err := service.Subscribe(t.Context(), owner, wish)
	if err != nil || sub.State != fattorino.Active {
		t.Fatalf("the subscription is %+v: %v", sub, err)
	}

	// When an event is published, and the sink fails at first
	before := time.Now()
	e := paid()
	e.Seq, e.Accepted, e.Common, e.Subject = 0, time.Time{}, "", "company:7"
	if _, err := service.Publish(t.Context(), admin, []*fattorino.Event{e}); err != nil {
		t.Fatal(err)
	}

	// Then it arrives verified, and again with the same id and body
	first := sink.next(t)
	if first.Event != "invoice.paid" || first.Timestamp != 1764936000 || string(first.Data) != string(e.Data) {
		t.Errorf("what arrived is %+v", first)
	}
	if diff := cmp.Diff(first, sink.next(t)); diff != "" {
		t.Errorf("the retry differs: %s", diff)
	}

	// And the log has event type and id, destination (without the query, which
	// can hold secrets), status and time of both
	d, attempts := settled(t, service, owner)
	if d.State != fattorino.Delivered || d.Event.Type != e.Type || d.Event.ID != e.ID || len(attempts) != 2 {
		t.Fatalf("the log has %+v with %d attempts", d, len(attempts))
	}
	for i, status := range []int{503, 200} {
		a := attempts[i]
		if a.Answer.Status != status || a.Request.URL != server.URL+"/hook" || a.StartedAt.Before(before.Truncate(time.Second)) {
			t.Errorf("attempt %d: %d at %s, %v", a.Number, a.Answer.Status, a.Request.URL, a.StartedAt)
		}
	}
}

// settled waits until the one delivery has an end, and gives its log.
func settled(t *testing.T, service *fattorino.Service, owner *fattorino.Token) (*fattorino.Delivery, []*fattorino.Attempt) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		list, err := service.Deliveries(t.Context(), owner, 7, fattorino.DeliveryQuery{Limit: 10})
		if err != nil || len(list) != 1 {
			t.Fatalf("the log has %d deliveries: %v", len(list), err)
		}
		if list[0].State != fattorino.Pending {
			d, _, attempts, err := service.Delivery(t.Context(), owner, 7, list[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			return d, attempts
		}
		<-tick.C
	}
	t.Fatal("the delivery came to no end")
	return nil, nil
}
