package sign_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fattorino-dev/fattorino/internal/fattorino"
	"github.com/fattorino-dev/fattorino/internal/sign"
)

func newKeychain(t testing.TB) *sign.Keychain {
	t.Helper()
	return sign.NewKeychain(openVault(t, "", masterKey("k1", 1)))
}

func sealSecret(t testing.TB, k *sign.Keychain, text string, endsAt time.Time) fattorino.Secret {
	t.Helper()
	s, err := k.SealSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	s.EndsAt = endsAt
	return s
}

// What signs is the secret that was shown, also after a restart.
func TestKeychain_NewSecretSignsWithWhatItShows(t *testing.T) {
	t.Parallel()
	now := time.Unix(vectorTime, 0)
	for _, scheme := range []string{sign.SchemeV1, sign.SchemeV1a, sign.SchemeHTTPSig} {
		k := newKeychain(t)
		s, shown, err := k.NewSecret(scheme)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := k.Show(s); err != nil || again != shown {
			t.Errorf("%s: shown again it is another, error %v", scheme, err)
		}
		restarted := newKeychain(t)
		keys, err := restarted.AppendSigners(nil, []fattorino.Secret{s}, now)
		if err != nil || len(keys) != 1 {
			t.Fatalf("%s: %d keys, error %v", scheme, len(keys), err)
		}
		var verifier sign.WebhookVerifier
		if scheme == sign.SchemeV1 {
			verifier = parseSecret(t, shown)
		} else {
			verifier = parsePublic(t, shown)
		}
		header := webhookHeader(vectorID, fmt.Sprint(vectorTime), signature(t, keys, vectorID, vectorTime, vectorBody))
		if err := sign.VerifyWebhook(header, []byte(vectorBody), now, verifier); err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
	}
	if _, _, err := newKeychain(t).NewSecret("jwt"); err == nil {
		t.Error("a secret is made for a scheme that has none")
	}
}

// SW-6: those in force, newest first, each until its time is over.
func TestKeychain_SignersAreThoseInForce(t *testing.T) {
	t.Parallel()
	k, now := newKeychain(t), time.Unix(vectorTime, 0)
	secrets := []fattorino.Secret{
		sealSecret(t, k, vectorPrivate, time.Time{}),
		sealSecret(t, k, vectorSecret, now.Add(time.Second)),
	}
	for _, tc := range []struct {
		name string
		at   time.Time
		want string
	}{
		{"during the overlap", now, vectorV1a + " " + vectorV1},
		{"at its end", now.Add(time.Second), vectorV1a},
		{"after it", now.Add(time.Hour), vectorV1a},
	} {
		keys, err := k.AppendSigners(nil, secrets, tc.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := signature(t, keys, vectorID, vectorTime, vectorBody); got != tc.want {
			t.Errorf("%s: %s", tc.name, got)
		}
	}
	if keys, err := k.AppendSigners(nil, nil, now); err != nil || len(keys) != 0 {
		t.Errorf("no secrets give %d keys, error %v", len(keys), err)
	}
}

func TestKeychain_SealSecretTakesBothFormsOfAKey(t *testing.T) {
	t.Parallel()
	k := newKeychain(t)
	for _, text := range []string{vectorPrivate, vectorSeed} {
		if shown, err := k.Show(sealSecret(t, k, text, time.Time{})); err != nil || shown != vectorPublic {
			t.Errorf("%s, error %v", shown, err)
		}
	}
	for name, text := range map[string]string{
		"empty":             "",
		"no prefix":         strings.TrimPrefix(vectorSecret, "whsec_"),
		"a public key":      vectorPublic,
		"short":             "whsec_c2hvcnQ=",
		"no base64":         "whsec_!!!!",
		"another half":      vectorPrivate[:len(vectorPrivate)-8] + "AAAAAA==",
		"space at the end":  vectorSecret + " ",
		"prefix in capital": "WHSEC_" + vectorSecret[len("whsec_"):],
	} {
		if _, err := k.SealSecret(text); err == nil {
			t.Errorf("%s: accepted", name)
		} else if len(text) > 10 && strings.Contains(err.Error(), text[6:]) {
			t.Errorf("%s: the error tells it", name)
		}
	}
}

func TestKeychain_HeadersComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	k := newKeychain(t)
	sealed, err := k.SealHeaders([]fattorino.Header{{Name: "X-B", Value: `a"<&>`}, {Name: "X-A"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []fattorino.Header{{Name: "X-B", Value: `a"<&>`, Secret: true}, {Name: "X-A", Secret: true}}
	for _, on := range []*sign.Keychain{k, k, newKeychain(t)} {
		got, err := on.OpenHeaders(sealed)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("they differ: %d fields, error %v", len(got), err)
		}
	}
	if bytes.Contains(sealed, []byte("X-B")) {
		t.Error("the name can be read")
	}
	if sealed, err := k.SealHeaders(nil); err != nil || sealed != nil {
		t.Errorf("no fields are sealed as %d bytes, error %v", len(sealed), err)
	}
	if got, err := k.OpenHeaders(nil); err != nil || got != nil {
		t.Errorf("nothing opens to %d fields, error %v", len(got), err)
	}
}

// What is sealed for one use opens for no other.
func TestKeychain_UsesAreKeptApart(t *testing.T) {
	t.Parallel()
	vault := openVault(t, "", masterKey("k1", 1))
	k := sign.NewKeychain(vault)
	secret := sealSecret(t, k, vectorSecret, time.Time{})
	headers, err := k.SealHeaders([]fattorino.Header{{Name: "X-A", Value: "s3cret"}})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := seal(t, vault, vectorSecret, place)
	for range 2 { // also once it is open for its own use
		for name, sealed := range map[string][]byte{"header fields": headers, "another place": elsewhere, "nothing": nil} {
			if _, err := k.Show(fattorino.Secret{Sealed: sealed}); err == nil {
				t.Errorf("%s open as a secret", name)
			}
			if _, err := k.AppendSigners(nil, []fattorino.Secret{{Sealed: sealed}}, time.Now()); err == nil {
				t.Errorf("%s sign", name)
			}
		}
		if _, err := k.OpenHeaders(secret.Sealed); err == nil {
			t.Error("a secret opens as header fields")
		}
		if _, err := k.Show(secret); err != nil {
			t.Error(err)
		}
		if _, err := k.OpenHeaders(headers); err != nil {
			t.Error(err)
		}
	}
}

func TestKeychain_TicketIsGoodForItsPurposeAlone(t *testing.T) {
	t.Parallel()
	k := newKeychain(t)
	ticket, err := k.NewTicket("callback/1/1")
	if err != nil {
		t.Fatal(err)
	}
	if other, err := k.NewTicket("callback/1/1"); err != nil || other == ticket {
		t.Errorf("two tickets are the same, error %v", err)
	}
	stranger := sign.NewKeychain(openVault(t, "", masterKey("k1", 2)))
	rotated := sign.NewKeychain(openVault(t, "", masterKey("k2", 2)+","+masterKey("k1", 1)))
	for _, tc := range []struct {
		name            string
		k               *sign.Keychain
		ticket, purpose string
		want            bool
	}{
		{"as it was made", k, ticket, "callback/1/1", true},
		{"after a change of the master key", rotated, ticket, "callback/1/1", true},
		{"for another purpose", k, ticket, "callback/1/11", false},
		{"with other master keys", stranger, ticket, "callback/1/1", false},
		{"with one more", k, ticket + "A", "callback/1/1", false},
		{"shortened", k, ticket[:len(ticket)-4], "callback/1/1", false},
		{"padded", k, ticket + "=", "callback/1/1", false},
		{"with a line break", k, ticket[:4] + "\n" + ticket[4:], "callback/1/1", false},
		{"empty", k, "", "callback/1/1", false},
		{"very long", k, strings.Repeat(ticket, 100), "callback/1/1", false},
	} {
		if got := tc.k.TicketValid(tc.ticket, tc.purpose); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

// More secrets than the cache holds, asked for by many: each stays what it is.
func TestKeychain_CacheIsBoundedAndRight(t *testing.T) {
	t.Parallel()
	k := newKeychain(t)
	const many = 10_000 // more than two generations of 4096
	sealed, names := make([][]byte, many), make([]string, many)
	for i := range many {
		names[i] = fmt.Sprintf("X-%d", i)
		var err error
		if sealed[i], err = k.SealHeaders([]fattorino.Header{{Name: names[i], Value: "v"}}); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range many {
				at := (i*(worker+1) + worker) % many
				got, err := k.OpenHeaders(sealed[at])
				if err != nil || len(got) != 1 || got[0].Name != names[at] {
					t.Errorf("%d: %v, error %v", at, got, err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestKeychain_PrintsNothing(t *testing.T) {
	t.Parallel()
	k := newKeychain(t)
	sealed, err := k.SealHeaders([]fattorino.Header{{Name: "X-A", Value: "s3cret"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.OpenHeaders(sealed); err != nil { // it is in the cache
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "keychain", k)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		fmt.Fprintf(&log, verb, k)
	}
	if strings.Contains(log.String(), "s3cret") || strings.Contains(log.String(), "X-A") || strings.Contains(log.String(), "733363726574") {
		t.Error("the keychain tells what is on it")
	}
}

func BenchmarkKeychainSigners(b *testing.B) {
	k := newKeychain(b)
	secrets := []fattorino.Secret{sealSecret(b, k, vectorSecret, time.Time{})}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.AppendSigners(nil, secrets, now); err != nil {
			b.Fatal(err)
		}
	}
}
