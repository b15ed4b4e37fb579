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
	secrets := append(forms(masterKey), forms(scalar)...)

	// The checker itself must find a secret that is printed.
	if !shows(printed(masterKey), secrets) || !shows(printed(struct{ D *big.Int }{new(big.Int).SetBytes(scalar)}), secrets) {
		t.Fatal("the test cannot see a secret")
	}
	type holder struct {
		Vault *sign.Vault
		Key   *sign.ES256Key
		Ring  *sign.Ring
	}
	type closed struct { // fmt cannot call the methods of unexported fields
		vault sign.Vault
		key   sign.ES256Key
		keys  []*sign.ES256Key
	}
	for name, v := range map[string]any{
		"vault": vault, "copy of vault": *vault,
		"key": key, "copy of key": *key,
		"ring": ring, "keys": ring.All(),
		"struct": holder{vault, key, ring}, "struct with closed fields": closed{*vault, *key, ring.All()},
		"pointer to struct": &closed{*vault, *key, ring.All()},
		"map":               map[string]any{"vault": vault, "key": key, "copy": *key},
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
