package subscriptions_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/native"
)

// Given a receiver of the Go SDK under abuse protection, when a client
// subscribes it, then it consents, and hears what it asked for and no more.
func TestSDKReceiver_ConsentsAndHearsWhatItAskedFor(t *testing.T) {
	t.Parallel()
	f, rc := start(t, nil), sdkReceiver(t, false, origin)
	token := f.token(acme)
	answer := f.do(call{method: "POST", path: "/subscriptions", token: token, body: encode(t, members{
		"protocol": "HTTP", "sink": rc.url, "source": "/erp", "types": []string{"invoice.*"},
		"filters":          []members{{"suffix": members{"type": ".paid"}}, {"not": members{"sql": "EXISTS test"}}},
		"protocolsettings": members{"headers": members{"X-Tenant": "acme"}, "method": "POST"},
		"sinkcredential":   members{"credentialtype": "ACCESSTOKEN", "accesstoken": "s3cr3t.token", "accesstokenexpiresutc": "2999-01-01T00:00:00Z", "accesstokentype": "bearer"},
		"config":           members{"format": "structured"},
	})}).want(http.StatusCreated)
	created := answer.subscription()
	if created.State != "active" || created.Config["handshake"] != "options" {
		t.Fatalf("state %s (%s), handshake %s", created.State, created.HandshakeError, created.Config["handshake"])
	}
	if want := "/subscriptions/" + created.ID; answer.header.Get("Location") != want {
		t.Errorf("Location %q, want %q", answer.header.Get("Location"), want)
	}

	f.publish("1", "/elsewhere", "invoice.paid")
	f.publish("2", "/erp", "customer.paid")
	f.publish("3", "/erp", "invoice.created")
	f.publish("4", "/erp", "invoice.paid")

	if e := rc.next(t); e.ID() != "4" || e.Type() != "invoice.paid" || string(e.Data()) != `{"id":42}` {
		t.Errorf("received %s", e)
	}
	head := rc.last()
	for name, want := range map[string]string{
		"Content-Type": "application/cloudevents+json", "Authorization": "Bearer s3cr3t.token", "X-Tenant": "acme",
		"Webhook-Request-Origin": origin, "Webhook-Signature": "",
	} {
		if got := head.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Without types, source and filters every event of the company is heard.
func TestSubscriptionOfNothingInParticularHearsAll(t *testing.T) {
	t.Parallel()
	f, rc := start(t, nil), sdkReceiver(t, false, "*")
	created := f.create(f.token(acme), members{"protocol": "HTTP", "sink": rc.url})
	if created.Types != nil || created.Source != "" || created.Filters != nil || created.SinkCredential != nil {
		t.Errorf("%+v", created)
	}
	f.publish("1", "/erp", "anything.at.all")
	if e := rc.next(t); e.ID() != "1" {
		t.Errorf("received %s", e)
	}
}

// A receiver that allows other origins alone is not sent anything.
func TestSDKReceiver_Denies(t *testing.T) {
	t.Parallel()
	f, rc := start(t, nil), sdkReceiver(t, false, "others.example.org")
	created := f.create(f.token(acme), members{"protocol": "HTTP", "sink": rc.url})
	if created.State != "unverified" || created.HandshakeError == "" {
		t.Errorf("state %s, error %q", created.State, created.HandshakeError)
	}
	f.publish("1", "/erp", "invoice.paid")
	id, err := strconv.ParseInt(created.ID, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	put, err := f.service.Deliveries(t.Context(), f.admin, acme, fattorino.DeliveryQuery{Subscriptions: []int64{id}, Limit: 10})
	if err != nil || len(put) > 0 {
		t.Errorf("%d deliveries were put on their way, %v", len(put), err)
	}
}

// A receiver of the SDK that consents by a request of its own, which it is
// offered where the service knows its own URL.
func TestSDKReceiver_ConsentsByCallback(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *native.Options, url string) { o.BaseURL = url })
	rc, token := sdkReceiver(t, true, origin), f.token(acme)
	created := f.create(token, members{"protocol": "HTTP", "sink": rc.url})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); f.get(token, created.ID).State != "active"; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("it did not become active: %s", f.get(token, created.ID).HandshakeError)
		}
	}
	f.publish("1", "/erp", "invoice.paid")
	if e := rc.next(t); e.ID() != "1" {
		t.Errorf("received %s", e)
	}
}

// Where the service does not know its own name, the default is the challenge.
func TestWithoutAnOriginTheDefaultIsTheChallenge(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *native.Options, _ string) { o.Origin = "" })
	token := f.token(acme)
	created := f.create(token, members{"protocol": "HTTP", "sink": newSink(t).URL})
	if created.Config["handshake"] != "challenge" {
		t.Errorf("handshake %q", created.Config["handshake"])
	}
	body := encode(t, members{"protocol": "HTTP", "sink": created.Sink, "config": members{"handshake": "options"}})
	refused := f.do(call{method: "POST", path: "/subscriptions", token: token, body: body}).want(http.StatusUnprocessableEntity)
	if fields := refused.faults(); len(fields) != 1 || fields[0] != "config.handshake" {
		t.Errorf("faults %v", fields)
	}
}
