package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fattorino-dev/fattorino/internal/auth"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// A router takes requests in: it finds the operation, checks what the
// description says of it, finds out who is calling, and hands on.
type router struct {
	server     *server
	mux        *http.ServeMux
	operations map[string]*operation // by pattern of mux
	fixed      map[route]*operation  // those whose paths have no parameters

	nosniff, noStore []string // fields that many answers have
}

// A route is what a request asks for.
type route struct{ method, path string }

// An operation is what the description says of one, as far as the router must
// know.
type operation struct {
	pattern string       // of mux
	handler http.Handler // what mux leads to, if the path has no parameters; else mux
	public  bool         // no token is needed
	query   []string     // the query parameters that it takes
}

func newRouter(s *server, spec *description) http.Handler {
	rt := &router{
		server: s, mux: http.NewServeMux(), operations: map[string]*operation{}, fixed: map[route]*operation{},
		nosniff: []string{"nosniff"}, noStore: []string{"no-store"},
	}
	HandlerWithOptions(s, StdHTTPServerOptions{
		BaseRouter: checkedMux{rt.mux, s}, ErrorHandlerFunc: s.refuseParameter,
	})
	for path, methods := range spec.Paths.all() {
		for method, op := range methods.operations() {
			rt.add(route{method, path}, &operation{
				pattern: method + " " + path, handler: rt.mux, public: op.public(), query: op.queryNames(methods),
			})
		}
	}
	return httpjson.Handle(s.Log, writeError, rt.serve)
}

// A checkedMux has the ids in the path checked before an operation is called.
type checkedMux struct {
	*http.ServeMux
	server *server
}

// HandleFunc registers an operation.
func (m checkedMux) HandleFunc(pattern string, operation func(http.ResponseWriter, *http.Request)) {
	m.Handle(pattern, m.server.checkIDs(http.HandlerFunc(operation)))
}

func (rt *router) add(at route, op *operation) {
	rt.operations[op.pattern] = op
	if !strings.Contains(at.path, "{") {
		op.handler, _ = rt.mux.Handler(&http.Request{Method: at.method, URL: &url.URL{Path: at.path}})
		rt.fixed[at] = op
	}
}

// find gives the operation of a request; nil where none has its path and method.
// To look among the fixed paths, by one of which events come in, costs a tenth of
// asking the mux, which would have to be asked twice.
func (rt *router) find(r *http.Request) *operation {
	if op := rt.fixed[route{r.Method, r.URL.Path}]; op != nil && r.URL.RawPath == "" { // with no slash in disguise
		return op
	}
	_, pattern := rt.mux.Handler(r)
	return rt.operations[pattern]
}

// serve hands the request to its operation.
func (rt *router) serve(w http.ResponseWriter, r *http.Request) error {
	w.Header()["X-Content-Type-Options"] = rt.nosniff
	op := rt.find(r)
	if op == nil {
		return rt.refuseRoute(w, r)
	}
	if !op.public {
		caller, err := auth.Caller(rt.server.Service, r)
		if err != nil {
			challenge(w, r)
			return err
		}
		w.Header()["Cache-Control"] = rt.noStore // what a token gives is for its holder alone
		r = r.WithContext(context.WithValue(r.Context(), callerKey{}, caller))
	}
	if err := checkQuery(r.URL.RawQuery, op.query); err != nil {
		return err
	}
	r.Pattern = op.pattern
	op.handler.ServeHTTP(w, r)
	return nil
}

type callerKey struct{}

// callerOf gives the token that the request is made with; the router has put
// it there for every operation that is not public.
func callerOf(r *http.Request) *fattorino.Token {
	return r.Context().Value(callerKey{}).(*fattorino.Token)
}

// challenge says how to authorise the request (RFC 6750, section 3): an error
// code only where a token was sent.
func challenge(w http.ResponseWriter, r *http.Request) {
	value := `Bearer realm="fattorino"`
	if r.Header.Get("Authorization") != "" {
		value += `, error="invalid_token"`
	}
	w.Header().Set("WWW-Authenticate", value)
}

// refuseRoute answers where no operation has the path, or none this method.
func (rt *router) refuseRoute(w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		probe := r.WithContext(r.Context())
		probe.Method = method
		if _, pattern := rt.mux.Handler(probe); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return &fattorino.Error{
			Kind: fattorino.NotFound,
			Msg:  "there is nothing at this path",
			Fix:  "check the path against /docs",
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", ")) // RFC 9110, section 15.5.6
	writeProblem(w, Problem{
		Type: problemBase + "method-not-allowed", Title: "The method is not allowed here", Status: http.StatusMethodNotAllowed,
		Detail: fmt.Sprintf("the method %s is not allowed here", r.Method),
		Fix:    "use one of " + strings.Join(allowed, ", "),
	})
	return nil
}

// checkQuery refuses a query that cannot be read, or holds a parameter that
// the operation does not take: one misspelt would pass for no filter at all.
func checkQuery(raw string, known []string) error {
	if raw == "" {
		return nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return fattorino.Errorf(fattorino.Malformed, "the query cannot be read")
	}
	var unknown []string
	for name := range query {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	e := &fattorino.Error{Kind: fattorino.Malformed, Msg: "there is an unknown query parameter", Fix: "this operation takes no query parameters"}
	if len(known) > 0 {
		e.Fix = "this operation takes " + strings.Join(known, ", ")
	}
	for _, name := range unknown {
		e.Faults = append(e.Faults, fattorino.Fault{Field: name, Msg: fmt.Sprintf("the query parameter %q is not known here", name)})
	}
	return e
}

// refuseParameter answers where the generated code cannot read a parameter.
func (s *server) refuseParameter(w http.ResponseWriter, r *http.Request, err error) {
	s.do(w, r, func() error {
		if format, ok := errors.AsType[*InvalidParamFormatError](err); ok {
			return badParameter(format.ParamName, "the value of %s is not what belongs there", format.ParamName)
		}
		return &fattorino.Error{Kind: fattorino.Malformed, Msg: "a parameter cannot be read", Err: err}
	})
}

// checkIDs refuses ids in the path that are none. To the use cases 0 means
// "no company in particular", which a path never does.
func (s *server) checkIDs(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"company", "delivery", "subscription", "round", "token"} {
			text := r.PathValue(name)
			if text == "" {
				continue
			}
			if id, err := strconv.ParseInt(text, 10, 64); err == nil && id < 1 {
				s.do(w, r, func() error { return badParameter(name, "%s is %d: ids are positive", name, id) })
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// badParameter is the error for a parameter in path or query.
func badParameter(name, format string, args ...any) *fattorino.Error {
	msg := fmt.Sprintf(format, args...)
	return &fattorino.Error{
		Kind: fattorino.Malformed, Msg: msg, Fix: "see /docs for what it takes",
		Faults: []fattorino.Fault{{Field: name, Msg: msg}},
	}
}

// do runs one operation and answers with the error it returns.
func (s *server) do(w http.ResponseWriter, r *http.Request, f func() error) {
	httpjson.Handle(s.Log, writeError, func(http.ResponseWriter, *http.Request) error { return f() }).ServeHTTP(w, r)
}
