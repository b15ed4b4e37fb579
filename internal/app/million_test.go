package app_test

import (
	"context"
	"database/sql"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver of the database that is filled

	"github.com/fattorino-dev/fattorino/internal/app"
)

// BenchmarkFirstPageOfAMillion asks the pages for lists of deliveries that have
// a million of them behind, as a browser does.
func BenchmarkFirstPageOfAMillion(b *testing.B) {
	c := app.Default()
	c.Data, c.Listen, c.Dev, c.AdminToken, c.Retention = b.TempDir(), "127.0.0.1:0", true, adminToken, 0
	run := func(between func(a *app.App)) {
		a, err := app.New(b.Context(), app.Options{Config: c, Log: io.Discard})
		if err != nil {
			b.Fatal(err)
		}
		defer func() {
			if err := a.Stop(context.Background()); err != nil {
				b.Error(err)
			}
		}()
		if err := a.Start(b.Context()); err != nil {
			b.Fatal(err)
		}
		between(a)
	}
	run(func(*app.App) {}) // which makes the database
	fill, err := os.ReadFile("../sqlite/testdata/million.sql")
	if err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(c.Data, "fattorino.db")+"?_pragma=synchronous(0)")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := db.ExecContext(b.Context(), string(fill)); err != nil {
		b.Fatal(err)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	run(func(a *app.App) { readPages(b, a.URL()) })
}

func readPages(b *testing.B, server string) {
	b.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	signedIn, err := client.PostForm(server+"/ui/sign-in", url.Values{"secret": {adminToken}})
	if err != nil {
		b.Fatal(err)
	}
	_ = signedIn.Body.Close() // there is nothing in it
	for name, query := range map[string]string{
		"newest": "", "discarded": "?state=discarded", "of a type": "?type=invoice.paid", "of a rare type": "?type=rare.type",
		"about an entity": "?entity=invoice/42", "from the middle": "?before=500000", "of a day": "?from=2023-11-15&to=2023-11-16",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, server+"/ui/companies/7/deliveries"+query, nil)
				if err != nil {
					b.Fatal(err)
				}
				for _, cookie := range signedIn.Cookies() {
					r.AddCookie(cookie)
				}
				answer, err := client.Do(r)
				if err != nil {
					b.Fatal(err)
				}
				page, err := io.ReadAll(answer.Body)
				if err != nil || answer.StatusCode != http.StatusOK || strings.Count(string(page), `<a class="row"`) < 50 {
					b.Fatal(answer.StatusCode, err, len(page))
				}
				_ = answer.Body.Close() // it is read to its end
			}
		})
	}
}
