package ui

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
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
	Traces   []inspect.Trace
	Code     []codeSample // the check of the first of them, in a receiver's language
	Entered  bool         // with a key that was entered for this
	Fault    string       // what is wrong with that; empty = nothing
	Senders  []senderView
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

// senderView is a subscription of this service that has sent a request.
type senderView struct{ Title, Path string }

func (u *UI) arrivalOf(bin *inspect.Bin, r *inspect.Request, aid inspect.Aid) arrival {
	reading := inspect.Read(r)
	return arrival{
		Bin: bin.ID, Number: r.Number, At: r.At, Method: r.Method, Path: r.Path, Kind: reading.Kind, Contract: reading.Contract, Type: reading.Type,
		Result: together(u.Bins.Checks(bin, r, aid)), Status: r.Given.Status, Why: r.Given.Why,
	}
}

// maxSenders bounds the subscriptions that are looked through for those that a
// bin is the sink of.
const maxSenders = 1000

// senders gives the subscriptions that have the bin as their sink and that the
// visitor may see. With their secrets signatures are checked, as on the page of
// a delivery.
func (u *UI) senders(r *http.Request, v *visit, bin *inspect.Bin) (list []*fattorino.Subscription, err error) {
	if v.link != nil {
		list, err = u.Service.Subscriptions(r.Context(), v.caller(0), v.Company, "")
	} else if at, parseErr := url.Parse(u.Bins.URL(r, bin.ID)); parseErr == nil {
		list, err = u.Service.AllSubscriptions(r.Context(), v.caller(0), fattorino.SubscriptionQuery{Text: at.Host, Limit: maxSenders})
	}
	return slices.DeleteFunc(list, func(s *fattorino.Subscription) bool { return !strings.Contains(s.Sink, inspect.Path+bin.ID) }), err
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
func (u *UI) viewArrival(v *visit, bin *inspect.Bin, r *inspect.Request, aid inspect.Aid) (*arrivalView, error) {
	view := &arrivalView{
		arrival: u.arrivalOf(bin, r, aid), Reading: inspect.Read(r), Checks: u.Bins.Checks(bin, r, aid), Traces: u.Bins.Trace(bin, r, aid),
		Entered: aid.Entered != nil,
		Message: &shownRequest{Method: r.Method, URL: r.URL, Header: showHeader(r.Header), Body: showBody(r.Body)},
		Bytes:   len(r.Body), Cut: r.Cut, Remote: r.Remote, Proto: r.Proto, ReadIn: v.Language.elapsed(r.ReadIn),
		Given: r.Given, Reason: http.StatusText(r.Given.Status), Answer: showHeader(r.Given.Header), Curl: curlOf(r),
	}
	view.Unsigned = len(view.Checks) == 0 && view.Kind != inspect.Other && (view.Contract == inspect.FattureInCloud || (view.Contract != "" && view.Kind == inspect.Notification))
	for _, s := range u.Bins.SentBy(r, aid.Senders) {
		view.Senders = append(view.Senders, senderView{Title: titleOf(s), Path: subscriptionPath(s.Company, s.ID)})
	}
	if len(view.Traces) > 0 {
		var err error
		if view.Code, err = codeSamples(codeScheme(view.Contract, view.Traces[0].Scheme)); err != nil {
			return nil, err
		}
	}
	if r.Given.Delay > 0 {
		view.Delay = seconds(r.Given.Delay)
	}
	for pair := range strings.SplitSeq(r.Query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name != "" {
			view.Query = append(view.Query, shownHeader{Name: unescape(name), Value: unescape(value)})
		}
	}
	return view, nil
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

// liveBin sends what arrives at a bin as it comes: of each request its row, and
// of the newest all of it.
func (u *UI) liveBin(w http.ResponseWriter, r *http.Request, v *visit) error {
	if _, err := u.binOf(r, v); err != nil {
		return err
	}
	after, err := sinceOf(r)
	if err != nil {
		return err
	}
	return u.stream(w, r, v, func(ctx context.Context) ([]byte, error) {
		for end := time.Now().Add(liveBeat); ; {
			arrival := u.Bins.Arrival(r.PathValue("bin")) // before looking, so that nothing is missed
			message, newest, err := u.binMessages(r, v, after)
			if err != nil || len(message) > 0 {
				after = newest
				return message, err
			}
			if !waitFor(ctx, arrival, time.Until(end)) {
				return []byte(quietBeat), nil
			}
		}
	})
}

// waitFor waits for the channel, for so long at most; false where it did not
// close.
func waitFor(ctx context.Context, closed <-chan struct{}, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-closed:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// binMessages gives the messages for what came after the request with the
// number, and the number of the newest; none where nothing did.
func (u *UI) binMessages(r *http.Request, v *visit, after int64) (message []byte, newest int64, err error) {
	bin, err := u.binOf(r, v)
	if err != nil {
		return nil, 0, err
	}
	fresh := min(bin.Next-1-after, arrivalsShown)
	if fresh <= 0 {
		return nil, after, nil
	}
	list, err := u.Bins.Requests(r.Context(), bin, 0, int(fresh))
	if err != nil {
		return nil, 0, err
	}
	set, err := u.pages[v.Language.Code].set("inspect_bin")
	if err != nil {
		return nil, 0, err
	}
	var aid inspect.Aid
	if aid.Senders, err = u.senders(r, v, bin); err != nil {
		return nil, 0, err
	}
	var all bytes.Buffer
	for _, request := range slices.Backward(list) {
		if err := appendMessage(&all, set, v, "request", "arrival", request.Number, u.arrivalOf(bin, request, aid)); err != nil {
			return nil, 0, err
		}
	}
	if len(list) > 0 {
		whole, err := u.viewArrival(v, bin, list[0], aid)
		if err != nil {
			return nil, 0, err
		}
		if err := appendMessage(&all, set, v, "detail", "arrival-whole", list[0].Number, whole); err != nil {
			return nil, 0, err
		}
	}
	return all.Bytes(), bin.Next - 1, nil
}
