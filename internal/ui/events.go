package ui

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// eventsView is the list of a company's events.
type eventsView struct {
	Rows    []eventRow
	Type    string
	Before  int64
	LastSeq int64
	Next    string // path of the next page
	More    bool   // there is one
	Short   bool   // the search has ended before the oldest event, and can go on
	Live    string // path of the stream of new events; empty = this page stays as it is
	Faults  formFaults
}

// eventRow is one of the list.
type eventRow struct {
	Company      int64
	Seq          int64
	Type, Common string
	Entity       string
	ID, Source   string
	Accepted     time.Time
}

// How far back one look for events of a type goes: so many windows, of so many
// events each. It is read on from there on demand.
const (
	eventWindow  = 500
	eventWindows = 20
)

// events shows the list, newest first.
func (u *UI) events(w http.ResponseWriter, r *http.Request, v *visit) error {
	company, err := u.Service.Company(r.Context(), v.caller(0), v.Company)
	if err != nil {
		return err
	}
	view := eventsView{Type: strings.TrimSpace(r.URL.Query().Get("type")), LastSeq: company.LastSeq, Faults: formFaults{}}
	view.Before, _ = strconv.ParseInt(r.URL.Query().Get("before"), 10, 64) // what is none begins with the newest
	before := company.LastSeq + 1
	if view.Before > 0 {
		before = min(before, view.Before)
	}
	list, reached, err := u.newestEvents(r.Context(), v, before, view.Type)
	if fattorino.KindOf(err) == fattorino.Invalid {
		view.Faults.add("type", "%s", fattorino.AsError(err).Msg)
		return u.render(w, v, http.StatusUnprocessableEntity, "events", view)
	}
	if err != nil {
		return err
	}
	if len(list) > pageSize {
		list, reached = list[:pageSize], list[pageSize-1].Seq
	}
	for _, e := range list {
		view.Rows = append(view.Rows, eventRowOf(e))
	}
	if view.Before == 0 {
		view.Live = fmt.Sprintf("%scompanies/%d/events/live?%s", base, v.Company, url.Values{
			"after": {strconv.FormatInt(view.LastSeq, 10)}, "type": {view.Type},
		}.Encode())
	}
	view.More = reached > 1
	view.Next, view.Short = nextPage(r.URL, "before", reached), view.More && len(list) < pageSize
	return u.render(w, v, http.StatusOK, "events", view)
}

func eventRowOf(e *fattorino.Event) eventRow {
	row := eventRow{Company: e.Company, Seq: e.Seq, Type: e.Type, Entity: e.Entity.String(), ID: e.ID, Source: e.Source, Accepted: e.Accepted}
	if e.Common != e.Type {
		row.Common = e.Common
	}
	return row
}

// newestEvents gives the events before a seq, newest first: a page or more,
// as far as they are within reach; and the seq that it has looked back to, 1
// where there is nothing older.
func (u *UI) newestEvents(ctx context.Context, v *visit, before int64, typ string) (list []*fattorino.Event, reached int64, err error) {
	reached = before
	for range eventWindows {
		if reached <= 1 || len(list) > pageSize {
			break
		}
		from := max(1, reached-eventWindow)
		window, err := u.eventsBetween(ctx, v, from, reached, typ)
		if fattorino.KindOf(err) == fattorino.Gone {
			// The older ones are kept no longer; of this window, those that are
			// come from the beginning.
			window, err = u.eventsBetween(ctx, v, 1, reached, typ)
			from = 1
		}
		if err != nil {
			return nil, 0, err
		}
		slices.Reverse(window)
		list, reached = append(list, window...), from
	}
	return list, reached, nil
}

// eventsBetween gives the events of seq from to before to, oldest first.
func (u *UI) eventsBetween(ctx context.Context, v *visit, from, to int64, typ string) ([]*fattorino.Event, error) {
	q := fattorino.EventQuery{Company: v.Company, After: from - 1, Limit: eventWindow}
	if typ != "" {
		q.Types = []string{typ}
	}
	list, _, err := u.Service.Pull(ctx, v.caller(0), q, 0)
	return slices.DeleteFunc(list, func(e *fattorino.Event) bool { return e.Seq >= to }), err
}
