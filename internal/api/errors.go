package api

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/fattorino-dev/fattorino/internal/cloudevents"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// problemBase starts the type of every problem: the place in /docs that
// explains it.
const problemBase = "/docs#error-"

// problemType is the media type of all errors (RFC 9457).
const problemType = "application/problem+json"

// defaultRetry is what Retry-After says where the error does not.
const defaultRetry = 5 * time.Second

// problemOf is the table from the meaning of an error to its form here.
func problemOf(k fattorino.Kind) Problem {
	switch k {
	case fattorino.Malformed:
		return Problem{Type: "malformed", Title: "The request cannot be read", Status: http.StatusBadRequest}
	case fattorino.Invalid:
		return Problem{Type: "invalid", Title: "The request breaks a rule", Status: http.StatusUnprocessableEntity}
	case fattorino.Unauthenticated:
		return Problem{Type: "unauthenticated", Title: "A valid token is needed", Status: http.StatusUnauthorized}
	case fattorino.Denied:
		return Problem{Type: "denied", Title: "The token does not allow this", Status: http.StatusForbidden}
	case fattorino.NotFound:
		return Problem{Type: "not-found", Title: "There is no such thing", Status: http.StatusNotFound}
	case fattorino.Conflict:
		return Problem{Type: "conflict", Title: "It contradicts what is there", Status: http.StatusConflict}
	case fattorino.TooLarge:
		return Problem{Type: "too-large", Title: "The request is too large", Status: http.StatusRequestEntityTooLarge}
	case fattorino.TooMany:
		return Problem{Type: "too-many", Title: "Too many requests", Status: http.StatusTooManyRequests}
	case fattorino.Unavailable:
		return Problem{Type: "unavailable", Title: "Not at the moment", Status: http.StatusServiceUnavailable}
	case fattorino.Gone:
		return Problem{Type: "gone", Title: "It is kept no longer", Status: http.StatusGone}
	case fattorino.Stale:
		return Problem{Type: "stale", Title: "It has changed in the meantime", Status: http.StatusPreconditionFailed}
	case fattorino.Internal:
	}
	return Problem{Type: "internal", Title: "Something is wrong with the server", Status: http.StatusInternalServerError}
}

// kindOf is the table of [problemOf] read backwards, for the client.
func kindOf(status int) fattorino.Kind {
	for k := fattorino.Internal; k <= fattorino.Stale; k++ {
		if problemOf(k).Status == status {
			return k
		}
	}
	if status >= 400 && status < 500 {
		return fattorino.Malformed // 405 and 415: the request as such
	}
	return fattorino.Internal
}

// writeError answers with the problem that e is.
func writeError(w http.ResponseWriter, e *fattorino.Error) {
	p := problemOf(e.Kind)
	h := w.Header()
	switch {
	case e.Code == cloudevents.CodeUnsupportedMediaType:
		p = Problem{Type: "unsupported-media-type", Title: "The media type is not spoken here", Status: http.StatusUnsupportedMediaType}
		h.Set("Accept", cloudevents.StructuredType+", "+cloudevents.BatchType) // RFC 9110, section 15.5.16
	case e.Kind == fattorino.TooMany || e.Kind == fattorino.Unavailable:
		wait := e.RetryAfter
		if wait <= 0 {
			wait = defaultRetry
		}
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	p.Type = problemBase + p.Type
	p.Detail, p.Code, p.Fix = e.Msg, e.Code, e.Fix
	for _, f := range e.Faults {
		p.Errors = append(p.Errors, ProblemFault{Detail: f.Msg, Field: f.Field})
	}
	writeProblem(w, p)
}

// writeProblem answers with p. What was set for another answer is taken back.
func writeProblem(w http.ResponseWriter, p Problem) {
	w.Header().Set("Cache-Control", "no-store")
	_ = httpjson.WriteAs(w, p.Status, problemType, p) // strings and numbers can always be encoded
}
