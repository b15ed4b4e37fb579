package native_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/native"
)

func wish() *fattorino.NewSubscription {
	return &fattorino.NewSubscription{
		Company: 12345, Contract: native.Name, Sink: sink, Types: []string{"invoice.*"},
		Format: fattorino.Binary, Method: fattorino.ByHeader,
	}
}

// faults gives the fields of an Invalid error; nil for no error.
func faults(t *testing.T, err error) (fields []string) {
	t.Helper()
	if err == nil {
		return nil
	}
	e := fattorino.AsError(err)
	if e.Kind != fattorino.Invalid || len(e.Faults) == 0 {
		t.Fatalf("%v is no Invalid with faults", err)
	}
	for _, f := range e.Faults {
		fields = append(fields, f.Field)
	}
	return fields
}

func TestCheckOptions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	field := func(name, v string) func(*fattorino.NewSubscription) {
		return func(n *fattorino.NewSubscription) {
			n.Options.Headers = f.headers(t, fattorino.Header{Name: name, Value: v})
		}
	}
	many := map[string]string{}
	for i := range 33 {
		many[strings.Repeat("k", i+1)] = "v"
	}
	for _, tc := range []struct {
		name   string
		change func(n *fattorino.NewSubscription)
		fault  string // its field; empty = accepted
	}{
		{"nothing chosen", func(n *fattorino.NewSubscription) { n.Format, n.Method = "", "" }, ""},
		{"binary", func(n *fattorino.NewSubscription) { n.Format = fattorino.Binary }, ""},
		{"structured", func(n *fattorino.NewSubscription) { n.Format = fattorino.Structured }, ""},
		{"standard", func(n *fattorino.NewSubscription) { n.Format = fattorino.Standard }, ""},
		{"an unknown format", func(n *fattorino.NewSubscription) { n.Format = "xml" }, "format"},
		{"by query", func(n *fattorino.NewSubscription) { n.Method = fattorino.ByQuery }, ""},
		{"by an unknown method", func(n *fattorino.NewSubscription) { n.Method = "body" }, "verification_method"},

		{"handshake challenge", func(n *fattorino.NewSubscription) { n.Options.Handshake = "challenge" }, ""},
		{"handshake options", func(n *fattorino.NewSubscription) { n.Options.Handshake = "options" }, ""},
		{"handshake none, which is not allowed", func(n *fattorino.NewSubscription) { n.Options.Handshake = "none" }, "handshake"},
		{"an unknown handshake", func(n *fattorino.NewSubscription) { n.Options.Handshake = "OPTIONS" }, "handshake"},

		{"signature v1", func(n *fattorino.NewSubscription) { n.Options.Signature = "v1" }, ""},
		{"signature v1a", func(n *fattorino.NewSubscription) { n.Options.Signature = "v1a" }, ""},
		{"signature httpsig", func(n *fattorino.NewSubscription) { n.Options.Signature = "httpsig" }, ""},
		{"signature httpsig over an international host", func(n *fattorino.NewSubscription) {
			n.Options.Signature, n.Sink = "httpsig", "https://fattorìno.example/in"
		}, ""},
		{"signature httpsig over a query outside ASCII", func(n *fattorino.NewSubscription) {
			n.Options.Signature, n.Sink = "httpsig", "https://a.example/?è"
		}, "sink"},
		{"signature jwt", func(n *fattorino.NewSubscription) { n.Options.Signature = "jwt" }, ""},
		{"signature none", func(n *fattorino.NewSubscription) { n.Options.Signature = "none" }, ""},
		{"an unknown signature", func(n *fattorino.NewSubscription) { n.Options.Signature = "v2" }, "signature"},
		{"a secret that fits", func(n *fattorino.NewSubscription) {
			n.Options.Signature, n.Secrets = "v1a", []fattorino.Secret{f.secret(t, oldEd25519, time.Time{})}
		}, ""},
		{"a secret of another scheme", func(n *fattorino.NewSubscription) {
			n.Options.Signature, n.Secrets = "v1", []fattorino.Secret{f.secret(t, oldEd25519, time.Time{})}
		}, "secret"},
		{"a secret that does not open", func(n *fattorino.NewSubscription) {
			n.Options.Signature, n.Secrets = "v1", []fattorino.Secret{{Sealed: []byte("x")}}
		}, "secret"},

		{"a field", field("X-Api-Key", "s3cret"), ""},
		{"authorization", field("Authorization", "Bearer s3cret"), ""},
		{"authorization with a token of ours", func(n *fattorino.NewSubscription) {
			field("authorization", "Bearer s3cret")(n)
			n.Options.Signature = "jwt"
		}, "headers"},
		{"an empty value", field("X-Empty", ""), ""},
		{"a value with a tab inside", field("X-Tab", "a\tb"), ""},
		{"a value of 4096 bytes", field("X-Long", strings.Repeat("s", 4096)), ""},
		{"a value of 4097 bytes", field("X-Long", strings.Repeat("s", 4097)), "headers"},
		{"a value with a line break", field("X-Break", "s3cret\r\nX-More: 1"), "headers"},
		{"a value outside ASCII", field("X-Accent", "s3crèt"), "headers"},
		{"a value with space around it", field("X-Space", " s3cret"), "headers"},
		{"an empty name", field("", "s3cret"), "headers"},
		{"a name with a space", field("X Api", "s3cret"), "headers"},
		{"a name with a colon", field("X:", "s3cret"), "headers"},
		{"a name outside ASCII", field("X-È", "s3cret"), "headers"},
		{"one name twice", func(n *fattorino.NewSubscription) {
			n.Options.Headers = f.headers(t, fattorino.Header{Name: "X-A", Value: "s3cret"}, fattorino.Header{Name: "x-a", Value: "s3cret"})
		}, "headers"},
		{"21 fields", func(n *fattorino.NewSubscription) {
			var fields []fattorino.Header
			for i := range 21 {
				fields = append(fields, fattorino.Header{Name: "X-" + strings.Repeat("a", i), Value: "s3cret"})
			}
			n.Options.Headers = f.headers(t, fields...)
		}, "headers"},

		{"rate 1", func(n *fattorino.NewSubscription) { n.Options.Rate = 1 }, ""},
		{"rate 1,000,000", func(n *fattorino.NewSubscription) { n.Options.Rate = 1_000_000 }, ""},
		{"rate 1,000,001", func(n *fattorino.NewSubscription) { n.Options.Rate = 1_000_001 }, "rate"},
		{"rate -1", func(n *fattorino.NewSubscription) { n.Options.Rate = -1 }, "rate"},
		{"concurrency 64", func(n *fattorino.NewSubscription) { n.Options.Concurrency = 64 }, ""},
		{"concurrency 65", func(n *fattorino.NewSubscription) { n.Options.Concurrency = 65 }, "concurrency"},
		{"concurrency -1", func(n *fattorino.NewSubscription) { n.Options.Concurrency = -1 }, "concurrency"},
		{"timeout 1 s", func(n *fattorino.NewSubscription) { n.Options.Timeout = time.Second }, ""},
		{"timeout 60 s", func(n *fattorino.NewSubscription) { n.Options.Timeout = time.Minute }, ""},
		{"timeout below 1 s", func(n *fattorino.NewSubscription) { n.Options.Timeout = time.Millisecond }, "timeout"},
		{"timeout above 60 s", func(n *fattorino.NewSubscription) { n.Options.Timeout = 61 * time.Second }, "timeout"},
		{"20 waits from 1 s to 7 d", func(n *fattorino.NewSubscription) {
			n.Options.Schedule = append(repeat(time.Second, 10), repeat(7*24*time.Hour, 10)...)
		}, ""},
		{"21 waits", func(n *fattorino.NewSubscription) { n.Options.Schedule = repeat(time.Second, 21) }, "schedule"},
		{"a wait below 1 s", func(n *fattorino.NewSubscription) { n.Options.Schedule = []time.Duration{time.Second, 0} }, "schedule.1"},
		{"a wait above 7 d", func(n *fattorino.NewSubscription) { n.Options.Schedule = []time.Duration{7*24*time.Hour + 1} }, "schedule.0"},

		{"ends later", func(n *fattorino.NewSubscription) { n.Options.EndsAt = time.Now().Add(time.Hour) }, ""},
		{"ended", func(n *fattorino.NewSubscription) { n.Options.EndsAt = time.Now().Add(-time.Hour) }, "ends_at"},
		{"name of 100 characters", func(n *fattorino.NewSubscription) { n.Options.Name = strings.Repeat("è", 100) }, ""},
		{"name of 101 characters", func(n *fattorino.NewSubscription) { n.Options.Name = strings.Repeat("è", 101) }, "name"},
		{"name that is no text", func(n *fattorino.NewSubscription) { n.Options.Name = "\xff" }, "name"},
		{"description of 1000 characters", func(n *fattorino.NewSubscription) { n.Options.Description = strings.Repeat("è", 1000) }, ""},
		{"description of 1001 characters", func(n *fattorino.NewSubscription) { n.Options.Description = strings.Repeat("è", 1001) }, "description"},
		{"metadata", func(n *fattorino.NewSubscription) {
			n.Options.Metadata = map[string]string{strings.Repeat("k", 64): strings.Repeat("v", 512)}
		}, ""},
		{"metadata of 33 entries", func(n *fattorino.NewSubscription) { n.Options.Metadata = many }, "metadata"},
		{"metadata without a name", func(n *fattorino.NewSubscription) { n.Options.Metadata = map[string]string{"": "v"} }, "metadata"},
		{"metadata with a name of 65 characters", func(n *fattorino.NewSubscription) {
			n.Options.Metadata = map[string]string{strings.Repeat("k", 65): "v"}
		}, "metadata"},
		{"metadata with a value of 513 characters", func(n *fattorino.NewSubscription) {
			n.Options.Metadata = map[string]string{"k": strings.Repeat("v", 513)}
		}, "metadata"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n := wish()
			tc.change(n)
			err := f.CheckOptions(n)
			var want []string
			if tc.fault != "" {
				want = []string{tc.fault}
			}
			equal(t, faults(t, err), want)
			if err != nil && strings.Contains(err.Error(), "s3cr") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

func repeat(d time.Duration, n int) (list []time.Duration) {
	for range n {
		list = append(list, d)
	}
	return list
}

func TestCheckOptions_FieldsThatAreNotForSubscribers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, name := range []string{
		"Host", "Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Expect",
		"Content-Length", "Content-Type", "Content-Digest", "Content-Encoding", "content-type",
		"webhook-id", "webhook-signature", "Webhook-Timestamp", "WebHook-Request-Origin", "WEBHOOK-ANYTHING",
		"ce-id", "CE-Specversion", "Signature", "Signature-Input", "traceparent", "tracestate",
		"User-Agent", "Accept-Encoding", "Idempotency-Key", "Proxy-Authorization",
	} {
		n := wish()
		n.Options.Headers = f.headers(t, fattorino.Header{Name: name, Value: "v"})
		equal(t, faults(t, f.CheckOptions(n)), []string{"headers"})
	}
}

// Every fault is told at once.
func TestCheckOptions_TellsAllFaults(t *testing.T) {
	t.Parallel()
	n := wish()
	n.Format, n.Options.Handshake, n.Options.Signature, n.Options.Rate = "x", "x", "x", -1
	equal(t, faults(t, newFixture(t).CheckOptions(n)), []string{"format", "handshake", "signature", "rate"})
}

func TestCheckOptions_WhatTheOperatorOffers(t *testing.T) {
	t.Parallel()
	bare := newFixture(t, func(o *native.Options) { *o = native.Options{Keychain: o.Keychain, AllowNoHandshake: true} })
	for _, tc := range []struct {
		handshake, signature, fault string
	}{
		{"none", "", ""},
		{"options", "", "handshake"}, // without a name of its own
		{"", "jwt", "signature"},     // without a signer
	} {
		n := wish()
		n.Options.Handshake, n.Options.Signature = tc.handshake, tc.signature
		got := faults(t, bare.CheckOptions(n))
		if strings.Join(got, " ") != tc.fault {
			t.Errorf("%+v: %q", tc, got)
		}
	}
}

func TestNewSecret_ShowsWhatItsSubscriberNeeds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for signature, want := range map[string][2]string{ // prefixes of shown and public
		"": {"whsec_", ""}, "v1": {"whsec_", ""}, "v1a": {"", "whpk_"}, "httpsig": {"", "whpk_"},
	} {
		s, shown, public, err := f.NewSecret(signature)
		if err != nil {
			t.Fatal(err)
		}
		if !begins(shown, want[0]) || !begins(public, want[1]) {
			t.Errorf("%q: shown of %d and public of %d bytes", signature, len(shown), len(public))
		}
		again, err := f.PublicKey(s)
		if err != nil || again != public {
			t.Errorf("%q: the public key is %q, then %q, error %v", signature, public, again, err)
		}
		n := wish()
		n.Options.Signature, n.Secrets = signature, []fattorino.Secret{s}
		equal(t, faults(t, f.CheckOptions(n)), nil)
		sub := subscription()
		sub.Options.Signature, sub.Secrets = signature, n.Secrets
		f.notification(t, sub, invoicePaid(), now)
	}
	for _, signature := range []string{"jwt", "none"} {
		s, shown, public, err := f.NewSecret(signature)
		if err != nil || len(s.Sealed) > 0 || shown != "" || public != "" {
			t.Errorf("%s: a secret is made, error %v", signature, err)
		}
	}
	if _, _, _, err := f.NewSecret("v2"); err == nil {
		t.Error("a secret is made for an unknown scheme")
	}
	if _, err := f.PublicKey(fattorino.Secret{Sealed: []byte("x")}); err == nil {
		t.Error("a secret that does not open has a public key")
	}
}

// begins tells whether s begins with a prefix, and is empty where that is.
func begins(s, prefix string) bool { return strings.HasPrefix(s, prefix) && (prefix != "" || s == "") }
