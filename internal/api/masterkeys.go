package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// MasterKeyring are the keys that encrypt the secrets in the store.
type MasterKeyring interface {
	// List tells which there are.
	List() MasterKeys
	// Add makes a key, which is durable before it seals anything. It fails with
	// Conflict where the keys come from the settings.
	Add() error
	// Remove takes a key away for good. It fails with NotFound, and with
	// Conflict for one that is still needed or comes from the settings.
	Remove(ctx context.Context, id string) error
	// Reseal seals some secrets anew, or only counts them.
	Reseal(ctx context.Context, r ResealRequest) (Resealed, error)
}

// operator refuses callers who are not the operator.
func operator(r *http.Request, what string) error {
	if callerOf(r).Kind == fattorino.AdminToken {
		return nil
	}
	return &fattorino.Error{
		Kind: fattorino.Denied, Code: "NO_PERMISSION",
		Msg: "only the operator may " + what, Fix: `use a token of kind "admin"`,
	}
}

// note writes into the audit what is done elsewhere than in a use case.
func (s *server) note(r *http.Request, action string, company int64, object string) error {
	return s.Service.Note(r.Context(), callerOf(r), action, company, object)
}

// ListMasterKeys gives the ids of the master keys.
func (s *server) ListMasterKeys(w http.ResponseWriter, r *http.Request) {
	s.do(w, r, func() error {
		if err := operator(r, "see the master keys"); err != nil {
			return err
		}
		return httpjson.Write(w, http.StatusOK, s.MasterKeys.List())
	})
}

// AddMasterKey makes a master key.
func (s *server) AddMasterKey(w http.ResponseWriter, r *http.Request) {
	s.do(w, r, func() error {
		if err := operator(r, "make a master key"); err != nil {
			return err
		}
		if err := s.MasterKeys.Add(); err != nil {
			return err
		}
		there := s.MasterKeys.List()
		if err := s.note(r, "master_key.add", 0, "master_key/"+there.MasterKeys[0]); err != nil {
			return err
		}
		return httpjson.Write(w, http.StatusCreated, there)
	})
}

// ResealSecrets seals some secrets under the current master key.
func (s *server) ResealSecrets(w http.ResponseWriter, r *http.Request) {
	s.do(w, r, func() error {
		if err := operator(r, "re-seal secrets"); err != nil {
			return err
		}
		var body ResealRequest
		if err := httpjson.Decode(w, r, maxBody, &body); err != nil {
			return err
		}
		if body.After < 0 {
			return fattorino.InvalidField("after", "after is negative")
		}
		done, err := s.MasterKeys.Reseal(r.Context(), body)
		if err != nil {
			return err
		}
		if done.Resealed > 0 {
			if err := s.note(r, "master_key.reseal", 0, fmt.Sprintf("%d secrets", done.Resealed)); err != nil {
				return err
			}
		}
		return httpjson.Write(w, http.StatusOK, done)
	})
}

// RemoveMasterKey removes a master key that is not needed any more.
func (s *server) RemoveMasterKey(w http.ResponseWriter, r *http.Request, id string) {
	s.do(w, r, func() error {
		if err := operator(r, "remove a master key"); err != nil {
			return err
		}
		if err := s.MasterKeys.Remove(r.Context(), id); err != nil {
			return err
		}
		if err := s.note(r, "master_key.remove", 0, "master_key/"+id); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}
