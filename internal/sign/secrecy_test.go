package sign_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fattorino-dev/fattorino/internal/sign"
)

// forms gives the ways in which printed bytes can show a secret.
func forms(secret []byte) []string {
	return []string{
		string(secret),
		hex.EncodeToString(secret),
		strings.ToUpper(hex.EncodeToString(secret)),
		base64.StdEncoding.EncodeToString(secret),
		base64.RawURLEncoding.EncodeToString(secret),
		strings.Trim(fmt.Sprintf("%d", secret), "[]"),
		strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", secret), "[]byte{"), "}"),
		new(big.Int).SetBytes(secret).String(),
	}
}

// printed gives everything that the usual ways of printing make of v.
func printed(v any) string {
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+"\n", v)
	}
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, options), slog.NewJSONHandler(&out, options)} {
		slog.New(handler).Debug("printed", "value", v, slog.Group("in", "group", v))
	}
	fmt.Fprintln(&out, fmt.Errorf("wrapped: %v", v))
	return out.String()
}

func TestPrintingShowsNoSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	vault, key := openVault(t, dir, ""), newKey(t)
	ring := sign.NewRing(key, newKey(t))

	text, err := os.ReadFile(filepath.Join(dir, "master.keys"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(text))
	_, encoded, _ := strings.Cut(lines[len(lines)-1], ":")
	masterKey, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(masterKey) != 32 {
		t.Fatalf("no key at the end of the file: %v", err)
	}
	der, err := key.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := parsed.(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	// What Reveal gives holds the bytes: after the prefix, in base64.
	secret, signer := sign.NewHMACSecret(), sign.NewEd25519Key()
	secretBytes, err := base64.StdEncoding.DecodeString(secret.Reveal()[len("whsec_"):])
	if err != nil {
		t.Fatal(err)
	}
	private, err := base64.StdEncoding.DecodeString(signer.Reveal()[len("whsk_"):])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secret.AppendSignature(nil, vectorID, vectorTime, nil); err != nil { // fills the pool
		t.Fatal(err)
	}
	secrets := slices.Concat(forms(masterKey), forms(scalar), forms(secretBytes), forms(private[:32]))

	// The checker itself must find a secret that is printed.
	if !shows(printed(masterKey), secrets) || !shows(printed(secretBytes), secrets) || !shows(printed(private), secrets) || !shows(printed(struct{ D *big.Int }{new(big.Int).SetBytes(scalar)}), secrets) {
		t.Fatal("the test cannot see a secret")
	}
	type holder struct {
		Vault *sign.Vault
		Key   *sign.ES256Key
		Ring  *sign.Ring

		Secret *sign.HMACSecret
		Signer *sign.Ed25519Key
		Keys   sign.WebhookKeys
	}
	type closed struct { // fmt cannot call the methods of unexported fields
		vault *sign.Vault // which cannot be copied
		key   sign.ES256Key
		keys  []*sign.ES256Key

		secret  sign.HMACSecret
		signer  sign.Ed25519Key
		current sign.WebhookKeys
	}
	both := sign.WebhookKeys{secret, signer}
	inClosed := closed{vault, *key, ring.All(), *secret, *signer, both}
	for name, v := range map[string]any{
		"vault": vault,
		"key":   key, "copy of key": *key,
		"ring": ring, "keys": ring.All(),
		"secret": secret, "copy of secret": *secret,
		"signer": signer, "copy of signer": *signer, "public key": signer.Public(),
		"webhook keys": both, "verifiers": []sign.WebhookVerifier{secret, signer.Public()},
		"struct": holder{vault, key, ring, secret, signer, both}, "struct with closed fields": inClosed,
		"pointer to struct": &inClosed,
		"map":               map[string]any{"vault": vault, "key": key, "copy": *key, "secret": *secret, "signer": *signer},
	} {
		if out := printed(v); shows(out, secrets) {
			t.Errorf("printing the %s shows a secret", name)
		}
	}
}

func TestPrintingTellsKeysApart(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	if got, want := fmt.Sprintf("%v", k), "ES256Key("+k.KID()+")"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	v := openVault(t, "", masterKey("new", 2)+","+masterKey("old", 1))
	if got, want := fmt.Sprintf("%+v", v), "Vault(current key new of 2)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	signer := parseKey(t, vectorPrivate)
	if got, want := fmt.Sprintf("%s", signer), "Ed25519Key("+signer.Public().KID()+")"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := fmt.Sprintf("%v", signer.Public()), vectorPublic; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("rotated", "key", k)
	if !strings.Contains(out.String(), `"key":"ES256Key(`+k.KID()+`)"`) {
		t.Errorf("logged as %s", out.String())
	}
}

func shows(out string, secrets []string) bool {
	for _, s := range secrets {
		if strings.Contains(out, s) {
			return true
		}
	}
	return false
}
