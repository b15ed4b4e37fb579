package native_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/native"
)

const text = "2f5fb1c8e09a4c9d"

func asking(handshake string) *fattorino.Subscription {
	s := subscription()
	s.State = fattorino.Unverified
	s.Options.Handshake = handshake
	s.Handshake = fattorino.HandshakeState{Method: fattorino.ByHeader, Pending: true, Round: 3}
	return s
}

// challenge gives the request that asks the sink.
func (f *fixture) challenge(t testing.TB, s *fattorino.Subscription) *fattorino.Request {
	t.Helper()
	r, err := f.Handshake(s).Challenge(s, text, now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestChallenge_TravelsInHeaderOrQuery(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := asking("")
	r := f.challenge(t, s)
	if r.Method != "GET" || r.URL != sink || value(r.Header, "webhook-challenge") != text || len(r.Body) != 0 {
		t.Errorf("by header: %s %s %v", r.Method, r.URL, r.Header)
	}
	s.Handshake.Method = fattorino.ByQuery
	for url, want := range map[string]string{
		"https://a.example/in":     "https://a.example/in?webhook-challenge=" + text,
		"https://a.example/in?":    "https://a.example/in?webhook-challenge=" + text,
		"https://a.example/in?b=1": "https://a.example/in?b=1&webhook-challenge=" + text,
	} {
		s.Sink = url
		if r := f.challenge(t, s); r.URL != want || value(r.Header, "webhook-challenge") != "" {
			t.Errorf("by query: %s %v", r.URL, r.Header)
		}
	}
}

func TestChallenge_WhatPasses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, tc := range []struct {
		name   string
		answer fattorino.Answer
		passed bool
	}{
		{"member challenge", fattorino.Answer{Status: 200, Body: []byte(`{"challenge":"` + text + `"}`)}, true},
		{"other members", fattorino.Answer{Status: 200, Body: []byte(`{"ok":true,"challenge":"` + text + `"}`)}, true},
		{"the text itself", fattorino.Answer{Status: 200, Body: []byte(text)}, true},
		{"the text on a line", fattorino.Answer{Status: 200, Body: []byte(text + "\r\n")}, true},
		{"another text", fattorino.Answer{Status: 200, Body: []byte("x" + text)}, false},
		{"another member", fattorino.Answer{Status: 200, Body: []byte(`{"verification":"` + text + `"}`)}, false},
		{"member of another case", fattorino.Answer{Status: 200, Body: []byte(`{"Challenge":"` + text + `"}`)}, false},
		{"member that is no string", fattorino.Answer{Status: 200, Body: []byte(`{"challenge":["` + text + `"]}`)}, false},
		{"member null", fattorino.Answer{Status: 200, Body: []byte(`{"challenge":null}`)}, false},
		{"JSON null", fattorino.Answer{Status: 200, Body: []byte(`null`)}, false},
		{"a page that repeats it", fattorino.Answer{Status: 200, Body: []byte("<p>" + text + "</p>")}, false},
		{"empty", fattorino.Answer{Status: 200}, false},
		{"another success", fattorino.Answer{Status: 201, Body: []byte(text)}, false},
		{"redirect", fattorino.Answer{Status: 302, Body: []byte(text)}, false},
		{"error", fattorino.Answer{Status: 500, Body: []byte(text)}, false},
		{"broken off", fattorino.Answer{Status: 200, Body: []byte(text), Truncated: true}, false},
		{"too long", fattorino.Answer{Status: 200, Body: []byte(text + strings.Repeat(" ", 64<<10))}, false},
		{"no answer", fattorino.Answer{Failure: fattorino.FailedDNS, Detail: "no such host"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			rate, err := f.Handshake(asking("")).Passed(text, &tc.answer)
			if (err == nil) != tc.passed || rate != 0 {
				t.Errorf("rate %d, error %v", rate, err)
			}
			if err != nil && strings.Contains(err.Error(), text) {
				t.Errorf("the error tells the challenge: %v", err)
			}
		})
	}
}

// AP-1 to AP-4.
func TestOptions_AsksWithOriginRateAndCallback(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := asking(native.HandshakeOptions)
	s.Options.Rate = 120
	r := f.challenge(t, s)
	if r.Method != http.MethodOptions || r.URL != sink {
		t.Errorf("AP-1: %s %s", r.Method, r.URL)
	}
	equal(t, value(r.Header, "WebHook-Request-Origin"), origin)
	equal(t, value(r.Header, "WebHook-Request-Rate"), "120")
	callback := value(r.Header, "WebHook-Request-Callback")
	prefix := baseURL + "/v1/handshakes/42/3/"
	if key, ok := strings.CutPrefix(callback, prefix); !ok || !f.CallbackKeyValid(42, 3, key) || url.PathEscape(key) != key {
		t.Errorf("AP-3: the callback is %s…", callback[:min(len(callback), len(prefix))])
	}
	s.Options.Rate = 0
	if got := value(f.challenge(t, s).Header, "WebHook-Request-Rate"); got != "" {
		t.Errorf("AP-4: without a rate chosen %s is asked for", got)
	}
}

// Secrets are marked, so that no log has them.
func TestHandshake_SendsTheSubscribersFieldsToo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, handshake := range []string{native.HandshakeChallenge, native.HandshakeOptions} {
		s := asking(handshake)
		s.Options.Headers = f.headers(t, fattorino.Header{Name: "X-Api-Key", Value: "s3cret"})
		r := f.challenge(t, s)
		equal(t, value(r.Header, "X-Api-Key"), "s3cret")
		equal(t, value(r.Header, "User-Agent"), "Fattorino")
		for _, field := range r.Header {
			if hidden := field.Name == "X-Api-Key" || field.Name == "WebHook-Request-Callback"; field.Secret != hidden {
				t.Errorf("%s: %s is marked as secret: %v", handshake, field.Name, field.Secret)
			}
		}
	}
}

// The input table of section 4 of HTTP Web Hooks: what the sink answers to
// OPTIONS, and what follows.
func TestOptions_InputTable(t *testing.T) {
	t.Parallel()
	withCallback := newFixture(t)
	without := newFixture(t, func(o *native.Options) { o.BaseURL, o.Issuer, o.Origin = "", "https://erp.example", origin })
	const denied, later = -1, -2
	type fields map[string]string
	for _, tc := range []struct {
		name   string
		f      *fixture
		asked  int
		status int
		header fields
		want   int // rate granted, denied or later
	}{
		{"AP-5 our origin and a rate below ours", without, 120, 200, fields{"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "100"}, 100},
		{"AP-5 our origin and a rate above ours", without, 120, 200, fields{"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "500"}, 500},
		{"AP-5 field names as net/http writes them", without, 0, 200, fields{"Webhook-Allowed-Origin": origin, "Webhook-Allowed-Rate": "100"}, 100},
		{"AP-5 any origin and any rate", without, 120, 200, fields{"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "*"}, 0},
		{"AP-5 our origin in capitals", without, 0, 200, fields{"WebHook-Allowed-Origin": "HOOKS.erp.example"}, 0},
		{"AP-5 no rate where one was asked for", without, 120, 200, fields{"WebHook-Allowed-Origin": origin}, 120},
		{"AP-5 no rate where none was asked for", without, 0, 200, fields{"WebHook-Allowed-Origin": origin}, 0},
		{"AP-5 another origin", without, 0, 200, fields{"WebHook-Allowed-Origin": "other.example", "WebHook-Allowed-Rate": "*"}, denied},
		{"AP-5 a prefix of our origin", without, 0, 200, fields{"WebHook-Allowed-Origin": "hooks.erp", "WebHook-Allowed-Rate": "*"}, denied},
		{"AP-5 a suffix of our origin", without, 0, 200, fields{"WebHook-Allowed-Origin": "erp.example"}, denied},
		{"AP-5 a wildcard for our domain", without, 0, 200, fields{"WebHook-Allowed-Origin": "*.erp.example"}, denied},
		{"AP-5 an empty origin", without, 0, 200, fields{"WebHook-Allowed-Origin": ""}, denied},
		{"AP-6 404 with consent", without, 0, 404, fields{"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "7"}, 7},
		{"AP-6 405 with consent", without, 0, 405, fields{"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "7"}, 7},
		{"AP-6 500 with consent", without, 0, 500, fields{"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "7"}, 7},
		{"AP-7 no consent, no callback was sent", without, 0, 200, nil, denied},
		{"AP-7 no consent yet", withCallback, 0, 200, nil, later},
		{"AP-7 no consent yet, without content", withCallback, 0, 204, fields{"Allow": "POST"}, later},
		{"AP-7 consent at once though a callback was sent", withCallback, 0, 200, fields{"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "9"}, 9},
		{"AP-7 refused though a callback was sent", withCallback, 0, 200, fields{"WebHook-Allowed-Origin": "other.example"}, denied},
		{"AP-8 a sink that knows no OPTIONS", withCallback, 0, 405, fields{"Allow": "POST"}, denied},
		{"AP-8 a sink that fails", withCallback, 0, 500, nil, denied},
		{"AP-9 rate 0", without, 0, 200, fields{"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "0"}, denied},
		{"AP-9 rate -1", without, 0, 200, fields{"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "-1"}, denied},
		{"AP-9 rate +1", without, 0, 200, fields{"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "+1"}, denied},
		{"AP-9 rate 1.5", without, 0, 200, fields{"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "1.5"}, denied},
		{"AP-9 rate abc", without, 0, 200, fields{"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "abc"}, denied},
		{"AP-9 an empty rate", without, 120, 200, fields{"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": ""}, denied},
		{"AP-9 rate of 20 digits", without, 0, 200, fields{"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "12345678901234567890"}, denied},
		{"AP-9 the largest rate", without, 0, 200, fields{"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "999999999"}, 999_999_999},
		{"AP-9 one above the largest rate", without, 0, 200, fields{"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "1000000000"}, denied},
		{"WH-5 redirect", withCallback, 0, 307, fields{"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}, denied},
		{"no answer", withCallback, 0, 0, nil, denied},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := asking(native.HandshakeOptions)
			s.Options.Rate = tc.asked
			if sent := value(tc.f.challenge(t, s).Header, "WebHook-Request-Callback") != ""; sent != (tc.f == withCallback) {
				t.Fatalf("a callback was sent: %v", sent)
			}
			a := &fattorino.Answer{Status: tc.status}
			for name, v := range tc.header {
				a.Header = append(a.Header, fattorino.Header{Name: name, Value: v})
			}
			got, err := tc.f.Handshake(s).Passed(text, a)
			if _, waits := errors.AsType[fattorino.PendingConsentError](err); waits {
				got = later
			} else if err != nil {
				got = denied
			}
			if got != tc.want {
				t.Errorf("%d, error %v; want %d", got, err, tc.want)
			}
		})
	}
}

func TestOptions_SeveralConsentsAreNone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	allowed := fattorino.Header{Name: "WebHook-Allowed-Origin", Value: origin}
	rate := fattorino.Header{Name: "WebHook-Allowed-Rate", Value: "10"}
	for _, header := range [][]fattorino.Header{{allowed, allowed, rate}, {allowed, rate, rate}} {
		if _, err := f.Handshake(asking(native.HandshakeOptions)).Passed(text, &fattorino.Answer{Status: 200, Header: header}); err == nil {
			t.Errorf("%v is taken for consent", header)
		}
	}
}

// AP-3 and AP-7: a key is good for its subscription and round, and nobody else
// can make one.
func TestCallbackKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := func(s *fattorino.Subscription) string {
		callback := value(f.challenge(t, s).Header, "WebHook-Request-Callback")
		return callback[strings.LastIndexByte(callback, '/')+1:]
	}
	s := asking(native.HandshakeOptions)
	first, second := key(s), key(s)
	for _, good := range []string{first, second, first} { // also a second time
		if !f.CallbackKeyValid(s.ID, s.Handshake.Round, good) {
			t.Error("the key of this round is refused")
		}
	}
	if !newFixture(t).CallbackKeyValid(s.ID, s.Handshake.Round, first) {
		t.Error("after a restart the key is refused")
	}
	flipped := []byte(first)
	flipped[len(flipped)-2] ^= 1
	for name, ok := range map[string]bool{
		"another subscription": f.CallbackKeyValid(s.ID+1, s.Handshake.Round, first),
		"another round":        f.CallbackKeyValid(s.ID, s.Handshake.Round+1, first),
		"one bit changed":      f.CallbackKeyValid(s.ID, s.Handshake.Round, string(flipped)),
		"shortened":            f.CallbackKeyValid(s.ID, s.Handshake.Round, first[:len(first)-1]),
		"empty":                f.CallbackKeyValid(s.ID, s.Handshake.Round, ""),
		"very long":            f.CallbackKeyValid(s.ID, s.Handshake.Round, strings.Repeat(first, 1000)),
	} {
		if ok {
			t.Errorf("%s: the key is taken", name)
		}
	}
}

func TestHandshake_NoneWhereTheOperatorAllowsIt(t *testing.T) {
	t.Parallel()
	strict := newFixture(t)
	open := newFixture(t, func(o *native.Options) { o.AllowNoHandshake = true })
	if open.Handshake(asking(native.HandshakeNone)) != nil {
		t.Error("a handshake is asked for though none was chosen")
	}
	s := asking(native.HandshakeNone)
	if strict.Handshake(s) == nil {
		t.Fatal("the operator's word is not kept")
	}
	equal(t, strict.challenge(t, s).Method, "GET")
}

func TestHandshake_CallbacksAreOfferedWhereTheyAreSafe(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]bool{
		"https://hooks.example": true, "http://127.0.0.1:8080": true, "http://localhost:8080/": true, "http://[::1]:1": true,
		"http://hooks.example": false, "http://10.0.0.1": false,
	} {
		f := newFixture(t, func(o *native.Options) { o.BaseURL = base })
		if got := value(f.challenge(t, asking(native.HandshakeOptions)).Header, "WebHook-Request-Callback") != ""; got != want {
			t.Errorf("%s: a callback is offered: %v", base, got)
		}
	}
}

func TestHandshake_Limits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, handshake := range []string{native.HandshakeChallenge, native.HandshakeOptions} {
		if l := f.Handshake(asking(handshake)).Limits(); l.Attempts != 10 || l.Every.Minutes() != 1 || l.Timeout.Seconds() != 10 {
			t.Errorf("%s: %+v", handshake, l)
		}
	}
}

// Both handshakes with a receiver on loopback that is written after the manual.
func TestHandshake_WithAReceiver(t *testing.T) {
	t.Parallel()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
			_ = json.NewEncoder(w).Encode(map[string]string{"challenge": r.Header.Get("Webhook-Challenge") + r.URL.Query().Get("webhook-challenge")})
		case http.MethodOptions:
			w.Header().Set("Allow", "POST")
			w.Header().Set("WebHook-Allowed-Origin", r.Header.Get("WebHook-Request-Origin"))
			w.Header().Set("WebHook-Allowed-Rate", r.Header.Get("WebHook-Request-Rate"))
		}
	}))
	defer receiver.Close()
	f := newFixture(t)
	for _, tc := range []struct {
		handshake string
		method    fattorino.Method
		rate      int
	}{
		{native.HandshakeChallenge, fattorino.ByHeader, 0},
		{native.HandshakeChallenge, fattorino.ByQuery, 0},
		{native.HandshakeOptions, fattorino.ByHeader, 60},
	} {
		t.Run(fmt.Sprint(tc.handshake, " ", tc.method), func(t *testing.T) {
			s := asking(tc.handshake)
			s.Sink, s.Handshake.Method, s.Options.Rate = receiver.URL+"/in?a=b", tc.method, tc.rate
			rate, err := f.Handshake(s).Passed(text, exchange(t, f.challenge(t, s)))
			if err != nil || rate != tc.rate {
				t.Errorf("rate %d, error %v", rate, err)
			}
		})
	}
}

// exchange sends a request on loopback.
func exchange(t testing.TB, r *fattorino.Request) *fattorino.Answer {
	t.Helper()
	sent, err := http.NewRequestWithContext(t.Context(), r.Method, r.URL, strings.NewReader(string(r.Body)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Header {
		sent.Header[f.Name] = append(sent.Header[f.Name], f.Value)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(sent)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	a := &fattorino.Answer{Status: resp.StatusCode}
	if a.Body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	for name, values := range resp.Header {
		for _, v := range values {
			a.Header = append(a.Header, fattorino.Header{Name: name, Value: v})
		}
	}
	return a
}

func FuzzPassed(f *testing.F) {
	c := newFixture(f)
	f.Add("*", "10", []byte(text))
	f.Add(origin, "*", []byte(`{"challenge":"x"}`))
	f.Fuzz(func(t *testing.T, allowed, rate string, body []byte) {
		a := &fattorino.Answer{Status: 200, Body: body, Header: []fattorino.Header{
			{Name: "WebHook-Allowed-Origin", Value: allowed}, {Name: "WebHook-Allowed-Rate", Value: rate},
		}}
		granted, err := c.Handshake(asking(native.HandshakeOptions)).Passed(text, a)
		if err == nil && (granted < 0 || (strings.TrimSpace(allowed) != "*" && !strings.EqualFold(strings.TrimSpace(allowed), origin))) {
			t.Errorf("%q at %q gives %d", allowed, rate, granted)
		}
		if _, err := c.Handshake(asking("")).Passed(text, a); err == nil && !bytes.Contains(body, []byte(text)) && !bytes.ContainsRune(body, '\\') {
			t.Errorf("%q passes", body)
		}
	})
}
