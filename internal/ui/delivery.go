package ui

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/inspect"
)

// deliveryView is the page of one delivery.
type deliveryView struct {
	Row       deliveryRow
	Seq       int64
	EventID   string
	Source    string
	Contract  string
	SinkState fattorino.State
	Gone      bool // the subscription is
	Data      string
	Attempts  []attemptView
	Code      []codeSample // the check of the signatures that there are, in a receiver's language
	Settled   bool
	Refresh   int // seconds until there may be something new to see
	CanResend bool
}

// attemptView is one attempt as sent and answered.
type attemptView struct {
	*fattorino.Attempt
	Sent      *shownRequest
	Header    []shownHeader
	Body      string
	Reason    string // standard text of the status
	Good      bool   // the contract takes the answer for a success
	Curl      string
	Waterfall waterfall
	Traces    []inspect.Trace // how its signatures are checked
	Unsigned  string          // why there are none: key of the text, without "trace.unsigned."
}

// delivery shows one with every attempt, the newest first.
func (u *UI) delivery(w http.ResponseWriter, r *http.Request, v *visit) error {
	id, err := parseID(r, "delivery")
	if err != nil {
		return err
	}
	d, sub, attempts, err := u.Service.Delivery(r.Context(), v.caller(0), v.Company, id)
	if err != nil {
		return err
	}
	view := deliveryView{
		Row: deliveryRows([]*fattorino.Delivery{d}, []*fattorino.Subscription{sub})[0], Seq: d.Event.Seq, EventID: d.Event.ID, Source: d.Event.Source,
		Contract: sub.Contract, SinkState: sub.State, Gone: sub.State.Gone(), Data: eventData(d.Event),
		Settled: d.State == fattorino.Delivered || d.State == fattorino.Discarded,
	}
	view.CanResend = view.Settled && sub.State == fattorino.Active && d.Attempts < fattorino.MaxAttempts
	view.Refresh = refreshAfter(d, time.Now())
	for _, a := range slices.Backward(attempts) {
		view.Attempts = append(view.Attempts, attemptView{
			Attempt: a, Sent: showRequest(sub.Format, &a.Request), Header: showHeader(a.Answer.Header), Body: showBody(a.Answer.Body),
			Reason: http.StatusText(a.Answer.Status), Good: u.contract(sub.Contract).Judge(&a.Answer) == fattorino.Success,
			Curl: curl(sub.Format, &a.Request), Waterfall: waterfallOf(v.Language, a.Answer.Timing),
			Traces: u.traces(sub, a), Unsigned: unsigned(sub, a),
		})
	}
	if view.Code, err = codeFor(sub, view.Attempts); err != nil {
		return err
	}
	return u.render(w, v, http.StatusOK, "delivery", view)
}

// The page of a delivery on its way is renewed when its next attempt is over,
// but neither all the time nor never.
const (
	soonestRefresh = 2 * time.Second
	latestRefresh  = time.Hour
)

// refreshAfter gives how many seconds that takes.
func refreshAfter(d *fattorino.Delivery, now time.Time) int {
	wait := soonestRefresh
	if !d.DueAt.IsZero() {
		wait = max(wait, d.DueAt.Sub(now)+time.Second)
	}
	return int(min(wait, latestRefresh).Seconds())
}

// resend sets a settled delivery on its way again.
func (u *UI) resend(w http.ResponseWriter, r *http.Request, v *visit) error {
	id, err := parseID(r, "delivery")
	if err != nil {
		return err
	}
	if _, err := u.Service.Resend(r.Context(), v.caller(0), v.Company, id); err != nil {
		return err
	}
	return done(w, r, deliveryPath(v.Company, id), "resent")
}

// eventData gives the data of an event as text.
func eventData(e *fattorino.Event) string {
	if e.Form == fattorino.NoData {
		return ""
	}
	return showBody(e.Data)
}

// curl gives the command that sends the request again by hand, to a POSIX
// shell. What is secret is not in it: neither the values of such header fields
// nor what can be in the URL.
func curl(f fattorino.Format, r *fattorino.Request) string {
	lines := []string{"curl -X " + quote(r.Method) + " " + quote(shownSink(f, r.URL))}
	for _, h := range r.Header {
		switch {
		case strings.EqualFold(h.Name, "Content-Length"), strings.EqualFold(h.Name, "Host"), strings.EqualFold(h.Name, "Connection"):
			continue // which curl sets by itself
		case h.Secret || h.Value == "" || h.Value == fattorino.Hidden:
			lines = append(lines, "-H "+quote(h.Name+": …"))
		default:
			lines = append(lines, "-H "+quote(h.Name+": "+h.Value))
		}
	}
	if len(r.Body) > 0 {
		lines = append(lines, "--data-binary "+quote(string(r.Body)))
	}
	return strings.Join(lines, " \\\n  ")
}

// quote puts text into single quotes for a POSIX shell, whatever is in it.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
