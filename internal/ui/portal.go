package ui

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/inspect"
	"github.com/fattorino-dev/fattorino/internal/portal"
)

// A portal is these pages for an integrator: opened by a link in place of a
// sign-in, for one app and one company. Its visits make the use cases with a
// token like the app's own, so that what an app may do is decided in one place;
// and of the routes they have those alone that are in openToPortals.

// portalCookie holds the text of the link that was opened.
const portalCookie = "fattorino_portal"

// keptOver is how much longer than its link a browser keeps that cookie, to be
// told that the link is over, and not to be asked for a name and a password.
const keptOver = 24 * time.Hour

// openToPortals are the routes of those who come by a link. One that is not here
// does not exist for them.
func openToPortals() []string {
	const company = base + "companies/{company}/"
	const subscription = company + "subscriptions/{subscription}"
	return []string{
		"GET " + company + "overview",
		"GET " + company + "subscriptions",
		"GET " + company + "subscriptions/new",
		"POST " + company + "subscriptions/new",
		"POST " + company + "subscriptions/preview",
		"GET " + subscription,
		"GET " + subscription + "/edit",
		"POST " + subscription + "/edit",
		"POST " + subscription + "/verify",
		"POST " + subscription + "/test",
		"POST " + subscription + "/enable",
		"POST " + subscription + "/disable",
		"POST " + subscription + "/rotate",
		"GET " + subscription + "/delete",
		"POST " + subscription + "/delete",
		"POST " + subscription + "/restore",
		"GET " + company + "deliveries",
		"GET " + company + "deliveries/live",
		"GET " + company + "deliveries/{delivery}",
		"POST " + company + "deliveries/{delivery}/resend",
		"GET " + company + "events",
		"GET " + company + "events/live",
		"GET " + company + "events/{seq}",
		"GET " + base + "inspect",
		"POST " + base + "inspect",
		"GET " + base + "inspect/{bin}",
		"GET " + base + "inspect/{bin}/live",
		"POST " + base + "inspect/{bin}/check",
		"POST " + base + "inspect/{bin}/answer",
		"POST " + base + "inspect/{bin}/keys",
		"POST " + base + "inspect/{bin}/keys/clear",
		"POST " + base + "inspect/{bin}/clear",
		"POST " + base + "inspect/{bin}/delete",
	}
}

// portalView is what templates show of a portal.
type portalView struct {
	Name   string
	Logo   string // path; empty = the product's
	Style  string // path; empty = the product's colour
	EndsAt time.Time
}

// identifyPortal finds out whether it is someone who came by a link. Where a
// browser has a session of the operator's too, the link goes first: it was
// opened later, and it can do less.
func (u *UI) identifyPortal(ctx context.Context, r *http.Request, v *visit) (found bool, err error) {
	cookie, err := r.Cookie(portalCookie)
	if err != nil || u.Portal == nil {
		return false, nil //nolint:nilerr // no cookie: nobody
	}
	link, err := u.Portal.Open(ctx, cookie.Value, time.Now())
	if err != nil {
		return false, unlessGone(err)
	}
	v.enterPortal(link)
	return true, nil
}

// enterPortal makes a visit that of a link.
func (v *visit) enterPortal(link *portal.Link) {
	v.link, v.Role, v.Company = link, operator, link.Company
	v.owner = inspect.PortalOwner(link.App, link.Company, link.Scopes)
	v.Who = fmt.Sprintf("portal link %s of app %d", link.ID, link.App)
	v.Portal = &portalView{Name: link.Name, EndsAt: link.EndsAt}
	if link.Name == "" {
		v.Portal.Name = "Fattorino"
	}
	if link.Logo != "" {
		v.Portal.Logo = base + "portal-logo/" + link.Logo
	}
	if link.Color != "" {
		v.Portal.Style = base + "portal-theme/" + link.Color + ".css"
	}
}

// caller gives the token that the use cases are called with: the operator's, in
// the name of the app, or that of the portal.
func (v *visit) caller(app int64) *fattorino.Token {
	if v.link != nil {
		token := v.link.Caller()
		token.Name = v.Who
		return token
	}
	token := caller(app)
	token.Name = v.Who
	return token
}

// keepWithin holds a visit of a portal to its routes and its company. The first
// page, which is none of them, leads on.
func (u *UI) keepWithin(w http.ResponseWriter, r *http.Request, v *visit, rt route) (done bool, err error) {
	u.allowFrames(w.Header())
	home := fmt.Sprintf("%scompanies/%d/subscriptions", base, v.link.Company)
	ofCompany := strings.Contains(rt.pattern, "{company}") // else it is of the link's owner
	switch text := r.PathValue("company"); {
	case rt.pattern == "GET "+base+"{$}":
		http.Redirect(w, r, home, http.StatusSeeOther)
		return true, nil
	case rt.role == nobody: // for everyone
		return false, nil
	case !slices.Contains(openToPortals(), rt.pattern), ofCompany && text != fmt.Sprint(v.link.Company):
		return false, nowhere(w, r, v)
	}
	return false, nil
}

// allowFrames lets the pages of the operator's list show this one in a frame.
func (u *UI) allowFrames(h http.Header) {
	if len(u.FrameAncestors) == 0 {
		return
	}
	policy := strings.Replace(h.Get("Content-Security-Policy"), "frame-ancestors 'none'", "frame-ancestors "+strings.Join(u.FrameAncestors, " "), 1)
	h.Set("Content-Security-Policy", policy)
	h.Del("X-Frame-Options") // which knows no list (RFC 7034, section 2.1)
}

// CheckFrameAncestor fails for what is no origin that pages of a portal can be
// framed by: https, or http on this machine, and a host.
func CheckFrameAncestor(origin string) error {
	at, err := url.Parse(origin)
	if err != nil || at.Host == "" || at.Scheme+"://"+at.Host != origin || strings.ContainsAny(at.Host, "*@;,'\" \t\r\n") {
		return fmt.Errorf("%q is not an origin such as https://app.example.com", origin)
	}
	if at.Scheme == "https" || (at.Scheme == "http" && isLoopback(at.Host)) {
		return nil
	}
	return fmt.Errorf("%q is not served over https", origin)
}

// openPortal takes the text of a link in, and leads on to the pages.
func (u *UI) openPortal(w http.ResponseWriter, r *http.Request, _ *visit) error {
	text := r.PathValue("link")
	link, err := u.Portal.Open(r.Context(), text, time.Now())
	if fattorino.KindOf(err) == fattorino.NotFound {
		return u.portalOver(w, r)
	}
	if err != nil {
		return err
	}
	u.allowFrames(w.Header())
	u.setFramedCookie(w, r, portalCookie, text, time.Until(link.EndsAt)+keptOver)
	http.Redirect(w, r, base, http.StatusSeeOther)
	return nil
}

// leavePortal has the browser forget the link.
func (u *UI) leavePortal(w http.ResponseWriter, r *http.Request, _ *visit) error {
	u.setFramedCookie(w, r, portalCookie, "", -time.Second)
	return u.portalOver(w, r)
}

// portalOver says that the link is over, or none: which of them is nobody's
// business.
func (u *UI) portalOver(w http.ResponseWriter, r *http.Request) error {
	u.allowFrames(w.Header())
	return u.render(w, u.preferred(r), http.StatusGone, "portal", nil)
}

// inPortal tells of a request of nobody that it comes from a portal that is
// over, or from a frame, in which nobody signs in.
func inPortal(r *http.Request) bool {
	_, err := r.Cookie(portalCookie)
	return err == nil || r.Header.Get("Sec-Fetch-Dest") == "iframe"
}

// setFramedCookie sets a cookie that holds in a frame of another site's page as
// well, where the operator allows frames: there, apart for each such site
// (CHIPS). It is then Secure on this machine too, where browsers take that over
// plain HTTP.
func (u *UI) setFramedCookie(w http.ResponseWriter, r *http.Request, name, value string, lives time.Duration) {
	if len(u.FrameAncestors) == 0 {
		setCookie(w, r, name, value, lives)
		return
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // in a frame of another site no other SameSite is sent
		Name: name, Value: value, Path: base, MaxAge: int(lives.Seconds()),
		HttpOnly: true, Secure: true, SameSite: http.SameSiteNoneMode, Partitioned: true,
	})
}

// portalLogo answers with the logo of who asks.
func (u *UI) portalLogo(w http.ResponseWriter, r *http.Request, v *visit) error {
	name := r.PathValue("logo")
	if v.link == nil || v.link.Logo != name {
		return nowhere(w, r, v)
	}
	logo, err := u.Portal.Logo(r.Context(), name)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", portal.LogoType(logo))
	w.Header().Set("Cache-Control", "private, max-age=3600")
	_, _ = w.Write(logo) //nolint:gosec // a picture, served as such; a caller that has gone away is no error of ours
	return nil
}

// portalTheme answers with the style of a colour.
func (u *UI) portalTheme(w http.ResponseWriter, r *http.Request, v *visit) error {
	name, ok := strings.CutSuffix(r.PathValue("file"), ".css")
	accent, err := parseColor(name)
	if !ok || err != nil {
		return nowhere(w, r, v)
	}
	w.Header().Set("Content-Type", contentType(".css"))
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write([]byte(styleOf(accent))) //nolint:gosec // numbers alone; a caller that has gone away is no error of ours
	return nil
}

// appsOf gives the apps that the visitor may see: all, or that of the portal.
func (u *UI) appsOf(ctx context.Context, v *visit) ([]*fattorino.App, error) {
	if v.link == nil {
		return u.allApps(ctx)
	}
	list, err := u.Service.Apps(ctx, caller(0), v.link.App-1, 1) // the first one after
	return slices.DeleteFunc(list, func(a *fattorino.App) bool { return a.ID != v.link.App }), err
}

// setTaste keeps what the visitor likes.
func (u *UI) setTaste(w http.ResponseWriter, r *http.Request, v *visit, name, value string) {
	if v.link != nil {
		u.setFramedCookie(w, r, name, value, tasteLives)
		return
	}
	setCookie(w, r, name, value, tasteLives)
}
