package ui

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/portal"
)

// The overview that a link opens counts what its app was sent, and speaks of no
// other's subscriptions.
func TestTheOverviewOfALinkIsOfItsAppAlone(t *testing.T) {
	t.Parallel()
	f := start(t)
	mine, neighbour := f.holds("mineword", 0, 7), f.holds("neighbourword", 0, 7)
	at := time.Now().Add(-time.Minute).Truncate(time.Minute)
	if err := f.store.Commit(t.Context(), &fattorino.Batch{Now: time.Now(), Tallies: []fattorino.Tally{
		{Company: 7, At: at, Counts: fattorino.Counts{Delivered: 77_000}},
		{Company: 7, Subscription: mine.sub.ID, At: at, Counts: fattorino.Counts{Delivered: 33_000}},
		{Company: 7, Subscription: neighbour.sub.ID, At: at, Counts: fattorino.Counts{Delivered: 44_000}},
	}, Pulses: []fattorino.Pulse{{Subscription: mine.sub.ID, InARow: 7, FailedAt: at}, {Subscription: neighbour.sub.ID, InARow: 9, FailedAt: at}}}); err != nil {
		t.Fatal(err)
	}
	_, text := f.link(portal.Wish{App: mine.app, Company: 7})
	got := f.comesBy(text).get("/ui/companies/7/overview")
	for _, text := range []string{"33,000", mine.word, `href="/ui/companies/7/overview" aria-current="page"`} {
		if got.status != http.StatusOK || !strings.Contains(got.body, text) {
			t.Errorf("the overview (%d) does not show %s", got.status, text)
		}
	}
	for _, text := range []string{"44,000", "77,000", neighbour.word} {
		if strings.Contains(got.body, text) {
			t.Errorf("the overview shows %s, which is another's", text)
		}
	}
}
