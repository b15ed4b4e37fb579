package ui

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// companiesView is the list of companies.
type companiesView struct {
	Rows   []*fattorino.Company
	Text   string
	After  int64
	Next   string
	Faults formFaults
	Form   companyForm
}

type companyForm struct{ ID, Name string }

// landing leads to the overview of the company looked at last; where there
// is but one, to that one's.
func (u *UI) landing(w http.ResponseWriter, r *http.Request, v *visit) error {
	company := v.Company
	if company == 0 {
		few, err := u.Service.Companies(r.Context(), caller(0), 0, 2)
		if err != nil {
			return err
		}
		if len(few) == 1 {
			company = few[0].ID
		}
	}
	target := base + "companies"
	if company > 0 {
		target += "/" + strconv.FormatInt(company, 10) + "/overview"
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
	return nil
}

func (u *UI) companies(w http.ResponseWriter, r *http.Request, v *visit) error {
	return u.showCompanies(w, r, v, http.StatusOK, companiesView{})
}

// showCompanies lists companies by id, from one on. A text that is a number
// finds the company with that id.
func (u *UI) showCompanies(w http.ResponseWriter, r *http.Request, v *visit, status int, view companiesView) error {
	q := r.URL.Query()
	view.Text = strings.TrimSpace(q.Get("q"))
	view.After, _ = strconv.ParseInt(q.Get("after"), 10, 64) // what is none begins with the first
	from := view.After
	if id, err := strconv.ParseInt(view.Text, 10, 64); err == nil {
		from = max(from, id-1)
	}
	list, err := u.Service.Companies(r.Context(), caller(0), from, pageSize+1)
	if err != nil {
		return err
	}
	if len(list) > pageSize {
		list = list[:pageSize]
		view.Next = nextPage(r.URL, "after", list[pageSize-1].ID)
	}
	view.Rows = list
	return u.render(w, v, status, "companies", view)
}

// nameCompany makes a company where it is not there, and names it.
func (u *UI) nameCompany(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	view := companiesView{Faults: formFaults{}, Form: companyForm{ID: strings.TrimSpace(r.PostForm.Get("id")), Name: strings.TrimSpace(r.PostForm.Get("name"))}}
	id, err := strconv.ParseInt(view.Form.ID, 10, 64)
	if err != nil || id < 1 {
		view.Faults.add("id", "%q is not a positive whole number", view.Form.ID)
		return u.showCompanies(w, r, v, http.StatusUnprocessableEntity, view)
	}
	_, err = u.Service.NameCompany(r.Context(), v.caller(0), id, view.Form.Name)
	if fattorino.KindOf(err) == fattorino.Invalid {
		view.Faults.take(fattorino.AsError(err))
		return u.showCompanies(w, r, v, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return err
	}
	return done(w, r, base+"companies", "named")
}

// appsView is the list of apps.
type appsView struct {
	Rows   []*fattorino.App
	Name   string
	Faults formFaults
}

func (u *UI) apps(w http.ResponseWriter, r *http.Request, v *visit) error {
	list, err := u.allApps(r.Context())
	if err != nil {
		return err
	}
	return u.render(w, v, http.StatusOK, "apps", appsView{Rows: list})
}

func (u *UI) createApp(w http.ResponseWriter, r *http.Request, v *visit) error {
	name := r.FormValue("name")
	_, err := u.Service.CreateApp(r.Context(), v.caller(0), name)
	if fattorino.KindOf(err) == fattorino.Invalid {
		list, listErr := u.allApps(r.Context())
		if listErr != nil {
			return listErr
		}
		view := appsView{Rows: list, Name: name, Faults: formFaults{}}
		view.Faults.take(fattorino.AsError(err))
		return u.render(w, v, http.StatusUnprocessableEntity, "apps", view)
	}
	if err != nil {
		return err
	}
	return done(w, r, base+"apps", "app")
}

// catalogsView is the catalogs of all contracts.
type catalogsView struct {
	Contract string
	Names    []string
	Groups   []typeChoice
	Tree     []typeFamily
	Open     bool
	Prefix   string // that all names begin with, and are shown without
}

// catalogs shows one contract's catalog, the first where none is named.
func (u *UI) catalogs(w http.ResponseWriter, r *http.Request, v *visit) error {
	view := catalogsView{Contract: r.URL.Query().Get("contract"), Names: u.contractNames()}
	if !slices.Contains(view.Names, view.Contract) {
		view.Contract = view.Names[0]
	}
	catalog := u.catalogOf(view.Contract)
	view.Groups, view.Tree, _ = treeOf(catalog, nil)
	view.Open, view.Prefix = catalog.Open, commonPrefix(catalog)
	return u.render(w, v, http.StatusOK, "catalogs", view)
}

// keysView is the key that notifications are signed with.
type keysView struct{ Name, ID, PEM string }

// signingKey is the name of the service's own key.
const signingKey = "fic"

func (u *UI) keys(w http.ResponseWriter, _ *http.Request, v *visit) error {
	id, pem, err := u.Keys.Current(signingKey)
	if err != nil {
		return err
	}
	return u.render(w, v, http.StatusOK, "keys", keysView{signingKey, id, pem})
}

func (u *UI) rotateKey(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := u.Keys.Rotate(r.Context(), signingKey); err != nil {
		return err
	}
	if err := u.noteDeed(r, v, "key.rotate", "key/"+signingKey); err != nil {
		return err
	}
	return done(w, r, base+"keys", "key")
}

// settingsView is the settings in force, group by group.
type settingsView struct{ Groups []settingGroup }

type settingGroup struct {
	Name string
	Rows []Setting
}

func (u *UI) settings(w http.ResponseWriter, _ *http.Request, v *visit) error {
	var view settingsView
	for _, s := range u.Settings {
		i := slices.IndexFunc(view.Groups, func(g settingGroup) bool { return g.Name == s.Group })
		if i < 0 {
			view.Groups, i = append(view.Groups, settingGroup{Name: s.Group}), len(view.Groups)
		}
		view.Groups[i].Rows = append(view.Groups[i].Rows, s)
	}
	return u.render(w, v, http.StatusOK, "settings", view)
}
