package egress

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// FuzzRequest writes requests made of anything, and has net/http read them:
// whatever was written is one request, and the one that was asked for.
func FuzzRequest(f *testing.F) {
	f.Add("POST", "https://example.com/a%2Fb?x=1&y=%20", "X-A", " b ", []byte("body"))
	f.Add("", "https://example.com?", "", "", []byte{})
	f.Add("GET", "https://Bücher.example:8443", "Content-Length", "5", []byte{})
	f.Add("GET /", "https://example.com/\r\nX: y", "X A", "a\r\nb", []byte("x"))
	f.Add("PUT", "https://example.com/?a b", "connection", "close", []byte("x"))
	f.Add("OPTIONS", "https://example.com/\xff?\xff", "host", "evil", []byte("x"))
	f.Fuzz(func(t *testing.T, method, url, name, value string, body []byte) {
		to, err := Policy{}.target(url)
		if err != nil {
			return
		}
		r := &fattorino.Request{Method: method, URL: url, Body: body, Header: []fattorino.Header{{Name: name, Value: value}}}
		w := &requestWriter{}
		if w.write(r, to) != nil {
			return
		}
		var wire bytes.Buffer
		if err := w.send(&wire, body); err != nil {
			t.Fatal(err)
		}
		reader := bufio.NewReader(&wire)
		got, err := http.ReadRequest(reader)
		if err != nil {
			t.Fatalf("net/http cannot read it: %v", err)
		}
		if method == "" {
			method = "GET"
		}
		read, err := io.ReadAll(got.Body)
		if err != nil || got.Method != method || !bytes.Equal(read, body) {
			t.Errorf("%s with %q (%v), want %s with %q", got.Method, read, err, method, body)
		}
		if field := got.Header.Get(name); !ownField(name) && field != strings.Trim(value, " \t") {
			t.Errorf("the field is %q, want %q", field, value)
		}
		if left := reader.Buffered(); left > 0 {
			t.Errorf("%d bytes follow the request", left)
		}
	})
}
