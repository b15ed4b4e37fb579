package ui

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// auditView is the list of what was done.
type auditView struct {
	Rows     []*fattorino.Deed
	Text     string
	InWhich  string // company, as it was written
	Filtered bool
	Next     string // path of the next page; empty = this is the last
}

// audit shows who did what, the latest first.
func (u *UI) audit(w http.ResponseWriter, r *http.Request, v *visit) error {
	q := r.URL.Query()
	view := auditView{Text: strings.TrimSpace(q.Get("q")), InWhich: strings.TrimSpace(q.Get("company"))}
	view.Filtered = view.Text != "" || view.InWhich != "" || q.Get("after") != ""
	query := fattorino.DeedQuery{Text: view.Text, After: q.Get("after"), Limit: pageSize}
	if view.InWhich != "" {
		company, err := strconv.ParseInt(view.InWhich, 10, 64)
		if err != nil || company < 1 {
			company = -1 // what is no company has done nothing
		}
		query.Company = company
	}
	var next string
	var err error
	if view.Rows, next, err = u.Service.Deeds(r.Context(), v.caller(0), query); err != nil {
		return err
	}
	if next != "" {
		q.Set("after", next)
		view.Next = r.URL.Path + "?" + q.Encode()
	}
	return u.render(w, v, http.StatusOK, "audit", view)
}

// noteDeed writes into the audit what is done in these pages alone.
func (u *UI) noteDeed(r *http.Request, v *visit, action, object string) error {
	return u.Service.Note(r.Context(), v.caller(0), action, 0, object)
}
