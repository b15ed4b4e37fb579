package ui

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// tokensView is the list of tokens.
type tokensView struct {
	Rows   []tokenRow
	Apps   []*fattorino.App
	Kinds  []fattorino.TokenKind
	Form   tokenForm
	Faults formFaults
	Next   string
}

// tokenRow is one of the list.
type tokenRow struct {
	*fattorino.Token
	AppName string
	Live    bool
}

type tokenForm struct {
	Kind, App, Companies, Scopes, Days string
}

func (u *UI) tokens(w http.ResponseWriter, r *http.Request, v *visit) error {
	return u.showTokens(w, r, v, http.StatusOK, tokensView{Form: tokenForm{Kind: string(fattorino.APIToken), Scopes: "*"}})
}

func (u *UI) showTokens(w http.ResponseWriter, r *http.Request, v *visit, status int, view tokensView) error {
	var err error
	if view.Apps, err = u.allApps(r.Context()); err != nil {
		return err
	}
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64) // what is none begins with the first
	list, err := u.Service.Tokens(r.Context(), caller(0), after, pageSize+1)
	if err != nil {
		return err
	}
	if len(list) > pageSize {
		list = list[:pageSize]
		view.Next = nextPage(r.URL, "after", list[pageSize-1].ID)
	}
	for _, t := range list {
		view.Rows = append(view.Rows, tokenRow{Token: t, AppName: appName(view.Apps, t.App), Live: t.Live(time.Now())})
	}
	view.Kinds = []fattorino.TokenKind{fattorino.APIToken, fattorino.PublishToken, fattorino.AdminToken}
	return u.render(w, v, status, "tokens", view)
}

// createToken makes a token and shows its secret, this once.
func (u *UI) createToken(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	q := r.PostForm
	form := tokenForm{Kind: q.Get("kind"), App: q.Get("app"), Companies: q.Get("companies"), Scopes: q.Get("scopes"), Days: q.Get("days")}
	faults := formFaults{}
	wish := form.wish(faults)
	if len(faults) == 0 {
		_, secret, err := u.Service.CreateToken(r.Context(), v.caller(0), wish)
		if err == nil {
			return u.render(w, v, http.StatusOK, "tokens_secret", secretView{Title: "secret.token", Secret: secret, Back: base + "tokens"})
		}
		if fattorino.KindOf(err) != fattorino.Invalid {
			return err
		}
		faults.take(fattorino.AsError(err))
	}
	return u.showTokens(w, r, v, http.StatusUnprocessableEntity, tokensView{Form: form, Faults: faults})
}

// wish reads the form; what cannot be read is in the faults.
func (f *tokenForm) wish(faults formFaults) fattorino.Token {
	t := fattorino.Token{Kind: fattorino.TokenKind(f.Kind), Scopes: strings.Fields(strings.ReplaceAll(f.Scopes, ",", " "))}
	if t.Kind == fattorino.APIToken {
		t.App, _ = strconv.ParseInt(f.App, 10, 64) // the use case says that it is required
	}
	for _, text := range strings.Fields(strings.ReplaceAll(f.Companies, ",", " ")) {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			faults.add("companies", "%q is not a company's number", text)
		}
		t.Companies = append(t.Companies, id)
	}
	if days := faults.integer("days", f.Days); days > 0 {
		t.ExpiresAt = time.Now().AddDate(0, 0, days)
	}
	return t
}

func (u *UI) revokeToken(w http.ResponseWriter, r *http.Request, v *visit) error {
	id, err := parseID(r, "token")
	if err != nil {
		return err
	}
	if err := u.Service.RevokeToken(r.Context(), v.caller(0), id); err != nil {
		return err
	}
	return done(w, r, base+"tokens", "revoked")
}
