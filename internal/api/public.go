package api

import (
	"io"
	"net/http"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// cacheKeys lets verifiers keep a key for five minutes: a key signs as soon as
// it is made, and one who meets an unknown kid reads the set again.
const cacheKeys = "public, max-age=300"

// ListCatalogs gives all catalogs.
func (s *server) ListCatalogs(w http.ResponseWriter, r *http.Request) {
	s.do(w, r, func() error {
		all := s.Service.Catalogs().All()
		answer := Catalogs{Catalogs: make([]Catalog, 0, len(all))}
		for _, c := range all {
			answer.Catalogs = append(answer.Catalogs, showCatalog(c))
		}
		return httpjson.Write(w, http.StatusOK, answer)
	})
}

// GetCatalog gives the catalog of one contract.
func (s *server) GetCatalog(w http.ResponseWriter, r *http.Request, contract string) {
	s.do(w, r, func() error {
		for _, c := range s.Service.Catalogs().All() {
			if c.Contract == contract {
				return httpjson.Write(w, http.StatusOK, showCatalog(c))
			}
		}
		return &fattorino.Error{Kind: fattorino.NotFound, Msg: "there is no such contract", Fix: "see /v1/catalogs for those there are"}
	})
}

// GetKey gives the public key that signs for a contract.
func (s *server) GetKey(w http.ResponseWriter, r *http.Request, key KeyName) {
	s.do(w, r, func() error {
		public, err := s.Keys.PublicKey(key)
		if err != nil {
			return err
		}
		w.Header().Set("Cache-Control", cacheKeys)
		return httpjson.Write(w, http.StatusOK, public)
	})
}

// RotateKey puts a new key in the place of the one that signs.
func (s *server) RotateKey(w http.ResponseWriter, r *http.Request, key KeyName) {
	s.do(w, r, func() error {
		if err := operator(r, "rotate keys"); err != nil {
			return err
		}
		if err := s.Keys.Rotate(r.Context(), key); err != nil {
			return err
		}
		if err := s.note(r, "key.rotate", 0, "key/"+key); err != nil {
			return err
		}
		public, err := s.Keys.PublicKey(key)
		if err != nil {
			return err
		}
		return httpjson.Write(w, http.StatusOK, public)
	})
}

// GetKeySet gives every key that signatures may be verified with.
func (s *server) GetKeySet(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", cacheKeys)
	w.Header().Set("Content-Type", "application/jwk-set+json") // RFC 7517, section 8.5.2
	_, _ = w.Write(s.Keys.JWKS())                              // a caller that has gone away is no error of ours
}

// GetDescription gives openapi.yaml.
func (s *server) GetDescription(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml") // RFC 9512
	_, _ = io.WriteString(w, s.description)
}

// GetDocs gives the page made of openapi.yaml.
func (s *server) GetDocs(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", s.docs.policy)
	h.Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(s.docs.html)
}
