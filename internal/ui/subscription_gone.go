package ui

import (
	"net/http"
	"strconv"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// goneView is the page of a subscription that is gone.
type goneView struct {
	Sub   *fattorino.Subscription
	Title string
	Until time.Time // it can be restored; zero = not any more
}

// showGone says what became of a subscription that is gone, and offers to take
// its deletion back.
func (u *UI) showGone(w http.ResponseWriter, r *http.Request, v *visit) error {
	sub, err := u.goneSubscription(r, v, r.PathValue("subscription"))
	if err != nil {
		return err
	}
	return u.render(w, v, http.StatusGone, "subscription_gone", goneView{Sub: sub, Title: titleOf(sub), Until: undoUntil(sub)})
}

func (u *UI) goneSubscription(r *http.Request, v *visit, number string) (*fattorino.Subscription, error) {
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil, fattorino.Errorf(fattorino.NotFound, "there is no such subscription")
	}
	return u.Service.GoneSubscription(r.Context(), v.caller(0), v.Company, id)
}

// undoUntil tells until when a deletion can still be taken back; zero = not any
// more.
func undoUntil(sub *fattorino.Subscription) time.Time {
	if until := sub.RestorableUntil(); time.Now().Before(until) {
		return until
	}
	return time.Time{}
}

// undoOf gives where the deletion is taken back that led to the list; empty
// where none did, or it cannot be any more.
func (u *UI) undoOf(r *http.Request, v *visit) string {
	sub, err := u.goneSubscription(r, v, r.URL.Query().Get("deleted"))
	if err != nil || !v.Operates() || undoUntil(sub).IsZero() {
		return ""
	}
	return subscriptionPath(v.Company, sub.ID) + "/restore"
}

// restoreSubscription takes a deletion back.
func (u *UI) restoreSubscription(w http.ResponseWriter, r *http.Request, v *visit) error {
	gone, err := u.goneSubscription(r, v, r.PathValue("subscription"))
	if err != nil {
		return err
	}
	sub, err := u.Service.RestoreSubscription(r.Context(), v.caller(gone.App), v.Company, gone.ID)
	if err != nil {
		return err
	}
	return done(w, r, subscriptionPath(v.Company, sub.ID), "restored")
}
