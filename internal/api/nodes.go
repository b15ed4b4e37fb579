package api

import (
	"context"
	"net/http"

	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// Nodes are the processes that serve the database.
type Nodes interface {
	List(ctx context.Context) (NodeList, error)
}

// ListNodes gives the nodes, and what each of them serves.
func (s *server) ListNodes(w http.ResponseWriter, r *http.Request) {
	s.do(w, r, func() error {
		if err := operator(r, "see the nodes"); err != nil {
			return err
		}
		list, err := s.Nodes.List(r.Context())
		if err != nil {
			return err
		}
		return httpjson.Write(w, http.StatusOK, list)
	})
}
