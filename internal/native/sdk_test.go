package native_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "github.com/cloudevents/sdk-go/v2"
	sdkhttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/native"
)

// sdkReceiver starts a receiver made with the CloudEvents SDK, with its abuse
// protection.
func sdkReceiver(t *testing.T, rate int, origins []string, callsBack bool, hear func(sdk.Event)) string {
	t.Helper()
	p, err := sdkhttp.New(sdkhttp.WithDefaultOptionsHandlerFunc([]string{http.MethodPost}, rate, origins, callsBack))
	if err != nil {
		t.Fatal(err)
	}
	handler, err := sdk.NewHTTPReceiveHandler(t.Context(), p, hear)
	if err != nil {
		t.Fatal(err)
	}
	// Events go to the receiver, and what asks for consent to its protocol.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions {
			p.ServeHTTP(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/in"
}

// AP-5: the SDK answers with the origin that it is set to, which may be a mere
// prefix of ours, and then is no consent.
func TestSDK_GivesConsentAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *native.Options) { o.BaseURL, o.Issuer, o.Origin = "", "https://erp.example", origin })
	for _, tc := range []struct {
		name    string
		origins []string
		passed  bool
	}{
		{"our origin", []string{origin}, true},
		{"any origin", []string{"*"}, true},
		{"a prefix of our origin", []string{"hooks."}, false},
		{"another origin", []string{"other.example"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := asking(native.HandshakeOptions)
			s.Options.Rate = 120
			s.Sink = sdkReceiver(t, 100, tc.origins, false, func(sdk.Event) {})
			rate, err := f.Handshake(s).Passed(text, exchange(t, f.challenge(t, s)))
			if (err == nil) != tc.passed || (tc.passed && rate != 100) {
				t.Errorf("rate %d, error %v", rate, err)
			}
		})
	}
}

// AP-7: the SDK answers without the fields, and calls back.
func TestSDK_GivesConsentByCallback(t *testing.T) {
	t.Parallel()
	called := make(chan *http.Request, 1)
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { called <- r.Clone(context.WithoutCancel(r.Context())) }))
	defer service.Close()
	f := newFixture(t, func(o *native.Options) { o.BaseURL = service.URL })
	s := asking(native.HandshakeOptions)
	s.Sink = sdkReceiver(t, 100, []string{"*"}, true, func(sdk.Event) {})

	_, err := f.Handshake(s).Passed(text, exchange(t, f.challenge(t, s)))
	if _, waits := errors.AsType[fattorino.PendingConsentError](err); !waits {
		t.Fatalf("error %v", err)
	}
	r := <-called
	key, ok := strings.CutPrefix(r.URL.Path, "/v1/handshakes/42/3/")
	if !ok || !f.CallbackKeyValid(s.ID, s.Handshake.Round, key) {
		t.Error("it calls with another key than it was given")
	}
	equal(t, r.Header.Get("WebHook-Allowed-Rate"), "100")
}

func TestSDK_HearsNotifications(t *testing.T) {
	t.Parallel()
	f, e := newFixture(t), invoicePaid()
	e.Subject = "42" // the SDK decodes no escapes
	for _, format := range []fattorino.Format{fattorino.Binary, fattorino.Structured} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			heard := make(chan sdk.Event, 1)
			s := subscription()
			s.Format = format
			s.Sink = sdkReceiver(t, 100, nil, false, func(got sdk.Event) { heard <- got })
			answer := exchange(t, f.notification(t, s, e, now))
			equal(t, f.Judge(answer), fattorino.Success)
			got := <-heard
			equal(t, []string{got.ID(), got.Source(), got.Type(), got.Subject(), string(got.Data())},
				[]string{e.ID, e.Source, e.Type, e.Subject, string(e.Data)})
			equal(t, got.Extensions()["sequence"], any("0000000000000000816"))
			equal(t, got.Extensions()["partitionkey"], any("invoice/42"))
		})
	}
}
