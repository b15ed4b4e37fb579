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

// pageSize is how many rows a list shows at a time.
const pageSize = 50

// subscriptionsView is the list of a company's subscriptions.
type subscriptionsView struct {
	Rows      []subscriptionRow
	Any       bool // there are some, whatever the filter
	Filter    subscriptionFilter
	Filtered  bool
	Apps      []*fattorino.App
	Contracts []string
	States    []fattorino.State
	Next      string // path of the next page; empty = this is the last
	Undo      string // where a deletion is taken back that was just made; empty = none was
}

// subscriptionRow is one of the list.
type subscriptionRow struct {
	ID          int64
	Company     int64
	CompanyName string // in the list of all companies
	Name        string
	Sink        string
	Contract    string
	App         string
	Types       []string // the first few
	More        int      // how many others
	State       fattorino.State
	Created     time.Time
	Failing     bool   // its sink has refused everything of late
	Succeeded   string // how long ago; empty = never
	SucceededAt time.Time
	Spark       spark
}

// subscriptionFilter is what the list is narrowed to; empty = not.
type subscriptionFilter struct {
	Text, Contract, State string
	App                   int64
	After                 int64 // ids above
}

// subscriptions shows the list.
func (u *UI) subscriptions(w http.ResponseWriter, r *http.Request, v *visit) error {
	all, err := u.Service.Subscriptions(r.Context(), v.caller(0), v.Company, "")
	if err != nil {
		return err
	}
	apps, err := u.appsOf(r.Context(), v)
	if err != nil {
		return err
	}
	filter := readSubscriptionFilter(r.URL.Query())
	view := subscriptionsView{
		Any: len(all) > 0, Filter: filter, Filtered: filter != (subscriptionFilter{}), Apps: apps, Contracts: u.contractNames(),
		States: listedStates(), Undo: u.undoOf(r, v),
	}
	all = slices.DeleteFunc(all, func(sub *fattorino.Subscription) bool { return !filter.passes(sub) })
	if len(all) > pageSize {
		all = all[:pageSize]
		view.Next = nextPage(r.URL, "after", all[pageSize-1].ID)
	}
	if view.Rows, err = u.subscriptionRows(r.Context(), v, all, apps); err != nil {
		return err
	}
	return u.render(w, v, http.StatusOK, "subscriptions", view)
}

func readSubscriptionFilter(q url.Values) subscriptionFilter {
	f := subscriptionFilter{Text: strings.TrimSpace(q.Get("q")), Contract: q.Get("contract"), State: q.Get("state")}
	f.App, _ = strconv.ParseInt(q.Get("app"), 10, 64) // what is no number narrows nothing
	f.After, _ = strconv.ParseInt(q.Get("after"), 10, 64)
	return f
}

func (f *subscriptionFilter) passes(sub *fattorino.Subscription) bool {
	return sub.ID > f.After &&
		(f.Contract == "" || f.Contract == sub.Contract) &&
		(f.State == "" || f.State == string(sub.State)) &&
		(f.App == 0 || f.App == sub.App) &&
		(f.Text == "" || holds(sub, f.Text))
}

// holds tells whether the text is in what the list shows of the subscription.
func holds(sub *fattorino.Subscription, text string) bool {
	text = strings.ToLower(text)
	shown := slices.Concat([]string{sub.Options.Name, shownSink(sub.Format, sub.Sink), strconv.FormatInt(sub.ID, 10)}, sub.Types)
	return slices.ContainsFunc(shown, func(s string) bool { return strings.Contains(strings.ToLower(s), text) })
}

const shownTypes = 2 // of a subscription in the list

// How far back the small pictures in the list look, and in what steps.
const (
	sparkSpan = 6 * time.Hour
	sparkStep = 15 * time.Minute
)

// subscriptionRows describes the subscriptions of a page of the list, which may
// be of several companies.
func (u *UI) subscriptionRows(ctx context.Context, v *visit, subs []*fattorino.Subscription, apps []*fattorino.App) ([]subscriptionRow, error) {
	now := time.Now()
	vitals, err := u.Service.Vitals(ctx, v.caller(0), subs, now.Add(-sparkSpan), now, sparkStep)
	if err != nil {
		return nil, err
	}
	rows := make([]subscriptionRow, len(subs))
	for i, sub := range subs {
		few, how := sub.Types[:min(len(sub.Types), shownTypes)], vitals[sub.ID]
		rows[i] = subscriptionRow{
			ID: sub.ID, Company: sub.Company, Name: sub.Options.Name, Sink: shownSink(sub.Format, sub.Sink), Contract: sub.Contract,
			App: appName(apps, sub.App), Types: few, More: len(sub.Types) - len(few), State: sub.State, Created: sub.CreatedAt,
			Failing: sub.State == fattorino.Active && how.InARow >= failingFrom,
			Spark:   sparkOf(v.Language, how.Buckets), SucceededAt: how.SucceededAt,
		}
		if !how.SucceededAt.IsZero() {
			rows[i].Succeeded = v.Language.age(now.Sub(how.SucceededAt))
		}
	}
	return rows, nil
}

// nextPage gives the path of a list from another place on.
func nextPage(at *url.URL, parameter string, from int64) string {
	q := at.Query()
	q.Set(parameter, strconv.FormatInt(from, 10))
	q.Del("done")
	q.Del("deleted")
	return at.Path + "?" + q.Encode()
}

// allApps gives every app; more than a few hundred are not expected.
func (u *UI) allApps(ctx context.Context) ([]*fattorino.App, error) {
	return u.Service.Apps(ctx, caller(0), 0, 1000)
}

// appName names an app; that of none is empty.
func appName(apps []*fattorino.App, id int64) string {
	if i := slices.IndexFunc(apps, func(a *fattorino.App) bool { return a.ID == id }); i >= 0 {
		return apps[i].Name
	}
	if id == 0 {
		return ""
	}
	return "#" + strconv.FormatInt(id, 10)
}

// contractNames gives those of all contracts, the own one first.
func (u *UI) contractNames() []string {
	var names []string
	for _, c := range u.Service.Catalogs().All() {
		if c.Contract == u.Service.OwnContract {
			names = slices.Insert(names, 0, c.Contract)
			continue
		}
		names = append(names, c.Contract)
	}
	return names
}

// shownSink gives a sink's URL without what can hold secrets: user, password,
// query and fragment. Where a message to people goes, whoever knows the path
// can write.
func shownSink(f fattorino.Format, sink string) string {
	at, err := url.Parse(sink)
	if err != nil || at.Host == "" {
		return "…"
	}
	shown := at.Scheme + "://" + at.Host
	if slices.Contains([]fattorino.Format{"slack", "teams", "discord"}, f) {
		return shown + "/…"
	}
	shown += at.EscapedPath()
	if at.RawQuery != "" || at.Fragment != "" {
		shown += "?…"
	}
	return shown
}

// subscriptionPath is where a subscription's page is.
func subscriptionPath(company, id int64) string {
	return fmt.Sprintf("%scompanies/%d/subscriptions/%d", base, company, id)
}
