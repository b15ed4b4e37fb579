package ui

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// deliveriesView is the list of a company's deliveries.
type deliveriesView struct {
	Rows          []deliveryRow
	Filter        deliveryFilter
	Filtered      bool
	States        []string
	Subscriptions []subscriptionChoice
	Next          string // path of the next page
	More          bool   // there is one
	Short         bool   // the search has ended before the oldest delivery, and can go on
	Live          string // path of the stream of what is new; empty = this page stays as it is
	Most          int    // rows of a page
	Resend        string // path of the page to send again what failed of these
	Faults        formFaults
}

// subscriptionChoice is a subscription to narrow the list to.
type subscriptionChoice struct {
	ID    int64
	Title string
}

// deliveryRow is one of the list.
type deliveryRow struct {
	ID           int64
	Company      int64
	Subscription int64
	Title        string // the subscription's name, else its sink; empty for one that is gone
	Type, Entity string
	Private      bool // a test or a welcome
	State        string
	Reason       string
	Status       int
	Attempts     int
	Accepted     time.Time
	DueAt        time.Time
	Own          bool // it is on the page of its subscription
}

// deliveryFilter is what the list is narrowed to, as it was written.
type deliveryFilter struct {
	ID, State, Answer, Type, Entity, Subscription, From, To, Before string
}

// deliveries shows the list, newest first.
func (u *UI) deliveries(w http.ResponseWriter, r *http.Request, v *visit) error {
	subs, err := u.Service.Subscriptions(r.Context(), v.caller(0), v.Company, "")
	if err != nil {
		return err
	}
	filter := readDeliveryFilter(r.URL.Query())
	view := deliveriesView{
		Filter: filter, Filtered: filter != (deliveryFilter{}), Faults: formFaults{},
		States: []string{"pending", "waiting", "delivered", "discarded"}, Resend: filter.resendPath(v.Company), Most: pageSize,
	}
	for _, sub := range subs {
		view.Subscriptions = append(view.Subscriptions, subscriptionChoice{sub.ID, titleOf(sub)})
	}
	query, match := filter.query(view.Faults), filter.match(view.Faults)
	if len(view.Faults) > 0 {
		return u.render(w, v, http.StatusUnprocessableEntity, "deliveries", view)
	}
	var list []*fattorino.Delivery
	var reached int64
	if match != nil {
		view.Resend = "" // a run takes no notice of what is looked for here
		list, reached, err = u.findDeliveries(r.Context(), v, query, match)
	} else {
		list, err = u.Service.Deliveries(r.Context(), v.caller(0), v.Company, query)
	}
	if fattorino.KindOf(err) == fattorino.Invalid {
		view.Faults.add("type", "%s", fattorino.AsError(err).Msg)
		return u.render(w, v, http.StatusUnprocessableEntity, "deliveries", view)
	}
	if err != nil {
		return err
	}
	if view.More = len(list) > pageSize; view.More {
		list = list[:pageSize]
	}
	switch view.Short = !view.More && reached > 0; {
	case view.Short:
		view.More, view.Next = true, nextPage(r.URL, "before", reached)
	case len(list) > 0:
		view.Next = nextPage(r.URL, "before", list[len(list)-1].ID)
	}
	view.Rows = deliveryRows(list, subs)
	if filter.Before == "" && match == nil {
		view.Live = filter.livePath(v.Company)
	}
	return u.render(w, v, http.StatusOK, "deliveries", view)
}

func readDeliveryFilter(q url.Values) deliveryFilter {
	trimmed := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	return deliveryFilter{
		ID: trimmed("id"), State: trimmed("state"), Answer: trimmed("answer"), Type: trimmed("type"), Entity: trimmed("entity"), Subscription: trimmed("subscription"),
		From: trimmed("from"), To: trimmed("to"), Before: trimmed("before"),
	}
}

// values gives the filter as it is written, but for the state and the page.
func (f *deliveryFilter) values() url.Values {
	q := url.Values{}
	for _, one := range [][2]string{{"type", f.Type}, {"entity", f.Entity}, {"subscription", f.Subscription}, {"from", f.From}, {"to", f.To}} {
		if one[1] != "" {
			q.Set(one[0], one[1])
		}
	}
	return q
}

// livePath is where the stream of what is new in the list is.
func (f *deliveryFilter) livePath(company int64) string {
	q := f.values()
	if f.State != "" {
		q.Set("state", f.State)
	}
	return fmt.Sprintf("%scompanies/%d/deliveries/live?%s", base, company, q.Encode())
}

// query reads the filter; what cannot be read is in the faults.
func (f *deliveryFilter) query(faults formFaults) fattorino.DeliveryQuery {
	q := fattorino.DeliveryQuery{Entity: f.Entity, Limit: pageSize + 1} // one more tells whether there is a next page
	if f.State != "" {
		state, ok := fattorino.ParseDeliveryState(f.State)
		if !ok {
			faults.add("state", "there is no state %q", f.State)
		}
		q.State = &state
	}
	if f.Type != "" {
		q.Types = []string{f.Type}
	}
	if f.Entity != "" {
		if entity, err := fattorino.ParseEntity(f.Entity); err != nil || len(entity.IDs) != 1 {
			faults.add("entity", "write type and id, as invoice/42")
		}
	}
	if f.Subscription != "" {
		id, err := strconv.ParseInt(f.Subscription, 10, 64)
		if err != nil {
			faults.add("subscription", "%q is no number of a subscription", f.Subscription)
		}
		q.Subscriptions = []int64{id}
	}
	q.From, q.To = faults.moment("from", f.From), faults.moment("to", f.To)
	q.Before, _ = strconv.ParseInt(f.Before, 10, 64) // what is none begins with the newest
	return q
}

// moment reads what a field for date and time gives; it is meant in UTC.
func (f formFaults) moment(field, text string) time.Time {
	if text == "" {
		return time.Time{}
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	f.add(field, "%q is not a time such as 2030-12-31T23:59", text)
	return time.Time{}
}

func deliveryRows(list []*fattorino.Delivery, subs []*fattorino.Subscription) []deliveryRow {
	rows := make([]deliveryRow, 0, len(list))
	for _, d := range list {
		row := deliveryRow{
			ID: d.ID, Company: d.Event.Company, Subscription: d.Subscription, Type: d.Event.Type, Entity: d.Event.Entity.String(), Private: d.Event.Private(),
			State: d.State.String(), Reason: string(d.Reason), Status: d.Status, Attempts: d.Attempts, Accepted: d.Event.Accepted, DueAt: d.DueAt,
		}
		if i := slices.IndexFunc(subs, func(s *fattorino.Subscription) bool { return s.ID == d.Subscription }); i >= 0 {
			row.Title = titleOf(subs[i])
		}
		rows = append(rows, row)
	}
	return rows
}

// titleOf gives a subscription's name, else its sink as it may be shown.
func titleOf(sub *fattorino.Subscription) string {
	if sub.Options.Name != "" {
		return sub.Options.Name
	}
	return shownSink(sub.Format, sub.Sink)
}

// deliveryPath is where a delivery's page is.
func deliveryPath(company, id int64) string {
	return fmt.Sprintf("%scompanies/%d/deliveries/%d", base, company, id)
}
