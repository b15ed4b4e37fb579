package hostile_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// A receiver is a sink that checks each notification's signature and header
// field, and counts.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	secret []byte // of its HMAC
	field  string // what X-Canary must be
	good   map[string]bool
	faults []string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{good: map[string]bool{}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.receive))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) receive(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	mac := hmac.New(sha256.New, r.secret)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", q.Header.Get("webhook-id"), q.Header.Get("webhook-timestamp"), body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if got := q.Header.Get("webhook-signature"); got != want || q.Header.Get("X-Canary") != r.field {
		r.faults = append(r.faults, got)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.good[q.Header.Get("ce-id")] = true
}

func (r *receiver) state() (good int, faults []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.good), r.faults
}

// subscribe makes a native subscription that needs no handshake, and gives its
// id and secret.
func (s *server) subscribe(t *testing.T, token string, wish map[string]any) (id int64, secret string) {
	t.Helper()
	wish["handshake"] = "none"
	var made struct {
		ID     int64
		Secret string
	}
	s.must(t, "POST", "/v1/companies/1/subscriptions", token, wish, http.StatusCreated, &made)
	return made.ID, made.Secret
}

// command runs the program as a client of the server.
func (s *server) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), binary, append(args, "--url", s.url)...)
	c.Env = []string{"FATTORINO_ADMIN_TOKEN=" + adminToken}
	return c
}

func (s *server) runs(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.command(t, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (s *server) refuses(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.command(t, args...).CombinedOutput()
	if err == nil {
		t.Fatalf("%v is not refused:\n%s", args, out)
	}
	return string(out)
}

// sealedUnder reads what --dry-run prints: the ids of the master keys, the
// current one first, and how many secrets are under each.
func (s *server) sealedUnder(t *testing.T) (ids []string, counts map[string]string) {
	t.Helper()
	counts = map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+) +(\d+) `).FindAllStringSubmatch(s.runs(t, "keys", "rotate-master", "--dry-run"), -1) {
		ids, counts[m[1]] = append(ids, m[1]), m[2]
	}
	return ids, counts
}

var noHandshake = []string{"--allow-no-handshake", "--subscription-limit", "10000"}

func TestMasterKeysRotateUnderLoadAndSurviveAKill(t *testing.T) {
	t.Parallel()
	// Given a server with many secrets, and a publisher that never rests,
	const bystanders = 300
	dir := t.TempDir()
	s := serveIn(t, dir, nil, noHandshake...)
	token, sink := s.token(t, "api"), newReceiver(t)
	sink.field = rand.Text()
	for range bystanders {
		s.subscribe(t, token, map[string]any{"sink": sink.URL + "/never", "types": []string{"customer.deleted"}})
	}
	_, secret := s.subscribe(t, token, map[string]any{
		"sink": sink.URL, "types": []string{"invoice.created"}, "headers": map[string]string{"X-Canary": sink.field},
	})
	sink.secret = decodeSecret(t, secret)
	var asleep atomic.Int64 // notifications of a subscription that has not been sent any before
	sleeper := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asleep.Add(1) }))
	t.Cleanup(sleeper.Close)
	sleeping, _ := s.subscribe(t, token, map[string]any{"sink": sleeper.URL, "types": []string{"customer.deleted"}})
	total := fmt.Sprint(bystanders + 1 + 1 + 1 + 1) // with the header fields and the key that signs for fic
	first, counts := s.sealedUnder(t)
	if len(first) != 1 || counts[first[0]] != total {
		t.Fatalf("sealed is %v, want %s under one key", counts, total)
	}
	pub := publishOn(t, s)

	// when the program is killed in the midst of a rotation, while it works on
	// the second hundred,
	s.must(t, "POST", "/v1/master-keys", adminToken, nil, http.StatusCreated, nil)
	var page struct{ Next int64 }
	s.must(t, "POST", "/v1/master-keys/reseal", adminToken, map[string]any{"after": 0}, http.StatusOK, &page)
	var working sync.WaitGroup
	working.Go(func() {
		_, _ = s.try(t, "POST", "/v1/master-keys/reseal", adminToken, map[string]any{"after": page.Next}) // answered or not
	})
	s.Stop(t, syscall.SIGKILL)
	working.Wait()
	pub.stop()

	// then after a restart everything opens, the rotation goes on and makes no
	// third key,
	s = serveIn(t, dir, nil, noHandshake...)
	pub2 := publishOn(t, s)
	second, counts := s.sealedUnder(t)
	if len(second) != 2 || second[1] != first[0] {
		t.Fatalf("the keys are %v, want a new one before %v", second, first)
	}
	if counts[second[1]] == "0" || counts[second[0]] == "0" {
		t.Fatalf("sealed is %v, want some under both", counts)
	}
	if said := s.refuses(t, "keys", "remove-master", first[0]); !strings.Contains(said, "secrets are sealed under this master key") {
		t.Errorf("a key in use: %s", said)
	}
	if said := s.runs(t, "keys", "rotate-master"); !strings.Contains(said, "going on with it") {
		t.Errorf("the rotation does not go on: %s", said)
	}
	third, counts := s.sealedUnder(t)
	if fmt.Sprint(third) != fmt.Sprint(second) || counts[third[0]] != total || counts[third[1]] != "0" {
		t.Errorf("sealed is %v under %v, want all of %s under %s", counts, third, total, second[0])
	}
	// the old key can go, and is not missed, by what is in memory either,
	s.runs(t, "keys", "remove-master", first[0])
	s.stillServes(t)
	s.must(t, "POST", fmt.Sprintf("/v1/companies/1/subscriptions/%d/test", sleeping), token, map[string]any{"type": "customer.deleted"}, http.StatusAccepted, nil)
	if !eventually(func() bool { return asleep.Load() > 0 }) {
		t.Error("a subscription that was not sent anything before cannot be sent anything now")
	}
	pub2.stop()
	s.Stop(t, syscall.SIGTERM)
	s = serveIn(t, dir, nil, noHandshake...)
	s.stillServes(t)
	if ids, counts := s.sealedUnder(t); len(ids) != 1 || counts[second[0]] != total {
		t.Errorf("at last sealed is %v under %v", counts, ids)
	}
	// and every event that was accepted came, signed and with its header field.
	accepted := pub.accepted() + pub2.accepted() + 40 // of stillServes
	if accepted < 50 {
		t.Errorf("only %d events were accepted: no load", accepted)
	}
	if !eventually(func() bool { good, _ := sink.state(); return good >= accepted }) {
		good, _ := sink.state()
		t.Errorf("%d of %d accepted events came", good, accepted)
	}
	if _, faults := sink.state(); len(faults) > 0 {
		t.Errorf("%d notifications had another signature or header field", len(faults))
	}
	t.Logf("%d events during two rotations and a kill", accepted)
}

func TestMasterKeysOfTheEnvironmentAreTheOperators(t *testing.T) {
	t.Parallel()
	key := func(id string) string {
		raw := make([]byte, 32)
		_, _ = rand.Read(raw)
		return id + ":" + base64.StdEncoding.EncodeToString(raw)
	}
	old, young := key("k1"), key("k2")
	dir := t.TempDir()
	keys := func(entries ...string) []string {
		return []string{"FATTORINO_MASTER_KEYS=" + strings.Join(entries, ",")}
	}

	s := serveIn(t, dir, keys(old), noHandshake...)
	s.subscribe(t, s.token(t, "api"), map[string]any{"sink": "http://127.0.0.1:9999/", "types": []string{"customer.deleted"}})
	said := s.refuses(t, "keys", "rotate-master")
	for _, want := range []string{"come from the settings", "put a new key first in FATTORINO_MASTER_KEYS"} {
		if !strings.Contains(said, want) {
			t.Errorf("it is not said what to do: %s", said)
		}
	}
	s.Stop(t, syscall.SIGTERM)

	s = serveIn(t, dir, keys(young, old), noHandshake...)
	if said := s.runs(t, "keys", "rotate-master"); !strings.Contains(said, "sealed anew: 2") {
		t.Errorf("nothing was sealed anew: %s", said)
	}
	if said := s.refuses(t, "keys", "remove-master", "k1"); !strings.Contains(said, "take it out of FATTORINO_MASTER_KEYS") {
		t.Errorf("it is not said what to do: %s", said)
	}
	s.Stop(t, syscall.SIGTERM)

	serveIn(t, dir, keys(young), noHandshake...).stillServes(t)
}

func TestOnlyTheOperatorTouchesMasterKeys(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, kind := range []string{"api", "publish"} {
		token := s.token(t, kind)
		for _, x := range []struct{ method, path string }{
			{"GET", "/v1/master-keys"}, {"POST", "/v1/master-keys"}, {"POST", "/v1/master-keys/reseal"}, {"DELETE", "/v1/master-keys/k1"},
		} {
			if a := s.call(t, x.method, x.path, token, map[string]any{}); a.status != http.StatusForbidden {
				t.Errorf("%s %s with a token of kind %s: %d", x.method, x.path, kind, a.status)
			}
		}
	}
}

func decodeSecret(t *testing.T, shown string) []byte {
	t.Helper()
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(shown, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// A publisher publishes until it is stopped.
type publisher struct {
	done    chan struct{}
	running sync.WaitGroup
	once    sync.Once
	count   int
}

func publishOn(t *testing.T, s *server) *publisher {
	t.Helper()
	p := &publisher{done: make(chan struct{})}
	p.running.Go(func() {
		client := &http.Client{Transport: &http.Transport{}, Timeout: patience}
		defer client.CloseIdleConnections()
		for {
			select {
			case <-p.done:
				return
			default:
			}
			r, err := http.NewRequest(http.MethodPost, s.url+"/v1/events", strings.NewReader(event(rand.Text()))) //nolint:noctx // the client has a timeout
			if err != nil {
				return
			}
			r.Header.Set("Authorization", "Bearer "+adminToken)
			r.Header.Set("Content-Type", "application/cloudevents+json")
			if a, err := do(client, r); err == nil && a.status == http.StatusAccepted {
				p.count++
			} else if err != nil {
				return // the server was killed
			}
		}
	})
	t.Cleanup(p.stop)
	return p
}

func (p *publisher) stop() {
	p.once.Do(func() { close(p.done) })
	p.running.Wait()
}

// accepted is how many were, once the publisher has stopped.
func (p *publisher) accepted() int {
	p.stop()
	return p.count
}
