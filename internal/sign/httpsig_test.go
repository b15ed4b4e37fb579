package sign_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/remitly-oss/httpsig-go"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

const signedURL = "https://example.com/hooks/in%2Fvoices?tenant=a&key=%C3%A8"

// notification gives the header fields of an event in binary mode.
func notification(now time.Time) []fattorino.Header {
	return []fattorino.Header{
		{Name: "Content-Type", Value: "application/json"},
		{Name: "webhook-id", Value: vectorID},
		{Name: "webhook-timestamp", Value: strconv.FormatInt(now.Unix(), 10)},
		{Name: "ce-specversion", Value: "1.0"},
		{Name: "ce-id", Value: "198:f059b211"},
		{Name: "ce-source", Value: "https://example.com/companies/1"},
		{Name: "ce-type", Value: "invoice.created"},
	}
}

// keySet is a receiver's way to the keys: by name, from the published set.
type keySet struct{ set []byte }

var errUnknownKey = errors.New("there is no such key in the set")

func (s keySet) FetchByKeyID(_ context.Context, _ http.Header, kid string) (httpsig.KeySpecer, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(s.set, &set); err != nil {
		return nil, err
	}
	keys := set.Key(kid)
	if len(keys) != 1 {
		return nil, errUnknownKey
	}
	return httpsig.KeySpec{KeyID: kid, Algo: httpsig.Algo_ED25519, PubKey: keys[0].Key}, nil
}

func (s keySet) Fetch(context.Context, http.Header, httpsig.MetadataProvider) (httpsig.KeySpecer, error) {
	return nil, errUnknownKey
}

// verifyRequest verifies a request as received with httpsig-go, and gives its
// error. Everything that we promise to cover must be covered.
func verifyRequest(r *http.Request, set []byte) error {
	covered := []string{"@method", "@target-uri", "content-type", "content-digest", "webhook-id", "webhook-timestamp"}
	if r.Header.Get("Ce-Specversion") != "" {
		covered = append(covered, "ce-id", "ce-source", "ce-type")
	}
	// Version 1.2.0 puts the target URI together from RawPath, which is mostly
	// empty, and RawQuery without its question mark; here it finds what the
	// request line says.
	r.URL.RawPath, r.URL.RawQuery = r.RequestURI, ""
	result, err := httpsig.Verify(r, keySet{set}, httpsig.VerifyProfile{
		SignatureLabel:    "sig1",
		AllowedAlgorithms: []httpsig.Algorithm{httpsig.Algo_ED25519},
		RequiredFields:    httpsig.Fields(covered...),
		RequiredMetadata:  []httpsig.Metadata{httpsig.MetaCreated, httpsig.MetaKeyID, httpsig.MetaAlgorithm, httpsig.MetaTag},
	})
	if err != nil {
		return err
	}
	if alg, err := result.Alg(); err != nil || alg != "ed25519" {
		return errors.New("the parameter alg is " + alg)
	}
	if tag, err := result.Tag(); err != nil || tag != "webhook" {
		return errors.New("the parameter tag is " + tag)
	}
	return nil
}

// received gives a request as net/http reads it when net/http has written it.
func received(t testing.TB, header []fattorino.Header, method, target string, body []byte) *http.Request {
	t.Helper()
	sent, err := http.NewRequestWithContext(t.Context(), method, target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range header {
		sent.Header[f.Name] = append(sent.Header[f.Name], f.Value)
	}
	var wire bytes.Buffer
	if err := sent.Write(&wire); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatalf("%v in %q", err, wire.String())
	}
	if strings.HasPrefix(strings.ToLower(target), "https:") {
		r.TLS = &tls.ConnectionState{}
	}
	return r
}

func signRequest(t testing.TB, k *sign.Ed25519Key, header []fattorino.Header, method, target string, body []byte, now time.Time) []fattorino.Header {
	t.Helper()
	signed, err := k.AppendHTTPSignature(header, method, target, body, now)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// A receiver that knows nothing of us but where the keys are.
func TestReceiverVerifiesTheRequestWithThePublishedKey(t *testing.T) {
	t.Parallel()
	current, previous, stranger := sign.NewEd25519Key(), sign.NewEd25519Key(), sign.NewEd25519Key()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(sign.JWKS[sign.Published](newKey(t), current.Public(), previous.Public()))
	})
	mux.HandleFunc("POST /hooks", func(w http.ResponseWriter, r *http.Request) {
		answer, err := ownClient().Get("http://" + r.Header.Get("Keys") + "/.well-known/jwks.json")
		if err != nil {
			t.Error(err)
			return
		}
		defer answer.Body.Close()
		set, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Error(err)
			return
		}
		if err := verifyRequest(r, set); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		_, _ = io.Copy(w, r.Body)
	})
	publisher, receiver := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	t.Cleanup(publisher.Close)
	t.Cleanup(receiver.Close)

	for _, tc := range []struct {
		name string
		key  *sign.Ed25519Key
		want int
	}{
		{"the current key", current, http.StatusOK},
		{"the previous key", previous, http.StatusOK},
		{"a key that is not published", stranger, http.StatusUnauthorized},
	} {
		body, target := []byte(`{"hello": "world"}`), receiver.URL+"/hooks?tenant=a&key=b"
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range signRequest(t, tc.key, notification(time.Now()), r.Method, target, body, time.Now()) {
			r.Header[f.Name] = []string{f.Value}
		}
		r.Header.Set("Keys", publisher.Listener.Addr().String())
		answer, err := receiver.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != tc.want {
			t.Errorf("signed with %s: %d %s, error %v", tc.name, answer.StatusCode, text, err)
		}
	}
}

// The exact fields. Ed25519 signs the same each time.
func TestHTTPSignatureFields(t *testing.T) {
	t.Parallel()
	k, at := parseKey(t, vectorPrivate), time.Unix(1618884473, 999)
	header := notification(at)
	got := signRequest(t, k, header, "POST", signedURL, []byte(`{"hello": "world"}`), at)

	if diff := cmp.Diff(header, got[:len(header)]); diff != "" {
		t.Errorf("the fields before were changed: %s", diff)
	}
	input := `sig1=("@method" "@target-uri" "content-type" "content-digest" "webhook-id" "webhook-timestamp" "ce-id" "ce-source" "ce-type")` +
		`;created=1618884473;keyid="` + k.Public().KID() + `";alg="ed25519";tag="webhook"`
	want := []fattorino.Header{
		{Name: "Content-Digest", Value: "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"},
		{Name: "Signature-Input", Value: input},
	}
	added := got[len(header):]
	if diff := cmp.Diff(want, added[:2]); diff != "" {
		t.Error(diff)
	}
	if len(added) != 3 || added[2].Name != "Signature" || !strings.HasPrefix(added[2].Value, "sig1=:") || len(added[2].Value) != len("sig1=::")+88 {
		t.Errorf("signature fields %v", added[2:])
	}
	again := signRequest(t, k, header, "POST", signedURL, []byte(`{"hello": "world"}`), at)
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("signed again: %s", diff)
	}
}

func TestStructuredModeNeedsNoAttributes(t *testing.T) {
	t.Parallel()
	k, now := sign.NewEd25519Key(), time.Now()
	signed := signRequest(t, k, notification(now)[:3], "POST", signedURL, []byte("{}"), now)
	if strings.Contains(signed[4].Value, "ce-") {
		t.Errorf("covered: %s", signed[4].Value)
	}
	if err := verifyRequest(received(t, signed, "POST", signedURL, []byte("{}")), sign.JWKS(k.Public())); err != nil {
		t.Error(err)
	}
}

// Whatever is covered cannot be changed on the way.
func TestReceiverNoticesTampering(t *testing.T) {
	t.Parallel()
	k, now, body := sign.NewEd25519Key(), time.Now(), []byte(`{"hello": "world"}`)
	signed := signRequest(t, k, notification(now), "POST", signedURL, body, now)
	other := sign.NewEd25519Key().Public().KID()
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	input := signed[len(signed)-2].Value
	for name, tamper := range map[string]func(*http.Request){
		"method":       func(r *http.Request) { r.Method = "PUT" },
		"scheme":       func(r *http.Request) { r.TLS = nil },
		"host":         func(r *http.Request) { r.Host = "example.org" },
		"path":         func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "hooks", "other", 1) },
		"path encoded": func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "%2F", "/", 1) },
		"query":        func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "tenant=a", "tenant=b", 1) },
		"content type": set("Content-Type", "text/plain"),
		"body":         func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"hello": "wordl"}`)) },
		"body and digest": func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(""))
			r.Header.Set("Content-Digest", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:")
		},
		"id":        set("Webhook-Id", "msg_2"),
		"timestamp": set("Webhook-Timestamp", strconv.FormatInt(now.Unix()+1, 10)),
		"event id":  set("Ce-Id", "198:f059b212"),
		"source":    set("Ce-Source", "https://example.com/companies/2"),
		"type":      set("Ce-Type", "invoice.deleted"),
		"created":   set("Signature-Input", strings.Replace(input, "created=", "created=1", 1)),
		"key":       set("Signature-Input", strings.Replace(input, k.Public().KID(), other, 1)),
		"tag":       set("Signature-Input", strings.Replace(input, `tag="webhook"`, `tag="other"`, 1)),
		"less":      set("Signature-Input", strings.Replace(input, `"content-digest" `, "", 1)),
	} {
		genuine := received(t, signed, "POST", signedURL, body)
		if err := verifyRequest(genuine, sign.JWKS(k.Public())); err != nil {
			t.Fatal(err)
		}
		r := received(t, signed, "POST", signedURL, body)
		tamper(r)
		if err := verifyRequest(r, sign.JWKS(k.Public())); err == nil {
			t.Errorf("the %s can be changed", name)
		}
	}
}

// The target URI is the one that a receiver sees.
func TestTargetURIs(t *testing.T) {
	t.Parallel()
	k, now := sign.NewEd25519Key(), time.Now()
	for _, target := range []string{
		"https://example.com",
		"https://example.com/",
		"https://example.com?a=b",
		"https://example.com/?",
		"https://example.com/#fragment",
		"https://example.com/a?b#c?d",
		"HTTPS://EXAMPLE.com/Path",
		"https://example.com:443/a",
		"https://example.com:/a",
		"https://example.com:8443/a//b/../c/./",
		"https://user:secret@example.com/a",
		"https://perché.example/è?x=1",
		"https://①②.example/",
		"https://192.0.2.1/a",
		"https://[2001:db8::1]:8443/a",
		"https://[2001:db8::1]/a",
		"https://example.com/%7Euser/%c3%a8/a%20b",
		"https://example.com/a b/\"<>",
		"https://example.com/a;b,c=d:e@f!$&'()*+",
		"https://example.com/?q=%20+%2B&&a==b?c/d:e@f'",
		"http://localhost:8080/a",
	} {
		signed := signRequest(t, k, notification(now), "POST", target, nil, now)
		if err := verifyRequest(received(t, signed, "POST", target, nil), sign.JWKS(k.Public())); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestRequestsThatCannotBeSigned(t *testing.T) {
	t.Parallel()
	k, now := sign.NewEd25519Key(), time.Now()
	without := func(name string) []fattorino.Header {
		return slices.DeleteFunc(notification(now), func(f fattorino.Header) bool { return f.Name == name })
	}
	with := func(name, value string) []fattorino.Header {
		return append(without(name), fattorino.Header{Name: name, Value: value})
	}
	for _, tc := range []struct {
		name           string
		header         []fattorino.Header
		method, target string
		want           string // in the error
	}{
		{"no content type", without("Content-Type"), "POST", signedURL, "content-type is missing"},
		{"no id", without("webhook-id"), "POST", signedURL, "webhook-id is missing"},
		{"no timestamp", without("webhook-timestamp"), "POST", signedURL, "webhook-timestamp is missing"},
		{"binary mode without ce-id", without("ce-id"), "POST", signedURL, "ce-id is missing"},
		{"binary mode without ce-source", without("ce-source"), "POST", signedURL, "ce-source is missing"},
		{"binary mode without ce-type", without("ce-type"), "POST", signedURL, "ce-type is missing"},
		{"structured mode with one attribute", append(notification(now)[:3], fattorino.Header{Name: "CE-Type", Value: "secret"}), "POST", signedURL, "ce-id is missing"},
		{"no header", nil, "POST", signedURL, "content-type is missing"},
		{"digest there", with("content-digest", "sha-256=:secret:"), "POST", signedURL, "content-digest already"},
		{"signature there", with("SIGNATURE", "sig1=:secret:"), "POST", signedURL, "signature already"},
		{"signature input there", with("Signature-Input", "secret"), "POST", signedURL, "signature-input already"},
		{"line break in a value", with("ce-id", "secret\nce-type: 2"), "POST", signedURL, "ce-id holds"},
		{"folded line", with("Content-Type", "secret/\r\n plain"), "POST", signedURL, "content-type holds"},
		{"NUL in a value", with("ce-type", "secret\x00"), "POST", signedURL, "ce-type holds"},
		{"DEL in a value", with("ce-type", "secret\x7f"), "POST", signedURL, "ce-type holds"},
		{"value not ASCII", with("ce-source", "secrèt"), "POST", signedURL, "ce-source holds"},
		{"no method", notification(now), "", signedURL, "method"},
		{"method with a space", notification(now), "POST secret", signedURL, "method"},
		{"method with a line break", notification(now), "POST\n", signedURL, "method"},
		{"no URL", notification(now), "POST", "", "http or https"},
		{"malformed URL", notification(now), "POST", "https://example.com/%secret", "malformed"},
		{"relative URL", notification(now), "POST", "/secret", "http or https"},
		{"other scheme", notification(now), "POST", "ftp://example.com/secret", "http or https"},
		{"opaque URL", notification(now), "POST", "https:secret", "http or https"},
		{"no host", notification(now), "POST", "https:///secret", "http or https"},
		{"host that is not sent", notification(now), "POST", `https://a"secret/`, "host"},
		{"IPv6 zone, which is not sent", notification(now), "POST", "https://[fe80::1%25secret]/", "host"},
		{"query not ASCII", notification(now), "POST", "https://example.com/?secrèt", "ASCII"},
		{"space in the query", notification(now), "POST", "https://example.com/?secret b", "space"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := k.AppendHTTPSignature(tc.header, tc.method, tc.target, nil, now)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want an error with %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "secr") || strings.Contains(err.Error(), "tenant") {
				t.Errorf("the error quotes the request: %v", err)
			}
			if diff := cmp.Diff(tc.header, got); diff != "" {
				t.Errorf("the header came back changed: %s", diff)
			}
		})
	}
}

// Whatever is signed at all, another implementation verifies, after it went
// over the wire.
func FuzzHTTPSignature(f *testing.F) {
	f.Add(signedURL, "application/json", vectorID, "https://example.com/companies/1", []byte("{}"))
	f.Add("https://user@perché.example:443?a#b", " text/plain; charset=\"utf-8\"\t", "a\tb", "", []byte(nil))
	f.Add("http://[::1]:80//a/../b%2f?", "\\", "\"", "(),:;", []byte{0, 0xff})
	k := parseKey(f, vectorPrivate)
	set := sign.JWKS(k.Public())
	f.Fuzz(func(t *testing.T, target, contentType, id, source string, body []byte) {
		now := time.Now()
		header := notification(now)
		header[0].Value, header[1].Value, header[5].Value = contentType, id, source
		signed, err := k.AppendHTTPSignature(header, "POST", target, body, now)
		if err != nil {
			return
		}
		if err := verifyRequest(received(t, signed, "POST", target, body), set); err != nil {
			t.Errorf("%q with %q, %q, %q: %v", target, contentType, id, source, err)
		}
	})
}
