package ui

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// usersView is the list of users.
type usersView struct {
	Rows   []*user
	Roles  []role
	Form   userForm
	Faults formFaults
}

type userForm struct{ Name, Role string }

func (u *UI) users(w http.ResponseWriter, r *http.Request, v *visit) error {
	return u.showUsers(w, r, v, http.StatusOK, usersView{Form: userForm{Role: viewer.String()}})
}

func (u *UI) showUsers(w http.ResponseWriter, r *http.Request, v *visit, status int, view usersView) error {
	var err error
	if view.Rows, err = u.accounts.users(r.Context()); err != nil {
		return err
	}
	view.Roles = roles()
	return u.render(w, v, status, "users", view)
}

func (u *UI) addUser(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	form := userForm{Name: strings.TrimSpace(r.PostForm.Get("name")), Role: r.PostForm.Get("role")}
	chosen, err := parseRole(form.Role)
	if err != nil {
		return err
	}
	u.throttle.hash(func() { err = u.accounts.addUser(r.Context(), form.Name, r.PostForm.Get("password"), chosen) })
	return u.afterUser(w, r, v, form, err, "add", "user")
}

// changeUser gives a user another role, and another password where one is
// written.
func (u *UI) changeUser(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	chosen, err := parseRole(r.PostForm.Get("role"))
	if err != nil {
		return err
	}
	u.throttle.hash(func() {
		err = u.accounts.changeUser(r.Context(), r.PathValue("name"), r.PostForm.Get("password"), chosen)
	})
	return u.afterUser(w, r, v, userForm{Role: viewer.String()}, err, "change", "user_changed")
}

func (u *UI) deleteUser(w http.ResponseWriter, r *http.Request, v *visit) error {
	err := u.accounts.deleteUser(r.Context(), r.PathValue("name"))
	return u.afterUser(w, r, v, userForm{}, err, "delete", "user_deleted")
}

// afterUser goes back to the list, or shows what is wrong in it.
func (u *UI) afterUser(w http.ResponseWriter, r *http.Request, v *visit, form userForm, err error, verb, what string) error {
	if err == nil {
		if err := u.noteDeed(r, v, "user."+verb, "user/"+cmp.Or(r.PathValue("name"), form.Name)); err != nil {
			return err
		}
		return done(w, r, base+"users", what)
	}
	e := fattorino.AsError(err)
	if e.Kind != fattorino.Invalid && e.Kind != fattorino.Conflict {
		return err
	}
	view := usersView{Form: form, Faults: formFaults{}}
	view.Faults.take(e)
	return u.showUsers(w, r, v, statusOf(e.Kind), view)
}

func parseRole(text string) (r role, err error) {
	if err := r.UnmarshalText([]byte(text)); err != nil {
		return 0, fattorino.InvalidField("role", "%q is no role", text)
	}
	return r, nil
}

// passwordView is the page on which a user changes the own password.
type passwordView struct{ Faults formFaults }

func (u *UI) passwordPage(w http.ResponseWriter, _ *http.Request, v *visit) error {
	if !v.HasPassword() {
		return fattorino.Errorf(fattorino.NotFound, "who signs in with a token or at another service has no password here")
	}
	return u.render(w, v, http.StatusOK, "password", passwordView{})
}

// changePassword gives who is signed in another password, which ends all the
// user's sessions, this one included.
func (u *UI) changePassword(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	if !v.HasPassword() {
		return fattorino.Errorf(fattorino.NotFound, "who signs in with a token or at another service has no password here")
	}
	account, err := u.accounts.user(r.Context(), v.Who)
	if err != nil {
		return err
	}
	faults, fits := formFaults{}, false
	wait, err := u.throttle.take(r.Context(), "name "+strings.ToLower(v.Who))
	if err != nil {
		return err
	}
	if wait > 0 {
		tellWait(w.Header(), wait)
		faults.add("current", "%s", v.Language.T("signin.throttled"))
		return u.render(w, v, http.StatusTooManyRequests, "password", passwordView{faults})
	}
	u.throttle.hash(func() { fits = passwordFits(account.Password, r.PostForm.Get("current")) })
	if !fits {
		faults.add("current", "%s", v.Language.T("signin.wrong"))
		return u.render(w, v, http.StatusUnprocessableEntity, "password", passwordView{faults})
	}
	if r.PostForm.Get("password") == "" {
		faults.add("password", "%s", v.Language.T("users.password.help"))
		return u.render(w, v, http.StatusUnprocessableEntity, "password", passwordView{faults})
	}
	u.throttle.hash(func() { err = u.accounts.changeUser(r.Context(), v.Who, r.PostForm.Get("password"), account.Role) })
	if fattorino.KindOf(err) == fattorino.Invalid {
		faults.take(fattorino.AsError(err))
		return u.render(w, v, http.StatusUnprocessableEntity, "password", passwordView{faults})
	}
	if err != nil {
		return err
	}
	if err := u.noteDeed(r, v, "user.password", "user/"+v.Who); err != nil {
		return err
	}
	http.Redirect(w, r, base+"sign-in", http.StatusSeeOther)
	return nil
}
