package ui

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// openIDHours is how long someone stays signed in whom an issuer vouched for.
// It is a working day: what is taken away from people there is seen here when
// they sign in the next time.
const openIDHours = 8

// attemptLives is how long someone may take to sign in at the issuer.
const attemptLives = 10 * time.Minute

// maxNext bounds the path that a cookie remembers.
const maxNext = 1024 // bytes

// startOpenID sends a browser to the issuer. It is a link and no form, for
// Content-Security-Policy keeps forms to these pages wherever they are
// redirected to.
func (u *UI) startOpenID(w http.ResponseWriter, r *http.Request, v *visit) error {
	if u.OpenID == nil {
		return fattorino.Errorf(fattorino.NotFound, "there is no sign-in by OpenID Connect here")
	}
	next := ownPath(r.URL.Query().Get("next"))
	wait, err := u.throttle.take(r.Context(), "openid start "+network(r))
	if err != nil {
		return err
	}
	if wait > 0 {
		return u.openIDThrottled(w, r, v, next, wait)
	}
	attempt := rand.Text() + rand.Text() // 256 bits and more
	address, err := u.OpenID.begin(r.Context(), attempt)
	if err != nil {
		return u.openIDFailed(w, r, v, next, err)
	}
	if len(next) > maxNext {
		next = base
	}
	setSecret(w, r, attemptCookie, attempt+"."+base64.RawURLEncoding.EncodeToString([]byte(next)), attemptLives)
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

// finishOpenID opens a session for whom the issuer sends back.
func (u *UI) finishOpenID(w http.ResponseWriter, r *http.Request, v *visit) error {
	if u.OpenID == nil {
		return fattorino.Errorf(fattorino.NotFound, "there is no sign-in by OpenID Connect here")
	}
	v.Path = base + "sign-in" // to come back to: this page serves once
	attempt, next := attemptOf(r)
	answer := r.URL.Query()
	if attempt == "" || !fitsAttempt(attempt, answer.Get("state")) {
		return u.askWho(w, r, v, http.StatusBadRequest, signInView{Next: next, Problem: v.Language.T("signin.oidc.lost")})
	}
	wait, err := u.throttle.take(r.Context(), "openid finish "+network(r))
	if err != nil {
		return err
	}
	if wait > 0 {
		return u.openIDThrottled(w, r, v, next, wait)
	}
	dropSecret(w, r, attemptCookie)
	p, err := u.OpenID.finish(r.Context(), attempt, answer)
	if err != nil {
		return u.openIDFailed(w, r, v, next, err)
	}
	if u.OpenID.role(p) == nobody {
		u.Log.WarnContext(r.Context(), "signed in by OpenID Connect without a role", "subject", p.Subject)
		if err := u.noteRefusal(r, ""); err != nil {
			return err
		}
		return u.askWho(w, r, v, http.StatusForbidden, signInView{Next: next, Problem: v.Language.T("signin.oidc.nobody", p.Name)})
	}
	now := time.Now()
	return u.enter(w, r, session{Person: p, OpenedAt: now, EndsAt: now.Add(openIDHours * time.Hour)}, next)
}

// attemptOf reads the cookie of an attempt to sign in; empty where there is
// none that can be read.
func attemptOf(r *http.Request) (attempt, next string) {
	cookie, err := r.Cookie(secretName(r, attemptCookie))
	if err != nil {
		return "", base
	}
	attempt, encoded, _ := strings.Cut(cookie.Value, ".")
	path, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return "", base
	}
	return attempt, ownPath(string(path))
}

// openIDFailed shows the page to sign in, with what can be done; why it failed
// is for the log.
func (u *UI) openIDFailed(w http.ResponseWriter, r *http.Request, v *visit, next string, err error) error {
	e := fattorino.AsError(err)
	view := signInView{Next: next}
	switch e.Kind { //nolint:exhaustive // the others are errors of ours
	case fattorino.Unavailable:
		view.Problem = v.Language.T("signin.oidc.down", u.OpenID.host())
	case fattorino.Unauthenticated:
		view.Problem = v.Language.T("signin.oidc.failed", u.OpenID.host())
	default:
		return err
	}
	attrs := []any{"error", e.Msg}
	if e.Err != nil {
		attrs = append(attrs, "cause", clip(e.Err.Error(), 500))
	}
	u.Log.WarnContext(r.Context(), "sign-in by OpenID Connect failed", attrs...)
	if e.Kind == fattorino.Unauthenticated {
		if err := u.noteRefusal(r, ""); err != nil {
			return err
		}
	}
	return u.askWho(w, r, v, statusOf(e.Kind), view)
}

func (u *UI) openIDThrottled(w http.ResponseWriter, r *http.Request, v *visit, next string, wait time.Duration) error {
	tellWait(w.Header(), wait)
	return u.askWho(w, r, v, http.StatusTooManyRequests, signInView{Next: next, Problem: v.Language.T("signin.throttled")})
}

// host names the issuer to people.
func (o *OpenID) host() string {
	u, err := url.Parse(o.options.Issuer)
	if err != nil {
		return ""
	}
	return u.Host
}
