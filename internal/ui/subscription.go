package ui

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// subscriptionView is the page of one subscription.
type subscriptionView struct {
	Sub      *fattorino.Subscription
	Title    string // its name, else its sink
	Sink     string // as it may be shown
	App      string
	Contract string

	Facts       []fact
	HeaderNames []string
	PublicKey   string
	CanRotate   bool
	CanVerify   bool
	Attempts    int       // how often the sink may still be asked
	RetryAt     time.Time // when it may be asked again; zero = now

	TestTypes []string
	Due       int  // deliveries that are to be tried again
	Many      bool // and more than were counted
	NextDue   time.Time
	Recent    []deliveryRow
	Charts    []chart // of the last day
}

// A fact is one line of what a subscription has chosen.
type fact struct {
	Key   string // of the text that names it
	Value string
}

// Option gives what the form calls a value; empty where it calls it nothing.
func (l *language) Option(field, value string) string {
	if key := strings.Replace(field, "field.", "option.", 1) + "." + value; l.has(key) {
		return l.T(key)
	}
	return ""
}

// maxCounted bounds how many deliveries to be tried again are counted for a page.
const maxCounted = 100

// countDue counts them, and finds the first.
func (u *UI) countDue(ctx context.Context, v *visit, view *subscriptionView) error {
	due, err := u.Service.DueDeliveries(ctx, v.caller(0), view.Sub.Company, view.Sub.ID, maxCounted)
	if err != nil || len(due) == 0 {
		return err
	}
	view.Due, view.Many, view.NextDue = len(due), len(due) == maxCounted, due[0].DueAt
	return nil
}

// subscription shows one.
func (u *UI) subscription(w http.ResponseWriter, r *http.Request, v *visit) error {
	sub, err := u.subscriptionOf(r, v)
	if fattorino.KindOf(err) == fattorino.NotFound {
		return u.showGone(w, r, v)
	}
	if err != nil {
		return err
	}
	view, err := u.describe(sub)
	if err != nil {
		return err
	}
	apps, err := u.appsOf(r.Context(), v)
	if err != nil {
		return err
	}
	view.App = appName(apps, sub.App)
	if err := u.countDue(r.Context(), v, view); err != nil {
		return err
	}
	recent, err := u.Service.Deliveries(r.Context(), v.caller(0), v.Company, fattorino.DeliveryQuery{Subscriptions: []int64{sub.ID}, Limit: 10})
	if err != nil {
		return err
	}
	view.Recent = deliveryRows(recent, []*fattorino.Subscription{sub})
	for i := range view.Recent {
		view.Recent[i].Own = true
	}
	if view.Charts, err = u.dayCharts(r.Context(), v, sub.ID); err != nil {
		return err
	}
	return u.render(w, v, http.StatusOK, "subscription", view)
}

// subscriptionOf reads the subscription that the path names.
func (u *UI) subscriptionOf(r *http.Request, v *visit) (*fattorino.Subscription, error) {
	id, err := strconv.ParseInt(r.PathValue("subscription"), 10, 64)
	if err != nil {
		return nil, fattorino.Errorf(fattorino.NotFound, "there is no such subscription")
	}
	return u.Service.Subscription(r.Context(), v.caller(0), v.Company, "", id)
}

// describe gives what is known of a subscription from itself and its contract.
func (u *UI) describe(sub *fattorino.Subscription) (*subscriptionView, error) {
	view := &subscriptionView{
		Sub: sub, Sink: shownSink(sub.Format, sub.Sink), Contract: sub.Contract,
		Facts: factsOf(sub), TestTypes: u.testTypes(sub),
	}
	if view.Title = sub.Options.Name; view.Title == "" {
		view.Title = view.Sink
	}
	if handshake := u.contract(sub.Contract).Handshake(sub); handshake != nil && sub.State == fattorino.Unverified {
		view.Attempts = max(0, handshake.Limits().Attempts-sub.Handshake.Failed)
		view.CanVerify = !sub.Handshake.Pending
		if sub.Handshake.RetryAt.After(time.Now()) {
			view.CanVerify, view.RetryAt = false, sub.Handshake.RetryAt
		}
	}
	rules, ok := u.Contracts[sub.Contract]
	if !ok {
		return view, nil
	}
	view.CanRotate = len(sub.Secrets) > 0
	headers, err := rules.OpenHeaders(sub.Options.Headers)
	if err != nil {
		return nil, err
	}
	for _, h := range headers {
		view.HeaderNames = append(view.HeaderNames, h.Name)
	}
	if len(sub.Secrets) > 0 {
		view.PublicKey, err = rules.PublicKey(sub.Secrets[0])
	}
	return view, err
}

// contract finds a contract by the name that a subscription has.
func (u *UI) contract(name string) fattorino.Contract {
	i := slices.IndexFunc(u.Service.Contracts, func(c fattorino.Contract) bool { return c.Name() == name })
	return u.Service.Contracts[i]
}

// factsOf lists what was chosen, and leaves out what was left to the contract.
func factsOf(sub *fattorino.Subscription) []fact {
	o := sub.Options
	facts := []fact{
		{"field.format", string(sub.Format)},
		{"field.signature", o.Signature},
		{"field.handshake", o.Handshake},
		{"field.ordering", string(o.Ordering)},
		{"field.rate", number(o.Rate)},
		{"field.concurrency", number(o.Concurrency)},
		{"field.timeout", span(o.Timeout)},
		{"field.schedule", spans(o.Schedule)},
		{"field.batch_size", number(o.BatchSize)},
		{"field.batch_linger", span(o.BatchLinger)},
		{"field.template", o.Template},
		{"field.filters", string(sub.Filters)},
	}
	if o.Thin {
		facts = append(facts, fact{"field.thin", "✓"})
	}
	return slices.DeleteFunc(facts, func(f fact) bool { return f.Value == "" })
}

// number writes a number that was chosen; empty for 0, which was not.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// span writes a time span that was chosen; empty for 0, which was not.
func span(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func spans(list []time.Duration) string {
	var texts []string
	for _, d := range list {
		texts = append(texts, d.String())
	}
	return strings.Join(texts, ", ")
}

// testTypes gives the types that a test can be sent of: those it hears, and
// where it hears a whole family, those of the catalog.
func (u *UI) testTypes(sub *fattorino.Subscription) []string {
	catalog := u.catalogOf(sub.Contract)
	var types []string
	for _, held := range sub.Types {
		prefix, wild := strings.CutSuffix(held, "*")
		if !wild {
			types = append(types, held)
			continue
		}
		for _, t := range catalog.Types {
			if strings.HasPrefix(t.Name, prefix) {
				types = append(types, t.Name)
			}
		}
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// catalogOf finds a contract's catalog as it now stands; nil where there is
// none.
func (u *UI) catalogOf(contract string) *fattorino.Catalog {
	all := u.Service.Catalogs().All()
	i := slices.IndexFunc(all, func(c *fattorino.Catalog) bool { return c.Contract == contract })
	if i < 0 {
		return nil
	}
	return all[i]
}
