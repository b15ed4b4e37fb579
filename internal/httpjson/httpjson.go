// Package httpjson reads and writes JSON over HTTP: strict decoding with a
// size limit, encoding to a buffer first, and handlers that return errors.
package httpjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// HandlerFunc is a handler that returns an error instead of writing it.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// Handle makes an http.Handler of h. Errors go to render, which writes them in
// the door's own envelope; what is our own fault is logged with its cause.
func Handle(log *slog.Logger, render func(http.ResponseWriter, *fattorino.Error), h HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		e := fattorino.AsError(err)
		if e.Kind == fattorino.Internal {
			log.ErrorContext(r.Context(), "request failed", "method", r.Method, "route", r.Pattern, "error", err)
		}
		render(w, e)
	})
}

// ahead is how many bytes are set aside for a body before any of it has come: a
// length is quickly told.
const ahead = 64 << 10

// ReadBody reads the whole body of at most limit bytes; TooLarge above. An
// error of reading that is a [fattorino.Error] is returned as it is.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, limit), r.ContentLength)
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return nil, tooLarge(limit)
	}
	if told, ok := errors.AsType[*fattorino.Error](err); ok {
		return nil, told
	}
	if err != nil {
		return nil, &fattorino.Error{Kind: fattorino.Malformed, Msg: "the request body could not be read to its end", Err: err}
	}
	return body, nil
}

// readAll reads to the end of what is told to have so many bytes; negative = it is
// not told.
func readAll(r io.Reader, told int64) ([]byte, error) {
	const little = 512
	size := int64(little)
	if told >= 0 {
		size = min(told, ahead) + 1 // one more, in which nothing comes, for the end to be seen
	}
	body := make([]byte, 0, size)
	for {
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, err
		case len(body) == cap(body):
			body = slices.Grow(body, little)
		}
	}
}

func tooLarge(limit int64) error {
	return &fattorino.Error{
		Kind: fattorino.TooLarge,
		Msg:  fmt.Sprintf("the request body has more than %d bytes", limit),
		Fix:  "send less at a time",
	}
}

// Decode reads a JSON body of at most limit bytes into v. Fields that v does
// not have are refused by name, as are a member that comes twice in an object
// and anything after the value.
func Decode(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	body, err := ReadBody(w, r, limit)
	if err != nil {
		return err
	}
	return Unmarshal(body, v)
}

// Unmarshal is [Decode] of a body that has been read.
func Unmarshal(body []byte, v any) error {
	if !utf8.Valid(body) {
		return malformed("the request body is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return explain(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return malformed("there is something after the JSON value")
	}
	d = json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	return checkNames(d)
}

// checkNames refuses an object with two members of one name, anywhere in the
// next value: which of the two counts is left open (RFC 8259, section 4), and a
// proxy that checks requests may take the other one. The value has to be valid,
// which also bounds how deep it goes.
func checkNames(d *json.Decoder) error {
	token, err := d.Token()
	if err != nil {
		return explain(err)
	}
	open, nested := token.(json.Delim)
	if !nested {
		return nil
	}
	names := map[string]bool{}
	for d.More() {
		if open == '{' {
			token, err := d.Token()
			if err != nil {
				return explain(err)
			}
			name, _ := token.(string)
			if names[name] {
				return malformed(fmt.Sprintf("the member %.100q comes twice in one object", name))
			}
			names[name] = true
		}
		if err := checkNames(d); err != nil {
			return err
		}
	}
	_, err = d.Token() // the closing bracket
	return err
}

// explain says what is wrong with a body in the caller's terms.
func explain(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := wrong.Field
		if field == "" {
			field = "body"
		}
		e := fattorino.InvalidField(field, "a JSON %s is not what belongs here", wrong.Value)
		e.Fix = "give " + jsonName(wrong.Type)
		return e
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return malformed(fmt.Sprintf("the body is not valid JSON at byte %d: %v", syntax.Offset, syntax))
	}
	if errors.Is(err, io.EOF) {
		return malformed("the body is empty: JSON is expected")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("the body ends in the middle of its JSON")
	}
	// The decoder names an unknown field in its text alone; the text is passed
	// on as it is and decides nothing.
	return &fattorino.Error{
		Kind: fattorino.Invalid, Msg: "the body is not understood: " + strings.TrimPrefix(err.Error(), "json: "),
		Fix: "compare the field with /openapi.yaml, its name and the form of its value, or leave it out",
	}
}

func malformed(msg string) error {
	return &fattorino.Error{Kind: fattorino.Malformed, Msg: msg, Fix: "send one JSON object, as /openapi.yaml describes it"}
}

// jsonName gives the JSON type that a Go type is read from.
func jsonName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Pointer:
		return jsonName(t.Elem())
	}
	return "an integer that fits"
}

// Write answers with v as JSON. What cannot be encoded becomes an error and
// nothing is written.
func Write(w http.ResponseWriter, status int, v any) error {
	return WriteAs(w, status, "application/json", v)
}

// WriteAs answers with v as JSON under another content type.
func WriteAs(w http.ResponseWriter, status int, contentType string, v any) error {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // a caller that has gone away is no error of ours
	return nil
}
