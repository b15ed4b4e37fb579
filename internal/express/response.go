package express

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// A response is the answer to one request, gathered until it is whole.
type response struct {
	header http.Header
	status int // 0 = none yet
	body   []byte
	text   []byte

	before beginning // of the last answer
	date   string
	dated  int64 // the second of date
}

// A beginning is what most answers on a connection have in common.
type beginning struct {
	status int
	header http.Header
	text   []byte
}

func (w *response) reset() {
	clear(w.header)
	w.status, w.body = 0, w.body[:0]
}

// Header implements [http.ResponseWriter].
func (w *response) Header() http.Header { return w.header }

// WriteHeader implements [http.ResponseWriter]. Interim answers are left out:
// nobody waits for one.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
}

// Write implements [http.ResponseWriter].
func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, p...)
	return len(p), nil
}

// isLast tells whether the handler wants no request after this one.
func (w *response) isLast() bool { return w.header.Get("Connection") == "close" }

// bytes gives the whole answer; last tells the client that the connection ends
// with it. Only what differs from the answer before is written anew.
func (w *response) bytes(now time.Time, last bool) []byte {
	w.WriteHeader(http.StatusOK)
	if last {
		w.header.Set("Connection", "close")
	}
	if w.header["Date"] == nil {
		w.text = append(w.begin(), "Date: "...)
		w.text = append(w.text, w.dateAt(now)...)
		w.text = append(w.text, "\r\n"...)
	} else {
		w.text = w.begin()
	}
	w.text = append(w.text, "Content-Length: "...)
	w.text = strconv.AppendInt(w.text, int64(len(w.body)), 10)
	w.text = append(w.text, "\r\n\r\n"...)
	w.text = append(w.text, w.body...)
	return w.text
}

// begin gives the status line and the fields that the handler has set.
func (w *response) begin() []byte {
	delete(w.header, "Content-Length") // it is ours to tell
	if w.before.status != w.status || !maps.EqualFunc(w.before.header, w.header, slices.Equal) {
		w.before.status, w.before.header = w.status, w.header.Clone()
		var text bytes.Buffer
		_, _ = fmt.Fprintf(&text, "HTTP/1.1 %d %s\r\n", w.status, http.StatusText(w.status))
		_ = w.header.Write(&text) // a buffer takes everything
		w.before.text = text.Bytes()
	}
	return append(w.text[:0], w.before.text...)
}

// dateAt gives the time as the field Date has it, in whole seconds.
func (w *response) dateAt(now time.Time) string {
	if second := now.Unix(); w.date == "" || w.dated != second {
		w.date, w.dated = now.UTC().Format(http.TimeFormat), second
	}
	return w.date
}
