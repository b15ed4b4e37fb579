package express

import (
	"bytes"
	"net/http"
	"strconv"
	"time"
)

// A response is the answer to one request, gathered until it is whole.
type response struct {
	header http.Header
	status int // 0 = none yet
	body   []byte
	text   bytes.Buffer
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
// with it.
func (w *response) bytes(now time.Time, last bool) []byte {
	w.WriteHeader(http.StatusOK)
	t := &w.text
	t.Reset()
	t.WriteString("HTTP/1.1 ")
	t.WriteString(strconv.Itoa(w.status))
	t.WriteByte(' ')
	t.WriteString(http.StatusText(w.status))
	t.WriteString("\r\n")
	if last {
		w.header.Set("Connection", "close")
	}
	w.header.Set("Content-Length", strconv.Itoa(len(w.body)))
	if w.header["Date"] == nil {
		w.header["Date"] = []string{now.UTC().Format(http.TimeFormat)}
	}
	_ = w.header.Write(t) // a buffer takes everything
	t.WriteString("\r\n")
	t.Write(w.body)
	return t.Bytes()
}
