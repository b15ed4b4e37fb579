package fic

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// The codes that the documentation, or the use cases, name.
const (
	codeNoPermission = "NO_PERMISSION"
	codeQuota        = "QUOTA_REACHED"
	codeNoTypeLeft   = "no_type_left"
)

// An answerKind is how a kind of error is answered.
type answerKind struct {
	status int
	code   string        // where the error has none of its own
	retry  time.Duration // Retry-After where the error says none; 0 = leave it out
}

// answers is the one table of errors and statuses. There is no 410 in this
// API, and no 413 or 503 in its list of errors; these two are answered all the
// same, for nothing in the list tells a client what to do.
func answers(k fattorino.Kind) answerKind {
	switch k {
	case fattorino.Malformed:
		return answerKind{status: http.StatusBadRequest, code: "BAD_REQUEST"}
	case fattorino.Invalid:
		return answerKind{status: http.StatusUnprocessableEntity}
	case fattorino.Unauthenticated:
		return answerKind{status: http.StatusUnauthorized, code: "UNAUTHORIZED"}
	case fattorino.Denied:
		return answerKind{status: http.StatusForbidden, code: codeNoPermission}
	case fattorino.NotFound, fattorino.Gone:
		return answerKind{status: http.StatusNotFound, code: "NOT_FOUND"}
	case fattorino.Conflict:
		return answerKind{status: http.StatusConflict, code: "CONFLICT"}
	case fattorino.TooLarge:
		return answerKind{status: http.StatusRequestEntityTooLarge, code: "TOO_LARGE"}
	case fattorino.TooMany:
		return answerKind{status: http.StatusTooManyRequests, code: "TOO_MANY_REQUESTS", retry: time.Minute}
	case fattorino.Unavailable:
		return answerKind{status: http.StatusServiceUnavailable, code: "UNAVAILABLE", retry: 10 * time.Second}
	case fattorino.Internal:
	}
	return answerKind{status: http.StatusInternalServerError, code: "INTERNAL_ERROR"}
}

// The two forms of an error: the usual one, and that of a body which breaks a
// rule, with the dotted paths of the fields and what is wrong with each.
type (
	errorAnswer struct {
		Error plainError `json:"error"`
	}
	plainError struct {
		Message string `json:"message"`
		Code    string `json:"code"`
	}
	invalidAnswer struct {
		Error invalidError `json:"error"`
	}
	invalidError struct {
		Message          string              `json:"message"`
		ValidationResult map[string][]string `json:"validation_result"`
	}
)

// render writes an error in the envelope of Fatture in Cloud. Always as JSON:
// the Go SDK loses the status of an error whose content type it cannot decode.
func render(w http.ResponseWriter, e *fattorino.Error) {
	kind := answers(e.Kind)
	if wait := max(e.RetryAfter, 0); wait > 0 || kind.retry > 0 {
		if wait == 0 {
			wait = kind.retry
		}
		w.Header().Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
	var body any
	if e.Kind == fattorino.Invalid {
		body = invalidAnswer{Error: invalidError{Message: message(e), ValidationResult: validationResult(e.Faults)}}
	} else {
		code := e.Code
		if code == "" {
			code = kind.code
		}
		body = errorAnswer{Error: plainError{Message: message(e), Code: code}}
	}
	// The bodies hold nothing that cannot be encoded.
	_ = httpjson.Write(w, kind.status, body)
}

// message gives what happened and what can be done: the envelope has one field
// for both.
func message(e *fattorino.Error) string {
	switch {
	case e.Fix == "":
		return e.Msg
	case strings.HasSuffix(e.Msg, "."):
		return e.Msg + " " + e.Fix
	}
	return e.Msg + ": " + e.Fix
}

// validationResult gives the faults by field; nil where there are none. The
// use cases name the fields of a subscription, which is in "data" here.
func validationResult(faults []fattorino.Fault) map[string][]string {
	var result map[string][]string
	for _, f := range faults {
		if result == nil {
			result = make(map[string][]string, len(faults))
		}
		field := f.Field
		if field != "data" && !strings.HasPrefix(field, "data.") {
			field = "data." + field
		}
		result[field] = append(result[field], f.Msg)
	}
	return result
}

// warnings words the refusals of types: one text for a type that is taken is
// documented, the other is ours (A7). They name types in the client's words,
// each once.
func warnings(refused []fattorino.TypeRefusal, v vocabulary) []string {
	var texts []string
	told := map[string]bool{}
	for _, r := range refused {
		text := "The '" + r.Type + "' event does not exist"
		if r.Why == fattorino.TakenType {
			name := v.word(r.Type)
			if name == "" {
				name = r.Type // hidden from its answers, but it asked for it
			}
			text = "The '" + name + "' event is already registered for this application"
		}
		if !told[text] {
			told[text] = true
			texts = append(texts, text)
		}
	}
	return texts
}

// blame adds to an error of the use cases which field it is about: the types,
// and why each was refused, where none is left (A7); the sink where the error
// names neither field nor code, which of a subscription's rules only those of
// the sink do.
func blame(err error, refused []fattorino.TypeRefusal, v vocabulary) error {
	e := fattorino.AsError(err)
	if e.Kind != fattorino.Invalid || len(e.Faults) > 0 {
		return err
	}
	blamed := *e
	switch e.Code {
	case codeNoTypeLeft:
		for _, text := range warnings(refused, v) {
			blamed.Faults = append(blamed.Faults, fattorino.Fault{Field: "data.types", Msg: text})
		}
	case "":
		blamed.Faults = []fattorino.Fault{{Field: "data.sink", Msg: message(e)}}
	}
	return &blamed
}
