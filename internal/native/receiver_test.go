package native_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/remitly-oss/httpsig-go"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/native"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// formats are all forms of a notification.
func formats(each func(name string, f fattorino.Format, thin bool)) {
	for _, f := range []fattorino.Format{fattorino.Binary, fattorino.Structured, fattorino.Batched, fattorino.Standard} {
		each(string(f), f, false)
		each(string(f)+" thin", f, true)
	}
}

// accepts sends a notification to a receiver on loopback that verifies it, and
// tells whether it found it good.
func accepts(t *testing.T, r *fattorino.Request, verify func(body []byte, r *http.Request) error) bool {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			err = verify(body, r)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
		}
	}))
	defer receiver.Close()
	sent := *r
	sent.URL = receiver.URL + "/in?tenant=a"
	return exchange(t, &sent).Status == http.StatusOK
}

// SW-1 to SW-6 with the reference library of Standard Webhooks: before, during
// and after a rotation.
func TestV1_ReferenceLibraryVerifies(t *testing.T) {
	t.Parallel()
	f, at := newFixture(t), time.Now() // the library has a clock of its own
	receiver := func(secret string) func([]byte, *http.Request) error {
		w, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		return func(body []byte, r *http.Request) error { return w.Verify(body, r.Header) }
	}
	formats(func(name string, format fattorino.Format, thin bool) {
		for _, tc := range []struct {
			name     string
			secrets  []fattorino.Secret
			old, new bool
		}{
			{"before", []fattorino.Secret{f.secret(t, oldHMAC, time.Time{})}, true, false},
			{"during", []fattorino.Secret{f.secret(t, newHMAC, time.Time{}), f.secret(t, oldHMAC, at.Add(time.Hour))}, true, true},
			{"at its end", []fattorino.Secret{f.secret(t, newHMAC, time.Time{}), f.secret(t, oldHMAC, at)}, false, true},
			{"after", []fattorino.Secret{f.secret(t, newHMAC, time.Time{}), f.secret(t, oldHMAC, at.Add(-time.Hour))}, false, true},
		} {
			for _, signature := range []string{"", sign.SchemeV1} {
				t.Run(name+" "+tc.name+" "+signature, func(t *testing.T) {
					t.Parallel()
					s := subscription()
					s.Format, s.Secrets, s.Options.Thin, s.Options.Signature = format, tc.secrets, thin, signature
					r := f.notification(t, s, invoicePaid(), at)
					if got := accepts(t, r, receiver(oldHMAC)); got != tc.old {
						t.Errorf("a receiver with the old secret accepts: %v", got)
					}
					if got := accepts(t, r, receiver(newHMAC)); got != tc.new {
						t.Errorf("a receiver with the new secret accepts: %v", got)
					}
				})
			}
		}
	})
}

// SW-5 with Ed25519: no library of receivers knows v1a, so that the check is
// by hand, with nothing of ours.
func TestV1a_Verifies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	public, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(oldPublic, "whpk_"))
	if err != nil {
		t.Fatal(err)
	}
	formats(func(name string, format fattorino.Format, thin bool) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := subscription()
			s.Format, s.Options.Thin, s.Options.Signature = format, thin, sign.SchemeV1a
			s.Secrets = []fattorino.Secret{f.secret(t, newEd25519, time.Time{}), f.secret(t, oldEd25519, now.Add(time.Hour))}
			r := f.notification(t, s, invoicePaid(), now)
			list := strings.Fields(value(r.Header, "webhook-signature"))
			if len(list) != 2 {
				t.Fatalf("%d signatures", len(list))
			}
			raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(list[1], "v1a,"))
			content := value(r.Header, "webhook-id") + "." + strconv.FormatInt(now.Unix(), 10) + "." + string(r.Body)
			if err != nil || !ed25519.Verify(public, []byte(content), raw) {
				t.Errorf("the second signature is not of the old key: %v", err)
			}
		})
	})
}

// SW-6: a subscription that goes from v1 to v1a signs with both for the time
// of the overlap.
func TestRotation_BetweenSchemes(t *testing.T) {
	t.Parallel()
	f, s := newFixture(t), subscription()
	s.Options.Signature = sign.SchemeV1a
	s.Secrets = []fattorino.Secret{f.secret(t, newEd25519, time.Time{}), f.secret(t, oldHMAC, now.Add(time.Hour))}
	list := strings.Fields(value(f.notification(t, s, invoicePaid(), now).Header, "webhook-signature"))
	if len(list) != 2 || !strings.HasPrefix(list[0], "v1a,") || !strings.HasPrefix(list[1], "v1,") {
		t.Errorf("%q", list)
	}
}

// keySet gives a receiver the public keys by name.
type keySet map[string]ed25519.PublicKey

var errUnknownKey = errors.New("there is no such key")

func (s keySet) FetchByKeyID(_ context.Context, _ http.Header, kid string) (httpsig.KeySpecer, error) {
	if key, ok := s[kid]; ok {
		return httpsig.KeySpec{KeyID: kid, Algo: httpsig.Algo_ED25519, PubKey: key}, nil
	}
	return nil, errUnknownKey
}

func (s keySet) Fetch(context.Context, http.Header, httpsig.MetadataProvider) (httpsig.KeySpecer, error) {
	return nil, errUnknownKey
}

// published gives the public half of a private key as a key set has it.
func published(t *testing.T, private string) keySet {
	t.Helper()
	key, err := sign.ParseEd25519Key(private)
	if err != nil {
		t.Fatal(err)
	}
	var jwk jose.JSONWebKey
	if err := json.Unmarshal(key.Public().JWK(), &jwk); err != nil {
		t.Fatal(err)
	}
	return keySet{jwk.KeyID: jwk.Key.(ed25519.PublicKey)}
}

// RFC 9421 with httpsig-go. During a rotation the new key is sig1, the old one
// sig2: who knows either finds a signature.
func TestHTTPSig_PeerVerifies(t *testing.T) {
	t.Parallel()
	f, at := newFixture(t), time.Now() // the library has a clock of its own
	formats(func(name string, format fattorino.Format, thin bool) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := subscription()
			s.Format, s.Options.Thin, s.Options.Signature = format, thin, sign.SchemeHTTPSig
			s.Secrets = []fattorino.Secret{
				f.secret(t, newEd25519, time.Time{}), f.secret(t, oldHMAC, at.Add(time.Hour)), f.secret(t, oldEd25519, at.Add(time.Hour)),
			}
			r := f.notification(t, s, invoicePaid(), at)
			covered := []string{"@method", "@target-uri", "content-type", "content-digest", "webhook-id", "webhook-timestamp"}
			if format == fattorino.Binary {
				covered = append(covered, "ce-id", "ce-source", "ce-type")
			}
			verify := func(label string, keys keySet, change func(*http.Request)) error {
				got := received(t, r)
				got.URL.Scheme, got.URL.Host = "https", got.Host
				// Version 1.2.0 puts the target URI together from RawPath and
				// RawQuery, and the scheme from the connection.
				got.URL.RawPath, got.URL.RawQuery = got.RequestURI, ""
				got.TLS = &tls.ConnectionState{}
				change(got)
				_, err := httpsig.Verify(got, keys, httpsig.VerifyProfile{
					SignatureLabel: label, RequiredFields: httpsig.Fields(covered...),
					AllowedAlgorithms: []httpsig.Algorithm{httpsig.Algo_ED25519},
					RequiredMetadata:  []httpsig.Metadata{httpsig.MetaCreated, httpsig.MetaKeyID, httpsig.MetaAlgorithm, httpsig.MetaTag},
				})
				return err
			}
			asSent := func(*http.Request) {}
			if err := verify("sig1", published(t, newEd25519), asSent); err != nil {
				t.Errorf("new key: %v", err)
			}
			if err := verify("sig2", published(t, oldEd25519), asSent); err != nil {
				t.Errorf("old key: %v", err)
			}
			for name, change := range map[string]func(*http.Request){
				"body": func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{}")) },
				"id":   func(r *http.Request) { r.Header.Set("Webhook-Id", "msg_1_A") },
			} {
				if verify("sig1", published(t, newEd25519), change) == nil {
					t.Errorf("with another %s it is still good", name)
				}
			}
		})
	})
}

// The claims as the webhook profile has them, checked with go-jose.
func TestJWT_PeerVerifies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	formats(func(name string, format fattorino.Format, thin bool) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := subscription()
			s.Format, s.Options.Thin, s.Options.Signature = format, thin, native.SignatureJWT
			r := f.notification(t, s, invoicePaid(), now)
			token, ok := strings.CutPrefix(value(r.Header, "Authorization"), "Bearer ")
			if !ok {
				t.Fatal("there is no bearer token")
			}
			jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
			if err != nil {
				t.Fatal(err)
			}
			payload, err := jws.Verify(tokenKey(t).Public())
			if err != nil {
				t.Fatal(err)
			}
			var got claims
			if err := json.Unmarshal(payload, &got); err != nil {
				t.Fatal(err)
			}
			hash := sha256.Sum256(r.Body)
			equal(t, got, claims{
				ID: value(r.Header, "webhook-id"), Issuer: baseURL, Subject: "company:12345", Audience: []string{sink},
				IssuedAt: now.Unix(), ExpiresAt: now.Unix() + 300, AppID: 7, BodySHA256: base64.RawURLEncoding.EncodeToString(hash[:]),
			})
		})
	})
}

// What cannot be signed as was chosen is not sent unsigned.
func TestSignature_MissingKeyIsAnError(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *native.Options) { o.Signer = nil })
	over := f.secret(t, oldEd25519, now.Add(-time.Second))
	for _, signature := range []string{sign.SchemeV1, sign.SchemeV1a, sign.SchemeHTTPSig, native.SignatureJWT} {
		for _, secrets := range [][]fattorino.Secret{nil, {over}} {
			s := subscription()
			s.Secrets, s.Options.Signature = secrets, signature
			if _, err := f.Notification(s, invoicePaid(), now); err == nil {
				t.Errorf("%s with %d secrets: sent", signature, len(secrets))
			}
		}
	}
	s := subscription()
	s.Secrets, s.Options.Signature = []fattorino.Secret{{Sealed: []byte("damaged")}}, ""
	if _, err := f.Notification(s, invoicePaid(), now); err == nil {
		t.Error("with a secret that does not open: sent")
	}
}

func TestSignature_NoneIsUnsignedAndHasAnID(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	unsigned, ignored := subscription(), subscription()
	ignored.Options.Signature, ignored.Secrets = native.SignatureNone, []fattorino.Secret{f.secret(t, oldHMAC, time.Time{})}
	for _, s := range []*fattorino.Subscription{unsigned, ignored} {
		r := f.notification(t, s, invoicePaid(), now)
		if value(r.Header, "webhook-signature") != "" || value(r.Header, "webhook-id") == "" || value(r.Header, "webhook-timestamp") == "" {
			t.Errorf("%v", r.Header)
		}
	}
}
