package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/fattorino-dev/fattorino/internal/httpjson"
)

// response notes the status of an answer.
type response struct {
	http.ResponseWriter
	status int // 0 = nothing was written yet
}

// WriteHeader implements [http.ResponseWriter].
func (w *response) WriteHeader(status int) {
	if w.status == 0 || w.status < http.StatusOK { // an interim answer is none
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *response) Write(p []byte) (int, error) {
	if w.status < http.StatusOK {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets [http.ResponseController] through.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// harden wraps everything that is served: headers for browsers, metrics, a log
// at level debug, and an answer where a handler panics.
func (a *App) harden(next http.Handler) http.Handler {
	// One slice each for all answers; handlers that know better replace them.
	nosniff, deny, none := []string{"nosniff"}, []string{"DENY"}, []string{"no-referrer"}
	policy, last := []string{"default-src 'none'; frame-ancestors 'none'"}, []string{"close"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["X-Content-Type-Options"], h["X-Frame-Options"] = nosniff, deny
		h["Referrer-Policy"], h["Content-Security-Policy"] = none, policy
		if ambiguous(r) {
			h["Connection"] = last
		}
		answer := &response{ResponseWriter: w}
		started := time.Now()
		a.metrics.inFlight.Inc()
		defer func() {
			a.metrics.inFlight.Dec()
			a.metrics.answered(answer.status)
		}()
		defer a.recover(answer, r)
		next.ServeHTTP(answer, r)
		if a.log.Enabled(r.Context(), slog.LevelDebug) {
			// Of the request only this: query and header can hold secrets.
			a.log.DebugContext(r.Context(), "request", "method", r.Method, "path", shownPath(r), "status", answer.status,
				"ms", float64(time.Since(started).Microseconds())/1000, "remote", r.RemoteAddr)
		}
	})
}

// ambiguous tells a request after which a proxy may see another end of the body
// than we do, so that what follows on the connection could be another's request.
// The connection must be closed where a request tells both a length and chunks,
// or chunks under HTTP/1.0 (RFC 9112, section 6.1); net/http does not, and hides
// from its handler that a length was told as well, or chunks.
func ambiguous(r *http.Request) bool {
	return len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1)
}

// shownPath gives the path of a request for the log. That of a callback, and that
// of a portal link, ends in what is secret.
func shownPath(r *http.Request) string {
	for _, secret := range []string{"/v1/handshakes/", "/ui/portal/"} {
		if strings.HasPrefix(r.URL.Path, secret) {
			return secret + "…"
		}
	}
	return r.URL.Path
}

// recover answers for a handler that panicked.
func (a *App) recover(w *response, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(cause) // meant so: the connection is cut off
	}
	a.log.ErrorContext(r.Context(), "a request made the program panic", "method", r.Method, "path", shownPath(r), "panic", cause, "stack", string(debug.Stack()))
	if w.status >= http.StatusOK {
		panic(http.ErrAbortHandler) // half an answer must not pass for a whole one
	}
	// A problem (RFC 9457): no door can be asked for its own form any more.
	_ = httpjson.WriteAs(w, http.StatusInternalServerError, "application/problem+json", map[string]any{
		"type": "about:blank", "title": "Internal Server Error", "status": http.StatusInternalServerError,
		"detail": "something went wrong here; it has been logged",
	})
}

// untilStop ends the request's context when the app stops, for a handler that
// waits for something and has an answer at any time.
func (a *App) untilStop(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(a.stopping, cancel)()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
