package api

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// maxSchemaBody bounds the bodies that hold a JSON Schema; how large the schema
// itself may be is for the use case to say.
const maxSchemaBody = 512 << 10

// defaultDryRun is how many events a dry run checks where it is not said.
const defaultDryRun = 1000

// GetType shows one type of the native catalog.
func (s *server) GetType(w http.ResponseWriter, r *http.Request, name TypeName) {
	s.do(w, r, func() error {
		t, ok := s.catalog(nativeContract).Type(name)
		if !ok {
			return &fattorino.Error{Kind: fattorino.NotFound, Msg: "the native catalog has no such type", Fix: "see /v1/catalogs/native for those there are"}
		}
		return httpjson.Write(w, http.StatusOK, showType(t))
	})
}

// PutType makes a type of the operator's, or replaces what is said of it.
func (s *server) PutType(w http.ResponseWriter, r *http.Request, name TypeName, params PutTypeParams) {
	s.do(w, r, func() error {
		var body NewType
		if err := httpjson.Decode(w, r, maxSchemaBody, &body); err != nil {
			return err
		}
		put, created, err := s.Service.PutOwnType(r.Context(), callerOf(r), fattorino.OwnType{
			Name: name, Description: body.Description, Common: body.Common, Schema: schemaIn(body.Schema), Deprecated: body.Deprecated,
		}, params.DryRun)
		if err != nil {
			return err
		}
		shown := fattorino.EventType{Name: put.Name, Own: put}
		if put.Common != "" {
			shown.Common = []string{put.Common}
		}
		if now, ok := s.catalog(nativeContract).Type(name); ok { // else it is a dry run
			shown.Common, shown.Scopes = now.Common, now.Scopes
		}
		return httpjson.Write(w, putStatus(created, params.DryRun), showType(shown))
	})
}

// schemaIn gives a schema as it was sent; null is none.
func schemaIn(raw json.RawMessage) []byte {
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	return raw
}

func putStatus(created bool, dryRun DryRun) int {
	if created && !dryRun {
		return http.StatusCreated
	}
	return http.StatusOK
}

// DeleteType takes back what the operator said of a type.
func (s *server) DeleteType(w http.ResponseWriter, r *http.Request, name TypeName) {
	s.do(w, r, func() error {
		if err := s.Service.DeleteOwnType(r.Context(), callerOf(r), name); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}

// DryRunSchema checks stored events against a schema.
func (s *server) DryRunSchema(w http.ResponseWriter, r *http.Request, name TypeName) {
	s.do(w, r, func() error {
		var body DryRunRequest
		if err := httpjson.Decode(w, r, maxSchemaBody, &body); err != nil {
			return err
		}
		last := defaultDryRun
		if body.Last != nil {
			last = *body.Last
		}
		found, err := s.Service.DryRunSchema(r.Context(), callerOf(r), name, schemaIn(body.Schema), last)
		if err != nil {
			return err
		}
		answer := DryRunAnswer{Checked: found.Checked, Failed: found.Failed, Faults: []FailedEvent{}}
		for _, e := range found.Samples {
			failed := FailedEvent{Company: e.Company, Seq: e.Seq, ID: e.ID, Errors: []ProblemFault{}}
			for _, f := range e.Faults {
				failed.Errors = append(failed.Errors, ProblemFault{Field: f.Field, Detail: f.Msg})
			}
			answer.Faults = append(answer.Faults, failed)
		}
		return httpjson.Write(w, http.StatusOK, answer)
	})
}

// GetGroup shows one group of the native catalog.
func (s *server) GetGroup(w http.ResponseWriter, r *http.Request, name string) {
	s.do(w, r, func() error {
		for _, g := range s.catalog(nativeContract).Groups {
			if g.Name == name {
				return httpjson.Write(w, http.StatusOK, TypeGroup{Name: g.Name, Types: g.Types})
			}
		}
		return &fattorino.Error{Kind: fattorino.NotFound, Msg: "the native catalog has no such group", Fix: "see /v1/catalogs/native for those there are"}
	})
}

// PutGroup makes a group of the operator's, or replaces its types.
func (s *server) PutGroup(w http.ResponseWriter, r *http.Request, name string, params PutGroupParams) {
	s.do(w, r, func() error {
		var body NewGroup
		if err := httpjson.Decode(w, r, maxBody, &body); err != nil {
			return err
		}
		created, err := s.Service.PutOwnGroup(r.Context(), callerOf(r), fattorino.Group{Name: name, Types: body.Types}, params.DryRun)
		if err != nil {
			return err
		}
		return httpjson.Write(w, putStatus(created, params.DryRun), TypeGroup{Name: name, Types: body.Types})
	})
}

// DeleteGroup deletes a group of the operator's.
func (s *server) DeleteGroup(w http.ResponseWriter, r *http.Request, name string) {
	s.do(w, r, func() error {
		if err := s.Service.DeleteOwnGroup(r.Context(), callerOf(r), name); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}

// showType shows a type with its schema.
func showType(t fattorino.EventType) TypeDetail {
	shown := TypeDetail{Name: t.Name, Common: orEmpty(t.Common), Scopes: orEmpty(t.Scopes)}
	if t.Own != nil {
		shown.Own, shown.Description, shown.Schema, shown.Deprecated = true, t.Own.Description, t.Own.Schema, t.Own.Deprecated
		shown.CreatedAt, shown.UpdatedAt = utc(t.Own.CreatedAt), utc(t.Own.UpdatedAt)
	}
	return shown
}

// showEventType shows a type in the list of its catalog, where a schema would
// take too much room.
func showEventType(t fattorino.EventType) EventType {
	shown := EventType{Name: t.Name, Common: orEmpty(t.Common), Scopes: orEmpty(t.Scopes)}
	if t.Own != nil {
		shown.Own, shown.Description, shown.HasSchema, shown.Deprecated = true, t.Own.Description, len(t.Own.Schema) > 0, t.Own.Deprecated
	}
	return shown
}
