package defacto

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// A problem is the body of an error: the members of RFC 7807 that Defacto
// uses, and its invalid_params. Type is what a program tells errors by.
type problem struct {
	Type          string         `json:"type"`
	Title         string         `json:"title"`
	Status        int            `json:"status"`
	Detail        string         `json:"detail"`
	Instance      string         `json:"instance"` // the path asked for, without its query
	InvalidParams []invalidParam `json:"invalid_params,omitempty"`
}

// An invalidParam is one broken rule, with the dotted path of its place in the
// body or the name of a query parameter.
type invalidParam struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// problemBase starts the type of every problem: the place in /docs that
// explains it.
const problemBase = "/docs#error-"

// problemOf is the one table of errors and statuses. Defacto's list is 400,
// 401, 402, 404, 422 and 500; a request that is right in itself and fails by
// how things stand is its 402. The other statuses are in no list of Defacto:
// nothing in it tells a client what to do.
func problemOf(k fattorino.Kind) problem {
	switch k {
	case fattorino.Malformed:
		return problem{Type: "malformed", Title: "The request cannot be read", Status: http.StatusBadRequest}
	case fattorino.Invalid:
		return problem{Type: "invalid", Title: "The request breaks a rule", Status: http.StatusUnprocessableEntity}
	case fattorino.Unauthenticated:
		return problem{Type: "unauthenticated", Title: "A valid API key is needed", Status: http.StatusUnauthorized}
	case fattorino.Denied:
		return problem{Type: "denied", Title: "The API key does not allow this", Status: http.StatusForbidden}
	case fattorino.NotFound, fattorino.Gone:
		return problem{Type: "not-found", Title: "There is no such thing", Status: http.StatusNotFound}
	case fattorino.Conflict, fattorino.Stale:
		return problem{Type: "conflict", Title: "The request failed", Status: http.StatusPaymentRequired}
	case fattorino.TooLarge:
		return problem{Type: "too-large", Title: "The request is too large", Status: http.StatusRequestEntityTooLarge}
	case fattorino.TooMany:
		return problem{Type: "too-many", Title: "Too many requests", Status: http.StatusTooManyRequests}
	case fattorino.Unavailable:
		return problem{Type: "unavailable", Title: "Not at the moment", Status: http.StatusServiceUnavailable}
	case fattorino.Internal:
	}
	return problem{Type: "internal", Title: "Something is wrong with the server", Status: http.StatusInternalServerError}
}

// defaultRetry is what Retry-After says where the error does not.
const defaultRetry = 10 * time.Second

// render writes the error as a problem of the path.
func render(w http.ResponseWriter, path string, e *fattorino.Error) {
	p := problemOf(e.Kind)
	if e.Kind == fattorino.TooMany || e.Kind == fattorino.Unavailable {
		wait := e.RetryAfter
		if wait <= 0 {
			wait = defaultRetry
		}
		w.Header().Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
	for _, f := range e.Faults {
		p.InvalidParams = append(p.InvalidParams, invalidParam{Name: f.Field, Reason: f.Msg})
	}
	p.Detail = sentence(e)
	writeProblem(w, path, p)
}

func writeProblem(w http.ResponseWriter, path string, p problem) {
	p.Type, p.Instance = problemBase+p.Type, path
	w.Header().Set("Cache-Control", "no-store")
	_ = httpjson.WriteAs(w, p.Status, "application/problem+json", p) // strings and numbers always encode
}

// sentence gives what happened and what can be done: there is one member for
// both.
func sentence(e *fattorino.Error) string {
	switch {
	case e.Fix == "":
		return e.Msg
	case strings.HasSuffix(e.Msg, "."):
		return e.Msg + " " + e.Fix
	}
	return e.Msg + ": " + e.Fix
}

// notFound answers a path that leads nowhere.
func notFound(w http.ResponseWriter, r *http.Request) {
	render(w, r.URL.Path, fattorino.Errorf(fattorino.NotFound, "there is nothing at this path"))
}

// notAllowed answers a method that the path does not have.
func notAllowed(allow string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allow)
		writeProblem(w, r.URL.Path, problem{
			Type: "method-not-allowed", Title: "The path does not know this method", Status: http.StatusMethodNotAllowed,
			Detail: "use one of " + allow,
		})
	})
}
