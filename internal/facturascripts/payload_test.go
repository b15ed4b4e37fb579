package facturascripts_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
)

var update = flag.Bool("update", false, "write testdata from what is there now")

// wire writes a request as it goes out, headers in order.
func wire(r *fattorino.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL)
	for _, h := range r.Header {
		fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
	}
	fmt.Fprintf(&b, "\n%s\n", r.Body)
	return b.String()
}

func TestANotificationGoesOutByteForByteAsDocumented(t *testing.T) {
	t.Parallel()
	type change func(*fattorino.Event)
	for name, test := range map[string]struct {
		secrets []string
		event   change
	}{
		"json":       {[]string{hmacSecret}, func(*fattorino.Event) {}},
		"ed25519":    {[]string{ed25519Secret}, func(*fattorino.Event) {}},
		"rotation":   {[]string{ed25519Secret, hmacSecret}, func(*fattorino.Event) {}},
		"other_name": {[]string{hmacSecret}, func(e *fattorino.Event) { e.Type = "it.fattureincloud.webhooks.invoice" }},
		"no_time":    {[]string{hmacSecret}, func(e *fattorino.Event) { e.Time = time.Time{} }},
		"no_data":    {[]string{hmacSecret}, func(e *fattorino.Event) { e.Data, e.Form = nil, fattorino.NoData }},
		"text": {[]string{hmacSecret}, func(e *fattorino.Event) {
			e.Data, e.Form = []byte("say \"no\"\n\x00 ñ"), fattorino.TextData
		}},
		"bytes": {[]string{hmacSecret}, func(e *fattorino.Event) {
			e.Data, e.Form = []byte{0xff, 0xfe, 0}, fattorino.BinaryData
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Given a subscription and an event
			c, keys := contract(t)
			e := paid()
			test.event(e)

			// When the notification is built
			r, err := c.Notification(subscription(t, keys, test.secrets...), e, attempted)
			if err != nil {
				t.Fatal(err)
			}

			// Then it is JSON, and byte for byte the recorded one
			if !json.Valid(r.Body) {
				t.Errorf("the body is no JSON: %s", r.Body)
			}
			file := filepath.Join("testdata", "notifications", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(wire(r)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), wire(r)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// payload is the body as a receiver declares it.
type payload struct {
	ID        string          `json:"id"`
	Event     string          `json:"event"`
	Timestamp int64           `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

func TestDataIsVerbatim(t *testing.T) {
	t.Parallel()
	c, keys := contract(t)
	s := subscription(t, keys, hmacSecret)
	for _, data := range []string{
		`{"total":12.50}`, `12.50`, `{"a":1,"a":2}`, `{"n":10000000000000000000000001}`, ` [1 , 2]`, `"\u00e1\/"`, `null`,
	} {
		e := paid()
		e.Data = []byte(data)
		r, err := c.Notification(s, e, attempted)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(string(r.Body), `,"data":`+data+`}`) {
			t.Errorf("the data %s went out as %s", data, r.Body)
		}
	}
}

// SW-2: the id and the body stay, the timestamp of the header is the attempt's.
func TestEveryAttemptHasTheSameIDAndBody(t *testing.T) {
	t.Parallel()
	c, keys := contract(t)
	s := subscription(t, keys, hmacSecret)
	first, err := c.Notification(s, paid(), attempted)
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Notification(s, paid(), attempted.Add(65*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	a, b := fields(first), fields(second)
	if a.Get("webhook-id") != b.Get("webhook-id") || string(first.Body) != string(second.Body) {
		t.Errorf("two attempts differ:\n%s\n%s", wire(first), wire(second))
	}
	if a.Get("webhook-timestamp") != "1764936042" || b.Get("webhook-timestamp") != "1764939942" {
		t.Errorf("the timestamps are %s and %s", a.Get("webhook-timestamp"), b.Get("webhook-timestamp"))
	}
	var p payload
	if err := json.Unmarshal(first.Body, &p); err != nil {
		t.Fatal(err)
	}
	if p.ID != a.Get("webhook-id") || p.Timestamp != 1764936000 {
		t.Errorf("the body has id %s and timestamp %d", p.ID, p.Timestamp)
	}
}

// SW-4: the id is no choice of the producer's.
func TestEachDeliveryHasAnIDOfItsOwn(t *testing.T) {
	t.Parallel()
	c, keys := contract(t)
	seen := map[string]string{}
	for name, change := range map[string]func(*fattorino.Subscription, *fattorino.Event){
		"one":                     func(*fattorino.Subscription, *fattorino.Event) {},
		"another subscription":    func(s *fattorino.Subscription, _ *fattorino.Event) { s.ID = 43 },
		"another event":           func(_ *fattorino.Subscription, e *fattorino.Event) { e.ID = "a.2" },
		"another source":          func(_ *fattorino.Subscription, e *fattorino.Event) { e.Source = "/er"; e.ID = "pa.1" },
		"another company":         func(_ *fattorino.Subscription, e *fattorino.Event) { e.Company = 8 },
		"a test with the same id": func(_ *fattorino.Subscription, e *fattorino.Event) { e.Seq = 0 },
	} {
		s, e := subscription(t, keys, hmacSecret), paid()
		change(s, e)
		r, err := c.Notification(s, e, attempted)
		if err != nil {
			t.Fatal(err)
		}
		id := fields(r).Get("webhook-id")
		if other, taken := seen[id]; taken {
			t.Errorf("%s and %s have the id %s", name, other, id)
		}
		if strings.ContainsAny(id, ". ") {
			t.Errorf("%s has the id %q", name, id)
		}
		seen[id] = name
	}
}

// fields gives the header as a receiver sees it.
func fields(r *fattorino.Request) http.Header {
	h := http.Header{}
	for _, f := range r.Header {
		h.Add(f.Name, f.Value)
	}
	return h
}

func TestAReceiverVerifiesWithStandardWebhooks(t *testing.T) {
	t.Parallel()
	// Given a receiver with the module of Standard Webhooks, and a secret that
	// gives way to a new one of another scheme
	receiver, err := standardwebhooks.NewWebhook(hmacSecret)
	if err != nil {
		t.Fatal(err)
	}
	c, keys := contract(t)
	s := subscription(t, keys, ed25519Secret, hmacSecret)
	s.Secrets[1].EndsAt = time.Now().Add(time.Hour)

	// When a notification is built while both are in force
	r, err := c.Notification(s, paid(), time.Now())
	if err != nil {
		t.Fatal(err)
	}

	// Then the receiver with the old secret accepts it, and no other body
	if err := receiver.Verify(r.Body, fields(r)); err != nil {
		t.Errorf("the receiver refuses it: %v", err)
	}
	if receiver.Verify([]byte(strings.Replace(string(r.Body), "12.50", "12.5", 1)), fields(r)) == nil {
		t.Error("the receiver accepts another body")
	}

	// And whoever has the public half of the new one accepts it too (SW-5)
	shown, err := c.PublicKey(s.Secrets[0])
	if err != nil {
		t.Fatal(err)
	}
	public, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(shown, "whpk_"))
	if err != nil {
		t.Fatal(err)
	}
	h := fields(r)
	v1a, _, _ := strings.Cut(strings.TrimPrefix(h.Get("webhook-signature"), "v1a,"), " ")
	signature, err := base64.StdEncoding.DecodeString(v1a)
	if err != nil {
		t.Fatal(err)
	}
	if !ed25519.Verify(public, []byte(h.Get("webhook-id")+"."+h.Get("webhook-timestamp")+"."+string(r.Body)), signature) {
		t.Error("the signature v1a is wrong")
	}
}

func TestWhatCannotBeTold(t *testing.T) {
	t.Parallel()
	c, keys := contract(t)
	if _, err := c.Notification(subscription(t, keys), paid(), attempted); err == nil {
		t.Error("a subscription without a secret is told unsigned")
	}
	e := paid()
	e.Type, e.Common = "loan.overdue", ""
	if _, err := c.Notification(subscription(t, keys, hmacSecret), e, attempted); err == nil {
		t.Error("a type that is in no catalog is told")
	}
	_, others := contract(t)
	if _, err := c.Notification(subscription(t, others, hmacSecret), paid(), attempted); err == nil || strings.Contains(err.Error(), "whsec_") {
		t.Errorf("a secret that cannot be opened: %v", err)
	}
}

func BenchmarkNotification(b *testing.B) {
	c, keys := contract(b)
	s, e := subscription(b, keys, hmacSecret), paid()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Notification(s, e, attempted); err != nil {
			b.Fatal(err)
		}
	}
}
