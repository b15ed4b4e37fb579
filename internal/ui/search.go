package ui

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// What the store does not look up is looked for here, in what it gives: so many
// windows at a time, of so many rows each. It is read on from there on demand.
const (
	searchWindow  = 500
	searchWindows = 20
)

// eventFilter is what the list of events is narrowed to, as it was written.
type eventFilter struct {
	ID, Type, Entity, From, To string
}

func readEventFilter(q url.Values) eventFilter {
	trimmed := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	return eventFilter{ID: trimmed("id"), Type: trimmed("type"), Entity: trimmed("entity"), From: trimmed("from"), To: trimmed("to")}
}

// typeAlone tells whether it narrows the list to no more than a type, which the
// live list can do too.
func (f *eventFilter) typeAlone() bool { return *f == eventFilter{Type: f.Type} }

// match gives what tells the events that pass, but for their type; and the time
// before which there is none, zero = it is open. What cannot be read is in the
// faults.
func (f *eventFilter) match(faults formFaults) (passes func(*fattorino.Event) bool, from time.Time) {
	from, to := faults.moment("from", f.From), faults.moment("to", f.To)
	return func(e *fattorino.Event) bool {
		return (f.ID == "" || f.ID == e.ID || f.ID == strconv.FormatInt(e.Seq, 10)) &&
			(f.Entity == "" || f.Entity == e.Entity.String()) &&
			!e.Accepted.Before(from) && (to.IsZero() || e.Accepted.Before(to))
	}, from
}

// match gives what tells the deliveries that pass of those that the query
// finds; nil where all do. What cannot be read is in the faults.
func (f *deliveryFilter) match(faults formFaults) func(*fattorino.Delivery) bool {
	least, most := statuses(f.Answer)
	if f.Answer != "" && most == 0 && f.Answer != noAnswer {
		faults.add("answer", "%q is neither a status, as 500 or 5xx, nor %s", f.Answer, noAnswer)
	}
	if f.ID == "" && f.Answer == "" {
		return nil
	}
	return func(d *fattorino.Delivery) bool {
		answered := f.Answer == "" || (d.Attempts > 0 && least <= d.Status && d.Status <= most)
		return answered && (f.ID == "" || f.ID == d.Event.ID || f.ID == strconv.FormatInt(d.ID, 10))
	}
}

// noAnswer finds the deliveries whose last attempt got no answer.
const noAnswer = "none"

// statuses reads a status or a class of them; 0 and 0 for what is neither.
func statuses(text string) (least, most int) {
	class, ok := strings.CutSuffix(strings.ToLower(text), "xx")
	n, err := strconv.Atoi(class)
	switch {
	case err != nil || n < 1 || n > 599:
		return 0, 0
	case ok && n <= 5:
		return n * 100, n*100 + 99
	case !ok && n >= 100:
		return n, n
	}
	return 0, 0
}

// findDeliveries gives the deliveries of a query that match, newest first: a
// page and one more, as far as they are within reach; and the id that it has
// looked back to, 0 where there is nothing older.
func (u *UI) findDeliveries(ctx context.Context, v *visit, q fattorino.DeliveryQuery, match func(*fattorino.Delivery) bool) (list []*fattorino.Delivery, reached int64, err error) {
	q.Limit = searchWindow
	for range searchWindows {
		window, err := u.Service.Deliveries(ctx, v.caller(0), v.Company, q)
		if err != nil {
			return nil, 0, err
		}
		full := len(window) == q.Limit
		if full {
			reached = window[len(window)-1].ID
			q.Before = reached
		}
		list = append(list, slices.DeleteFunc(window, func(d *fattorino.Delivery) bool { return !match(d) })...)
		switch {
		case !full:
			return list, 0, nil
		case len(list) > pageSize:
			return list, reached, nil
		}
	}
	return list, reached, nil
}
