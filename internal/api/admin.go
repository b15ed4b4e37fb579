package api

import (
	"net/http"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// maxBody bounds the bodies of operations that have no bound of their own.
const maxBody = 64 << 10

// ListCompanies lists companies by id.
func (s *server) ListCompanies(w http.ResponseWriter, r *http.Request, params ListCompaniesParams) {
	s.do(w, r, func() error {
		companies, more, err := list(r, s.Service.Companies, params.After, params.Limit)
		if err != nil {
			return err
		}
		page := CompanyPage{Companies: make([]Company, 0, len(companies))}
		for _, c := range companies {
			page.Companies = append(page.Companies, showCompany(c))
		}
		if more {
			page.Next = linkAfter(w, r, companies[len(companies)-1].ID)
		}
		return httpjson.Write(w, http.StatusOK, page)
	})
}

// GetCompany shows one company.
func (s *server) GetCompany(w http.ResponseWriter, r *http.Request, company CompanyID) {
	s.do(w, r, func() error {
		c, err := s.Service.Company(r.Context(), callerOf(r), company)
		if err != nil {
			return err
		}
		return httpjson.Write(w, http.StatusOK, showCompany(c))
	})
}

// PutCompany names a company.
func (s *server) PutCompany(w http.ResponseWriter, r *http.Request, company CompanyID) {
	s.do(w, r, func() error {
		// A pointer, so that a name left out does not pass for an empty one.
		var body struct {
			Name *string `json:"name"`
		}
		if err := httpjson.Decode(w, r, maxBody, &body); err != nil {
			return err
		}
		if body.Name == nil {
			return fattorino.InvalidField("name", "the name is required; it may be empty")
		}
		c, err := s.Service.NameCompany(r.Context(), callerOf(r), company, *body.Name)
		if err != nil {
			return err
		}
		return httpjson.Write(w, http.StatusOK, showCompany(c))
	})
}

// ListApps lists apps by id.
func (s *server) ListApps(w http.ResponseWriter, r *http.Request, params ListAppsParams) {
	s.do(w, r, func() error {
		apps, more, err := list(r, s.Service.Apps, params.After, params.Limit)
		if err != nil {
			return err
		}
		page := AppPage{Apps: make([]App, 0, len(apps))}
		for _, a := range apps {
			page.Apps = append(page.Apps, showApp(a))
		}
		if more {
			page.Next = linkAfter(w, r, apps[len(apps)-1].ID)
		}
		return httpjson.Write(w, http.StatusOK, page)
	})
}

// CreateApp registers an app.
func (s *server) CreateApp(w http.ResponseWriter, r *http.Request) {
	s.do(w, r, func() error {
		var body NewApp
		if err := httpjson.Decode(w, r, maxBody, &body); err != nil {
			return err
		}
		app, err := s.Service.CreateApp(r.Context(), callerOf(r), body.Name)
		if err != nil {
			return err
		}
		return httpjson.Write(w, http.StatusCreated, showApp(app))
	})
}

// ListTokens lists tokens by id.
func (s *server) ListTokens(w http.ResponseWriter, r *http.Request, params ListTokensParams) {
	s.do(w, r, func() error {
		tokens, more, err := list(r, s.Service.Tokens, params.After, params.Limit)
		if err != nil {
			return err
		}
		page := TokenPage{Tokens: make([]Token, 0, len(tokens))}
		for _, t := range tokens {
			page.Tokens = append(page.Tokens, showToken(t))
		}
		if more {
			page.Next = linkAfter(w, r, tokens[len(tokens)-1].ID)
		}
		return httpjson.Write(w, http.StatusOK, page)
	})
}

// CreateToken makes a token and shows its secret.
func (s *server) CreateToken(w http.ResponseWriter, r *http.Request) {
	s.do(w, r, func() error {
		var body NewToken
		if err := httpjson.Decode(w, r, maxBody, &body); err != nil {
			return err
		}
		wish := fattorino.Token{Kind: body.Kind, App: body.AppID, Companies: body.Companies, Scopes: body.Scopes}
		if body.ExpiresAt != "" {
			expires, err := time.Parse(time.RFC3339, body.ExpiresAt)
			if err != nil {
				return fattorino.InvalidField("expires_at", "%q is not a time as 2030-12-31T23:59:59Z (RFC 3339)", body.ExpiresAt)
			}
			wish.ExpiresAt = expires
		}
		made, secret, err := s.Service.CreateToken(r.Context(), callerOf(r), wish)
		if err != nil {
			return err
		}
		t := showToken(made)
		return httpjson.Write(w, http.StatusCreated, CreatedToken{
			ID: t.ID, Kind: t.Kind, AppID: t.AppID, Companies: t.Companies, Scopes: t.Scopes, Hint: t.Hint,
			CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, Token: secret,
		})
	})
}

// RevokeToken puts a token out of force.
func (s *server) RevokeToken(w http.ResponseWriter, r *http.Request, token int64) {
	s.do(w, r, func() error {
		if err := s.Service.RevokeToken(r.Context(), callerOf(r), token); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}
