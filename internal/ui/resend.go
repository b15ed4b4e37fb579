package ui

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// resendView is the page on which all that failed in a selection is sent again:
// how much that would be, and how far the last run is.
type resendView struct {
	Filter   deliveryFilter
	Selected []fact // what the selection is narrowed to
	Count    int
	Most     bool // there may be more, which is for the next run
	Run      *runView
	Faults   formFaults
}

// runView is a run as it stands.
type runView struct {
	fattorino.Resending
	Done    int
	Seconds int // it took, so far
	Going   bool
	Problem string
}

// confirmResend counts what failed in the selection, and asks.
func (u *UI) confirmResend(w http.ResponseWriter, r *http.Request, v *visit) error {
	view := resendView{Filter: readDeliveryFilter(r.URL.Query()), Faults: formFaults{}}
	if err := u.lastRun(&view, v); err != nil {
		return err
	}
	if view.Run != nil && view.Run.Going {
		return u.render(w, v, http.StatusOK, "deliveries_resend", view)
	}
	query := view.Filter.query(view.Faults)
	if len(view.Faults) > 0 {
		return u.render(w, v, http.StatusUnprocessableEntity, "deliveries_resend", view)
	}
	failed, err := u.Service.Failed(r.Context(), v.caller(0), v.Company, query)
	if err != nil {
		return err
	}
	view.Selected = view.Filter.facts()
	view.Count, view.Most = len(failed), len(failed) == fattorino.MaxResendAll
	if len(failed) > 0 {
		view.Filter.Before = strconv.FormatInt(failed[len(failed)-1]+1, 10) // what fails from now on was not counted
	}
	return u.render(w, v, http.StatusOK, "deliveries_resend", view)
}

// facts gives what the selection is narrowed to.
func (f *deliveryFilter) facts() (facts []fact) {
	for _, one := range []fact{
		{"column.subscription", f.Subscription}, {"field.type", f.Type}, {"column.entity", f.Entity}, {"filter.from", f.From}, {"filter.to", f.To},
	} {
		if one.Value != "" {
			facts = append(facts, one)
		}
	}
	return facts
}

// lastRun puts the last run of the company into the view.
func (u *UI) lastRun(view *resendView, v *visit) error {
	run, known, err := u.Service.Resending(v.caller(0), v.Company)
	if err != nil || !known {
		return err
	}
	end := run.EndedAt
	if end.IsZero() {
		end = time.Now()
	}
	view.Run = &runView{Resending: run, Done: run.Done(), Going: run.EndedAt.IsZero(), Seconds: int(end.Sub(run.StartedAt).Seconds())}
	if run.Err != nil {
		view.Run.Problem = fattorino.AsError(run.Err).Msg
	}
	return nil
}

// resendAll begins a run.
func (u *UI) resendAll(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	filter, faults := readDeliveryFilter(r.PostForm), formFaults{}
	query := filter.query(faults)
	if len(faults) > 0 {
		return fattorino.Errorf(fattorino.Invalid, "the selection cannot be read")
	}
	if err := u.Service.ResendAll(r.Context(), v.caller(0), v.Company, query, v.Who); err != nil {
		return err
	}
	return done(w, r, resendPath(v.Company), "resending")
}

// stopResending ends the run that is under way.
func (u *UI) stopResending(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := u.Service.StopResending(r.Context(), v.caller(0), v.Company); err != nil {
		return err
	}
	return done(w, r, resendPath(v.Company), "resend_stopped")
}

// resendPath is where all that failed of what the filter selects is sent again.
func (f *deliveryFilter) resendPath(company int64) string {
	return strings.TrimSuffix(resendPath(company)+"?"+f.values().Encode(), "?")
}

// resendPath is where the page is.
func resendPath(company int64) string {
	return fmt.Sprintf("%scompanies/%d/deliveries/resend", base, company)
}
