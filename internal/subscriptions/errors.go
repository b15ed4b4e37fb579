package subscriptions

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// A problem is the body of an error (RFC 9457), with the members that the
// native API has.
type problem struct {
	Type   string  `json:"type"` // what a program tells errors by
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail"`
	Code   string  `json:"code,omitempty"`
	Fix    string  `json:"fix,omitempty"`
	Errors []fault `json:"errors,omitempty"`
}

// A fault is one broken rule with the dotted path of its place in the body.
type fault struct {
	Detail string `json:"detail"`
	Field  string `json:"field"`
}

// problemBase starts the type of every problem: the place in /docs that
// explains it.
const problemBase = "/docs#error-"

// defaultRetry is what Retry-After says where the error does not.
const defaultRetry = 5 * time.Second

// problemOf is the one table of errors and statuses. The published description
// knows 400 and 404; the others tell a client what to do.
func problemOf(k fattorino.Kind) problem {
	switch k {
	case fattorino.Malformed:
		return problem{Type: "malformed", Title: "The request cannot be read", Status: http.StatusBadRequest}
	case fattorino.Invalid:
		return problem{Type: "invalid", Title: "The request breaks a rule", Status: http.StatusUnprocessableEntity}
	case fattorino.Unauthenticated:
		return problem{Type: "unauthenticated", Title: "A valid token is needed", Status: http.StatusUnauthorized}
	case fattorino.Denied:
		return problem{Type: "denied", Title: "The token does not allow this", Status: http.StatusForbidden}
	case fattorino.NotFound, fattorino.Gone:
		return problem{Type: "not-found", Title: "There is no such thing", Status: http.StatusNotFound}
	case fattorino.Conflict, fattorino.Stale:
		return problem{Type: "conflict", Title: "It contradicts what is there", Status: http.StatusConflict}
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

// render answers with the problem that e is.
func render(w http.ResponseWriter, e *fattorino.Error) {
	p := problemOf(e.Kind)
	p.Detail, p.Code, p.Fix = e.Msg, e.Code, e.Fix
	for _, f := range e.Faults {
		p.Errors = append(p.Errors, fault{Detail: f.Msg, Field: f.Field})
	}
	if e.Kind == fattorino.TooMany || e.Kind == fattorino.Unavailable {
		wait := e.RetryAfter
		if wait <= 0 {
			wait = defaultRetry
		}
		w.Header().Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
	writeProblem(w, p)
}

func writeProblem(w http.ResponseWriter, p problem) {
	p.Type = problemBase + p.Type
	w.Header().Set("Cache-Control", "no-store")
	_ = httpjson.WriteAs(w, p.Status, "application/problem+json", p) // strings and numbers always encode
}

// notFound answers a path that leads nowhere.
func notFound(w http.ResponseWriter, _ *http.Request) {
	render(w, fattorino.Errorf(fattorino.NotFound, "there is nothing at this path"))
}

// notAllowed answers a method that the path does not have.
func notAllowed(allow string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", allow)
		writeProblem(w, problem{
			Type: "method-not-allowed", Title: "The path does not know this method", Status: http.StatusMethodNotAllowed,
			Detail: "use one of " + allow,
		})
	})
}

// blame puts the errors of use cases and contract into the words of this API:
// faults name its members, and an error that names neither member nor code is
// about the sink, which of a subscription's rules only those of the sink are.
func blame(err error) error {
	e := fattorino.AsError(err)
	if e.Kind != fattorino.Invalid {
		return err
	}
	blamed := *e
	blamed.Faults = nil
	for _, f := range e.Faults {
		blamed.Faults = append(blamed.Faults, fattorino.Fault{Field: memberOf(f.Field), Msg: f.Msg})
	}
	if len(e.Faults) == 0 && e.Code == "" {
		blamed.Faults = []fattorino.Fault{{Field: "sink", Msg: e.Msg}}
	}
	return &blamed
}

// memberOf gives the place in this API of an option of the native contract.
func memberOf(option string) string {
	name, _, _ := strings.Cut(option, ".")
	switch name {
	case keyFormat, keyHandshake, keySignature, keyRate, keySecret:
		return "config." + option
	case "headers":
		return "protocolsettings." + option
	}
	return option
}
