package ui

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// How a stream of what is new is kept up: something is sent so often at least,
// so that a client that has gone away is noticed; and it ends after a while. A
// browser that still looks connects again.
const (
	liveBeat  = 20 * time.Second
	liveLimit = 10 * time.Minute
	liveAgain = 2 * time.Second // after which a browser connects again
)

// How many streams there are at a time, of all and of one visitor. Each has a
// connection, and some ask the store again and again.
const (
	maxStreams   = 256
	maxStreamsOf = 32
)

// streams counts them.
type streams struct {
	mu  sync.Mutex
	all int
	of  map[string]int // by visitor
}

// enter takes a place; false where there is none.
func (s *streams) enter(who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maxStreams || s.of[who] >= maxStreamsOf {
		return false
	}
	s.all++
	s.of[who]++
	return true
}

// leave gives the place back.
func (s *streams) leave(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.of[who]--; s.of[who] == 0 {
		delete(s.of, who)
	}
}

// quietBeat is sent where there is nothing new.
const quietBeat = ": nothing new\n\n"

// stream sends server-sent events (WHATWG HTML, section 9.2) for as long as
// someone looks and may. Next gives what is to be sent next; it waits for it for
// liveBeat at most. The stream ends where it fails: whoever still looks connects
// again, and is told.
func (u *UI) stream(w http.ResponseWriter, r *http.Request, v *visit, next func(context.Context) ([]byte, error)) error {
	who := v.owner + "/" + v.Who // of the owners of portals several can look
	if !u.streams.enter(who) {
		return &fattorino.Error{Kind: fattorino.TooMany, Msg: "there are as many live pages as there may be", Fix: "close one, and look again", RetryAfter: liveBeat}
	}
	defer u.streams.leave(who)
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	message := fmt.Appendf(nil, "retry: %d\n\n", liveAgain.Milliseconds())
	for end := time.Now().Add(liveLimit); time.Now().Before(end); {
		if err := control.SetWriteDeadline(time.Now().Add(liveBeat)); err != nil {
			return err
		}
		if _, err := w.Write(message); err != nil || control.Flush() != nil { //nolint:gosec // templates have escaped it
			return nil //nolint:nilerr // nobody looks any more
		}
		if !u.stillOpen(r, v) {
			return nil
		}
		var err error
		if message, err = next(r.Context()); err != nil || r.Context().Err() != nil {
			return nil //nolint:nilerr // as is said above
		}
	}
	return nil
}

// stillOpen tells whether who looks may still look: whether they have signed
// out, or a link has been withdrawn or is over, in the meantime.
func (u *UI) stillOpen(r *http.Request, v *visit) bool {
	now := &visit{}
	err := u.identify(r.Context(), r, now)
	return err == nil && now.may(viewer) && (now.link == nil) == (v.link == nil)
}

// sinceOf gives the number after which a stream is to go on: the last that the
// browser has, else that of the page.
func sinceOf(r *http.Request) (int64, error) {
	text := r.FormValue("after")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		text = last
	}
	after, err := strconv.ParseInt(text, 10, 64)
	if err != nil || after < 0 {
		return 0, fattorino.InvalidField("after", "after is no number that a stream goes on from")
	}
	return after, nil
}

// appendMessage appends an event with a part of a page as its data. Id 0 = it has
// none.
func appendMessage(all *bytes.Buffer, set *template.Template, v *visit, event, part string, id int64, data any) error {
	var html bytes.Buffer
	if err := set.ExecuteTemplate(&html, part, frame{visit: v, Data: data}); err != nil {
		return err
	}
	if id > 0 {
		fmt.Fprintf(all, "id: %d\n", id)
	}
	fmt.Fprintf(all, "event: %s\n", event)
	for line := range strings.Lines(html.String()) {
		fmt.Fprintf(all, "data: %s\n", strings.TrimRight(line, "\r\n"))
	}
	all.WriteString("\n")
	return nil
}

// liveEvents sends the rows of new events as they are accepted. It goes on where
// the browser left off.
func (u *UI) liveEvents(w http.ResponseWriter, r *http.Request, v *visit) error {
	after, err := sinceOf(r)
	if err != nil {
		return err
	}
	var types []string
	if typ := strings.TrimSpace(r.FormValue("type")); typ != "" {
		types = []string{typ}
	}
	set, err := u.pages[v.Language.Code].set("events")
	if err != nil {
		return err
	}
	return u.stream(w, r, v, func(ctx context.Context) ([]byte, error) {
		var events []*fattorino.Event
		q := fattorino.EventQuery{Company: v.Company, After: after, Types: types, Limit: pageSize}
		var err error
		if events, after, err = u.Service.Pull(ctx, v.caller(0), q, liveBeat); err != nil || len(events) == 0 {
			return []byte(quietBeat), err
		}
		var all bytes.Buffer
		for _, e := range events {
			if err := appendMessage(&all, set, v, "event", "live", e.Seq, eventRowOf(e)); err != nil {
				return nil, err
			}
		}
		return all.Bytes(), nil
	})
}
