package inspect

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

// Bounds of what a bin answers.
const (
	maxDelay        = 30 * time.Second // longer than any attempt of ours lasts by default
	maxAnswerBody   = 16 << 10         // bytes
	maxAnswerFields = 20
	maxAnswerValue  = 1000 // bytes of one header field
	maxFail         = 10_000
)

// An Answer is how a bin answers.
type Answer struct {
	Proves     bool               `json:"proves"` // challenges are answered, whatever the rest says
	Status     int                `json:"status"`
	Delay      time.Duration      `json:"delay,omitempty"`
	Header     []fattorino.Header `json:"header,omitempty"`
	Body       string             `json:"body,omitempty"`
	Fail       int                `json:"fail,omitempty"` // so many requests to come fail; challenges that are answered do not count
	FailStatus int                `json:"fail_status,omitempty"`
}

// check fails with Invalid, each fault naming a field.
func (a *Answer) check() error {
	var faults []fattorino.Fault
	add := func(field, format string, args ...any) {
		faults = append(faults, fattorino.Fault{Field: field, Msg: fmt.Sprintf(format, args...)})
	}
	if a.Status < 200 || a.Status > 599 {
		add("status", "the status is not one from 200 to 599")
	}
	if a.FailStatus < 300 || a.FailStatus > 599 {
		add("fail_status", "the status is not one from 300 to 599")
	}
	if a.Delay < 0 || a.Delay > maxDelay {
		add("delay", "the delay is not from 0 to %.0f seconds", maxDelay.Seconds())
	}
	if len(a.Body) > maxAnswerBody {
		add("body", "the body has more than %d bytes", maxAnswerBody)
	}
	if a.Fail < 0 || a.Fail > maxFail {
		add("fail", "the number is not from 0 to %d", maxFail)
	}
	if len(a.Header) > maxAnswerFields {
		add("header", "there are more than %d fields", maxAnswerFields)
	}
	for _, h := range a.Header {
		switch {
		case !mayAnswer(h.Name):
			add("header", "a bin may not answer with %q: %s", h.Name, answerFields)
		case len(h.Value) > maxAnswerValue || !httpguts.ValidHeaderFieldValue(h.Value):
			add("header", "the value of %s cannot be sent", h.Name)
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return &fattorino.Error{Kind: fattorino.Invalid, Msg: "the bin cannot answer so", Faults: faults}
}

// answerFields says which header fields a bin may answer with.
const answerFields = "Content-Type, Retry-After, Allow, WebHook-*, X-Request-Id and (X-)RateLimit* it may"

// mayAnswer tells whether a bin may answer with a header field. Those that mean
// something to a receiver's caller are listed; any other could mean something to
// a browser, which takes the answer for this origin's, or to a proxy in between:
// cookies, redirects, policies, X-Accel-Redirect.
func mayAnswer(name string) bool {
	name = strings.ToLower(name)
	if !httpguts.ValidHeaderFieldName(name) {
		return false
	}
	for _, family := range []string{"webhook-", "ratelimit", "x-ratelimit-"} {
		if strings.HasPrefix(name, family) {
			return true
		}
	}
	return slices.Contains([]string{"content-type", "retry-after", "allow", "x-request-id"}, name)
}

// next gives the answer to a request, and counts it where it is one to fail.
func (b *Bin) next(reading *Reading) Given {
	a := &b.Answer
	if a.Proves && reading.Kind == Challenge {
		return proof(reading)
	}
	if a.Fail > 0 {
		a.Fail--
		return Given{Why: Failed, Status: a.FailStatus, Left: a.Fail, Delay: a.Delay, Body: "This fails on purpose.\n"}
	}
	return Given{Why: Set, Status: a.Status, Header: a.Header, Body: a.Body, Delay: a.Delay}
}

// proof answers a challenge as its contract wants it.
func proof(reading *Reading) Given {
	if reading.Way == ByOptions {
		return Given{Why: Proof, Status: http.StatusOK, Header: []fattorino.Header{
			{Name: "Allow", Value: "POST"}, {Name: "WebHook-Allowed-Origin", Value: reading.Challenge}, {Name: "WebHook-Allowed-Rate", Value: "*"},
		}}
	}
	member := "challenge"
	if reading.Contract == FattureInCloud {
		member = "verification"
	}
	body, err := json.Marshal(map[string]string{member: reading.Challenge})
	if err != nil {
		panic(err) // strings always encode
	}
	return Given{Why: Proof, Status: http.StatusOK, Header: []fattorino.Header{{Name: "Content-Type", Value: "application/json"}}, Body: string(body)}
}

// send writes the answer. Whatever is in it stays what it is, data: it is in a
// sandbox of its own, its type is kept to those that nothing runs, and what a
// browser might still show as more is a file to be saved.
func (g *Given) send(w http.ResponseWriter) {
	h := w.Header()
	for _, f := range g.Header {
		h.Add(f.Name, f.Value)
	}
	if told := h.Get("Content-Type"); !isData(told) {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		if told != "" {
			h.Set("Content-Disposition", `attachment; filename="answer.txt"`)
		}
	}
	w.WriteHeader(g.Status)
	_, _ = w.Write([]byte(g.Body)) //nolint:gosec // it is data, as said; and a caller that has gone away is no error of ours
}

// shield tells browsers that nothing here is a page.
func shield(h http.Header) {
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// isData tells the content types that are neither shown as pages nor run.
func isData(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	return media == "text/plain" || media == "application/json" || media == "text/csv" ||
		(strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}
