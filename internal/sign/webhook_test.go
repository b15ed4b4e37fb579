package sign_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/sign"
)

// The published example of Standard Webhooks, with the keys of its libraries'
// tests: one signature for each scheme.
const (
	vectorID      = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime    = 1614265330
	vectorBody    = `{"test": 2432232314}`
	vectorSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorV1      = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	vectorPrivate = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
	vectorSeed    = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc="
	vectorPublic  = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
	vectorV1a     = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
)

func parseSecret(t testing.TB, text string) *sign.HMACSecret {
	t.Helper()
	s, err := sign.ParseHMACSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parseKey(t testing.TB, text string) *sign.Ed25519Key {
	t.Helper()
	k, err := sign.ParseEd25519Key(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func parsePublic(t testing.TB, text string) *sign.Ed25519PublicKey {
	t.Helper()
	p, err := sign.ParseEd25519PublicKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func signature(t testing.TB, k sign.WebhookKey, id string, timestamp int64, body string) string {
	t.Helper()
	got, err := k.AppendSignature(nil, id, timestamp, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// SW-3 and SW-5.
func TestSignatureOfThePublishedExample(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		key  sign.WebhookKey
		want string
	}{
		{"v1", parseSecret(t, vectorSecret), vectorV1},
		{"v1a with seed and public key", parseKey(t, vectorPrivate), vectorV1a},
		{"v1a with the seed alone", parseKey(t, vectorSeed), vectorV1a},
		{"SW-6 current and previous", sign.WebhookKeys{parseKey(t, vectorPrivate), parseSecret(t, vectorSecret)}, vectorV1a + " " + vectorV1},
	} {
		if got := signature(t, tc.key, vectorID, vectorTime, vectorBody); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
		got, err := tc.key.AppendSignature([]byte("before "), vectorID, vectorTime, []byte(vectorBody))
		if err != nil || string(got) != "before "+tc.want {
			t.Errorf("%s, appended: %s, error %v", tc.name, got, err)
		}
	}
}

// SW-4: with a dot in an id, two notifications would have one signature.
func TestIDsThatCannotBeSigned(t *testing.T) {
	t.Parallel()
	secret, key := sign.NewHMACSecret(), sign.NewEd25519Key()
	for _, tc := range []struct {
		name, id string
		ok       bool
	}{
		{"as ours are", "198:f059b211-24f4-44ab-9859-b1613a9a0712", true},
		{"one character", "1", true},
		{"every visible character but the dot", "!\"#$%&'()*+,-/0:;<=>?@A[\\]^_`a{|}~", true},
		{"empty", "", false},
		{"with a dot", "msg_1.1614265330", false},
		{"ending in a dot", "msg_1.", false},
		{"a dot", ".", false},
		{"with a space", "msg 1", false},
		{"with a tab", "msg\t1", false},
		{"with a line break", "msg_1\r\nwebhook-timestamp: 1", false},
		{"with NUL", "msg_1\x00", false},
		{"with DEL", "msg_1\x7f", false},
		{"not ASCII", "msg_è", false},
		{"not UTF-8", "msg_\xff", false},
	} {
		for _, k := range []sign.WebhookKey{secret, key, sign.WebhookKeys{secret, key}} {
			got, err := k.AppendSignature([]byte("before"), tc.id, vectorTime, nil)
			if (err == nil) != tc.ok {
				t.Errorf("an id %s: error %v", tc.name, err)
			}
			if err != nil && string(got) != "before" {
				t.Errorf("an id %s: what was before became %q", tc.name, got)
			}
			if err != nil && len(tc.id) > 1 && strings.Contains(err.Error(), tc.id) {
				t.Errorf("an id %s: the error quotes it", tc.name)
			}
		}
	}
}

func TestSigningWithNoKeyIsAnError(t *testing.T) {
	t.Parallel()
	if got, err := (sign.WebhookKeys{}).AppendSignature([]byte("before"), vectorID, vectorTime, nil); err == nil || string(got) != "before" {
		t.Errorf("got %q, error %v", got, err)
	}
}

// SW-7.
func TestNewKeysAreReadBack(t *testing.T) {
	t.Parallel()
	secret, key := sign.NewHMACSecret(), sign.NewEd25519Key()
	for name, tc := range map[string]struct {
		text, prefix string
		size         int // bytes
		again        string
	}{
		"secret":      {secret.Reveal(), "whsec_", 32, parseSecret(t, secret.Reveal()).Reveal()},
		"private key": {key.Reveal(), "whsk_", 64, parseKey(t, key.Reveal()).Reveal()},
		"public key":  {key.Public().String(), "whpk_", 32, parsePublic(t, key.Public().String()).String()},
	} {
		encoded, ok := strings.CutPrefix(tc.text, tc.prefix)
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(raw) != tc.size {
			t.Errorf("%s: of %d bytes, with the prefix %v, error %v", name, len(raw), ok, err)
		}
		if tc.again != tc.text {
			t.Errorf("%s: another came back", name)
		}
	}
	if secret.Reveal() == sign.NewHMACSecret().Reveal() || key.Reveal() == sign.NewEd25519Key().Reveal() {
		t.Error("two new keys are the same")
	}
	if parseKey(t, key.Reveal()).Public().KID() != key.Public().KID() {
		t.Error("the public key has another name after a way through the store")
	}
}

func TestPublishedKeysBelongTogether(t *testing.T) {
	t.Parallel()
	for _, text := range []string{vectorPrivate, vectorSeed} {
		k := parseKey(t, text)
		if k.Public().String() != vectorPublic || k.Reveal() != vectorPrivate {
			t.Error("the public key is another one, or the private key came back in another form")
		}
	}
}

// SW-7: what is no key is refused, and not quoted, since it may be one that is
// only in the wrong place.
func TestMalformedKeysAreRefused(t *testing.T) {
	t.Parallel()
	key := func(prefix string, n int) string {
		return prefix + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("secret"), n)[:n])
	}
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	mixed := append(bytes.Repeat([]byte("s"), 32), stranger[32:]...)
	for _, tc := range []struct {
		name, text              string
		secret, private, public bool // what reads it
	}{
		{"empty", "", false, false, false},
		{"secret of 23 bytes", key("whsec_", 23), false, false, false},
		{"secret of 24 bytes", key("whsec_", 24), true, false, false},
		{"secret of 64 bytes", key("whsec_", 64), true, false, false},
		{"secret of 65 bytes", key("whsec_", 65), false, false, false},
		{"prefix of a secret alone", "whsec_", false, false, false},
		{"private key of 31 bytes", key("whsk_", 31), false, false, false},
		{"private key of 32 bytes", key("whsk_", 32), false, true, false},
		{"private key of 33 bytes", key("whsk_", 33), false, false, false},
		{"private key with the public key of another", "whsk_" + base64.StdEncoding.EncodeToString(mixed), false, false, false},
		{"prefix of a private key alone", "whsk_", false, false, false},
		{"public key of 31 bytes", key("whpk_", 31), false, false, false},
		{"public key of 32 bytes", key("whpk_", 32), false, false, true},
		{"public key of 33 bytes", key("whpk_", 33), false, false, false},
		{"no prefix", key("", 32), false, false, false},
		{"prefix in capitals", key("WHSEC_", 32), false, false, false},
		{"space before", " " + key("whsec_", 32), false, false, false},
		{"line break after", key("whsec_", 32) + "\n", false, false, false},
		{"line break within", key("whsec_", 32)[:20] + "\n" + key("whsec_", 32)[20:], false, false, false},
		{"without padding", strings.TrimRight(key("whsec_", 32), "="), false, false, false},
		{"bits after the last byte", key("whsec_", 32)[:len(key("whsec_", 32))-2] + "1=", false, false, false},
		{"base64url", "whsec_" + base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xfb, 0xff}, 16)), false, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, secretErr := sign.ParseHMACSecret(tc.text)
			_, privateErr := sign.ParseEd25519Key(tc.text)
			_, publicErr := sign.ParseEd25519PublicKey(tc.text)
			for kind, got := range map[string]struct {
				err  error
				want bool
			}{"secret": {secretErr, tc.secret}, "private key": {privateErr, tc.private}, "public key": {publicErr, tc.public}} {
				if (got.err == nil) != got.want {
					t.Errorf("as a %s: error %v", kind, got.err)
				}
				if got.err != nil && strings.Contains(got.err.Error(), "c2Vjcm") {
					t.Errorf("as a %s: the error quotes it", kind)
				}
			}
		})
	}
}

// The states of the hash are used again and again, by whoever comes first.
func TestManyGoroutinesSignWithOneSecret(t *testing.T) {
	t.Parallel()
	keys := sign.WebhookKeys{parseSecret(t, vectorSecret), parseKey(t, vectorPrivate)}
	other := strings.Repeat("another body, and a longer one ", 50)
	wantOther := signature(t, keys, "other", 7, other)
	done := make(chan [2]string)
	for range 8 {
		go func() {
			var first, second []byte
			for range 20 {
				first, _ = keys.AppendSignature(first[:0], vectorID, vectorTime, []byte(vectorBody))
				second, _ = keys.AppendSignature(second[:0], "other", 7, []byte(other))
			}
			done <- [2]string{string(first), string(second)}
		}()
	}
	for range 8 {
		if got := <-done; got != [2]string{vectorV1 + " " + vectorV1a, wantOther} {
			t.Errorf("got %q", got)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	for _, text := range []string{vectorSecret, vectorPrivate, vectorSeed, vectorPublic, "whsec_", "whsk_=", "whpk_\n", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := sign.ParseHMACSecret(text); err == nil && s.Reveal() != text {
			t.Errorf("the secret %q comes back as %q", text, s.Reveal())
		}
		if p, err := sign.ParseEd25519PublicKey(text); err == nil && p.String() != text {
			t.Errorf("the public key %q comes back as %q", text, p.String())
		}
		k, err := sign.ParseEd25519Key(text)
		if err != nil {
			return
		}
		if again := k.Reveal(); again != text && !strings.HasPrefix(again, strings.TrimRight(text, "=")[:len("whsk_")+42]) {
			t.Errorf("the private key %q comes back as %q", text, again)
		}
		if again := parseKey(t, k.Reveal()); again.Reveal() != k.Reveal() || again.Public().KID() != k.Public().KID() {
			t.Errorf("the private key %q is another after a way through the store", text)
		}
	})
}
