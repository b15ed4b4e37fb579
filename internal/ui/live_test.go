package ui

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strconv"
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
	read = func() string {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return "the end"
		}
		if err != nil {
			b.f.t.Fatal(err)
		}
		return strings.TrimSuffix(line, "\n")
	}
	if answer.StatusCode == http.StatusOK {
		if again, blank := read(), read(); again != "retry: 2000" || blank != "" {
			b.f.t.Errorf("the stream begins with %q, %q", again, blank)
		}
	}
	return read, answer.StatusCode
}

// event reads on to the end of the next event, and gives its name and its data.
func event(read func() string) (name, data string) {
	for {
		line := read()
		switch field, value, _ := strings.Cut(line, ": "); {
		case field == "event":
			name = value
		case field == "data":
			data += value
		case line == "the end":
			return line, data
		case line == "" && data != "":
			return name, data
		}
	}
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
	if id := read(); id != "id: 3" {
		t.Errorf("got %q, want the id 3", id)
	}
	if name, data := event(read); name != "event" || !strings.Contains(data, `href="/ui/companies/7/events/3"`) ||
		!strings.Contains(data, "javascript:&lt;script&gt;") || strings.Contains(data, "<script") {
		t.Errorf("got %q, %q", name, data)
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

func TestNewEventsOfATypeArriveAlone(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.publish("invoice.created", 1, 1)
	b := f.signedIn(viewer)
	if page := b.get("/ui/companies/7/events?type=invoice.paid").body; !strings.Contains(page, `data-live="/ui/companies/7/events/live?after=1&amp;type=invoice.paid"`) {
		t.Errorf("the page does not follow the type: %s", page)
	}
	read, _ := b.lines("/ui/companies/7/events/live?after=1&type=invoice.paid", "")
	f.publish("invoice.created", 2, 2)
	f.publish("invoice.paid", 3, 3)
	if name, data := event(read); name != "event" || !strings.Contains(data, `id="event-3"`) {
		t.Errorf("got %s: %s", name, data)
	}
}

func TestAStreamEndsWithItsSession(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.publish("invoice.created", 1, 1)
	b := f.signedIn(viewer)
	read, _ := b.lines("/ui/companies/7/events/live?after=0", "")
	if name, _ := event(read); name != "event" {
		t.Fatalf("got %s", name)
	}
	b.post("/ui/sign-out", nil)
	f.publish("invoice.created", 2, 2) // which is waited for already
	if name, _ := event(read); name == "event" {
		name, _ = event(read)
		if name != "the end" {
			t.Errorf("after the session is over comes %s", name)
		}
	}
}

func TestThereAreOnlySoManyStreams(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.publish("invoice.created", 1, 1)
	b, another := f.signedIn(viewer), f.signedIn(operator)
	const path = "/ui/companies/7/events/live?after=0"
	for range maxStreamsOf {
		if _, status := b.lines(path, ""); status != http.StatusOK {
			t.Fatalf("got %d, want 200", status)
		}
	}
	if _, status := b.lines(path, ""); status != http.StatusTooManyRequests {
		t.Errorf("one too many of a visitor: got %d, want 429", status)
	}
	if _, status := another.lines(path, ""); status != http.StatusOK {
		t.Errorf("of another: got %d, want 200", status)
	}
	for i := range maxStreams {
		f.ui.streams.enter(strconv.Itoa(i)) // as many as there is place for
	}
	if _, status := another.lines(path, ""); status != http.StatusTooManyRequests {
		t.Errorf("one too many of all: got %d, want 429", status)
	}
}
