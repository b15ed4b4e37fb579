package ui

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// How a stream of new events is kept up: something is sent so often at least,
// so that a client that has gone away is noticed; and it ends after a while, for
// the session may be over. A browser that still looks connects again.
const (
	liveBeat  = 20 * time.Second
	liveLimit = 10 * time.Minute
)

// liveEvents sends the rows of new events as they are accepted, as server-sent
// events (WHATWG HTML, section 9.2). It goes on where the browser left off.
func (u *UI) liveEvents(w http.ResponseWriter, r *http.Request, v *visit) error {
	after, err := strconv.ParseInt(r.FormValue("after"), 10, 64)
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		after, err = strconv.ParseInt(last, 10, 64)
	}
	if err != nil || after < 0 {
		return fattorino.InvalidField("after", "after is no number of an event")
	}
	stream := http.NewResponseController(w)
	if err := stream.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	if err := stream.Flush(); err != nil {
		return nil //nolint:nilerr // nobody looks any more
	}
	for end := time.Now().Add(liveLimit); time.Now().Before(end) && u.stillOpen(r, v); {
		var events []*fattorino.Event
		q := fattorino.EventQuery{Company: v.Company, After: after, Limit: pageSize}
		if events, after, err = u.Service.Pull(r.Context(), v.caller(0), q, liveBeat); err != nil || r.Context().Err() != nil {
			return nil //nolint:nilerr // the stream ends; whoever still looks connects again
		}
		message, err := u.eventMessages(v, events)
		if err != nil {
			return err
		}
		if err := stream.SetWriteDeadline(time.Now().Add(liveBeat)); err != nil {
			return err
		}
		if _, err := w.Write(message); err != nil || stream.Flush() != nil { //nolint:gosec // the template has escaped it
			return nil //nolint:nilerr // nobody looks any more
		}
	}
	return nil
}

// eventMessages gives a message for each event, its row as data; a comment
// where there is none.
func (u *UI) eventMessages(v *visit, events []*fattorino.Event) ([]byte, error) {
	if len(events) == 0 {
		return []byte(": nothing new\n\n"), nil
	}
	set, err := u.pages[v.Language.Code].set("events")
	if err != nil {
		return nil, err
	}
	var all bytes.Buffer
	for _, e := range events {
		var row bytes.Buffer
		if err := set.ExecuteTemplate(&row, "live", frame{visit: v, Data: eventRowOf(e)}); err != nil {
			return nil, err
		}
		fmt.Fprintf(&all, "id: %d\nevent: event\ndata: %s\n\n", e.Seq, strings.Join(strings.Fields(row.String()), " "))
	}
	return all.Bytes(), nil
}
