package sign_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	svix "github.com/svix/svix-webhooks/go"

	"github.com/fattorino-dev/fattorino/internal/sign"
)

// A receiver's library, which knows a secret. None of them knows v1a.
type peer interface {
	Verify(payload []byte, header http.Header) error
	Sign(id string, timestamp time.Time, payload []byte) (string, error)
}

// peers gives the libraries that receivers have, by name.
func peers(t *testing.T, secret *sign.HMACSecret) map[string]peer {
	t.Helper()
	reference, err := standardwebhooks.NewWebhook(secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	client, err := svix.NewWebhook(secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return map[string]peer{"standard-webhooks": reference, "svix": client}
}

// deliver posts a notification on loopback to a receiver that verifies it.
func deliver(t *testing.T, p peer, id string, at time.Time, signatures, body string) int {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		payload, err := io.ReadAll(r.Body)
		if err == nil {
			err = p.Verify(payload, r.Header)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
		}
	}))
	defer receiver.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, receiver.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range webhookHeader(id, strconv.FormatInt(at.Unix(), 10), signatures) {
		r.Header[f.Name] = []string{f.Value}
	}
	answer, err := ownClient().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

func TestReceiversLibrariesAcceptOurSignatures(t *testing.T) {
	t.Parallel()
	current, previous, stranger := sign.NewHMACSecret(), sign.NewHMACSecret(), sign.NewHMACSecret()
	asymmetric, now := sign.NewEd25519Key(), time.Now()
	body := `{"type":"invoice.created","data":"perché 💶"}`
	for _, tc := range []struct {
		name string
		keys sign.WebhookKeys
		want int
	}{
		{"SW-5 one secret", sign.WebhookKeys{current}, http.StatusOK},
		{"SW-6 the receiver has the new secret", sign.WebhookKeys{current, previous}, http.StatusOK},
		{"SW-6 the receiver still has the old secret", sign.WebhookKeys{stranger, current}, http.StatusOK},
		{"SW-6 v1a is skipped", sign.WebhookKeys{asymmetric, current}, http.StatusOK},
		{"another secret", sign.WebhookKeys{stranger, previous}, http.StatusUnauthorized},
		{"v1a alone", sign.WebhookKeys{asymmetric}, http.StatusUnauthorized},
	} {
		for name, p := range peers(t, current) {
			signatures := signature(t, tc.keys, vectorID, now.Unix(), body)
			if got := deliver(t, p, vectorID, now, signatures, body); got != tc.want {
				t.Errorf("%s, %s: %d, want %d", name, tc.name, got, tc.want)
			}
			if got := deliver(t, p, vectorID, now, signatures, body+" "); got != http.StatusUnauthorized {
				t.Errorf("%s, %s, with another body: %d", name, tc.name, got)
			}
		}
	}
}

func TestWeAcceptWhatTheLibrariesSign(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, text := range []string{vectorSecret, sign.NewHMACSecret().Reveal()} {
		secret := parseSecret(t, text)
		for name, p := range peers(t, secret) {
			theirs, err := p.Sign(vectorID, now, []byte(vectorBody))
			if err != nil {
				t.Fatal(err)
			}
			if ours := signature(t, secret, vectorID, now.Unix(), vectorBody); ours != theirs {
				t.Errorf("%s signs %s, we %s", name, theirs, ours)
			}
			header := webhookHeader(vectorID, strconv.FormatInt(now.Unix(), 10), theirs)
			if err := sign.VerifyWebhook(header, []byte(vectorBody), now, secret); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// ownClient gives a client that shares no connections: any test server that is
// closed closes those of the default one, those of other tests included.
func ownClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}
