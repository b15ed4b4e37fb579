package browser_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// logo gives a picture as an operator would send it.
func logo(t *testing.T) string {
	t.Helper()
	picture := image.NewNRGBA(image.Rect(0, 0, 96, 96))
	for x := range 96 {
		for y := range 96 {
			if (x-48)*(x-48)+(y-48)*(y-48) < 46*46 {
				picture.Set(x, y, color.NRGBA{R: 0xf2, G: 0xb7, B: 0x05, A: 0xff})
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// embedder gives the origin of a site whose page shows another in a frame. To a
// browser it is another site than the program, which has an address in the
// place of a name.
func embedder(t *testing.T) string {
	t.Helper()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Rossi</title><h1>Rossi</h1><iframe title="Webhooks" width="1180" height="700" src="%s"></iframe>`,
			html.EscapeString(r.URL.Query().Get("show")))
	}))
	t.Cleanup(site.Close)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(site.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return "http://localhost:" + port
}

// An integrator comes by a link, by itself and within the operator's own page.
func TestAPortal(t *testing.T) {
	t.Parallel()
	listed, stranger := embedder(t), embedder(t)
	s, to := serve(t, "--portal-frame-ancestors", listed), newSink(t)
	furnish(t, s, to)
	to.answers(http.StatusOK, "")
	link := func(theme map[string]any) map[string]any {
		return s.call(t, "POST", "/v1/portal-links", jsonType, map[string]any{"app_id": 1, "company": 12345, "minutes": 30, "theme": theme}, http.StatusCreated)
	}
	themed := link(map[string]any{"name": "Rossi Cloud", "color": "#f2b705", "logo": logo(t)})
	plain := link(map[string]any{})
	withdrawn := link(map[string]any{})
	s.call(t, "DELETE", "/v1/portal-links/"+withdrawn["id"].(string), jsonType, "", http.StatusNoContent)
	drive(t, "portal.mjs", map[string]string{
		"URL": s.url, "SINK": to.url, "SCREENSHOTS": screenshots(t), "LISTED": listed, "STRANGER": stranger,
		"THEMED": themed["url"].(string), "PLAIN": plain["url"].(string), "WITHDRAWN": withdrawn["url"].(string),
	})
}
