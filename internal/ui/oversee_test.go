package ui

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// listed gives the names of the subscriptions on a page of a list, in order.
func listed(p page) (names []string) {
	for _, found := range regexp.MustCompile(`<a class="row"[^>]*><strong>([^<]*)</strong>`).FindAllStringSubmatch(p.body, -1) {
		names = append(names, found[1])
	}
	return names
}

func TestTheOperatorFindsSubscriptionsOfAllCompanies(t *testing.T) {
	t.Parallel()
	f := start(t)
	now := time.Now()
	subs := []*fattorino.Subscription{
		{Company: 7, App: 1, Contract: "native", State: fattorino.Active, Options: fattorino.Options{Name: "ledger"}},
		{Company: 8, App: 2, Contract: "defacto", State: fattorino.Active, Options: fattorino.Options{Name: "warehouse"}},
		{Company: 9, App: 1, Contract: "native", State: fattorino.Disabled, Options: fattorino.Options{Name: "archive"}},
		{Company: 9, App: 1, Contract: "native", State: fattorino.Deleted, Options: fattorino.Options{Name: "gone"}},
	}
	err := f.store.Update(t.Context(), func(tx fattorino.Tx) error {
		for i, s := range subs {
			s.Sink, s.CreatedAt, s.UpdatedAt, s.Types = fmt.Sprintf("https://host-%d.example/path?key=secret", i), now, now, []string{"invoice.paid"}
			if err := tx.EnsureCompany(s.Company, now); err != nil {
				return err
			}
			if err := tx.PutSubscription(s); err != nil {
				return err
			}
		}
		return tx.NameCompany(8, "Rossi & Figli")
	})
	if err != nil {
		t.Fatal(err)
	}
	counts := fattorino.Counts{Delivered: 1234, Failed: 5}
	if err := f.store.Commit(t.Context(), &fattorino.Batch{
		Now: now, Tallies: []fattorino.Tally{{Company: 8, Subscription: subs[1].ID, At: now.Add(-time.Minute).Truncate(time.Minute), Counts: counts}},
		Pulses: []fattorino.Pulse{{Subscription: subs[1].ID, SucceededAt: now.Add(-2 * time.Hour)}},
	}); err != nil {
		t.Fatal(err)
	}
	b := f.signedIn(viewer)
	for query, want := range map[string][]string{
		"":                           {"ledger", "warehouse", "archive"},
		"?company=9":                 {"archive"},
		"?company=10":                nil,
		"?app=2":                     {"warehouse"},
		"?contract=defacto":          {"warehouse"},
		"?state=disabled":            {"archive"},
		"?q=ARCH":                    {"archive"},
		"?q=host-0.example":          {"ledger"},
		"?q=secret":                  nil,
		"?company=9&state=active":    nil,
		"?q=e&contract=native&app=1": {"ledger", "archive"},
		"?app=x&after=y&contract=":   {"ledger", "warehouse", "archive"},
	} {
		if got := b.get("/ui/subscriptions" + query); got.status != http.StatusOK || !cmp.Equal(listed(got), want) {
			t.Errorf("%s: %d %v, want %v", query, got.status, listed(got), want)
		}
	}
	shown := b.get("/ui/subscriptions").body
	for _, text := range []string{"Rossi &amp; Figli", "1,234 delivered, 5 failed attempts", "2 h ago", subscriptionPath(8, subs[1].ID), "never"} {
		if !strings.Contains(shown, text) {
			t.Errorf("the list does not show %s", text)
		}
	}
	if strings.Contains(shown, "key=secret") {
		t.Error("the list shows what is in a query")
	}
	for _, query := range []string{"?company=x", "?company=-1", "?state=no"} {
		if got := b.get("/ui/subscriptions" + query); got.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: got %d, want 422", query, got.status)
		}
	}
}

func TestTheListOfAllCompaniesGoesOnPageByPage(t *testing.T) {
	t.Parallel()
	f := start(t)
	var want []string
	err := f.store.Update(t.Context(), func(tx fattorino.Tx) error {
		want = nil
		for i := range 2*pageSize + 1 {
			s := &fattorino.Subscription{Company: int64(i + 1), Contract: "native", State: fattorino.Active, Sink: "https://a.example", Options: fattorino.Options{Name: fmt.Sprint("name-", i)}}
			if err := tx.PutSubscription(s); err != nil {
				return err
			}
			want = append(want, s.Options.Name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b := f.signedIn(viewer)
	next := regexp.MustCompile(`<p class="more"><a class="button" href="([^"]*)"`)
	var got []string
	for path := "/ui/subscriptions?q=name"; path != ""; {
		p := b.get(path)
		names := listed(p)
		if len(names) > pageSize {
			t.Fatalf("a page has %d", len(names))
		}
		got, path = append(got, names...), ""
		if more := next.FindStringSubmatch(p.body); more != nil {
			path = strings.ReplaceAll(more[1], "&amp;", "&")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("page by page (-want +got):\n%s", diff)
	}
}

// A deletion can be taken back: from the list that follows it, and from the page
// of what is gone.
func TestADeletionIsTakenBackOnItsPages(t *testing.T) {
	t.Parallel()
	f := start(t)
	h := f.holds("ledger", 0, 7)
	b, reader := f.signedIn(operator), f.signedIn(viewer)
	at, list := subscriptionPath(7, h.sub.ID), fmt.Sprintf("/ui/companies/7/subscriptions?deleted=%d", h.sub.ID)
	for _, leadTo := range []string{list, at} {
		if got := b.post(at+"/delete", nil).header.Get("Location"); got != list {
			t.Fatalf("the deletion leads to %s", got)
		}
		if got := b.get(leadTo); !strings.Contains(got.body, `action="`+at+`/restore"`) {
			t.Fatalf("%s: no undo is offered: %s", leadTo, got.body)
		}
		if strings.Contains(reader.get(leadTo).body, "/restore") {
			t.Errorf("%s: an undo is offered to who may not", leadTo)
		}
		back := b.post(at+"/restore", nil)
		if back.header.Get("Location") != at+"?done=restored" {
			t.Fatalf("restored: %d to %q", back.status, back.header.Get("Location"))
		}
		if got := b.get(back.header.Get("Location")); got.status != http.StatusOK || !strings.Contains(got.body, "The subscription is back.") {
			t.Errorf("its page: %d", got.status)
		}
	}
	// Of one that is there, none is offered and none is made.
	if got := b.get(list); strings.Contains(got.body, "/restore") {
		t.Error("an undo is offered of what is not deleted")
	}
	if got := b.post(at+"/restore", nil); got.status != http.StatusNotFound {
		t.Errorf("an undo of what is not deleted: %d, want 404", got.status)
	}
	// Later it is gone for good, and its page says so.
	b.post(at+"/delete", nil)
	if err := f.store.Update(t.Context(), func(tx fattorino.Tx) error {
		kept, err := tx.Subscription(h.sub.ID)
		if err != nil {
			return err
		}
		late := kept.Clone()
		late.UpdatedAt = late.UpdatedAt.Add(-fattorino.UndoFor)
		return tx.PutSubscription(late)
	}); err != nil {
		t.Fatal(err)
	}
	if got := b.get(at); got.status != http.StatusGone || strings.Contains(got.body, "/restore") || !strings.Contains(got.body, "/deliveries?subscription=") {
		t.Errorf("the page of what is gone for good: %d %s", got.status, got.body)
	}
	if got := b.post(at+"/restore", url.Values{}); got.status != http.StatusGone {
		t.Errorf("too late: %d, want 410", got.status)
	}
}
