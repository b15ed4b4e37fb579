package interop_test

import (
	"encoding/json"
	"slices"
	"testing"
)

// judged is what the libraries say of one notification.
type judged struct {
	ID                              string
	Body                            json.RawMessage
	Events                          []string
	StandardWebhooks, Svix, HTTPSig string
	Forged, Stranger, Moved, Newest string
}

// What is signed here must be accepted by those who know only the standard.
func TestPublishedLibrariesVerifyNotifications(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const company, good = 7, "good"
	var said map[string]judged
	answersOf(t, "webhooks.mjs", map[string]any{
		"base": s.url, "api": s.token(t, "api", company), "publish": s.token(t, "publish", company), "company": company,
	}, &said)

	for _, sink := range []string{"/binary", "/structured", "/batch", "/standard", "/thin", "/rotated", "/facturascripts"} {
		t.Run("Standard Webhooks"+sink, func(t *testing.T) {
			got := said[sink]
			if got.StandardWebhooks != good || got.Svix != good {
				t.Errorf("standardwebhooks says %q, svix %q", got.StandardWebhooks, got.Svix)
			}
			if got.Forged == good || got.Stranger == good || got.Forged == "" || got.Stranger == "" {
				t.Errorf("another body is %q, another secret %q", got.Forged, got.Stranger)
			}
			if got.ID == "" {
				t.Error("it has no webhook-id")
			}
		})
	}
	const paid, unpaid = "invoice.paid invoice/42 perché 💶", "invoice.unpaid invoice/42 perché 💶"
	for sink, want := range map[string][]string{
		"/binary": {paid}, "/structured": {paid}, "/httpsig": {paid}, "/batch": {paid, unpaid}, "/standard": {}, "/facturascripts": {},
	} {
		t.Run("CloudEvents"+sink, func(t *testing.T) {
			if got := said[sink].Events; !slices.Equal(got, want) {
				t.Errorf("the SDK reads %q, want %q", got, want)
			}
		})
	}
	t.Run("both secrets sign while they change places", func(t *testing.T) {
		if said["/rotated"].Newest != good {
			t.Errorf("the newest secret is told %q", said["/rotated"].Newest)
		}
	})
	t.Run("HTTP Message Signatures", func(t *testing.T) {
		got := said["/httpsig"]
		if got.HTTPSig != good {
			t.Errorf("http-message-signatures says %q", got.HTTPSig)
		}
		if got.Forged == good || got.Moved == good || got.Forged == "" || got.Moved == "" {
			t.Errorf("another body is %q, another URL %q", got.Forged, got.Moved)
		}
	})
	t.Run("a thin notification says where the rest is", func(t *testing.T) {
		var told struct{ Data map[string]any }
		if err := json.Unmarshal(said["/thin"].Body, &told); err != nil {
			t.Fatal(err)
		}
		data := told.Data
		if data["entity"] != "invoice/42" || data["url"] != "/v1/companies/7/events?after=0&limit=1" || data["total"] != nil {
			t.Errorf("got %s", text(data))
		}
	})
}
