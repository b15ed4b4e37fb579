package ui

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// allSubscriptionsView is the list of the subscriptions of all companies.
type allSubscriptionsView struct {
	Rows      []subscriptionRow
	Filter    overseerFilter
	Filtered  bool
	Apps      []*fattorino.App
	Contracts []string
	States    []fattorino.State
	Next      string // path of the next page; empty = this is the last
	Faults    formFaults
}

// overseerFilter is what the list is narrowed to, as it was written.
type overseerFilter struct {
	subscriptionFilter

	Company string
}

// allSubscriptions shows the list to the operator.
func (u *UI) allSubscriptions(w http.ResponseWriter, r *http.Request, v *visit) error {
	apps, err := u.allApps(r.Context())
	if err != nil {
		return err
	}
	query := r.URL.Query()
	filter := overseerFilter{readSubscriptionFilter(query), strings.TrimSpace(query.Get("company"))}
	view := allSubscriptionsView{
		Filter: filter, Filtered: filter != (overseerFilter{}), Apps: apps, Contracts: u.contractNames(), States: listedStates(), Faults: formFaults{},
	}
	q := filter.query(view.Faults)
	if len(view.Faults) > 0 {
		return u.render(w, v, http.StatusUnprocessableEntity, "all_subscriptions", view)
	}
	found, err := u.Service.AllSubscriptions(r.Context(), v.caller(0), q)
	if err != nil {
		return err
	}
	if len(found) > pageSize {
		found = found[:pageSize]
		view.Next = nextPage(r.URL, "after", found[pageSize-1].ID)
	}
	if view.Rows, err = u.subscriptionRows(r.Context(), v, found, apps); err != nil {
		return err
	}
	if err := u.nameCompanies(r, v, view.Rows); err != nil {
		return err
	}
	return u.render(w, v, http.StatusOK, "all_subscriptions", view)
}

// listedStates are those that a subscription in a list can have.
func listedStates() []fattorino.State {
	return []fattorino.State{fattorino.Active, fattorino.Unverified, fattorino.Disabled}
}

// query reads the filter; what cannot be read is in the faults.
func (f *overseerFilter) query(faults formFaults) fattorino.SubscriptionQuery {
	q := fattorino.SubscriptionQuery{
		App: f.App, Contract: f.Contract, State: fattorino.State(f.State), Text: f.Text, After: f.After, Limit: pageSize + 1, // one more tells whether there is a next page
	}
	if f.Company != "" {
		id, err := strconv.ParseInt(f.Company, 10, 64)
		if err != nil || id < 1 {
			faults.add("company", "%q is not a positive whole number", f.Company)
		}
		q.Company = id
	}
	return q
}

// nameCompanies gives the rows the names of their companies.
func (u *UI) nameCompanies(r *http.Request, v *visit, rows []subscriptionRow) error {
	ids := make([]int64, len(rows))
	for i := range rows {
		ids[i] = rows[i].Company
	}
	names, err := u.Service.CompanyNames(r.Context(), v.caller(0), ids)
	for i := range rows {
		rows[i].CompanyName = names[rows[i].Company]
	}
	return err
}
