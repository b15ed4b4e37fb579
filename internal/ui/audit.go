package ui

import (
	"net/http"
	"strconv"
	"strings"
	"time"

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

// noteSession writes into the audit who has signed in, and from where.
func (u *UI) noteSession(r *http.Request, s *session) error {
	who := caller(0)
	switch {
	case s.Person != nil:
		who.Name = s.Person.Name
	case s.User != "":
		who.Name = s.User
	default:
		token, err := u.Service.AuthenticateHash(r.Context(), s.Token)
		if err != nil {
			return err
		}
		who = token
	}
	return u.Service.Note(r.Context(), who, "session.open", 0, "network/"+network(r))
}

// noteRefusal writes into the audit that someone was not let in: as which of the
// users, where there is one of the name. Anything else that was written there
// may be a password in the wrong field. Who guesses does not fill the audit: of
// many refusals some are noted.
func (u *UI) noteRefusal(r *http.Request, name string) error {
	if !u.refusals.Allow() {
		return nil
	}
	who := &fattorino.Token{}
	if account, err := u.accounts.user(r.Context(), name); err == nil {
		who.Name = account.Name
	}
	return u.Service.Note(r.Context(), who, "session.refuse", 0, "network/"+network(r))
}

// Of refused sign-ins so many are noted at once, and then one in every so long.
const (
	refusalsNoted     = 100
	refusalNotedEvery = time.Minute
)

// binDeed names a bin in the audit: by the beginning of its id alone, for who
// knows the whole of it can send there.
func binDeed(id string) string { return "bin/" + clip(id, 8) + "…" }

// noteDeed writes into the audit what is done in these pages alone.
func (u *UI) noteDeed(r *http.Request, v *visit, action, object string) error {
	return u.Service.Note(r.Context(), v.caller(0), action, 0, object)
}
