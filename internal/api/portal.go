package api

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
	"github.com/fattorino-dev/fattorino/internal/portal"
)

// portalPath is where the management UI takes the text of a link.
const portalPath = "/ui/portal/"

// maxPortalBody is room for the largest logo in base64, and for the rest.
const maxPortalBody = portal.MaxLogo*4/3 + maxBody

// CreatePortalLink makes a link to the pages for one app and one company.
func (s *server) CreatePortalLink(w http.ResponseWriter, r *http.Request) {
	s.do(w, r, func() error {
		if err := operator(r, "make portal links"); err != nil {
			return err
		}
		var body NewPortalLink
		if err := httpjson.Decode(w, r, maxPortalBody, &body); err != nil {
			return err
		}
		if body.Minutes < 0 {
			return fattorino.InvalidField("minutes", "minutes is negative")
		}
		if err := s.Service.CheckScopes(body.Scopes); err != nil {
			return err
		}
		link, text, err := s.Portal.Make(r.Context(), portal.Wish{
			App: body.AppID, Company: body.Company, Minutes: body.Minutes, Scopes: body.Scopes,
			Theme: portal.Theme{Name: body.Theme.Name, Color: body.Theme.Color, Logo: body.Theme.Logo},
		})
		if err != nil {
			return err
		}
		if err := s.note(r, "portal_link.make", link.Company, "portal_link/"+link.ID); err != nil {
			return err
		}
		return httpjson.Write(w, http.StatusCreated, PortalLink{ID: link.ID, URL: s.base(r) + portalPath + text, ExpiresAt: link.EndsAt.UTC()})
	})
}

// DeletePortalLink ends a link before its time.
func (s *server) DeletePortalLink(w http.ResponseWriter, r *http.Request, link string) {
	s.do(w, r, func() error {
		if err := operator(r, "withdraw portal links"); err != nil {
			return err
		}
		if err := s.Portal.Withdraw(r.Context(), link); err != nil {
			return err
		}
		if err := s.note(r, "portal_link.withdraw", 0, "portal_link/"+link); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}

// base gives the URL that browsers find the service under: the operator's, else
// as who asks knows it. Off this machine that is https, whatever a proxy makes
// of it on the way here: over anything else the pages do not work.
func (s *server) base(r *http.Request) string {
	if s.PublicURL != "" {
		return strings.TrimSuffix(s.PublicURL, "/")
	}
	if onThisMachine(r.Host) {
		return "http://" + r.Host
	}
	return "https://" + r.Host
}

func onThisMachine(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || (err == nil && address.IsLoopback())
}
