package ui

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// formView is the form of a subscription, to be made or changed.
type formView struct {
	Form    subscriptionForm
	Offer   offer
	ID      int64 // 0 = it is to be made
	Title   string
	Open    bool // the catalog takes any type
	Shared  bool // and several subscriptions may hold the same
	Apps    []*fattorino.App
	Groups  []typeChoice
	Tree    []typeFamily
	Prefix  string   // that all names of the catalog begin with, and are shown without
	Headers []string // names of the header fields that there are
	Faults  formFaults
	Problem string
	Names   []string // of the contracts to choose from; then nothing else is shown
	Advised string   // the one that is taken where nothing speaks for another

	Bins   []binFacts // of the visitor, to be chosen as the sink
	Chosen bool       // one just was
}

// newSubscription asks under which contract, and then shows the form.
func (u *UI) newSubscription(w http.ResponseWriter, r *http.Request, v *visit) error {
	apps, err := u.appsOf(r.Context(), v)
	if err != nil {
		return err
	}
	contract, sink := r.URL.Query().Get("contract"), r.URL.Query().Get("sink")
	if u.catalogOf(contract) == nil || len(apps) == 0 {
		return u.render(w, v, http.StatusOK, "subscription_contract", formView{Names: u.contractNames(), Advised: u.Service.OwnContract, Apps: apps, Form: subscriptionForm{Sink: sink}})
	}
	form := subscriptionForm{Contract: contract, Sink: sink}
	if len(apps) == 1 {
		form.App = apps[0].ID
	}
	if formats := u.offerOf(contract).Formats; len(formats) > 0 {
		form.Format = formats[0]
	}
	return u.showForm(w, r, v, http.StatusOK, &formView{Form: form})
}

// showForm shows a form, with whatever is in it.
func (u *UI) showForm(w http.ResponseWriter, r *http.Request, v *visit, status int, view *formView) error {
	var err error
	if view.Apps, err = u.appsOf(r.Context(), v); err != nil {
		return err
	}
	catalog := u.catalogOf(view.Form.Contract)
	if catalog == nil {
		return fattorino.InvalidField("contract", "there is no contract %q", view.Form.Contract)
	}
	var others []string
	view.Groups, view.Tree, others = treeOf(catalog, view.Form.names())
	view.Form.Others = strings.Join(others, "\n")
	if view.Bins, err = u.binsToChoose(r, v); err != nil {
		return err
	}
	view.Open, view.Shared, view.Prefix, view.Offer = catalog.Open, catalog.Shared, commonPrefix(catalog), u.offerOf(view.Form.Contract)
	return u.render(w, v, status, "subscription_form", view)
}

// createSubscription subscribes an app.
func (u *UI) createSubscription(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	view := &formView{Form: readSubscriptionForm(r.PostForm), Faults: formFaults{}}
	if r.PostForm.Has("bin") {
		return u.chooseBin(w, r, v, view)
	}
	apps, err := u.appsOf(r.Context(), v)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(apps, func(a *fattorino.App) bool { return a.ID == view.Form.App }) {
		view.Faults.add("app", "choose the app whose subscription it is")
	}
	wish, shown, err := u.accept(&view.Form, fattorino.Options{}, v.Company, nil, view.Faults)
	if err == nil && len(view.Faults) == 0 {
		var sub *fattorino.Subscription
		var refused []fattorino.TypeRefusal
		if sub, refused, err = u.Service.Subscribe(r.Context(), v.caller(view.Form.App), *wish); err == nil {
			return u.created(w, r, v, sub, shown, refused)
		}
		err = withRefusals(err, refused)
	}
	return u.showAgain(w, r, v, view, err)
}

// created goes on to the new subscription, by way of its secret where it has
// one.
func (u *UI) created(w http.ResponseWriter, r *http.Request, v *visit, sub *fattorino.Subscription, shown string, refused []fattorino.TypeRefusal) error {
	back := subscriptionPath(v.Company, sub.ID)
	if shown == "" && len(refused) == 0 {
		return done(w, r, back, "created")
	}
	view := secretView{Title: "secret.created", Secret: shown, Back: back}
	for _, t := range refused {
		view.Hints = append(view.Hints, v.Language.T("form.refused", t.Type))
	}
	return u.render(w, v, http.StatusOK, "subscription_secret", view)
}

// showAgain shows the form with what is wrong; an error that is not about the
// form is returned.
func (u *UI) showAgain(w http.ResponseWriter, r *http.Request, v *visit, view *formView, err error) error {
	status := http.StatusUnprocessableEntity
	if err != nil {
		e := fattorino.AsError(err)
		switch e.Kind {
		case fattorino.Invalid, fattorino.Conflict, fattorino.Stale:
		default:
			return err
		}
		view.Problem, status = view.Faults.take(e), statusOf(e.Kind)
	}
	return u.showForm(w, r, v, status, view)
}

// withRefusals puts the types that were refused into the error, each by name.
func withRefusals(err error, refused []fattorino.TypeRefusal) error {
	if len(refused) == 0 || fattorino.KindOf(err) != fattorino.Invalid {
		return err
	}
	e := *fattorino.AsError(err)
	for _, t := range refused {
		msg := fmt.Sprintf("%q is no type of the contract", t.Type)
		if t.Why == fattorino.TakenType {
			msg = fmt.Sprintf("%q is held by another subscription of this app", t.Type)
		}
		e.Faults = append(slices.Clone(e.Faults), fattorino.Fault{Field: "types", Msg: msg})
	}
	return &e
}

// accept reads a form and holds it to the rules of its contract. Secrets are
// those that there are; without, one is made, and given as it is shown.
func (u *UI) accept(form *subscriptionForm, before fattorino.Options, company int64, secrets []fattorino.Secret, faults formFaults) (wish *fattorino.NewSubscription, shown string, err error) {
	wish, headers := form.wish(before, company, faults)
	catalog := u.catalogOf(form.Contract)
	if catalog == nil {
		return nil, "", fattorino.InvalidField("contract", "there is no contract %q", form.Contract)
	}
	for _, name := range wish.Types {
		if len(catalog.Explode(name)) == 0 {
			faults.add("types", "%q is no type of the contract %s", name, form.Contract)
		}
	}
	if secrets == nil && form.Signature != "" && !slices.Contains(u.offerOf(form.Contract).Signatures, form.Signature) {
		faults.add("signature", "the contract %s has no signature %q", form.Contract, form.Signature)
	}
	rules, choosing := u.Contracts[form.Contract]
	if len(faults) > 0 || !choosing {
		return wish, "", nil
	}
	if form.DropHeaders || len(headers) > 0 { // else those from before stay
		if wish.Options.Headers, err = rules.SealHeaders(headers); err != nil {
			return nil, "", err
		}
	}
	if wish.Secrets = secrets; secrets == nil {
		var secret fattorino.Secret
		if secret, shown, _, err = rules.NewSecret(u.signature(form)); err != nil {
			return nil, "", err
		}
		if len(secret.Sealed) > 0 {
			wish.Secrets = []fattorino.Secret{secret}
		}
	}
	return wish, shown, rules.CheckOptions(wish)
}

// signature gives the signature of a form; where none was chosen and the format
// is one that has none, that.
func (u *UI) signature(form *subscriptionForm) string {
	d, ok := u.Contracts[form.Contract].(interface {
		DefaultSignature(f fattorino.Format) string
	})
	if ok && form.Signature == "" {
		return d.DefaultSignature(fattorino.Format(form.Format))
	}
	return form.Signature
}

// editSubscription shows a subscription in the form.
func (u *UI) editSubscription(w http.ResponseWriter, r *http.Request, v *visit) error {
	sub, err := u.subscriptionOf(r, v)
	if err != nil {
		return err
	}
	view, err := u.editView(sub)
	if err != nil {
		return err
	}
	view.Form = formOf(sub)
	return u.showForm(w, r, v, http.StatusOK, view)
}

// editView gives what the form shows of the subscription besides its fields.
func (u *UI) editView(sub *fattorino.Subscription) (*formView, error) {
	described, err := u.describe(sub)
	if err != nil {
		return nil, err
	}
	return &formView{ID: sub.ID, Title: described.Title, Headers: described.HeaderNames, Faults: formFaults{}}, nil
}

// changeSubscription changes a subscription as the form says.
func (u *UI) changeSubscription(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	sub, err := u.subscriptionOf(r, v)
	if err != nil {
		return err
	}
	view, err := u.editView(sub)
	if err != nil {
		return err
	}
	view.Form = editedForm(sub, r.PostForm)
	if r.PostForm.Has("bin") {
		return u.chooseBin(w, r, v, view)
	}
	wish, _, err := u.accept(&view.Form, sub.Options, v.Company, orNone(sub.Secrets), view.Faults)
	if err == nil && view.Form.Seen != formOf(sub).Seen {
		err = asSeen(&fattorino.Subscription{})(sub)
	}
	if err == nil && len(view.Faults) == 0 {
		change := changeTo(sub, wish)
		var refused []fattorino.TypeRefusal
		if _, refused, err = u.Service.ModifySubscription(r.Context(), v.caller(sub.App), v.Company, sub.Contract, sub.ID, change); err == nil {
			return done(w, r, subscriptionPath(v.Company, sub.ID), "changed")
		}
		err = withRefusals(err, refused)
	}
	return u.showAgain(w, r, v, view, err)
}

// editedForm reads the form, and leaves as it is what cannot be changed once a
// subscription is made.
func editedForm(sub *fattorino.Subscription, posted url.Values) subscriptionForm {
	form := readSubscriptionForm(posted)
	form.Contract, form.App = sub.Contract, sub.App
	form.Signature, form.Ordering = sub.Options.Signature, string(sub.Options.Ordering)
	return form
}

// orNone gives the secrets; where there are none, an empty list that says so.
func orNone(secrets []fattorino.Secret) []fattorino.Secret {
	if secrets == nil {
		return []fattorino.Secret{}
	}
	return secrets
}

// changeTo gives the change from a subscription to what is wished: the same
// sink, or the same types, are no change.
func changeTo(sub *fattorino.Subscription, wish *fattorino.NewSubscription) fattorino.SubscriptionChange {
	change := fattorino.SubscriptionChange{Format: &wish.Format, Method: wish.Method, Filters: &wish.Filters, Options: &wish.Options, Unless: asSeen(sub)}
	if wish.Sink != sub.Sink {
		change.Sink = &wish.Sink
	}
	if !slices.Equal(wish.Types, sub.Types) {
		change.Types = wish.Types
	}
	return change
}

// parseID reads an id from the path; NotFound where it is none.
func parseID(r *http.Request, name string) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue(name), 10, 64)
	if err != nil || id < 1 {
		return 0, fattorino.Errorf(fattorino.NotFound, "there is no such %s", name)
	}
	return id, nil
}
