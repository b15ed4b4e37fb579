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

// A period is a range of time that can be looked at.
type period struct {
	Name string // as the query has it
	Span time.Duration
	step time.Duration
}

// periods are those to choose from. Steps of more than a day's range are whole
// hours: older statistics are kept by the hour.
func periods() []period {
	const day = 24 * time.Hour
	return []period{
		{"1h", time.Hour, time.Minute},
		{"24h", day, 15 * time.Minute},
		{"7d", 7 * day, 2 * time.Hour},
		{"30d", 30 * day, 8 * time.Hour},
	}
}

// nowSpan is what "now" means in figures: long enough for a rate not to jump.
const nowSpan = 5 * time.Minute

// overviewView is the first page of a company.
type overviewView struct {
	Periods   []period
	Period    string
	Here      string // path of the page with its range
	Any       bool   // there are subscriptions
	Now, Span figures
	Backlog   backlog
	Attention []attention
	Worst     []attention // those of them that are shown
	Charts    []chart
}

// figures are the statistics of a span of time, as text.
type figures struct {
	Rate      string // deliveries per second
	Delivered string
	Attempts  string
	Success   string // empty = nothing was attempted
	Fine      bool   // nearly everything succeeded
	P50       string // empty = nothing was answered
	P95, P99  string
}

// backlog is what all subscriptions together have left to do.
type backlog struct {
	Count string
	Age   string // empty = there is nothing
	Calm  bool
}

// overview shows how the deliveries of a company go, and what needs attention.
func (u *UI) overview(w http.ResponseWriter, r *http.Request, v *visit) error {
	now := time.Now()
	all := periods()
	chosen := all[max(0, slices.IndexFunc(all, func(p period) bool { return p.Name == r.FormValue("range") }))]
	buckets, err := u.Service.Statistics(r.Context(), v.caller(0), v.Company, 0, now.Add(-chosen.Span), now, chosen.step)
	if err != nil {
		return err
	}
	recent, err := u.Service.Statistics(r.Context(), v.caller(0), v.Company, 0, now.Add(-nowSpan), now, time.Minute)
	if err != nil {
		return err
	}
	health, err := u.Service.Health(r.Context(), v.caller(0), v.Company)
	if err != nil {
		return err
	}
	view := overviewView{
		Periods: all, Period: chosen.Name, Here: r.URL.Path + "?range=" + chosen.Name, Any: len(health) > 0,
		Now: figuresOf(v.Language, recent, now), Span: figuresOf(v.Language, buckets, now), Backlog: backlogOf(v.Language, health, now),
		Charts: []chart{deliveriesChart(v.Language, chosen.step, buckets), latencyChart(v.Language, buckets)},
	}
	for _, h := range health {
		if a, found := u.attend(v, &h, now); found {
			view.Attention = append(view.Attention, a)
		}
	}
	slices.SortStableFunc(view.Attention, func(a, b attention) int { return a.rank - b.rank })
	view.Worst = view.Attention[:min(len(view.Attention), mostShown)]
	return u.render(w, v, http.StatusOK, "overview", view)
}

// figuresOf adds up the statistics up to now.
func figuresOf(l *language, buckets []fattorino.Bucket, now time.Time) figures {
	var sum fattorino.Counts
	for _, b := range buckets {
		sum = sum.Plus(b.Counts)
	}
	f := figures{
		Rate:      l.decimal(float64(sum.Delivered) / now.Sub(buckets[0].At).Seconds()),
		Delivered: l.count(sum.Delivered), Attempts: l.count(sum.Delivered + sum.Failed),
		Fine: sum.SuccessRate() >= 0.99,
	}
	if sum.Delivered+sum.Failed > 0 {
		f.Success = l.decimal(100*sum.SuccessRate()) + " %"
	}
	if sum.P99() > 0 {
		f.P50, f.P95, f.P99 = l.elapsed(sum.P50()), l.elapsed(sum.P95()), l.elapsed(sum.P99())
	}
	return f
}

// backlogOf adds up what is left to do.
func backlogOf(l *language, health []fattorino.Health, now time.Time) backlog {
	count, more, oldest := 0, "", time.Time{}
	for _, h := range health {
		count += h.Backlog
		if h.More {
			more = "+"
		}
		if !h.OldestAt.IsZero() && (oldest.IsZero() || h.OldestAt.Before(oldest)) {
			oldest = h.OldestAt
		}
	}
	b := backlog{Count: l.count(int64(count)) + more, Calm: oldest.IsZero() || now.Sub(oldest) < patientFor}
	if !oldest.IsZero() {
		b.Age = l.age(now.Sub(oldest))
	}
	return b
}

// decimal writes a number with as many places as are of interest.
func (l *language) decimal(v float64) string {
	digits := 1
	switch {
	case v == float64(int64(v)):
		digits = 0
	case v < 1:
		digits = 2
	}
	return l.fixed(v, digits)
}

// fixed writes a number with so many places.
func (l *language) fixed(v float64, digits int) string {
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if l.Code == "en" {
		return text
	}
	return strings.Replace(text, ".", ",", 1)
}

// count writes a whole number, its thousands apart.
func (l *language) count(n int64) string {
	text, mark := strconv.FormatInt(n, 10), "."
	switch l.Code {
	case "en":
		mark = ","
	case "fr":
		mark = "\u202f"
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + mark + text[i:]
	}
	return text
}

// age writes how long ago something was, in its largest unit.
func (l *language) age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return l.T("age.seconds", strconv.Itoa(int(max(0, d).Seconds())))
	case d < time.Hour:
		return l.T("age.minutes", strconv.Itoa(int(d.Minutes())))
	case d < 48*time.Hour:
		return l.T("age.hours", strconv.Itoa(int(d.Hours())))
	}
	return l.T("age.days", strconv.Itoa(int(d.Hours()/24)))
}

// An attention is a subscription that needs some, why, and what helps.
type attention struct {
	rank  int
	Bad   bool
	Name  string
	Path  string // of the subscription
	Title string
	Text  string
	At    time.Time // belongs to the text; zero = no time does

	Action string // what the button says
	Href   string // where it leads; empty = it posts
	Post   string
	Field  hidden
}

// hidden is a field that is posted without being shown.
type hidden struct{ Name, Value string }

const (
	// failingFrom is from how many failures in a row on a sink is called failing.
	failingFrom = 3
	// mostShown is how many of those that need attention are shown.
	mostShown = 8
	// patientFor is for how long something may wait before anyone need look.
	patientFor = 15 * time.Minute
	// endsSoon is how long before its end a subscription is said to end.
	endsSoon = 7 * 24 * time.Hour
)

// attend finds what is wrong with a subscription: the worst alone.
func (u *UI) attend(v *visit, h *fattorino.Health, now time.Time) (attention, bool) {
	l, sub, path := v.Language, h.Subscription, subscriptionPath(v.Company, h.Subscription.ID)
	a := attention{Name: titleOf(sub), Path: path, Action: l.T("attention.open"), Href: path}
	log := base + "companies/" + strconv.FormatInt(v.Company, 10) + "/deliveries?subscription=" + strconv.FormatInt(sub.ID, 10)
	post := func(what, action string, field hidden) {
		if v.Operates() {
			a.Href, a.Post, a.Action, a.Field = "", path+"/"+what, action, field
		}
	}
	since := l.T("attention.never")
	if !h.SucceededAt.IsZero() {
		since = l.age(now.Sub(h.SucceededAt))
	}
	switch ends := sub.Options.EndsAt; {
	case !sub.ExpiresAt.IsZero():
		a.rank, a.Bad, a.Title, a.Text, a.At = 0, true, l.T("attention.expiring"), l.T("attention.expiring.text"), sub.ExpiresAt
		if types := u.testTypes(sub); len(types) > 0 && sub.State == fattorino.Active {
			post("test", l.T("test.do"), hidden{"type", types[0]})
		}
	case sub.State == fattorino.Active && h.InARow >= failingFrom:
		a.rank, a.Bad, a.Title, a.Text = 1, true, l.T("attention.failing"), l.T("attention.failing.text", l.count(h.InARow), since)
		a.Action, a.Href = l.T("attention.answers"), log
	case sub.State == fattorino.Unverified:
		a.rank, a.Title, a.Text = 2, l.T("attention.unverified"), l.T("attention.unverified.text")
		if sub.Handshake.Error != "" {
			a.Text = sub.Handshake.Error
		}
		if !sub.Handshake.Pending && !sub.Handshake.RetryAt.After(now) {
			post("verify", l.T("action.verify"), hidden{"method", "header"})
		}
	case !ends.IsZero() && ends.Before(now.Add(endsSoon)):
		a.rank, a.Title, a.Text, a.At = 3, l.T("attention.ends"), l.T("attention.ends.text"), ends
		if v.Operates() {
			a.Action, a.Href = l.T("action.edit"), path+"/edit"
		}
	case h.OldestAt.IsZero() || now.Sub(h.OldestAt) < patientFor:
		return a, false
	case sub.State == fattorino.Disabled:
		a.rank, a.Title, a.Text = 4, l.T("attention.paused"), l.T("attention.backlog.text", countOf(l, h), l.age(now.Sub(h.OldestAt)))
		post("enable", l.T("action.enable"), hidden{})
	default:
		a.rank, a.Title, a.Text = 5, l.T("attention.backlog"), l.T("attention.backlog.text", countOf(l, h), l.age(now.Sub(h.OldestAt)))
		a.Action, a.Href = l.T("attention.pending"), log+"&state=pending"
	}
	return a, true
}

func countOf(l *language, h *fattorino.Health) string {
	if h.More {
		return l.count(int64(h.Backlog)) + "+"
	}
	return l.count(int64(h.Backlog))
}

// dayCharts gives the charts of a subscription's last day.
func (u *UI) dayCharts(ctx context.Context, v *visit, subscription int64) ([]chart, error) {
	now := time.Now()
	day := periods()[1]
	buckets, err := u.Service.Statistics(ctx, v.caller(0), v.Company, subscription, now.Add(-day.Span), now, day.step)
	if err != nil {
		return nil, err
	}
	return []chart{deliveriesChart(v.Language, day.step, buckets), latencyChart(v.Language, buckets)}, nil
}
