package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestTheDemosSubscriberRefusesWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	unsigned := encode([]byte(`{"alg":"ES256"}`)) + "." + encode([]byte(`{"aud":["http://sink/"],"exp":9999999999}`)) + "."
	for _, token := range []string{"", "x", "a.b.c", unsigned, unsigned + encode(make([]byte, 64))} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			header := http.Header{"Authorization": {"Bearer " + token}, "X-Fic-Verification-Challenge": {"c"}}
			code := ask(t, &ficReceiver{"http://sink/", &key.PublicKey}, method, "/", `{"data":{"ids":[1]}}`, header)
			if code != http.StatusUnauthorized {
				t.Errorf("%s with token %q: got %d", method, token, code)
			}
		}
	}
}

// ask sends a request to a subscriber and gives its answer.
func ask(t *testing.T, knows receiver, method, url, body string, header http.Header) int {
	t.Helper()
	s := &sink{receiver: knows, changed: make(chan struct{})}
	r := httptest.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	r.Header = header
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code
}

func TestTheDemosStandardSubscriberChecksTheSignature(t *testing.T) {
	t.Parallel()
	const body = `{"event":"invoice.paid","data":{"id":1}}`
	secret := []byte("a secret of the test")
	now := strconv.FormatInt(time.Now().Unix(), 10)
	old := strconv.FormatInt(time.Now().Add(-6*time.Minute).Unix(), 10)
	sign := func(id, stamp, body string) string {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(id + "." + stamp + "." + body))
		return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	good := sign("m1", now, body)
	for _, x := range []struct {
		name                       string
		secret                     []byte
		id, stamp, signature, body string
		want                       int
	}{
		{"good", secret, "m1", now, good, body, 200},
		{"one of several", secret, "m1", now, "v1a,eA== v1,eA== " + good, body, 200},
		{"another body", secret, "m1", now, good, body + " ", 401},
		{"another id", secret, "m2", now, good, body, 401},
		{"another time", secret, "m1", old, good, body, 401},
		{"too old", secret, "m1", old, sign("m1", old, body), body, 401},
		{"another secret", []byte("another"), "m1", now, good, body, 401},
		{"no secret yet", nil, "m1", now, good, body, 401},
		{"no signature", secret, "m1", now, "", body, 401},
		{"another scheme", secret, "m1", now, strings.Replace(good, "v1,", "v2,", 1), body, 401},
		{"no time", secret, "m1", "", sign("m1", "", body), body, 401},
		{"no id", secret, "", now, sign("", now, body), body, 401},
		{"no type", secret, "m1", now, sign("m1", now, `{"data":{"id":1}}`), `{"data":{"id":1}}`, 401},
	} {
		header := http.Header{"Webhook-Id": {x.id}, "Webhook-Timestamp": {x.stamp}, "Webhook-Signature": {x.signature}}
		if code := ask(t, &standardReceiver{x.secret}, http.MethodPost, "/", x.body, header); code != x.want {
			t.Errorf("%s: got %d, want %d", x.name, code, x.want)
		}
	}
}

func TestTheDemosDefactoSubscriberChecksTheSecretInTheURL(t *testing.T) {
	t.Parallel()
	const body = `{"id":"i","event_type":"Invoice.VERIFIED","status":"VERIFIED","entity_state":{}}`
	for _, x := range []struct {
		method, url, body string
		want              int
	}{
		{http.MethodPost, "/?secret=right", body, 200},
		{http.MethodPost, "/?secret=wrong", body, 401},
		{http.MethodPost, "/", body, 401},
		{http.MethodPost, "/?secret=right", strings.Replace(body, `"VERIFIED"`, `"SUBMITTED"`, 1), 401},
		{http.MethodGet, "/?secret=right", "", 401}, // there is no challenge to answer
	} {
		if code := ask(t, &defactoReceiver{"right"}, x.method, x.url, x.body, http.Header{}); code != x.want {
			t.Errorf("%s %s %s: got %d, want %d", x.method, x.url, x.body, code, x.want)
		}
	}
}

func TestASecretIsReadAsItIsShown(t *testing.T) {
	t.Parallel()
	if secret, err := parseSecret("whsec_c2VjcmV0"); err != nil || string(secret) != "secret" {
		t.Errorf("got %q %v", secret, err)
	}
	for _, wrong := range []string{"", "whsec_", "c2VjcmV0", "whsec_?", "whpk_c2VjcmV0"} {
		if _, err := parseSecret(wrong); err == nil {
			t.Errorf("%q passes for a secret", wrong)
		}
	}
}
