package ui

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// eventsView is the list of a company's events.
type eventsView struct {
	Rows    []eventRow
	Filter  eventFilter
	Before  int64
	LastSeq int64
	Next    string // path of the next page
	More    bool   // there is one
	Short   bool   // the search has ended before the oldest event, and can go on
	Live    string // path of the stream of new events; empty = this page stays as it is
	Faults  formFaults
}

// Filtered tells whether the list is narrowed to anything.
func (v *eventsView) Filtered() bool { return v.Filter != (eventFilter{}) }

// eventRow is one of the list.
type eventRow struct {
	Company      int64
	Seq          int64
	Type, Common string
	Entity       string
	ID, Source   string
	Accepted     time.Time
}

// events shows the list, newest first.
func (u *UI) events(w http.ResponseWriter, r *http.Request, v *visit) error {
	company, err := u.Service.Company(r.Context(), v.caller(0), v.Company)
	if err != nil {
		return err
	}
	view := eventsView{Filter: readEventFilter(r.URL.Query()), LastSeq: company.LastSeq, Faults: formFaults{}}
	match, from := view.Filter.match(view.Faults)
	if len(view.Faults) > 0 {
		return u.render(w, v, http.StatusUnprocessableEntity, "events", &view)
	}
	view.Before, _ = strconv.ParseInt(r.URL.Query().Get("before"), 10, 64) // what is none begins with the newest
	before := company.LastSeq + 1
	if view.Before > 0 {
		before = min(before, view.Before)
	}
	list, reached, err := u.newestEvents(r.Context(), v, before, eventSearch{view.Filter.Type, match, from})
	if fattorino.KindOf(err) == fattorino.Invalid {
		view.Faults.add("type", "%s", fattorino.AsError(err).Msg)
		return u.render(w, v, http.StatusUnprocessableEntity, "events", &view)
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
	if view.Before == 0 && view.Filter.typeAlone() {
		view.Live = fmt.Sprintf("%scompanies/%d/events/live?%s", base, v.Company, url.Values{
			"after": {strconv.FormatInt(view.LastSeq, 10)}, "type": {view.Filter.Type},
		}.Encode())
	}
	view.More = reached > 1
	view.Next, view.Short = nextPage(r.URL, "before", reached), view.More && len(list) < pageSize
	return u.render(w, v, http.StatusOK, "events", &view)
}

func eventRowOf(e *fattorino.Event) eventRow {
	row := eventRow{Company: e.Company, Seq: e.Seq, Type: e.Type, Entity: e.Entity.String(), ID: e.ID, Source: e.Source, Accepted: e.Accepted}
	if e.Common != e.Type {
		row.Common = e.Common
	}
	return row
}

// An eventSearch says which events are looked for.
type eventSearch struct {
	typ   string                      // empty = of any type
	match func(*fattorino.Event) bool // nil = all pass
	from  time.Time                   // none was accepted before; zero = it is open
}

func (s *eventSearch) passesNot(e *fattorino.Event) bool { return s.match != nil && !s.match(e) }

// newestEvents gives the events before a seq, newest first: a page or more,
// as far as they are within reach; and the seq that it has looked back to, 1
// where there is nothing older.
func (u *UI) newestEvents(ctx context.Context, v *visit, before int64, s eventSearch) (list []*fattorino.Event, reached int64, err error) {
	reached = before
	for range searchWindows {
		if reached <= 1 || len(list) > pageSize {
			break
		}
		from := max(1, reached-searchWindow)
		window, err := u.eventsBetween(ctx, v, from, reached, s.typ)
		if fattorino.KindOf(err) == fattorino.Gone {
			// The older ones are kept no longer; of this window, those that are
			// come from the beginning.
			window, err = u.eventsBetween(ctx, v, 1, reached, s.typ)
			from = 1
		}
		if err != nil {
			return nil, 0, err
		}
		slices.Reverse(window)
		if n := len(window); n > 0 && window[n-1].Accepted.Before(s.from) {
			from = 1 // all that is older came before
		}
		list, reached = append(list, slices.DeleteFunc(window, s.passesNot)...), from
	}
	return list, reached, nil
}

// eventsBetween gives the events of seq from to before to, oldest first.
func (u *UI) eventsBetween(ctx context.Context, v *visit, from, to int64, typ string) ([]*fattorino.Event, error) {
	q := fattorino.EventQuery{Company: v.Company, After: from - 1, Limit: searchWindow}
	if typ != "" {
		q.Types = []string{typ}
	}
	list, _, err := u.Service.Pull(ctx, v.caller(0), q, 0)
	return slices.DeleteFunc(list, func(e *fattorino.Event) bool { return e.Seq >= to }), err
}
