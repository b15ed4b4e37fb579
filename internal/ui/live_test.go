package ui

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

// lines reads the stream of a company's new events.
func (b *browser) lines(path, lastID string) (read func() string, status int) {
	b.f.t.Helper()
	r, err := http.NewRequestWithContext(b.f.t.Context(), http.MethodGet, b.f.url+path, nil)
	if err != nil {
		b.f.t.Fatal(err)
	}
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	answer, err := b.client.Do(r)
	if err != nil {
		b.f.t.Fatal(err)
	}
	b.f.t.Cleanup(func() { _ = answer.Body.Close() }) // which ends the stream
	lines := bufio.NewReader(answer.Body)
	return func() string {
		line, err := lines.ReadString('\n')
		if err != nil {
			b.f.t.Fatal(err)
		}
		return strings.TrimSuffix(line, "\n")
	}, answer.StatusCode
}

func TestNewEventsArriveAsRows(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.publish("invoice.created", 1, 2)
	b := f.signedIn(viewer)
	read, status := b.lines("/ui/companies/7/events/live?after=2", "")
	if status != http.StatusOK {
		t.Fatalf("got %d, want 200", status)
	}
	f.publish("javascript:<script>", 3, 3)
	if id, name, data := read(), read(), read(); id != "id: 3" || name != "event: event" ||
		!strings.Contains(data, `href="/ui/companies/7/events/3"`) || !strings.Contains(data, "javascript:&lt;script&gt;") || strings.Contains(data, "<script") {
		t.Errorf("got %q, %q, %q", id, name, data)
	}
	// Who connects again goes on after the last event that it has.
	read, _ = b.lines("/ui/companies/7/events/live?after=0", "1")
	if id := read(); id != "id: 2" {
		t.Errorf("after 1 comes %q, want 2", id)
	}
	if _, status = b.lines("/ui/companies/7/events/live?after=x", ""); status != http.StatusUnprocessableEntity {
		t.Errorf("after no number: got %d, want 422", status)
	}
}
