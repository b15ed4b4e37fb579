package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

func TestTheClientAndTheServerSpeakOneLanguage(t *testing.T) {
	t.Parallel()
	f := start(t)
	ctx, c := t.Context(), api.NewClient(f.url+"/", adminSecret, nil)

	app, err := c.CreateApp(ctx, "Warehouse")
	if err != nil || app.ID != 1 || app.Name != "Warehouse" {
		t.Fatalf("%+v, %v", app, err)
	}
	if apps, err := c.ListApps(ctx); err != nil || len(apps) != 1 || apps[0] != *app {
		t.Errorf("%+v, %v", apps, err)
	}
	token, err := c.CreateToken(ctx, api.NewToken{Kind: fattorino.APIToken, AppID: app.ID, Companies: []int64{12345}, ExpiresAt: "2099-01-01T00:00:00Z"})
	if err != nil || !strings.HasPrefix(token.Token, "fattorino_api_") {
		t.Fatalf("%+v, %v", token, err)
	}
	if _, err := api.NewClient(f.url, token.Token, nil).ListDeliveries(ctx, 12345, api.ListDeliveriesParams{}); err != nil {
		t.Errorf("the new token: %v", err)
	}
	if err := c.RevokeToken(ctx, token.ID); err != nil {
		t.Error(err)
	}
	if tokens, err := c.ListTokens(ctx); err != nil || len(tokens) != 1 || tokens[0].RevokedAt.IsZero() {
		t.Errorf("%+v, %v", tokens, err)
	}
	before, err := c.Key(ctx, "fic")
	if err != nil || !strings.HasPrefix(string(before.PublicKey), "-----BEGIN PUBLIC KEY-----") {
		t.Errorf("%+v, %v", before, err)
	}
	if after, err := c.RotateKey(ctx, "fic"); err != nil || after.Kid == before.Kid {
		t.Errorf("%+v, %v", after, err)
	}
}

func TestTheClientPublishes(t *testing.T) {
	t.Parallel()
	f := start(t)
	s := f.subscriber("one", ok)
	c := api.NewClient(f.url, adminSecret, nil)
	about := func(id string) *fattorino.Event {
		return &fattorino.Event{
			ID: id, Source: "/erp", Type: "invoice.created", Extensions: map[string]any{"companyid": "12345"},
			Data: []byte(`{"id":42}`), Form: fattorino.JSONData,
		}
	}
	one, err := c.Publish(t.Context(), about("a"))
	if err != nil || len(one.Events) != 1 || one.Events[0] != (api.Receipt{ID: "a", Company: 12345, Seq: 1}) || one.Warnings != nil {
		t.Errorf("%+v, %v", one, err)
	}
	two, err := c.Publish(t.Context(), about("b"), about("c"))
	if err != nil || len(two.Events) != 2 || two.Events[1].Seq != 3 {
		t.Errorf("%+v, %v", two, err)
	}
	f.settled(adminSecret, "?type=invoice.created", 3)
	limit := 2
	page, err := c.ListDeliveries(t.Context(), 12345, api.ListDeliveriesParams{
		Subscription: []string{fmt.Sprint(s.subscription)}, State: api.Delivered, Type: []string{"invoice.created", "invoice.paid"},
		Entity: "invoice/42", From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour), Limit: &limit,
	})
	if err != nil || len(page.Deliveries) != 2 || page.Deliveries[0].Event.ID != "c" {
		t.Fatalf("%+v, %v", page, err)
	}
	page, err = c.ListDeliveries(t.Context(), 12345, api.ListDeliveriesParams{Type: []string{"invoice.created"}, Cursor: page.Next})
	if err != nil || len(page.Deliveries) != 1 || page.Deliveries[0].Event.ID != "a" || page.Next != "" {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestTheClientFollowsPages(t *testing.T) {
	t.Parallel()
	f := start(t)
	err := f.store.Update(t.Context(), func(tx fattorino.Tx) error {
		for i := range 2100 {
			if err := tx.PutApp(&fattorino.App{Name: fmt.Sprint(i), CreatedAt: time.Now()}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	apps, err := api.NewClient(f.url, adminSecret, nil).ListApps(t.Context())
	if err != nil || len(apps) != 2100 || apps[2099].Name != "2099" {
		t.Errorf("%d apps, %v", len(apps), err)
	}
}

// What the use case said in the server is what the client's caller hears.
func TestErrorsCrossTheWire(t *testing.T) {
	t.Parallel()
	f := start(t)
	ctx := t.Context()
	admin, nobody := api.NewClient(f.url, adminSecret, nil), api.NewClient(f.url, "", nil)
	publisher := api.NewClient(f.url, f.token(`{"kind":"publish"}`), nil)
	e := &fattorino.Event{ID: "1", Source: "/erp", Type: "invoice.paid", Extensions: map[string]any{"companyid": "1"}}
	if _, err := admin.Publish(ctx, e); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		do   func() error
		kind fattorino.Kind
		code string
	}{
		{"no token", func() error { _, err := nobody.ListApps(ctx); return err }, fattorino.Unauthenticated, ""},
		{"the wrong token", func() error { _, err := publisher.ListApps(ctx); return err }, fattorino.Denied, "NO_PERMISSION"},
		{"a rule broken", func() error { _, err := admin.CreateApp(ctx, ""); return err }, fattorino.Invalid, ""},
		{"nothing there", func() error { _, err := admin.Key(ctx, "nobody"); return err }, fattorino.NotFound, ""},
		{"a conflict", func() error {
			other := *e
			other.Type = "invoice.created"
			_, err := admin.Publish(ctx, &other)
			return err
		}, fattorino.Conflict, ""},
		{"a parameter", func() error {
			limit := 0
			_, err := admin.ListDeliveries(ctx, 1, api.ListDeliveriesParams{Limit: &limit})
			return err
		}, fattorino.Malformed, ""},
	} {
		err := test.do()
		got, isError := errors.AsType[*fattorino.Error](err)
		if !isError || got.Kind != test.kind || (test.code != "" && got.Code != test.code) || got.Msg == "" {
			t.Errorf("%s: %#v", test.name, err)
		}
		if test.kind == fattorino.Invalid && (len(got.Faults) != 1 || got.Faults[0].Field != "name") {
			t.Errorf("%s: faults %v", test.name, got.Faults)
		}
	}
	f.stop()
	_, err := admin.CreateApp(ctx, "too late")
	if got := fattorino.AsError(err); got.Kind != fattorino.Unavailable || got.RetryAfter <= 0 {
		t.Errorf("a server that stops: %#v", got)
	}
}

func TestTheClientMeetsOtherServers(t *testing.T) {
	t.Parallel()
	answer := func(status int, contentType, body string) *api.Client {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(server.Close)
		return api.NewClient(server.URL, "secret-token", nil)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, test := range []struct {
		name   string
		client *api.Client
		kind   fattorino.Kind
	}{
		{"nobody listens", api.NewClient(gone.URL, "secret-token", nil), fattorino.Unavailable},
		{"no address", api.NewClient("http://a b", "secret-token", nil), fattorino.Malformed},
		{"a proxy's error page", answer(502, "text/html", "<h1>Bad Gateway</h1>"), fattorino.Internal},
		{"a status of no kind of ours", answer(405, "text/plain", "no"), fattorino.Malformed},
		{"a problem of another shape", answer(409, "application/problem+json", `[]`), fattorino.Conflict},
		{"another program", answer(200, "text/html", "<h1>Welcome</h1>"), fattorino.Internal},
	} {
		_, err := test.client.CreateApp(t.Context(), "x")
		got, isError := errors.AsType[*fattorino.Error](err)
		if !isError || got.Kind != test.kind || got.Msg == "" || strings.Contains(err.Error(), "secret-token") {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
