package ui

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// The cookies. The first two are secrets, as is that of portals; the others are
// tastes.
const (
	sessionCookie  = "fattorino_session"
	attemptCookie  = "fattorino_openid" // of who is on the way to the OpenID issuer
	languageCookie = "fattorino_language"
	themeCookie    = "fattorino_theme"
	companyCookie  = "fattorino_company"
)

// tasteLives is how long a browser keeps what someone likes.
const tasteLives = 365 * 24 * time.Hour

// signInView is the page to sign in.
type signInView struct {
	Next    string
	Name    string
	Problem string
	Users   bool   // there are users: names are asked for
	OpenID  bool   // there is an OpenID issuer to sign in with
	Issuer  string // host of the issuer at which who has signed out here is still signed in; empty = none
	SignOut string // where they sign out there; empty = the issuer says no place
}

func (u *UI) signInPage(w http.ResponseWriter, r *http.Request, v *visit) error {
	if v.Role > nobody {
		http.Redirect(w, r, base, http.StatusSeeOther)
		return nil
	}
	view := signInView{Next: r.URL.Query().Get("next")}
	if r.URL.Query().Has(signedOut) && u.OpenID != nil {
		view.Issuer, view.SignOut = u.OpenID.host(), u.OpenID.endSession(r.Context())
	}
	return u.askWho(w, r, v, http.StatusOK, view)
}

func (u *UI) askWho(w http.ResponseWriter, r *http.Request, v *visit, status int, view signInView) error {
	users, err := u.accounts.users(r.Context())
	if err != nil {
		return err
	}
	view.Users, view.OpenID = len(users) > 0, u.OpenID != nil
	return u.render(w, v, status, "signin", view)
}

// signIn opens a session for who gives an admin token, or a name and its
// password.
func (u *UI) signIn(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	name, secret := strings.TrimSpace(r.PostForm.Get("name")), r.PostForm.Get("secret")
	view := signInView{Next: r.PostForm.Get("next"), Name: name}
	wait, err := u.throttle.take(r.Context(), "from "+network(r), "name "+strings.ToLower(clip(name, maxUserName)))
	if err != nil {
		return err
	}
	if wait > 0 {
		tellWait(w.Header(), wait)
		view.Problem = v.Language.T("signin.throttled")
		return u.askWho(w, r, v, http.StatusTooManyRequests, view)
	}
	s, err := u.prove(r, name, secret)
	if err != nil {
		return err
	}
	if s == nil {
		if err := u.noteRefusal(r, name); err != nil {
			return err
		}
		view.Problem = v.Language.T("signin.wrong")
		return u.askWho(w, r, v, http.StatusUnauthorized, view)
	}
	return u.enter(w, r, *s, view.Next)
}

// enter opens a session under a new secret, in place of one that the browser
// may have had, and goes on to one of these pages.
func (u *UI) enter(w http.ResponseWriter, r *http.Request, s session, next string) error {
	if err := u.leave(r); err != nil {
		return err
	}
	id, err := u.accounts.openSession(r.Context(), s)
	if err != nil {
		return err
	}
	if err := u.noteSession(r, &s); err != nil {
		return err
	}
	setSecret(w, r, sessionCookie, id, s.EndsAt.Sub(s.OpenedAt))
	http.Redirect(w, r, ownPath(next), http.StatusSeeOther) //nolint:gosec // ownPath leaves paths of these pages alone
	return nil
}

// leave ends the session of the browser, if it has one.
func (u *UI) leave(r *http.Request) error {
	cookie, err := r.Cookie(secretName(r, sessionCookie))
	if err != nil {
		return nil //nolint:nilerr // no cookie, no session
	}
	return u.accounts.closeSession(r.Context(), cookie.Value)
}

// prove gives the session that the secret opens; nil where it opens none. Who
// has no user's name waits as long as who has one.
func (u *UI) prove(r *http.Request, name, secret string) (*session, error) {
	now := time.Now()
	s := &session{OpenedAt: now, EndsAt: now.Add(sessionHours * time.Hour)}
	if name == "" {
		token, err := u.Service.Authenticate(r.Context(), strings.TrimSpace(secret))
		if err != nil || token.Kind != fattorino.AdminToken {
			return nil, unlessGone(err)
		}
		s.Token = fattorino.HashSecret(strings.TrimSpace(secret))
		return s, nil
	}
	account, err := u.accounts.user(r.Context(), name)
	if fattorino.KindOf(err) == fattorino.NotFound {
		account, err = &user{}, nil
	}
	if err != nil || len(secret) > maxPassword {
		return nil, err
	}
	fits := false
	u.throttle.hash(func() {
		if account.Password == "" {
			_ = hashPassword(secret)
			return
		}
		fits = passwordFits(account.Password, secret)
	})
	if !fits {
		return nil, nil //nolint:nilnil // no session, and nothing went wrong
	}
	s.User = account.Name
	return s, nil
}

func (u *UI) signOut(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := u.leave(r); err != nil {
		return err
	}
	if v.SignedIn() {
		if err := u.noteDeed(r, v, "session.close", "network/"+network(r)); err != nil {
			return err
		}
	}
	dropSecret(w, r, sessionCookie)
	target := signInPath
	if v.Subject != "" {
		target += "?" + signedOut
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
	return nil
}

// signedOut is what the page to sign in is asked with by someone whom an issuer
// had vouched for.
const signedOut = "signed_out"

// preferences keeps the language and the theme in cookies.
func (u *UI) preferences(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	if code := r.PostForm.Get("language"); u.languageOf(code) != nil {
		u.setTaste(w, r, v, languageCookie, code)
	}
	if theme := r.PostForm.Get("theme"); theme == "light" || theme == "dark" || theme == "system" {
		u.setTaste(w, r, v, themeCookie, theme)
	}
	http.Redirect(w, r, ownPath(r.PostForm.Get("next")), http.StatusSeeOther) //nolint:gosec // ownPath leaves paths of these pages alone
	return nil
}

// preferred gives a visit of nobody, as the browser likes to have it.
func (u *UI) preferred(r *http.Request) *visit {
	v := &visit{Language: u.language(r), Path: base}
	if r.Method == http.MethodGet {
		v.Path = r.URL.RequestURI()
	}
	if done := "done." + r.URL.Query().Get("done"); v.Language.has(done) {
		v.Done = done
	}
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		v.Theme = c.Value
	}
	if c, err := r.Cookie(companyCookie); err == nil {
		v.Company, _ = strconv.ParseInt(c.Value, 10, 64) // 0 where it is none
	}
	return v
}

// secretName gives the name under which a browser keeps a secret. The prefix
// has it take none that another host of the domain sets, or that came over a
// connection on which others can listen (RFC 6265bis, section 4.1.3.2); on this
// machine there may be no TLS, which it asks for.
func secretName(r *http.Request, name string) string {
	if onLoopback(r) {
		return name
	}
	return hostPrefix + name
}

const hostPrefix = "__Host-"

// setSecret sets a cookie that is a secret. It is kept from scripts, from
// requests that other sites make, and from connections on which others can
// listen.
func setSecret(w http.ResponseWriter, r *http.Request, name, value string, lives time.Duration) {
	cookie := &http.Cookie{ //nolint:gosec // not secure on this machine alone, where there may be no TLS
		Name: secretName(r, name), Value: value, Path: base, MaxAge: int(lives.Seconds()),
		HttpOnly: true, Secure: !onLoopback(r), SameSite: http.SameSiteLaxMode,
	}
	if cookie.Secure {
		cookie.Path = "/" // as the prefix of its name asks for
	}
	http.SetCookie(w, cookie)
}

// dropSecret has the browser forget a secret.
func dropSecret(w http.ResponseWriter, r *http.Request, name string) {
	setSecret(w, r, name, "", -time.Second)
}

// WithoutSecrets keeps the secrets of these pages' cookies from a handler on
// the same host, as one that records what it is sent.
func WithoutSecrets(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(strings.Join(r.Header["Cookie"], ";"), "fattorino_") {
			next.ServeHTTP(w, r)
			return
		}
		cookies := r.Cookies()
		r = r.Clone(r.Context())
		r.Header.Del("Cookie")
		for _, c := range cookies {
			if name := strings.TrimPrefix(c.Name, hostPrefix); name != sessionCookie && name != attemptCookie && name != portalCookie {
				r.AddCookie(c)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// setCookie sets a cookie that is a taste, for these pages.
func setCookie(w http.ResponseWriter, r *http.Request, name, value string, lives time.Duration) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // not secure on this machine alone, where there may be no TLS
		Name: name, Value: value, Path: base, MaxAge: int(lives.Seconds()),
		HttpOnly: true, Secure: !onLoopback(r), SameSite: http.SameSiteLaxMode,
	})
}

// ownPath gives a path to go on to if it is one of these pages, else the first:
// a link must not lead elsewhere by way of the page to sign in.
func ownPath(next string) string {
	if !strings.HasPrefix(next, base) || strings.ContainsAny(next, "\\\r\n") {
		return base
	}
	return next
}

// onLoopback tells whether the browser is on this machine, where a cookie
// travels over plain HTTP without anyone listening.
func onLoopback(r *http.Request) bool { return isLoopback(r.Host) }

// isLoopback tells whether the host, with a port or without, is this machine.
func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || (err == nil && address.IsLoopback())
}

// readForm reads a form that was posted.
func readForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return &fattorino.Error{Kind: fattorino.Malformed, Msg: "the form cannot be read", Err: err}
	}
	return nil
}

// clip gives at most n bytes of s.
func clip(s string, n int) string { return s[:min(len(s), n)] }
