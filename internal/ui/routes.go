package ui

import (
	"context"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
	"github.com/fattorino-dev/fattorino/internal/portal"
)

// A route is one page or action, and the role that it needs.
type route struct {
	pattern string
	role    role
	handle  func(http.ResponseWriter, *http.Request, *visit) error
}

// routes is the table of all that is served.
func (u *UI) routes() []route {
	const company = base + "companies/{company}/"
	const subscription = company + "subscriptions/{subscription}"
	return []route{
		{"GET " + base + "static/{file...}", nobody, u.assets.serve},
		{"GET " + base + "sign-in", nobody, u.signInPage},
		{"POST " + base + "sign-in", nobody, u.signIn},
		{"GET " + base + "sign-in/oidc", nobody, u.startOpenID},
		{"GET " + callbackPath, nobody, u.finishOpenID},
		{"POST " + base + "sign-out", nobody, u.signOut},
		{"POST " + base + "preferences", nobody, u.preferences},
		{"GET " + base + "portal/{link}", nobody, u.openPortal},
		{"POST " + base + "portal-end", nobody, u.leavePortal},
		{"GET " + base + "portal-logo/{logo}", nobody, u.portalLogo},
		{"GET " + base + "portal-theme/{file}", nobody, u.portalTheme},
		{"GET " + base + "{$}", viewer, u.landing},
		{"GET " + base + "password", viewer, u.passwordPage},
		{"POST " + base + "password", viewer, u.changePassword},

		{"GET " + company + "overview", viewer, u.overview},
		{"GET " + company + "subscriptions", viewer, u.subscriptions},
		{"GET " + company + "subscriptions/new", operator, u.newSubscription},
		{"POST " + company + "subscriptions/new", operator, u.createSubscription},
		{"POST " + company + "subscriptions/preview", operator, u.preview},
		{"GET " + subscription, viewer, u.subscription},
		{"GET " + subscription + "/edit", operator, u.editSubscription},
		{"POST " + subscription + "/edit", operator, u.changeSubscription},
		{"POST " + subscription + "/verify", operator, u.verify},
		{"POST " + subscription + "/test", operator, u.test},
		{"POST " + subscription + "/enable", operator, u.enable},
		{"POST " + subscription + "/disable", operator, u.disable},
		{"POST " + subscription + "/rotate", operator, u.rotate},
		{"GET " + subscription + "/delete", operator, u.confirmDelete},
		{"POST " + subscription + "/delete", operator, u.deleteSubscription},
		{"POST " + subscription + "/restore", operator, u.restoreSubscription},

		{"GET " + company + "deliveries", viewer, u.deliveries},
		{"GET " + company + "deliveries/resend", operator, u.confirmResend},
		{"POST " + company + "deliveries/resend", operator, u.resendAll},
		{"POST " + company + "deliveries/resend/stop", operator, u.stopResending},
		{"GET " + company + "deliveries/live", viewer, u.liveDeliveries},
		{"GET " + company + "deliveries/{delivery}", viewer, u.delivery},
		{"POST " + company + "deliveries/{delivery}/resend", operator, u.resend},
		{"GET " + company + "events", viewer, u.events},
		{"GET " + company + "events/live", viewer, u.liveEvents},
		{"GET " + company + "events/{seq}", viewer, u.event},

		{"GET " + base + "inspect", viewer, u.bins},
		{"POST " + base + "inspect", operator, u.createBin},
		{"GET " + base + "inspect/{bin}", viewer, u.binPage},
		{"GET " + base + "inspect/{bin}/live", viewer, u.liveBin},
		{"POST " + base + "inspect/{bin}/check", viewer, u.checkArrival},
		{"POST " + base + "inspect/{bin}/answer", operator, u.setAnswer},
		{"POST " + base + "inspect/{bin}/keys", operator, u.addBinKey},
		{"POST " + base + "inspect/{bin}/keys/clear", operator, u.clearBinKeys},
		{"POST " + base + "inspect/{bin}/clear", operator, u.clearBin},
		{"POST " + base + "inspect/{bin}/delete", operator, u.deleteBin},

		{"GET " + base + "subscriptions", viewer, u.allSubscriptions},
		{"GET " + base + "companies", viewer, u.companies},
		{"POST " + base + "companies", admin, u.nameCompany},
		{"GET " + base + "apps", viewer, u.apps},
		{"POST " + base + "apps", admin, u.createApp},
		{"GET " + base + "tokens", admin, u.tokens},
		{"POST " + base + "tokens", admin, u.createToken},
		{"POST " + base + "tokens/{token}/revoke", admin, u.revokeToken},
		{"GET " + base + "catalogs", viewer, u.catalogs},
		{"GET " + base + "keys", viewer, u.keys},
		{"POST " + base + "keys/rotate", admin, u.rotateKey},
		{"GET " + base + "users", admin, u.users},
		{"POST " + base + "users", admin, u.addUser},
		{"POST " + base + "users/{name}", admin, u.changeUser},
		{"POST " + base + "users/{name}/delete", admin, u.deleteUser},
		{"GET " + base + "audit", admin, u.audit},
		{"GET " + base + "settings", admin, u.settings},
	}
}

// A visit is one request of a browser: who it is, and how pages are to look.
type visit struct {
	Who      string // name of who is signed in; empty with an admin token
	Subject  string // who it is at the OpenID issuer; empty for who did not sign in there
	Role     role
	owner    string // to whom bins belong: the user, else the token
	Language *language
	Theme    string // light, dark; empty = as the system has it
	Path     string // to come back to, with the query
	Done     string // what was just done, to be said on the page; empty = nothing

	Company     int64 // the company looked at now, or last; 0 = none
	CompanyName string

	Portal *portalView  // how a portal looks; nil = it is none
	link   *portal.Link // by which they came; nil = they have signed in
}

// may tells whether who visits has the role.
func (v *visit) may(r role) bool { return v.Role >= r }

// Operates and Administers tell templates what to offer.
func (v *visit) Operates() bool { return v.may(operator) }

// Administers is described with [visit.Operates].
func (v *visit) Administers() bool { return v.may(admin) }

// HasPassword tells whether it is a user, who has a password here.
func (v *visit) HasPassword() bool { return v.Who != "" && v.Subject == "" }

// SignedIn tells whether it is anybody.
func (v *visit) SignedIn() bool { return v.Role > nobody }

// guard lets through who has the route's role. Others are shown where to sign
// in, or told that they may not.
func (u *UI) guard(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		harden(w.Header())
		v := u.preferred(r)
		render := func(w http.ResponseWriter, e *fattorino.Error) { u.renderError(w, v, e) }
		httpjson.Handle(u.Log, render, func(w http.ResponseWriter, r *http.Request) error {
			if err := u.identify(r.Context(), r, v); err != nil {
				return err
			}
			if v.link != nil {
				if done, err := u.keepWithin(w, r, v, rt); done || err != nil {
					return err
				}
			}
			switch {
			case v.Role == nobody && rt.role > nobody && inPortal(r):
				return u.portalOver(w, r)
			case v.Role == nobody && rt.role > nobody:
				toSignIn(w, r)
				return nil
			case !v.may(rt.role):
				return &fattorino.Error{
					Kind: fattorino.Denied, Msg: v.Language.T("error.role", v.Language.T("role."+rt.role.String())),
					Fix: v.Language.T("error.role.fix"),
				}
			}
			if v.Role > nobody {
				if err := u.enterCompany(w, r, v); err != nil {
					return err
				}
			}
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			if err := rt.handle(w, r, v); err != nil {
				return err
			}
			u.note(r, v, rt)
			return nil
		}).ServeHTTP(w, r)
	})
}

// note writes into the log who did what.
func (u *UI) note(r *http.Request, v *visit, rt route) {
	if r.Method != http.MethodPost || rt.role == nobody {
		return
	}
	who := v.Who
	if who == "" {
		who = "admin token"
	}
	attrs := []any{"who", who, "role", v.Role.String(), "path", r.URL.Path}
	if v.Subject != "" {
		attrs = append(attrs, "subject", v.Subject) // the name is as its bearer likes it
	}
	u.Log.InfoContext(r.Context(), "done in the management UI", attrs...)
}

// maxForm bounds a form: filters may have 64 KiB.
const maxForm = 256 << 10 // bytes

// harden tells browsers what pages may do: nothing but load what is served
// here. Nothing of a page is kept, for what it shows is for who is signed in.
func harden(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// identify finds out who is signed in.
func (u *UI) identify(ctx context.Context, r *http.Request, v *visit) error {
	if found, err := u.identifyPortal(ctx, r, v); found || err != nil {
		return err
	}
	cookie, err := r.Cookie(secretName(r, sessionCookie))
	if err != nil {
		return nil //nolint:nilerr // no cookie: nobody
	}
	s, err := u.accounts.session(ctx, cookie.Value, time.Now())
	if err != nil {
		return unlessGone(err)
	}
	if p := s.Person; p != nil {
		if v.Role = u.OpenID.role(p); v.Role > nobody {
			v.Who, v.Subject = p.Name, p.Subject
			v.owner = "openid/" + sessionID(p.Issuer+" "+p.Subject)
		}
		return nil
	}
	if s.User == "" {
		token, err := u.Service.AuthenticateHash(ctx, s.Token)
		if err == nil && token.Kind == fattorino.AdminToken {
			v.Role, v.owner = admin, "token/"+hex.EncodeToString(s.Token)
		}
		return unlessGone(err)
	}
	account, err := u.accounts.user(ctx, s.User)
	if err == nil && !s.OpenedAt.Before(account.PasswordAt) {
		v.Who, v.Role = account.Name, account.Role
		// A user who is made anew under the same name is another.
		v.owner = "user/" + strings.ToLower(account.Name) + "/" + strconv.FormatInt(account.CreatedAt.UnixMicro(), 10)
	}
	return unlessGone(err)
}

// unlessGone is err, but where it says that there is no such session, user or
// token any more: then nobody is signed in, and nothing went wrong.
func unlessGone(err error) error {
	if kind := fattorino.KindOf(err); kind == fattorino.NotFound || kind == fattorino.Unauthenticated {
		return nil
	}
	return err
}

// toSignIn sends to the page to sign in, and from there back.
func toSignIn(w http.ResponseWriter, r *http.Request) {
	target := base + "sign-in"
	if r.Method == http.MethodGet && r.URL.Path != base {
		target += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

// enterCompany notes the company whose page it is, so that the navigation stays
// with it; on pages of no company, the one looked at before.
func (u *UI) enterCompany(w http.ResponseWriter, r *http.Request, v *visit) error {
	if text := r.PathValue("company"); text != "" {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 {
			return fattorino.Errorf(fattorino.NotFound, "there is no such company")
		}
		if v.Company != id {
			v.Company = id
			setCookie(w, r, companyCookie, text, tasteLives)
		}
	}
	if v.Company < 1 {
		return nil
	}
	company, err := u.Service.Company(r.Context(), v.caller(0), v.Company)
	switch {
	case err == nil:
		v.CompanyName = company.Name
	case fattorino.KindOf(err) != fattorino.NotFound:
		return err
	case r.PathValue("company") != "":
		return fattorino.Errorf(fattorino.NotFound, "there is no company %d", v.Company)
	default:
		v.Company = 0
	}
	return nil
}
