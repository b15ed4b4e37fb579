package ui

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/samples"
)

// secretView shows a secret, this once.
type secretView struct {
	Title  string // key of the text
	Secret string
	Public string
	Back   string // where to go on
	Hints  []string
}

// verify has the sink challenged again.
func (u *UI) verify(w http.ResponseWriter, r *http.Request, v *visit) error {
	sub, err := u.subscriptionOf(r, v)
	if err != nil {
		return err
	}
	method := fattorino.Method(r.FormValue("method"))
	if method != fattorino.ByQuery {
		method = fattorino.ByHeader
	}
	sub, err = u.Service.VerifySubscription(r.Context(), v.caller(sub.App), v.Company, sub.Contract, sub.ID, method)
	if err != nil {
		return err
	}
	what := "asked"
	if sub.State == fattorino.Active {
		what = "verified"
	}
	return done(w, r, subscriptionPath(v.Company, sub.ID), what)
}

// test sends a sample event, and shows what becomes of it.
func (u *UI) test(w http.ResponseWriter, r *http.Request, v *visit) error {
	sub, err := u.subscriptionOf(r, v)
	if err != nil {
		return err
	}
	typ := r.FormValue("type")
	if _, known := u.catalogOf(sub.Contract).TypeOf(&fattorino.Event{Type: typ}); !known || typ == "" {
		return fattorino.InvalidField("type", "%q is no type of the contract %s", typ, sub.Contract)
	}
	common, _ := u.Service.Catalogs().Common(typ)
	d, err := u.Service.SendTest(r.Context(), v.caller(sub.App), v.Company, sub.Contract, sub.ID, samples.Event(v.Company, typ, common, time.Now()))
	if err != nil {
		return err
	}
	return done(w, r, deliveryPath(v.Company, d.ID), "tested")
}

func (u *UI) enable(w http.ResponseWriter, r *http.Request, v *visit) error {
	return u.setEnabled(w, r, v, true, "enabled")
}

func (u *UI) disable(w http.ResponseWriter, r *http.Request, v *visit) error {
	return u.setEnabled(w, r, v, false, "disabled")
}

func (u *UI) setEnabled(w http.ResponseWriter, r *http.Request, v *visit, enabled bool, what string) error {
	sub, err := u.subscriptionOf(r, v)
	if err != nil {
		return err
	}
	change := fattorino.SubscriptionChange{Enabled: &enabled, Unless: func(now *fattorino.Subscription) error {
		if now.State.Hears() {
			return nil
		}
		return &fattorino.Error{Kind: fattorino.Conflict, Msg: "the subscription is not verified: nothing is sent to it", Fix: "verify it first"}
	}}
	if _, _, err := u.Service.ModifySubscription(r.Context(), v.caller(sub.App), v.Company, sub.Contract, sub.ID, change); err != nil {
		return err
	}
	return done(w, r, subscriptionPath(v.Company, sub.ID), what)
}

// maxOverlap is how long a secret goes on signing beside a newer one, at most.
const maxOverlap = 7 * 24 // hours

// rotate makes a new secret and shows it.
func (u *UI) rotate(w http.ResponseWriter, r *http.Request, v *visit) error {
	sub, err := u.subscriptionOf(r, v)
	if err != nil {
		return err
	}
	rules, ok := u.Contracts[sub.Contract]
	if !ok || len(sub.Secrets) == 0 {
		return &fattorino.Error{Kind: fattorino.Conflict, Msg: "notifications of this subscription are signed with no secret of its own"}
	}
	hours, err := strconv.Atoi(r.FormValue("overlap"))
	if err != nil || hours < 0 || hours > maxOverlap {
		return fattorino.InvalidField("overlap", "give a number of hours from 0 to %d", maxOverlap)
	}
	secret, shown, public, err := rules.NewSecret(sub.Options.Signature)
	if err != nil {
		return err
	}
	change := fattorino.SubscriptionChange{Secret: &secret, Overlap: time.Duration(hours) * time.Hour, Unless: asSeen(sub)}
	if _, _, err := u.Service.ModifySubscription(r.Context(), v.caller(sub.App), v.Company, sub.Contract, sub.ID, change); err != nil {
		return err
	}
	return u.render(w, v, http.StatusOK, "subscription_secret", secretView{
		Title: "secret.rotated", Secret: shown, Public: public, Back: subscriptionPath(v.Company, sub.ID),
	})
}

// asSeen refuses a change where another came between.
func asSeen(seen *fattorino.Subscription) func(*fattorino.Subscription) error {
	return func(now *fattorino.Subscription) error {
		if now.UpdatedAt.Equal(seen.UpdatedAt) {
			return nil
		}
		return &fattorino.Error{
			Kind: fattorino.Stale, Msg: "someone else, or the service itself, has changed the subscription meanwhile",
			Fix: "open its page again, and decide anew",
		}
	}
}

// confirmDelete says what a deletion takes with it, and asks.
func (u *UI) confirmDelete(w http.ResponseWriter, r *http.Request, v *visit) error {
	sub, err := u.subscriptionOf(r, v)
	if err != nil {
		return err
	}
	view, err := u.describe(sub)
	if err != nil {
		return err
	}
	if err := u.countDue(r.Context(), v, view); err != nil {
		return err
	}
	return u.render(w, v, http.StatusOK, "subscription_delete", view)
}

func (u *UI) deleteSubscription(w http.ResponseWriter, r *http.Request, v *visit) error {
	sub, err := u.subscriptionOf(r, v)
	if err != nil {
		return err
	}
	if err := u.Service.DeleteSubscription(r.Context(), v.caller(sub.App), v.Company, sub.Contract, sub.ID); err != nil {
		return err
	}
	http.Redirect(w, r, fmt.Sprintf("%scompanies/%d/subscriptions?deleted=%d", base, v.Company, sub.ID), http.StatusSeeOther)
	return nil
}
