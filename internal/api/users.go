package api

import (
	"context"
	"net/http"

	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// Users are the people who sign in to the management UI with a password.
type Users interface {
	// List gives all of them, by name.
	List(ctx context.Context) ([]User, error)
	// Add makes a user. It fails with Invalid, and with Conflict where the name
	// is taken.
	Add(ctx context.Context, u NewUser) (User, error)
	// Change gives a user another role, password or both; what is empty stays.
	// It fails with Invalid and NotFound.
	Change(ctx context.Context, name string, c UserChange) (User, error)
	// Delete removes a user. It fails with NotFound.
	Delete(ctx context.Context, name string) error
}

// ListUsers gives all users.
func (s *server) ListUsers(w http.ResponseWriter, r *http.Request) {
	s.do(w, r, func() error {
		if err := operator(r, "see the users"); err != nil {
			return err
		}
		users, err := s.Users.List(r.Context())
		if err != nil {
			return err
		}
		return httpjson.Write(w, http.StatusOK, UserList{Users: users})
	})
}

// CreateUser makes a user.
func (s *server) CreateUser(w http.ResponseWriter, r *http.Request) {
	s.do(w, r, func() error {
		if err := operator(r, "make users"); err != nil {
			return err
		}
		var body NewUser
		if err := httpjson.Decode(w, r, maxBody, &body); err != nil {
			return err
		}
		made, err := s.Users.Add(r.Context(), body)
		if err != nil {
			return err
		}
		if err := s.note(r, "user.add", 0, "user/"+made.Name); err != nil {
			return err
		}
		return httpjson.Write(w, http.StatusCreated, made)
	})
}

// ChangeUser gives a user another role or password.
func (s *server) ChangeUser(w http.ResponseWriter, r *http.Request, name string) {
	s.do(w, r, func() error {
		if err := operator(r, "change users"); err != nil {
			return err
		}
		var body UserChange
		if err := httpjson.Decode(w, r, maxBody, &body); err != nil {
			return err
		}
		changed, err := s.Users.Change(r.Context(), name, body)
		if err != nil {
			return err
		}
		if err := s.note(r, "user.change", 0, "user/"+changed.Name); err != nil {
			return err
		}
		return httpjson.Write(w, http.StatusOK, changed)
	})
}

// DeleteUser removes a user.
func (s *server) DeleteUser(w http.ResponseWriter, r *http.Request, name string) {
	s.do(w, r, func() error {
		if err := operator(r, "delete users"); err != nil {
			return err
		}
		if err := s.Users.Delete(r.Context(), name); err != nil {
			return err
		}
		if err := s.note(r, "user.delete", 0, "user/"+name); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}
