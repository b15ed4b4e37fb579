package ui

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/inspect"
)

// arrival is one request in the list of a bin.
type arrival struct {
	Bin      string
	Number   int64
	At       time.Time
	Method   string
	Path     string // below the bin's URL
	Kind     inspect.Kind
	Contract string
	Type     string
	Result   string // of its signatures together; empty = it has none
	Status   int    // that it was answered with
	Why      string // it was
	Current  bool   // it is the one that was chosen
}

// arrivalView is one in full.
type arrivalView struct {
	arrival
	Reading  *inspect.Reading
	Checks   []inspect.Check
	Unsigned bool // and its contract would have it signed
	Message  *shownRequest
	Query    []shownHeader
	Bytes    int
	Cut      bool
	Remote   string
	Proto    string
	ReadIn   string
	Given    inspect.Given
	Reason   string // standard text of the status
	Delay    string
	Answer   []shownHeader
	Curl     string
}

func (u *UI) arrivalOf(bin *inspect.Bin, r *inspect.Request) arrival {
	reading := inspect.Read(r)
	return arrival{
		Bin: bin.ID, Number: r.Number, At: r.At, Method: r.Method, Path: r.Path, Kind: reading.Kind, Contract: reading.Contract, Type: reading.Type,
		Result: together(u.Bins.Checks(bin, r)), Status: r.Given.Status, Why: r.Given.Why,
	}
}

// together gives the result of several checks: one that failed counts first.
func together(checks []inspect.Check) string {
	for _, result := range []string{inspect.Invalid, inspect.Unchecked, inspect.Valid} {
		if slices.ContainsFunc(checks, func(c inspect.Check) bool { return c.Result == result }) {
			return result
		}
	}
	return ""
}

// viewArrival shows a request whole: to its owner nothing of it is secret.
func (u *UI) viewArrival(bin *inspect.Bin, r *inspect.Request) *arrivalView {
	view := &arrivalView{
		arrival: u.arrivalOf(bin, r), Reading: inspect.Read(r), Checks: u.Bins.Checks(bin, r),
		Message: &shownRequest{Method: r.Method, URL: r.URL, Header: showHeader(r.Header), Body: showBody(r.Body)},
		Bytes:   len(r.Body), Cut: r.Cut, Remote: r.Remote, Proto: r.Proto, ReadIn: milliseconds(r.ReadIn),
		Given: r.Given, Reason: http.StatusText(r.Given.Status), Answer: showHeader(r.Given.Header), Curl: curlOf(r),
	}
	view.Unsigned = len(view.Checks) == 0 && view.Kind != inspect.Other && (view.Contract == inspect.FattureInCloud || (view.Contract != "" && view.Kind == inspect.Notification))
	if r.Given.Delay > 0 {
		view.Delay = seconds(r.Given.Delay)
	}
	for pair := range strings.SplitSeq(r.Query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name != "" {
			view.Query = append(view.Query, shownHeader{Name: unescape(name), Value: unescape(value)})
		}
	}
	return view
}

// unescape gives a part of a query as it is meant; as it came where it cannot
// be read.
func unescape(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

// curlOf gives the command that sends a request again.
func curlOf(r *inspect.Request) string {
	lines := []string{"curl -X " + quote(r.Method) + " " + quote(r.URL)}
	for _, h := range r.Header {
		switch h.Name {
		case "Host", "Content-Length", "Connection", "Accept-Encoding":
			continue // which curl sets by itself
		}
		lines = append(lines, "-H "+quote(h.Name+": "+h.Value))
	}
	if len(r.Body) > 0 {
		lines = append(lines, "--data-binary "+quote(string(r.Body)))
	}
	return strings.Join(lines, " \\\n  ")
}

// liveBin sends what arrives at a bin as it comes, as server-sent events (WHATWG
// HTML, section 9.2): of each request its row, and of the newest all of it.
func (u *UI) liveBin(w http.ResponseWriter, r *http.Request, v *visit) error {
	after, err := strconv.ParseInt(r.FormValue("after"), 10, 64)
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		after, err = strconv.ParseInt(last, 10, 64)
	}
	if err != nil || after < 0 {
		return fattorino.InvalidField("after", "after is no number of a request")
	}
	if _, err := u.binOf(r, v); err != nil {
		return err
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
	beat := time.NewTicker(liveBeat)
	defer beat.Stop()
	for end := time.Now().Add(liveLimit); time.Now().Before(end); {
		arrival := u.Bins.Arrival(r.PathValue("bin")) // before looking, so that nothing is missed
		message, newest, err := u.binMessages(r, v, after)
		if err != nil {
			return nil //nolint:nilerr // the bin is gone, or the store is: the stream ends
		}
		after = newest
		if err := stream.SetWriteDeadline(time.Now().Add(liveBeat)); err != nil {
			return err
		}
		if _, err := w.Write(message); err != nil || stream.Flush() != nil { //nolint:gosec // the template has escaped it
			return nil //nolint:nilerr // nobody looks any more
		}
		select {
		case <-arrival:
		case <-beat.C:
		case <-r.Context().Done():
			return nil
		}
	}
	return nil
}

// binMessages gives the messages for what came after the request with the
// number, and the number of the newest; a comment where nothing did.
func (u *UI) binMessages(r *http.Request, v *visit, after int64) (message []byte, newest int64, err error) {
	bin, err := u.binOf(r, v)
	if err != nil {
		return nil, 0, err
	}
	fresh := min(bin.Next-1-after, arrivalsShown)
	if fresh <= 0 {
		return []byte(": nothing new\n\n"), after, nil
	}
	list, err := u.Bins.Requests(r.Context(), bin, 0, int(fresh))
	if err != nil {
		return nil, 0, err
	}
	set, err := u.pages[v.Language.Code].set("inspect_bin")
	if err != nil {
		return nil, 0, err
	}
	var all bytes.Buffer
	write := func(event, part string, number int64, data any) error {
		var html bytes.Buffer
		if err := set.ExecuteTemplate(&html, part, frame{visit: v, Data: data}); err != nil {
			return err
		}
		fmt.Fprintf(&all, "id: %d\nevent: %s\n", number, event)
		for line := range strings.Lines(html.String()) {
			fmt.Fprintf(&all, "data: %s\n", strings.TrimRight(line, "\r\n"))
		}
		all.WriteString("\n")
		return nil
	}
	for _, request := range slices.Backward(list) {
		if err := write("request", "arrival", request.Number, u.arrivalOf(bin, request)); err != nil {
			return nil, 0, err
		}
	}
	if len(list) > 0 {
		err = write("detail", "arrival-whole", list[0].Number, u.viewArrival(bin, list[0]))
	}
	return all.Bytes(), bin.Next - 1, err
}
