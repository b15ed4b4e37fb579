package api

import (
	"net/http"
	"testing"
)

// Whatever a server answers, the client has something to say about it.
func FuzzReadProblem(f *testing.F) {
	f.Add(404, problemType, `{"type":"x","title":"x","status":404,"detail":"there is none","errors":[{"field":"a","detail":"b"}]}`)
	f.Add(502, "text/html", "<html>")
	f.Add(500, problemType, `{"detail":5}`)
	f.Add(503, problemType, "")
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		err := readProblem(&http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}, "Retry-After": {body}}}, []byte(body))
		if err == nil || err.Error() == "" {
			t.Errorf("status %d with %q says nothing", status, body)
		}
	})
}
