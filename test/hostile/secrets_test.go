package hostile_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// canaries are secrets by what they are.
type canaries map[string]string

// forms gives a secret as it might be told: as it is, in base64, in hexadecimal.
func forms(secret string) []string {
	all := []string{secret}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		all = append(all, e.EncodeToString([]byte(secret)))
	}
	return append(all, hex.EncodeToString([]byte(secret)))
}

// in gives which of them stand in the text.
func (c canaries) in(text []byte) (found []string) {
	for name, secret := range c {
		for _, form := range forms(secret) {
			if bytes.Contains(text, []byte(form)) {
				found = append(found, name)
				break
			}
		}
	}
	return found
}

// A tour with secrets that are known, everything logged, and much that goes
// wrong: none of them is in the log, in what is measured, in what others may
// read, or in the files as it is.
func TestSecretsAreToldToNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serveIn(t, dir, nil, append(noHandshake, "--log-level", "debug")...)
	all := canaries{"the admin token": adminToken}
	secret := func(name string) string {
		all[name] = "canary" + rand.Text()
		return all[name]
	}
	all["an owner's token"] = s.token(t, "api")
	all["a publisher's token"] = s.token(t, "publish")
	all["the master key"], all["the master key, in bytes"] = masterKey(t, dir)
	owner, stranger := all["an owner's token"], s.token(t, "api")
	all["a stranger's token"] = stranger
	good := newSink(t, "", func(p *peer) {
		for p.request() && p.print(okay) {
		}
	})

	// Given subscriptions of every contract with something secret in them,
	id, made := s.subscribe(t, owner, map[string]any{
		"sink": good.url + "/hook?key=" + secret("a query"), "types": []string{"invoice.created"},
		"headers": map[string]string{"X-Api-Key": secret("a header field"), "Authorization": "Bearer " + secret("a header field of credentials")},
	})
	all["a signing secret"] = made
	all["a signing secret, in bytes"] = string(decodeSecret(t, made))
	var refusing []int64
	for name, sink := range map[string]string{
		"resets": newSink(t, "", resets("")).url, "no HTTP": newSink(t, "", says("SSH-2.0-x\r\n")).url, "refuses": newSink(t, "", says("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")).url,
		"no host": "https://no-such-host.invalid", "no TLS": strings.Replace(newSink(t, "", says(okay)).url, "http:", "https:", 1),
	} {
		failing, _ := s.subscribe(t, owner, map[string]any{
			"sink": sink + "/?key=" + secret("the query of one that "+name), "types": []string{"invoice.created"},
			"headers": map[string]string{"X-Api-Key": secret("a header field of one that " + name)}, "schedule": once,
		})
		refusing = append(refusing, failing)
	}
	ficSink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"verification":%q}`, r.Header.Get("x-fic-verification-challenge"))
	}))
	t.Cleanup(ficSink.Close)
	s.must(t, "POST", "/c/1/subscriptions", owner, map[string]any{"data": map[string]any{
		"sink": ficSink.URL + "/?key=" + secret("a query under fic"), "types": []string{"it.fattureincloud.webhooks.issued_documents.invoices.create"},
	}}, http.StatusOK, nil)
	s.must(t, "POST", "/webhooks", owner, map[string]any{"to_url": good.url + "/?key=" + secret("a query under defacto"), "event_types": []string{"Invoice.SUBMITTED"}}, http.StatusCreated, nil)

	// when events come, secrets change, and requests go wrong with secrets in
	// every place,
	s.stillServes(t)
	for _, failing := range refusing {
		s.attemptedAny(t, owner, failing)
	}
	var rotated struct{ Secret string }
	s.must(t, "POST", fmt.Sprintf("/v1/companies/1/subscriptions/%d/rotate", id), owner, map[string]any{}, http.StatusOK, &rotated)
	all["a newer signing secret"] = rotated.Secret
	s.must(t, "POST", "/v1/keys/fic/rotate", adminToken, nil, http.StatusOK, nil)
	s.stillServes(t)
	wrong := secret("a wrong token")
	body := secret("a body")
	said := new(strings.Builder) // to those who are not the owner
	for _, path := range []string{"/v1/apps", "/v1/tokens", "/v1/companies/1/subscriptions", "/c/1/subscriptions", "/webhooks", "/subscriptions", "/v1/master-keys", "/v1/nothing", "/metrics", "/", "/openapi.yaml"} {
		for _, token := range []string{"", wrong, stranger, all["a publisher's token"]} {
			for _, method := range []string{"GET", "POST"} {
				a := s.call(t, method, path+"?secret="+body, token, map[string]any{"name": 5, "sink": "https://user:" + body + "@example.com/", "secret": body, body: 1})
				said.WriteString(strings.ReplaceAll(a.body, body, "")) // what one sends oneself is no secret
				a = s.call(t, method, path, token, nil)
				said.WriteString(a.body)
			}
		}
	}
	for _, path := range []string{fmt.Sprintf("/v1/companies/1/subscriptions/%d", id), "/v1/companies/1/deliveries/1", "/v1/companies/1/deliveries"} {
		said.WriteString(s.call(t, "GET", path, stranger, nil).body)
	}
	said.WriteString(s.call(t, "GET", "/metrics", "", nil).body)
	// lists and the log are free of them to the owner as well,
	for _, path := range []string{"/v1/companies/1/subscriptions", "/v1/companies/1/deliveries/1", "/v1/companies/1/deliveries", "/v1/companies/1/deliveries/2", "/v1/companies/1/deliveries/3"} {
		said.WriteString(s.call(t, "GET", path, owner, nil).body)
	}
	said.WriteString(s.call(t, "GET", "/v1/tokens", adminToken, nil).body)
	said.WriteString(s.runs(t, "keys", "rotate-master"))
	said.WriteString(s.refuses(t, "keys", "remove-master", wrong+"x"))

	// then none of them was told.
	for name, text := range map[string]string{"log": s.Log.String(), "answers": said.String()} {
		if found := all.in([]byte(text)); len(found) > 0 {
			t.Errorf("the %s tells %q", name, found)
		}
	}
	// In the files are sinks and what was published, as they are; all else is
	// hashed or encrypted.
	for name := range all {
		if strings.Contains(name, "query") {
			delete(all, name)
		}
	}
	s.Stop(t, os.Interrupt)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := all.in(text)
		if filepath.Base(file) == "master.keys" {
			found = slices.DeleteFunc(found, func(name string) bool { return strings.HasPrefix(name, "the master key") })
		}
		if len(found) > 0 {
			t.Errorf("the file %s holds %q", filepath.Base(file), found)
		}
	}
	if n := len(all); n < 15 {
		t.Errorf("only %d secrets were looked for", n)
	}
}

// masterKey gives the first master key of a data folder, as it is written and
// its bytes.
func masterKey(t *testing.T, dir string) (text, raw string) {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(dir, "master.keys"))
	if err != nil {
		t.Fatal(err)
	}
	entry := regexp.MustCompile(`(?m)^\w+:(\S{44})$`).FindSubmatch(file)
	if entry == nil {
		t.Fatal("there is no master key")
	}
	key, err := base64.StdEncoding.DecodeString(string(entry[1]))
	if err != nil {
		t.Fatal(err)
	}
	return string(entry[1]), string(key)
}

// attemptedAny waits for an attempt of a subscription.
func (s *server) attemptedAny(t *testing.T, token string, subscription int64) {
	t.Helper()
	tried := regexp.MustCompile(`"attempts":[1-9]`)
	if !eventually(func() bool {
		return tried.MatchString(s.call(t, "GET", fmt.Sprintf("/v1/companies/1/deliveries?subscription=%d", subscription), token, nil).body)
	}) {
		t.Fatalf("subscription %d was sent nothing", subscription)
	}
}
