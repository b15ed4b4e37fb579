package api_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/api"
	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

// A sink is a receiver on loopback, as a subscriber of the native contract
// would write it: it repeats challenges and takes notifications.
type sink struct {
	t        *testing.T
	url      string
	got      chan notification
	asked    chan http.Header // the challenges
	reticent atomic.Bool      // it answers no challenge
}

type notification struct {
	header http.Header
	body   []byte
}

func newSink(t *testing.T) *sink {
	t.Helper()
	s := &sink{t: t, got: make(chan notification, 100), asked: make(chan http.Header, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.Method {
		case http.MethodPost:
			s.got <- notification{r.Header, body}
		case http.MethodOptions:
			s.asked <- r.Header
		default:
			s.asked <- r.Header
			if !s.reticent.Load() {
				_, _ = io.WriteString(w, r.Header.Get("webhook-challenge")+r.URL.Query().Get("webhook-challenge"))
			}
		}
	}))
	t.Cleanup(server.Close)
	s.url = server.URL + "/hook?key=hush-sink"
	return s
}

// next gives the next notification.
func (s *sink) next() notification {
	s.t.Helper()
	return receive(s.t, s.got)
}

// quiet fails the test where a notification is there.
func (s *sink) quiet() {
	s.t.Helper()
	select {
	case n := <-s.got:
		s.t.Errorf("the sink got %s", n.body)
	default:
	}
}

func receive[T any](t *testing.T, from chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
	}
	return v
}

// verified tells whether the notification has a signature of the secret, or of
// the private half of the public key.
func (n notification) verified(t *testing.T, key string) bool {
	t.Helper()
	var verifier sign.WebhookVerifier
	var err error
	if key[:5] == "whsec" {
		verifier, err = sign.ParseHMACSecret(key)
	} else {
		verifier, err = sign.ParseEd25519PublicKey(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	var header []fattorino.Header
	for name := range n.header {
		header = append(header, fattorino.Header{Name: name, Value: n.header.Get(name)})
	}
	return sign.VerifyWebhook(header, n.body, time.Now(), verifier) == nil
}

const subscriptions = "/v1/companies/12345/subscriptions"

// An integrator is an app that calls the API with its own token.
type integrator struct {
	*fixture
	token string
}

func (f *fixture) integrator(name string) *integrator {
	f.t.Helper()
	return &integrator{f, f.token(fmt.Sprintf(`{"kind":"api","app_id":%d,"companies":[12345],"scopes":["*"]}`, f.app(name)))}
}

// ask calls an operation on subscriptions.
func (i *integrator) ask(method, path, body string, header ...string) reply {
	i.t.Helper()
	c := call{method: method, path: subscriptions + path, token: i.token, body: body, header: map[string]string{}}
	for pair := range slices.Chunk(header, 2) {
		c.header[pair[0]] = pair[1]
	}
	return i.do(c)
}

// subscribe makes a subscription with these members besides sink and types.
func (i *integrator) subscribe(sink *sink, types, more string) api.SubscriptionWithSecret {
	i.t.Helper()
	var made api.SubscriptionWithSecret
	i.ask("POST", "", fmt.Sprintf(`{"sink":%q,"types":%s%s}`, sink.url, types, more)).want(i.t, http.StatusCreated).decode(i.t, &made)
	return made
}

// read gives a subscription as it is shown, with its ETag.
func (i *integrator) read(id int64) (s api.Subscription, tag string) {
	i.t.Helper()
	answer := i.ask("GET", fmt.Sprintf("/%d", id), "").want(i.t, http.StatusOK)
	answer.decode(i.t, &s)
	return s, answer.header.Get("ETag")
}
